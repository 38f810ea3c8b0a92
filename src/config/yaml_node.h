#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "config/config.h"
#include "config/model_node.h"
#include "config/yaml_document.h"

namespace weir::config {

/// One file of the configuration while it is read.
struct YamlFile {
  std::string name;              ///< as the user gave it, for messages
  std::filesystem::path folder;  ///< absolute
  YamlDocument document;
  std::vector<Mistake> mistakes;
  std::set<std::string> secrets;  ///< paths of values that are never shown, with all that is in them

  void add(Place place, std::string path, std::string sentence);
};

/// Replaces variables and finds what is wrong with the file whatever the keys mean: keys given twice, `<<`, tags,
/// variables that are not set. What is reported here is taken out of the tree or marked, so that no reader stumbles
/// over it again.
void check_values(YamlFile& file, const EnvironmentLookup& environment);

/// A mapping of a YAML file. The file outlives it and has passed check_values().
class YamlNode final : public ModelNode {
 public:
  /// `mapping`: a value that is one. `place`: of its key, for mistakes that mean the whole of it. `path`: "" for the
  /// root.
  YamlNode(YamlFile& file, YamlValue& mapping, Place place, std::string path);

  std::string required_text(std::string_view key, const TextRule& rule) override;
  std::optional<std::string> text(std::string_view key, const TextRule& rule) override;
  std::optional<std::int64_t> integer(std::string_view key, const IntegerRule& rule) override;
  bool flag(std::string_view key, const FlagRule& rule) override;
  std::vector<std::string> texts(std::string_view key, const TextsRule& rule) override;
  std::map<std::string, std::string> text_map(std::string_view key, std::string_view about) override;
  std::vector<std::string> documents(std::string_view key, const DocumentsRule& rule) override;
  void section(std::string_view key, std::string_view about, const std::function<void(ConfigNode&)>& read) override;
  bool has(std::string_view key) const override;
  void mistake(std::string_view key, std::string sentence) override;
  void refuse_other_keys() override;
  std::string resolve_path(const std::string& path) const override;

  void named_sections(std::string_view key, const NameRule& rule,
                      const std::function<void(const std::string& name, ModelNode& node)>& read) override;
  void variants(std::string_view key, std::string_view about, std::span<const Variant> variants) override;
  void mistake_within(std::string_view key, std::string_view inner, std::string sentence) override;

 private:
  const YamlEntry* find(std::string_view key) const;
  /// find(), and the key is one that somebody asked for; null also for a broken value.
  const YamlEntry* ask(std::string_view key);
  const YamlEntry* ask_for_mapping(std::string_view key);
  void require(std::string_view key, std::string sentence);
  /// A typed reading failed: said once, and nobody says more about that key.
  void refuse_value(const YamlEntry& entry, std::string sentence);
  /// The JSON text of an item of documents(); nothing when a mistake was reported.
  std::optional<std::string> document(const YamlUse& item, const std::string& path, const DocumentsRule& rule,
                                      bool unpacked);
  bool refuse_beside(const YamlValue& value, std::string_view item_key, const std::string& path);
  std::string path_of(std::string_view key) const;
  std::string redacted(std::string sentence, const YamlValue& value, bool secret) const;

  YamlFile& file_;
  YamlValue& mapping_;
  Place place_;
  std::string path_;
  std::vector<std::string> asked_;  ///< in the order of asking, for suggestions
  std::set<std::string, std::less<>> failed_;
  std::set<std::string, std::less<>> judged_;  ///< something was said about them, so they are not unknown
  std::set<std::string, std::less<>> secret_;
  bool any_key_ = false;
};

}  // namespace weir::config
