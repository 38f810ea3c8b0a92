// How a server ends with its clients still there, and what a client's end means to it.
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <catch2/catch.hpp>

#include "http/raw.h"
#include "http/server.h"
#include "runtime/task_scope.h"
#include "support/run_coroutine.h"

using namespace weir;
using namespace std::chrono_literals;
namespace net = boost::asio;
using http::Request;
using http::Response;
using http::ServerOptions;
using test::Raw;

namespace {

/// A server whose handler waits until it is let go.
class World {
 public:
  explicit World(ServerOptions options = {}) : held_(io_, net::steady_timer::time_point::max()) {
    auto made = http::Server::listen(
        io_.get_executor(), "127.0.0.1:0", [this](Request request) { return answer(std::move(request)); },
        std::move(options));
    REQUIRE(made.has_value());
    server = std::move(made.value());
  }

  Raw connect() { return Raw(io_.get_executor(), server->port()); }
  net::awaitable<void> until(std::function<bool()> there) {
    while (!there()) co_await net::post(io_, net::use_awaitable);
  }
  /// The server's drain(), on its way while the test goes on.
  void drain(runtime::TaskScope& scope, Duration grace) { scope.spawn(drained(*server, grace, ended)); }
  bool accepts() {
    try {
      connect();
      return true;
    } catch (const boost::system::system_error&) {
      return false;
    }
  }
  void let_go() {
    held = false;
    held_.cancel();
  }
  void run(net::awaitable<void> work) { test::run(io_, std::move(work)); }
  net::any_io_executor executor() { return io_.get_executor(); }

  std::unique_ptr<http::Server> server;
  std::vector<std::string> begun;
  std::vector<std::string> done;
  bool held = false;
  bool ended = false;

 private:
  net::awaitable<Response> answer(Request request) {
    begun.push_back(request.target);
    boost::system::error_code woken;
    if (held) co_await held_.async_wait(net::redirect_error(net::use_awaitable, woken));
    done.push_back(request.target);
    co_return Response(200, "text/plain", "ok");
  }
  static net::awaitable<void> drained(http::Server& which, Duration grace, bool& told) {
    co_await which.drain(grace);
    told = true;
  }

  net::io_context io_{1};
  net::steady_timer held_;
};

const std::string kClosing = "\r\nConnection: close\r\n\r\nok";

bool ends_with(const std::string& text, const std::string& end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

}  // namespace

TEST_CASE("draining answers what was begun, closes what is quiet and accepts nobody") {
  ServerOptions options;
  // With limits of time the first byte is waited for in another way.
  if (GENERATE(true, false)) options.idle_timeout = options.request_timeout = 60s;
  World world(options);
  const auto work = [&]() -> net::awaitable<void> {
    runtime::TaskScope scope(world.executor());
    Raw silent = world.connect();
    Raw kept = world.connect();
    co_await kept.send("GET /kept HTTP/1.1\r\n\r\n");
    const std::string answered = co_await kept.receive("ok");
    CHECK(answered.find("Connection") == std::string::npos);
    world.held = true;
    Raw busy = world.connect();
    co_await busy.send("GET /busy HTTP/1.1\r\n\r\n");
    co_await world.until([&] { return world.begun.size() == 2; });
    world.drain(scope, 60s);
    const std::string of_kept = co_await kept.receive_all();
    const std::string of_silent = co_await silent.receive_all();
    CHECK(of_kept.empty());
    CHECK(of_silent.empty());
    CHECK_THROWS_AS(world.connect(), boost::system::system_error);
    CHECK_FALSE(world.ended);
    world.let_go();
    const std::string of_busy = co_await busy.receive_all();
    CHECK(ends_with(of_busy, kClosing));
    co_await scope.join();
  };
  world.run(work());
  CHECK(world.ended);
}

TEST_CASE("draining reads a request that was begun to its end, and no further one") {
  World world;
  const auto work = [&]() -> net::awaitable<void> {
    runtime::TaskScope scope(world.executor());
    Raw half = world.connect();
    world.held = true;
    co_await half.send("POST /half HTTP/1.1\r\nContent-Length: 4\r\n\r\nab");
    Raw fast = world.connect();
    co_await fast.send("GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n");
    co_await world.until([&] { return world.begun.size() == 1; });
    world.drain(scope, 60s);
    // Nobody is accepted: it drains.
    co_await world.until([&] { return !world.accepts(); });
    world.let_go();
    const std::string of_fast = co_await fast.receive_all();
    CHECK(ends_with(of_fast, kClosing));
    CHECK(of_fast.find("HTTP/1.1 200") == of_fast.rfind("HTTP/1.1 200"));
    fast.close();
    co_await half.send("cd");
    const std::string of_half = co_await half.receive_all();
    CHECK(ends_with(of_half, kClosing));
    co_await scope.join();
  };
  world.run(work());
  CHECK(world.done == std::vector<std::string>{"/1", "/half"});
}

TEST_CASE("what takes longer than the grace is called off") {
  World world;
  const auto work = [&]() -> net::awaitable<void> {
    runtime::TaskScope scope(world.executor());
    world.held = true;
    Raw busy = world.connect();
    co_await busy.send("GET /busy HTTP/1.1\r\n\r\n");
    co_await world.until([&] { return world.begun.size() == 1; });
    world.drain(scope, 5ms);
    const std::string told = co_await busy.receive_all();
    CHECK(told.empty());
    co_await scope.join();
  };
  world.run(work());
  CHECK(world.ended);
}

TEST_CASE("a client that hangs up ends no handler, and keeps its place until that has ended") {
  ServerOptions options;
  options.connections_max = 1;
  World world(options);
  const auto work = [&]() -> net::awaitable<void> {
    world.held = true;
    Raw gone = world.connect();
    co_await gone.send("GET /gone HTTP/1.1\r\n\r\n");
    co_await world.until([&] { return world.begun.size() == 1; });
    gone.close();
    Raw refused = world.connect();
    const std::string told = co_await refused.receive_all();
    CHECK(told.find("HTTP/1.1 503 ") == 0);
    CHECK(world.done.empty());
    world.let_go();
    // Its place is free once the answer met nobody.
    std::string answered;
    while (answered.find("HTTP/1.1 200 ") != 0) {
      Raw next = world.connect();
      co_await next.send("GET /next HTTP/1.1\r\nConnection: close\r\n\r\n");
      answered = co_await next.receive_all();
    }
    co_await world.server->close();
  };
  world.run(work());
  CHECK(world.done == std::vector<std::string>{"/gone", "/next"});
}
