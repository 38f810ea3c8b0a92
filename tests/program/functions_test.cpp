// Functions that do not do what functions do, each beside a healthy source that must not notice.
#include <csignal>

#include <catch2/catch.hpp>

#include "program/program.h"

namespace {

using namespace weir::test;
using nlohmann::json;

constexpr int kRecords = 500;

/// A healthy source beside a sick one, on files of numbers.
struct Pair {
  TemporaryFolder folder;
  std::string seen_by_healthy = folder / "healthy.seen";
  std::string config;

  /// `sick`: the sick function's settings; `mapping`: its source's.
  explicit Pair(const std::string& sick, const std::string& mapping = {}) {
    folder.write("numbers.txt", lines(1, kRecords));
    config = folder.write("weir.yaml", "state: state\nadmin: ${ADMIN}\nfunctions:\n  good: {command: [" RECORDER
                                       "], environment: {SEEN: " +
                                           seen_by_healthy + "}}\n  sick: {" + sick +
                                           "}\nsources:\n  healthy: {type: file, path: numbers.txt, function: good}\n"
                                           "  sick: {type: file, path: numbers.txt, function: sick" +
                                           mapping + "}\n");
  }

  void healthy_is_undisturbed(Bridge& bridge) const {
    bridge.wait_for_state("healthy", "finished");
    const json healthy = bridge.source("healthy");
    CHECK(healthy.at("settled_events") == kRecords);
    CHECK(healthy.at("error") == "");
    CHECK(healthy.at("restarts") == 0);
    CHECK(healthy.at("function_errors") == 0);
    CHECK(loss_or_disorder(seen(seen_by_healthy), 1, kRecords).empty());
    CHECK(seen(seen_by_healthy).size() == kRecords);
  }
};

}  // namespace

TEST_CASE("a sick function fails its own source's invocations, and nobody else's") {
  struct Row {
    const char* sentence;
    const char* function;
    const char* error_type;
  };
  const auto row = GENERATE(values<Row>({
      {"its command does not exist", "command: [/no/such/program]", "Runtime.InvalidEntrypoint"},
      {"its command may not be executed", "command: [/etc/passwd]", "Runtime.InvalidEntrypoint"},
      {"it exits at once", "command: [/bin/true]", "Runtime.ExitError"},
      {"it fails at once", "command: [/bin/false]", "Runtime.ExitError"},
      {"it talks nonsense to the Runtime API", "command: [" RECORDER "], environment: {MODE: rubbish}",
       "Runtime.ExitError"},
  }));
  DYNAMIC_SECTION(row.sentence) {
    const Pair pair(row.function);
    Bridge bridge(pair.config);
    pair.healthy_is_undisturbed(bridge);
    // It is tried again without end, as AWS's default says; the source waits and says so.
    wait_until("it is tried several times", [&] { return bridge.source("sick").at("function_errors") >= 4; });
    const json sick = bridge.source("sick");
    CHECK(sick.at("state") == "running");
    CHECK(sick.at("settled_events") == 0);
    CHECK(sick.at("dropped_events") == 0);
    CHECK(sick.at("shards").at(0).at("checkpoint").is_null());
    CHECK(sick.at("iterator_age_seconds") > 0);
    CHECK(bridge.function("sick").at("errors") >= 4);
    CHECK(bridge.function("good").at("errors") == 0);

    const auto failed = bridge.log("invocation.failed");
    REQUIRE(failed.size() == 1);  // by change of state, not by attempt
    CHECK(failed.front().at("error_type") == row.error_type);
    CHECK(failed.front().at("source") == "sick");
    CHECK(bridge.log("function.init_failed").size() <= 1);
    CHECK(bridge.process().terminate() == 0);
  }
}

TEST_CASE("what a sick function is given up on is kept, and said once") {
  const Pair pair("command: [/bin/false]", ", batch_size: 50, maximum_retry_attempts: 0");
  Bridge bridge(pair.config, {"--until-finished"});
  CHECK(bridge.process().wait() == 0);
  CHECK(seen(pair.seen_by_healthy).size() == kRecords);
  const auto discarded = bridge.log("records.discarded");
  REQUIRE(discarded.size() == 1);
  CHECK(discarded.front().at("condition") == "RetryAttemptsExhausted");
  const json finished = bridge.log("source.finished");
  CHECK(finished.size() == 2);
}

TEST_CASE("an answer that is no JSON is an answer") {
  const Pair pair("command: [" RECORDER "], environment: {MODE: no-json}");
  Bridge bridge(pair.config);
  pair.healthy_is_undisturbed(bridge);
  bridge.wait_for_state("sick", "finished");
  CHECK(bridge.source("sick").at("function_errors") == 0);
}

TEST_CASE("a function that never asks for its first invocation is killed, and holds up nobody") {
  const Pair pair("command: [/bin/sleep, \"1000\"], timeout: 1", ", maximum_retry_attempts: 0, batch_size: 1000");
  Bridge bridge(pair.config);
  pair.healthy_is_undisturbed(bridge);
  CHECK(bridge.source("sick").at("function_errors") == 0);  // its init is still waited for: the healthy one is done
  // Ten seconds of init, then once more within the invocation's own time.
  bridge.wait_for_state("sick", "finished", 30s);
  CHECK(bridge.source("sick").at("dropped_events") == kRecords);
  const auto failed = bridge.log("invocation.failed");
  REQUIRE(failed.size() == 1);
  CHECK(failed.front().at("error_type") == "Sandbox.Timedout");
  CHECK(bridge.process().terminate() == 0);
}

TEST_CASE("a bridge can be stopped while a function is in its init") {
  const Pair pair("command: [/bin/sleep, \"1000\"]");
  Bridge bridge(pair.config);
  pair.healthy_is_undisturbed(bridge);
  bridge.process().signal(SIGTERM);
  bridge.process().wait_for("bridge.stopping");
  bridge.process().signal(SIGTERM);
  CHECK(bridge.process().wait(5s) == 0);
}
