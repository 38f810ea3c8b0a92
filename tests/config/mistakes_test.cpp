#include <algorithm>
#include <filesystem>
#include <vector>

#include <catch2/catch.hpp>

#include "fake_connectors.h"

namespace weir::config {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> yaml_files(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".yaml") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

// One file for each kind of mistake, and beside it the exact lines it must print.
TEST_CASE("every kind of mistake prints its place, what is wrong and what is allowed") {
  const fs::path folder = fs::path(WEIR_CONFIG_TESTS) / "mistakes";
  const std::vector<fs::path> files = yaml_files(folder);
  REQUIRE(files.size() > 40);
  const auto variables = environment({{"HANDS", "12"}, {"WORD", "hunter2"}, {"EMPTY", ""}});
  for (const fs::path& file : files) {
    INFO(file.filename());
    const std::vector<std::string> names{file.string()};
    const ConfigReport report = read_config(names, fake_connectors(), variables);
    CHECK_FALSE(report.mistakes.empty());
    const std::string printed = lines(report);
    CHECK(printed.find("hunter2") == std::string::npos);
    check_golden(fs::path(file).replace_extension(".expected"), printed);
  }
}

}  // namespace weir::config
