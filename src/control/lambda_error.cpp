#include "control/lambda_error.h"

#include <algorithm>
#include <array>

#include "weir/base/json_writer.h"

namespace weir::control {
namespace {

/// Their models say `Message`; all others say `message`. Source: botocore's lambda model; the last two are recorded.
bool has_capital_message(std::string_view type) {
  constexpr std::array kPrefixes{"EC2", "ENI", "EFS", "KMS", "SnapStart", "CodeSigning"};
  constexpr std::array kTypes{"ResourceNotFoundException",
                              "ServiceException",
                              "InvalidSubnetIDException",
                              "InvalidSecurityGroupIDException",
                              "InvalidRuntimeException",
                              "InvalidZipFileException",
                              "RecursiveInvocationException",
                              "NoPublishedVersionException",
                              "ServiceQuotaExceededException",
                              "ResourceInUseException",
                              "SubnetIPAddressLimitReachedException",
                              "AccessDeniedException",
                              "RequestEntityTooLargeException"};
  return std::find(kTypes.begin(), kTypes.end(), type) != kTypes.end() ||
         std::any_of(kPrefixes.begin(), kPrefixes.end(), [&](const char* prefix) { return type.starts_with(prefix); });
}

/// What answers before a request reaches Lambda itself says nothing of whose fault it is.
bool is_front_door(std::string_view type) {
  constexpr std::array kTypes{
      "ValidationException",         "RequestEntityTooLargeException", "AccessDeniedException",
      "UnknownOperationException",   "NotImplementedException",        "MissingAuthenticationTokenException",
      "BadRequestException",         "RequestTimeoutException",        "RequestHeaderFieldsTooLargeException",
      "UnrecognizedClientException", "InvalidSignatureException",      "IncompleteSignatureException"};
  return std::find(kTypes.begin(), kTypes.end(), type) != kTypes.end();
}

}  // namespace

std::string error_body(const LambdaError& error) {
  std::string body;
  JsonWriter out(body);
  out.begin_object();
  const bool capital = has_capital_message(error.type);
  if (capital) out.member("Message", error.message);
  if (!error.reason.empty()) out.member("Reason", error.reason);
  if (!is_front_door(error.type)) out.member("Type", error.status < 500 ? "User" : "Service");
  if (!capital) out.member("message", error.message);
  out.end_object();
  return body;
}

void Validation::mistake(std::string_view value, std::string_view where, std::string_view constraint) {
  add("'" + std::string(value) + "'", where, constraint);
}

void Validation::missing(std::string_view where) {
  add("null", where, "Member must not be null");
}

void Validation::add(const std::string& value, std::string_view where, std::string_view constraint) {
  ++count_;
  if (!list_.empty()) list_ += "; ";
  list_.append("Value ").append(value).append(" at '").append(where);
  list_.append("' failed to satisfy constraint: ").append(constraint);
}

std::string Validation::sentence() const {
  return std::to_string(count_) + (count_ == 1 ? " validation error" : " validation errors") + " detected: " + list_;
}

std::optional<LambdaError> Validation::error() const {
  if (count_ == 0) return std::nullopt;
  return LambdaError(400, "ValidationException", sentence());
}

}  // namespace weir::control
