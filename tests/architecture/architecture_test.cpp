// The include lines tell the truth about the layers: what a module includes of others is what it declares, and the pure
// layers include no I/O, clock, thread or JSON tree.
#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>

#include "weir/base/error.h"

namespace {

namespace fs = std::filesystem;

struct Module {
  int layer = 0;
  std::string folder;
  std::set<std::string> deps;
};

std::map<std::string, Module> declared_modules() {
  std::map<std::string, Module> modules;
  std::ifstream file(WEIR_LAYERS);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    std::string deps;
    Module module;
    if (!(words >> name >> module.layer >> module.folder)) continue;
    words >> deps;
    std::istringstream each(deps);
    for (std::string dep; std::getline(each, dep, ',');) module.deps.insert(dep);
    modules.emplace(name, std::move(module));
  }
  return modules;
}

/// The module that a file of the tree belongs to, by the longest folder that leads to it; "" for none.
std::string owner(const std::map<std::string, Module>& modules, const std::string& path) {
  if (path.starts_with("include/weir/base/")) return "base";
  if (path.starts_with("include/weir/event/")) return "event";
  std::string best;
  std::size_t length = 0;
  for (const auto& [name, module] : modules) {
    if (path.starts_with(module.folder + "/") && module.folder.size() > length) {
      best = name;
      length = module.folder.size();
    }
  }
  return best;
}

/// Where an include line leads within the tree; "" for a header of somebody else.
std::string resolve(const std::string& included) {
  for (const char* root : {"include/", "src/", ""}) {
    if (fs::exists(fs::path(WEIR_ROOT) / (root + included))) return root + included;
  }
  return "";
}

struct Include {
  std::string file;
  std::string header;
  bool quoted = false;
};

std::vector<Include> includes() {
  std::vector<Include> all;
  for (const char* top : {"include", "src", "connectors"}) {
    for (const auto& entry : fs::recursive_directory_iterator(fs::path(WEIR_ROOT) / top)) {
      const auto extension = entry.path().extension();
      if (extension != ".h" && extension != ".cpp") continue;
      std::ifstream file(entry.path());
      for (std::string line; std::getline(file, line);) {
        if (!line.starts_with("#include ") || line.size() < 11) continue;
        const char close = line[9] == '"' ? '"' : '>';
        const std::size_t end = line.find(close, 10);
        all.push_back({fs::relative(entry.path(), WEIR_ROOT).string(), line.substr(10, end - 10), close == '"'});
      }
    }
  }
  return all;
}

}  // namespace

TEST_CASE("modules include only what they declare") {
  const auto modules = declared_modules();
  REQUIRE(modules.size() > 10);
  std::vector<std::string> wrong;
  for (const Include& line : includes()) {
    const std::string target = line.quoted ? resolve(line.header) : "";
    if (target.empty()) continue;
    const std::string from = owner(modules, line.file);
    const std::string to = owner(modules, target);
    if (from.empty() || to.empty() || from == to) continue;
    if (!modules.at(from).deps.contains(to))
      wrong.push_back(line.file + " includes " + line.header + ", but " + from + " does not declare " + to);
  }
  CAPTURE(wrong);
  CHECK(wrong.empty());
}

TEST_CASE("every source file belongs to a module") {
  const auto modules = declared_modules();
  for (const Include& line : includes()) {
    INFO(line.file);
    CHECK((!owner(modules, line.file).empty() || line.file == "src/cli/main.cpp"));
  }
}

TEST_CASE("dependencies point down") {
  const auto modules = declared_modules();
  for (const auto& [name, module] : modules) {
    for (const std::string& dep : module.deps) {
      INFO(name << " depends on " << dep);
      CHECK(modules.at(dep).layer < module.layer);
    }
  }
}

TEST_CASE("the pure layers have no I/O, clock, thread or JSON tree") {
  constexpr std::array<std::string_view, 8> kForbidden{"boost/asio",         "nlohmann", "thread",  "mutex",
                                                       "condition_variable", "future",   "fstream", "sys/"};
  const auto modules = declared_modules();
  for (const Include& line : includes()) {
    const std::string from = owner(modules, line.file);
    if (from != "base" && from != "event" && from != "engine") continue;
    for (std::string_view forbidden : kForbidden) {
      INFO(line.file << " includes " << line.header);
      CHECK_FALSE(line.header.starts_with(forbidden));
    }
  }
}

TEST_CASE("public headers include the standard library, weir, result.hpp and awaitable.hpp") {
  for (const Include& line : includes()) {
    if (!line.file.starts_with("include/weir/")) continue;
    const bool ours = line.quoted && line.header.starts_with("weir/");
    const bool standard = !line.quoted && line.header.find('/') == std::string::npos;
    const bool allowed = line.header == "boost/system/result.hpp" || line.header == "boost/asio/awaitable.hpp" ||
                         line.header == "boost/asio/any_io_executor.hpp";
    INFO(line.file << " includes " << line.header);
    CHECK((ours || standard || allowed));
  }
}

TEST_CASE("every error code is explained in docs/errors.md") {
  std::ifstream file(fs::path(WEIR_ROOT) / "docs" / "errors.md");
  std::stringstream page;
  page << file.rdbuf();
  for (weir::ErrorCode code : weir::all_error_codes()) {
    INFO(weir::text(code));
    CHECK(page.str().find("`" + std::string(weir::text(code)) + "`") != std::string::npos);
  }
}
