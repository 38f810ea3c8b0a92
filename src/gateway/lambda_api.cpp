#include "gateway/lambda_api.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "weir/base/bytes.h"
#include "weir/base/json_check.h"
#include "weir/base/random.h"

#include "bridge/invoker.h"
#include "gateway/aws_error.h"
#include "gateway/function_name.h"
#include "gateway/trace_header.h"
#include "http/sigv4.h"
#include "http/uri.h"

namespace weir::gateway {
namespace {

using http::Request;
using http::Response;

/// InvokeAsync, which AWS has given up on, kept the limit of its day.
constexpr std::size_t kMaxInvokeAsyncBytes = 262'144;
constexpr std::size_t kMaxClientContextBytes = 3'583;
constexpr std::size_t kMaxNamespacedName = 256;
constexpr std::size_t kMaxName = 64;
constexpr std::size_t kMaxQualifier = 128;

constexpr std::string_view kServed =
    "weir takes events here:\n"
    "  POST /2015-03-31/functions/NAME/invocations   Lambda's Invoke API, for every AWS SDK and the aws command\n"
    "  POST /2014-11-13/functions/NAME/invoke-async  the same, asynchronously, as old clients ask for it\n"
    "  POST /TYPE/SOURCE                             the webhook of a source, for example /s3/uploads\n"
    "Its metrics and status are at its admin address.\n";

constexpr std::string_view kTooLarge = "Request must be smaller than 6291456 bytes for the InvokeFunction operation";

enum class Kind { kRequestResponse, kEvent, kDryRun };

/// "Mon, 23 Nov 2026 08:02:26 GMT"
std::string http_date(WallTime time) {
  using namespace std::chrono;
  constexpr std::array kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::array kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto since = floor<seconds>(time.time_since_epoch());
  const sys_days day{floor<days>(since)};
  const year_month_day date{day};
  const hh_mm_ss clock(since - day.time_since_epoch());
  std::array<char, 64> text{};
  const int length =
      std::snprintf(text.data(), text.size(), "%s, %02u %s %04d %02d:%02d:%02d GMT", kDays[weekday{day}.c_encoding()],
                    static_cast<unsigned>(date.day()), kMonths[static_cast<unsigned>(date.month()) - 1],
                    static_cast<int>(date.year()), static_cast<int>(clock.hours().count()),
                    static_cast<int>(clock.minutes().count()), static_cast<int>(clock.seconds().count()));
  return {text.data(), static_cast<std::size_t>(length)};
}

/// The path's pieces, as they were sent; a slash at the end makes no further one (old SDKs send it).
std::vector<std::string_view> segments(std::string_view path) {
  std::vector<std::string_view> out;
  if (path.starts_with('/')) path.remove_prefix(1);
  if (path.ends_with('/')) path.remove_suffix(1);
  while (!path.empty()) {
    const std::size_t end = path.find('/');
    out.push_back(path.substr(0, end));
    path.remove_prefix(end == std::string_view::npos ? path.size() : end + 1);
    if (end != std::string_view::npos && path.empty()) out.emplace_back();
  }
  return out;
}

/// A segment's meaning; one with a percent sign out of place stays as it is, and no name has a percent sign.
std::string meaning(std::string_view segment) {
  return http::percent_decode(segment).value_or(std::string(segment));
}

/// "2015-03-31", with which every path of Lambda's API begins.
bool is_api_version(std::string_view text) {
  if (text.size() != 10 || text[4] != '-' || text[7] != '-') return false;
  return std::all_of(text.begin(), text.end(), [](char c) { return c == '-' || (c >= '0' && c <= '9'); });
}

/// What Lambda's API has under its versions; a path beyond them is no operation anywhere.
bool is_api_resource(std::string_view text) {
  constexpr std::array kResources{"functions",
                                  "event-source-mappings",
                                  "layers",
                                  "account-settings",
                                  "tags",
                                  "code-signing-configs",
                                  "capacity-providers",
                                  "durable-executions",
                                  "durable-execution-callbacks"};
  return std::find(kResources.begin(), kResources.end(), text) != kResources.end();
}

/// Whether a page in somebody's browser made the request: browsers say so, in one way or the other, whenever it could
/// change something; SDKs, brokers and commands never do.
bool from_web_page(const Request& request) {
  if (request.headers.get("Origin")) return true;
  const auto site = request.headers.get("Sec-Fetch-Site");
  return site && *site != "none";
}

/// The mistakes that the API's model finds, all of them in one ValidationException.
class Validation {
 public:
  void mistake(std::string_view value, std::string_view where, std::string_view constraint) {
    ++count_;
    if (!list_.empty()) list_ += "; ";
    list_.append("Value '").append(value).append("' at '").append(where);
    list_.append("' failed to satisfy constraint: ").append(constraint);
  }
  std::string sentence() const {
    return std::to_string(count_) + (count_ == 1 ? " validation error" : " validation errors") + " detected: " + list_;
  }
  std::optional<AwsError> error() const {
    if (count_ == 0) return std::nullopt;
    return AwsError(400, "ValidationException", sentence());
  }

