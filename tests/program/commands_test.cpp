// The commands that begin and end: what they print, where, and with which exit status.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include <catch2/catch.hpp>

#include "program/program.h"

namespace {

using namespace weir::test;
using Catch::Matchers::Contains;
using nlohmann::json;
namespace fs = std::filesystem;

constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr int kBadCall = 2;
constexpr int kNotDelivered = 3;

struct Functions {
  TemporaryFolder folder;
  std::string config = folder.write("weir.yaml",
                                    "state: state\n"
                                    "functions:\n"
                                    "  counter: {command: [" COUNTER
                                    "]}\n"
                                    "  blocked: {command: [" COUNTER
                                    "], reserved_concurrent_executions: 0}\n"
                                    "  gone: {command: [/no/such/program]}\n"
                                    "  no-json: {command: [" RECORDER "], environment: {MODE: no-json}}\n");

  Finished invoke(std::vector<std::string> arguments, std::string input = {}) const {
    arguments.insert(arguments.begin(), {"invoke", "--config", config});
    Process::Options options;
    options.input = std::move(input);
    return run_weir(std::move(arguments), std::move(options));
  }
};

}  // namespace

TEST_CASE("a configuration with mistakes starts nothing, and every mistake has its place") {
  const TemporaryFolder folder;
  const std::string config = folder.write("weir.yaml",
                                          "state: state\n"
                                          "functions:\n"
                                          "  good: {command: [" COUNTER
                                          "], timeout: 0}\n"
                                          "sources:\n"
                                          "  clicks: {type: file, path: clicks.jsonl, function: good}\n"
                                          "  clicks: {type: file, path: clicks.jsonl, function: good}\n"
                                          "  orders: {type: file, path: clicks.jsonl, function: bad, batch_sise: 5}\n");
  const auto command = GENERATE(as<std::string>(), "run", "validate");
  const Finished ended = run_weir({command, config});
  CHECK(ended.ending == kBadCall);
  CHECK(ended.out.empty());
  CHECK_THAT(ended.err, Contains(config + ":3:") && Contains("functions.good.timeout: 0 is out of range"));
  CHECK_THAT(ended.err, Contains(config + ":6:3: sources.clicks: given twice, first on line 5"));
  CHECK_THAT(ended.err, Contains(config + ":7:") && Contains("sources.orders.function: there is no function \"bad\""));
  CHECK_THAT(ended.err, Contains("sources.orders.batch_sise: unknown key; did you mean batch_size?"));
  CHECK_THAT(ended.err, Contains("4 mistakes; "));
  if (command == "run") CHECK_THAT(ended.err, Catch::Matchers::EndsWith("4 mistakes; nothing was started\n"));
  std::size_t files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder.path())) ++files;
  CHECK(files == 1);  // nothing but the configuration
}

TEST_CASE("the schema is JSON, a right configuration is said to be right") {
  const Finished schema = run_weir({"validate", "--schema"});
  CHECK(schema.ending == kDone);
  CHECK(json::parse(schema.out).contains("properties"));
  const Functions functions;
  const Finished right = run_weir({"validate", functions.config});
  CHECK(right.ending == kDone);
  CHECK(right.out == "right: 4 functions, 0 sources\n");
  CHECK(run_weir({"validate"}).ending == kBadCall);
}

TEST_CASE("validate says when schedules run next, as often as it is asked to") {
  const TemporaryFolder folder;
  const std::string config = folder.write("weir.yaml",
                                          "functions: {f: {url: 'http://127.0.0.1:1'}}\n"
                                          "sources: {night: {type: schedule, expression: 'cron(30 2 ? * * 2100)', "
                                          "timezone: Europe/Berlin, function: f}}\n");
  const Finished two = run_weir({"validate", "--schedules=2", config});
  CHECK(two.ending == 0);
  CHECK(two.out ==
        "right: 1 function, 1 source\n"
        "night: cron(30 2 ? * * 2100) in Europe/Berlin\n"
        "  2100-01-01T02:30:00+01:00  2100-01-01T01:30:00Z\n"
        "  2100-01-02T02:30:00+01:00  2100-01-02T01:30:00Z\n");
  const Finished never = run_weir({"validate", "--schedules=0", config});
  CHECK(never.ending == kBadCall);
}

