#include "http/exchange.h"

#include <algorithm>

#include "http/uri.h"

namespace weir::http {

namespace {

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return c > ' ' && c < '\x7f' && std::string_view("()<>@,;:\\\"/[]?={}").find(c) == std::string_view::npos;
  });
}

}  // namespace

Error exchange_failure(const ClientRequest& request, ErrorCode code, std::string why) {
  return Error(code, std::move(why)).during("asking " + without_secrets(request.url));
}

Error called_off(const ClientRequest& request) {
  return exchange_failure(request, ErrorCode::kCancelled, "the request was called off");
}

Result<void> check(const ClientRequest& request) {
  if (!is_token(request.method))
    return exchange_failure(request, ErrorCode::kHttpFailed, "the method is no word of HTTP");
  for (const auto& [name, value] : request.headers.all()) {
    if (!is_token(name) || value.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos)
      return exchange_failure(request, ErrorCode::kHttpFailed, "a header to be sent is none that HTTP knows");
  }
  return {};
}

bool has_body(const ClientRequest& request) {
  const std::string& method = request.method;
  return method != "HEAD" && (!request.body.empty() || method == "POST" || method == "PUT" || method == "PATCH");
}

bool is_idempotent(std::string_view method) {
  return method == "GET" || method == "HEAD" || method == "OPTIONS" || method == "PUT" || method == "DELETE";
}

std::string too_large(int status, std::size_t max_bytes) {
  return "the answer, of status " + std::to_string(status) + ", is larger than " + std::to_string(max_bytes) + " bytes";
}

std::string headers_too_large() {
  return "the answer's headers are larger than " + std::to_string(kHeadersMaxBytes) + " bytes";
}

}  // namespace weir::http
