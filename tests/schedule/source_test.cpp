#include "connectors/schedule/source.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <catch2/catch.hpp>

#include "connectors/schedule/connector.h"
#include "schedule/zones.h"
#include "support/fake_clock.h"

using namespace weir;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

namespace {

/// Keeps events and notes together or not at all, as the store does; can refuse.
class Sink final : public EventSink {
 public:
  net::awaitable<Result<std::string>> accept(std::string payload, std::optional<SourceNote> note) override {
    co_await net::post(net::use_awaitable);
    if (!refusals.empty()) {
      const ErrorCode code = refusals.back();
      refusals.pop_back();
      co_return Error(code, "the test refuses this");
    }
    if (note) kept[note->key] = note->value.value_or("");
    payloads.push_back(std::move(payload));
    co_return "request";
  }
  net::awaitable<Result<void>> remember(std::vector<SourceNote> notes) override {
    for (const SourceNote& note : notes) kept[note.key] = note.value.value_or("");
    co_return Result<void>();
  }
  net::awaitable<Result<std::map<std::string, std::string>>> notes() override { co_return kept; }

  std::vector<std::string> payloads;
  std::map<std::string, std::string> kept;
  std::vector<ErrorCode> refusals;  ///< the last one comes first
};

class Notebook final : public Log {
 public:
  void write(LogLevel, std::string_view event, std::span<const LogField>) override {
    events += (events.empty() ? "" : " ") + std::string(event);
  }
  std::string events;
};

/// A source whose life ends and begins anew, over one sink and a clock that is turned by hand: it begins at
/// 2026-09-12T08:00:00Z.
struct World {
  explicit World(std::string_view text, schedule::Missed missed = schedule::Missed::kOnce,
                 scheduled::Kind kind = scheduled::Kind::kScheduler) {
    config = std::make_shared<scheduled::ScheduleConfig>();
    config->name = "tick";
    config->kind = kind;
    config->missed = missed;
    config->schedule.emplace(schedule::Schedule{test::expression(text), test::zone("UTC"), std::nullopt, std::nullopt});
    config->input = R"("<aws.scheduler.scheduled-time>")";
    begin();
  }
  ~World() { end(); }

  void begin() {
    scheduled::ScheduleTuning tuning;
    tuning.look_again = tuning.patience_min = tuning.patience_max = std::chrono::milliseconds(1);
    source = std::make_unique<scheduled::ScheduleSource>(
        config, SourceContext{"tick", context.get_executor(), context.get_executor(), log, clock}, tuning);
    ended = false;
    context.restart();
    net::co_spawn(context, source->run(sink),
                  net::bind_cancellation_slot(stop.slot(), [this](std::exception_ptr, Result<void> result) {
                    ended = true;
                    last = std::move(result);
                  }));
    settle();
  }
  void end() {
    stop.emit(net::cancellation_type::terminal);
    while (!ended) context.run_one();
    source.reset();
  }
  /// Until the source has looked at the clock some times.
  void settle() {
    for (int i = 0; i < 20 && !ended; ++i) context.run_one();
  }
  void pass(Duration time) {
    clock.advance(time);
    settle();
  }
  void stop_for(Duration time) {
    end();
    clock.advance(time);
    begin();
  }
  /// "08:05 08:10": which runs were handed over.
  std::string ran() const {
    std::string text;
    for (const std::string& payload : sink.payloads) text += (text.empty() ? "" : " ") + payload.substr(12, 5);
    return text;
  }

  net::io_context context;
  test::FakeClock clock;
  Notebook log;
  Sink sink;
  net::cancellation_signal stop;
  std::shared_ptr<scheduled::ScheduleConfig> config;
  std::unique_ptr<scheduled::ScheduleSource> source;
  bool ended = false;
  Result<void> last;
};

}  // namespace

TEST_CASE("a source runs when its time comes, once") {
  World world("cron(0/5 * * * ? *)");
  CHECK(world.ran() == "08:00");
  world.pass(minutes(4) + seconds(59));
  CHECK(world.ran() == "08:00");
  world.pass(seconds(1));
  CHECK(world.ran() == "08:00 08:05");
  world.pass(seconds(30));
  CHECK(world.ran() == "08:00 08:05");
}

