#include <memory>
#include <string>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "emulator/world.h"
#include "lambda/emulator/stream_pace.h"

using namespace weir;
using namespace std::chrono_literals;
using emulator::EmulatorSettings;
using emulator::StreamLimits;
using emulator::StreamPace;
using test::text_of;
using test::World;

namespace {

/// A caller who reads, or who does not for a while.
class Caller final : public ResponseSink {
 public:
  explicit Caller(World& world) : let_go_(world.io(), net::steady_timer::time_point::max()) {}

  void begin(ResponseStart start) override {
    ++begun;
    version = start.executed_version;
  }
  net::awaitable<void> write(std::string bytes) override {
    text += bytes;
    ++writes;
    boost::system::error_code ignored;
    if (holds) co_await let_go_.async_wait(net::redirect_error(net::use_awaitable, ignored));
  }
  void read_on() {
    holds = false;
    let_go_.cancel();
  }

  std::string text;
  std::string version;
  int begun = 0;
  int writes = 0;
  bool holds = false;

 private:
  net::steady_timer let_go_;
};

/// A function, and a call whose caller takes what is streamed.
struct Streaming {
  explicit Streaming(const std::function<void(EmulatorSettings&)>& change = [](auto&) {})
      : world([&](EmulatorSettings& settings) {
          REQUIRE(::mkfifo((folder / "gate").c_str(), 0600) == 0);
          gate_ = ::open((folder / "gate").c_str(), O_RDWR | O_CLOEXEC);
          // What variables name is there also for a function with a /tmp of its own.
          settings.environment["GATE"] = folder / "gate";
          change(settings);
        }) {}
  ~Streaming() { ::close(gate_); }
  Streaming(const Streaming&) = delete;
  Streaming& operator=(const Streaming&) = delete;

  std::size_t begin(const std::string& steps) {
    Invocation invocation;
    invocation.function = "misbehave";
    invocation.request_id = Random(seed_from_system()).uuid();
    invocation.payload = R"({"do":"stream","steps":[)" + steps + "]}";
    invocation.response_sink = caller;
    return world.begin(std::move(invocation));
  }
  Outcome call(const std::string& steps) { return world.wait(begin(steps)); }
  /// Lets the function go on that waits for it.
  void open_gate() const { CHECK(::write(gate_, "x", 1) == 1); }

 private:
  test::TemporaryFolder folder;
  int gate_ = -1;

 public:
  World world;
  std::shared_ptr<Caller> caller = std::make_shared<Caller>(world);
};

}  // namespace

TEST_CASE("what a function streams comes before the function ends") {
  Streaming streaming;
  const std::size_t call = streaming.begin(R"({"write":"one"},{"gate":1},{"write":"two"})");
  streaming.world.run_until([&] { return streaming.caller->text == "one"; });
  CHECK(streaming.caller->begun == 1);
  CHECK(streaming.caller->version == "$LATEST");
  CHECK(streaming.world.counts().busy == 1);
  streaming.open_gate();
  const Outcome outcome = streaming.world.wait(call);
  CHECK(kind(outcome) == "success");
  CHECK(text_of(outcome).empty());
  CHECK(streaming.caller->text == "onetwo");
  streaming.world.wait_for_log("streamed HTTP/1.1 202 Accepted");
  // And the environment goes on.
  CHECK(text_of(streaming.world.invoke(R"({"n":1})")) == R"({"n":1})");
  CHECK(streaming.world.counts().cold_starts == 1);
}

TEST_CASE("an error behind what was streamed is told with the runtime's own words") {
  Streaming streaming;
  // {"errorType":"Mine","errorMessage":"no"}
  const Outcome outcome = streaming.call(
      R"({"write":"half"},{"type":"Mine.Late"},{"body":"eyJlcnJvclR5cGUiOiJNaW5lIiwiZXJyb3JNZXNzYWdlIjoibm8ifQ=="})");
  CHECK(streaming.caller->text == "half");
  CHECK(text_of(outcome) == R"(Mine.Late {"errorType":"Mine","errorMessage":"no"})");
  CHECK(std::get<FunctionFailed>(outcome.what).in_stream);
}

