// The http endpoint against servers that answer, refuse, hang, break off and lead elsewhere.
#include "lambda/remote/http_endpoint.h"

#include <chrono>

#include <catch2/catch.hpp>

#include "remote/outcome_line.h"
#include "remote/world.h"
#include "runtime/task_scope.h"
#include "support/print.h"
#include "support/run_coroutine.h"

using namespace weir;
using namespace weir::remote;
using namespace std::chrono_literals;
using test::FakeServer;
using test::line;
using test::RawServer;
namespace net = boost::asio;

namespace {

Invocation call(std::string payload = "{}") {
  Invocation invocation;
  invocation.function = "hello";
  invocation.request_id = "6f1c-id";
  invocation.payload = std::move(payload);
  return invocation;
}

http::Response echo(const http::Request& request) {
  return {200, "application/json", request.body};
}

/// An endpoint, its clock and its log, on a context of its own.
struct World {
  std::unique_ptr<LambdaEndpoint> endpoint(std::vector<std::string> urls, int requests_per_url = 1,
                                           Duration timeout = 20s) {
    HttpEndpointSettings settings;
    settings.name = "hello";
    settings.urls = std::move(urls);
    settings.function_name = "function";
    settings.requests_per_url = requests_per_url;
    settings.timeout = timeout;
    return std::move(make_http_endpoint(context.get_executor(), std::move(settings), log, clock).value());
  }

  static net::awaitable<void> keep(LambdaEndpoint& endpoint, Invocation invocation, Instant deadline, Outcome& outcome,
                                   std::vector<std::string>* order) {
    outcome = co_await endpoint.invoke(std::move(invocation), deadline);
    if (order != nullptr) order->push_back(line(outcome));
  }

  /// Invokes once.
  Outcome invoke(LambdaEndpoint& endpoint, Invocation invocation, Instant deadline = Instant::max()) {
    Outcome outcome;
    test::run(context, keep(endpoint, std::move(invocation), deadline, outcome, nullptr));
    return outcome;
  }

  net::io_context context{1};
  test::LoggedLines log;
  SystemClock clock;
};

/// Runs `work`, then closes the servers, so that the context runs out of work.
template <typename... Servers>
void with_servers(World& world, net::awaitable<void> work, Servers&... servers) {
  auto all = [](net::awaitable<void> what, Servers&... each) -> net::awaitable<void> {
    co_await std::move(what);
    (co_await each.close(), ...);
  };
  test::run(world.context, all(std::move(work), servers...));
}

net::awaitable<void> invoke_once(LambdaEndpoint& endpoint, Invocation invocation, Instant deadline, Outcome& outcome) {
  outcome = co_await endpoint.invoke(std::move(invocation), deadline);
  co_await endpoint.close();
}

net::awaitable<void> invoke_raw(LambdaEndpoint& endpoint, Outcome& outcome, RawServer& server) {
  outcome = co_await endpoint.invoke(call(), Instant::max());
  co_await endpoint.close();
  server.close();
}

Outcome ask(World& world, LambdaEndpoint& endpoint, FakeServer& server, Invocation invocation,
            Instant deadline = Instant::max()) {
  Outcome outcome;
  with_servers(world, invoke_once(endpoint, std::move(invocation), deadline, outcome), server);
  return outcome;
}

}  // namespace

