// A function that does whatever its event ({"do": "...", ...}) or the variable INIT asks for; for the tests of the
// emulator.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <nlohmann/json.hpp>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "functions/runtime/runtime_client.h"

namespace {

using nlohmann::json;
using weir::functions::Answer;
using weir::functions::Context;
using weir::functions::RuntimeClient;

/// A daemon as daemons are made: forked twice, in a session of its own, deaf to every polite signal.
void fork_daemon() {
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child != 0) {
    ::waitpid(child, nullptr, 0);
    return;
  }
  ::setsid();
  if (::fork() != 0) ::_exit(0);
  ::signal(SIGTERM, SIG_IGN);
  ::signal(SIGHUP, SIG_IGN);
  ::signal(SIGINT, SIG_IGN);
  for (;;) ::pause();
}

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

int count_descriptors() {
  int count = 0;
  for (int number = 0; number < 1024; ++number) count += ::fcntl(number, F_GETFD) >= 0 ? 1 : 0;
  return count;
}

int count_environment_variables(const char* prefix) {
  int count = 0;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    count += std::strncmp(*variable, prefix, std::strlen(prefix)) == 0 ? 1 : 0;
  }
  return count;
}

std::string variable(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value == nullptr ? "(none)" : value;
}

void hang() {
  for (;;) ::pause();
}

/// Streams an answer as the steps say, on a connection of its own, and says what came back.
void stream(const json& event, const std::string& request_id, RuntimeClient& client) {
  const std::string address = variable("AWS_LAMBDA_RUNTIME_API");
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(std::atoi(address.substr(address.find(':') + 1).c_str())));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(socket, reinterpret_cast<sockaddr*>(&to), sizeof(to)) != 0) ::_exit(9);
  const auto send = [socket](const std::string& text) {
    for (std::size_t at = 0; at < text.size();) {
      const ssize_t sent = ::send(socket, text.data() + at, text.size() - at, MSG_NOSIGNAL);
      if (sent < 0) return;
      at += static_cast<std::size_t>(sent);
    }
  };
  const auto chunk = [&send](const std::string& text) {
    std::ostringstream size;
    size << std::hex << text.size();
    send(size.str() + "\r\n" + text + "\r\n");
  };
  send("POST /2018-06-01/runtime/invocation/" + request_id +
       "/response HTTP/1.1\r\nHost: api\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n"
       "Lambda-Runtime-Function-Response-Mode: streaming\r\nTrailer: Lambda-Runtime-Function-Error-Type, "
       "Lambda-Runtime-Function-Error-Body\r\n\r\n");
  std::string trailers;
  for (const json& step : event["steps"]) {
    if (step.contains("write")) chunk(step["write"]);
    if (step.contains("bytes")) chunk(std::string(step["bytes"].get<std::size_t>(), 's'));
    // Opening a pipe waits for who writes to it.
    if (step.contains("gate")) std::ifstream(variable("GATE")).get();
    if (step.contains("exit")) ::_exit(step["exit"]);
    if (step.contains("hang")) hang();
    if (step.contains("close")) {
      // What breaks off is seen before the next request, which comes on another connection.
      ::shutdown(socket, SHUT_WR);
      char rest[4096];
      while (::recv(socket, rest, sizeof(rest), 0) > 0) {
      }
      ::close(socket);
      return;
    }
    if (step.contains("error"))
      std::printf("error %d\n", client.post("invocation/" + request_id + "/error", "{}").status);
    if (step.contains("type"))
      trailers += "Lambda-Runtime-Function-Error-Type: " + step["type"].get<std::string>() + "\r\n";
    if (step.contains("body"))
      trailers += "Lambda-Runtime-Function-Error-Body: " + step["body"].get<std::string>() + "\r\n";
  }
  send("0\r\n" + trailers + "\r\n");
  std::string answer;
  char bytes[4096];
  for (ssize_t size = 0; (size = ::recv(socket, bytes, sizeof(bytes), 0)) > 0;) {
    answer.append(bytes, static_cast<std::size_t>(size));
  }
  ::close(socket);
  std::printf("streamed %s\n", answer.substr(0, answer.find('\r')).c_str());
  std::fflush(stdout);
}

