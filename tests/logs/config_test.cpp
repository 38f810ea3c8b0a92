#include "connectors/logs/config.h"

#include <array>

#include <catch2/catch.hpp>

#include "config/config.h"
#include "connectors/logs/connector.h"
#include "support/temporary_folder.h"

using namespace weir;
using logs::LogsConfig;
using logs::StartingPosition;

namespace {

constexpr std::array kTable{ConnectorEntry{"logs", Delivery::kPush, "Log events.", &logs::read_config, nullptr,
                                           &logs::sample_event, nullptr, nullptr, &logs::make_source}};

/// Reads a configuration whose one source has these settings, as the inside of a YAML flow mapping.
struct Reading {
  explicit Reading(const std::string& settings) {
    const std::string file = folder.write("weir.yaml",
                                          "functions: {f: {command: run}, printer: {command: run}, remote: {url: "
                                          "'http://127.0.0.1:9000'}}\nsources: {app: {type: logs, function: f" +
                                              (settings.empty() ? "" : ", " + settings) + "}}\n");
    report = config::read_config(std::vector<std::string>{file}, kTable, [](std::string_view) { return std::nullopt; });
  }
  const LogsConfig& right() const {
    INFO(mistakes());
    REQUIRE(report.mistakes.empty());
    return dynamic_cast<const LogsConfig&>(*report.config.sources.at(0).settings);
  }
  /// "path: sentence", a line each, without "sources.app.".
  std::string mistakes() const {
    std::string lines;
    for (const config::Mistake& mistake : report.mistakes) {
      std::string path = mistake.path;
      if (path.starts_with("sources.app.")) path.erase(0, 12);
      lines += path + ": " + mistake.sentence + "\n";
    }
    return lines;
  }

  test::TemporaryFolder folder;
  config::ConfigReport report;
};

}  // namespace

TEST_CASE("names of groups and streams") {
  CHECK(weir::logs::is_group_name("/aws/lambda/my-function_1.x#2"));
  CHECK_FALSE(weir::logs::is_group_name(""));
  CHECK_FALSE(weir::logs::is_group_name("a b"));
  CHECK_FALSE(weir::logs::is_group_name("a:b"));
  CHECK(weir::logs::is_group_name(std::string(512, 'a')));
  CHECK_FALSE(weir::logs::is_group_name(std::string(513, 'a')));
  CHECK(weir::logs::is_stream_name("2026/09/12/[$LATEST]abc def"));
  CHECK_FALSE(weir::logs::is_stream_name("a:b"));
  CHECK_FALSE(weir::logs::is_stream_name("a*"));
}

TEST_CASE("a log group that PutLogEvents feeds needs no setting") {
  const Reading reading("");
  const LogsConfig& config = reading.right();
  CHECK(config.files.empty());
  CHECK(config.group() == "app");
  CHECK(config.subscription() == "app");
  CHECK(config.filter->matches("anything"));
  CHECK_FALSE(config.multiline_start);
  CHECK(config.starting_position == StartingPosition::kLatest);
}

TEST_CASE("every setting of a log group's source") {
  const Reading group("log_group: /shop/orders, filter_name: failed, filter_pattern: '{ $.state = \"failed\" }'");
  CHECK(group.right().group() == "/shop/orders");
  CHECK(group.right().subscription() == "failed");
  CHECK(group.right().filter_text == "{ $.state = \"failed\" }");
  CHECK(group.right().filter->matches(R"({"state":"failed"})"));
  CHECK_FALSE(group.right().filter->matches(R"({"state":"done"})"));
  const Reading files("files: ['*.log', /var/log/app], multiline_start: '^[0-9]', starting_position: TRIM_HORIZON");
  CHECK(files.right().files == std::vector<std::string>{files.folder.path() + "/*.log", "/var/log/app"});
  CHECK(files.right().multiline_start->matches("2026 begins"));
  CHECK_FALSE(files.right().multiline_start->matches(" goes on"));
  CHECK(files.right().starting_position == StartingPosition::kTrimHorizon);
}

TEST_CASE("a function's own log is a file of the state folder, and AWS's log group of it") {
  const Reading reading("function_log: printer, multiline_start: '^a'");
  const std::string log = reading.report.config.state + "/logs/printer.log";
  CHECK(reading.right().files == std::vector<std::string>{log, log + ".[0-9]", log + ".[0-9][0-9]"});
  CHECK(reading.right().group() == "/aws/lambda/printer");
  CHECK(reading.right().subscription() == "app");
  CHECK(Reading("function_log: printer, log_group: /other").right().group() == "/other");
}

TEST_CASE("what a source of logs may not say") {
  struct Row {
    std::string settings;
    std::string mistakes;
  };
  std::string files;
  for (int i = 0; i < 101; ++i) files += (i > 0 ? ", a" : "a") + std::to_string(i);
  const auto row = GENERATE_COPY(values<Row>({
      {"files: []", "files: names no file, so nothing would be delivered\n"},
      {"files: ['']", "files: has an empty path\n"},
      {"files: 5", "files: expected a list of texts, found the number 5\n"},
      {"files: [" + files + "]", "files: has 101 entries, allowed is at most 100\n"},
      {"log_group: 'a b'", "log_group: is no log group's name; it consists of letters, digits and . - _ / #\n"},
      {"log_group: " + std::string(513, 'a'), "log_group: the text has 513 characters, allowed are at most 512\n"},
      {"filter_name: 'a:b'", "filter_name: is no filter's name; it has neither : nor *\n"},
      {"filter_pattern: 'ERR*'", "filter_pattern: Invalid character(s) in term '*'\n"},
      {"filter_pattern: '%a%', multiline_start: '^a'", "multiline_start: goes with files or function_log only\n"},
      {"function_log: ''", "function_log: names no function\n"},
      {"function_log: printer, files: [a]",
       "function_log: goes without `files`: it is the function's own file that is tailed\n"},
      {"function_log: priter", "function_log: there is no function \"priter\"; did you mean printer?\n"},
      {"function_log: f",
       "function_log: \"f\" would be invoked with what it prints, and print again, without end; give its log to "
       "another function\n"},
      {"function_log: remote", "function_log: weir does not run \"remote\", so it has no log of it\n"},
      {"files: [a], multiline_start: '('", "multiline_start: Invalid character(s) in term '%('\n"},
      {"starting_position: EARLIEST",
       "starting_position: \"EARLIEST\" is not allowed, allowed is TRIM_HORIZON or LATEST\n"},
      {"file: [a]", "file: unknown key; did you mean files?\n"},
      {"filter_pattern: 5, log_group: 'a:b'",
       "filter_pattern: expected a text, found the number 5; in quotes it is a text\nlog_group: is no log group's "
       "name; it consists of letters, digits and . - _ / #\n"},
  }));
  INFO(row.settings);
  CHECK(Reading(row.settings).mistakes() == row.mistakes);
}
