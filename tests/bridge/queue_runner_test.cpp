#include "bridge/queue_runner.h"

#include <deque>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <catch2/catch.hpp>

#include "bridge/batch_response.h"
#include "fakes.h"
#include "pattern/filter_criteria.h"
#include "support/print.h"
#include "support/run_coroutine.h"

using namespace weir;
using namespace std::chrono_literals;
using bridge::read_item_failures;
using Kind = engine::ItemFailures::Kind;

namespace {

/// The system's, and as much later as a test says.
class LaterClock final : public Clock {
 public:
  Moment now() const override {
    Moment now = system_.now();
    now.instant += later;
    now.wall += later;
    return now;
  }
  Duration later{0};

 private:
  SystemClock system_;
};

/// Keeps the names of log events, in order.
class KeptLog final : public Log {
 public:
  void write(LogLevel level, std::string_view event, std::span<const LogField>) override {
    if (level != LogLevel::kDebug) events.append(event).append(" ");
  }
  std::string events;
};

/// A queue in memory: it gives what waits, and else long polls until end_polls().
class FakeQueue final : public QueueSource {
 public:
  explicit FakeQueue(net::any_io_executor executor) : changed_(executor, net::steady_timer::time_point::max()) {}

  net::awaitable<Result<QueueTraits>> describe() override {
    ++describes;
    if (gone) co_return Error(ErrorCode::kSourceNotFound, "no such queue");
    co_return traits;
  }
  net::awaitable<Result<std::vector<QueueMessage>>> receive(ReceiveLimits limits) override {
    if (on_receive) on_receive(++receives);
    if (!failures.empty()) {
      Error failure = failures.front();
      failures.pop_front();
      co_return failure;
    }
    if (waiting.empty()) {
      boost::system::error_code woken;
      co_await changed_.async_wait(net::redirect_error(net::use_awaitable, woken));
      if ((co_await net::this_coro::cancellation_state).cancelled() != net::cancellation_type::none) {
        ++called_off;
        co_return Error(ErrorCode::kCancelled, "called off");
      }
    }
    std::vector<QueueMessage> given;
    while (!waiting.empty() && given.size() < limits.max_messages) {
      QueueMessage message;
      message.id = message.receipt = message.body = waiting.front();
      message.json = '"' + waiting.front() + '"';
      waiting.pop_front();
      given.push_back(std::move(message));
    }
    co_return given;
  }
  net::awaitable<Result<std::vector<bool>>> remove(std::vector<std::string> receipts) override {
    for (const std::string& receipt : receipts) removed += receipt + " ";
    if (on_removed) on_removed();
    co_return std::vector<bool>(receipts.size(), true);
  }
  net::awaitable<Result<std::vector<bool>>> change_visibility(std::vector<std::string> receipts,
                                                              Duration timeout) override {
    for (const std::string& receipt : receipts) released += receipt + " ";
    released_for = timeout;
    co_return std::vector<bool>(receipts.size(), true);
  }
  std::optional<std::int64_t> backlog() const override { return 3; }
  void write_event(std::span<const QueueMessage* const> messages, std::string& out) const override {
    out += "[";
    for (const QueueMessage* message : messages) {
      if (message != messages.front()) out += ',';
      out += message->json;
    }
    out += "]";
  }
  void write_filter_view(const QueueMessage& message, bool, FilterView& out) const override { out.body = message.body; }
  net::awaitable<void> close() override {
    closed = true;
    co_return;
  }

  /// Each poll gives what waits, if anything does.
  void end_polls() { changed_.cancel(); }
  void end_one_poll() { changed_.cancel_one(); }

  QueueTraits traits;
  std::deque<std::string> waiting;
  std::deque<Error> failures;
  std::string removed, released;
  Duration released_for{0};
  std::function<void()> on_removed;
  std::function<void(int)> on_receive;  ///< with how many there have been
  int receives = 0;
  int describes = 0;
  int called_off = 0;
  bool gone = false;
  bool closed = false;

 private:
  net::steady_timer changed_;
};

struct World {
  World() : queue(context.get_executor()), endpoint(context.get_executor()), invoker(10, clock, 1) {
    REQUIRE(invoker.add("f", endpoint, std::nullopt));
    settings.maximum_concurrency = 2;
    settings.batch_size = 10;
    queue.on_removed = [this] { stop(); };
  }
  Result<void> run(std::optional<Duration> function_timeout = std::nullopt) {
    runner.emplace(bridge::QueueDeps{context.get_executor(), queue, invoker, log, clock, "f"}, "mail", settings,
                   function_timeout, 7);
    return test::run(context, runner->run());
  }
  void stop() {
    runner->request_stop();
    queue.end_polls();
  }
  /// When everything that is ready has been done.
  void then(std::function<void()> what) {
    net::post(context, [this, what] { net::post(context, what); });
  }