TEST_CASE("what an invocation ends with is its exit status") {
  const Functions functions;
  SECTION("0: the payload is on stdout, and nothing else") {
    const Finished ended = functions.invoke({"counter"});
    CHECK(ended.ending == kDone);
    CHECK(json::parse(ended.out) == json{{"records", 0}, {"records_in_all", 0}});
    // Where no mount namespace is permitted, one warning says so; nothing else is said.
    const bool warned = ended.err.find("function.tmp_shared") != std::string::npos;
    CHECK(std::count(ended.err.begin(), ended.err.end(), '\n') == (warned ? 1 : 0));
  }
  SECTION("0: an event from a file, from stdin, and an empty one") {
    const std::string event = functions.folder.write("event.json", run_weir({"event", "file"}).out);
    CHECK(json::parse(functions.invoke({"counter", "--event", event}).out).at("records") == 1);
    CHECK(json::parse(functions.invoke({"counter", "--event", "-"}, run_weir({"event", "kafka"}).out).out)
              .at("records") == 1);
    CHECK(functions.invoke({"counter", "--event", "-"}, "").ending == kDone);
  }
  SECTION("0: what a function answers is passed on as it is") {
    const Finished ended = functions.invoke({"no-json"});
    CHECK(ended.ending == kDone);
    CHECK(ended.out == "{\"half\n");
  }
  SECTION("0: the only qualifier there is") {
    CHECK(functions.invoke({"counter", "--qualifier", "$LATEST"}).ending == kDone);
  }
  SECTION("0: the log is on stderr, where it is asked for") {
    const Finished ended = functions.invoke({"counter", "--log"});
    CHECK(ended.ending == kDone);
    CHECK_THAT(ended.err, Contains("START RequestId: ") && Contains("invocation 1: 0 records") && Contains("REPORT "));
  }
  SECTION("1: the function's own error") {
    const Finished ended = functions.invoke({"counter", "--event", "-"}, R"({"fail":true})");
    CHECK(ended.ending == kFailed);
    CHECK(json::parse(ended.out).at("errorType") == "Counter.Poison");
  }
  SECTION("1: a command that does not exist is the function's error, as in Lambda") {
    const Finished ended = functions.invoke({"gone"});
    CHECK(ended.ending == kFailed);
    CHECK(json::parse(ended.out).at("errorType") == "Runtime.InvalidEntrypoint");
    CHECK_THAT(ended.out, Contains("/no/such/program"));
  }
  SECTION("3: no concurrency") {
    const Finished ended = functions.invoke({"blocked"});
    CHECK(ended.ending == kNotDelivered);
    CHECK(ended.out.empty());
    CHECK_THAT(ended.err, Contains("TooManyRequestsException"));
  }
}

TEST_CASE("a bad call of invoke is 2, with the reason on stderr and nothing on stdout") {
  const Functions functions;
  struct Row {
    const char* sentence;
    std::vector<std::string> arguments;
    std::string input;
    std::string reason;
  };
  const auto row = GENERATE_COPY(values<Row>({
      {"no function", {}, "", "FUNCTION is required"},
      {"a function that is not configured", {"nobody"}, "", "ResourceNotFoundException: Function not found: "},
      {"a qualifier that there is not", {"counter", "--qualifier", "7"}, "", "function:counter:7"},
      {"an event file that is missing", {"counter", "--event", "/no/such/event"}, "", "/no/such/event: cannot be read"},
      {"an event file that is a folder", {"counter", "--event", "/proc"}, "", "/proc: cannot be read"},
      {"an event that is not JSON", {"counter", "--event", "-"}, "{half", "InvalidRequestContentException"},
      {"an event that is not UTF-8", {"counter", "--event", "-"}, "\"\xff\"", "InvalidRequestContentException"},
      {"one byte too many",
       {"counter", "--event", "-"},
       "\"" + std::string(6291455, 'x') + "\"",
       "RequestEntityTooLarge"},
      {"an option that there is not", {"counter", "--evnt", "-"}, "", "--evnt"},
  }));
  DYNAMIC_SECTION(row.sentence) {
    const Finished ended = functions.invoke(row.arguments, row.input);
    CHECK(ended.ending == kBadCall);
    CHECK(ended.out.empty());
    CHECK_THAT(ended.err, Contains(row.reason));
  }
}

