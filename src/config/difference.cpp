#include "config/difference.h"

#include <algorithm>
#include <string_view>

#include "config/yaml_json.h"
#include "config/yaml_node.h"

namespace weir::config {
namespace {

using Kind = YamlValue::Kind;
using Values = Written::Values;

/// Where a function or source is written: what its relative paths mean goes by it.
constexpr const char* kFolder = "";
/// A mapping in a mapping is compared key by key, down to here; what is deeper, as a whole.
constexpr int kDepth = 4;

/// `seen`: each is looked at once, for an alias may make a circle.
bool has_variables(const YamlValue& value, std::set<const YamlValue*>& seen) {
  if (!seen.insert(&value).second) return false;
  if (value.substituted()) return true;
  const auto inside = [&](const auto& use) { return has_variables(*use.value, seen); };
  return std::any_of(value.items.begin(), value.items.end(), inside) ||
         std::any_of(value.entries.begin(), value.entries.end(),
                     [&](const YamlEntry& entry) { return inside(entry.use); });
}

class Walk {
 public:
  Walk(const YamlFile& file, Values& values) : file_(file), values_(values) {}

  /// `path`: the whole one; `key`: its end.
  void add(const YamlValue& value, const std::string& path, const std::string& key, bool secret, int depth) {
    secret = secret || file_.secrets.contains(path);
    if (value.kind == Kind::kMapping && !value.entries.empty() && depth > 0) {
      for (const YamlEntry& entry : value.entries) {
        add(*entry.use.value, path + "." + entry.key, key.empty() ? entry.key : key + "." + entry.key, secret,
            depth - 1);
      }
      return;
    }
    WrittenValue written;
    std::set<const YamlValue*> seen;
    written.text = value.kind == Kind::kScalar ? value.text : json_of(value).text.value_or("");
    written.hidden = secret || has_variables(value, seen);
    values_[key] = std::move(written);
  }

 private:
  const YamlFile& file_;
  Values& values_;
};

void compare(const Values& before, const Values& now, const std::string& prefix, std::vector<Change>& out) {
  std::set<std::string> keys;
  for (const auto& [key, value] : before) keys.insert(key);
  for (const auto& [key, value] : now) keys.insert(key);
  for (const std::string& key : keys) {
    const auto was = before.find(key);
    const auto is = now.find(key);
    if (was != before.end() && is != now.end() && was->second == is->second) continue;
    Change change;
    change.path = prefix + (prefix.empty() || key.empty() ? "" : ".") + key;
    if (was != before.end()) {
      change.hidden = was->second.hidden;
      change.from = was->second.text;
    }
    if (is != now.end()) {
      change.hidden = change.hidden || is->second.hidden;
      change.to = is->second.text;
    }
    out.push_back(std::move(change));
  }
}

void compare_named(const std::map<std::string, Values>& before, const std::map<std::string, Values>& now,
                   const std::string& what, std::vector<Change>& out) {
  for (const std::string& name : changed_names(before, now)) {
    const auto was = before.find(name);
    const auto is = now.find(name);
    if (was != before.end() && is != now.end()) {
      compare(was->second, is->second, what + "." + name, out);
      continue;
    }
    Change change;
    change.path = what + "." + name;
    change.kind = is == now.end() ? Change::Kind::kRemoved : Change::Kind::kAdded;
    out.push_back(std::move(change));
  }
}

}  // namespace

std::string Change::describe() const {
  std::string line = path + ": ";
  if (kind == Kind::kAdded) {
    line += "added";
  } else if (kind == Kind::kRemoved) {
    line += "removed";
  } else if (hidden) {
    line += !from ? "given" : !to ? "not given any more" : "changed";
  } else {
    line += from.value_or("not given") + " -> " + to.value_or("not given");
  }
  return restart ? line + " (needs a restart)" : line;
}

std::set<std::string> changed_names(const std::map<std::string, Values>& before,
                                    const std::map<std::string, Values>& now) {
  std::set<std::string> names;
  for (const auto& [name, values] : before) {
    const auto is = now.find(name);
    if (is == now.end() || is->second != values) names.insert(name);
  }
  for (const auto& [name, values] : now) {
    if (!before.contains(name)) names.insert(name);
  }
  return names;
}

std::vector<Change> difference(const Written& before, const Written& now) {
  std::vector<Change> changes;
  compare(before.settings, now.settings, "", changes);
  compare_named(before.functions, now.functions, "functions", changes);
  compare_named(before.sources, now.sources, "sources", changes);
  return changes;
}

void add_written(const YamlFile& file, Written& written) {
  for (const YamlEntry& entry : file.document.root.value->entries) {
    const bool functions = entry.key == "functions";
    if (!functions && entry.key != "sources") {
      Walk(file, written.settings).add(*entry.use.value, entry.key, entry.key, false, kDepth);
      continue;
    }
    auto& named = functions ? written.functions : written.sources;
    for (const YamlEntry& each : entry.use.value->entries) {
      Values& values = named[each.key];
      Walk(file, values).add(*each.use.value, entry.key + "." + each.key, "", false, kDepth);
      values[kFolder] = {file.folder.string(), false};
    }
  }
}

}  // namespace weir::config