  net::io_context context;
  LaterClock clock;
  KeptLog log;
  FakeQueue queue;
  test::FakeEndpoint endpoint;
  bridge::Invoker invoker;
  MappingSettings settings;
  std::optional<bridge::QueueRunner> runner;
};

}  // namespace

TEST_CASE("messages are invoked and deleted, then it stops when it is told") {
  World world;
  world.queue.waiting = {"a", "b", "c"};
  CHECK(world.run());
  CHECK(world.endpoint.calls == std::vector<std::string>{R"(["a","b","c"])"});
  CHECK(world.queue.removed == "a b c ");
  CHECK(world.queue.closed);
  const bridge::QueueStatus status = world.runner->status();
  CHECK(status.counters.deleted_events == 3);
  CHECK(status.held == 0);
  CHECK(status.backlog == 3);
}

TEST_CASE("what the function reports stays") {
  World world;
  world.settings.report_batch_item_failures = true;
  world.queue.waiting = {"a", "b", "c"};
  world.endpoint.answer_next(Outcome(Succeeded{R"({"batchItemFailures":[{"itemIdentifier":"b"}]})"}));
  CHECK(world.run());
  CHECK(world.queue.removed == "a c ");
}

TEST_CASE("without ReportBatchItemFailures nobody reads the answer") {
  World world;
  world.queue.waiting = {"a"};
  world.endpoint.answer_next(Outcome(Succeeded{R"({"batchItemFailures":[{"itemIdentifier":"a"}]})"}));
  CHECK(world.run());
  CHECK(world.queue.removed == "a ");
}

TEST_CASE("a queue whose visibility timeout is shorter than the function's is refused in AWS's words") {
  World world;
  world.queue.traits.visibility_timeout = 30s;
  const auto ended = world.run(31s);
  REQUIRE(!ended);
  CHECK(ended.error().code() == ErrorCode::kSourceFailed);
  CHECK(ended.error().message() == "Queue visibility timeout: 30 seconds is less than Function timeout: 31 seconds");
  CHECK(world.queue.closed);
  World fits;
  fits.queue.traits.visibility_timeout = 30s;
  fits.queue.waiting = {"a"};
  CHECK(fits.run(30s));
}

TEST_CASE("a queue that is not there fails the source; one that does not answer for a moment does not") {
  World world;
  world.queue.gone = true;
  CHECK(world.run().error().code() == ErrorCode::kSourceNotFound);
  World deleted;
  deleted.queue.failures = {Error(ErrorCode::kSourceNotFound, "deleted")};
  CHECK(deleted.run().error().code() == ErrorCode::kSourceNotFound);
  World restarted;
  restarted.queue.failures = {Error(ErrorCode::kSourceUnreachable, "nobody"),
                              Error(ErrorCode::kSourceUnreachable, "nobody")};
  restarted.queue.waiting = {"a"};
  CHECK(restarted.run());
  CHECK(restarted.queue.removed == "a ");
  CHECK(restarted.runner->status().counters.receive_failures == 2);
}

TEST_CASE("a stop waits for the polls under way, and gives back what they bring") {
  World world;
  world.queue.on_receive = [&](int receives) {
    if (receives != 2) return;
    world.then([&] {
      world.runner->request_stop();
      world.then([&] {
        CHECK(world.queue.called_off == 0);
        CHECK_FALSE(world.queue.closed);
        // Of two polls the first gets it.
        world.queue.waiting = {"late"};
        world.queue.end_polls();
      });
    });
  };
  CHECK(world.run());
  CHECK(world.endpoint.calls.empty());
  CHECK(world.queue.released == "late ");
  CHECK(world.queue.removed.empty());
  CHECK(world.queue.called_off == 0);
  CHECK(world.runner->status().held == 0);
}

TEST_CASE("what is given back while polls are under way stays invisible until their time is over") {
  World world;
  world.queue.on_receive = [&](int receives) {
    if (receives != 2) return;
    world.then([&] {
      world.runner->request_stop();
      world.queue.waiting = {"late"};
      world.queue.end_one_poll();
      world.then([&] { world.then([&] { world.queue.end_polls(); }); });
    });
  };
  CHECK(world.run());
  CHECK(world.queue.released == "late ");
  // 5 s of a poll, and one that it may be behind.
  CHECK(world.queue.released_for > 4s);
  CHECK(world.queue.released_for <= 6s);
}

TEST_CASE("a poll that does not end is called off when its time is over, and all at the end of patience") {
  for (const bool patient : {true, false}) {
    INFO("patient: " << patient);
    World world;
    world.queue.on_receive = [&](int receives) {
      if (receives != 2) return;
      world.then([&] {
        world.runner->request_stop();
        world.then([&] {
          CHECK(world.queue.called_off == 0);
          if (!patient) return world.runner->cancel();
          world.clock.later = 7s;
          world.runner->request_stop();  // looks at the clock again
        });
      });
    };
    CHECK(world.run());
    CHECK(world.queue.called_off == 2);
    CHECK(world.queue.closed);
  }
}

