#include "gateway/gateway.h"

#include <optional>
#include <utility>
#include <vector>

#include <boost/system/system_error.hpp>

#include "weir/base/random.h"

#include "gateway/aws_error.h"
#include "gateway/http_date.h"
#include "gateway/lambda_api.h"
#include "gateway/paths.h"
#include "gateway/service_calls.h"
#include "gateway/trace_header.h"
#include "http/sigv4.h"
#include "service/answers.h"

namespace weir::gateway {
namespace {

using http::Request;
using http::Response;

constexpr std::string_view kTooLarge = "Request must be smaller than 6291456 bytes for the InvokeFunction operation";

/// What CreateFunction and UpdateFunctionCode take: a zip of 50 MB in base64, and more.
constexpr std::size_t kMaxUploadBytes = 70'167'211;

constexpr const char* kBodyTooLarge = "The request is larger than 6291456 bytes.";

constexpr std::string_view kServed =
    "weir takes events here:\n"
    "  POST /2015-03-31/functions/NAME/invocations   Lambda's Invoke API, for every AWS SDK and the aws command\n"
    "  POST /2021-11-15/functions/NAME/response-streaming-invocations  the same, answered bit by bit\n"
    "  POST /2014-11-13/functions/NAME/invoke-async  the same, asynchronously, as old clients ask for it\n"
    "  /2015-03-31/functions and others              Lambda's API for functions, versions, aliases and their settings\n"
    "  POST / and others                             the APIs of the AWS services that weir stands in for\n"
    "  POST /TYPE/SOURCE                             the webhook of a source, for example /s3/uploads\n"
    "Its metrics and status are at its admin address.\n";

/// Whether a page in somebody's browser made the request: browsers say so, in one way or the other, whenever it could
/// change something; SDKs, brokers and commands never do.
bool from_web_page(const Request& request) {
  if (request.headers.get("Origin")) return true;
  const auto site = request.headers.get("Sec-Fetch-Site");
  return site && *site != "none";
}

class Gateway {
 public:
  explicit Gateway(GatewayDeps deps) : deps_(std::move(deps)), random_(seed_from_system()), lambda_(deps_, random_) {}

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
    response.headers.add("Date", date());
    if (!response.headers.get("x-amzn-RequestId")) response.headers.add("x-amzn-RequestId", request_id);
    co_return response;
  }

 private:
  /// The Date of an answer, made once a second.
  const std::string& date() {
    const auto now = std::chrono::floor<std::chrono::seconds>(deps_.clock.now().wall);
    if (now != date_of_) {
      date_of_ = now;
      date_ = http_date(now);
    }
    return date_;
  }

  Response failed(const std::exception& failure) {
    deps_.log.error("gateway.failed", {{"message", failure.what()}});
    return error_response({500, "ServiceException", "The request could not be processed."});
  }

  Response refuse(const AwsError& error, const std::string& request_id) {
    deps_.log.debug("request.refused", {{"request_id", request_id}, {"status", error.status}, {"type", error.type}});
    return error_response(error);
  }

  net::awaitable<Response> route(Request request, const std::string& request_id) {
    const std::optional<ServiceRoute> service = find_service(request, deps_.services);
    const bool reads = request.method == "GET" || request.method == "HEAD";
    std::string path;
    std::vector<std::string_view> parts;
    if (!service) {
      path = request.path();
      parts = path_segments(path);
      if (parts.empty() && reads) co_return Response(200, "text/plain; charset=utf-8", std::string(kServed));
    }
    const bool api = service || parts.size() != 2 || is_api_version(parts[0]);
    if (from_web_page(request) && (!api || deps_.access_keys.empty())) {
      co_return refuse({403, "AccessDeniedException", "This address takes no requests from web pages."}, request_id);
    }
    if (const auto refusal = exposed(request, service)) co_return refuse(*refusal, request_id);
    if (!api) {
      co_return co_await webhook(std::move(request), segment_meaning(parts[0]), segment_meaning(parts[1]), request_id);
    }
    // The signature is over the body, which was dropped.
    if (!request.body_too_large && !(service && goes_unsigned(*service))) {
      if (const auto refusal = unsigned_call(request)) co_return refuse(*refusal, request_id);
    }
    if (service) co_return co_await call(*service, std::move(request), request_id);
    // A form says in its body whose it is, and that was dropped.
    if (request.body_too_large && parts.empty()) {
      co_return answered(service::form_error({413, "RequestEntityTooLarge", kBodyTooLarge}, "", request_id));
    }
    co_return co_await lambda_.answer(std::move(request), request_id);
  }