TEST_CASE("an event of exactly 6,291,456 bytes is taken") {
  const Functions functions;
  CHECK(functions.invoke({"counter", "--event", "-"}, "\"" + std::string(6291454, 'x') + "\"").ending == kDone);
}

TEST_CASE("invoke without a configuration, or with a wrong one, says so") {
  const Finished missing = run_weir({"invoke", "counter", "--config", "/no/such/weir.yaml"});
  CHECK(missing.ending == kBadCall);
  CHECK(missing.err == "/no/such/weir.yaml: there is no such file\n1 mistake; nothing was invoked\n");
}

TEST_CASE("a sample event can be changed where it has something") {
  CHECK(json::parse(run_weir({"event", "file"}).out).at("Records").size() == 1);
  const Finished changed = run_weir({"event", "file", "--set", "Records.0.kinesis.partitionKey=abc", "--set",
                                     "Records.0.kinesis.approximateArrivalTimestamp=7.5"});
  CHECK(changed.ending == kDone);
  const json record = json::parse(changed.out).at("Records").at(0).at("kinesis");
  CHECK(record.at("partitionKey") == "abc");               // no JSON: a text
  CHECK(record.at("approximateArrivalTimestamp") == 7.5);  // JSON

  struct Row {
    std::vector<std::string> arguments;
    std::string reason;
  };
  const auto row = GENERATE(values<Row>({
      {{"event"}, "SOURCE is required"},
      {{"event", "pigeon"}, "no source type pigeon; there is dynamodb, eventbridge, file, kafka"},
      {{"event", "file", "pigeon"}, "file has no event pigeon; there is only the one without a name"},
      {{"event", "s3", "pigeon"}, "s3 has no event pigeon; there is eventbridge-created, "},
      {{"event", "dynamodb", "pigeon"},
       "dynamodb has no event pigeon; there is insert, keys-only, modify, remove, remove-ttl, window, window-final"},
      {{"event", "file", "--set", "Records"}, "--set takes PATH=VALUE, not Records"},
      {{"event", "file", "--set", "Records.1.kinesis=x"}, "the event has no Records.1.kinesis"},
      {{"event", "file", "--set", "=x"}, "the event has no "},
  }));
  CAPTURE(row.reason);
  const Finished refused = run_weir(row.arguments);
  CHECK(refused.ending == kBadCall);
  CHECK(refused.out.empty());
  CHECK_THAT(refused.err, Contains(row.reason));
}

TEST_CASE("every event that has a name is printed by it as it stands in its file, and no name is there twice") {
  std::istringstream help(run_weir({"event", "--help"}).out);
  std::set<std::pair<std::string, std::string>> seen;
  bool listed = false;
  for (std::string line; std::getline(help, line);) {
    if (line == "Events by name:") {
      listed = true;
    } else if (listed && line.starts_with("  ")) {
      const std::size_t space = line.find(' ', 2);
      const std::size_t colon = line.find(": ", space);
      REQUIRE(colon != std::string::npos);
      const std::string source = line.substr(2, space - 2);
      const std::string name = line.substr(space + 1, colon - space - 1);
      CAPTURE(source, name);
      CHECK(seen.emplace(source, name).second);
      const Finished printed = run_weir({"event", source, name});
      CHECK(printed.ending == kDone);
      CHECK_FALSE(json::parse(printed.out, nullptr, false).is_discarded());
      const fs::path golden = fs::path(WEIR_TESTS_EVENTS) / source / (name + ".json");
      if (std::getenv("WEIR_UPDATE_GOLDEN") != nullptr) {
        fs::create_directories(golden.parent_path());
        std::ofstream(golden, std::ios::binary) << printed.out;
      }
      std::ifstream in(golden, std::ios::binary);
      CHECK(printed.out == std::string(std::istreambuf_iterator<char>(in), {}));
    }
  }
  std::size_t goldens = 0;
  for (const auto& file : fs::recursive_directory_iterator(WEIR_TESTS_EVENTS)) goldens += file.is_regular_file();
  CHECK(seen.size() == goldens);
}

