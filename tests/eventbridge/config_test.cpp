#include "connectors/eventbridge/config.h"

#include <array>

#include <catch2/catch.hpp>

#include "config/config.h"
#include "connectors/eventbridge/connector.h"
#include "support/temporary_folder.h"

using namespace weir;
using eventbridge::EventBridgeConfig;

namespace {

constexpr std::array kTable{ConnectorEntry{"eventbridge", Delivery::kPush, "A rule.", &eventbridge::read_config,
                                           nullptr, &eventbridge::sample_event, nullptr, nullptr,
                                           &eventbridge::make_source}};

struct Reading {
  explicit Reading(const std::string& sources) {
    const std::string file = folder.write("weir.yaml", "functions: {f: {command: run}}\nsources:\n" + sources);
    report = config::read_config(std::vector<std::string>{file}, kTable, [](std::string_view) { return std::nullopt; });
  }
  std::string mistakes() const {
    std::string lines;
    for (const config::Mistake& mistake : report.mistakes) lines += mistake.path + ": " + mistake.sentence + "\n";
    return lines;
  }

  test::TemporaryFolder folder;
  config::ConfigReport report;
};

std::string mistakes(const std::string& settings) {
  return Reading("  up: {type: eventbridge, function: f, " + settings + "}\n").mistakes();
}

}  // namespace

TEST_CASE("a rule of the configuration") {
  const Reading reading(
      "  up:\n    type: eventbridge\n    function: f\n    bus: orders\n    event_pattern: {source: [shop]}\n"
      "    input_transformer: {input_paths_map: {a: $.detail.a}, input_template: '{\"a\": <a>}'}\n");
  INFO(reading.mistakes());
  REQUIRE(reading.report.mistakes.empty());
  const auto& config = dynamic_cast<const EventBridgeConfig&>(*reading.report.config.sources.at(0).settings);
  CHECK(config.bus == "orders");
  CHECK(config.pattern == R"({"source":["shop"]})");
  CHECK(config.settings.input_paths.at("a") == "$.detail.a");
}

TEST_CASE("what is wrong with a rule is said in AWS's words") {
  const std::string pattern = "event_pattern: {source: [shop]}";
  CHECK(mistakes(pattern).empty());
  CHECK(mistakes("bus: default") ==
        "sources.up.event_pattern: is required; Parameter(s) EventPattern must be specified.\n");
  CHECK(
      mistakes("event_pattern: {source: shop}")
          .starts_with("sources.up.event_pattern: Event pattern is not valid. Reason: \"source\" must be an object or "
                       "an array"));
  CHECK(mistakes(pattern + ", bus: a/b").starts_with("sources.up.bus: is no event bus's name"));
  CHECK(mistakes(pattern + ", input_path: detail") ==
        "sources.up.input_path: Invalid InputPath for target function.\n");
  CHECK(mistakes(pattern + ", input_path: $.a, input: '{}'") ==
        "sources.up.input_path: Only one of Input, InputPath, or InputTransformer must be provided for target "
        "function.\n");
  CHECK(mistakes(pattern + ", input_transformer: {input_template: '\"<x>\"'}") ==
        "sources.up.input_transformer: InputTemplate for target function contains invalid placeholder x.\n");
}

TEST_CASE("the same rule twice for one function would bring each event twice") {
  const std::string rule = "{type: eventbridge, function: f, event_pattern: {source: [shop]}}";
  const std::string said = Reading("  one: " + rule + "\n  two: " + rule + "\n").mistakes();
  CHECK(said.find("each event would come twice") != std::string::npos);
}
