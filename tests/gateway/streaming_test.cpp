// InvokeWithResponseStream, as its caller sees it.
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>

#include "aws/event_stream.h"
#include "gateway/fake_functions.h"
#include "gateway/gateway.h"
#include "gateway/response_pipe.h"
#include "http/raw.h"
#include "support/fake_clock.h"
#include "support/run_coroutine.h"

using namespace weir;
using namespace std::chrono_literals;
using test::Raw;

namespace {

/// A function that streams what it is told to, and then comes to its outcome.
class StreamingFunctions final : public test::FakeFunctions {
 public:
  net::awaitable<Outcome> invoke(Invocation call) override {
    const std::shared_ptr<ResponseSink> sink = call.response_sink;
    REQUIRE(sink != nullptr);
    if (!pieces.empty()) sink->begin({"7", ""});
    for (const std::string& piece : pieces) {
      co_await sink->write(piece);
      written += piece.size();
      if (wait_for_reader) co_await reader();
    }
    done = true;
    co_return co_await FakeFunctions::invoke(std::move(call));
  }
  net::awaitable<void> reader() {
    while (!seen) co_await net::post(co_await net::this_coro::executor, net::use_awaitable);
  }

  std::vector<std::string> pieces;
  std::size_t written = 0;
  bool wait_for_reader = false;
  bool seen = false;
  bool done = false;
};

class World {
 public:
  World() {
    http::ServerOptions options = gateway::gateway_options(config::Config());
    auto made = http::Server::listen(
        io_.get_executor(), "127.0.0.1:0",
        gateway::gateway_handler({functions, keys_, {}, "127.0.0.1:4580", null_log(), clock_}), options);
    REQUIRE(made.has_value());
    server_ = std::move(*made);
  }
  Raw connect() { return Raw(io_.get_executor(), server_->port()); }
  void run(net::awaitable<void> work) { test::run(io_, then_close(std::move(work))); }

  /// Everything that a call came to.
  std::string call(const std::string& headers = "", const std::string& path = kPath) {
    std::string said;
    run(ask("POST " + path + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + headers + "Content-Length: 2\r\n\r\n{}",
            said));
    return said;
  }
  static constexpr const char* kPath = "/2021-11-15/functions/hello/response-streaming-invocations";

  StreamingFunctions functions;

 private:
  net::awaitable<void> ask(std::string request, std::string& said) {
    Raw client = connect();
    co_await client.send(std::move(request));
    said = co_await client.receive_all();
  }
  net::awaitable<void> then_close(net::awaitable<void> work) {
    co_await std::move(work);
    co_await server_->close();
  }

