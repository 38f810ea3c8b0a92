// How destinations are asked: what lets its callers wait and then fails is left alone for a while.
#include "bridge/destinations.h"

#include <array>

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <catch2/catch.hpp>

#include "support/fake_clock.h"
#include "support/run_coroutine.h"

using namespace weir;
using namespace std::chrono_literals;

namespace {

/// What the next call comes to, and how long it takes.
struct Script {
  test::FakeClock clock;
  Duration takes{0};
  std::optional<ErrorCode> fails;
  int calls = 0;
};
Script* script = nullptr;

class Scripted final : public Destination {
 public:
  net::awaitable<Result<void>> deliver(DestinationRecord) override {
    ++script->calls;
    script->clock.advance(script->takes);
    if (script->fails) co_return Error(*script->fails, "no answer");
    co_return Result<void>();
  }
  net::awaitable<void> close() override { co_return; }
};

constexpr std::array kTable{DestinationEntry{
    "sqs", "a queue", nullptr, [](std::string, DestinationContext) -> Result<std::unique_ptr<Destination>> {
      return std::make_unique<Scripted>();
    }}};

class Quiet final : public Log {
 public:
  void write(LogLevel, std::string_view, std::span<const LogField>) override {}
};

struct World {
  World() { script = &said; }

  /// "taken", or how it failed.
  std::string deliver(const std::string& destination) {
    std::string result;
    test::run(context, delivered(destination, result));
    return result;
  }
  net::awaitable<void> delivered(std::string destination, std::string& result) {
    DestinationRecord record;
    auto done = co_await destinations.deliver(std::move(destination), std::move(record), nullptr);
    result = done ? "taken" : done.error().message();
  }

  Script said;
  net::io_context context{1};
  net::thread_pool blocking{1};
  Quiet log;
  bridge::Destinations destinations{
      {context.get_executor(), blocking.get_executor(), AwsAccess(), kTable, log, said.clock}, nullptr};
};

}  // namespace

TEST_CASE("a destination that fails after a long wait is left alone for 10 s, then asked again") {
  World world;
  world.said.takes = 2s;
  world.said.fails = ErrorCode::kDestinationFailed;
  CHECK(world.deliver("sqs:slow") == "no answer");
  CHECK(world.deliver("sqs:slow") == "it is left alone for some seconds, since it failed: no answer");
  CHECK(world.said.calls == 1);
  world.said.clock.advance(10s - 1ms);
  CHECK(world.deliver("sqs:slow") != "no answer");
  CHECK(world.said.calls == 1);
  world.said.clock.advance(1ms);
  world.said.takes = 0s;
  world.said.fails.reset();
  CHECK(world.deliver("sqs:slow") == "taken");
  CHECK(world.deliver("sqs:slow") == "taken");
  CHECK(world.said.calls == 3);
}

TEST_CASE("who has something to tell a destination can wait until it is asked again, so that no try is lost on it") {
  World world;
  const auto left_alone = [&] { return world.destinations.left_alone_until("sqs:slow", nullptr); };
  CHECK(left_alone() == Instant::min());
  world.said.takes = 2s;
  world.said.fails = ErrorCode::kDestinationFailed;
  world.deliver("sqs:slow");
  CHECK(left_alone() == world.said.clock.now().instant + 10s);
  world.said.clock.advance(10s);
  world.said.takes = 0s;
  world.said.fails.reset();
  CHECK(world.deliver("sqs:slow") == "taken");
  CHECK(left_alone() == Instant::min());
}

TEST_CASE("a destination that fails at once, or that refuses, is asked every time; so is another beside a slow one") {
  World world;
  world.said.takes = 2s - 1ns;
  world.said.fails = ErrorCode::kDestinationFailed;
  world.deliver("sqs:quick");
  world.deliver("sqs:quick");
  CHECK(world.said.calls == 2);
  world.said.takes = 3s;
  world.said.fails = ErrorCode::kDestinationForbidden;
  world.deliver("sqs:forbids");
  world.deliver("sqs:forbids");
  CHECK(world.said.calls == 4);
  world.said.fails = ErrorCode::kDestinationFailed;
  world.deliver("sqs:slow");
  world.deliver("sqs:slow");
  CHECK(world.said.calls == 5);
  world.said.fails.reset();
  CHECK(world.deliver("sqs:other") == "taken");
}
