// weir logs: what a function printed, from outside.
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <catch2/catch.hpp>

#include "http/client.h"
#include "program/program.h"

namespace {

using namespace weir::test;
using nlohmann::json;

/// A function `printer` that prints what it is asked for, and others that have no log.
struct Home {
  TemporaryFolder folder;
  std::string config;

  explicit Home(const std::string& more = {}, const std::string& settings = {}) {
    config = folder.write(
        "weir.yaml", "state: state\nadmin: ${ADMIN:-127.0.0.1:1}\nfunctions:\n  printer: {command: [" MISBEHAVE "]" +
                         settings +
                         "}\n  silent: {command: [/bin/true]}\n"
                         "  remote: {url: \"http://127.0.0.1:1\"}\n" +
                         more);
  }
  Finished logs(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {"logs", "--config", config});
    return run_weir(std::move(arguments));
  }
  std::string log() const { return folder / "state/logs/printer.log"; }
};

void print(Bridge& bridge, const std::string& text) {
  const auto sent =
      weir::http::request("POST", "http://" + bridge.gateway() + "/2015-03-31/functions/printer/invocations",
                          json{{"do", "print"}, {"text", text}}.dump(), 10s);
  REQUIRE(sent.has_value());
  REQUIRE(sent->status == 200);
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> all;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) all.push_back(line);
  return all;
}

std::string ago(std::chrono::seconds age) {
  const auto then = weir::SystemClock().now().wall - age;
  return weir::iso_milliseconds(then);
}

}  // namespace

TEST_CASE("weir logs prints time, stream and message, while weir runs and when it does not") {
  const Home home;
  {
    Bridge bridge(home.config);
    print(bridge, "one\ntwo\n");
    wait_until("it is written", [&] { return has(home.logs({"printer"}).out, "REPORT"); });
    CHECK(bridge.process().terminate() == 0);
  }
  const Finished all = home.logs({"printer"});
  CHECK(all.ending == 0);
  CHECK(all.err.empty());
  const std::vector<std::string> lines = lines_of(all.out);
  REQUIRE(lines.size() == 5);
  CHECK(has(lines[0], " START RequestId: "));

  CHECK(lines[1].substr(24, 1) == " ");
  CHECK(has(lines[1], "/[$LATEST]"));
  CHECK(lines[1].ends_with(" one"));
  CHECK(lines[2].ends_with(" two"));
  CHECK(has(lines[4], " REPORT RequestId: "));

  CHECK(lines_of(home.logs({"printer", "--format", "short"}).out)[1] == lines[1].substr(0, 24) + " one");
  const json line = json::parse(lines_of(home.logs({"printer", "--json"}).out)[1]);
  CHECK(line.at("message") == "one");
  CHECK(has(line.at("logStreamName"), "/[$LATEST]"));
  CHECK(weir::iso_milliseconds(weir::from_epoch_milliseconds(line.at("timestamp"))) == lines[1].substr(0, 24));

  CHECK(home.logs({"printer", "--qualifier", "$LATEST"}).out == all.out);
  const Finished other = home.logs({"printer", "--qualifier", "7"});
  CHECK(other.ending == 0);
  CHECK(other.out.empty());
  CHECK(has(other.err, "the log of printer has nothing of version 7 since "));
}

TEST_CASE("--since: how far back") {
  const Home home;
  std::filesystem::create_directories(home.folder / "state/logs");
  const std::string stream = " 2026/09/12/[$LATEST]0123456789abcdef0123456789abcdef ";
  std::ofstream(home.log() + ".1") << "of an old weir\n"
                                   << ago(50h) << stream << "days\n"
                                   << ago(2h) << stream << "hours\n";
  std::ofstream(home.log()) << ago(300s) << stream << "minutes\n"
                            << ago(5s) << stream << "seconds\n"
                            << ago(0s) << stream << "unended";
  const auto since = [&](const std::string& when) {
    const Finished said = home.logs({"printer", "--since", when, "--format", "short"});
    CHECK(said.ending == 0);
    std::string messages;
    for (const std::string& line : lines_of(said.out)) messages += line.substr(25) + "|";
    return messages;
  };
  CHECK(since("all") == "of an old weir|days|hours|minutes|seconds|unended|");
  CHECK(since("1w") == "days|hours|minutes|seconds|unended|");
  CHECK(since("2d") == "hours|minutes|seconds|unended|");
  CHECK(since("10m") == "minutes|seconds|unended|");
  CHECK(since("60s") == "seconds|unended|");
  CHECK(since(ago(3h)) == "hours|minutes|seconds|unended|");
  CHECK(since(ago(60s)) == "seconds|unended|");
  CHECK(lines_of(home.logs({"printer"}).out).size() == 3);  // 10 minutes, when nothing is said
  const Finished none = home.logs({"printer", "--since", "2099-01-01T00:00:00Z"});
  CHECK(none.ending == 0);
  CHECK(none.out.empty());
  CHECK(has(none.err, "the log of printer has nothing since 2099-01-01T00:00:00.000Z; its last line is of "));
  for (const char* wrong : {"", "m", "10", "10y", "-5m", "1.5h", "9999999999s", "yesterday", "2026-09-12"}) {
    const Finished said = home.logs({"printer", "--since", wrong});
    INFO(wrong);
    CHECK(said.ending == 2);
    CHECK(has(said.err, " is no time; one is 10m "));
  }
}