  net::io_context io_{1};
  std::map<std::string, std::string> keys_;
  test::FakeClock clock_;
  std::unique_ptr<http::Server> server_;
};

/// A chunked body's bytes.
std::string unchunked(std::string_view body) {
  std::string bytes;
  for (;;) {
    const std::size_t end = body.find("\r\n");
    REQUIRE(end != std::string_view::npos);
    const std::size_t size = std::stoul(std::string(body.substr(0, end)), nullptr, 16);
    if (size == 0) return bytes;
    bytes += body.substr(end + 2, size);
    body.remove_prefix(end + 2 + size + 2);
  }
}

/// "chunk one, chunk two, complete {}"
std::string events_of(const std::string& answer) {
  aws::StreamMessages messages;
  messages.add(unchunked(std::string_view(answer).substr(answer.find("\r\n\r\n") + 4)));
  std::string text;
  for (;;) {
    const auto next = messages.next();
    REQUIRE(next.has_value());
    if (!*next) return text;
    const aws::StreamMessage& message = **next;
    CHECK(message.header(":message-type") == "event");
    const bool chunk = message.header(":event-type") == "PayloadChunk";
    CHECK(message.header(":content-type") == (chunk ? "application/octet-stream" : "application/json"));
    if (!text.empty()) text += ", ";
    text += chunk ? "chunk " : message.header(":event-type") == "InvokeComplete" ? "complete " : "? ";
    text += message.payload;
  }
}

std::string line_of(const std::string& answer, const std::string& name) {
  const std::size_t at = answer.find("\r\n" + name + ": ");
  if (at == std::string::npos) return "";
  const std::size_t begin = at + name.size() + 4;
  return answer.substr(begin, answer.find("\r\n", begin) - begin);
}

net::awaitable<void> read_bit_by_bit(World& world) {
  Raw client = world.connect();
  co_await client.send("POST " + std::string(World::kPath) + " HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}");
  const std::string first = co_await client.receive("one");
  CHECK(first.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK_FALSE(world.functions.done);
  world.functions.seen = true;
  const std::string rest = co_await client.receive("\r\n0\r\n\r\n");
  CHECK(rest.find("two") != std::string::npos);
  client.close();
}

net::awaitable<void> go_away(World& world) {
  Raw client = world.connect();
  co_await client.send("POST " + std::string(World::kPath) + " HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}");
  co_await client.receive("one");
  client.close();
  world.functions.seen = true;
  while (!world.functions.done) co_await net::post(co_await net::this_coro::executor, net::use_awaitable);
}

}  // namespace

TEST_CASE("what a function streams comes as chunks, and the end with what there is to say") {
  World world;
  world.functions.pieces = {"one"};
  world.functions.wait_for_reader = false;
  Outcome outcome(Succeeded{""});
  outcome.log_tail = "END";
  world.functions.answer_next(outcome);
  const std::string answer = world.call("X-Amz-Log-Type: Tail\r\n");
  CHECK(answer.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(line_of(answer, "Content-Type") == "application/vnd.amazon.eventstream");
  CHECK(line_of(answer, "Transfer-Encoding") == "chunked");
  CHECK(line_of(answer, "X-Amz-Executed-Version") == "7");
  CHECK(line_of(answer, "Date") == "Sat, 12 Sep 2026 08:00:00 GMT");
  CHECK(line_of(answer, "x-amzn-RequestId") == world.functions.calls[0].request_id);
  CHECK(line_of(answer, "X-Amzn-Trace-Id").starts_with("root=1-"));
  CHECK(events_of(answer) == R"(chunk one, complete {"LogResult":"RU5E"})");
}

TEST_CASE("a function that does not stream answers in one chunk") {
  World world;
  world.functions.answer_next(Outcome(Succeeded{"{\"n\":1}"}));
  const std::string answer = world.call();
  CHECK(events_of(answer) == R"(chunk {"n":1}, complete {})");
  CHECK(line_of(answer, "X-Amz-Executed-Version") == "$LATEST");
}

TEST_CASE("errors of functions are told at the end of the stream") {
  World world;
  SECTION("Lambda's own, before anything was streamed") {
    world.functions.answer_next(Outcome(FunctionFailed{"Sandbox.Timedout", "{\"errorType\":\"Sandbox.Timedout\"}"}));
    CHECK(events_of(world.call()) ==
          R"(complete {"ErrorCode":"Unhandled","ErrorDetails":"{\"errorType\":\"Sandbox.Timedout\"}"})");
  }
  SECTION("the runtime's, behind what was streamed") {
    world.functions.pieces = {"half"};
    world.functions.answer_next(Outcome(FunctionFailed{"Mine.Late", "{}", true}));
    CHECK(events_of(world.call()) == R"(chunk half, complete {"ErrorCode":"Mine.Late","ErrorDetails":"{}"})");
  }
  SECTION("the service's, behind what was streamed") {
    world.functions.pieces = {"half"};
    world.functions.answer_next(Outcome(ServiceFailed{502, "cut off"}));
    CHECK(events_of(world.call()) ==
          R"(chunk half, complete {"ErrorCode":"ServiceException","ErrorDetails":"cut off"})");
  }
}

TEST_CASE("what was not admitted is refused as by Invoke") {
  World world;
  SECTION("too many at a time") {
    world.functions.answer_next(Outcome(Throttled{}));
    const std::string answer = world.call();
    CHECK(answer.starts_with("HTTP/1.1 429 "));
    CHECK(line_of(answer, "x-amzn-ErrorType") == "TooManyRequestsException");
  }
  SECTION("a function that is not there") {
    const std::string answer = world.call("", "/2021-11-15/functions/nobody/response-streaming-invocations");
    CHECK(answer.starts_with("HTTP/1.1 404 "));
  }
  SECTION("a type that there is not") {
    const std::string answer = world.call("X-Amz-Invocation-Type: Event\r\n");
    CHECK(answer.starts_with("HTTP/1.1 400 "));
    CHECK(answer.find("Member must satisfy enum value set: [RequestResponse, DryRun]") != std::string::npos);
  }
  SECTION("nothing is asked for") {
    CHECK(world.call("X-Amz-Invocation-Type: DryRun\r\n").starts_with("HTTP/1.1 204 "));
  }
}

TEST_CASE("the first bytes are there before the function ends") {
  World world;
  world.functions.pieces = {"one", "two"};
  world.functions.wait_for_reader = true;
  world.functions.answer_next(Outcome(Succeeded{""}));
  world.run(read_bit_by_bit(world));
}

TEST_CASE("a caller who goes away does not end the function, and keeps nothing of it in memory") {
  World world;
  world.functions.pieces = {"one"};
  const std::string piece(1U << 20U, 'x');
  world.functions.pieces.insert(world.functions.pieces.end(), 64, piece);
  world.functions.wait_for_reader = true;
  world.functions.answer_next(Outcome(Succeeded{""}));
  world.run(go_away(world));
  CHECK(world.functions.written == 3 + (64U << 20U));
}

namespace {

net::awaitable<void> fill(gateway::ResponsePipe& pipe, int pieces, int& written) {
  const std::string piece(100U << 10U, 'x');
  for (int i = 0; i < pieces; ++i) {
    co_await pipe.write(piece);
    ++written;
  }
  pipe.close();
}

}  // namespace

TEST_CASE("a pipe lets its writer wait when it is full") {
  net::io_context io;
  gateway::ResponsePipe pipe(io.get_executor());
  int written = 0;
  net::co_spawn(io, fill(pipe, 10, written), net::detached);
  const auto turn = [&io] {
    io.restart();
    while (io.poll() > 0) {
    }
  };
  turn();
  CHECK(written == 2);
  std::size_t read = 0;
  net::co_spawn(io, pipe.read(), [&read](std::exception_ptr, std::string bytes) { read = bytes.size(); });
  turn();
  CHECK(read == 300U << 10U);
  CHECK(written == 5);
  pipe.abandon();
  turn();
  CHECK(written == 10);
}
