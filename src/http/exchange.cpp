#include "http/exchange.h"

#include <algorithm>
#include <array>

#include "http/uri.h"

namespace weir::http {

namespace {

/// Of what a token is made (RFC 9110, 5.6.2).
constexpr std::array<bool, 256> kTokenBytes = [] {
  std::array<bool, 256> allowed{};
  for (std::size_t c = '!'; c < 0x7f; ++c) allowed[c] = true;
  for (const char c : std::string_view("()<>@,;:\\\"/[]?={}")) allowed[static_cast<unsigned char>(c)] = false;
  return allowed;
}();

bool is_token(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return kTokenBytes[static_cast<unsigned char>(c)]; });
}

bool ends_its_line(char c) {
  return c == '\r' || c == '\n' || c == '\0';
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
    if (!is_token(name) || std::any_of(value.begin(), value.end(), ends_its_line))
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
