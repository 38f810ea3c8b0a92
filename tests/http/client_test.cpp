#include "http/client.h"

#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <catch2/catch.hpp>

#include "http/raw.h"
#include "http/server.h"
#include "runtime/task_scope.h"
#include "support/run_coroutine.h"

using namespace weir;
using namespace std::chrono_literals;
namespace net = boost::asio;
using http::Client;
using http::ClientRequest;
using http::Response;
using runtime::TaskScope;
using test::Raw;
using test::RawListener;

namespace {

ClientRequest get(const std::string& url) {
  ClientRequest request;
  request.url = url;
  return request;
}

const std::string kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Takes one connection, reads one request head, answers with a text and closes.
net::awaitable<void> answer_once(RawListener& listener, std::string text, std::string& asked) {
  Raw raw = co_await listener.accept();
  asked = co_await raw.receive("\r\n\r\n");
  co_await raw.send(std::move(text));
}

/// What a client makes of an answer, and what it had sent.
struct Exchanged {
  std::string asked;
  Result<Response> got = Error();
};
Exchanged exchange(const std::string& answer, ClientRequest request = {}, const std::string& path = "/") {
  net::io_context io{1};
  RawListener listener(io.get_executor());
  Client client(io.get_executor());
  Exchanged exchanged;
  request.url = listener.url(path);
  net::co_spawn(io, answer_once(listener, answer, exchanged.asked), net::detached);
  exchanged.got = test::run(io, client.send(std::move(request)));
  return exchanged;
}

/// The body that a stream gave, a "|" between what came at a time, and how it ended.
net::awaitable<std::string> streamed(Client& client, ClientRequest request) {
  auto opened = co_await client.open(std::move(request));
  if (!opened) co_return "not opened: " + opened.error().message();
  std::string text = std::to_string((*opened)->status());
  for (;;) {
    const auto more = co_await (*opened)->read();
    if (!more) co_return text + " then " + std::string(weir::text(more.error().code()));
    if (more->empty()) co_return text + " end";
    text += " " + *more;
  }
}
std::string stream_of(const std::string& answer) {
  net::io_context io{1};
  RawListener listener(io.get_executor());
  Client client(io.get_executor());
  std::string asked;
  ClientRequest request = get(listener.url("/"));
  net::co_spawn(io, answer_once(listener, answer, asked), net::detached);
  return test::run(io, streamed(client, std::move(request)));
}

/// Answers every request on every connection, and counts connections.
class CountingServer {
 public:
  explicit CountingServer(const net::any_io_executor& executor) : listener(executor), scope_(executor) {
    scope_.spawn(accept());
  }
  net::awaitable<void> close() {
    scope_.cancel();
    co_await scope_.join();
  }

  RawListener listener;
  int connections = 0;
  bool close_after_answer = false;

 private:
  net::awaitable<void> accept() {
    for (;;) {
      Raw raw = co_await listener.accept();
      ++connections;
      scope_.spawn(serve(std::move(raw)));
    }
  }
  net::awaitable<void> serve(Raw raw) {
    for (;;) {
      const std::string head = co_await raw.receive("\r\n\r\n");
      if (head.empty()) co_return;
      co_await raw.send(kOk);
      if (close_after_answer) co_return;
    }
  }

  TaskScope scope_;
};

/// Answers once eight connections are there; closes on a request for "/dies" when it has read it all.
class DyingServer {
 public:
  explicit DyingServer(const net::any_io_executor& executor) : listener(executor), scope_(executor), all_(executor) {
    all_.expires_at(net::steady_timer::time_point::max());
    scope_.spawn(accept());
  }
  net::awaitable<void> close() {
    scope_.cancel();
    co_await scope_.join();
  }

  RawListener listener;
  int connections = 0;
  int died = 0;

 private:
  net::awaitable<void> accept() {
    for (;;) {
      Raw raw = co_await listener.accept();
      if (++connections == 8) all_.cancel();
      scope_.spawn(serve(std::move(raw)));
    }
  }
  net::awaitable<void> serve(Raw raw) {
    for (;;) {
      const std::string head = co_await raw.receive("\r\n\r\n");
      if (head.empty()) co_return;
      if (head.find("/dies") != std::string::npos) {
        if (head.find("Content-Length: 2") != std::string::npos) co_await raw.receive("{}");
        ++died;
        co_return;
      }
      boost::system::error_code woken;
      if (connections < 8) co_await all_.async_wait(net::redirect_error(net::use_awaitable, woken));
      co_await raw.send(kOk);
    }
  }

  TaskScope scope_;
  net::steady_timer all_;  ///< never expires
};

net::awaitable<void> ask(Client& client, std::string url, int& answered) {
  const auto got = co_await client.send(get(url));
  if (got && got->status == 200 && got->body == "ok") ++answered;
}

}  // namespace

