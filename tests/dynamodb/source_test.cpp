#include "connectors/dynamodb/source.h"

#include <cstdlib>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "connectors/dynamodb/connector.h"
#include "remote/world.h"
#include "support/print.h"
#include "support/run_coroutine.h"

using namespace weir;
using dynamodb::DynamodbConfig;
using nlohmann::json;

namespace {

const std::string kArn = "arn:aws:dynamodb:ddblocal:000000000000:table/Orders/stream/2026-11-23T11:37:48.540";

/// The service: one table, one shard, whose records are numbered from 1; it is closed behind the last one.
class FakeStreams {
 public:
  explicit FakeStreams(net::io_context& context) : server(context, [this](const http::Request& r) { return say(r); }) {}

  http::Response say(const http::Request& request) {
    const json asked = json::parse(request.body);
    const std::string target(*request.headers.get("X-Amz-Target"));
    const std::string operation = target.substr(target.find('.') + 1);
    if (refuse == operation) {
      return reply({{"__type", "x#AccessDeniedException"}, {"message", "no"}}, 400);
    }
    if (operation == "ListStreams") {
      return reply({{"Streams", {{{"StreamArn", kArn}, {"TableName", "Orders"}, {"StreamLabel", "2026"}}}}});
    }
    if (operation == "DescribeStream") {
      return reply(
          {{"StreamDescription",
            {{"Shards", {{{"ShardId", "shardId-1"}, {"SequenceNumberRange", {{"StartingSequenceNumber", "1"}}}}}}}}});
    }
    if (operation == "GetShardIterator") {
      iterators.push_back(asked.at("ShardIteratorType"));
      const std::int64_t after = asked.contains("SequenceNumber")
                                     ? std::stoll(asked["SequenceNumber"].get<std::string>())
                                 : asked["ShardIteratorType"] == "LATEST" ? last
                                                                          : 0;
      return reply({{"ShardIterator", std::to_string(after)}});
    }
    std::int64_t at = std::stoll(asked.at("ShardIterator").get<std::string>());
    json records = json::array();
    for (std::int64_t i = 0; i < asked.at("Limit") && at < last; ++i) records.push_back(record(++at));
    json page{{"Records", std::move(records)}};
    if (at < last || !closed) page["NextShardIterator"] = std::to_string(at);
    return reply(page);
  }

  static json record(std::int64_t number) {
    return {{"eventID", std::to_string(number)},
            {"eventName", "INSERT"},
            {"awsRegion", "ddblocal"},
            {"dynamodb",
             {{"ApproximateCreationDateTime", 1'795'433'820},
              {"Keys", {{"id", {{"N", std::to_string(number)}}}}},
              {"SequenceNumber", std::to_string(number)}}}};
  }
  static http::Response reply(const json& body, int status = 200) {
    return http::Response(status, "application/x-amz-json-1.0", body.dump());
  }

  std::int64_t last = 0;
  bool closed = false;
  std::string refuse;
  std::vector<std::string> iterators;
  test::FakeServer server;
};

/// Runs one source as a mapping does.
struct Running final : ShardListener {
  explicit Running(DynamodbConfig config = DynamodbConfig()) : service(context) {
    ::setenv("AWS_ACCESS_KEY_ID", "test", 1);
    ::setenv("AWS_SECRET_ACCESS_KEY", "test", 1);
    if (config.stream_arn.empty()) config.table = "Orders";
    config.access.region = "ddblocal";
    config.access.endpoint_url = service.server.url();
    source = dynamodb::make_source(std::make_shared<DynamodbConfig>(std::move(config)), with());
  }
  SourceContext with() {
    return SourceContext{.name = "orders",
                         .executor = context.get_executor(),
                         .blocking = context.get_executor(),
                         .log = log,
                         .clock = clock};
  }
  void begin() {
    net::co_spawn(context, source->run(*this),
                  net::bind_cancellation_slot(stopping.slot(), [this](std::exception_ptr thrown, Result<void> result) {
                    if (thrown) std::rethrow_exception(thrown);
                    ended = std::move(result);
                  }));
  }
  void shard_opened(ShardId id) override { shard = std::move(id); }
  void shard_revoked(const ShardId&, bool) override {}

