// A Kafka source through the program, on librdkafka's mock cluster; a file beside it goes its way whatever Kafka does.
#include <catch2/catch.hpp>

#include "program/program.h"
#include "support/mock_kafka.h"

namespace {

using namespace weir::test;
using Catch::Matchers::Contains;
using nlohmann::json;

constexpr int kHealthyRecords = 300;

/// A topic "clicks" of one partition for a recorder, beside a healthy file.
struct Topic {
  MockKafka broker;
  TemporaryFolder folder;
  std::string seen_file = folder / "clicks.seen";
  std::string healthy_seen = folder / "healthy.seen";
  std::string config;

  explicit Topic(const std::string& mapping = {}, const std::string& topic = "clicks") {
    broker.create_topic("clicks", 1);
    folder.write("numbers.txt", lines(1, kHealthyRecords));
    // The mock answers a waiting fetch only when its time is over, and a cluster that is away is asked again soon.
    config = folder.write(
        "weir.yaml",
        "state: state\nadmin: ${ADMIN}\nfunctions:\n  good: {command: [" RECORDER "], environment: {SEEN: " +
            healthy_seen + "}}\n  clicks: {command: [" RECORDER "], environment: {SEEN: " + seen_file +
            "}}\nsources:\n  healthy: {type: file, path: numbers.txt, function: good}\n  clicks: {type: kafka, "
            "bootstrap_servers: \"" +
            broker.bootstrap_servers() + "\", topics: [" + topic +
            "], partitions: [0], consumer_group_id: weir-clicks, function: clicks, librdkafka: "
            "{fetch.wait.max.ms: \"20\", reconnect.backoff.max.ms: \"200\"}" +
            mapping + "}\n");
  }

  std::vector<Seen> seen() const { return weir::test::seen(seen_file); }

  void healthy_is_undisturbed(Bridge& bridge) const {
    bridge.wait_for_state("healthy", "finished");
    CHECK(bridge.source("healthy").at("restarts") == 0);
    CHECK(loss_or_disorder(weir::test::seen(healthy_seen), 1, kHealthyRecords).empty());
  }

  /// `weir checkpoint ...` of the bridge that does not run.
  Finished checkpoint(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "checkpoint");
    arguments.insert(arguments.end(), {"--config", config});
    Process::Options options;
    options.environment.emplace("ADMIN", "127.0.0.1:0");
    return run_weir(std::move(arguments), std::move(options));
  }
};

json row_of(const Finished& listed, const std::string& source) {
  REQUIRE(listed.ending == 0);
  for (const json& row : json::parse(listed.out)) {
    if (row.at("source") == source) return row;
  }
  FAIL("no checkpoint of " << source << " in " << listed.out);
  return {};
}

}  // namespace

TEST_CASE("a broker that is away at start is waited for, said once, and read when it is there") {
  Topic topic;
  topic.broker.produce_numbers("clicks", 0, 1, 50);
  topic.broker.down();
  Bridge bridge(topic.config);
  topic.healthy_is_undisturbed(bridge);
  bridge.process().wait_for("source.unreachable");
  CHECK(bridge.source("clicks").at("settled_events") == 0);
  topic.broker.up();
  wait_until("the topic is read", [&] { return topic.seen().size() == 50; });
  CHECK(loss_or_disorder(topic.seen(), 1, 50).empty());
  CHECK(bridge.log("source.unreachable").size() == 1);
  CHECK(bridge.log("source.reachable").size() == 1);
  CHECK(bridge.process().terminate() == 0);
  CHECK(topic.broker.committed("weir-clicks", "clicks", 0) == 50);
}

TEST_CASE("weir ends politely while its broker is away") {
  Topic topic;
  topic.broker.down();
  Bridge bridge(topic.config);
  topic.healthy_is_undisturbed(bridge);
  bridge.process().wait_for("source.unreachable");
  CHECK(bridge.process().terminate() == 0);
  CHECK(bridge.log("bridge.cancelled").empty());
}

TEST_CASE("a topic that does not exist fails its source alone, which tries again by itself") {
  Topic topic({}, "orders");
  constexpr int kUnknownTopicOrPartition = 3;
  topic.broker.topic_error("orders", kUnknownTopicOrPartition);
  Bridge bridge(topic.config);
  topic.healthy_is_undisturbed(bridge);
  bridge.process().wait_for("source.failed");
  const auto failed = bridge.log("source.failed");
  CHECK(failed.front().at("code") == "source.not_found");
  CHECK(failed.front().at("source") == "clicks");
  CHECK_THAT(failed.front().at("message").get<std::string>(), Contains("orders"));
  wait_until("it is tried again", [&] { return bridge.source("clicks").at("restarts") >= 1; });
  topic.broker.topic_error("orders", 0);
  topic.broker.produce_numbers("orders", 0, 1, 20);
  wait_until("it is read once it exists", [&] { return topic.seen().size() >= 20; });
  CHECK(loss_or_disorder(topic.seen(), 1, 20).empty());
  CHECK(bridge.log("source.failed").size() == 1);  // the same failure again is no news
  CHECK(bridge.process().terminate() == 0);
}

