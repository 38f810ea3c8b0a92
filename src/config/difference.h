#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace weir::config {

struct YamlFile;

/// A value as the files have it.
struct WrittenValue {
  std::string text;     ///< a list or a mapping as JSON
  bool hidden = false;  ///< a secret, or from a variable that may be one: never shown

  bool operator==(const WrittenValue&) const = default;
};

/// What the files say, by key: what a new configuration is compared with.
struct Written {
  using Values = std::map<std::string, WrittenValue>;  ///< by the rest of the path: "timeout", "environment.BUCKET"

  Values settings;                          ///< but functions and sources
  std::map<std::string, Values> functions;  ///< by name
  std::map<std::string, Values> sources;
};

/// One thing that is not what it was.
struct Change {
  enum class Kind { kAdded, kRemoved, kChanged };

  std::string path;  ///< "functions.resize.timeout"; "functions.resize" when it came or went as a whole
  Kind kind = Kind::kChanged;
  bool hidden = false;              ///< neither value is to be shown
  std::optional<std::string> from;  ///< none: not given
  std::optional<std::string> to;
  bool restart = false;  ///< it holds from the next start on

  /// "functions.resize.timeout: 30 -> 60", "sources.clicks: added", "listen: 127.0.0.1:1 -> 127.0.0.1:2 (needs a
  /// restart)"
  std::string describe() const;
};

/// What `now` has that `before` had not, and the other way round: settings, functions, sources, each by name. None is
/// marked as one that needs a restart.
std::vector<Change> difference(const Written& before, const Written& now);

/// The names of those that are not the same, new and removed ones included.
std::set<std::string> changed_names(const std::map<std::string, Written::Values>& before,
                                    const std::map<std::string, Written::Values>& now);

/// Adds what a file says, which has been read without a mistake.
void add_written(const YamlFile& file, Written& written);

}  // namespace weir::config