  bool until(const std::function<bool()>& done) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    context.restart();
    while (!done() && std::chrono::steady_clock::now() < deadline) context.run_one_for(std::chrono::milliseconds(50));
    return done();
  }
  /// What the next fetch gives: "1-3", and "end" behind the last.
  std::string fetch(std::size_t max_records = 100) {
    std::optional<RecordBatch> got;
    FetchLimits limits;
    limits.max_records = max_records;
    limits.max_bytes = 1U << 20U;
    net::co_spawn(context, source->fetch(*shard, limits), [&](std::exception_ptr thrown, RecordBatch given) {
      if (thrown) std::rethrow_exception(thrown);
      got = std::move(given);
    });
    REQUIRE(until([&] { return got.has_value(); }));
    batch = std::move(*got);
    std::string text;
    if (!batch.records.empty())
      text = batch.records.front().position.text() + "-" + batch.records.back().position.text();
    if (batch.end_of_shard) text += text.empty() ? "end" : " end";
    return text;
  }
  void stop() {
    stopping.emit(net::cancellation_type::all);
    CHECK(until([&] { return ended.has_value(); }));
    source.reset();
    test::run(context, service.server.close());
  }

  net::io_context context;
  SystemClock clock;
  test::LoggedLines log;
  FakeStreams service;
  std::unique_ptr<PollSource> source;
  net::cancellation_signal stopping;
  std::optional<ShardId> shard;
  std::optional<Result<void>> ended;
  RecordBatch batch;
};

}  // namespace

TEST_CASE("a table is read from its oldest record to its shard's end") {
  Running running;
  running.service.last = 3;
  running.service.closed = true;
  running.begin();
  REQUIRE(running.until([&] { return running.shard.has_value(); }));
  CHECK(running.shard->text() == "orders/shardId-1");
  CHECK_FALSE(running.source->start(*running.shard, std::nullopt, true).has_value());
  CHECK(running.fetch(2) == "1-2");
  CHECK(running.fetch(2) == "3-3 end");
  CHECK(running.source->remembers_ends());
  CHECK(running.source->event_source_arn() == kArn);

  std::string event;
  running.source->write_event(*running.shard, running.batch.records, event);
  CHECK(event.size() == running.source->envelope_bytes(*running.shard) + running.batch.records[0].encoded_bytes);
  CHECK(json::parse(event)["Records"][0]["eventSourceARN"] == kArn);
  running.source->release(*running.shard, true);
  running.stop();
}

TEST_CASE("a shard goes on behind its checkpoint, and sees what is written later") {
  Running running;
  running.service.last = 3;
  running.begin();
  REQUIRE(running.until([&] { return running.shard.has_value(); }));
  running.source->start(*running.shard, Resume::after(Position(2)), false);
  CHECK(running.fetch() == "3-3");
  running.service.last = 5;
  CHECK(running.fetch() == "4-5");
  CHECK(running.service.iterators == std::vector<std::string>{"AFTER_SEQUENCE_NUMBER"});
  running.stop();
}

TEST_CASE("with LATEST what is there already is left out, and the beginning is a checkpoint at once") {
  DynamodbConfig config;
  config.stream_arn = kArn;
  config.starting_position = Resume::latest();
  Running running(std::move(config));
  running.service.last = 3;
  running.begin();
  REQUIRE(running.until([&] { return running.shard.has_value(); }));
  const auto begins = running.source->start(*running.shard, std::nullopt, true);
  REQUIRE(begins.has_value());
  CHECK(begins->kind() == Resume::Kind::kAtTimestamp);
  std::string got;
  running.service.server.on_request = [&](const http::Request& request) {
    if (request.headers.get("X-Amz-Target")->ends_with("GetRecords")) running.service.last = 4;
  };
  CHECK(running.fetch() == "4-4");
  CHECK(running.service.iterators == std::vector<std::string>{"LATEST"});
  running.stop();
}