TEST_CASE("a call is Lambda's Invoke, and its answer the outcome") {
  World world;
  FakeServer server(world.context, [](const http::Request& request) {
    http::Response response = echo(request);
    response.headers.add("X-Amz-Executed-Version", "3");
    response.headers.add("x-amzn-RequestId", "theirs");
    return response;
  });
  const auto endpoint = world.endpoint({server.url() + "/base/"});
  Invocation invocation = call(R"({"n":1})");
  invocation.qualifier = "live";
  invocation.log_tail = true;
  invocation.client_context = "{}";
  const Outcome outcome = ask(world, *endpoint, server, std::move(invocation));
  CHECK(line(outcome) == R"(success {"n":1})");
  CHECK(outcome.executed_version == "3");
  CHECK(outcome.request_id == "theirs");
  CHECK(outcome.duration.has_value());
  REQUIRE(server.requests.size() == 1);
  const http::Request& request = server.requests.front();
  CHECK(request.method == "POST");
  CHECK(request.target == "/base/2015-03-31/functions/function/invocations?Qualifier=live");
  CHECK(request.headers.get("X-Amz-Invocation-Type") == "RequestResponse");
  CHECK(request.headers.get("X-Amz-Log-Type") == "Tail");
  CHECK(request.headers.get("X-Amz-Client-Context") == "e30=");
  CHECK(request.headers.get("Content-Type") == "application/json");
  CHECK(request.headers.get("X-Amzn-RequestId") == "6f1c-id");
}

TEST_CASE("an answer at the limit is taken, one over it is Lambda's error") {
  World world;
  const std::size_t size = kMaxResponseBytes + GENERATE(as<std::size_t>{}, 0U, 1U);
  std::string bytes = "HTTP/1.1 200 OK\r\nContent-Length: ";
  bytes.append(std::to_string(size)).append("\r\n\r\n").append(size, '1');
  RawServer server(world.context, std::move(bytes));
  const auto endpoint = world.endpoint({server.url()});
  Outcome outcome;
  test::run(world.context, invoke_raw(*endpoint, outcome, server));
  if (size == kMaxResponseBytes) {
    REQUIRE(std::holds_alternative<Succeeded>(outcome.what));
    CHECK(std::get<Succeeded>(outcome.what).payload.size() == size);
  } else {
    CHECK(line(outcome).starts_with("function_error Function.ResponseSizeTooLarge"));
  }
}

TEST_CASE("an over-long answer is the function's only with status 200") {
  World world;
  const std::string status = GENERATE("500 Internal Server Error", "404 Not Found", "201 Created");
  std::string bytes = "HTTP/1.1 " + status + "\r\nContent-Length: ";
  bytes.append(std::to_string(kMaxResponseBytes + 1)).append("\r\n\r\n").append(kMaxResponseBytes + 1, '1');
  RawServer server(world.context, std::move(bytes));
  const auto endpoint = world.endpoint({server.url()});
  Outcome outcome;
  test::run(world.context, invoke_raw(*endpoint, outcome, server));
  CHECK(line(outcome).starts_with("service_error 502 ServiceException " + server.url() +
                                  " answered more than a failure of Lambda's has to say (the answer, of status " +
                                  status.substr(0, 3) + ", is larger than 6291556 bytes)"));
}

TEST_CASE("each way of giving no answer has a sentence of its own, which names the URL") {
  World world;
  struct Row {
    std::string_view sentence, bytes, status, words;
  };
  const auto row = GENERATE(values<Row>({
      {"hanging", "", "504", " took the call and did not answer within 0.2 s"},
      {"an answer that is cut off", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", "502",
       " closed the connection before its answer was whole ("},
      {"headers that are cut off", "HTTP/1.1 200 OK\r\nContent-Le", "502",
       " closed the connection before its answer was whole ("},
      {"another protocol", "SSH-2.0-OpenSSH_9.2\r\n", "502", " does not speak HTTP ("},
      {"a web page", "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<html></html>", "502",
       " answered status 200 with a web page, which is no answer of Lambda's Invoke API"},
      {"a redirect", "HTTP/1.1 302 Found\r\nLocation: https://elsewhere/\r\nContent-Length: 0\r\n\r\n", "502",
       " answered status 302 and redirects to https://elsewhere/; redirects are not followed"},
  }));
  DYNAMIC_SECTION(row.sentence) {
    RawServer server(world.context, std::string(row.bytes));
    const auto endpoint = world.endpoint({server.url()}, 1, row.bytes.empty() ? Duration(200ms) : Duration(20s));
    Outcome outcome;
    test::run(world.context, invoke_raw(*endpoint, outcome, server));
    INFO(line(outcome));
    CHECK(line(outcome).starts_with("service_error " + std::string(row.status) + " ServiceException " + server.url() +
                                    std::string(row.words)));
  }
}

