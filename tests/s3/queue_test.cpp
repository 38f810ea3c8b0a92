// A queue that is polled for a bucket's notifications.
#include <deque>
#include <optional>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <catch2/catch.hpp>

#include "connectors/s3/eventbridge.h"
#include "connectors/s3/source.h"
#include "s3/fake_sink.h"
#include "support/fake_clock.h"

using namespace weir;
using nlohmann::json;

namespace {

/// What a queue was asked, and what it says.
struct FakeQueue {
  std::deque<std::vector<QueueMessage>> messages;  ///< a receive waits for them, until the queue is closed
  std::string removed;                             ///< "r1 r2"
  std::optional<ErrorCode> fails;
  bool closed = false;
  bool receiving = false;
  net::steady_timer* waiting = nullptr;

  void wake() {
    if (waiting != nullptr) waiting->cancel();
  }
};

class FakeQueueSource final : public QueueSource {
 public:
  FakeQueueSource(FakeQueue& queue, net::any_io_executor executor) : queue_(queue), executor_(std::move(executor)) {}

  net::awaitable<Result<QueueTraits>> describe() override {
    if (queue_.fails) co_return Error(*queue_.fails, "the test refuses this");
    co_return QueueTraits();
  }
  net::awaitable<Result<std::vector<QueueMessage>>> receive(ReceiveLimits limits) override {
    CHECK(limits.max_messages == 10);
    CHECK(limits.wait == std::chrono::seconds(5));
    net::steady_timer timer(executor_, net::steady_timer::time_point::max());
    queue_.waiting = &timer;
    queue_.receiving = true;
    while (queue_.messages.empty() && !queue_.closed) {
      boost::system::error_code woken;
      co_await timer.async_wait(net::redirect_error(net::use_awaitable, woken));
    }
    queue_.receiving = false;
    queue_.waiting = nullptr;
    if (queue_.messages.empty()) co_return Error(ErrorCode::kCancelled, "the queue is closed");
    std::vector<QueueMessage> next = std::move(queue_.messages.front());
    queue_.messages.pop_front();
    co_return next;
  }
  net::awaitable<Result<std::vector<bool>>> remove(std::vector<std::string> receipts) override {
    for (const std::string& receipt : receipts) queue_.removed += (queue_.removed.empty() ? "" : " ") + receipt;
    co_return std::vector<bool>(receipts.size(), true);
  }
  net::awaitable<Result<std::vector<bool>>> change_visibility(std::vector<std::string>, Duration) override {
    co_return Error(ErrorCode::kInternal, "nobody asks for this");
  }
  std::optional<std::int64_t> backlog() const override { return std::nullopt; }
  void write_event(std::span<const QueueMessage* const>, std::string&) const override {}
  void write_filter_view(const QueueMessage&, bool, FilterView&) const override {}
  net::awaitable<void> close() override {
    queue_.closed = true;
    queue_.wake();
    co_return;
  }

 private:
  FakeQueue& queue_;
  net::any_io_executor executor_;
};

FakeQueue* the_queue = nullptr;  // of the test that runs

/// Remembers what was logged, with what it says of a reason.
class Notebook final : public Log {
 public:
  void write(LogLevel, std::string_view event, std::span<const LogField> fields) override {
    std::string line(event);
    for (const LogField& field : fields) {
      if (field.key == "messages") line += " " + std::to_string(std::get<std::int64_t>(field.value));
    }
    lines.push_back(std::move(line));
  }
  std::vector<std::string> lines;
};

class World {
 public:
  explicit World(s3::PollTuning tuning = {std::chrono::hours(1), Duration(0)}) {
    the_queue = &queue;
    auto config = std::make_shared<s3::S3Config>();
    config->name = "up";
    config->bucket = "photos";
    config->region = "eu-west-1";
    config->rules = s3::EventRules({"s3:ObjectCreated:*"}, "in/", "");
    config->queue_name = "q";
    config->queue = std::make_shared<SourceConfig>();
    config->queues.make = [](std::shared_ptr<const SourceConfig>, SourceContext context) {
      return std::unique_ptr<QueueSource>(std::make_unique<FakeQueueSource>(*the_queue, context.executor));
    };
    source_ = std::make_unique<s3::S3Source>(
        config, SourceContext{"up", io_.get_executor(), io_.get_executor(), log, clock}, s3::FolderTuning(), tuning);
  }
  void begin() {
    net::co_spawn(io_, source_->run(sink),
                  net::bind_cancellation_slot(stop_.slot(), [this](const std::exception_ptr& failed, Result<void> end) {
                    CHECK_FALSE(failed);
                    ended = end ? "stopped" : std::string(text(end.error().code()));
                  }));
    go_on();
  }
  void stop() {
    stop_.emit(net::cancellation_type::all);
    go_on();
  }
  /// One receive brings these; their receipts are 1, 2 ... over all.
  void bring(const std::vector<std::string>& bodies) {
    std::vector<QueueMessage> messages;
    for (const std::string& body : bodies) {
      QueueMessage& message = messages.emplace_back();
      message.receipt = std::to_string(++number_);
      message.body = body;
    }
    queue.messages.push_back(std::move(messages));
    queue.wake();
    go_on();
  }

