// Subscriptions of enhanced fan-out against a server: where the next one begins, whatever ended the one before.
#include <cstdlib>
#include <map>

#include <boost/asio/thread_pool.hpp>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "aws/environment.h"
#include "connectors/kinesis/fan_out.h"
#include "kinesis/stream_message.h"
#include "kinesis/subscription_server.h"
#include "runtime/task_scope.h"
#include "streams/shard_reader.h"
#include "support/fake_clock.h"
#include "support/temporary_folder.h"

using namespace weir;
using namespace std::chrono_literals;
using kinesis::FanOutApi;
using kinesis::KinesisApi;
using streams::ReadFailure;
using test::subscription_event;
using End = test::SubscriptionServer::End;

namespace {

constexpr const char* kArn = "arn:aws:kinesis:eu-west-1:123456789012:stream/clicks";

std::string name_of(ReadFailure failure) {
  switch (failure) {
    case ReadFailure::kExpiredIterator:
      return "expired";
    case ReadFailure::kTrimmed:
      return "trimmed";
    case ReadFailure::kWrongPosition:
      return "wrong position";
    case ReadFailure::kThrottled:
      return "throttled";
    case ReadFailure::kGone:
      return "gone";
    case ReadFailure::kRefused:
      return "refused";
    case ReadFailure::kUnreachable:
      return "unreachable";
    case ReadFailure::kOther:
      break;
  }
  return "other";
}

/// What reads shards as a consumer of a service at `url`.
struct Consumer {
  Consumer(net::io_context& where, const std::string& url) : context(where) {
    aws::ClientSettings settings;
    settings.name = "clicks";
    settings.service = "kinesis";
    settings.access.region = "eu-west-1";
    settings.access.endpoint_url = url;
    settings.environment = test::environment_of({{"HOME", folder.path()},
                                                 {"AWS_EC2_METADATA_DISABLED", "true"},
                                                 {"AWS_ACCESS_KEY_ID", "AKID"},
                                                 {"AWS_SECRET_ACCESS_KEY", "secret"}});
    auto made = aws::Client::make(context.get_executor(), blocking.get_executor(), settings, null_log(), clock);
    REQUIRE(made.has_value());
    client = std::move(*made);
    kinesis::StreamName stream;
    stream.name = "clicks";
    stream.arn = kArn;
    shards.emplace(*client, stream);
    api.emplace(*client, *shards, std::string(kArn) + "/consumer/c:1", KinesisStream{kArn, "role", "eu-west-1", ""});
  }

  void run_until(const std::function<bool()>& done) {
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    context.restart();
    while (!done() && std::chrono::steady_clock::now() < deadline) context.run_one_for(50ms);
    REQUIRE(done());
  }

  /// One read: "1 2 -> 2" of a page with its continuation, or what it failed with.
  std::string read(const std::string& shard, const std::string& iterator) {
    std::string said;
    net::co_spawn(context, api->get_records(shard, iterator, 10),
                  [&](const std::exception_ptr& thrown, streams::ReadResult<streams::ReadPage> page) {
                    if (thrown) {
                      said = "thrown";
                    } else if (!page) {
                      said = name_of(page.error().failure);
                    } else {
                      for (const Record& record : page->records.records) said += record.position.text() + " ";
                      said += page->next ? "-> " + *page->next : "end";
                    }
                  });
    run_until([&] { return !said.empty(); });
    return said;
  }

  net::io_context& context;
  net::thread_pool blocking{1};
  test::FakeClock clock;
  test::TemporaryFolder folder;
  std::unique_ptr<aws::Client> client;
  std::optional<KinesisApi> shards;
  std::optional<FanOutApi> api;
};

struct World {
  World() : server(context), consumer(context, server.url()) {}
  ~World() { server.close(); }

  void answer(std::string body, End end = End::kPolite, int status = 200) {
    server.answers.push_back({std::move(body), end, status});
  }
  /// Where subscriptions began: "TRIM_HORIZON 7 LATEST ".
  std::string begun() const {
    std::string text;
    for (const std::string& body : server.asked) {
      const auto asked = nlohmann::json::parse(body);
      if (!asked.contains("StartingPosition")) continue;
      const auto& from = asked["StartingPosition"];
      text += from.value("SequenceNumber", from["Type"].get<std::string>()) + " ";
    }
    return text;
  }

  net::io_context context{1};
  test::SubscriptionServer server;
  Consumer consumer;
};

}  // namespace

TEST_CASE("a subscription that ends within a message goes on behind the last whole one") {
  World world;
  const std::string second = subscription_event({6, 7}, "8");
  const std::size_t part =
      GENERATE_COPY(std::size_t{1}, std::size_t{11}, std::size_t{12}, second.size() / 2, second.size() - 1);
  const std::string body = subscription_event({4, 5}, "5") + second.substr(0, part);
  SECTION("cut off") {
    world.answer(body, End::kNever);
    world.answer(second, End::kNever);
    CHECK(world.consumer.read("a", "TRIM_HORIZON") == "4 5 -> 5");
    world.server.cut();
    CHECK(world.consumer.read("a", "5") == "unreachable");
  }
  SECTION("by the service") {
    world.answer(body);
    world.answer(second, End::kNever);
    CHECK(world.consumer.read("a", "TRIM_HORIZON") == "4 5 -> 5");
    CHECK(world.consumer.read("a", "5") == "-> 5");
  }
  CHECK(world.consumer.read("a", "5") == "6 7 -> 8");
  CHECK(world.begun() == "TRIM_HORIZON 5 ");
}