TEST_CASE("a server that is down is told without its password, and logged once") {
  World world;
  const std::string address = test::closed_address(world.context);
  const auto endpoint = world.endpoint({"http://me:hush@" + address});
  for (int i = 0; i < 3; ++i)
    CHECK(line(world.invoke(*endpoint, call()))
              .starts_with("service_error 503 ServiceException http://" + address + " cannot be reached ("));
  CHECK(world.log.count("warn endpoint.unreachable function=hello url=http://" + address) == 1);
  CHECK(world.log.count("hush") == 0);
  SECTION("and when it comes back, once") {
    FakeServer server(world.context, address, echo);
    CHECK(line(ask(world, *endpoint, server, call())) == "success {}");
    CHECK(world.log.count("info endpoint.recovered function=hello url=http://" + address) == 1);
  }
}

TEST_CASE("with several URLs, a call that could not be handed over goes to another") {
  World world;
  FakeServer server(world.context, echo);
  const std::string down = "http://" + test::closed_address(world.context);
  const auto endpoint = world.endpoint({down, server.url(), down});
  std::vector<std::string> outcomes;
  auto work = [](LambdaEndpoint& asked, std::vector<std::string>& told) -> net::awaitable<void> {
    for (int i = 0; i < 5; ++i) told.push_back(line(co_await asked.invoke(call(), Instant::max())));
    co_await asked.close();
  };
  with_servers(world, work(*endpoint, outcomes), server);
  CHECK(outcomes == std::vector<std::string>(5, "success {}"));
  CHECK(world.log.count("endpoint.unreachable") <= 2);
}