TEST_CASE("a request arrives as it was given, and nothing is added that was not asked for") {
  ClientRequest request;
  request.method = "POST";
  request.headers.add("X-Sent", "grüße");
  request.headers.add("X-Empty", "");
  request.body = "body";
  const auto [asked, got] = exchange(kOk, request, "/a/../b%2Fc?d=e");
  CHECK(asked.find("POST /a/../b%2Fc?d=e HTTP/1.1\r\n") == 0);
  CHECK(asked.find("\r\nX-Sent: grüße\r\n") != std::string::npos);
  CHECK(asked.find("\r\nX-Empty:\r\n") != std::string::npos);
  CHECK(asked.find("\r\nContent-Length: 4\r\n") != std::string::npos);
  for (const char* unwanted : {"Expect", "Accept-Encoding", "Content-Type", "User-Agent", "Transfer-Encoding"}) {
    INFO(unwanted);
    CHECK(asked.find(unwanted) == std::string::npos);
  }
  REQUIRE(got.has_value());
  CHECK(got->status == 200);
  CHECK(got->body == "ok");
}

TEST_CASE("every method keeps its name and its body") {
  struct Row {
    std::string_view method, body, length;
  };
  const auto row = GENERATE(values<Row>({{"GET", "", ""},
                                         {"GET", "query", "Content-Length: 5\r\n"},
                                         {"POST", "", "Content-Length: 0\r\n"},
                                         {"PUT", "x", "Content-Length: 1\r\n"},
                                         {"DELETE", "", ""},
                                         {"DELETE", "x", "Content-Length: 1\r\n"}}));
  ClientRequest request;
  request.method = row.method;
  request.body = row.body;
  const auto [asked, got] = exchange(kOk, request);
  CHECK(asked.find(std::string(row.method) + " / HTTP/1.1\r\n") == 0);
  CHECK((asked.find("Content-Length") == std::string::npos) == row.length.empty());
  CHECK(asked.find(row.length) != std::string::npos);
  CHECK(got.has_value());
}

TEST_CASE("HEAD waits for no body") {
  ClientRequest request;
  request.method = "HEAD";
  const auto [asked, got] = exchange("HTTP/1.1 404 Not Found\r\nContent-Length: 100\r\n\r\n", request);
  CHECK(asked.find("HEAD / ") == 0);
  REQUIRE(got.has_value());
  CHECK(got->status == 404);
  CHECK(got->headers.get("content-length") == "100");
}

TEST_CASE("the answer carries every header of its own, and none of an interim one") {
  const auto [asked, got] = exchange(
      "HTTP/1.1 103 Early Hints\r\nX-Early: 1\r\n\r\n"
      "HTTP/1.1 500 Oops\r\nX-A:  1 \r\nx-a: 2\r\nX-Empty:\r\nContent-Length: 3\r\n\r\nbad");
  REQUIRE(got.has_value());
  CHECK(got->status == 500);
  CHECK(got->body == "bad");
  using Fields = std::vector<std::pair<std::string, std::string>>;
  CHECK(got->headers.all() == Fields{{"X-A", "1"}, {"x-a", "2"}, {"X-Empty", ""}, {"Content-Length", "3"}});
}

TEST_CASE("no redirect is followed") {
  const auto [asked, got] =
      exchange("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
  REQUIRE(got.has_value());
  CHECK(got->status == 302);
}

TEST_CASE("an answer may be as large as allowed, and no byte larger") {
  ClientRequest request;
  request.response_max_bytes = 1000;
  const auto answer = [](std::size_t size) {
    return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n" + std::string(size, 'x');
  };
  CHECK(exchange(answer(1000), request).got->body.size() == 1000);
  const auto refused = exchange(answer(1001), request).got;
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code() == ErrorCode::kHttpFailed);
  CHECK(refused.error().message() == "the answer, of status 200, is larger than 1000 bytes");
  std::string headers = "HTTP/1.1 200 OK\r\n";
  for (int i = 0; i < 3000; ++i) headers += "X-Long: " + std::string(100, 'x') + "\r\n";
  CHECK(exchange(headers + "\r\n").got.error().message() == "the answer's headers are larger than 262144 bytes");
}