 private:
  int count_ = 0;
  std::string list_;
};

/// A call of the Invoke API, understood as far as its address and headers go.
struct Call {
  Kind kind = Kind::kRequestResponse;
  std::string function;
  std::string qualifier;
  bool log_tail = false;
};

struct Understood {
  Call call;
  std::optional<AwsError> error;
};

std::string_view header(const Request& request, std::string_view name) {
  return request.headers.get(name).value_or("");
}

std::string qualified_arn(const std::string& function, const std::string& qualifier) {
  return bridge::function_arn(function) + ":" + (qualifier.empty() ? "$LATEST" : qualifier);
}

/// Why nothing may be invoked under this name from here, if so.
std::optional<AwsError> out_of_reach(const FunctionName& name, std::string_view text) {
  if (!name.region.empty() && name.region != kRegion) {
    return AwsError(
        404, "ResourceNotFoundException",
        "Functions from '" + name.region + "' are not reachable in this region ('" + std::string(kRegion) + "')");
  }
  if (!name.account.empty() && name.account != kAccount) {
    const std::string arn = text.starts_with("arn:") ? std::string(text)
                                                     : "arn:aws:lambda:" + std::string(kRegion) + ":" + name.account +
                                                           ":function:" + name.name;
    return AwsError(403, "AccessDeniedException",
                    "User: arn:aws:iam::" + std::string(kAccount) +
                        ":root is not authorized to perform: lambda:InvokeFunction on resource: " + arn +
                        " because no resource-based policy allows the lambda:InvokeFunction action");
  }
  return std::nullopt;
}

/// `asynchronous`: the operation is InvokeAsync, which has neither types nor a qualifier.
Understood understand(const Request& request, std::string_view name_segment, bool asynchronous) {
  Understood out;
  Validation validation;
  const std::string text = meaning(name_segment);
  const std::optional<FunctionName> name = parse_function_name(text);
  if (!name) {
    validation.mistake(text, "functionName",
                       "Member must satisfy regular expression pattern: " + std::string(kFunctionNamePattern));
  } else if (text.size() > kMaxNamespacedName) {
    validation.mistake(text, "functionName", "Member must have length less than or equal to 256");
  }
  std::string qualifier;
  if (asynchronous) {
    out.call.kind = Kind::kEvent;
  } else {
    if (const auto fields = http::parse_query(request.query(), http::Plus::kSpace)) {
      const auto found = std::find_if(fields->begin(), fields->end(), [](auto& f) { return f.first == "Qualifier"; });
      if (found != fields->end()) qualifier = found->second;
    } else {
      qualifier = request.query();  // an escape that is none: no qualifier has a percent sign
    }
    if (qualifier.size() > kMaxQualifier) {
      validation.mistake(qualifier, "qualifier", "Member must have length less than or equal to 128");
    } else if (!qualifier.empty() && !is_qualifier(qualifier)) {
      validation.mistake(qualifier, "qualifier", "Member must satisfy regular expression pattern: [a-zA-Z0-9$_-]+");
    }
    const std::string_view type = header(request, "X-Amz-Invocation-Type");
    if (type == "Event") {
      out.call.kind = Kind::kEvent;
    } else if (type == "DryRun") {
      out.call.kind = Kind::kDryRun;
    } else if (!type.empty() && type != "RequestResponse") {
      validation.mistake(type, "invocationType",
                         "Member must satisfy enum value set: [Event, RequestResponse, DryRun]");
    }
    const std::string_view log = header(request, "X-Amz-Log-Type");
    out.call.log_tail = log == "Tail";
    if (!log.empty() && log != "Tail" && log != "None")
      validation.mistake(log, "logType", "Member must satisfy enum value set: [None, Tail]");
  }
  out.error = validation.error();
  if (out.error) return out;
  if (name->name.size() > kMaxName) {
    Validation length;
    length.mistake(name->name, "functionName", "Member must have length less than or equal to 64");
    out.error = AwsError(400, "InvalidParameterValueException", length.sentence());
  } else if (auto unreachable = out_of_reach(*name, text)) {
    out.error = std::move(unreachable);
  } else if (!qualifier.empty() && !name->qualifier.empty() && qualifier != name->qualifier) {
    out.error = AwsError(400, "InvalidParameterValueException",
                         "The derived qualifier from the function name does not match the specified qualifier.");
  }
  out.call.function = name->name;
  out.call.qualifier = qualifier.empty() ? name->qualifier : qualifier;
  return out;
}

std::optional<AwsError> too_large(const Request& request, Kind kind, bool asynchronous) {
  const std::size_t size = request.body_too_large ? request.body_bytes : request.body.size();
  if (kind != Kind::kEvent) {
    if (!request.body_too_large && size <= kMaxRequestBytes) return std::nullopt;
    return AwsError(413, "RequestEntityTooLargeException", std::string(kTooLarge));
  }
  const std::size_t limit = asynchronous ? kMaxInvokeAsyncBytes : kMaxAsyncRequestBytes;
  if (!request.body_too_large && size <= limit) return std::nullopt;
  return AwsError(413, "RequestEntityTooLargeException",
                  std::to_string(size) + " byte payload is too large for the Event invocation type (limit " +
                      std::to_string(limit) + " bytes)");
}

AwsError unreadable(std::string message) {
  return {400, "InvalidRequestContentException", std::move(message)};
}

/// The JSON of an X-Amz-Client-Context; nothing when it is none.
std::optional<std::string> client_context(std::string_view encoded) {
  std::string padded(encoded);
  while (padded.size() % 4 != 0) padded += '=';
  auto json = decode_base64(padded);
  if (!json || !is_json(*json) || !std::string_view(*json).substr(json->find_first_not_of(" \t\r\n")).starts_with('{'))
    return std::nullopt;
  return json;
}

AwsError refused_event(const Error& error) {
  if (error.code() == ErrorCode::kEventRefused) return unreadable(error.message());
  // Where the store is and what it is made of is not the caller's business: the log says it.
  return {500, "ServiceException",
          error.code() == ErrorCode::kCancelled
              ? "The event was not accepted, because weir is starting or stopping."
              : "The event was not accepted (" + std::string(weir::text(error.code())) + ")."};
}

class Gateway {
 public:
  explicit Gateway(GatewayDeps deps) : deps_(deps), random_(seed_from_system()) {}

