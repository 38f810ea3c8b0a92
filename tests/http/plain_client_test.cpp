// What is spoken over http://, byte by byte; client_test.cpp has what is the same with TLS.
#include <chrono>
#include <future>
#include <string>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>
#include <catch2/catch.hpp>

#include "http/client.h"
#include "http/raw.h"
#include "support/run_coroutine.h"

using namespace weir;
using namespace std::chrono_literals;
namespace net = boost::asio;
using http::Client;
using http::ClientRequest;
using http::Response;
using test::Raw;
using test::RawListener;

namespace {

const std::string kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

ClientRequest request_of(std::string method, std::string url, std::string body = "") {
  ClientRequest request;
  request.method = std::move(method);
  request.url = std::move(url);
  request.body = std::move(body);
  return request;
}

/// "200 ok", or the error's sentence.
std::string line(const Result<Response>& got) {
  return got ? std::to_string(got->status) + " " + got->body : got.error().message();
}

struct World {
  net::io_context io{1};
  RawListener listener{io.get_executor()};
  Client client{io.get_executor()};
  int connections = 0;
  std::vector<std::string> heads;  ///< of the requests that came

  std::string url(std::string_view path = "/") const { return listener.url(path); }

  /// On one connection after the other: an answer for each request that comes, and the end after the last.
  net::awaitable<void> serve(std::vector<std::vector<std::string>> answers) {
    for (const auto& of_one : answers) {
      Raw raw = co_await listener.accept();
      ++connections;
      for (const std::string& answer : of_one) {
        heads.push_back(co_await raw.receive("\r\n\r\n"));
        co_await raw.send(answer);
      }
      boost::system::error_code ignored;
      raw.socket().shutdown(net::ip::tcp::socket::shutdown_send, ignored);
      co_await raw.receive_all();
    }
  }
  net::awaitable<std::vector<std::string>> ask(std::vector<ClientRequest> requests) {
    std::vector<std::string> lines;
    for (ClientRequest& each : requests) lines.push_back(line(co_await client.send(std::move(each))));
    co_return lines;
  }
  std::vector<std::string> exchange(std::vector<ClientRequest> requests,
                                    std::vector<std::vector<std::string>> answers) {
    io.restart();
    net::co_spawn(io, serve(std::move(answers)), net::detached);
    auto asked = net::co_spawn(io, ask(std::move(requests)), net::use_future);
    while (asked.wait_for(0s) != std::future_status::ready && io.run_one() > 0) {
    }
    return asked.get();
  }
  std::string one(const std::string& answer) { return exchange({request_of("GET", url())}, {{answer}}).at(0); }
};

using Lines = std::vector<std::string>;

/// An answer in as many pieces as it has bytes; each is read on its own.
net::awaitable<void> dribble(RawListener& listener, std::string answer) {
  Raw raw = co_await listener.accept();
  co_await raw.receive("\r\n\r\n");
  for (const char byte : answer) {
    co_await raw.send(std::string(1, byte));
    for (int turn = 0; turn < 3; ++turn) co_await net::post(net::use_awaitable);
  }
}

}  // namespace

TEST_CASE("answers are read however they are framed") {
  struct Row {
    std::string_view sentence, answer, line;
  };
  const auto row = GENERATE(values<Row>({
      {"by their length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhole", "200 whole"},
      {"in chunks, with an extension and a trailer",
       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nwh\r\n3\r\nole\r\n0\r\nX-After: 1\r\n\r\n",
       "200 whole"},
      {"to the end of the connection", "HTTP/1.1 200 OK\r\n\r\nwhole", "200 whole"},
      {"of HTTP/1.0", "HTTP/1.0 200 OK\r\n\r\nwhole", "200 whole"},
      {"without a reason", "HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nwhole", "200 whole"},
      {"after interim ones",
       "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nX: y\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: "
       "5\r\n\r\nwhole",
       "200 whole"},
      {"204 has no body", "HTTP/1.1 204 No Content\r\n\r\n", "204 "},
      {"304 has none, whatever it says", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "304 "},
      {"cut off by length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwhol",
       "the connection ended within the answer's body"},
      {"cut off between chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nwh\r\n",
       "the connection ended within the answer's body"},
      {"cut off within the headers", "HTTP/1.1 200 OK\r\nContent-", "the connection ended within the answer's headers"},
      {"an interim answer alone", "HTTP/1.1 100 Continue\r\n\r\n", "the connection ended within the answer's headers"},
      {"nothing", "", "the connection ended before an answer began"},
  }));
  DYNAMIC_SECTION(row.sentence) {
    SECTION("in one piece") {
      World world;
      CHECK(world.one(std::string(row.answer)) == row.line);
    }
    SECTION("byte by byte") {
      World world;
      net::co_spawn(world.io, dribble(world.listener, std::string(row.answer)), net::detached);
      CHECK(line(test::run(world.io, world.client.send(request_of("GET", world.url())))) == row.line);
    }
  }
}

