#include "connectors/destinations/service.h"

#include <algorithm>
#include <array>

namespace weir::destination {
namespace {

/// Of messages that will be refused for ever, whatever the destination's state.
bool is_refusal_of_message(const aws::ServiceError& error) {
  constexpr std::array<std::string_view, 12> kCodes{
      "InvalidMessageContents", "InvalidParameterValue", "InvalidParameter",          "InvalidParameterException",
      "ParameterValueInvalid",  "MissingParameter",      "MissingParameterException", "ValidationException",
      "ValidationError",        "EntityTooLarge",        "MalformedDetail",           "InvalidArgument"};
  return error.status == 413 || std::ranges::find(kCodes, error.code) != kCodes.end();
}

/// Of credentials that are renewed, or not there for now.
bool is_refusal_for_now(const aws::ServiceError& error) {
  return error.is_transient() || error.code == aws::kNoCredentials || error.code == "ExpiredToken" ||
         error.code == "ExpiredTokenException";
}

ErrorCode code_of(const aws::ServiceError& error) {
  if (is_refusal_for_now(error)) return ErrorCode::kDestinationFailed;
  if (is_refusal_of_message(error)) return ErrorCode::kEventRefused;
  // What is a refusal or an absence to sources is to destinations, too.
  const ErrorCode source = error.as_source_error("").code();
  if (source == ErrorCode::kSourceRefused) return ErrorCode::kDestinationForbidden;
  if (source == ErrorCode::kSourceNotFound) return ErrorCode::kDestinationGone;
  return ErrorCode::kDestinationFailed;
}

}  // namespace

bool is_name(std::string_view name, std::size_t most) {
  return !name.empty() && name.size() <= most && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

Result<std::unique_ptr<aws::Client>> client_for(const std::string& service, const std::string& target,
                                                const std::string& arn_region, const DestinationContext& context) {
  aws::ClientSettings settings;
  settings.name = service + ":" + target;
  settings.service = service;
  settings.arn_region = arn_region;
  settings.access = context.aws;
  auto client = aws::Client::make(context.executor, context.blocking, std::move(settings), context.log, context.clock);
  // What the configuration leaves open is no failure of a function's.
  if (!client) return Error(ErrorCode::kDestinationFailed, client.error().message());
  return client;
}

Error error_of(const aws::ServiceError& error, std::string_view doing) {
  if (error.code == aws::kCancelled) return Error(ErrorCode::kCancelled, "the delivery was called off");
  std::string sentence = error.code;
  if (!error.message.empty()) sentence += (sentence.empty() ? "" : ": ") + error.message;
  if (error.status != 0) sentence += " (status " + std::to_string(error.status) + ")";
  return Error(code_of(error), std::move(sentence)).during(std::string(doing));
}

bool is_binary(const MessageAttribute& attribute) {
  return attribute.type == "Binary" || attribute.type.starts_with("Binary.");
}

void write_attribute(std::string_view name, const MessageAttribute& attribute, JsonWriter& out) {
  out.key(name).begin_object().member("DataType", attribute.type);
  out.member(is_binary(attribute) ? "BinaryValue" : "StringValue", attribute.value).end_object();
}

}  // namespace weir::destination
