#include "config/describing_node.h"

#include <algorithm>

#include "config/model.h"

namespace weir::config {

using Kind = KeyDescription::Kind;

std::string DescribingNode::required_text(std::string_view key, const TextRule& rule) {
  KeyDescription& described = describe_text(key, rule);
  described.required = true;
  described.text_default = std::nullopt;
  return rule.one_of.empty() ? "" : std::string(rule.one_of.front());
}

std::optional<std::string> DescribingNode::text(std::string_view key, const TextRule& rule) {
  return describe_text(key, rule).text_default;
}

std::optional<std::int64_t> DescribingNode::integer(std::string_view key, const IntegerRule& rule) {
  KeyDescription& described = describe(key, Kind::kInteger, rule.about);
  described.min = rule.min;
  described.max = rule.max;
  described.also = rule.also;
  described.integer_default = rule.fallback;
  return rule.fallback;
}

bool DescribingNode::flag(std::string_view key, const FlagRule& rule) {
  describe(key, Kind::kFlag, rule.about).flag_default = rule.fallback;
  return rule.fallback;
}

std::vector<std::string> DescribingNode::texts(std::string_view key, const TextsRule& rule) {
  KeyDescription& described = describe(key, Kind::kTexts, rule.about);
  described.required = rule.min_items > 0;
  described.or_number = rule.or_number;
  described.one_of.assign(rule.one_of.begin(), rule.one_of.end());
  described.max_length = rule.max_length;
  described.min_items = rule.min_items;
  described.max_items = rule.max_items;
  return {};
}

std::map<std::string, std::string> DescribingNode::text_map(std::string_view key, std::string_view about) {
  describe(key, Kind::kTextMap, about);
  return {};
}

std::vector<std::string> DescribingNode::documents(std::string_view key, const DocumentsRule& rule) {
  KeyDescription& described = describe(key, Kind::kDocuments, rule.about);
  described.max_items = rule.max_items;
  described.max_length = rule.max_length;
  described.list_key = rule.list_key;
  described.item_key = rule.item_key;
  return {};
}

void DescribingNode::section(std::string_view key, std::string_view about,
                             const std::function<void(ConfigNode&)>& read) {
  KeyDescription& described = describe(key, Kind::kSection, about);
  described.inside = std::make_unique<MappingDescription>();
  DescribingNode child(*described.inside);
  read(child);
}

void DescribingNode::named_sections(std::string_view key, const NameRule& rule,
                                    const std::function<void(const std::string& name, ModelNode& node)>& read) {
  KeyDescription& described = describe(key, Kind::kNamed, rule.about);
  described.punctuation = rule.punctuation;
  described.name_length = rule.max_length;
  described.inside = std::make_unique<MappingDescription>();
  DescribingNode child(*described.inside);
  read("NAME", child);
}

void DescribingNode::variants(std::string_view key, std::string_view about, std::span<const Variant> variants) {
  TextRule rule{.about = about};
  for (const Variant& variant : variants) rule.one_of.push_back(variant.word);
  required_text(key, rule);
  // What tells the kind stands first for a reader.
  std::rotate(description_.keys.begin(), description_.keys.end() - 1, description_.keys.end());
  description_.variant_key = key;
  for (const Variant& variant : variants) {
    auto own = std::make_unique<MappingDescription>();
    DescribingNode child(*own);
    variant.read(child);
    description_.variants.push_back({std::string(variant.word), std::string(variant.about), std::move(own)});
  }
}

KeyDescription& DescribingNode::describe(std::string_view key, Kind kind, std::string_view about) {
  const bool described = std::any_of(description_.keys.begin(), description_.keys.end(),
                                     [&](const KeyDescription& each) { return each.key == key; });
  if (described) repeated_ = KeyDescription{};
  KeyDescription& out = described ? repeated_ : description_.keys.emplace_back();
  out.key = key;
  out.kind = kind;
  out.about = about;
  return out;
}

KeyDescription& DescribingNode::describe_text(std::string_view key, const TextRule& rule) {
  KeyDescription& described = describe(key, Kind::kText, rule.about);
  described.one_of.assign(rule.one_of.begin(), rule.one_of.end());
  described.max_length = rule.max_length;
  described.secret = rule.secret;
  described.or_number = rule.or_number;
  if (rule.fallback) described.text_default = std::string(*rule.fallback);
  return described;
}

MappingDescription describe_config(std::span<const ConnectorEntry> connectors) {
  MappingDescription description;
  DescribingNode root(description);
  Draft draft;
  draft.connectors = connectors;
  read_settings(root, draft);
  read_functions(root, draft);
  read_sources(root, draft);
  return description;
}

}  // namespace weir::config