TEST_CASE("what speaks another protocol is no HTTP") {
  World world;
  CHECK(world.one("SSH-2.0-OpenSSH_9.2\r\n") == "the answer is no HTTP: bad version");
}

TEST_CASE("a connection is used again after a whole answer that does not say otherwise") {
  struct Row {
    std::string_view sentence, answer;
    int connections;
  };
  const auto row = GENERATE(values<Row>({
      {"a length", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 1},
      {"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", 1},
      {"no body", "HTTP/1.1 204 No Content\r\n\r\n", 1},
      {"HTTP/1.0 that keeps it", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", 1},
      {"it is to be closed", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", 2},
      {"HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 2},
      {"more than the answer", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok!", 2},
  }));
  DYNAMIC_SECTION(row.sentence) {
    World world;
    const std::string answer(row.answer);
    const std::vector<Lines> answers =
        row.connections == 1 ? std::vector<Lines>{{answer, kOk}} : std::vector<Lines>{{answer}, {kOk}};
    const auto lines =
        world.exchange({request_of("POST", world.url("/1"), "{}"), request_of("POST", world.url("/2"), "{}")}, answers);
    CHECK(lines.back() == "200 ok");
    CHECK(world.connections == row.connections);
  }
}

TEST_CASE("an answer that has begun on a kept connection is not asked for again, not even by GET") {
  World world;
  const auto lines = world.exchange({request_of("GET", world.url()), request_of("GET", world.url())},
                                    {{kOk, "HTTP/1.1 200 OK\r\nContent-Le"}, {kOk}});
  CHECK(lines == Lines{"200 ok", "the connection ended within the answer's headers"});
  CHECK(world.connections == 1);
}

TEST_CASE("what a URL says of user and password is Basic authorization, unless the request has another") {
  World world;
  const std::string with_user = "http://me:p%40ss@" + world.url().substr(7);
  ClientRequest own = request_of("GET", with_user);
  own.headers.add("Authorization", "Bearer x");
  world.exchange({request_of("GET", with_user), std::move(own)}, {{kOk, kOk}});
  REQUIRE(world.heads.size() == 2);
  CHECK(world.heads[0].find("\r\nAuthorization: Basic bWU6cEBzcw==\r\n") != std::string::npos);
  CHECK(world.heads[1].find("Basic") == std::string::npos);
  CHECK(world.heads[1].find("\r\nAuthorization: Bearer x\r\n") != std::string::npos);
}

TEST_CASE("the Host header is the URL's host and port, unless the request has one") {
  World world;
  ClientRequest own = request_of("GET", world.url());
  own.headers.add("host", "elsewhere");
  world.exchange({request_of("GET", world.url()), std::move(own)}, {{kOk, kOk}});
  CHECK(world.heads.at(0).find("\r\nHost: 127.0.0.1:" + std::to_string(world.listener.port()) + "\r\n") !=
        std::string::npos);
  CHECK(world.heads.at(1).find("Host: 127") == std::string::npos);
  CHECK(world.heads.at(1).find("\r\nhost: elsewhere\r\n") != std::string::npos);
}

TEST_CASE("localhost is the loopback address that somebody listens on") {
  World world;
  const std::string url = "http://localhost:" + std::to_string(world.listener.port()) + "/";
  CHECK(world.exchange({request_of("GET", url)}, {{kOk}}) == Lines{"200 ok"});
}

TEST_CASE("a host that nobody knows cannot be reached") {
  World world;
  // No label is that long, so that no server is asked for it.
  const std::string name = std::string(64, 'a') + ".example";
  CHECK(line(test::run(world.io, world.client.send(request_of("GET", "http://" + name + "/")))) ==
        "Could not resolve host: " + name);
}

TEST_CASE("a connection that is not accepted in time is given up") {
  net::io_context io{1};
  using net::ip::tcp;
  tcp::acceptor full(io, tcp::endpoint(net::ip::address_v4::loopback(), 0));
  full.listen(0);
  // What is over the backlog gets no answer.
  std::vector<tcp::socket> waiting;
  for (int i = 0; i < 4; ++i) {
    waiting.emplace_back(io);
    waiting.back().async_connect(full.local_endpoint(), [](const boost::system::error_code&) {});
  }
  Client client(io.get_executor());
  ClientRequest request = request_of("GET", "http://127.0.0.1:" + std::to_string(full.local_endpoint().port()) + "/");
  request.connect_timeout = 50ms;
  std::string told;
  net::co_spawn(io, client.send(std::move(request)), [&](std::exception_ptr, const Result<Response>& got) {
    told = line(got);
    for (tcp::socket& socket : waiting) socket.close();
  });
  io.run();
  CHECK(told.starts_with("Connection timed out after "));
}

TEST_CASE("large bodies arrive whole, in both directions") {
  World world;
  std::string body(2U << 20U, '\0');
  for (std::size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>('a' + i * 7 % 26);
  body += '!';
  std::string received;
  const auto echo = [&]() -> net::awaitable<void> {
    Raw raw = co_await world.listener.accept();
    co_await raw.receive("\r\n\r\n");
    received = co_await raw.receive("!");
    co_await raw.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(received.size()) + "\r\n\r\n" + received);
  };
  net::co_spawn(world.io, echo(), net::detached);
  const auto got = test::run(world.io, world.client.send(request_of("POST", world.url(), body)));
  CHECK((received == body));
  REQUIRE(got.has_value());
  CHECK((got->body == body));
}

TEST_CASE("an answer that comes before the request was taken is read, and the rest not sent") {
  World world;
  const std::string refusal = "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno";
  const auto refuse = [&]() -> net::awaitable<void> {
    Raw raw = co_await world.listener.accept();
    co_await raw.receive("\r\n\r\n");
    co_await raw.send(refusal);
    co_await raw.receive_all();  // until the client closes
  };
  net::co_spawn(world.io, refuse(), net::detached);
  const std::string body(16U << 20U, 'x');
  CHECK(line(test::run(world.io, world.client.send(request_of("POST", world.url(), body)))) == "413 no");
}

TEST_CASE("what is under way can be called off, all at once") {
  World world;
  std::vector<ErrorCode> told;
  const auto tell = [&](std::exception_ptr thrown, const Result<Response>& got) {
    CHECK_FALSE(thrown);
    told.push_back(got ? ErrorCode::kInternal : got.error().code());
  };
  for (int i = 0; i < 2; ++i) net::co_spawn(world.io, world.client.send(request_of("GET", world.url())), tell);
  const auto work = [&]() -> net::awaitable<void> {
    Raw one = co_await world.listener.accept();
    Raw two = co_await world.listener.accept();
    co_await one.receive("\r\n\r\n");
    world.client.call_off();
    const std::string rest = co_await one.receive_all();
    CHECK(rest.empty());
    co_await two.receive_all();
  };
  test::run(world.io, work());
  CHECK(told == std::vector<ErrorCode>{ErrorCode::kCancelled, ErrorCode::kCancelled});
  // What is sent later is sent.
  CHECK(world.exchange({request_of("GET", world.url())}, {{kOk}}) == Lines{"200 ok"});
}