  FakeQueue queue;
  test::FakeClock clock;
  Notebook log;
  test::FakeSink sink;
  std::string ended;

 private:
  void go_on() {
    do {
      io_.restart();
      io_.poll();
    } while (io_.poll_one() > 0);
  }

  net::io_context io_;
  net::cancellation_signal stop_;
  std::unique_ptr<s3::S3Source> source_;
  int number_ = 0;
};

std::string notification(std::string_view key, std::string_view event = "ObjectCreated:Put",
                         std::string_view bucket = "photos") {
  return json{{"Records",
               {{{"eventVersion", "2.1"},
                 {"eventName", event},
                 {"s3", {{"bucket", {{"name", bucket}}}, {"object", {{"key", key}, {"size", 1}}}}}}}}}
      .dump();
}
std::string published(const std::string& message) {
  return json{{"Type", "Notification"}, {"TopicArn", "arn:aws:sns:us-east-1:1:t"}, {"Message", message}}.dump();
}
std::string of_a_rule(const std::string& key) {
  s3::ObjectEvent event;
  event.name = "s3:ObjectCreated:Put";
  event.bucket = "photos";
  event.key = key;
  return s3::eventbridge_event(event);
}

}  // namespace

TEST_CASE("a queue's messages become the bucket's events, whatever they came through, and are deleted") {
  World world;
  world.begin();
  world.bring({notification("in/a"), published(notification("in/b")), of_a_rule("in/c")});
  CHECK(world.sink.told() == "Put in/a, Put in/b, Put in/c");
  CHECK(world.queue.removed == "1 2 3");
  world.bring({});
  world.bring({notification("in/d")});
  CHECK(world.sink.payloads.size() == 4);
  CHECK(world.queue.removed == "1 2 3 4");
  CHECK(world.ended.empty());
}

TEST_CASE("what is not wanted is deleted, and so is Amazon's test event") {
  World world;
  world.begin();
  world.bring({notification("out/a"), notification("in/a", "ObjectRemoved:Delete"),
               notification("in/a", "ObjectCreated:Put", "other"),
               R"({"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"photos"})"});
  CHECK(world.sink.payloads.empty());
  CHECK(world.queue.removed == "1 2 3 4");
  CHECK(world.log.lines == std::vector<std::string>{"notification.left_out", "notification.test"});
}

TEST_CASE("what holds nothing of S3 is left to the queue, and told of once a minute") {
  World world;
  world.begin();
  world.bring({"hello", published("hello"), R"({"Records":[]})", notification("in/a")});
  CHECK(world.queue.removed == "4");
  CHECK(world.log.lines == std::vector<std::string>{"message.left 1"});
  world.clock.advance(std::chrono::seconds(59));
  world.bring({"hello"});
  CHECK(world.log.lines.size() == 1);
  world.clock.advance(std::chrono::seconds(1));
  world.bring({"hello"});
  CHECK(world.log.lines == std::vector<std::string>{"message.left 1", "message.left 4"});
  CHECK(world.queue.removed == "4");
}

TEST_CASE("a message is deleted only when all that is wanted of it is kept") {
  World world;
  world.begin();
  world.sink.refuse_next(1, ErrorCode::kStoreFull);
  json two = json::parse(notification("in/a"));
  two["Records"].push_back(json::parse(notification("in/b"))["Records"][0]);
  world.bring({two.dump(), notification("in/c")});
  CHECK(world.sink.told() == "Put in/b, Put in/c");
  CHECK(world.queue.removed == "2");
  CHECK(world.ended == "store.full");  // and is made again after a while
  CHECK(world.queue.closed);
}

TEST_CASE("an event that no queue would take is told of, and its message deleted") {
  World world;
  world.begin();
  world.sink.refuse_next(1, ErrorCode::kEventRefused);
  world.bring({notification("in/a")});
  CHECK(world.queue.removed == "1");
  CHECK(world.log.lines == std::vector<std::string>{"notification.left_out"});
  CHECK(world.ended.empty());
}

TEST_CASE("a stop waits for the receive that is under way, and for what it brings") {
  World world;
  world.begin();
  world.stop();
  CHECK(world.ended.empty());
  CHECK_FALSE(world.queue.closed);
  world.bring({notification("in/a")});
  CHECK(world.sink.told() == "Put in/a");
  CHECK(world.queue.removed == "1");
  CHECK(world.ended == "stopped");
  CHECK(world.queue.closed);
}

TEST_CASE("a stop waits no longer than its patience") {
  World world({Duration(0), Duration(0)});
  world.begin();
  CHECK(world.queue.receiving);
  world.stop();
  CHECK(world.queue.closed);
  CHECK(world.ended == "stopped");
}

TEST_CASE("a source whose queue is not there ends with that") {
  World world;
  world.queue.fails = ErrorCode::kSourceNotFound;
  world.begin();
  CHECK(world.ended == "source.not_found");
}
