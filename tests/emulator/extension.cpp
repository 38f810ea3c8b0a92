// An extension that does what its file's name asks for; for the tests of the emulator.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "(none)" : value;
}

struct Answer {
  std::string head;
  std::string body;
};

/// One request on a connection of its own.
Answer request(const std::string& line, const std::string& headers, const std::string& body) {
  const std::string address = variable("AWS_LAMBDA_RUNTIME_API");
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(std::atoi(address.substr(address.find(':') + 1).c_str())));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  Answer answer;
  if (::connect(socket, reinterpret_cast<sockaddr*>(&to), sizeof(to)) != 0) ::_exit(9);
  const std::string text =
      line + " HTTP/1.1\r\nHost: api\r\nConnection: close\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
      headers + "\r\n" + body;
  if (::send(socket, text.data(), text.size(), MSG_NOSIGNAL) < 0) ::_exit(9);
  std::string all;
  char bytes[4096];
  for (ssize_t size = 0; (size = ::recv(socket, bytes, sizeof(bytes), 0)) > 0;) {
    all.append(bytes, static_cast<std::size_t>(size));
  }
  ::close(socket);
  const std::size_t end = all.find("\r\n\r\n");
  if (end == std::string::npos) ::_exit(0);
  answer.head = all.substr(0, end);
  answer.body = all.substr(end + 4);
  return answer;
}

void say(const std::string& text) {
  std::printf("%s\n", text.c_str());
  std::fflush(stdout);
}

}  // namespace

int main(int, char** argv) {
  const std::string path = argv[0];
  const std::string name = path.substr(path.rfind('/') + 1);
  if (name == "silent") {
    for (;;) ::pause();
  }
  const bool both = name == "watcher" || name == "stubborn";
  const Answer registered =
      request("POST /2020-01-01/extension/register",
              "Lambda-Extension-Name: " + name + "\r\nLambda-Extension-Accept-Feature: accountId\r\n",
              both ? R"({"events":["INVOKE","SHUTDOWN"]})" : R"({"events":["INVOKE"]})");
  const std::string header = "Lambda-Extension-Identifier: ";
  const std::size_t at = registered.head.find(header);
  if (at == std::string::npos) {
    say(name + " refused " + registered.body);
    return 8;
  }
  const std::string identify = registered.head.substr(at, registered.head.find("\r\n", at) - at) + "\r\n";
  if (name == "watcher") {
    say(name + " registered " + registered.body + " with handler " + variable("_HANDLER") + ", mine " +
        variable("MINE") + ", root " + variable("LAMBDA_TASK_ROOT"));
  }
  if (name == "inner") {
    if (::write(std::atoi(variable("REGISTERED").c_str()), "x", 1) != 1) return 7;
  }
  if (name == "subscriber") {
    for (const char* api : {"2022-07-01/telemetry", "2020-08-15/logs"}) {
      const Answer answer = request(std::string("PUT /") + api, identify, "{}");
      say(std::string(api) + " " + answer.head.substr(0, answer.head.find('\r')) + " " + answer.body);
    }
  }
  if (name == "broken") {
    request("POST /2020-01-01/extension/init/error",
            identify + "Lambda-Extension-Function-Error-Type: Broken.Config\r\n", "{}");
    return 1;
  }
  for (;;) {
    const Answer event = request("GET /2020-01-01/extension/event/next", identify, "");
    if (name == "watcher") say(name + " got " + event.body);
    if (name == "stubborn" && event.body.find("SHUTDOWN") != std::string::npos) {
      for (;;) ::pause();
    }
    if (event.body.find("SHUTDOWN") != std::string::npos) return 0;
    if (name == "crash") return 3;
    if (name == "reports") {
      request("POST /2020-01-01/extension/exit/error", identify + "Lambda-Extension-Function-Error-Type: Mine.Exit\r\n",
              "{}");
      return 4;
    }
    // Opening a pipe waits for who writes to it.
    if (name == "slow") std::ifstream(variable("GATE")).get();
  }
}