TEST_CASE("filters see the whole record, its numbers and type tags as the function would") {
  Running running;
  running.service.last = 1;
  running.begin();
  REQUIRE(running.until([&] { return running.shard.has_value(); }));
  running.source->start(*running.shard, std::nullopt, true);
  running.fetch();
  FilterView view;
  running.source->write_filter_view(*running.shard, running.batch.records.at(0), true, view);
  const json seen = json::parse(view.metadata);
  CHECK(seen["eventName"] == "INSERT");
  CHECK(seen["dynamodb"]["Keys"]["id"]["N"] == "1");
  CHECK(seen["dynamodb"]["ApproximateCreationDateTime"].is_number());
  running.stop();
}

TEST_CASE("failed records are named by their sequence numbers, with or without leading zeros") {
  Running running;
  const ShardId shard{"orders", "shardId-1"};
  CHECK(running.source->identified(shard, R"("000000000000000000007")") == Position(7));
  CHECK(running.source->identified(shard, R"("100000000000000499493087")") ==
        Position::parse("100000000000000499493087"));
  CHECK_FALSE(running.source->identified(shard, "7").has_value());
  CHECK_FALSE(running.source->identified(shard, R"("")").has_value());
  test::run(running.context, running.service.server.close());
}

TEST_CASE("it ends with what went wrong, or when it is called off while it reads") {
  {
    Running refused;
    refused.service.refuse = "DescribeStream";
    refused.begin();
    REQUIRE(refused.until([&] { return refused.ended.has_value(); }));
    REQUIRE(refused.ended->has_error());
    CHECK(refused.ended->error().code() == ErrorCode::kSourceRefused);
    refused.stop();
  }
  Running reading;
  reading.begin();
  REQUIRE(reading.until([&] { return reading.shard.has_value(); }));
  reading.source->start(*reading.shard, std::nullopt, true);
  net::cancellation_signal enough;
  bool done = false;
  net::co_spawn(reading.context, reading.source->fetch(*reading.shard, FetchLimits()),
                net::bind_cancellation_slot(enough.slot(), [&](std::exception_ptr, RecordBatch given) {
                  CHECK(given.records.empty());
                  done = true;
                }));
  REQUIRE(reading.until([&] { return !reading.service.iterators.empty(); }));
  enough.emit(net::cancellation_type::all);
  CHECK(reading.until([&] { return done; }));
  reading.source->release(*reading.shard, false);
  reading.stop();
}

TEST_CASE("an address that is none is a failure of the source") {
  DynamodbConfig config;
  config.stream_arn = kArn;
  config.access.endpoint_url = "not a url";
  net::io_context context;
  test::LoggedLines log;
  SystemClock clock;
  const auto source = dynamodb::make_source(std::make_shared<DynamodbConfig>(std::move(config)),
                                            SourceContext{.name = "orders",
                                                          .executor = context.get_executor(),
                                                          .blocking = context.get_executor(),
                                                          .log = log,
                                                          .clock = clock});
  struct Nobody final : ShardListener {
    void shard_opened(ShardId) override {}
    void shard_revoked(const ShardId&, bool) override {}
  } nobody;
  const auto result = test::run(context, source->run(nobody));
  REQUIRE(result.has_error());
  CHECK(result.error().code() == ErrorCode::kSourceFailed);
}

TEST_CASE("a checkpoint is set for what can be a shard, and to what can be a sequence number") {
  const DynamodbConfig config;
  const auto refusal = [&](std::string_view shard, const std::string& to) {
    return check_checkpoint(config, shard, *Resume::parse(to));
  };
  const std::string shard = "shardId-00000001573012345678-6f4dcd29";
  CHECK(refusal(shard, "TRIM_HORIZON").empty());
  CHECK(refusal(shard, "AT_TIMESTAMP 1760000000").empty());
  CHECK(refusal(shard, "4421584500000000017450439091").empty());
  CHECK(refusal(shard, std::string(40, '9')).empty());
  CHECK(refusal(shard, std::string(41, '9')) == "a sequence number of a DynamoDB stream has at most 40 digits");
  CHECK(refusal("orders", "LATEST") ==
        "a shard of a DynamoDB stream is called like shardId-00000001573012345678-6f4dcd29");
  CHECK_FALSE(refusal("shardid-1", "LATEST").empty());
}
