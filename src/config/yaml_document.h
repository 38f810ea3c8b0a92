#pragma once

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace weir::config {

/// A place in a file, both from 1; the column counts characters.
struct Place {
  int line = 0;
  int column = 0;
};

struct YamlValue;

/// A value where it is used: an alias stands elsewhere than what it names.
struct YamlUse {
  Place place;
  YamlValue* value = nullptr;  ///< of the document
};

struct YamlEntry {
  std::string key;
  Place key_place;
  bool key_is_text = true;    ///< a list, a mapping, an alias or nothing can stand as a key, too
  bool key_is_merge = false;  ///< an unquoted <<
  YamlUse use;
};

/// One value as it is written. yaml-cpp's own tree loses what is needed here: the place of an alias, and keys that are
/// given twice; so this one is built from its events.
struct YamlValue {
  enum class Kind { kNothing, kScalar, kList, kMapping };

  Kind kind = Kind::kNothing;
  Place place;
  std::string tag;                 ///< "?" when the value is plain, "!" when it is quoted, else as written, resolved
  std::string text;                ///< of a scalar; variables are replaced by check_values()
  std::vector<YamlUse> items;      ///< of a list
  std::vector<YamlEntry> entries;  ///< of a mapping, in the order of the file, doubles included

  // What check_values() finds out.
  bool quoted = false;      ///< a text whatever it looks like
  bool broken = false;      ///< a mistake was reported, nothing more is to be said about it
  bool incomplete = false;  ///< a mapping that lost keys to a reported mistake: absent keys are no mistake
  std::string written;      ///< of a scalar with variables: the text before they were replaced
  std::vector<std::pair<std::string, std::string>> variables;  ///< name and value

  bool substituted() const { return !written.empty(); }
};

/// The one document of a file.
struct YamlDocument {
  std::deque<YamlValue> values;  ///< owns; pointers into it stay good
  YamlUse root;                  ///< no value when the file is empty
};

/// Why there is no document.
struct YamlFault {
  std::optional<Place> place;
  std::string sentence;
};

/// Reads one YAML (or JSON) document. Never throws on what the text holds.
std::variant<YamlDocument, YamlFault> parse_yaml(std::string text);

}  // namespace weir::config