TEST_CASE("a subscription goes on behind its continuation, also where no records came") {
  World world;
  world.answer(subscription_event({4}, "5") + subscription_event({}, "9"));
  world.answer(subscription_event({12}, "12"), End::kNever);
  CHECK(world.consumer.read("a", "3") == "4 -> 5");
  CHECK(world.consumer.read("a", "5") == "-> 9");
  CHECK(world.consumer.read("a", "9") == "-> 9");
  CHECK(world.consumer.read("a", "9") == "12 -> 12");
  CHECK(world.begun() == "3 9 ");
}

TEST_CASE("a stand-in whose subscription says nothing new is asked otherwise whether the shard has ended") {
  World world;
  std::string messages = subscription_event({4}, "4");
  for (int i = 0; i < 10; ++i) messages += subscription_event({}, "4");
  world.answer(messages, End::kNever);
  for (const char* records : {R"({"Records":[],"NextShardIterator":"more"})", R"({"Records":[]})"}) {
    world.answer(R"({"ShardIterator":"behind 4"})");
    world.answer(records);
  }
  CHECK(world.consumer.read("a", "3") == "4 -> 4");
  for (int i = 0; i < 9; ++i) CHECK(world.consumer.read("a", "4") == "-> 4");
  CHECK(world.server.asked.size() == 3);
  CHECK(world.consumer.read("a", "4") == "end");
  CHECK(world.server.asked.size() == 5);
}

TEST_CASE("a subscription that ends without a record is not asked for again at once") {
  World world;
  world.answer("");
  CHECK(world.consumer.read("a", "3") == "throttled");
  world.answer(subscription_event({}, "3"));
  CHECK(world.consumer.read("a", "3") == "-> 3");
  CHECK(world.consumer.read("a", "3") == "throttled");
  CHECK(world.begun() == "3 3 ");
}

TEST_CASE("a broken message ends its subscription, and the next one begins before it") {
  World world;
  std::string broken = subscription_event({6}, "6");
  broken.back() = static_cast<char>(broken.back() ^ 1);
  world.answer(subscription_event({5}, "5") + broken, End::kNever);
  world.answer(subscription_event({6}, "6"), End::kNever);
  CHECK(world.consumer.read("a", "TRIM_HORIZON") == "5 -> 5");
  CHECK(world.consumer.read("a", "5") == "unreachable");
  CHECK(world.consumer.read("a", "5") == "6 -> 6");
  CHECK(world.begun() == "TRIM_HORIZON 5 ");
}

TEST_CASE("a continuation that is no sequence number is none of Kinesis") {
  World world;
  world.answer(subscription_event({5}, GENERATE("LATEST", "SHARD_END", "next", "-1")), End::kNever);
  CHECK(world.consumer.read("a", "TRIM_HORIZON") == "other");
}

TEST_CASE("the end of the stream is subscribed to once: whatever ends that, an iterator of a time is to follow") {
  World world;
  struct Row {
    std::string sentence, body;
    End end;
    int status;
    std::string with_latest, with_time;
  };
  const std::string in_use =
      test::message({{":message-type", "exception"}, {":exception-type", "ResourceInUseException"}}, "{}");
  const Row row = GENERATE_COPY(values<Row>({
      {"the service ends it", "", End::kPolite, 200, "expired", "throttled"},
      {"it is cut off", "", End::kCut, 200, "expired", "unreachable"},
      {"it is cut off within a message", in_use.substr(0, 20), End::kCut, 200, "expired", "unreachable"},
      {"it says that it is over", in_use, End::kNever, 200, "expired", "throttled"},
      {"it is refused for now", R"({"__type":"ResourceInUseException"})", End::kPolite, 400, "expired", "throttled"},
      {"the service fails", "{}", End::kPolite, 500, "expired", "unreachable"},
      {"the consumer is gone", R"({"__type":"ResourceNotFoundException"})", End::kPolite, 400, "gone", "gone"},
      {"it is forbidden", R"({"__type":"AccessDeniedException"})", End::kPolite, 400, "refused", "refused"},
  }));
  DYNAMIC_SECTION(row.sentence) {
    world.answer(row.body, row.end, row.status);
    world.answer(row.body, row.end, row.status);
    CHECK(world.consumer.read("a", "LATEST") == row.with_latest);
    CHECK(world.consumer.read("a", "AT_TIMESTAMP 2026-09-12T08:00:00.000Z") == row.with_time);
  }
}

