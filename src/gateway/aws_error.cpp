#include "gateway/aws_error.h"

#include <algorithm>
#include <array>

#include "weir/base/json_writer.h"

namespace weir::gateway {
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

http::Response error_response(const AwsError& error) {
  std::string body;
  JsonWriter out(body);
  out.begin_object();
  const bool capital = has_capital_message(error.type);
  if (capital) out.member("Message", error.message);
  if (!error.reason.empty()) out.member("Reason", error.reason);
  if (!is_front_door(error.type)) out.member("Type", error.status < 500 ? "User" : "Service");
  if (!capital) out.member("message", error.message);
  out.end_object();
  http::Response response(error.status, "application/json", std::move(body));
  response.headers.add("x-amzn-ErrorType", error.type);
  return response;
}

}  // namespace weir::gateway