TEST_CASE("a log that there is not") {
  const Home home;
  const Finished unknown = home.logs({"priter"});
  CHECK(unknown.ending == 2);
  CHECK(unknown.out.empty());
  CHECK(has(unknown.err, "weir: there is no function priter; did you mean printer? There is printer, silent\n"));
  const Finished remote = home.logs({"remote"});
  CHECK(remote.ending == 2);
  CHECK(has(remote.err, "weir does not run the function remote, so it has no log of it"));
  for (const char* path : {"../printer", "/etc/passwd", ".", ""}) CHECK(home.logs({path}).ending == 2);
  const Finished silent = home.logs({"silent"});
  CHECK(silent.ending == 0);
  CHECK(silent.err == "weir: the log of silent is empty\n");
  const Finished alias = home.logs({"printer", "--qualifier", "live"});
  CHECK(alias.ending == 2);
  CHECK(has(alias.err, "--qualifier live is no version"));
  CHECK(run_weir({"logs"}).ending == 2);
  CHECK(run_weir({"logs", "printer", "--config", home.folder / "nowhere.yaml"}).ending == 2);
}

TEST_CASE("--follow goes on behind rotations and restarts, and ends when it is interrupted or nobody reads") {
  const Home home("function_logs: {file_size: 1, files: 2}\n");
  std::optional<Bridge> bridge(std::in_place, home.config);
  Process follower({WEIR, "logs", "--config", home.config, "printer", "-f", "--format", "short"});
  const auto told = [&](const std::string& word) {
    wait_until(word + " is told", [&] { return has(follower.out(), " " + word + "\n"); });
  };
  print(*bridge, "begin\n");
  told("begin");
  std::string much;
  for (int number = 0; number < 6000; ++number) much += std::to_string(number) + std::string(90, '.') + "\n";
  print(*bridge, much);
  print(*bridge, much);
  print(*bridge, "rotated\n");
  told("rotated");
  wait_until("it was rotated", [&] { return std::filesystem::exists(home.log() + ".1"); });
  CHECK(bridge->process().terminate() == 0);
  bridge.emplace(home.config);
  print(*bridge, "again\n");
  told("again");
  std::size_t numbers = 0;
  for (const std::string& line : lines_of(follower.out())) numbers += has(line, "....") ? 1U : 0U;
  CHECK(numbers == 12000);
  follower.signal(SIGINT);
  CHECK(follower.wait() == 130);

  // `weir logs -f | head -1`, whose end is noticed though nothing is printed any more.
  Process piped({"/bin/sh", "-c", std::string(WEIR) + " logs --config " + home.config + " printer -f | head -1"});
  CHECK(piped.wait() == 0);
  CHECK(bridge->process().terminate() == 0);
}

TEST_CASE("a function of the Lambda API that has printed nothing is known to the bridge that runs") {
  const Home home;
  Bridge bridge(home.config);
  const std::string admin = bridge.admin();
  const Finished unknown = bridge.command({"logs", "nobody", "--config", home.config});
  CHECK(unknown.ending == 2);
  CHECK(has(unknown.err, "there is no function nobody"));
  CHECK(bridge.process().terminate() == 0);
}

TEST_CASE("the levels of the JSON format") {
  const Home home("", ", log_format: JSON, application_log_level: WARN, system_log_level: WARN");
  Bridge bridge(home.config);
  print(bridge,
        "text\n{\"level\":\"ERROR\",\"timestamp\":\"2024-11-02T16:51:31Z\"}\n"
        "{\"level\":\"INFO\",\"timestamp\":\"2024-11-02T16:51:31Z\"}\n");
  wait_until("it is written", [&] { return !home.logs({"printer"}).out.empty(); });
  CHECK(bridge.process().terminate() == 0);
  const std::vector<std::string> lines = lines_of(home.logs({"printer", "--format", "short"}).out);
  REQUIRE(lines.size() == 1);
  CHECK(has(lines[0], "\"ERROR\""));
}