  net::awaitable<Response> answer(Request request) {
    const std::string request_id = random_.uuid();
    Response response;
    try {
      response = co_await route(std::move(request), request_id);
    } catch (const boost::system::system_error& failure) {
      if (failure.code() == net::error::operation_aborted) throw;
      response = failed(failure);
    } catch (const std::exception& failure) {
      response = failed(failure);
    }
    response.headers.add("Date", http_date(deps_.clock.now().wall));
    if (!response.headers.get("x-amzn-RequestId")) response.headers.add("x-amzn-RequestId", request_id);
    co_return response;
  }

 private:
  Response failed(const std::exception& failure) {
    deps_.log.error("gateway.failed", {{"message", failure.what()}});
    return error_response({500, "ServiceException", "The request could not be processed."});
  }

  Response refuse(const AwsError& error, const std::string& request_id) {
    deps_.log.debug("request.refused", {{"request_id", request_id}, {"status", error.status}, {"type", error.type}});
    return error_response(error);
  }

  net::awaitable<Response> route(Request request, const std::string& request_id) {
    const bool reads = request.method == "GET" || request.method == "HEAD";
    const std::string path(request.path());
    const auto parts = segments(path);
    if (parts.empty() && reads) co_return Response(200, "text/plain; charset=utf-8", std::string(kServed));
    const bool api = parts.size() != 2 || is_api_version(parts[0]);
    if (from_web_page(request) && (!api || deps_.access_keys.empty())) {
      co_return refuse({403, "AccessDeniedException", "This address takes no requests from web pages."}, request_id);
    }
    if (!api) co_return co_await webhook(std::move(request), meaning(parts[0]), meaning(parts[1]), request_id);
    // The signature is over the body, which was dropped.
    if (!request.body_too_large) {
      if (const auto refusal = unsigned_call(request)) co_return refuse(*refusal, request_id);
    }
    const std::string_view operation = parts.size() == 4 && parts[1] == "functions" ? parts[3] : std::string_view();
    const bool invoke = operation == "invocations" && parts[0] == "2015-03-31";
    const bool asynchronous = operation == "invoke-async" && parts[0] == "2014-11-13";
    if (!invoke && !asynchronous) co_return refuse(no_such_operation(request, parts), request_id);
    if (request.method != "POST") {
      Response response = refuse({405, "UnknownOperationException", "This operation takes POST."}, request_id);
      response.headers.add("Allow", "POST");
      co_return response;
    }
    Understood understood = understand(request, parts[2], asynchronous);
    const Call& call = understood.call;
    if (const auto refusal = too_large(request, call.kind, asynchronous)) co_return refuse(*refusal, request_id);
    if (understood.error) co_return refuse(*understood.error, request_id);
    co_return co_await perform(call, std::move(request), request_id);
  }

