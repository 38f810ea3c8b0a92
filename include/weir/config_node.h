#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weir/base/time.h"

namespace weir {

/// What a text setting may be. `about` is one sentence for the reference page and the JSON Schema, in every rule.
struct TextRule {
  std::string_view about;
  std::optional<std::string_view> fallback;
  std::vector<std::string_view> one_of;  ///< allowed words; empty allows any
  std::size_t max_length = 0;            ///< 0: no limit
  bool secret = false;                   ///< never shown in a message, the schema's default or `weir status`
  bool or_number = false;                ///< a number is taken as it is written
  std::string_view refusal;  ///< the sentence for what is none of `one_of`, with the word for its %; "": weir's own
  std::string_view missing;  ///< the sentence for a required one that is not there; "": weir's own
};

/// What a whole number may be: `min` to `max`, or `also` (AWS's -1 for "no limit").
struct IntegerRule {
  std::string_view about;
  std::int64_t min = 0;
  std::int64_t max = 0;
  std::optional<std::int64_t> fallback;  ///< none: the setting is optional and absent
  std::optional<std::int64_t> also;
};

struct FlagRule {
  std::string_view about;
  bool fallback = false;
};

struct TextsRule {
  std::string_view about;
  std::size_t min_items = 0;  ///< from 1 on, an absent key is a mistake
  std::size_t max_items = 0;  ///< 0: no limit
  std::vector<std::string_view> one_of;
  std::size_t max_length = 0;  ///< of each
  bool or_number = false;      ///< a number is taken as it is written
  std::string_view parameter;  ///< AWS's name, for its words when items are missing or too many; "": weir's own words
};

/// Documents of JSON, as AWS's parameters have them within texts. Here they may be written as what they hold, too.
struct DocumentsRule {
  std::string_view about;
  std::size_t max_items = 0;   ///< 0: no limit
  std::size_t max_length = 0;  ///< of each one's JSON text, in characters; 0: no limit
  /// AWS's own form is taken, too: {"Filters": [{"Pattern": "{...}"}]}; in snake_case as well. "" when there is none.
  std::string_view list_key;
  std::string_view item_key;
};

/// One mapping of the configuration, read key by key. The same calls parse the file, report its mistakes, make the JSON
/// Schema and write the reference page, so a setting is stated once.
///
/// Never throws: a mistake is recorded with its place in the file (`file:line:column: path: sentence`) and the fallback
/// (or an empty value) is returned, so that every mistake of a file is found in one reading. Who reads a node ends with
/// refuse_other_keys().
///
/// Read every key, whatever the others say, and judge afterwards: the schema and the reference page hold what was asked
/// for. When they are made there is no file: every key is there by has(), values are fallbacks or empty, and mistakes
/// go nowhere.
class ConfigNode {
 public:
  virtual ~ConfigNode() = default;

  /// An absent key is a mistake. A number or a truth value is not a text, unless it is quoted.
  virtual std::string required_text(std::string_view key, const TextRule& rule) = 0;
  virtual std::optional<std::string> text(std::string_view key, const TextRule& rule) = 0;
  virtual std::optional<std::int64_t> integer(std::string_view key, const IntegerRule& rule) = 0;
  virtual bool flag(std::string_view key, const FlagRule& rule) = 0;
  /// A list of texts; a single text counts as a list of one.
  virtual std::vector<std::string> texts(std::string_view key, const TextsRule& rule) = 0;
  /// A mapping of texts to texts; numbers and truth values are taken as they are written.
  virtual std::map<std::string, std::string> text_map(std::string_view key, std::string_view about) = 0;
  /// A list of JSON documents, as their texts; a single one counts as a list of one. Each is a mapping, whose JSON is
  /// given (what is quoted is a text, a number keeps its spelling), or a text, which is given as it is written.
  virtual std::vector<std::string> documents(std::string_view key, const DocumentsRule& rule) = 0;
  /// A nested mapping; `read` is called when the key is there.
  virtual void section(std::string_view key, std::string_view about, const std::function<void(ConfigNode&)>& read) = 0;

  virtual bool has(std::string_view key) const = 0;
  /// Reports that the value of `key` (or the node itself, when it has no such key) cannot be as it is.
  virtual void mistake(std::string_view key, std::string sentence) = 0;
  /// Every key that nobody asked for is a mistake, with a suggestion when one is near.
  virtual void refuse_other_keys() = 0;
  /// A path of the file as the user means it: relative ones are relative to the configuration file's folder.
  virtual std::string resolve_path(const std::string& path) const = 0;

  /// Whole seconds, as AWS states them; the rule's numbers are seconds, `also` is returned as it is.
  std::optional<Duration> seconds(std::string_view key, const IntegerRule& rule) {
    const auto number = integer(key, rule);
    if (!number) return std::nullopt;
    return std::chrono::seconds(*number);
  }
};

}  // namespace weir