  /// What nobody has signed is answered only where no page in somebody's browser can ask for it, and changes functions,
  /// which are programs, only where it came from this machine.
  std::optional<AwsError> exposed(const Request& request, const std::optional<ServiceRoute>& service) const {
    if (!deps_.access_keys.empty()) return std::nullopt;
    const bool reads = request.method == "GET" || request.method == "HEAD";
    const std::string_view host = request.headers.get("Host").value_or("");
    // Of a name that was rebound to this address a page may read, and its browser says nothing of that.
    if (reads && !is_address_or_localhost(host) && !is_local_name(host)) {
      return AwsError{
          403, "AccessDeniedException",
          "Without access_keys this address is asked as an address, localhost or a name of the local network."};
    }
    const bool of_lambda = service && service->service != nullptr && service->service->name == "lambda";
    if (of_lambda && !reads && !is_loopback(deps_.address)) {
      return AwsError{
          403, "AccessDeniedException",
          "Whoever reaches this address could run programs here: functions are changed through an address that "
          "is not loopback's with access_keys only."};
    }
    return std::nullopt;
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

  net::awaitable<Response> call(const ServiceRoute& route, Request request, const std::string& request_id) {
    if (route.service == nullptr) {
      const service::ApiError unknown(400, "UnknownOperationException",
                                      "weir does not stand in for the service of this call.");
      co_return answered(request.headers.get("X-Amz-Target") ? service::json_error(unknown)
                                                             : service::form_error(unknown, "", request_id));
    }
    if (request.body_too_large) {
      std::string sentence = kBodyTooLarge;
      if (brings_code(request.method, request.path())) {
        sentence = "Request must be smaller than " + std::to_string(kMaxUploadBytes) + " bytes for the " +
                   (request.method == "POST" ? "CreateFunction" : "UpdateFunctionCode") + " operation";
      }
      co_return refuse({413, "RequestEntityTooLargeException", std::move(sentence)}, request_id);
    }
    const TraceHeader trace =
        join_trace(request.headers.get("X-Amzn-Trace-Id").value_or(""), deps_.clock.now().wall, random_);
    ServiceCall asked = service_call(std::move(request), route, request_id, trace.passed_on, deps_.address);
    ServiceAnswer said = co_await deps_.functions.call(*route.service, std::move(asked));
    deps_.log.debug("service.called", {{"service", route.service->name},
                                       {"operation", route.operation},
                                       {"request_id", request_id},
                                       {"status", said.status}});
    co_return answered(std::move(said));
  }

  static Response answered(ServiceAnswer said) {
    Response response;
    if (said.status == 204) {
      response.status = said.status;  // which has no body, and so no type
    } else {
      response = Response(said.status, std::move(said.content_type), std::move(said.body));
    }
    for (const auto& [name, value] : said.headers) response.headers.add(name, value);
    return response;
  }

  net::awaitable<Response> webhook(Request request, std::string type, std::string source,
                                   const std::string& request_id) {
    if (request.body_too_large) {
      co_return refuse({413, "RequestEntityTooLargeException", kBodyTooLarge}, request_id);
    }
    WebhookRequest asked;
    asked.method = std::move(request.method);
    asked.headers = request.headers.all();
    asked.body = std::move(request.body);
    deps_.log.debug("webhook.received", {{"source", source}, {"request_id", request_id}, {"bytes", asked.body.size()}});
    WebhookResponse said = co_await deps_.functions.webhook(std::move(type), std::move(source), std::move(asked));
    co_return Response(said.status, std::move(said.content_type), std::move(said.body));
  }

  GatewayDeps deps_;
  Random random_;
  LambdaApi lambda_;
  std::optional<WallTime> date_of_;
  std::string date_;
};

}  // namespace

http::Handler gateway_handler(GatewayDeps deps) {
  // Shared by the copies of the handler; the server's outlives every call.
  return [gateway = std::make_shared<Gateway>(std::move(deps))](Request request) {
    return gateway->answer(std::move(request));
  };
}

http::ServerOptions gateway_options(const config::Config& config) {
  http::ServerOptions options;
  options.body_max_bytes = kMaxRequestBytes;
  options.upload_max_bytes = kMaxUploadBytes;
  options.is_upload = brings_code;
  // Lambda takes 1 MB in all, which no client sends.
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
