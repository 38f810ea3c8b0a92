#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weir::http {

/// Header fields in the order they came; names are compared without case.
class Headers {
 public:
  /// Adds a field; one of the same name stays beside it.
  void add(std::string_view name, std::string_view value);
  /// Room for so many fields, to be added later.
  void reserve(std::size_t fields) { fields_.reserve(fields); }
  /// The first value of a name, or nothing. Valid until the headers change.
  std::optional<std::string_view> get(std::string_view name) const;
  const std::vector<std::pair<std::string, std::string>>& all() const { return fields_; }
  /// All of them, for good.
  std::vector<std::pair<std::string, std::string>> release() && { return std::move(fields_); }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

class AnswerStream;
class RequestBody;

struct Request {
  Request() = default;

  std::string method;  ///< "GET"
  std::string target;  ///< path and query as they were sent: "/status?json=1"
  Headers headers;
  std::string body;             ///< empty when it was larger than the server's limit
  std::size_t body_bytes = 0;   ///< what was sent of it, also when it was too large
  bool body_too_large = false;  ///< the body was read and dropped

  // Of a server's request, while its handler runs; see http/streaming.h.
  RequestBody* streamed_body = nullptr;   ///< the body, if it is handed on as it comes (ServerOptions::streamed_by)
  AnswerStream* answer_stream = nullptr;  ///< for an answer that is sent as it comes to be, instead of returned

  /// The target up to its query.
  std::string_view path() const { return std::string_view(target).substr(0, target.find('?')); }
  /// The target behind the question mark, or "".
  std::string_view query() const;
};

struct Response {
  Response() = default;
  Response(int status_code, std::string content_type, std::string text);

  int status = 200;
  Headers headers;  ///< Content-Length and Connection are the server's business
  std::string body;
};

/// "Not Found" of 404; "" of a status nobody knows.
std::string_view reason(int status);

/// Whether two header names, or other ASCII words, are the same without case.
bool same_word(std::string_view a, std::string_view b);

}  // namespace weir::http
