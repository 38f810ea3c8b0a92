#include "gateway/service_calls.h"

#include <algorithm>
#include <array>
#include <vector>

#include "gateway/paths.h"
#include "http/uri.h"

namespace weir::gateway {
namespace {

constexpr std::string_view kForm = "application/x-www-form-urlencoded";

template <typename Fits>
const ServiceEntry* find(std::span<const ServiceEntry> services, Fits fits) {
  const auto found = std::find_if(services.begin(), services.end(), fits);
  return found == services.end() ? nullptr : &*found;
}

std::string value_of(const http::QueryFields& fields, std::string_view name) {
  const auto found = std::find_if(fields.begin(), fields.end(), [&](const auto& field) { return field.first == name; });
  return found == fields.end() ? std::string() : found->second;
}

/// The service in a credential: "AKID/20261123/us-east-1/sns/aws4_request".
std::string_view scope_of(std::string_view credential) {
  for (int piece = 0; piece < 3; ++piece) {
    const std::size_t slash = credential.find('/');
    if (slash == std::string_view::npos) return {};
    credential.remove_prefix(slash + 1);
  }
  return credential.substr(0, credential.find('/'));
}

std::string_view signed_service(const http::Request& request) {
  constexpr std::string_view kCredential = "Credential=";
  const std::string_view authorization = request.headers.get("Authorization").value_or("");
  const std::size_t at = authorization.find(kCredential);
  if (at == std::string_view::npos) return {};
  const std::string_view credential = authorization.substr(at + kCredential.size());
  return scope_of(credential.substr(0, credential.find(',')));
}

/// Whether a path is one of Lambda's management API: the gateway itself answers Invoke and its like.
bool is_management(const std::vector<std::string_view>& parts) {
  constexpr std::array kInvokes{"invocations", "invoke-async", "response-streaming-invocations"};
  if (parts.size() < 2 || !is_api_version(parts[0]) || !is_api_resource(parts[1])) return false;
  return parts.size() != 4 || std::find(kInvokes.begin(), kInvokes.end(), parts[3]) == kInvokes.end();
}

}  // namespace

bool brings_code(std::string_view method, std::string_view path) {
  const auto parts = path_segments(path);
  if (parts.size() < 2 || !is_api_version(parts[0]) || parts[1] != "functions") return false;
  return (method == "POST" && parts.size() == 2) || (method == "PUT" && parts.size() == 4 && parts[3] == "code");
}

std::optional<ServiceRoute> find_service(const http::Request& request, std::span<const ServiceEntry> services) {
  if (const auto target = request.headers.get("X-Amz-Target")) {
    const std::size_t dot = target->find('.');
    ServiceRoute route;
    route.service = find(services, [&](const ServiceEntry& each) {
      return !each.target_prefix.empty() && each.target_prefix == target->substr(0, dot);
    });
    if (dot != std::string_view::npos) route.operation = target->substr(dot + 1);
    return route;
  }
  const std::string_view path = request.path();
  for (const ServiceEntry& each : services) {
    if (std::any_of(each.paths.begin(), each.paths.end(),
                    [&](std::string_view own) { return path.starts_with(own); })) {
      return ServiceRoute{&each, ""};
    }
  }
  const ServiceEntry* const lambda = find(services, [](const ServiceEntry& each) { return each.name == "lambda"; });
  if (const auto parts = path_segments(path); lambda != nullptr && is_management(parts)) {
    return ServiceRoute{lambda, parts[1] == "lambda-code" ? "GetCode" : ""};
  }
  if (path != "/") return std::nullopt;
  const bool form = request.method == "POST" && request.headers.get("Content-Type").value_or("").starts_with(kForm);
  const auto fields = http::parse_query(form ? std::string_view(request.body) : request.query(), http::Plus::kSpace);
  if (!fields) return std::nullopt;
  ServiceRoute route;
  route.operation = value_of(*fields, "Action");
  if (route.operation.empty()) return std::nullopt;
  const std::string version = value_of(*fields, "Version");
  const std::string_view scope = signed_service(request);
  route.service = find(services, [&](const ServiceEntry& each) {
    if (each.form_version.empty()) return false;
    return version.empty() ? each.name == scope : each.form_version == version;
  });
  return route;
}

bool goes_unsigned(const ServiceRoute& route) {
  if (route.service == nullptr) return false;
  const auto open = route.service->unsigned_operations;
  return std::find(open.begin(), open.end(), route.operation) != open.end();
}

ServiceCall service_call(http::Request request, const ServiceRoute& route, const std::string& request_id,
                         std::string trace_header, const std::string& address) {
  ServiceCall call;
  call.method = std::move(request.method);
  call.operation = route.operation;
  call.path = request.path();
  call.query = request.query();
  call.body = std::move(request.body);
  call.request_id = request_id;
  call.trace_header = std::move(trace_header);
  call.address = "http://" + std::string(request.headers.get("Host").value_or(address));
  call.headers = std::move(request.headers).release();
  return call;
}

}  // namespace weir::gateway
