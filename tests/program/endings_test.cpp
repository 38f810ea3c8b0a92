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
  bridge.process().wait_for("reload.refused");
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