/// Does what the event asks for and gives the answer.
std::string perform(const json& event, RuntimeClient& client, const Context& context, bool& answered) {
  const std::string what = event.value("do", "echo");
  const std::string base = "invocation/" + context.request_id;
  if (what == "sleep") hang();
  if (what == "exit") ::_exit(event.value("code", 0));
  if (what == "raise") {
    ::raise(event.value("signal", SIGKILL));
  }
  if (what == "crash") {
    ::signal(SIGSEGV, SIG_DFL);
    ::raise(SIGSEGV);
  }
  if (what == "daemon") fork_daemon();
  if (what == "print") {
    std::fputs(event.value("text", "").c_str(), stdout);
    std::fflush(stdout);
  }
  if (what == "long line") {
    const std::string line(event.value("bytes", 0U), 'x');
    std::fwrite(line.data(), 1, line.size(), stdout);
    std::fflush(stdout);
  }
  if (what == "env") return json(variable(event.value("name", ""))).dump();
  if (what == "count env") return std::to_string(count_environment_variables(event.value("prefix", "").c_str()));
  if (what == "descriptors") return std::to_string(count_descriptors());
  if (what == "stdin") return std::to_string(static_cast<int>(std::fgetc(stdin)));
  if (what == "cwd") {
    char path[4096];
    return json(::getcwd(path, sizeof(path)) == nullptr ? "" : path).dump();
  }
  if (what == "write") {
    std::ofstream(event.value("path", "")) << event.value("text", "");
    return json(read_file(event.value("path", ""))).dump();
  }
  if (what == "read") return json(read_file(event.value("path", ""))).dump();
  if (what == "exists") return ::access(event.value("path", "").c_str(), F_OK) == 0 ? "true" : "false";
  if (what == "big") return json(std::string(event.value("bytes", 0U), 'b')).dump();
  if (what == "raw") return event.value("text", "");
  if (what == "context") {
    return json{{"arn", context.function_arn},
                {"request_id", context.request_id},
                {"remaining_ms", context.remaining_ms()},
                {"client_context", context.client_context},
                {"trace_id", context.trace_id}}
        .dump();
  }
  if (what == "allocate") {
    const std::size_t bytes = event.value("mb", 0U) << 20U;
    std::vector<char> memory(bytes);
    for (std::size_t i = 0; i < bytes; i += 4096) memory[i] = 1;
    if (event.value("then_sleep", true)) hang();
    return std::to_string(memory[0]);
  }
  if (what == "fail") throw weir::functions::FunctionError(event.value("type", "Mine"), event.value("text", ""));
  if (what == "raw error") {
    client.post(base + "/error", event.value("text", ""), "Lambda-Runtime-Function-Error-Type: Function.Odd\r\n");
    answered = true;
  }
  if (what == "wrong id") {
    const Answer wrong = client.post("invocation/00000000-0000-0000-0000-000000000000/response", "{}");
    return json{{"status", wrong.status}, {"body", json::parse(wrong.body, nullptr, false)}}.dump();
  }
  if (what == "wrong mode") {
    const Answer wrong = client.post(base + "/response", "{}", "Lambda-Runtime-Function-Response-Mode: poem\r\n");
    return json{{"status", wrong.status}, {"body", json::parse(wrong.body, nullptr, false)}}.dump();
  }
  if (what == "next while busy") {
    Context other;
    const Answer refused = client.next(other);
    return json{{"status", refused.status}, {"body", json::parse(refused.body, nullptr, false)}}.dump();
  }
  if (what == "init error while busy") return std::to_string(client.post("init/error", "{}").status);
  if (what == "nonsense path") return std::to_string(client.get("tea/pot").status);
  if (what == "answer twice") {
    client.post(base + "/response", "\"first\"");
    const Answer second = client.post(base + "/response", "\"second\"");
    std::printf("second answer: %d %s\n", second.status, second.body.c_str());
    answered = true;
  }
  if (what == "stream") {
    stream(event, context.request_id, client);
    answered = true;
  }
  if (what == "answer and exit") {
    client.post(base + "/response", "\"bye\"");
    ::_exit(0);
  }
  if (what == "answer and hang") {
    client.post(base + "/response", "\"later\"");
    hang();
  }
  return event.dump();
}

/// What a library in the runtime does, in a process of its own; and SIGTERM is heard.
void register_internal() {
  int registered[2];
  if (::pipe(registered) != 0) ::_exit(7);
  if (::fork() == 0) {
    ::setenv("REGISTERED", std::to_string(registered[1]).c_str(), 1);
    const std::string program = variable("EXTENSION");
    ::execl(program.c_str(), "inner", nullptr);
    ::_exit(7);
  }
  ::signal(SIGTERM, [](int) {
    constexpr char kSaid[] = "told to end\n";
    static_cast<void>(!::write(STDOUT_FILENO, kSaid, sizeof(kSaid) - 1));
    ::_exit(0);
  });
  // Registering belongs to the init phase; the runtime must not be through with it before.
  char byte = 0;
  if (::read(registered[0], &byte, 1) != 1) ::_exit(7);
}

void misbehave_in_init(RuntimeClient& client) {
  const std::string what = variable("INIT");
  // How often this environment's process was started is written in its /tmp, which survives a reset.
  const std::string counter = variable("INIT_COUNTER");
  int starts = std::atoi(read_file(counter).c_str()) + 1;
  std::ofstream(counter) << starts;
  if (std::getenv("INIT_ONLY_FIRST") != nullptr && starts > 1) return;
  if (what == "hang") hang();
  if (what == "exit") ::_exit(std::atoi(variable("INIT_CODE").c_str()));
  if (what == "error") {
    client.post("init/error", R"({"errorType":"Mine.Init","errorMessage":"no luck"})",
                "Lambda-Runtime-Function-Error-Type: Mine.Init\r\n");
    hang();
  }
  if (what == "daemon") fork_daemon();
  if (what == "internal") register_internal();
  if (what == "crash") {
    ::signal(SIGSEGV, SIG_DFL);
    ::raise(SIGSEGV);
  }
}

}  // namespace

int main() {
  std::setvbuf(stdout, nullptr, _IOFBF, 1U << 16U);
  RuntimeClient client(variable("AWS_LAMBDA_RUNTIME_API"));
  misbehave_in_init(client);
  for (;;) {
    Context context;
    const Answer event = client.next(context);
    if (event.status != 200) return 0;
    const std::string base = "invocation/" + context.request_id;
    bool answered = false;
    try {
      const std::string answer = perform(json::parse(event.body), client, context, answered);
      std::fflush(stdout);
      if (!answered) {
        const Answer taken = client.post(base + "/response", answer);
        if (taken.status == 413) {
          const Answer error = client.post(base + "/error", "{}");
          std::printf("413 then %d: %s\n", error.status, taken.body.c_str());
          std::fflush(stdout);
        }
      }
    } catch (const weir::functions::FunctionError& failure) {
      const json error{{"errorType", failure.type()}, {"errorMessage", failure.what()}};
      client.post(base + "/error", error.dump());
    }
  }
}
