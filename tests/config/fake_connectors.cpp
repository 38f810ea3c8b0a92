#include "fake_connectors.h"

#include <array>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include <catch2/catch.hpp>
#include <stdlib.h>

#include "support/temporary_folder.h"

namespace weir::config {
namespace {

namespace fs = std::filesystem;

std::unique_ptr<SourceConfig> read_clock(ConfigNode& node) {
  auto config = std::make_unique<ClockConfig>();
  config->zone = node.required_text("zone", {.about = "Where the clock hangs.", .max_length = 10});
  config->face =
      node.text("face", {.about = "What its digits look like.", .fallback = "ROMAN", .one_of = {"ROMAN", "ARABIC"}});
  config->start = node.text("start", {.about = "When it starts: seconds or a word.", .or_number = true});
  config->hands = node.integer("hands", {.about = "How many hands | pointers it has.", .min = 1, .max = 3});
  config->strikes = node.flag("strikes", {.about = "Whether it is heard.", .fallback = true});
  config->alarms = node.texts("alarms", {.about = "When it rings.", .min_items = 1, .max_items = 2, .max_length = 5});
  config->hours = node.texts("hours", {.about = "The hours it shows.", .one_of = {"I", "II", "III"}});
  config->extras = node.text_map("extras", "Whatever else it has.");
  node.section("login", "Who may set it.", [&](ConfigNode& login) {
    config->user = login.required_text("user", {.about = "The user."});
    config->password =
        login.text("password", {.about = "The password.", .fallback = "swordfish", .secret = true}).value_or("");
    if (config->user == config->password)
      login.mistake("password", "\"" + config->password + "\" is the user's name, too");
    login.refuse_other_keys();
  });
  config->file = node.resolve_path(node.text("file", {.about = "Its file.", .fallback = "clock.txt"}).value_or(""));
  config->mapping = read_mapping_settings(node, MappingKind::kKinesis);
  if (config->zone == "Atlantis") node.mistake("zone", "\"" + config->zone + "\" has sunk");
  if (config->hands == 3 && !config->strikes) node.mistake("strikes", "a clock with 3 hands strikes");
  node.refuse_other_keys();
  return config;
}

std::unique_ptr<SourceConfig> read_nothing(ConfigNode& node) {
  node.refuse_other_keys();
  auto config = std::make_unique<SourceConfig>();
  config->mapping.kind = MappingKind::kKinesis;
  return config;
}

constexpr std::array kFakes{
    ConnectorEntry{.type = "clock", .delivery = Delivery::kPoll, .about = "Ticks.", .read_config = &read_clock},
    ConnectorEntry{
        .type = "nothing", .delivery = Delivery::kPoll, .about = "Gives nothing.", .read_config = &read_nothing},
};

}  // namespace

std::span<const ConnectorEntry> fake_connectors() {
  return kFakes;
}

EnvironmentLookup environment(std::map<std::string, std::string> variables) {
  return [variables = std::move(variables)](std::string_view name) -> std::optional<std::string> {
    const auto found = variables.find(std::string(name));
    return found == variables.end() ? std::nullopt : std::optional<std::string>(found->second);
  };
}

std::string lines(const ConfigReport& report) {
  std::string out;
  for (Mistake mistake : report.mistakes) {
    mistake.file = fs::path(mistake.file).filename().string();
    out += mistake.describe() + "\n";
  }
  return out;
}

ConfigReport read(const std::string& text, std::map<std::string, std::string> variables) {
  const test::TemporaryFolder folder;
  const std::vector<std::string> files{folder.write("weir.yaml", text)};
  return read_config(files, fake_connectors(), environment(std::move(variables)));
}

void check_golden(const std::filesystem::path& golden, const std::string& text) {
  const char* update = std::getenv("WEIR_UPDATE_GOLDEN");
  if (update && std::string_view(update) == "1") {
    std::ofstream(golden, std::ios::binary) << text;
    return;
  }
  std::ifstream in(golden, std::ios::binary);
  std::stringstream expected;
  expected << in.rdbuf();
  INFO("golden file: " << golden.filename());
  CHECK(text == expected.str());
}

}  // namespace weir::config
