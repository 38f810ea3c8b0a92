#include "config/config.h"

#include <algorithm>
#include <array>
#include <deque>
#include <filesystem>
#include <fstream>
#include <map>
#include <system_error>
#include <tuple>

#include "weir/base/error.h"

#include "config/difference.h"
#include "config/model.h"
#include "config/yaml_node.h"

namespace weir::config {
namespace {

namespace fs = std::filesystem;

/// A larger file is no configuration, and reading it would take the memory of one.
constexpr std::size_t kMaxFileBytes = 16 * 1024 * 1024;

/// The file's text, or the sentence why it cannot be read.
std::optional<std::string> read_text(const std::string& path, std::string& text) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) return "there is no such file";
  if (status.type() == fs::file_type::directory) return "this is a folder, not a file";
  std::ifstream in(path, std::ios::binary);
  if (!in) return "the file cannot be opened for reading";
  std::array<char, 64 * 1024> block;
  while (text.size() <= kMaxFileBytes && in.read(block.data(), block.size()).gcount() > 0) {
    text.append(block.data(), static_cast<std::size_t>(in.gcount()));
  }
  if (in.bad()) return "the file cannot be read";
  if (text.size() > kMaxFileBytes) return "the file is larger than 16 MB";
  return std::nullopt;
}

/// Reads one file's tree; it has a mapping as its root when true comes back.
bool load(YamlFile& file, const EnvironmentLookup& environment) {
  std::string text;
  if (auto sentence = read_text(file.name, text)) {
    file.add({}, "", std::move(*sentence));
    return false;
  }
  auto parsed = parse_yaml(std::move(text));
  if (const auto* fault = std::get_if<YamlFault>(&parsed)) {
    file.add(fault->place.value_or(Place{}), "", fault->sentence);
    return false;
  }
  file.document = std::move(std::get<YamlDocument>(parsed));
  const YamlUse& root = file.document.root;
  if (!root.value || root.value->kind == YamlValue::Kind::kNothing) {
    file.add({}, "", "the file is empty; it should hold `functions` and `sources`");
    return false;
  }
  if (root.value->kind != YamlValue::Kind::kMapping) {
    file.add(root.place, "", "the file should hold a mapping with `functions` and `sources`");
    return false;
  }
  check_values(file, environment);
  return true;
}

bool holds_named_things(std::string_view key) {
  return key == "functions" || key == "sources";
}

YamlValue* mapping_of(YamlEntry& entry) {
  return entry.use.value->kind == YamlValue::Kind::kMapping ? entry.use.value : nullptr;
}

/// Functions and sources add up over the files; their names, and all other keys, stand once in all of them.
class KeysOfAllFiles {
 public:
  void add(YamlFile& file) {
    for (YamlEntry& entry : file.document.root.value->entries) {
      if (!holds_named_things(entry.key)) {
        note(file, entry, entry.key);
        continue;
      }
      YamlValue* named = mapping_of(entry);
      if (!named) continue;
      for (YamlEntry& inner : named->entries) note(file, inner, entry.key + "." + inner.key);
    }
  }

 private:
  struct First {
    const YamlFile* file;
    int line;
  };

  void note(YamlFile& file, const YamlEntry& entry, const std::string& path) {
    const auto [first, is_new] = firsts_.try_emplace(path, First{&file, entry.key_place.line});
    if (is_new) return;
    file.add(entry.key_place, path,
             "given twice, first in " + first->second.file->name + " on line " + std::to_string(first->second.line));
  }

  std::map<std::string, First> firsts_;
};

std::vector<std::string> function_names(std::deque<YamlFile>& files) {
  std::vector<std::string> names;
  for (YamlFile& file : files) {
    for (YamlEntry& entry : file.document.root.value->entries) {
      const YamlValue* named = entry.key == "functions" ? mapping_of(entry) : nullptr;
      if (!named) continue;
      for (const YamlEntry& function : named->entries) names.push_back(function.key);
    }
  }
  return names;
}

fs::path folder_of(const std::string& file) {
  return fs::absolute(file).lexically_normal().parent_path();
}

}  // namespace

std::string function_log_path(const std::string& state, const std::string& function) {
  return state + "/logs/" + function + ".log";
}

std::string Mistake::describe() const {
  std::string out = file + ":";
  if (line > 0) out += std::to_string(line) + ":" + std::to_string(column) + ":";
  if (!path.empty()) out += " " + path + ":";
  return out + " " + sentence;
}

ConfigReport read_config(std::span<const std::string> files, std::span<const ConnectorEntry> connectors,
                         const EnvironmentLookup& environment, std::span<const DestinationEntry> destinations) {
  WEIR_ASSERT(!files.empty());
  std::deque<YamlFile> all;    // in the order given, for the mistakes
  std::deque<YamlNode> roots;  // of those that hold a mapping
  KeysOfAllFiles keys;
  bool complete = true;
  for (const std::string& name : files) {
    YamlFile& file = all.emplace_back();
    file.name = name;
    file.folder = folder_of(name);
    if (!load(file, environment)) {
      complete = false;
      continue;
    }
    keys.add(file);
    roots.emplace_back(file, *file.document.root.value, Place{1, 1}, "");
  }

  Draft draft;
  draft.connectors = connectors;
  draft.config.destinations = destinations;
  draft.config.state = (all.front().folder / kDefaultState).lexically_normal().string();
  if (complete) draft.function_names = function_names(all);
  for (YamlNode& root : roots) read_settings(root, draft);
  for (YamlNode& root : roots) read_functions(root, draft);
  for (YamlNode& root : roots) read_sources(root, draft);
  for (YamlNode& root : roots) root.refuse_other_keys();

  ConfigReport report;
  report.config = std::move(draft.config);
  for (YamlFile& file : all) {
    std::stable_sort(file.mistakes.begin(), file.mistakes.end(), [](const Mistake& a, const Mistake& b) {
      return std::tie(a.line, a.column) < std::tie(b.line, b.column);
    });
    for (Mistake& mistake : file.mistakes) report.mistakes.push_back(std::move(mistake));
  }
  if (report.mistakes.empty()) {
    for (const YamlFile& file : all) add_written(file, report.written);
  }
  return report;
}

}  // namespace weir::config
