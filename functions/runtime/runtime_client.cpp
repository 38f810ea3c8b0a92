#include "functions/runtime/runtime_client.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

namespace weir::functions {

namespace {

constexpr const char* kRoot = "/2018-06-01/runtime/";

std::string error_body(const std::string& type, const std::string& message) {
  return "{\"errorMessage\":" + json_string(message) + ",\"errorType\":" + json_string(type) + ",\"stackTrace\":[]}";
}

bool send_all(int socket, const std::string& head, const std::string& body) {
  std::size_t sent = 0;
  while (sent < head.size() + body.size()) {
    iovec pieces[2];
    int count = 0;
    // writev does not write; it takes both at once, so that a request is one packet.
    if (sent < head.size()) pieces[count++] = {const_cast<char*>(head.data() + sent), head.size() - sent};
    const std::size_t of_body = sent > head.size() ? sent - head.size() : 0;
    if (of_body < body.size()) pieces[count++] = {const_cast<char*>(body.data() + of_body), body.size() - of_body};
    msghdr message{};
    message.msg_iov = pieces;
    message.msg_iovlen = static_cast<std::size_t>(count);
    const ssize_t written = ::sendmsg(socket, &message, MSG_NOSIGNAL);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    sent += static_cast<std::size_t>(written);
  }
  return true;
}

}  // namespace

std::int64_t Context::remaining_ms() const {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return deadline_ms - std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

std::string Answer::header(std::string_view name) const {
  for (std::size_t at = 0; at < headers.size();) {
    const std::size_t end = std::min(headers.find("\r\n", at), headers.size());
    if (end - at > name.size() && headers[at + name.size()] == ':' &&
        ::strncasecmp(headers.data() + at, name.data(), name.size()) == 0) {
      std::size_t value = at + name.size() + 1;
      while (value < end && headers[value] == ' ') ++value;
      return headers.substr(value, end - value);
    }
    at = end + 2;
  }
  return {};
}

RuntimeClient::RuntimeClient(std::string address) : address_(std::move(address)) {}

RuntimeClient::~RuntimeClient() {
  disconnect();
}

void RuntimeClient::disconnect() {
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
}

bool RuntimeClient::connect() {
  if (socket_ >= 0) return true;
  const std::size_t colon = address_.rfind(':');
  if (colon == std::string::npos) return false;
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(static_cast<std::uint16_t>(std::atoi(address_.c_str() + colon + 1)));
  if (::inet_pton(AF_INET, address_.substr(0, colon).c_str(), &where.sin_addr) != 1) return false;
  socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (socket_ < 0) return false;
  const int on = 1;
  ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  if (::connect(socket_, reinterpret_cast<const sockaddr*>(&where), sizeof(where)) == 0) return true;
  disconnect();
  return false;
}

Answer RuntimeClient::exchange(const std::string& head, const std::string& body) {
  if (!connect() || !send_all(socket_, head, body)) {
    disconnect();
    return {};
  }
  std::string received;
  std::size_t headers_end = std::string::npos;
  std::size_t length = 0;
  Answer answer;
  char bytes[65536];
  for (;;) {
    if (headers_end == std::string::npos) {
      headers_end = received.find("\r\n\r\n");
      if (headers_end != std::string::npos) {
        const std::size_t line_end = received.find("\r\n");
        answer.status = std::atoi(received.c_str() + received.find(' ') + 1);
        answer.headers = received.substr(line_end + 2, headers_end + 2 - (line_end + 2));
        length = std::strtoull(answer.header("Content-Length").c_str(), nullptr, 10);
      }
    }
    if (headers_end != std::string::npos && received.size() >= headers_end + 4 + length) break;
    const ssize_t size = ::recv(socket_, bytes, sizeof(bytes), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) {
      disconnect();
      return {};
    }
    received.append(bytes, static_cast<std::size_t>(size));
  }
  answer.body = received.substr(headers_end + 4, length);
  if (::strcasecmp(answer.header("Connection").c_str(), "close") == 0) disconnect();
  return answer;
}

Answer RuntimeClient::get(const std::string& path) {
  return exchange("GET " + (kRoot + path) + " HTTP/1.1\r\nHost: " + address_ + "\r\n\r\n", {});
}

Answer RuntimeClient::post(const std::string& path, const std::string& body, const std::string& headers) {
  return exchange("POST " + (kRoot + path) + " HTTP/1.1\r\nHost: " + address_ +
                      "\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
                      headers + "\r\n",
                  body);
}

Answer RuntimeClient::next(Context& context) {
  Answer answer = get("invocation/next");
  context.request_id = answer.header("Lambda-Runtime-Aws-Request-Id");
  context.function_arn = answer.header("Lambda-Runtime-Invoked-Function-Arn");
  context.trace_id = answer.header("Lambda-Runtime-Trace-Id");
  context.client_context = answer.header("Lambda-Runtime-Client-Context");
  context.deadline_ms = std::strtoll(answer.header("Lambda-Runtime-Deadline-Ms").c_str(), nullptr, 10);
  return answer;
}

int run(const Handler& handler) {
  const char* address = std::getenv("AWS_LAMBDA_RUNTIME_API");
  if (address == nullptr) {
    std::fprintf(stderr, "AWS_LAMBDA_RUNTIME_API is not set: this program is a Lambda function\n");
    return 1;
  }
  RuntimeClient client(address);
  // What is printed is one line per write for the log, and out before the answer is.
  std::setvbuf(stdout, nullptr, _IOLBF, 1U << 16U);
  for (;;) {
    Context context;
    const Answer event = client.next(context);
    if (event.status != 200) return 0;
    ::setenv("_X_AMZN_TRACE_ID", context.trace_id.c_str(), 1);
    const std::string base = "invocation/" + context.request_id;
    std::string type;
    std::string message;
    std::string answer;
    try {
      answer = handler(event.body, context);
    } catch (const FunctionError& failure) {
      type = failure.type();
      message = failure.what();
    } catch (const std::exception& failure) {
      type = "Runtime.HandlerError";
      message = failure.what();
    }
    std::fflush(stdout);
    const Answer taken = type.empty() ? client.post(base + "/response", answer)
                                      : client.post(base + "/error", error_body(type, message),
                                                    "Lambda-Runtime-Function-Error-Type: " + type + "\r\n");
    if (taken.status == 0) return 0;
  }
}

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20) {
      char escaped[8];
      std::snprintf(escaped, sizeof(escaped), "\\u%04x", byte);
      out += escaped;
    } else {
      out += c;
    }
  }
  return out + "\"";
}

}  // namespace weir::functions