TEST_CASE("a message over 6 MB is kept and passed, and those behind it go on") {
  Topic topic;
  topic.broker.produce("clicks", 0,
                       {{.key = {}, .value = std::string(7'000'000, 'x'), .headers = {}, .timestamp_ms = {}}});
  Bridge bridge(topic.config);
  topic.healthy_is_undisturbed(bridge);
  bridge.process().wait_for("records.discarded");
  // The mock keeps 5 MB a partition. What comes next makes it let go of the large message, and of itself as well.
  topic.broker.produce_numbers("clicks", 0, 0, 0);
  topic.broker.produce_numbers("clicks", 0, 1, 20);
  wait_until("the messages behind it are seen", [&] { return topic.seen().size() == 20; });
  CHECK(loss_or_disorder(topic.seen(), 1, 20).empty());
  const auto discarded = bridge.log("records.discarded");
  REQUIRE(discarded.size() == 1);
  CHECK(discarded.front().at("condition") == "MaximumPayloadSizeExceeded");
  CHECK(discarded.front().at("records") == 1);
  CHECK(discarded.front().at("first") == "0");
  CHECK(bridge.source("clicks").at("dropped_events") == 1);
  CHECK(bridge.process().terminate() == 0);
  CHECK(topic.broker.committed("weir-clicks", "clicks", 0) == 22);
}

TEST_CASE("bytes that are not UTF-8 reach the function as they are") {
  Topic topic;
  topic.broker.produce("clicks", 0,
                       {{.key = std::string("\xc3\x28\x00", 3),
                         .value = "\xff\xfe\x80",
                         .headers = {{"h\xff", "\xff"}},
                         .timestamp_ms = {}},
                        {.key = {}, .value = {}, .headers = {}, .timestamp_ms = {}},
                        {.key = {}, .value = "3", .headers = {}, .timestamp_ms = {}}});
  Bridge bridge(topic.config);
  topic.healthy_is_undisturbed(bridge);
  wait_until("all are seen", [&] { return topic.seen().size() == 3; });
  CHECK(topic.seen()[0].data == "\xff\xfe\x80");
  CHECK(topic.seen()[1].data.empty());
  CHECK(topic.seen()[2].data == "3");
  CHECK(bridge.source("clicks").at("function_errors") == 0);
  CHECK(bridge.process().terminate() == 0);
}

TEST_CASE("offsets as checkpoints, moved while the bridge is stopped and while it runs") {
  Topic topic(", batch_size: 5");
  topic.broker.produce_numbers("clicks", 0, 0, 19);  // a record's value is its offset
  {
    Bridge bridge(topic.config);
    wait_until("everything is seen", [&] { return topic.seen().size() == 20; });
    wait_until("and committed", [&] { return bridge.source("clicks").at("shards").at(0).at("checkpoint") == "19"; });
    CHECK(row_of(bridge.command({"checkpoint", "list", "--json", "--config", topic.config}), "clicks").at("position") ==
          "19");
    CHECK(bridge.command({"checkpoint", "set", "clicks", "clicks-0", "14", "--config", topic.config}).ending == 0);
    wait_until("what stands behind 14 is read again", [&] { return topic.seen().size() == 25; });
    CHECK(topic.seen()[20].data == "15");
    const Finished reset = bridge.command({"checkpoint", "reset", "clicks", "--config", topic.config});
    INFO(reset.err);
    CHECK(reset.ending == 0);
    wait_until("everything is read again", [&] { return topic.seen().size() == 45; });
    CHECK(topic.seen()[25].data == "0");
    CHECK(bridge.command({"checkpoint", "set", "clicks", "orders-0", "5", "--config", topic.config}).ending != 0);
    topic.healthy_is_undisturbed(bridge);
    CHECK(bridge.process().terminate() == 0);
  }
  CHECK(row_of(topic.checkpoint({"list", "--json"}), "clicks").at("position") == "19");
  CHECK(topic.checkpoint({"set", "clicks", "clicks-0", "17"}).ending == 0);
  CHECK(topic.broker.committed("weir-clicks", "clicks", 0) == 18);
  CHECK(row_of(topic.checkpoint({"list", "--json"}), "clicks").at("position") == "17");
  Bridge after(topic.config);
  wait_until("it goes on behind 17", [&] { return topic.seen().size() == 47; });
  CHECK(topic.seen()[45].data == "18");
  CHECK(after.process().terminate() == 0);
}
