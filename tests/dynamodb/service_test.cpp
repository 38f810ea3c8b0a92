#include "connectors/dynamodb/service.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "aws/client.h"
#include "remote/world.h"
#include "support/fake_clock.h"
#include "support/print.h"
#include "support/run_coroutine.h"

using namespace weir;
using nlohmann::json;
using streams::ReadFailure;

namespace {

const std::string kArn = "arn:aws:dynamodb:eu-west-1:123456789012:table/Orders/stream/2026-09-17T07:00:00.000";

http::Response answer(const json& body, int status = 200) {
  return http::Response(status, "application/x-amz-json-1.0", body.dump());
}
/// An error as the service spells it.
http::Response problem(const std::string& code, int status = 400) {
  return answer({{"__type", "com.amazonaws.dynamodb.v20120810#" + code}, {"Message", "because"}}, status);
}

/// The service's side by script, and DynamodbStreams on a real client.
struct World {
  explicit World(test::FakeServer::Answer script) : server(context, std::move(script)) {
    aws::ClientSettings settings;
    settings.name = "orders";
    settings.service = "streams.dynamodb";
    settings.signing = "dynamodb";
    settings.arn_region = "eu-west-1";
    settings.access.endpoint_url = server.url();
    settings.environment = [](const std::string& name) -> std::optional<std::string> {
      if (name == "AWS_ACCESS_KEY_ID" || name == "AWS_SECRET_ACCESS_KEY") return "test";
      if (name == "AWS_CONFIG_FILE" || name == "AWS_SHARED_CREDENTIALS_FILE") return "/nonexistent";
      return std::nullopt;
    };
    auto made = aws::Client::make(context.get_executor(), context.get_executor(), settings, log, clock);
    REQUIRE(made.has_value());
    client = std::move(*made);
    streams = std::make_unique<dynamodb::DynamodbStreams>(*client, kArn);
  }

  /// Runs it to its end, then closes what would keep the context going.
  template <typename T>
  T run(net::awaitable<T> work) {
    return test::run(context, finish(std::move(work)));
  }
  template <typename T>
  net::awaitable<T> finish(net::awaitable<T> work) {
    T result = co_await std::move(work);
    co_await client->close();
    co_await server.close();
    co_return result;
  }
  json asked(std::size_t request = 0) const { return json::parse(server.requests.at(request).body); }

  net::io_context context;
  test::FakeClock clock;
  test::LoggedLines log;
  test::FakeServer server;
  std::unique_ptr<aws::Client> client;
  std::unique_ptr<dynamodb::DynamodbStreams> streams;
};

std::string iterator_of(const json& asked) {
  return asked.at("ShardIteratorType").get<std::string>() +
         (asked.contains("SequenceNumber") ? " " + asked["SequenceNumber"].get<std::string>() : "");
}

/// A record that was created then, by the number of its position.
json record_at(std::int64_t seconds, int number) {
  return {{"eventID", std::to_string(number)},
          {"eventName", "INSERT"},
          {"dynamodb",
           {{"ApproximateCreationDateTime", seconds},
            {"Keys", {{"id", {{"S", "a"}}}}},
            {"SequenceNumber", std::to_string(number)}}}};
}

}  // namespace

TEST_CASE("calls are JSON 1.0, signed for dynamodb") {
  World world([](const http::Request&) { return answer({{"ShardIterator", "it"}}); });
  CHECK(world.run(world.streams->shard_iterator("shardId-1", Resume::trim_horizon())).value() == "it");
  const http::Request& request = world.server.requests.at(0);
  CHECK(request.method == "POST");
  CHECK(request.headers.get("Content-Type") == "application/x-amz-json-1.0");
  CHECK(request.headers.get("X-Amz-Target") == "DynamoDBStreams_20120810.GetShardIterator");
  CHECK(request.headers.get("Authorization")->find("/eu-west-1/dynamodb/aws4_request") != std::string::npos);
  CHECK(world.asked() == json{{"StreamArn", kArn}, {"ShardId", "shardId-1"}, {"ShardIteratorType", "TRIM_HORIZON"}});
}

TEST_CASE("where an iterator begins; a sequence number has 21 digits at least") {
  const auto asked = [](Resume from) {
    World world([](const http::Request&) { return answer({{"ShardIterator", "it"}}); });
    REQUIRE(world.run(world.streams->shard_iterator("s", std::move(from))).has_value());
    return iterator_of(world.asked());
  };
  CHECK(asked(Resume::trim_horizon()) == "TRIM_HORIZON");
  CHECK(asked(Resume::latest()) == "LATEST");
  CHECK(asked(Resume::after(*Position::parse("100000000000000499493087"))) ==
        "AFTER_SEQUENCE_NUMBER 100000000000000499493087");
  CHECK(asked(Resume::after(Position(3))) == "AFTER_SEQUENCE_NUMBER 000000000000000000003");
  CHECK(asked(Resume::at_timestamp(WallTime(std::chrono::hours(1)))) == "TRIM_HORIZON");
}