TEST_CASE("no whole answer is http.failed") {
  const std::string answer =
      GENERATE(as<std::string>(), "", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "this is no HTTP\r\n\r\n",
               "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "HTTP/1.1 200 OK\r\nContent-Len");
  INFO(answer);
  const auto got = exchange(answer).got;
  REQUIRE_FALSE(got.has_value());
  CHECK(got.error().code() == ErrorCode::kHttpFailed);
}

TEST_CASE("a stream that is cut gives what came before, then says so") {
  CHECK(stream_of(kOk) == "200 ok end");
  SECTION("with its headers") {
    CHECK(stream_of("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf") == "200 half then http.failed");
  }
  SECTION("in one piece with a part of the body: what follows the chunk is none") {
    CHECK(stream_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nnot a number\r\n") ==
          "200 half then http.failed");
  }
  SECTION("before anything of the body") {
    CHECK(stream_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nnot a number\r\n") == "200 then http.failed");
  }
  SECTION("within the headers, or before any: no stream") {
    CHECK(stream_of("HTTP/1.1 200 OK\r\nContent-Le").starts_with("not opened: "));
    CHECK(stream_of("").starts_with("not opened: "));
    CHECK(stream_of("HTTP/1.1 100 Continue\r\n\r\n").starts_with("not opened: "));
  }
}

TEST_CASE("an error says where, without what may be secret") {
  net::io_context io{1};
  Client client(io.get_executor());
  std::uint16_t gone = 0;
  {
    RawListener listener(io.get_executor());
    gone = listener.port();
  }
  const std::string address = "127.0.0.1:" + std::to_string(gone);
  const auto got = test::run(io, client.send(get("http://user:pass@" + address + "/a?X-Amz-Signature=secret")));
  REQUIRE_FALSE(got.has_value());
  CHECK(got.error().code() == ErrorCode::kHttpFailed);
  const std::string text = got.error().describe();
  CHECK(text.find("while asking http://" + address + "/a") != std::string::npos);
  for (const char* secret : {"user", "pass", "secret", "Signature"}) CHECK(text.find(secret) == std::string::npos);
}

TEST_CASE("what cannot be sent is refused before anything is") {
  net::io_context io{1};
  Client client(io.get_executor());
  const auto refused = [&](ClientRequest request) {
    const auto got = test::run(io, client.send(std::move(request)));
    return !got.has_value() && got.error().code() == ErrorCode::kHttpFailed;
  };
  ClientRequest request = get("http://127.0.0.1:1/");
  SECTION("a line break in a header") {
    request.headers.add("X-A", "1\r\nX-B: 2");
  }
  SECTION("a colon in a name") {
    request.headers.add("X-A: 1\r\nX-B", "2");
  }
  SECTION("a method of two words") {
    request.method = "GET / HTTP/1.1\r\nX:";
  }
  SECTION("no URL") {
    request.url = "";
  }
  SECTION("a file") {
    request.url = "file:///etc/hostname";
  }
  SECTION("a space in the URL") {
    request.url = "http://127.0.0.1:1/a b";
  }
  CHECK(refused(std::move(request)));
}

TEST_CASE("connections are kept and shared") {
  net::io_context io{1};
  CountingServer server(io.get_executor());
  Client client(io.get_executor());
  int answered = 0;
  const auto work = [&]() -> net::awaitable<void> {
    for (int i = 0; i < 5; ++i) co_await ask(client, server.listener.url("/"), answered);
    CHECK(server.connections == 1);
    for (int round = 0; round < 3; ++round) {
      TaskScope scope(io.get_executor());
      for (int i = 0; i < 20; ++i) scope.spawn(ask(client, server.listener.url("/"), answered));
      co_await scope.join();
    }
    CHECK(server.connections == 20);
    co_await server.close();
  };
  test::run(io, work());
  CHECK(answered == 65);
}

TEST_CASE("a kept connection that the server has closed meanwhile does no harm") {
  net::io_context io{1};
  CountingServer server(io.get_executor());
  server.close_after_answer = true;
  Client client(io.get_executor());
  int answered = 0;
  const auto work = [&]() -> net::awaitable<void> {
    for (int i = 0; i < 20; ++i) co_await ask(client, server.listener.url("/"), answered);
    co_await server.close();
  };
  test::run(io, work());
  CHECK(answered == 20);
  CHECK(server.connections == 20);
}

TEST_CASE("a request whose kept connection ends under it is sent again only if that does no harm") {
  struct Row {
    std::string_view method, body;
    int times;
  };
  const auto row = GENERATE(values<Row>(
      {{"POST", "{}", 1}, {"POST", "", 1}, {"PATCH", "{}", 1}, {"GET", "", 2}, {"DELETE", "", 2}, {"PUT", "{}", 2}}));
  INFO(row.method << " " << row.body);
  net::io_context io{1};
  DyingServer server(io.get_executor());
  Client client(io.get_executor());
  std::optional<Result<Response>> got;
  const auto work = [&]() -> net::awaitable<void> {
    // More kept connections than libcurl would try.
    int answered = 0;
    TaskScope scope(io.get_executor());
    for (int i = 0; i < 8; ++i) scope.spawn(ask(client, server.listener.url("/"), answered));
    co_await scope.join();
    CHECK(answered == 8);
    CHECK(server.connections == 8);
    ClientRequest request = get(server.listener.url("/dies"));
    request.method = row.method;
    request.body = row.body;
    got = co_await client.send(std::move(request));
    co_await server.close();
  };
  test::run(io, work());
  CHECK(server.died == row.times);
  REQUIRE(got.has_value());
  REQUIRE_FALSE(got->has_value());
  CHECK(got->error().code() == ErrorCode::kHttpFailed);
  if (row.times == 1) {
    CHECK(got->error().message() ==
          "the connection ended before an answer began, and the server may have taken the request");
    CHECK(server.connections <= 9);
  }
}

TEST_CASE("the time for an answer ends") {
  net::io_context io{1};
  RawListener listener(io.get_executor());
  Client client(io.get_executor());
  ClientRequest request = get(listener.url("/slow?secret"));
  request.timeout = 20ms;
  const auto got = test::run(io, client.send(std::move(request)));
  REQUIRE_FALSE(got.has_value());
  CHECK(got.error().code() == ErrorCode::kHttpFailed);
  CHECK(got.error().message().find("timed out") != std::string::npos);
}

TEST_CASE("cancelling ends one exchange at once, closes its connection and leaves the others alone") {
  net::io_context io{1};
  RawListener listener(io.get_executor());
  Client client(io.get_executor());
  net::cancellation_signal cancel;
  std::optional<Result<Response>> cancelled;
  std::optional<Result<Response>> other;
  const auto work = [&]() -> net::awaitable<void> {
    net::co_spawn(io, client.send(get(listener.url("/cancelled"))),
                  net::bind_cancellation_slot(cancel.slot(), [&](std::exception_ptr thrown, Result<Response> got) {
                    CHECK_FALSE(thrown);
                    cancelled = std::move(got);
                  }));
    Raw first = co_await listener.accept();
    const std::string asked = co_await first.receive("\r\n\r\n");
    CHECK(asked.find("GET /cancelled ") == 0);
    net::co_spawn(io, client.send(get(listener.url("/other"))),
                  [&](std::exception_ptr, Result<Response> got) { other = std::move(got); });
    Raw second = co_await listener.accept();
    co_await second.receive("\r\n\r\n");
    cancel.emit(net::cancellation_type::all);
    const std::string rest = co_await first.receive_all();
    CHECK(rest.empty());
    co_await second.send(kOk);
  };
  test::run(io, work());
  REQUIRE(cancelled.has_value());
  REQUIRE_FALSE(cancelled->has_value());
  CHECK(cancelled->error().code() == ErrorCode::kCancelled);
  REQUIRE(other.has_value());
  CHECK((*other)->body == "ok");
}

TEST_CASE("a request of a scope that is cancelled already is not sent") {
  net::io_context io{1};
  RawListener listener(io.get_executor());
  Client client(io.get_executor());
  std::optional<Result<Response>> got;
  const auto send = [&]() -> net::awaitable<void> { got = co_await client.send(get(listener.url("/"))); };
  const auto work = [&]() -> net::awaitable<void> {
    TaskScope scope(io.get_executor());
    scope.cancel();
    scope.spawn(send());
    co_await scope.join();
  };
  test::run(io, work());
  CHECK_FALSE(got.has_value());
}

TEST_CASE("a client may go before its requests, and a context with requests under way") {
  auto io = std::make_unique<net::io_context>(1);
  RawListener listener(io->get_executor());
  auto client = std::make_unique<Client>(io->get_executor());
  std::optional<Result<Response>> first;
  net::co_spawn(*io, client->send(get(listener.url("/first"))),
                [&](std::exception_ptr, Result<Response> got) { first = std::move(got); });
  net::co_spawn(*io, client->send(get(listener.url("/second"))),
                [](std::exception_ptr, const Result<Response>&) { FAIL("it is never answered"); });
  const auto answer_first = [&]() -> net::awaitable<void> {
    Raw one = co_await listener.accept();
    Raw two = co_await listener.accept();
    const std::string asked = co_await one.receive("\r\n\r\n");
    const bool is_one = asked.find("/first") != std::string::npos;
    co_await two.receive("\r\n\r\n");
    client.reset();
    if (is_one)
      co_await one.send(kOk);
    else
      co_await two.send(kOk);
    while (!first) co_await net::post(*io, net::use_awaitable);
    io->stop();
  };
  net::co_spawn(*io, answer_first(), net::detached);
  io->run();
  REQUIRE(first.has_value());
  CHECK((*first)->body == "ok");
  { const RawListener moved = std::move(listener); }
  io.reset();
}
