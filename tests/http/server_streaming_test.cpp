// Bodies that come, and answers that go, bit by bit.
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <catch2/catch.hpp>

#include "http/raw.h"
#include "http/server.h"
#include "http/streaming.h"
#include "support/run_coroutine.h"

using namespace weir;
using namespace std::chrono_literals;
namespace net = boost::asio;
using http::AnswerStream;
using http::Request;
using http::Response;
using http::ServerOptions;
using test::Raw;

namespace {

using Handle = std::function<net::awaitable<Response>(Request)>;

class World {
 public:
  explicit World(Handle handle, std::optional<Duration> write_timeout = {}) : handle_(std::move(handle)) {
    ServerOptions options;
    options.body_max_bytes = 10;
    options.streamed_by = {"X-Mode", "streaming"};
    options.write_timeout = write_timeout;
    auto made = http::Server::listen(
        io_.get_executor(), "127.0.0.1:0", [this](Request request) { return handle_(std::move(request)); }, options);
    REQUIRE(made.has_value());
    server_ = std::move(made.value());
  }
  Raw connect() { return Raw(io_.get_executor(), server_->port()); }
  void run(net::awaitable<void> work) { test::run(io_, then_close(std::move(work))); }

 private:
  net::awaitable<void> then_close(net::awaitable<void> work) {
    co_await std::move(work);
    co_await server_->close();
  }

  Handle handle_;
  net::io_context io_{1};
  std::unique_ptr<http::Server> server_;
};

/// Says what it reads, piece by piece, as it comes.
net::awaitable<Response> echo(Request request) {
  if (request.streamed_body == nullptr) co_return Response(200, "text/plain", "whole: " + request.body);
  AnswerStream& answer = *request.answer_stream;
  answer.begin(Response(200, "text/plain", ""));
  for (;;) {
    const Result<std::string> piece = co_await request.streamed_body->read();
    if (!piece) co_return Response();
    if (piece->empty()) break;
    co_await answer.write("<" + *piece + ">");
  }
  co_await answer.write("trailer " + request.streamed_body->trailer("X-Behind"));
  co_await answer.end();
  co_return Response();
}

net::awaitable<void> talk_back_and_forth(World& world) {
  std::string said;
  Raw client = world.connect();
  co_await client.send("POST / HTTP/1.1\r\nX-Mode: Streaming\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
  said = co_await client.receive("<one>\r\n");
  CHECK(said == "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n<one>\r\n");
  co_await client.send("10\r\nlonger than 10 b\r\n");
  said = co_await client.receive(">\r\n");
  CHECK(said == "12\r\n<longer than 10 b>\r\n");
  co_await client.send("0\r\nX-Behind: said\r\n\r\n");
  said = co_await client.receive("0\r\n\r\n");
  CHECK(said == "c\r\ntrailer said\r\n0\r\n\r\n");
  // The connection goes on, with a request of the ordinary kind.
  co_await client.send("POST / HTTP/1.1\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi");
  said = co_await client.receive_all();
  CHECK(said.ends_with("\r\n\r\nwhole: hi"));
}

net::awaitable<void> talk_old(World& world) {
  std::string said;
  Raw client = world.connect();
  co_await client.send("POST / HTTP/1.0\r\nX-Mode: streaming\r\nContent-Length: 3\r\n\r\none");
  said = co_await client.receive_all();
  CHECK(said == "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n<one>trailer ");
}

net::awaitable<Response> give_up(Request request) {
  request.answer_stream->begin(Response(200, "text/plain", ""));
  co_await request.answer_stream->write("half");
  throw std::runtime_error("a bug");
}

net::awaitable<void> see_it_cut_off(World& world) {
  std::string said;
  Raw client = world.connect();
  co_await client.send("GET / HTTP/1.1\r\n\r\n");
  said = co_await client.receive_all();
  CHECK(said.ends_with("\r\n\r\n4\r\nhalf\r\n"));
}

net::awaitable<Response> refuse(Request) {
  co_return Response(413, "text/plain", "no more");
}

net::awaitable<void> be_refused(World& world) {
  std::string said;
  Raw client = world.connect();
  co_await client.send("POST / HTTP/1.1\r\nX-Mode: streaming\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
  said = co_await client.receive("no more");
  CHECK(said.starts_with("HTTP/1.1 413 "));
  client.close();
}

net::awaitable<void> go_in_the_middle(World& world, std::optional<ErrorCode>& said) {
  Raw client = world.connect();
  co_await client.send("POST / HTTP/1.1\r\nX-Mode: streaming\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
  client.close();
  while (!said) co_await net::post(co_await net::this_coro::executor, net::use_awaitable);
}

net::awaitable<void> read_nothing(World& world, const bool& gone) {
  Raw client = world.connect();
  co_await client.send("GET / HTTP/1.1\r\n\r\n");
  while (!gone) co_await net::post(co_await net::this_coro::executor, net::use_awaitable);
}

}  // namespace

TEST_CASE("a body is read and an answer sent while both go on") {
  World world(&echo);
  world.run(talk_back_and_forth(world));
}

TEST_CASE("to a client of HTTP/1.0 an answer of unknown length ends with its connection") {
  World world(&echo);
  world.run(talk_old(world));
}

TEST_CASE("an answer that its handler does not end is cut off, and no second one follows it") {
  World world(&give_up);
  world.run(see_it_cut_off(world));
}

TEST_CASE("a body that nobody reads to its end costs the client no answer") {
  World world(&refuse);
  world.run(be_refused(world));
}

TEST_CASE("a body that ends in the middle is an error") {
  std::optional<ErrorCode> said;
  World world([&said](Request request) -> net::awaitable<Response> {
    for (;;) {
      const Result<std::string> piece = co_await request.streamed_body->read();
      if (piece && !piece->empty()) continue;
      said = piece ? ErrorCode::kCancelled : piece.error().code();
      co_return Response();
    }
  });
  world.run(go_in_the_middle(world, said));
  CHECK(said == ErrorCode::kHttpFailed);
}

TEST_CASE("a client that does not read ends the answer when its time is over") {
  bool gone = false;
  std::size_t written = 0;
  World world(
      [&](Request request) -> net::awaitable<Response> {
        request.answer_stream->begin(Response(200, "text/plain", ""));
        const std::string piece(1U << 20U, 'x');
        for (;;) {
          const bool taken = co_await request.answer_stream->write(piece);
          if (!taken) break;
          written += piece.size();
        }
        gone = true;
        co_return Response();
      },
      50ms);
  world.run(read_nothing(world, gone));
  CHECK(written < 64U << 20U);
}
