#include "http/client.h"

#include <chrono>
#include <memory>

#include <curl/curl.h>

namespace weir::http {

namespace {

struct CurlGlobal {
  CurlGlobal() { curl_global_init(CURL_GLOBAL_DEFAULT); }
};

std::size_t take_body(char* bytes, std::size_t size, std::size_t count, void* response) {
  static_cast<Response*>(response)->body.append(bytes, size * count);
  return size * count;
}

std::size_t take_header(char* bytes, std::size_t size, std::size_t count, void* response) {
  const std::string_view line(bytes, size * count);
  const std::size_t colon = line.find(':');
  if (colon != std::string_view::npos) {
    std::string_view value = line.substr(colon + 1);
    while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
    while (!value.empty() && (value.back() == '\r' || value.back() == '\n' || value.back() == ' '))
      value.remove_suffix(1);
    static_cast<Response*>(response)->headers.add(line.substr(0, colon), value);
  }
  return size * count;
}

}  // namespace

Result<Response> request(const std::string& method, const std::string& url, const std::string& body, Duration timeout,
                         const Headers& headers) {
  static const CurlGlobal global;
  const std::unique_ptr<CURL, void (*)(CURL*)> curl(curl_easy_init(), &curl_easy_cleanup);
  if (!curl) return Error(ErrorCode::kHttpFailed, "libcurl could not be started");
  std::unique_ptr<curl_slist, void (*)(curl_slist*)> lines(nullptr, &curl_slist_free_all);
  const auto add_line = [&](const std::string& line) {
    // curl_slist_append gives the list's head, or null and leaves the list as it was.
    curl_slist* head = curl_slist_append(lines.get(), line.c_str());
    if (head != nullptr && head != lines.get()) {
      static_cast<void>(lines.release());
      lines.reset(head);
    }
  };
  for (const auto& [name, value] : headers.all()) add_line(name + ": " + value);
  add_line("Expect:");

  Response response;
  char reason_text[CURL_ERROR_SIZE] = "";
  curl_easy_setopt(curl.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl.get(), CURLOPT_CUSTOMREQUEST, method.c_str());
  if (method == "HEAD") curl_easy_setopt(curl.get(), CURLOPT_NOBODY, 1L);
  if (!body.empty() || method == "POST" || method == "PUT") {
    curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDS, body.data());
    curl_easy_setopt(curl.get(), CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
  }
  curl_easy_setopt(curl.get(), CURLOPT_HTTPHEADER, lines.get());
  curl_easy_setopt(curl.get(), CURLOPT_PROXY, "");
  curl_easy_setopt(curl.get(), CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl.get(), CURLOPT_TIMEOUT_MS,
                   static_cast<long>(std::chrono::ceil<std::chrono::milliseconds>(timeout).count()));
  curl_easy_setopt(curl.get(), CURLOPT_ERRORBUFFER, reason_text);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEFUNCTION, &take_body);
  curl_easy_setopt(curl.get(), CURLOPT_WRITEDATA, &response);
  curl_easy_setopt(curl.get(), CURLOPT_HEADERFUNCTION, &take_header);
  curl_easy_setopt(curl.get(), CURLOPT_HEADERDATA, &response);
  const CURLcode code = curl_easy_perform(curl.get());
  if (code != CURLE_OK) {
    const std::string why = reason_text[0] != '\0' ? reason_text : curl_easy_strerror(code);
    return Error(ErrorCode::kHttpFailed, why).during("asking " + url);
  }
  long status = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
  response.status = static_cast<int>(status);
  return response;
}

}  // namespace weir::http