  std::optional<AwsError> unsigned_call(const Request& request) const {
    if (deps_.access_keys.empty()) return std::nullopt;
    const http::SecretLookup secrets = [this](std::string_view id) -> std::optional<std::string> {
      const auto found = deps_.access_keys.find(std::string(id));
      if (found == deps_.access_keys.end()) return std::nullopt;
      return found->second;
    };
    const auto refusal = http::verify_signature(request, secrets, deps_.clock.now().wall);
    if (!refusal) return std::nullopt;
    return AwsError(403, refusal->type, refusal->message);
  }

  static AwsError no_such_operation(const Request& request, const std::vector<std::string_view>& parts) {
    if (parts.size() < 2 || !is_api_version(parts[0]) || !is_api_resource(parts[1])) {
      return {404, "UnknownOperationException", "There is no such operation here."};
    }
    if (parts.size() == 4 && parts[3] == "response-streaming-invocations") {
      return {400, "ModeNotSupportedException",
              "Response streaming is not supported here; use Invoke with RequestResponse."};
    }
    const std::string path(request.path().substr(0, 256));
    return {501, "NotImplementedException",
            "weir does not serve " + request.method + " " + path +
                ": its functions are defined in its configuration. It serves Invoke and InvokeAsync."};
  }

  net::awaitable<Response> webhook(Request request, std::string type, std::string source,
                                   const std::string& request_id) {
    if (request.body_too_large) {
      co_return refuse({413, "RequestEntityTooLargeException", "The request is larger than 6291456 bytes."},
                       request_id);
    }
    WebhookRequest asked;
    asked.method = std::move(request.method);
    asked.headers = request.headers.all();
    asked.body = std::move(request.body);
    deps_.log.debug("webhook.received", {{"source", source}, {"request_id", request_id}, {"bytes", asked.body.size()}});
    WebhookResponse said = co_await deps_.functions.webhook(std::move(type), std::move(source), std::move(asked));
    co_return Response(said.status, std::move(said.content_type), std::move(said.body));
  }

  net::awaitable<Response> perform(const Call& call, Request request, const std::string& request_id) {
    if (!deps_.functions.knows(call.function, call.qualifier)) {
      co_return refuse(
          {404, "ResourceNotFoundException", "Function not found: " + qualified_arn(call.function, call.qualifier)},
          request_id);
    }
    // An empty body is legal; the handler sees {}.
    if (request.body.empty()) request.body = "{}";
    if (!is_json(request.body)) {
      co_return refuse(unreadable("Could not parse request body into json: Could not parse payload into json: " +
                                  json_complaint(request.body)),
                       request_id);
    }
    if (call.kind == Kind::kDryRun) {
      Response response;
      response.status = 204;
      co_return response;
    }
    const TraceHeader trace = join_trace(header(request, "X-Amzn-Trace-Id"), deps_.clock.now().wall, random_);
    if (call.kind == Kind::kEvent) co_return co_await accept(call, std::move(request), trace, request_id);

    Invocation invocation;
    if (const std::string_view encoded = header(request, "X-Amz-Client-Context"); !encoded.empty()) {
      if (encoded.size() > kMaxClientContextBytes)
        co_return refuse(unreadable("Client context must be at most 3583 bytes of Base64."), request_id);
      auto context = client_context(encoded);
      if (!context)
        co_return refuse(unreadable("Client context must be a valid Base64-encoded JSON object."), request_id);
      invocation.client_context = std::move(*context);
    }
    invocation.function = call.function;
    invocation.qualifier = call.qualifier;
    invocation.request_id = request_id;
    invocation.payload = std::move(request.body);
    invocation.trace_header = trace.passed_on;
    invocation.log_tail = call.log_tail;
    Outcome outcome = co_await deps_.functions.invoke(std::move(invocation));
    deps_.log.debug("invocation.answered",
                    {{"function", call.function}, {"request_id", request_id}, {"outcome", kind(outcome)}});
    co_return tell(std::move(outcome), call, trace, request_id);
  }