TEST_CASE("a caller who wants the whole of it gets the whole of it") {
  World world;
  CHECK(text_of(world.invoke(R"({"do":"stream","steps":[{"write":"one"},{"write":"two"}]})")) == "onetwo");
  CHECK(text_of(world.invoke(R"({"do":"stream","steps":[{"write":"one"},{"type":"Late"},{"body":"e30="}]})")) ==
        "Late {}");
  CHECK(text_of(world.invoke(R"({"do":"stream","steps":[]})")).empty());
  CHECK(text_of(world.invoke(R"({"do":"stream","steps":[{"bytes":6291556}]})")).size() == kMaxResponseBytes);
  CHECK(text_of(world.invoke(R"({"do":"stream","steps":[{"bytes":6291557}]})"))
            .starts_with("Function.ResponseSizeTooLarge "));
}

TEST_CASE("a function that does not stream begins no stream") {
  Streaming streaming;
  Invocation invocation;
  invocation.request_id = "7e1f4d36-2d4b-4a3b-9a58-52a6f8f3f3f1";
  invocation.payload = R"({"n":1})";
  invocation.response_sink = streaming.caller;
  CHECK(text_of(streaming.world.wait(streaming.world.begin(std::move(invocation)))) == R"({"n":1})");
  CHECK(streaming.caller->begun == 0);
}

TEST_CASE("a caller who does not read stops the function, and nothing piles up") {
  Streaming streaming([](EmulatorSettings& settings) { settings.streaming.burst_bytes = 64U << 20U; });
  streaming.caller->holds = true;
  const std::size_t call = streaming.begin(R"({"bytes":33554432},{"write":"end"})");
  streaming.world.run_until([&] { return streaming.caller->writes == 1; });
  // All that is on its way: one write, and what fits into the socket.
  streaming.world.io().restart();
  while (streaming.world.io().poll() > 0) {
  }
  CHECK(streaming.caller->writes == 1);
  CHECK(streaming.caller->text.size() <= 128U << 10U);
  streaming.caller->read_on();
  CHECK(kind(streaming.world.wait(call)) == "success");
  CHECK(streaming.caller->text.size() == (32U << 20U) + 3);
}

TEST_CASE("a stream has a largest size") {
  Streaming streaming([](EmulatorSettings& settings) { settings.streaming.bytes_max = 100; });
  CHECK(kind(streaming.call(R"({"bytes":60},{"bytes":40})")) == "success");
  CHECK(text_of(streaming.call(R"({"bytes":60},{"bytes":41})")) ==
        R"(Function.ResponseSizeTooLarge {"errorMessage":"Response payload size exceeded maximum allowed payload size )"
        R"((100 bytes).","errorType":"Function.ResponseSizeTooLarge"})");
}

TEST_CASE("a function that ends, hangs or breaks off in the middle of its stream") {
  Streaming streaming([](EmulatorSettings& settings) { settings.timeout = 1s; });
  // What it writes as it ends may come too late.
  const std::size_t ends = streaming.begin(R"({"write":"a"},{"gate":1},{"exit":3})");
  streaming.world.run_until([&] { return streaming.caller->text == "a"; });
  streaming.open_gate();
  CHECK(text_of(streaming.world.wait(ends)).ends_with("Error: Runtime exited with error: exit status 3\"}"));
  CHECK(text_of(streaming.call(R"({"write":"b"},{"hang":1})")).starts_with("Sandbox.Timedout "));
  CHECK(text_of(streaming.call(R"({"write":"c"},{"close":1})")).starts_with("Runtime.TruncatedResponse "));
  CHECK(streaming.caller->text == "abc");
  CHECK(text_of(streaming.world.invoke(R"({"n":1})")) == R"({"n":1})");
}

TEST_CASE("an error cannot be posted any more when the response has begun") {
  Streaming streaming;
  const std::size_t call = streaming.begin(R"({"write":"a"},{"gate":1},{"error":1})");
  streaming.world.run_until([&] { return streaming.caller->text == "a"; });
  streaming.open_gate();
  CHECK(kind(streaming.world.wait(call)) == "success");
  streaming.world.wait_for_log("error 403");
}

TEST_CASE("the pace of a stream: a burst, then so much a second, and what was saved may be spent again") {
  const Instant begin{};
  StreamPace pace(StreamLimits{1000, 100, 10}, begin);
  CHECK(pace.on_bytes(begin, 100) == 0s);
  CHECK(pace.on_bytes(begin, 5) == 500ms);
  CHECK(pace.on_bytes(begin + 500ms, 10) == 1s);
  // A minute later no more than the burst is free.
  CHECK(pace.on_bytes(begin + 1min, 100) == 0s);
  CHECK(pace.on_bytes(begin + 1min, 1) == 100ms);
}
