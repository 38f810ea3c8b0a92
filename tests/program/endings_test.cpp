// How the program ends: politely, impatiently, and by kill -9 in the middle of everything.
#include <csignal>
#include <random>

#include <catch2/catch.hpp>
#include <unistd.h>

#include "program/program.h"

namespace {

using namespace weir::test;
using nlohmann::json;

/// A file of numbers for a recorder that takes its time.
struct Numbers {
  TemporaryFolder folder;
  std::string seen_file = folder / "seen";
  std::string mark =
      "weir-program-" + std::to_string(::getpid()) + "-" + folder.path().substr(folder.path().size() - 6);
  std::string config;

  Numbers(int records, int sleep_ms, const std::string& mapping, const std::string& top = {}) {
    folder.write("numbers.txt", lines(1, records));
    config = folder.write(
        "weir.yaml", "state: state\nadmin: ${ADMIN}\n" + top +
                         "functions:\n  slow: {command: [" RECORDER "], timeout: 60, environment: {SEEN: " + seen_file +
                         ", SLEEP_MS: \"" + std::to_string(sleep_ms) + "\", MARK: " + mark +
                         "}}\nsources:\n  numbers: {type: file, path: numbers.txt, function: slow" + mapping + "}\n");
  }

  std::vector<Seen> seen() const { return weir::test::seen(seen_file); }

  /// The stored checkpoint of each shard, as a stopped bridge's user reads it.
  json checkpoints() const {
    Process::Options options;
    options.environment.emplace("ADMIN", "127.0.0.1:0");
    const Finished listed = run_weir({"checkpoint", "list", "--json", "--config", config}, std::move(options));
    REQUIRE(listed.ending == 0);
    return json::parse(listed.out);
  }
};

/// The last record of a shard that has been seen.
std::string last_sequence(const std::vector<Seen>& seen, const std::string& shard) {
  std::string last;
  for (const Seen& record : seen) {
    if (record.shard == shard) last = record.sequence;
  }
  return last;
}

}  // namespace

TEST_CASE("SIGTERM in the middle of a file: what is in flight ends, and a second life goes on behind it") {
  const Numbers numbers(400, 50, ", batch_size: 10, shards: 4");
  {
    Bridge bridge(numbers.config);
    wait_until("some records are seen", [&] { return numbers.seen().size() >= 60; });
    CHECK(bridge.process().terminate() == 0);
    CHECK(bridge.log("bridge.cancelled").empty());
    CHECK(bridge.log("bridge.stopped").size() == 1);
  }
  const auto first_life = numbers.seen();
  CHECK(first_life.size() < 400);
  for (const json& row : numbers.checkpoints()) {
    CHECK(row.at("position") == last_sequence(first_life, row.at("shard")));
  }
  CHECK(processes_marked(numbers.mark).empty());
  Bridge second(numbers.config, {"--until-finished"});
  CHECK(second.process().wait() == 0);
  const auto all = numbers.seen();
  CHECK(all.size() == 400);  // each exactly once: nothing was lost, and nothing repeated either
  CHECK(loss_or_disorder(all, 1, 400).empty());
}