  net::awaitable<Response> accept(const Call& call, Request request, const TraceHeader& trace,
                                  const std::string& request_id) {
    bridge::NewEvent event;
    event.function = call.function;
    event.qualifier = call.qualifier;
    event.request_id = request_id;
    event.trace_header = trace.passed_on;
    event.payload = std::move(request.body);
    const Result<std::string> accepted = co_await deps_.functions.accept(std::move(event));
    if (!accepted) co_return refuse(refused_event(accepted.error()), request_id);
    Response response;
    response.status = 202;
    response.headers.add("x-amzn-RequestId", *accepted);
    response.headers.add("x-amzn-Remapped-Content-Length", "0");
    response.headers.add("X-Amzn-Trace-Id", trace.answered);
    co_return response;
  }

  Response tell(Outcome outcome, const Call& call, const TraceHeader& trace, const std::string& request_id) {
    if (const auto* throttled = std::get_if<Throttled>(&outcome.what)) {
      AwsError error(
          429, "TooManyRequestsException",
          throttled->reason == ThrottleReason::kCallerRateLimitExceeded ? "Rate exceeded" : "Rate Exceeded.");
      error.reason = weir::text(throttled->reason);
      return refuse(error, request_id);
    }
    if (const auto* service = std::get_if<ServiceFailed>(&outcome.what)) {
      AwsError error(service->status, service->type, service->message);
      // An endpoint that got no answer has no status to pass on.
      if (error.status < 400 || error.status > 599) error.status = 500;
      if (error.status == 404 && error.type == "ServiceException") {
        error.type = "ResourceNotFoundException";
        if (error.message.empty())
          error.message = "Function not found: " + qualified_arn(call.function, call.qualifier);
      }
      return refuse(error, request_id);
    }
    if (std::holds_alternative<Cancelled>(outcome.what)) {
      return refuse({500, "ServiceException",
                     "weir is stopping and called the invocation off; it is not known whether the function ran."},
                    request_id);
    }
    auto* failed = std::get_if<FunctionFailed>(&outcome.what);
    Response response(
        200, "application/json",
        failed != nullptr ? std::move(failed->payload) : std::move(std::get<Succeeded>(outcome.what).payload));
    response.headers.add("x-amzn-RequestId", outcome.request_id.empty() ? request_id : outcome.request_id);
    response.headers.add("x-amzn-Remapped-Content-Length", "0");
    response.headers.add("X-Amz-Executed-Version", outcome.executed_version);
    if (failed != nullptr) response.headers.add("X-Amz-Function-Error", "Unhandled");
    if (call.log_tail) {
      std::string tail;
      append_base64(tail, outcome.log_tail);
      response.headers.add("X-Amz-Log-Result", tail);
    }
    response.headers.add("X-Amzn-Trace-Id", trace.answered);
    return response;
  }

  GatewayDeps deps_;
  Random random_;
};

}  // namespace

http::Handler gateway_handler(GatewayDeps deps) {
  // Shared by the copies of the handler; the server's outlives every call.
  return [gateway = std::make_shared<Gateway>(deps)](Request request) { return gateway->answer(std::move(request)); };
}

http::ServerOptions gateway_options(const config::Config& config) {
  http::ServerOptions options;
  options.body_max_bytes = kMaxRequestBytes;
  // Lambda takes 1 MB in all; Beast throws at a field of 64 KB, so a request with one must not get that far.
  options.header_max_bytes = 64U << 10U;
  options.idle_timeout = std::chrono::seconds(75);
  options.request_timeout = std::chrono::seconds(120);
  options.write_timeout = std::chrono::seconds(120);
  // Each synchronous invocation holds one while it runs; a caller over the account's limit is told so (429) rather than
  // cut off.
  options.connections_max = static_cast<std::size_t>(config.concurrency) + 1024;
  options.refusal = [random = Random(seed_from_system())](int status, std::string_view sentence) mutable {
    AwsError error(status, "ServiceException", std::string(sentence));
    if (status == 400) error.type = "BadRequestException";
    if (status == 408) error.type = "RequestTimeoutException";
    if (status == 431) error.type = "RequestHeaderFieldsTooLargeException";
    if (status == 413) {
      error.type = "RequestEntityTooLargeException";
      error.message = kTooLarge;
    }
    Response response = error_response(error);
    response.headers.add("x-amzn-RequestId", random.uuid());
    return response;
  };
  return options;
}

}  // namespace weir::gateway
