#include "config/difference.h"

#include <filesystem>

#include <catch2/catch.hpp>

#include "config/config.h"
#include "fake_connectors.h"
#include "support/temporary_folder.h"

namespace weir::config {
namespace {

class Files {
 public:
  Written read(const std::string& text, const std::map<std::string, std::string>& variables = {}) const {
    const std::vector<std::string> files{folder_.write("weir.yaml", text)};
    ConfigReport report = read_config(files, fake_connectors(), environment(variables));
    REQUIRE(lines(report).empty());
    return std::move(report.written);
  }
  std::string difference_of(const std::string& before, const std::string& now) const {
    std::string text;
    for (const Change& change : difference(read(before), read(now))) text += change.describe() + "\n";
    return text;
  }

 private:
  test::TemporaryFolder folder_;
};

const std::string kF = "functions:\n  f: {command: run, timeout: 3, environment: {TOKEN: secret-1, MODE: on}}\n";

}  // namespace

TEST_CASE("each change of the files is a line, and what only looks different is none") {
  const Files files;
  CHECK(files.difference_of(kF, "# the same\n" + kF).empty());
  CHECK(files
            .difference_of(kF,
                           "functions:\n  f:\n    environment:\n      MODE: \"on\"\n      TOKEN: secret-1\n    "
                           "command: run\n    timeout: 3\n")
            .empty());
  CHECK(files.difference_of(kF, "functions:\n  f: {command: [run, fast], handler: h}\nconcurrency: 500\n") ==
        "concurrency: not given -> 500\n"
        "functions.f.command: run -> [\"run\",\"fast\"]\n"
        "functions.f.environment.MODE: not given any more\n"
        "functions.f.environment.TOKEN: not given any more\n"
        "functions.f.handler: not given -> h\n"
        "functions.f.timeout: 3 -> not given\n");
  CHECK(files.difference_of(kF, "functions:\n  g: {command: run}\n") ==
        "functions.f: removed\n"
        "functions.g: added\n");
}

TEST_CASE("what is secret, or came from a variable, is not shown") {
  const Files files;
  const std::string changed = "functions:\n  f: {command: run, timeout: 3, environment: {TOKEN: secret-2, MODE: on}}\n";
  CHECK(files.difference_of(kF, changed) == "functions.f.environment.TOKEN: changed\n");
  CHECK(files.difference_of("access_keys: {ID: one}\n" + kF, "access_keys: {ID: two, NEW: three}\n" + kF) ==
        "access_keys.ID: changed\n"
        "access_keys.NEW: given\n");
  const std::string handler = "functions:\n  f: {command: run, handler: \"${H}\"}\n";
  const auto changes = difference(files.read(handler, {{"H", "old"}}), files.read(handler, {{"H", "new"}}));
  REQUIRE(changes.size() == 1);
  CHECK(changes.front().describe() == "functions.f.handler: changed");
}

TEST_CASE("sources are told apart by their names") {
  const Files files;
  const std::string tick = kF + "sources:\n  tick: {type: nothing, function: f";
  const Written before = files.read(tick + "}\n  tock: {type: nothing, function: f}\n");
  const Written now = files.read(tick + ", enabled: false}\n  tack: {type: nothing, function: f}\n");
  CHECK(changed_names(before.sources, now.sources) == std::set<std::string>{"tack", "tick", "tock"});
  CHECK(changed_names(before.sources, before.sources).empty());
  std::vector<Change> changes = difference(before, now);
  REQUIRE(changes.size() == 3);
  CHECK(changes[1].path == "sources.tick.enabled");
  changes[1].restart = true;
  CHECK(changes[1].describe() == "sources.tick.enabled: not given -> false (needs a restart)");
}

}  // namespace weir::config