TEST_CASE("the grace has an end, and what was cut off is delivered again") {
  const Numbers numbers(20, 30'000, ", batch_size: 10", "shutdown_grace: 1\n");
  {
    Bridge bridge(numbers.config);
    wait_until("an invocation runs", [&] { return numbers.seen().size() == 10; });
    CHECK(bridge.process().terminate() == 0);
    const auto cancelled = bridge.log("bridge.cancelled");
    REQUIRE(cancelled.size() == 1);
    CHECK(cancelled.front().at("reason") == "shutdown_grace is over");
  }
  CHECK(processes_marked(numbers.mark).empty());
  CHECK(numbers.checkpoints().empty());  // nothing is known to be done
}

TEST_CASE("a second SIGTERM ends at once; SIGHUP ends nothing") {
  const Numbers numbers(20, 30'000, ", batch_size: 10");
  Bridge bridge(numbers.config);
  wait_until("an invocation runs", [&] { return numbers.seen().size() == 10; });
  bridge.process().signal(SIGHUP);
  bridge.process().wait_for("config.reloaded");
  CHECK(bridge.status().at("ready") == true);
  bridge.process().signal(SIGTERM);
  bridge.process().wait_for("bridge.stopping");
  CHECK(bridge.status().at("stopping") == true);
  CHECK(bridge.process().running());
  bridge.process().signal(SIGTERM);
  CHECK(bridge.process().wait(5s) == 0);
  CHECK(bridge.log("bridge.cancelled").size() == 1);
  CHECK(processes_marked(numbers.mark).empty());
  CHECK(numbers.seen().size() == 10);
}

TEST_CASE("kill -9 at any moment, ten times: every record is seen, in order, and no function is left") {
  constexpr int kRecords = 2000;
  const unsigned seed = 20'261;
  CAPTURE(seed);
  std::mt19937 random(seed);
  const Numbers numbers(kRecords, 3, ", batch_size: 7, shards: 3");
  for (int life = 0; life < 10; ++life) {
    CAPTURE(life);
    Bridge bridge(numbers.config);
    bridge.admin();
    // The moment is told by what was seen, not by a clock, so that each life gets somewhere on any machine. Some lives
    // end before their first invocation, the others somewhere between two steps of a batch.
    const std::size_t before = numbers.seen().size();
    const std::size_t more = std::uniform_int_distribution<std::size_t>(0, 150)(random);
    wait_until("records are seen", [&] {
      return numbers.seen().size() >= before + more ||
             bridge.process().err().find("source.finished") != std::string::npos;
    });
    bridge.process().signal(SIGKILL);
    CHECK(bridge.process().wait() == 128 + SIGKILL);
    wait_until(
        "its functions end with it", [&] { return processes_marked(numbers.mark).empty(); }, 5s);
    // A checkpoint never passes a record that was not seen.
    const auto so_far = numbers.seen();
    for (const json& row : numbers.checkpoints()) {
      if (row.at("position").is_null()) continue;
      CHECK(std::stoll(row.at("position").get<std::string>()) <= std::stoll(last_sequence(so_far, row.at("shard"))));
    }
  }
  Bridge last(numbers.config, {"--until-finished"});
  CHECK(last.process().wait() == 0);
  CHECK(loss_or_disorder(numbers.seen(), 1, kRecords).empty());
  CHECK(numbers.seen().size() < 2 * kRecords);  // a life repeats what was not checkpointed, not the whole file
  CHECK(processes_marked(numbers.mark).empty());
}

TEST_CASE("checkpoints of a file, moved while the bridge is stopped and while it runs") {
  const Numbers numbers(20, 0, ", batch_size: 5, follow: true");
  std::string fifth;
  {
    Bridge bridge(numbers.config);
    wait_until("everything is seen", [&] { return numbers.seen().size() == 20; });
    const std::string shard = numbers.seen().front().shard;
    fifth = numbers.seen()[4].sequence;
    wait_until("and checkpointed", [&] {
      return bridge.source("numbers").at("shards").at(0).at("checkpoint") == numbers.seen().back().sequence;
    });

    CHECK(bridge.command({"checkpoint", "set", "numbers", shard, fifth, "--config", numbers.config}).ending == 0);
    wait_until("what stands behind the fifth is read again", [&] { return numbers.seen().size() == 35; });
    CHECK(numbers.seen()[20].data == "6");
    CHECK(bridge.command({"checkpoint", "reset", "numbers", "--config", numbers.config}).ending == 0);
    wait_until("everything is read again", [&] { return numbers.seen().size() == 55; });
    CHECK(numbers.seen()[35].data == "1");

    const Finished listed = bridge.command({"checkpoint", "list", "--json", "--config", numbers.config});
    CHECK(listed.ending == 0);
    CHECK(json::parse(listed.out).size() == 1);
    const Finished wrong = bridge.command({"checkpoint", "set", "nobody", shard, "5", "--config", numbers.config});
    CHECK(wrong.ending == 2);
    CHECK(bridge.source("numbers").at("state") == "running");
    CHECK(bridge.process().terminate() == 0);
  }
  Process::Options options;
  options.environment.emplace("ADMIN", "127.0.0.1:0");
  const std::string shard = numbers.seen().front().shard;
  CHECK(run_weir({"checkpoint", "set", "numbers", shard, fifth, "--config", numbers.config}, options).ending == 0);
  CHECK(numbers.checkpoints().at(0).at("position") == fifth);
  CHECK(run_weir({"checkpoint", "set", "numbers", shard, "five", "--config", numbers.config}, options).ending == 2);
  CHECK(run_weir({"checkpoint", "set", "nobody", shard, "5", "--config", numbers.config}, options).ending == 2);
  Bridge after(numbers.config);
  wait_until("it goes on behind the fifth", [&] { return numbers.seen().size() == 70; });
  CHECK(numbers.seen()[55].data == "6");
  CHECK(after.process().terminate() == 0);
  CHECK(run_weir({"checkpoint", "reset", "numbers", shard, "--config", numbers.config}, options).ending == 0);
  for (const json& row : numbers.checkpoints()) CHECK(row.at("position").is_null());
}

TEST_CASE("where the checkpoint of a file can be set to, and what is refused") {
  const Numbers numbers(5, 0, "");
  const std::string shard = "shardId-000000000000";
  Process::Options options;
  options.environment.emplace("ADMIN", "127.0.0.1:0");
  const auto checkpoint = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "checkpoint");
    arguments.insert(arguments.end(), {"--config", numbers.config});
    return run_weir(arguments, options);
  };
  struct Row {
    std::vector<std::string> arguments;
    std::string says;
  };
  const std::vector<Row> refused{
      {{"set", "numbers", "numbers", "5"}, "numbers: there is no shard numbers; one is shardId-000000000000"},
      {{"set", "numbers", "shardId-000000000001", "5"}, "the last one is shardId-000000000000"},
      {{"set", "numbers", shard, "SHARD_END"}, "SHARD_END is what weir remembers of a shard that ended"},
      {{"set", "numbers", shard, "--at", "2026-09-12T07:00:00Z"}, "lines have no time that they came at"},
      {{"set", "numbers", shard, "five"}, "five is no position"},
      {{"set", "numbers", shard}, "give either a POSITION or --at TIME"},
      {{"set", "numbers", shard, "5", "--at", "5"}, "give either a POSITION or --at TIME"},
      {{"set", "numbers", shard, "--at", "noon"}, "noon is no time"},
      {{"set", "numbers", shard, "10000000000000000000000"}, "a position of a file is a byte of it"},
  };
  for (const Row& row : refused) {
    const Finished ended = checkpoint(row.arguments);
    CAPTURE(row.says);
    CHECK(ended.ending == 2);
    CHECK_THAT(ended.err, Catch::Contains(row.says));
  }
  CHECK(numbers.checkpoints().empty());

  const auto read_whole = [&] {
    Bridge bridge(numbers.config, {"--until-finished"});
    REQUIRE(bridge.process().wait() == 0);
  };
  read_whole();
  CHECK(numbers.seen().size() == 5);
  const Finished set = checkpoint({"set", "numbers", shard, "TRIM_HORIZON"});
  CHECK(set.ending == 0);
  CHECK(set.out == "numbers/" + shard + ": read from the oldest record there is\n");
  CHECK(numbers.checkpoints().at(0).at("position") == "TRIM_HORIZON");
  CHECK_THAT(checkpoint({"list"}).out, Catch::Contains("TRIM_HORIZON"));
  read_whole();
  CHECK(numbers.seen().size() == 10);
  CHECK(checkpoint({"set", "numbers", shard, "2"}).ending == 0);
  CHECK(checkpoint({"set", "numbers", shard, "LATEST"}).ending == 0);
  read_whole();
  CHECK(numbers.seen().size() == 10);
  CHECK(numbers.checkpoints().at(0).at("position") == "10");  // 5 lines of 2 bytes: LATEST became a place
}