TEST_CASE("LATEST is left behind with the first message that says where to go on") {
  World world;
  world.answer(subscription_event({}, "7"), End::kNever);
  world.answer(subscription_event({8}, "8"), End::kNever);
  CHECK(world.consumer.read("a", "LATEST") == "-> 7");
  world.server.cut();
  CHECK(world.consumer.read("a", "7") == "unreachable");
  CHECK(world.consumer.read("a", "7") == "8 -> 8");
  CHECK(world.begun() == "LATEST 7 ");
}

namespace {

/// A mapping with one shard that reads from the end of the stream.
struct Mapping final : ShardListener {
  explicit Mapping(World& of) : world(of), scope(of.context.get_executor()) {
    streams::ShardReaderSettings settings;
    settings.source = "clicks";
    settings.starting_position = Resume::latest();
    settings.pace.reads_per_second = 0;
    settings.pace.idle_pause = settings.pace.active_pause = settings.pace.slow_pause_max = 0s;
    settings.pace.backoff_min = settings.pace.backoff_max = 0s;
    reader.emplace(of.context.get_executor(), *of.consumer.api, settings, null_log(), of.consumer.clock, 7);
  }

  void shard_opened(ShardId id) override { scope.spawn(read(std::move(id))); }
  void shard_revoked(const ShardId&, bool) override { FAIL("shards of a stream are not taken away"); }

  net::awaitable<void> read(ShardId id) {
    reader->start(id, std::nullopt, true);
    for (;;) {
      const RecordBatch batch = co_await reader->fetch(id, FetchLimits{100, 1U << 20U});
      for (const Record& record : batch.records) seen += record.position.text() + " ";
    }
  }
  net::awaitable<void> run() {
    const Result<void> result = co_await reader->run(*this);
    over = result ? "stopped" : std::string(text(result.error().code()));
  }
  net::awaitable<void> join() {
    co_await scope.join();
    joined = true;
  }
  void end() {
    scope.cancel();
    net::co_spawn(world.context, join(), net::detached);
    world.consumer.run_until([&] { return joined; });
  }

  World& world;
  runtime::TaskScope scope;
  std::optional<streams::ShardReader> reader;
  std::string seen, over;
  bool joined = false;
};

constexpr const char* kShards =
    R"({"Shards":[{"ShardId":"shardId-0","SequenceNumberRange":{"StartingSequenceNumber":"1"}}]})";

}  // namespace

TEST_CASE("a mapping that begins at the end skips nothing when its first subscription breaks") {
  World world;
  world.answer(kShards);
  world.answer("", GENERATE(End::kCut, End::kPolite));
  world.answer(subscription_event({5, 6}, "6"), End::kNever);
  world.answer(subscription_event({7}, "7"), End::kNever);
  Mapping mapping(world);
  mapping.scope.spawn(mapping.run());
  world.consumer.run_until([&] { return mapping.seen == "5 6 " || !mapping.over.empty(); });
  world.server.cut();
  world.consumer.run_until([&] { return mapping.seen.ends_with("7 ") || !mapping.over.empty(); });
  mapping.end();
  CHECK(mapping.seen == "5 6 7 ");
  CHECK(world.begun() == "LATEST AT_TIMESTAMP 6 ");
}

TEST_CASE("a consumer that is gone ends the source, though its stream and shards are there") {
  World world;
  const std::string gone = R"({"__type":"ResourceNotFoundException","message":"Consumer c not found."})";
  world.answer(kShards);
  world.answer(gone, End::kPolite, 400);
  world.answer(kShards);
  world.answer(gone, End::kPolite, 400);
  Mapping mapping(world);
  mapping.scope.spawn(mapping.run());
  world.consumer.run_until([&] { return !mapping.over.empty(); });
  mapping.end();
  CHECK(mapping.over == "source.not_found");
}

TEST_CASE("over HTTP/2 a subscription that nobody reads does not keep the others waiting") {
  const test::TemporaryFolder folder;
  const std::string certificate = folder / "authority.pem";
  const char* before = std::getenv("AWS_CA_BUNDLE");
  const std::string kept = before == nullptr ? "" : before;
  ::setenv("AWS_CA_BUNDLE", certificate.c_str(), 1);
  {
    net::io_context context{1};
    // More than is taken of a body unread.
    std::string body = subscription_event({5}, "5");
    for (int i = 6; body.size() < 600'000; ++i) body += subscription_event({i}, std::to_string(i));
    test::Http2Server server(context, certificate, body);
    Consumer consumer(context, server.url());
    CHECK(consumer.read("a", "4") == "5 -> 5");
    CHECK(consumer.read("b", "4") == "5 -> 5");
    CHECK(consumer.read("c", "4") == "5 -> 5");
    CHECK(server.requests == 3);
    // Of one that they shared, libcurl stops all when one has to wait; not always at once, so they are counted.
    CHECK(server.connections == 3);
    CHECK(consumer.read("a", "5") == "6 -> 6");
    server.close();
  }
  if (before == nullptr) {
    ::unsetenv("AWS_CA_BUNDLE");
  } else {
    ::setenv("AWS_CA_BUNDLE", kept.c_str(), 1);
  }
}
