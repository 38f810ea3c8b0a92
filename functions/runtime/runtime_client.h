#pragma once

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace weir::functions {

/// What a function is given with an event.
struct Context {
  std::string request_id;
  std::string function_arn;
  std::string trace_id;
  std::string client_context;    ///< JSON, or ""
  std::int64_t deadline_ms = 0;  ///< when the time is over, in Unix milliseconds

  /// Milliseconds until the deadline; negative when it is past.
  std::int64_t remaining_ms() const;
};

/// Thrown by a handler to fail with an error type of its own; any other std::exception fails as "Runtime.HandlerError".
class FunctionError : public std::runtime_error {
 public:
  FunctionError(std::string type, const std::string& message) : std::runtime_error(message), type_(std::move(type)) {}
  const std::string& type() const { return type_; }

 private:
  std::string type_;
};

/// One event in (JSON), one answer out (JSON).
using Handler = std::function<std::string(const std::string& event, const Context& context)>;

/// An answer of the Runtime API.
struct Answer {
  int status = 0;       ///< 0: no answer, the connection is gone
  std::string headers;  ///< the lines as they came
  std::string body;

  /// The value of a header, or ""; the name is compared without case.
  std::string header(std::string_view name) const;
};

/// A connection to the Runtime API (2018-06-01). Uses POSIX sockets and nothing else.
class RuntimeClient {
 public:
  /// `address`: HOST:PORT, as AWS_LAMBDA_RUNTIME_API says it; HOST is an IPv4 address.
  explicit RuntimeClient(std::string address);
  ~RuntimeClient();
  RuntimeClient(const RuntimeClient&) = delete;
  RuntimeClient& operator=(const RuntimeClient&) = delete;

  /// `path` behind "/2018-06-01/runtime/". Waits as long as it takes. `headers`: whole lines, each with its CRLF.
  Answer get(const std::string& path);
  Answer post(const std::string& path, const std::string& body, const std::string& headers = {});

  /// The next event. Status is not 200 when the runtime is to end.
  Answer next(Context& context);

 private:
  Answer exchange(const std::string& head, const std::string& body);
  bool connect();
  void disconnect();

  std::string address_;
  int socket_ = -1;
};

/// Serves events until the Runtime API is gone. Returns the exit code for main(): 0 then, 1 when there never was one.
int run(const Handler& handler);

/// `text` as a JSON string, with its quotes.
std::string json_string(std::string_view text);

}  // namespace weir::functions
