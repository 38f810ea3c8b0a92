#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "weir/connector.h"

#include "config/model_node.h"

namespace weir::config {

struct MappingDescription;

/// One key, as its reader asked for it.
struct KeyDescription {
  enum class Kind { kText, kInteger, kFlag, kTexts, kTextMap, kDocuments, kSection, kNamed };

  std::string key;
  Kind kind = Kind::kText;
  std::string about;
  bool required = false;
  // Texts
  std::vector<std::string> one_of;
  std::size_t max_length = 0;
  std::size_t min_items = 0;
  std::size_t max_items = 0;
  bool secret = false;
  bool or_number = false;
  std::optional<std::string> text_default;
  // Whole numbers and truth values
  std::int64_t min = 0;
  std::int64_t max = 0;
  std::optional<std::int64_t> also;
  std::optional<std::int64_t> integer_default;
  bool flag_default = false;
  // Documents
  std::string list_key;
  std::string item_key;
  // Mappings
  std::string punctuation;  ///< of names
  std::size_t name_length = 0;
  std::unique_ptr<MappingDescription> inside;
};

/// One kind of a mapping that has kinds.
struct VariantDescription {
  std::string word;
  std::string about;
  std::unique_ptr<MappingDescription> own;  ///< its own keys
};

struct MappingDescription {
  std::vector<KeyDescription> keys;  ///< in the order of asking, each once
  std::string variant_key;           ///< one of the keys, when there are variants
  std::vector<VariantDescription> variants;
};

/// Records what is asked of it; there is no file.
class DescribingNode final : public ModelNode {
 public:
  explicit DescribingNode(MappingDescription& description) : description_(description) {}

  std::string required_text(std::string_view key, const TextRule& rule) override;
  std::optional<std::string> text(std::string_view key, const TextRule& rule) override;
  std::optional<std::int64_t> integer(std::string_view key, const IntegerRule& rule) override;
  bool flag(std::string_view key, const FlagRule& rule) override;
  std::vector<std::string> texts(std::string_view key, const TextsRule& rule) override;
  std::map<std::string, std::string> text_map(std::string_view key, std::string_view about) override;
  std::vector<std::string> documents(std::string_view key, const DocumentsRule& rule) override;
  void section(std::string_view key, std::string_view about, const std::function<void(ConfigNode&)>& read) override;
  bool has(std::string_view) const override { return true; }
  void mistake(std::string_view, std::string) override {}
  void refuse_other_keys() override {}
  std::string resolve_path(const std::string& path) const override { return path; }

  void named_sections(std::string_view key, const NameRule& rule,
                      const std::function<void(const std::string& name, ModelNode& node)>& read) override;
  void variants(std::string_view key, std::string_view about, std::span<const Variant> variants) override;
  void mistake_within(std::string_view, std::string_view, std::string) override {}

 private:
  /// The description to fill, or one that is dropped when the key is described already.
  KeyDescription& describe(std::string_view key, KeyDescription::Kind kind, std::string_view about);
  KeyDescription& describe_text(std::string_view key, const TextRule& rule);

  MappingDescription& description_;
  KeyDescription repeated_;
};

/// What a configuration file may hold: read_config()'s own calls, made without a file.
MappingDescription describe_config(std::span<const ConnectorEntry> connectors);

}  // namespace weir::config