TEST_CASE("what ran is not run again after a restart, and what was missed is as it was asked for") {
  World world("cron(0/5 * * * ? *)", schedule::Missed::kAll);
  world.stop_for(seconds(10));
  CHECK(world.ran() == "08:00");
  world.stop_for(minutes(12));
  CHECK(world.ran() == "08:00 08:05 08:10");
  CHECK(world.log.events.empty());

  World once("cron(0/5 * * * ? *)");
  once.stop_for(minutes(17));
  CHECK(once.ran() == "08:00 08:15");
  CHECK(once.log.events == "schedule.runs_missed");
}

TEST_CASE("a rate begins with the first start and keeps its rhythm over restarts") {
  World world("rate(10 minutes)", schedule::Missed::kSkip, scheduled::Kind::kRule);
  CHECK(world.ran().empty());
  CHECK(world.sink.kept.at("plan") == "1789200000 1789200000 rule rate(10 minutes) UTC");
  world.stop_for(minutes(9));
  CHECK(world.sink.payloads.empty());
  world.pass(minutes(1));
  CHECK(world.sink.payloads.size() == 1);
  CHECK(world.sink.kept.at("plan") == "1789200000 1789200600 rule rate(10 minutes) UTC");
}

TEST_CASE("a run that the store refuses for now comes later, its note with it") {
  World world("cron(0/5 * * * ? *)");
  world.sink.refusals = {ErrorCode::kStoreFull, ErrorCode::kStoreFull, ErrorCode::kStoreFailed};
  world.pass(minutes(5));
  CHECK(world.ran() == "08:00 08:05");
  CHECK(world.log.events == "schedule.paused schedule.resumed");
  world.stop_for(seconds(1));
  CHECK(world.ran() == "08:00 08:05");
}

TEST_CASE("a run that no queue takes is given up, and the next one comes") {
  World world("cron(0/5 * * * ? *)");
  world.sink.refusals = {ErrorCode::kEventRefused};
  world.pass(minutes(5));
  CHECK(world.ran() == "08:00");
  CHECK(world.log.events == "schedule.run_refused");
  world.stop_for(seconds(1));
  CHECK(world.ran() == "08:00");
  world.pass(minutes(5));
  CHECK(world.ran() == "08:00 08:10");
}

TEST_CASE("a source that is told to stop by its sink ends without an error of its own") {
  World world("cron(0/5 * * * ? *)");
  world.sink.refusals = {ErrorCode::kCancelled};
  world.pass(minutes(5));
  CHECK(world.ended);
  REQUIRE(world.last.has_error());
  CHECK(world.last.error().code() == ErrorCode::kCancelled);
}

TEST_CASE("another schedule begins anew, and a note that nobody wrote is none") {
  World world("cron(0/5 * * * ? *)", schedule::Missed::kAll);
  world.end();
  world.clock.advance(hours(1));
  const auto text = GENERATE(as<std::string>(), "1789200000 1789200000 scheduler rate(1 day) UTC", "", "x", "1", "1 ",
                             "1 2", "1 2x", "99999999999999999999 1 scheduler cron(0/5 * * * ? *) UTC");
  world.sink.kept["plan"] = text;
  world.begin();
  CHECK(world.ran() == "08:00 09:00");
  CHECK(world.sink.kept.at("plan") == "1789203600 1789203600 scheduler cron(0/5 * * * ? *) UTC");
}

TEST_CASE("the end of a schedule is told once, and a source without runs goes on waiting") {
  World world("at(2026-09-12T08:10:00)");
  CHECK(world.log.events.empty());
  world.pass(minutes(10));
  CHECK(world.ran() == "08:10");
  CHECK(world.log.events == "schedule.ended");
  world.pass(hours(1));
  CHECK(world.ran() == "08:10");
  CHECK(world.log.events == "schedule.ended");
  CHECK_FALSE(world.ended);
}