TEST_CASE("a queue that does not answer for half a minute fails the source; one that answers with an error does not") {
  const auto code = GENERATE(ErrorCode::kSourceUnreachable, ErrorCode::kSourceFailed);
  World world;
  for (int i = 0; i < 4; ++i) world.queue.failures.emplace_back(code, "OverLimit");
  world.queue.on_receive = [&](int receives) {
    if (receives == 3) world.clock.later = 31s;
    if (receives == 4) world.then([&] { world.then([&] { world.then([&] { world.stop(); }); }); });
  };
  const auto ended = world.run();
  CHECK(world.runner->status().counters.receive_failures == 4);
  CHECK(ended.has_value() == (code == ErrorCode::kSourceFailed));
  CHECK(world.runner->status().problem == Error(code, "OverLimit").describe());
}

TEST_CASE("receives that fail are told of once, and as over only when none failed for a while") {
  World world;
  world.queue.on_removed = [&] {
    if (world.queue.removed == "a ") {
      CHECK(world.log.events == "receive.failed ");
      CHECK(world.runner->status().problem == "source.unreachable: only some answer");
      world.queue.failures.emplace_back(ErrorCode::kSourceUnreachable, "only some answer");
      world.queue.waiting = {"b"};
    } else if (world.queue.removed == "a b ") {
      CHECK(world.log.events == "receive.failed ");
      world.clock.later = 10s;
      world.queue.waiting = {"c"};
    } else {
      CHECK(world.log.events == "receive.failed receive.recovered ");
      CHECK(world.runner->status().problem.empty());
      world.runner->request_stop();
    }
    world.queue.end_polls();
  };
  world.queue.failures.emplace_back(ErrorCode::kSourceUnreachable, "only some answer");
  world.queue.waiting = {"a"};
  CHECK(world.run());
}

TEST_CASE("how many messages wait is asked again soon after some came") {
  World world;
  world.queue.waiting = {"a"};
  world.queue.on_removed = [&] {
    CHECK(world.queue.describes == 1);
    world.clock.later = 5s;
    world.then([&] { world.then([&] { world.then([&] { world.stop(); }); }); });
  };
  CHECK(world.run());
  CHECK(world.queue.describes == 2);
}

TEST_CASE("a message that fits no event is told of, once") {
  World world;
  const std::string large(kMaxRequestBytes - 3, 'x');  // with quotes and brackets one byte too many
  world.queue.waiting = {large, large, std::string(kMaxRequestBytes - 4, 'y')};
  CHECK(world.run());
  CHECK(world.log.events == "message.too_large ");
  CHECK(world.endpoint.calls.size() == 1);
}

TEST_CASE("answers of a function whose mapping has ReportBatchItemFailures") {
  struct Row {
    std::string_view answer;
    Kind kind;
    std::vector<std::string> ids;
  };
  // Source: reference stream-sources.md, 5.3.
  const auto row = GENERATE(values<Row>({
      {R"({"batchItemFailures":[]})", Kind::kNone, {}},
      {R"({"batchItemFailures":null})", Kind::kNone, {}},
      {"null", Kind::kNone, {}},
      {"{}", Kind::kNone, {}},
      {"", Kind::kNone, {}},
      {R"({"statusCode":200})", Kind::kNone, {}},
      {R"({"batchItemFailures":[{}]})", Kind::kNone, {}},  // recorded, whatever the guide says
      {R"({"batchItemFailures":[{"itemIdentifier":"a"},{"itemIdentifier":"b"}]})", Kind::kSome, {"a", "b"}},
      {R"({"batchItemFailures":[{},{"itemIdentifier":"a"}]})", Kind::kSome, {"a"}},
      {R"({"batchItemFailures":[{"itemIdentifier":""}]})", Kind::kAll, {}},
      {R"({"batchItemFailures":[{"itemIdentifier":null}]})", Kind::kAll, {}},
      {R"({"batchItemFailures":[{"itemIdentifier":7}]})", Kind::kAll, {}},
      {R"({"batchItemFailures":[{"foo":"notvalid"}]})", Kind::kAll, {}},
      {R"({"batchItemFailures":["a"]})", Kind::kAll, {}},
      {R"({"batchItemFailures":{"itemIdentifier":"a"}})", Kind::kAll, {}},
      {R"({"batchItemFailures":"a"})", Kind::kAll, {}},
      {"{\"batchItemFailures\":[", Kind::kAll, {}},
      {"not JSON", Kind::kAll, {}},
  }));
  INFO(row.answer);
  const engine::ItemFailures failures = read_item_failures(row.answer);
  CHECK(failures.kind == row.kind);
  CHECK(failures.ids == row.ids);
}