TEST_CASE("a recording goes on at a time") {
  const TemporaryFolder folder;
  folder.write(
      "numbers.jsonl",
      "{\"json\":1,\"approximateArrivalTimestamp\":1000}\n{\"json\":2,\"approximateArrivalTimestamp\":2000}\n");
  const std::string seen_file = folder / "seen";
  const std::string config = folder.write(
      "weir.yaml",
      "state: state\nadmin: ${ADMIN}\nfunctions:\n  f: {command: [" RECORDER "], environment: {SEEN: " + seen_file +
          "}}\nsources:\n  numbers: {type: file, path: numbers.jsonl, format: recording, " + "function: f}\n");
  Process::Options options;
  options.environment.emplace("ADMIN", "127.0.0.1:0");
  const std::string shard = "shardId-000000000000";
  for (const std::vector<std::string>& time : {std::vector<std::string>{"--at", "1000.001"},
                                               {"--at", "1970-01-01T00:16:40.001Z"},
                                               {"1970-01-01T00:16:40.001Z"},
                                               {"AT_TIMESTAMP", "1000.001"},
                                               {"AT_TIMESTAMP 1000.001"}}) {
    std::vector<std::string> arguments{"checkpoint", "set", "numbers", shard, "--config", config};
    arguments.insert(arguments.begin() + 4, time.begin(), time.end());
    const Finished set = run_weir(arguments, options);
    CAPTURE(time.back());
    CHECK(set.ending == 0);
    CHECK(set.out ==
          "numbers/" + shard + ": read from the first record that came at 1970-01-01T00:16:40.001Z or later\n");
  }
  Bridge bridge(config, {"--until-finished"});
  CHECK(bridge.process().wait() == 0);
  const auto seen = weir::test::seen(seen_file);
  REQUIRE(seen.size() == 1);
  CHECK(seen[0].data == "2");
}

TEST_CASE("status tells what became of records, in AWS's words") {
  const Numbers numbers(4, 0, ", follow: true, filter_criteria: [{data: {n: [1]}}]");
  Bridge bridge(numbers.config);
  wait_until("everything was read", [&] { return bridge.source("numbers").at("polled_events") == 4; });
  wait_until("and filtered out", [&] { return bridge.source("numbers").at("filtered_out_events") == 4; });
  CHECK(bridge.source("numbers").at("last_processing_result") == "No records processed");
  CHECK(bridge.source("numbers").at("shards").at(0).at("filtered_out_events") == 4);
  CHECK(numbers.seen().empty());
  const Finished status = bridge.command({"status", "--config", numbers.config});
  CHECK(status.ending == 0);
  CHECK_THAT(status.out, Catch::Contains("4 filtered out"));
  CHECK_THAT(status.out, Catch::Contains("last processing result: No records processed"));
  CHECK(bridge.process().terminate() == 0);
  CHECK(numbers.checkpoints().at(0).at("position") == "8");
}