TEST_CASE("a server that took the call is not passed by: the function may have run") {
  World world;
  FakeServer other(world.context, echo);
  RawServer broken(world.context, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc");
  const auto endpoint = world.endpoint({broken.url(), other.url()});
  Outcome outcome;
  with_servers(world, invoke_raw(*endpoint, outcome, broken), other);
  CHECK(line(outcome).starts_with("service_error 502"));
  CHECK(other.requests.empty());
}

TEST_CASE("a call whose kept connection ends when the server has it is sent once, and says so") {
  World world;
  net::ip::tcp::acceptor acceptor(world.context, net::ip::tcp::endpoint(net::ip::address_v4::loopback(), 0));
  const std::string url = "http://127.0.0.1:" + std::to_string(acceptor.local_endpoint().port());
  const auto endpoint = world.endpoint({url});
  int taken = 0;
  // Answers the first call; takes the second, on the same connection, and closes.
  auto serve = [](net::ip::tcp::acceptor& listening, int& calls) -> net::awaitable<void> {
    while (calls < 3) {
      boost::system::error_code error;
      net::ip::tcp::socket socket(listening.get_executor());
      co_await listening.async_accept(socket, net::redirect_error(net::use_awaitable, error));
      if (error) co_return;
      for (const std::string answer : {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", ""}) {
        char request[4096];
        co_await socket.async_read_some(net::buffer(request), net::redirect_error(net::use_awaitable, error));
        if (error) break;
        ++calls;
        co_await net::async_write(socket, net::buffer(answer), net::redirect_error(net::use_awaitable, error));
        if (calls == 3) co_return;
      }
    }
  };
  std::vector<std::string> told;
  auto work = [](LambdaEndpoint& asked, std::vector<std::string>& lines) -> net::awaitable<void> {
    for (int i = 0; i < 3; ++i) lines.push_back(line(co_await asked.invoke(call(), Instant::max())));
    co_await asked.close();
  };
  net::co_spawn(world.context, serve(acceptor, taken), net::detached);
  test::run(world.context, work(*endpoint, told));
  CHECK(taken == 3);
  CHECK(told == std::vector<std::string>{
                    "success {}",
                    "service_error 502 ServiceException " + url +
                        " closed the connection before its answer was whole (the connection ended before an answer "
                        "began, and the server may have taken the request)",
                    "success {}"});
}

TEST_CASE("each URL takes so many calls at a time; the others wait, oldest first") {
  World world;
  const int each = GENERATE(1, 3);
  FakeServer server(world.context, echo);
  const auto endpoint = world.endpoint({server.url()}, each);
  std::vector<std::string> order;
  server.held = true;
  int arrived = 0;
  server.on_request = [&](const http::Request&) {
    // When as many came as may, nobody else does until one is answered.
    if (++arrived == each) server.release();
  };
  auto work = [](World& all, LambdaEndpoint& asked, std::vector<std::string>& told) -> net::awaitable<void> {
    std::vector<Outcome> outcomes(9);
    runtime::TaskScope scope(all.context.get_executor());
    for (std::size_t i = 0; i < outcomes.size(); ++i)
      scope.spawn(World::keep(asked, call(std::to_string(i)), Instant::max(), outcomes[i], &told));
    co_await scope.join();
    co_await asked.close();
  };
  with_servers(world, work(world, *endpoint, order), server);
  CHECK(server.most_under_way == each);
  REQUIRE(server.requests.size() == 9);
  for (std::size_t i = 0; i < 9; ++i) CHECK(server.requests[i].body == std::to_string(i));
  CHECK(order.size() == 9);
}

TEST_CASE("a call that waits for its turn ends at its deadline, and the next one has the turn") {
  World world;
  FakeServer server(world.context, echo);
  const auto endpoint = world.endpoint({server.url()});
  server.held = true;
  std::vector<std::string> order;
  auto work = [](World& all, LambdaEndpoint& asked, FakeServer& held,
                 std::vector<std::string>& told) -> net::awaitable<void> {
    std::vector<Outcome> outcomes(3);
    runtime::TaskScope scope(all.context.get_executor());
    scope.spawn(World::keep(asked, call("1"), Instant::max(), outcomes[0], &told));
    scope.spawn(World::keep(asked, call("2"), all.clock.now().instant + 50ms, outcomes[1], &told));
    scope.spawn(World::keep(asked, call("3"), Instant::max(), outcomes[2], &told));
    while (told.empty()) co_await net::post(net::use_awaitable);
    held.release();
    co_await scope.join();
    co_await asked.close();
  };
  with_servers(world, work(world, *endpoint, server, order), server);
  REQUIRE(order.size() == 3);
  CHECK(order[0] ==
        "service_error 504 ServiceException function hello: no server was free before the caller's deadline (1 of "
        "them, 1 calls at a time)");
  CHECK(order[1] == "success 1");
  CHECK(order[2] == "success 3");
}

TEST_CASE("a call without a deadline waits for its turn no longer than the endpoint's limit") {
  World world;
  FakeServer server(world.context, echo);
  const auto endpoint = world.endpoint({server.url()}, 1, 200ms);
  server.held = true;
  std::vector<std::string> order;
  auto work = [](World& all, LambdaEndpoint& asked, FakeServer& held,
                 std::vector<std::string>& told) -> net::awaitable<void> {
    std::vector<Outcome> outcomes(3);
    runtime::TaskScope scope(all.context.get_executor());
    scope.spawn(World::keep(asked, call("1"), Instant::max(), outcomes[0], nullptr));
    while (held.under_way == 0) co_await net::post(net::use_awaitable);
    // When the first ends at its limit, one of these has its place, and the other waited as long as it may.
    scope.spawn(World::keep(asked, call("2"), Instant::max(), outcomes[1], &told));
    scope.spawn(World::keep(asked, call("3"), Instant::max(), outcomes[2], &told));
    co_await scope.join();
    held.release();
    co_await asked.close();
  };
  with_servers(world, work(world, *endpoint, server, order), server);
  REQUIRE(order.size() == 2);
  CHECK(order[0] ==
        "service_error 504 ServiceException function hello: no server was free within 0.2 s (1 of them, 1 calls at a "
        "time)");
}

TEST_CASE("when the call that waited longest gives up, the next one waits for a URL that comes back") {
  World world;
  const std::string address = test::closed_address(world.context);
  FakeServer busy(world.context, echo);
  const auto endpoint = world.endpoint({"http://" + address, busy.url()}, 1, 5s);
  // The first call finds it down.
  std::vector<std::string> order;
  busy.held = true;
  std::unique_ptr<FakeServer> back;
  auto work = [](World& all, LambdaEndpoint& asked, FakeServer& held, std::unique_ptr<FakeServer>& returned,
                 const std::string& where, std::vector<std::string>& told) -> net::awaitable<void> {
    std::vector<Outcome> outcomes(3);
    runtime::TaskScope scope(all.context.get_executor());
    scope.spawn(World::keep(asked, call("1"), Instant::max(), outcomes[0], &told));
    while (held.under_way == 0) co_await net::post(net::use_awaitable);
    returned = std::make_unique<FakeServer>(all.context, where, echo);
    scope.spawn(World::keep(asked, call("2"), all.clock.now().instant + 20ms, outcomes[1], &told));
    scope.spawn(World::keep(asked, call("3"), Instant::max(), outcomes[2], &told));
    while (told.size() < 2) co_await net::post(net::use_awaitable);
    held.release();
    co_await scope.join();
    co_await asked.close();
    co_await returned->close();
  };
  with_servers(world, work(world, *endpoint, busy, back, address, order), busy);
  REQUIRE(order.size() == 3);
  CHECK(order[0].starts_with("service_error 504 "));
  CHECK(order[1] == "success 3");
  CHECK(order[2] == "success 1");
}

TEST_CASE("a deadline before the endpoint's own limit ends the exchange") {
  World world;
  FakeServer server(world.context, echo);
  server.held = true;
  const std::string url = server.url();
  const auto endpoint = world.endpoint({url});
  const Outcome outcome = [&] {
    Outcome told;
    auto work = [](LambdaEndpoint& asked, FakeServer& held, Outcome& out, Instant deadline) -> net::awaitable<void> {
      out = co_await asked.invoke(call(), deadline);
      held.release();
      co_await asked.close();
    };
    with_servers(world, work(*endpoint, server, told, world.clock.now().instant + 100ms), server);
    return told;
  }();
  CHECK(line(outcome).starts_with("service_error 504 ServiceException " + url + " took the call"));
}

TEST_CASE("being called off is an outcome, for a call under way and for one that waits") {
  World world;
  FakeServer server(world.context, echo);
  server.held = true;
  const auto endpoint = world.endpoint({server.url()});
  const bool by_close = GENERATE(true, false);
  std::vector<std::string> order;
  auto work = [](World& all, LambdaEndpoint& asked, FakeServer& held, std::vector<std::string>& told,
                 bool closes) -> net::awaitable<void> {
    std::vector<Outcome> outcomes(3, Outcome(Throttled{}));
    runtime::TaskScope scope(all.context.get_executor());
    for (Outcome& outcome : outcomes) scope.spawn(World::keep(asked, call(), Instant::max(), outcome, &told));
    while (held.under_way == 0) co_await net::post(net::use_awaitable);
    if (closes) {
      co_await asked.close();
    } else {
      scope.cancel();
    }
    co_await scope.join();
    co_await asked.close();
    told.push_back(line(co_await asked.invoke(call(), Instant::max())));
    held.release();
  };
  with_servers(world, work(world, *endpoint, server, order, by_close), server);
  CHECK(order == std::vector<std::string>(4, "cancelled"));
}

TEST_CASE("an endpoint that was never closed may go with its context") {
  auto world = std::make_unique<World>();
  FakeServer server(world->context, echo);
  server.held = true;
  auto endpoint = world->endpoint({server.url()});
  auto outcomes = std::make_unique<std::vector<Outcome>>(3);
  for (Outcome& outcome : *outcomes)
    net::co_spawn(world->context, World::keep(*endpoint, call(), Instant::max(), outcome, nullptr), net::detached);
  while (server.under_way == 0) world->context.run_one();
  endpoint.reset();
}