TEST_CASE("shards are listed page by page, with their parents and ends") {
  World world([](const http::Request& request) {
    const json asked = json::parse(request.body);
    json stream{{"StreamStatus", "ENABLED"}};
    if (!asked.contains("ExclusiveStartShardId")) {
      stream["Shards"] = {{{"ShardId", "shardId-1"},
                           {"ParentShardId", "shardId-0"},
                           {"SequenceNumberRange", {{"StartingSequenceNumber", "1"}, {"EndingSequenceNumber", "9"}}}}};
      stream["LastEvaluatedShardId"] = "shardId-1";
    } else {
      stream["Shards"] = {{{"ShardId", "shardId-2"},
                           {"ParentShardId", "shardId-1"},
                           {"SequenceNumberRange", {{"StartingSequenceNumber", "10"}}}}};
    }
    return answer({{"StreamDescription", stream}});
  });
  const auto shards = world.run(world.streams->list_shards()).value();
  REQUIRE(shards.size() == 2);
  CHECK(shards[0].id == "shardId-1");
  CHECK(shards[0].parents == std::vector<std::string>{"shardId-0"});
  CHECK(shards[0].closed);
  CHECK(shards[1].id == "shardId-2");
  CHECK_FALSE(shards[1].closed);
  CHECK(world.asked(0) == json{{"StreamArn", kArn}});
  CHECK(world.asked(1) == json{{"StreamArn", kArn}, {"ExclusiveStartShardId", "shardId-1"}});
}

TEST_CASE("a listing without an end is an error, and no part of one is taken for all") {
  int page = 0;
  const bool repeats = GENERATE(true, false);
  World world([&](const http::Request&) {
    ++page;
    const std::string id = "shardId-" + std::to_string(page);
    return answer({{"StreamDescription",
                    {{"StreamStatus", "ENABLED"},
                     {"Shards", {{{"ShardId", id}, {"SequenceNumberRange", {{"StartingSequenceNumber", "1"}}}}}},
                     {"LastEvaluatedShardId", repeats ? "shardId-1" : id}}}});
  });
  const auto listed = world.run(world.streams->list_shards());
  REQUIRE_FALSE(listed.has_value());
  CHECK(listed.error().failure == ReadFailure::kOther);
  CHECK(listed.error().error.message().find("pages without end") != std::string::npos);
  CHECK(page == (repeats ? 2 : 1001));
}