TEST_CASE("match gives an id back as it was written, of a malformed line, too") {
  const std::string asked = R"("pattern":"{\"a\":[1]}","event":"{\"a\":1}"})";
  Process::Options options;
  options.input = "{\"id\":12345678901234567890123," + asked + "\n{\"id\": {\"n\":1.50} ," + asked + "\n{" + asked +
                  "\n{\"id\":7,\"event\":\"\xff\"}\n";
  const Finished ended = run_weir({"match", "--jsonl"}, options);
  CHECK(ended.ending == kDone);
  CHECK(ended.out ==
        "{\"id\":12345678901234567890123,\"match\":true,\"error\":null}\n"
        "{\"id\":{\"n\":1.50},\"match\":true,\"error\":null}\n"
        "{\"id\":null,\"match\":true,\"error\":null}\n"
        "{\"id\":7,\"match\":null,\"error\":\"the line is not a JSON object\"}\n");
}

TEST_CASE("a time that weir cannot tell from others is refused, not taken for another one") {
  const TemporaryFolder folder;
  const std::string config = folder.write("weir.yaml",
                                          "state: state\nfunctions: {good: {command: [/bin/true]}}\n"
                                          "sources: {s: {type: file, path: numbers.txt, function: good}}\n");
  for (const char* time : {"3000-01-01T00:00:00Z", "1000-01-01T00:00:00Z"}) {
    const Finished ended = run_weir({"checkpoint", "set", "s", "a", "--at", time, "--config", config});
    CHECK(ended.ending == kBadCall);
    CHECK_THAT(ended.err, Contains(std::string(time) + " is too far away; weir knows the years 1824 to 2115"));
  }
  for (const char* time : {"0001-01-01T00:00:00Z", "AT_TIMESTAMP 9e9", "AT_TIMESTAMP 9999-12-31T23:59:59Z"}) {
    const Finished ended = run_weir({"checkpoint", "set", "s", "a", time, "--config", config});
    CHECK(ended.ending == kBadCall);
    CHECK_THAT(ended.err, Contains(std::string(time) + " is too far away"));
  }
}

TEST_CASE("every command has help with an example") {
  const auto command = GENERATE(values<std::vector<std::string>>({{"run"},
                                                                  {"validate"},
                                                                  {"invoke"},
                                                                  {"event"},
                                                                  {"status"},
                                                                  {"checkpoint"},
                                                                  {"checkpoint", "list"},
                                                                  {"checkpoint", "set"},
                                                                  {"checkpoint", "reset"}}));
  std::vector<std::string> arguments = command;
  arguments.emplace_back("--help");
  const Finished help = run_weir(arguments);
  CAPTURE(command);
  CHECK(help.ending == kDone);
  CHECK_THAT(help.out, Contains("Example: weir " + command.front()) || Contains("| weir " + command.front()));
  CHECK(help.err.empty());
}

TEST_CASE("what is no command of weir's is a bad call") {
  struct Row {
    std::vector<std::string> arguments;
    std::string reason;
  };
  const auto row = GENERATE(values<Row>({
      {{"frobnicate"}, "there is no command frobnicate"},
      {{}, "A subcommand is required"},
      {{"checkpoint"}, "A subcommand is required"},
      {{"checkpoint", "list", "--frobnicate"}, "--frobnicate"},
      {{"run"}, "CONFIG is required"},
      {{"run", "weir.yaml", "--progress", "sometimes"}, "sometimes"},
      {{"run", "weir.yaml", "--log-level", "loud"}, "loud"},
  }));
  CAPTURE(row.reason);
  const Finished ended = run_weir(row.arguments);
  CHECK(ended.ending == kBadCall);
  CHECK(ended.out.empty());
  CHECK_THAT(ended.err, Contains(row.reason));
}

TEST_CASE("status of what is no bridge") {
  SECTION("nobody listens") {
    // Port 1 is reserved for tcpmux, which nobody runs.
    const Finished ended = run_weir({"status", "--admin", "127.0.0.1:1"});
    CHECK(ended.ending == kFailed);
    CHECK_THAT(ended.err, Contains("http.failed: ") && Contains("asking the bridge at 127.0.0.1:1"));
  }
  SECTION("an address that is none") {
    CHECK(run_weir({"status", "--admin", "no address"}).ending == kFailed);
  }
  SECTION("a configuration with mistakes") {
    CHECK(run_weir({"status", "--config", "/no/such/weir.yaml"}).ending == kBadCall);
  }
}
