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

/// A queue in memory: it gives what waits, and long polls for ever.
class FakeQueue final : public QueueSource {
 public:
  explicit FakeQueue(net::any_io_executor executor) : changed_(executor, net::steady_timer::time_point::max()) {}

  net::awaitable<Result<QueueTraits>> describe() override {
    if (gone) co_return Error(ErrorCode::kSourceNotFound, "no such queue");
    co_return traits;
  }
  net::awaitable<Result<std::vector<QueueMessage>>> receive(ReceiveLimits limits) override {
    if (!failures.empty()) {
      Error failure = failures.front();
      failures.pop_front();
      co_return failure;
    }
    if (waiting.empty()) {
      boost::system::error_code woken;
      co_await changed_.async_wait(net::redirect_error(net::use_awaitable, woken));
      co_return Error(ErrorCode::kCancelled, "called off");
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
  net::awaitable<Result<std::vector<bool>>> change_visibility(std::vector<std::string> receipts, Duration) override {
    for (const std::string& receipt : receipts) released += receipt + " ";
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

  QueueTraits traits;
  std::deque<std::string> waiting;
  std::deque<Error> failures;
  std::string removed, released;
  std::function<void()> on_removed;
  bool gone = false;
  bool closed = false;

 private:
  net::steady_timer changed_;
};

struct World {
  World() : queue(context.get_executor()), endpoint(context.get_executor()), invoker(10) {
    REQUIRE(invoker.add("f", endpoint, std::nullopt));
    settings.maximum_concurrency = 2;
    settings.batch_size = 10;
    queue.on_removed = [this] { runner->request_stop(); };
  }
  Result<void> run(std::optional<Duration> function_timeout = std::nullopt) {
    runner.emplace(bridge::QueueDeps{context.get_executor(), queue, invoker, null_log(), clock, "f"}, "mail", settings,
                   function_timeout, 7);
    return test::run(context, runner->run());
  }

  net::io_context context;
  SystemClock clock;
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