TEST_CASE("records come with the next iterator; at most 1000 are asked for") {
  World world([](const http::Request&) {
    return answer({{"Records", {record_at(1'789'200'000, 7)}}, {"NextShardIterator", "next"}});
  });
  auto work = [](dynamodb::DynamodbStreams& streams) -> net::awaitable<streams::ReadResult<streams::ReadPage>> {
    (void)co_await streams.get_records("s", "it", 5);
    co_return co_await streams.get_records("s", "it", 5000);
  };
  const auto page = world.run(work(*world.streams));
  REQUIRE(page.has_value());
  CHECK(page->next == "next");
  CHECK(page->records.records.at(0).position == Position(7));
  CHECK_FALSE(page->records.end_of_shard);
  CHECK(world.asked(0) == json{{"ShardIterator", "it"}, {"Limit", 5}});
  CHECK(world.asked(1) == json{{"ShardIterator", "it"}, {"Limit", 1000}});
}

TEST_CASE("from a time on: older records are left out, those of its minute are not, nor what follows them") {
  constexpr std::int64_t kMinute = 1'789'200'000;  // a whole one
  std::vector<json> pages{{record_at(kMinute - 120, 1), record_at(kMinute - 1, 2)},
                          {record_at(kMinute - 60, 3), record_at(kMinute, 4), record_at(kMinute - 1, 5)},
                          {record_at(kMinute - 60, 6)}};
  std::size_t next = 0;
  World world([&](const http::Request& request) {
    if (json::parse(request.body).contains("ShardIteratorType")) return answer({{"ShardIterator", "it"}});
    return answer({{"Records", pages.at(next++)}, {"NextShardIterator", "it"}});
  });
  auto work = [](dynamodb::DynamodbStreams& streams) -> net::awaitable<std::string> {
    const Resume from = Resume::at_timestamp(WallTime(std::chrono::seconds(kMinute + 59)));
    (void)co_await streams.shard_iterator("s", from);
    std::string got;
    for (int page = 0; page < 3; ++page) {
      auto read = co_await streams.get_records("s", "it", 10);
      for (const Record& record : read.value().records.records) got += record.position.text() + " ";
      got += "| ";
    }
    co_return got;
  };
  CHECK(world.run(work(*world.streams)) == "| 4 5 | 6 | ");
}

TEST_CASE("what a call failed with, as the reader of shards cares") {
  const auto failure = [](http::Response response) {
    World world([&](const http::Request&) { return response; });
    const auto page = world.run(world.streams->get_records("shardId-1", "it", 10));
    REQUIRE_FALSE(page.has_value());
    CHECK(page.error().error.describe().find("GetRecords of shardId-1") != std::string::npos);
    return page.error().failure;
  };
  CHECK(failure(problem("ExpiredIteratorException")) == ReadFailure::kExpiredIterator);
  CHECK(failure(problem("TrimmedDataAccessException")) == ReadFailure::kTrimmed);
  CHECK(failure(problem("LimitExceededException")) == ReadFailure::kThrottled);
  CHECK(failure(problem("ThrottlingException")) == ReadFailure::kThrottled);
  CHECK(failure(problem("ThrottlingException", 403)) == ReadFailure::kThrottled);
  CHECK(failure(problem("RequestLimitExceeded", 503)) == ReadFailure::kThrottled);
  CHECK(failure(problem("ResourceNotFoundException")) == ReadFailure::kGone);
  CHECK(failure(problem("AccessDeniedException")) == ReadFailure::kRefused);
  CHECK(failure(problem("UnrecognizedClientException")) == ReadFailure::kRefused);
  CHECK(failure(problem("InternalServerError", 500)) == ReadFailure::kUnreachable);
  CHECK(failure(problem("ValidationException")) == ReadFailure::kOther);
  CHECK(failure(http::Response(200, "text/html", "<html>")) == ReadFailure::kOther);
}

TEST_CASE("a sequence number that is none of its shard") {
  const auto failure = [](const Resume& from) {
    World world([&](const http::Request&) { return problem("ValidationException"); });
    return world.run(world.streams->shard_iterator("shardId-1", from)).error().failure;
  };
  CHECK(failure(Resume::after(Position(3))) == ReadFailure::kWrongPosition);
  CHECK(failure(Resume::latest()) == ReadFailure::kOther);
}

TEST_CASE("a stream that is turned off has nothing more to come than its shards have") {
  const auto over = [](const char* status) {
    World world([&](const http::Request&) {
      return answer({{"StreamDescription", {{"StreamStatus", status}, {"Shards", json::array()}}}});
    });
    CHECK_FALSE(world.streams->closed_for_good().has_value());
    REQUIRE(world.run(world.streams->list_shards()).has_value());
    const auto error = world.streams->closed_for_good();
    return error ? std::string(text(error->code())) : "";
  };
  CHECK(over("ENABLED") == "");
  CHECK(over("ENABLING") == "");
  CHECK(over("DISABLED") == "source.not_found");
}

TEST_CASE("answers that are none are refused, whatever was asked") {
  for (const std::string body : {R"({})", R"([])", R"(x)", R"({"StreamDescription":{"Shards":[{}]}})"}) {
    INFO(body);
    World world([&](const http::Request&) { return http::Response(200, "application/x-amz-json-1.0", body); });
    auto work = [](dynamodb::DynamodbStreams& streams) -> net::awaitable<bool> {
      auto shards = co_await streams.list_shards();
      auto iterator = co_await streams.shard_iterator("s", Resume::latest());
      co_return !shards.has_value() && !iterator.has_value();
    };
    CHECK(world.run(work(*world.streams)));
  }
}

TEST_CASE("a table's newest stream is found, over pages") {
  World world([](const http::Request& request) {
    const json asked = json::parse(request.body);
    const auto stream = [](const std::string& table, const std::string& label) {
      return json{{"StreamArn", "arn:" + table + "/" + label}, {"TableName", table}, {"StreamLabel", label}};
    };
    if (!asked.contains("ExclusiveStartStreamArn")) {
      return answer(
          {{"Streams", {stream("Orders", "2026-01-01T00:00:00.000"), stream("Orders", "2026-03-01T00:00:00.000")}},
           {"LastEvaluatedStreamArn", "arn:last"}});
    }
    return answer(
        {{"Streams", {stream("Orders", "2026-02-01T00:00:00.000"), stream("Others", "2027-01-01T00:00:00.000")}}});
  });
  CHECK(world.run(dynamodb::find_stream(*world.client, "Orders")).value() == "arn:Orders/2026-03-01T00:00:00.000");
  CHECK(world.asked(0) == json{{"TableName", "Orders"}});
  CHECK(world.asked(1) == json{{"TableName", "Orders"}, {"ExclusiveStartStreamArn", "arn:last"}});
}

TEST_CASE("a table without a stream is source.not_found, and rights that are missing source.refused") {
  World none([](const http::Request&) { return answer({{"Streams", json::array()}}); });
  const auto missing = none.run(dynamodb::find_stream(*none.client, "Orders"));
  REQUIRE_FALSE(missing.has_value());
  CHECK(missing.error().code() == ErrorCode::kSourceNotFound);
  CHECK(missing.error().message().find("Orders") != std::string::npos);

  World refused([](const http::Request&) { return problem("AccessDeniedException"); });
  const auto denied = refused.run(dynamodb::find_stream(*refused.client, "Orders"));
  REQUIRE_FALSE(denied.has_value());
  CHECK(denied.error().code() == ErrorCode::kSourceRefused);
}
