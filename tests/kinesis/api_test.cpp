// Kinesis's side by script: listings, and what failures are taken for.
#include "connectors/kinesis/api.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "remote/world.h"
#include "support/fake_clock.h"
#include "support/print.h"
#include "support/run_coroutine.h"

using namespace weir;
using nlohmann::json;
using streams::ReadFailure;

namespace {

http::Response answer(const json& body, int status = 200) {
  return http::Response(status, "application/x-amz-json-1.1", body.dump());
}

struct World {
  explicit World(test::FakeServer::Answer script) : server(context, std::move(script)) {
    aws::ClientSettings settings;
    settings.name = "clicks";
    settings.service = "kinesis";
    settings.arn_region = "eu-west-1";
    settings.access.endpoint_url = server.url();
    settings.environment = [](const std::string& name) -> std::optional<std::string> {
      if (name == "AWS_ACCESS_KEY_ID" || name == "AWS_SECRET_ACCESS_KEY") return "test";
      if (name == "AWS_CONFIG_FILE" || name == "AWS_SHARED_CREDENTIALS_FILE") return "/nonexistent";
      return std::nullopt;
    };
    auto made = aws::Client::make(context.get_executor(), context.get_executor(), settings, null_log(), clock);
    REQUIRE(made.has_value());
    client = std::move(*made);
    kinesis::StreamName stream;
    stream.name = "clicks";
    api = std::make_unique<kinesis::KinesisApi>(*client, stream);
  }

  net::awaitable<streams::ReadResult<std::vector<streams::ListedShard>>> list() {
    auto listed = co_await api->list_shards();
    co_await client->close();
    co_await server.close();
    co_return listed;
  }

  net::io_context context{1};
  test::FakeClock clock;
  test::FakeServer server;
  std::unique_ptr<aws::Client> client;
  std::unique_ptr<kinesis::KinesisApi> api;
};

json page(const std::string& shard, const std::string& next) {
  json body{{"Shards", {{{"ShardId", shard}, {"SequenceNumberRange", {{"StartingSequenceNumber", "1"}}}}}}};
  if (!next.empty()) body["NextToken"] = next;
  return body;
}

}  // namespace

TEST_CASE("shards are listed page by page") {
  World world([](const http::Request& request) {
    const bool first = !json::parse(request.body).contains("NextToken");
    return answer(first ? page("a", "more") : page("b", ""));
  });
  const auto listed = test::run(world.context, world.list());
  REQUIRE(listed.has_value());
  REQUIRE(listed->size() == 2);
  CHECK(listed->at(0).id == "a");
  CHECK(listed->at(1).id == "b");
}

TEST_CASE("a listing without an end is an error, and no part of one is taken for all") {
  const bool repeats = GENERATE(true, false);
  int pages = 0;
  World world([&](const http::Request&) {
    ++pages;
    return answer(page("a", repeats ? "token" : "token-" + std::to_string(pages)));
  });
  const auto listed = test::run(world.context, world.list());
  REQUIRE_FALSE(listed.has_value());
  CHECK(listed.error().failure == ReadFailure::kOther);
  CHECK(listed.error().error.code() == ErrorCode::kSourceFailed);
  if (repeats) {
    CHECK(pages == 2);
    CHECK(listed.error().error.message().find("names itself") != std::string::npos);
  } else {
    CHECK(pages == 1000);
    CHECK(listed.error().error.message().find("pages without end") != std::string::npos);
  }
}

TEST_CASE("what a call failed with, as the reader of shards cares") {
  struct Row {
    int status;
    std::string code;
    ReadFailure failure;
  };
  const Row row = GENERATE(values<Row>({
      {400, "ExpiredIteratorException", ReadFailure::kExpiredIterator},
      {400, "ProvisionedThroughputExceededException", ReadFailure::kThrottled},
      {400, "LimitExceededException", ReadFailure::kThrottled},
      {400, "KMSThrottlingException", ReadFailure::kThrottled},
      {400, "KMS.ThrottlingException", ReadFailure::kThrottled},
      {403, "ThrottlingException", ReadFailure::kThrottled},
      {403, "RequestThrottled", ReadFailure::kThrottled},
      {503, "SlowDown", ReadFailure::kThrottled},
      {429, "", ReadFailure::kThrottled},
      {400, "ResourceInUseException", ReadFailure::kThrottled},
      {400, "ResourceNotFoundException", ReadFailure::kGone},
      {400, "AccessDeniedException", ReadFailure::kRefused},
      {400, "KMSAccessDeniedException", ReadFailure::kRefused},
      {403, "", ReadFailure::kRefused},
      {500, "InternalFailure", ReadFailure::kUnreachable},
      {400, "InvalidArgumentException", ReadFailure::kOther},
  }));
  CAPTURE(row.status, row.code);
  World world([&](const http::Request&) { return answer({{"__type", row.code}, {"message", "because"}}, row.status); });
  const auto listed = test::run(world.context, world.list());
  REQUIRE_FALSE(listed.has_value());
  CHECK(listed.error().failure == row.failure);
}
