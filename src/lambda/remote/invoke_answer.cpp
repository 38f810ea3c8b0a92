#include "lambda/remote/invoke_answer.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

#include "weir/base/bytes.h"
#include "weir/base/json_writer.h"

#include "http/uri.h"

namespace weir::remote {
namespace {

using nlohmann::json;

/// A server's sentence is kept to a length that a log line bears.
constexpr std::size_t kMessageMax = 1000;

constexpr std::string_view kTimedOut = "Sandbox.Timedout";

std::string_view trimmed(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

std::string_view header(const http::Response& response, std::string_view name) {
  return response.headers.get(name).value_or(std::string_view());
}

/// The body as a JSON object; discarded when it is none. Large successes are never parsed: callers look first.
json object_in(std::string_view body) {
  if (!trimmed(body).starts_with('{')) return json(json::value_t::discarded);
  json parsed = json::parse(body, nullptr, false);
  if (!parsed.is_object()) return json(json::value_t::discarded);
  return parsed;
}

/// A member that is a text; "" when it is none.
std::string text_of(const json& object, const char* key) {
  if (!object.is_object()) return "";
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

std::string shortened(std::string text) {
  if (text.size() <= kMessageMax) return text;
  std::size_t end = kMessageMax;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  text.resize(end);
  return text + " ...";
}

FunctionFailed failed(std::string_view type, std::string_view message) {
  FunctionFailed result;
  result.error_type = type;
  JsonWriter(result.payload).begin_object().member("errorType", type).member("errorMessage", message).end_object();
  return result;
}

/// "Task timed out after 3.00 seconds", which RIE sends as plain text.
bool is_timeout_text(std::string_view body) {
  constexpr std::string_view kBegin = "Task timed out after ";
  constexpr std::string_view kEnd = " seconds";
  if (!body.starts_with(kBegin) || !body.ends_with(kEnd) || body.size() <= kBegin.size() + kEnd.size()) return false;
  body.remove_prefix(kBegin.size());
  body.remove_suffix(kEnd.size());
  return std::all_of(body.begin(), body.end(), [](char c) { return (c >= '0' && c <= '9') || c == '.'; });
}

FunctionFailed function_error(std::string payload, std::string_view fallback_type) {
  FunctionFailed result;
  const json document = object_in(payload);
  result.error_type = text_of(document, "errorType");
  if (result.error_type.empty()) {
    // Lambda's own form before 2025 had no type.
    const bool late = text_of(document, "errorMessage").find("Task timed out after ") != std::string::npos;
    result.error_type = late ? kTimedOut : fallback_type;
  }
  result.payload = std::move(payload);
  return result;
}

ServiceFailed service_failed(int status, std::string message, std::string type = "ServiceException") {
  ServiceFailed result;
  result.status = status;
  result.message = std::move(message);
  result.type = std::move(type);
  return result;
}

/// What the answer's own words call an exception: "ResourceNotFoundException:http://internal/..." and
/// "com.amazonaws#ResourceNotFoundException" are both of that name.
std::string exception_name(std::string_view word) {
  word = word.substr(word.find('#') == std::string_view::npos ? 0 : word.find('#') + 1);
  return std::string(trimmed(word.substr(0, word.find_first_of(":,"))));
}

/// Whether somebody who speaks the Invoke API answered: a proxy's or a web server's page has none of these.
bool has_api_header(const http::Response& response) {
  constexpr std::array<std::string_view, 5> kNames{"x-amzn-RequestId", "X-Amz-Executed-Version", "X-Amz-Function-Error",
                                                   "X-Amz-Log-Result", "x-amzn-ErrorType"};
  return std::any_of(kNames.begin(), kNames.end(),
                     [&](std::string_view name) { return response.headers.get(name).has_value(); });
}

bool looks_like_a_page(const http::Response& response) {
  const std::string_view body = trimmed(response.body);
  if (body.starts_with('<')) return true;
  return header(response, "Content-Type").starts_with("text/html") && !json::accept(body);
}

Outcome::What not_the_api(const http::Response& response, const AnswerContext& context) {
  const std::string_view type = header(response, "Content-Type");
  std::string what = trimmed(response.body).empty() ? "an empty body"
                     : looks_like_a_page(response)  ? "a web page"
                     : type.empty()                 ? "a body of no type"
                                                    : "a body of type " + std::string(type);
  return service_failed(502, context.url + " answered status " + std::to_string(response.status) + " with " +
                                 std::move(what) +
                                 ", which is no answer of Lambda's Invoke API; is it the address of such a server?");
}

Outcome::What success(http::Response response, const AnswerContext& context) {
  if (response.body.size() > kMaxResponseBytes) return response_too_large();
  const std::string_view function_error_header = header(response, "X-Amz-Function-Error");
  if (!function_error_header.empty()) {
    const std::string fallback(function_error_header);
    return function_error(std::move(response.body), fallback);
  }
  // RIE tells nothing in headers. A server that sends a request id tells errors there too, so that a function may
  // return whatever it likes.
  if (context.dialect == Dialect::kCompatible && !response.headers.get("x-amzn-RequestId")) {
    if (is_timeout_text(trimmed(response.body))) {
      return failed(kTimedOut, "RequestId: " + context.request_id + " Error: " + std::string(trimmed(response.body)));
    }
    if (!has_api_header(response) && looks_like_a_page(response)) return not_the_api(response, context);
    if (response.body.find("\"errorType\"") != std::string::npos &&
        response.body.find("\"errorMessage\"") != std::string::npos) {
      const json document = object_in(response.body);
      if (document.is_object() && document.contains("errorType") && document.contains("errorMessage"))
        return function_error(std::move(response.body), "Unhandled");
    }
  }
  Succeeded done;
  done.payload = std::move(response.body);
  return done;
}

Outcome::What refusal(http::Response response, const AnswerContext& context) {
  const json document = object_in(response.body);
  const std::string error_type(header(response, "x-amzn-ErrorType"));
  if (response.status == 429) {
    Throttled throttled;
    throttled.reason =
        throttle_reason(text_of(document, "Reason")).value_or(ThrottleReason::kConcurrentInvocationLimitExceeded);
    return throttled;
  }
  if (context.dialect == Dialect::kCompatible && error_type.empty()) {
    // RIE takes one call at a time and says no more than this to another.
    if (response.status == 400 && trimmed(response.body).empty()) return Throttled{};
    // RIE: the runtime died, or could not be started.
    if (response.status == 502 && !text_of(document, "errorType").empty())
      return function_error(std::move(response.body), "Unhandled");
  }
  std::string message = text_of(document, "Message");
  if (message.empty()) message = text_of(document, "message");
  std::string type = exception_name(error_type);
  if (type.empty()) type = exception_name(text_of(document, "__type"));
  if (type.empty() && message.empty()) return not_the_api(response, context);
  if (type.empty()) type = "ServiceException";
  if (message.empty()) message = context.url + " answered status " + std::to_string(response.status) + ", " + type;
  return service_failed(response.status, shortened(std::move(message)), std::move(type));
}

Outcome::What meaning(http::Response response, const AnswerContext& context) {
  if (response.status == 200) return success(std::move(response), context);
  if (response.status >= 300 && response.status < 400) {
    const std::string_view location = header(response, "Location");
    return service_failed(502,
                          context.url + " answered status " + std::to_string(response.status) +
                              (location.empty() ? std::string(" (a redirect that names no address)")
                                                : " and redirects to " + shortened(http::without_secrets(location))) +
                              "; redirects are not followed, give the address where the function is");
  }
  if (response.status >= 400) return refusal(std::move(response), context);
  return not_the_api(response, context);
}

}  // namespace

FunctionFailed response_too_large() {
  return failed("Function.ResponseSizeTooLarge", "Response payload size exceeded maximum allowed payload size (" +
                                                     std::to_string(kMaxResponseBytes) + " bytes).");
}

Outcome read_invoke_answer(http::Response response, const AnswerContext& context) {
  Outcome outcome;
  if (const auto version = response.headers.get("X-Amz-Executed-Version"); version && !version->empty())
    outcome.executed_version = *version;
  outcome.request_id = header(response, "x-amzn-RequestId");
  // A tail that cannot be decoded is left out: it is no reason to doubt the answer.
  if (const auto tail = response.headers.get("X-Amz-Log-Result"))
    outcome.log_tail = decode_base64(*tail).value_or(std::string());
  outcome.what = meaning(std::move(response), context);
  return outcome;
}

}  // namespace weir::remote
