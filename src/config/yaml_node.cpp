#include "config/yaml_node.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "weir/base/json_writer.h"

#include "config/scalar.h"
#include "config/substitute.h"
#include "config/suggest.h"
#include "config/yaml_json.h"

namespace weir::config {
namespace {

using Kind = YamlValue::Kind;

/// A found text is shown up to this many bytes.
constexpr std::size_t kShownBytes = 60;

/// Control characters would spoil the line of a message.
std::string printable(std::string_view text) {
  std::string out;
  append_json_escaped(out, text);
  return out;
}

std::string in_quotes(std::string_view text) {
  const bool cut = text.size() > kShownBytes;
  return "\"" + printable(text.substr(0, kShownBytes)) + (cut ? "..." : "") + "\"";
}

std::string join_path(std::string_view path, std::string_view key) {
  std::string out(path);
  if (!path.empty()) out.push_back('.');
  return out + printable(key);
}

std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

/// Whether the value serves where a text is asked for. A variable's value is taken as what is asked for.
bool may_be_text(const YamlValue& value, bool or_number = false) {
  if (value.kind != Kind::kScalar) return false;
  if (value.quoted || value.substituted()) return true;
  const Shape shape = shape_of(value.text);
  return shape == Shape::kText || (or_number && shape != Shape::kTruth);
}

/// What stands there, for a message; never what came from a variable or is a secret.
std::string found(const YamlValue& value, bool secret = false) {
  switch (value.kind) {
    case Kind::kNothing:
      return "nothing";
    case Kind::kList:
      return "a list";
    case Kind::kMapping:
      return "a mapping";
    case Kind::kScalar:
      break;
  }
  if (secret) return may_be_text(value) ? "a text" : "a value that is no text";
  if (value.substituted()) return "the value of " + printable(value.written);
  if (may_be_text(value)) return "the text " + in_quotes(value.text);
  if (shape_of(value.text) == Shape::kTruth) return value.text;
  return "the number " + value.text;
}

/// A value in the beginning of a sentence.
std::string shown(const YamlValue& value, bool secret) {
  if (secret) return "the value";
  if (value.substituted()) return "the value of " + printable(value.written);
  return may_be_text(value) ? in_quotes(value.text) : value.text;
}

std::vector<std::string> owned(const std::vector<std::string_view>& words) {
  return {words.begin(), words.end()};
}

/// Why a text is not one of the allowed words, or too long; nothing when it is right.
std::optional<std::string> refusal(const YamlValue& value, const std::vector<std::string_view>& one_of,
                                   std::size_t max_length, bool secret, std::string_view words_of_aws = "") {
  if (!one_of.empty() && std::find(one_of.begin(), one_of.end(), value.text) == one_of.end()) {
    const std::vector<std::string> words = owned(one_of);
    const bool hidden = secret || value.substituted();
    if (const std::size_t mark = words_of_aws.find('%'); mark != std::string_view::npos && !hidden) {
      return std::string(words_of_aws.substr(0, mark)) + value.text + std::string(words_of_aws.substr(mark + 1));
    }
    return shown(value, secret) + " is not allowed, allowed is " + listed(words) +
           (hidden ? "" : suggestion(value.text, words));
  }
  if (max_length > 0 && characters(value.text) > max_length) {
    return "the text has " + std::to_string(characters(value.text)) + " characters, allowed are at most " +
           std::to_string(max_length);
  }
  return std::nullopt;
}

std::string expected_text(const YamlValue& value, bool or_number, bool secret) {
  const std::string hint = value.kind == Kind::kScalar && !or_number ? "; in quotes it is a text" : "";
  return (or_number ? "expected a text or a number, found " : "expected a text, found ") + found(value, secret) + hint;
}

/// "[a, b]", as AWS shows a list.
std::string in_brackets(const std::vector<std::string>& items) {
  std::string out = "[";
  for (const std::string& item : items) out += (out.size() > 1 ? ", " : "") + printable(item);
  return out + "]";
}

/// "Filters" and "filters" are the same word.
bool same_word(std::string_view written, std::string_view word) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return written.size() == word.size() && !written.empty() && lower(written.front()) == lower(word.front()) &&
         written.substr(1) == word.substr(1);
}

/// The items of a value that is AWS's own form of a list; null when it is none.
const std::vector<YamlUse>* unpacked_list(const YamlValue& value, std::string_view list_key) {
  if (list_key.empty() || value.kind != Kind::kMapping || value.entries.size() != 1) return nullptr;
  const YamlEntry& only = value.entries.front();
  return same_word(only.key, list_key) && only.use.value->kind == Kind::kList ? &only.use.value->items : nullptr;
}

std::string allowed_range(const IntegerRule& rule) {
  std::string out = "allowed is ";
  if (rule.also) out += std::to_string(*rule.also) + " or ";
  return out + std::to_string(rule.min) + " to " + std::to_string(rule.max);
}

bool is_word_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/// Replaces `secret` where it stands as a word of its own: taking it out of the middle of words would spoil the
/// sentence.
void replace_word(std::string& sentence, const std::string& secret, const std::string& by) {
  if (secret.empty()) return;
  for (std::size_t at = sentence.find(secret); at != std::string::npos; at = sentence.find(secret, at)) {
    const std::size_t end = at + secret.size();
    const bool begins = at == 0 || !is_word_character(sentence[at - 1]) || !is_word_character(secret.front());
    const bool ends = end == sentence.size() || !is_word_character(sentence[end]) || !is_word_character(secret.back());
    if (begins && ends) {
      sentence.replace(at, secret.size(), by);
      at += by.size();
    } else {
      ++at;
    }
  }
}

/// Calls `visit` with the value and all inside it, each once: an alias may make a circle.
void visit_values(const YamlValue& value, std::unordered_set<const YamlValue*>& seen,
                  const std::function<void(const YamlValue&)>& visit) {
  if (!seen.insert(&value).second) return;
  visit(value);
  for (const YamlUse& item : value.items) visit_values(*item.value, seen, visit);
  for (const YamlEntry& entry : value.entries) visit_values(*entry.use.value, seen, visit);
}

/// The walk of check_values(). It does not follow aliases: what they name is checked where it stands.
class ValueCheck {
 public:
  ValueCheck(YamlFile& file, const EnvironmentLookup& environment) : file_(file), environment_(environment) {}

  void check(YamlValue& value, const std::string& path) {
    if (!checked_.insert(&value).second) return;
    check_tag(value, path);
    if (value.kind == Kind::kScalar) check_scalar(value, path);
    if (value.kind == Kind::kMapping) check_keys(value, path);
    for (std::size_t i = 0; i < value.items.size(); ++i) {
      check_used(value.items[i], path + "[" + std::to_string(i) + "]");
    }
    for (YamlEntry& entry : value.entries) check_used(entry.use, join_path(path, entry.key));
  }

 private:
  void check_used(YamlUse& use, const std::string& path) {
    // An alias comes after what it names, so that was checked under its own path.
    check(*use.value, path);
  }

  void check_tag(YamlValue& value, const std::string& path) {
    constexpr std::string_view kYaml = "tag:yaml.org,2002:";
    value.quoted = value.tag == "!" || value.tag == "tag:yaml.org,2002:str";
    if (value.tag.empty() || value.tag == "?" || value.tag == "!" || value.tag.starts_with(kYaml)) return;
    refuse(value, path, "the tag " + printable(value.tag) + " is not known here; write the value itself");
  }

  void check_scalar(YamlValue& value, const std::string& path) {
    if (value.broken) return;
    Substitution result = substitute(value.text, environment_);
    if (result.mistake) {
      refuse(value, path, std::move(*result.mistake));
    } else if (result.text.find('\0') != std::string::npos) {
      refuse(value, path, "a text cannot hold the character NUL");
    } else {
      if (result.replaced) value.written = value.text;
      value.text = std::move(result.text);
      value.variables = std::move(result.variables);
    }
  }

  void check_keys(YamlValue& mapping, const std::string& path) {
    std::vector<YamlEntry> good;
    for (YamlEntry& entry : mapping.entries) {
      const auto first =
          std::find_if(good.begin(), good.end(), [&](const YamlEntry& other) { return other.key == entry.key; });
      if (entry.key_is_merge) {
        file_.add(entry.key_place, join_path(path, entry.key), "keys are not merged here; write them out");
        mapping.incomplete = true;
      } else if (!entry.key_is_text) {
        file_.add(entry.key_place, path, "a key has to be a text");
        mapping.incomplete = true;
      } else if (first != good.end()) {
        file_.add(entry.key_place, join_path(path, entry.key),
                  "given twice, first on line " + std::to_string(first->key_place.line));
      } else {
        good.push_back(std::move(entry));
      }
    }
    mapping.entries = std::move(good);
  }

  void refuse(YamlValue& value, const std::string& path, std::string sentence) {
    file_.add(value.place, path, std::move(sentence));
    value.broken = true;
  }

  YamlFile& file_;
  const EnvironmentLookup& environment_;
  std::unordered_set<const YamlValue*> checked_;
};

}  // namespace

void YamlFile::add(Place place, std::string path, std::string sentence) {
  // A mistake is one line, whatever the file's values hold.
  std::replace_if(
      sentence.begin(), sentence.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }, ' ');
  mistakes.push_back({name, place.line, place.column, std::move(path), std::move(sentence)});
}

void check_values(YamlFile& file, const EnvironmentLookup& environment) {
  if (file.document.root.value) ValueCheck(file, environment).check(*file.document.root.value, "");
}

YamlNode::YamlNode(YamlFile& file, YamlValue& mapping, Place place, std::string path)
    : file_(file), mapping_(mapping), place_(place), path_(std::move(path)) {
  WEIR_ASSERT(mapping.kind == Kind::kMapping);
}

std::string YamlNode::required_text(std::string_view key, const TextRule& rule) {
  require(key, rule.missing.empty() ? "is required" : std::string(rule.missing));
  TextRule plain = rule;
  plain.fallback = std::nullopt;
  const std::optional<std::string> value = text(key, plain);
  if (value && value->empty()) refuse_value(*find(key), "must not be empty");
  return value.value_or("");
}

std::optional<std::string> YamlNode::text(std::string_view key, const TextRule& rule) {
  const std::optional<std::string> fallback = rule.fallback ? std::optional<std::string>(*rule.fallback) : std::nullopt;
  if (rule.secret) {
    secret_.emplace(key);
    file_.secrets.insert(path_of(key));
  }
  const YamlEntry* entry = ask(key);
  if (!entry) return fallback;
  const YamlValue& value = *entry->use.value;
  if (!may_be_text(value, rule.or_number)) {
    refuse_value(*entry, expected_text(value, rule.or_number, rule.secret));
    return fallback;
  }
  if (auto sentence = refusal(value, rule.one_of, rule.max_length, rule.secret, rule.refusal)) {
    refuse_value(*entry, std::move(*sentence));
    return fallback;
  }
  return value.text;
}

std::optional<std::int64_t> YamlNode::integer(std::string_view key, const IntegerRule& rule) {
  const YamlEntry* entry = ask(key);
  if (!entry) return rule.fallback;
  const YamlValue& value = *entry->use.value;
  const bool whole = value.kind == Kind::kScalar && shape_of(value.text) == Shape::kWholeNumber;
  if (!whole || (value.quoted && !value.substituted())) {
    const std::string hint = whole ? "; without quotes it is a number" : "";
    refuse_value(*entry, "expected a whole number, found " + found(value) + hint);
    return rule.fallback;
  }
  const auto number = whole_number(value.text);
  const bool right = number && ((*number >= rule.min && *number <= rule.max) || number == rule.also);
  if (!right) {
    refuse_value(*entry, shown(value, false) + " is out of range, " + allowed_range(rule));
    return rule.fallback;
  }
  return number;
}

bool YamlNode::flag(std::string_view key, const FlagRule& rule) {
  const YamlEntry* entry = ask(key);
  if (!entry) return rule.fallback;
  const YamlValue& value = *entry->use.value;
  const auto set =
      value.kind == Kind::kScalar && (!value.quoted || value.substituted()) ? truth(value.text) : std::nullopt;
  if (!set) refuse_value(*entry, "expected true or false, found " + found(value));
  return set.value_or(rule.fallback);
}

std::vector<std::string> YamlNode::texts(std::string_view key, const TextsRule& rule) {
  const std::string missing = "Required '" + std::string(rule.parameter) + "' parameter is missing.";
  if (rule.min_items > 0) require(key, rule.parameter.empty() ? "is required" : missing);
  const YamlEntry* entry = ask(key);
  if (!entry) return {};
  const YamlValue& value = *entry->use.value;
  if (value.kind != Kind::kList && !may_be_text(value, rule.or_number)) {
    refuse_value(*entry, "expected a list of texts, found " + found(value));
    return {};
  }
  const bool single = value.kind == Kind::kScalar;
  const std::vector<YamlUse> items = single ? std::vector<YamlUse>{entry->use} : value.items;
  std::vector<std::string> out;
  bool right = true;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const YamlValue& item = *items[i].value;
    std::optional<std::string> sentence;
    if (!item.broken && !may_be_text(item, rule.or_number)) {
      sentence = expected_text(item, rule.or_number, false);
    } else if (!item.broken) {
      sentence = refusal(item, rule.one_of, rule.max_length, false);
    }
    right = right && !sentence && !item.broken;
    if (sentence) {
      const std::string place_in_list = single ? "" : "[" + std::to_string(i) + "]";
      file_.add(items[i].place, path_of(key) + place_in_list, std::move(*sentence));
    }
    out.push_back(item.text);
  }
  if (!right) {
    failed_.emplace(key);
    return {};
  }
  if (out.empty() && rule.min_items > 0 && !rule.parameter.empty()) {
    refuse_value(*entry, missing);
  } else if (out.size() < rule.min_items) {
    refuse_value(*entry,
                 "needs at least " + std::to_string(rule.min_items) + (rule.min_items == 1 ? " entry" : " entries"));
  } else if (rule.max_items > 0 && out.size() > rule.max_items) {
    const bool hidden =
        std::any_of(items.begin(), items.end(), [](const YamlUse& item) { return item.value->substituted(); });
    const std::string most = std::to_string(rule.max_items);
    refuse_value(*entry, rule.parameter.empty() || hidden
                             ? "has " + std::to_string(out.size()) + " entries, allowed is at most " + most
                             : "1 validation error detected: Value '" + in_brackets(out) + "' at '" +
                                   std::string(rule.parameter) +
                                   "' failed to satisfy constraint: Member must have length less than or equal to " +
                                   most);
  }
  return out;
}

std::map<std::string, std::string> YamlNode::text_map(std::string_view key, std::string_view) {
  std::map<std::string, std::string> out;
  file_.secrets.insert(path_of(key));  // environment variables, access keys ...
  const YamlEntry* entry = ask_for_mapping(key);
  if (!entry) return out;
  for (const YamlEntry& inner : entry->use.value->entries) {
    const YamlValue& value = *inner.use.value;
    if (value.broken) {
      failed_.emplace(key);
    } else if (value.kind != Kind::kScalar) {
      file_.add(inner.use.place, join_path(path_of(key), inner.key), "expected a text, found " + found(value));
      failed_.emplace(key);
    } else {
      out.emplace(inner.key, value.text);
    }
  }
  return out;
}

std::vector<std::string> YamlNode::documents(std::string_view key, const DocumentsRule& rule) {
  const YamlEntry* entry = ask(key);
  if (!entry) return {};
  const YamlValue& value = *entry->use.value;
  const bool none = value.kind == Kind::kMapping && value.entries.empty() && !value.incomplete;
  const std::vector<YamlUse>* unpacked = unpacked_list(value, rule.list_key);
  const bool single = !none && !unpacked && value.kind != Kind::kList;
  std::vector<YamlUse> items = value.items;
  if (unpacked) items = *unpacked;
  if (single) items = {entry->use};
  std::vector<std::string> out;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const std::string place_in_list = single ? "" : "[" + std::to_string(i) + "]";
    auto text = document(items[i], path_of(key) + place_in_list, rule, unpacked != nullptr);
    if (!text) failed_.emplace(key);
    if (text) out.push_back(std::move(*text));
  }
  if (failed_.contains(key)) return {};
  if (rule.max_items > 0 && out.size() > rule.max_items) {
    refuse_value(
        *entry, "has " + std::to_string(out.size()) + " entries, allowed is at most " + std::to_string(rule.max_items));
    return {};
  }
  return out;
}

/// AWS's own form has one key: what stands beside it is none of a pattern.
bool YamlNode::refuse_beside(const YamlValue& value, std::string_view item_key, const std::string& path) {
  if (value.kind != Kind::kMapping) return false;
  const auto is_item = [&](const YamlEntry& entry) { return same_word(entry.key, item_key); };
  if (std::none_of(value.entries.begin(), value.entries.end(), is_item)) return false;
  bool found_other = false;
  for (const YamlEntry& entry : value.entries) {
    if (is_item(entry)) continue;
    file_.add(entry.key_place, join_path(path, entry.key),
              "unknown key; a filter has " + std::string(item_key) + " only");
    found_other = true;
  }
  return found_other;
}

std::optional<std::string> YamlNode::document(const YamlUse& item, const std::string& path, const DocumentsRule& rule,
                                              bool unpacked) {
  YamlUse use = item;
  if (use.value->broken) return std::nullopt;
  if (!rule.item_key.empty() && use.value->kind == Kind::kMapping && use.value->entries.size() == 1) {
    const YamlEntry& only = use.value->entries.front();
    if (same_word(only.key, rule.item_key) && may_be_text(*only.use.value)) use = only.use;
  }
  const YamlValue& value = *use.value;
  if (value.broken) return std::nullopt;
  if (unpacked && refuse_beside(value, rule.item_key, path)) return std::nullopt;
  std::string text;
  if (value.kind == Kind::kMapping) {
    YamlJson json = json_of(value);
    if (json.sentence) file_.add(json.place, path, std::move(*json.sentence));
    if (!json.text) return std::nullopt;
    text = std::move(*json.text);
  } else if (may_be_text(value)) {
    text = value.text;
  } else {
    file_.add(use.place, path, "expected a mapping, or a text that holds JSON, found " + found(value));
    return std::nullopt;
  }
  if (rule.max_length > 0 && characters(text) > rule.max_length) {
    file_.add(use.place, path,
              "its JSON has " + std::to_string(characters(text)) + " characters, allowed are at most " +
                  std::to_string(rule.max_length));
    return std::nullopt;
  }
  return text;
}

void YamlNode::section(std::string_view key, std::string_view, const std::function<void(ConfigNode&)>& read) {
  const YamlEntry* entry = ask_for_mapping(key);
  if (!entry) return;
  YamlNode child(file_, *entry->use.value, entry->key_place, path_of(key));
  read(child);
  child.refuse_other_keys();
}

void YamlNode::named_sections(std::string_view key, const NameRule& rule,
                              const std::function<void(const std::string& name, ModelNode& node)>& read) {
  const YamlEntry* entry = ask_for_mapping(key);
  if (!entry) return;
  for (const YamlEntry& named : entry->use.value->entries) {
    const std::string path = join_path(path_of(key), named.key);
    const bool right_letters = std::all_of(named.key.begin(), named.key.end(), [&](char c) {
      return (is_word_character(c) && c != '_') || rule.punctuation.find(c) != std::string_view::npos;
    });
    if (named.key.empty() || named.key.size() > rule.max_length || !right_letters) {
      std::string sentence = "a name is 1 to " + std::to_string(rule.max_length) + " of a-z, A-Z, 0-9";
      for (const char c : rule.punctuation) sentence.append(c == rule.punctuation.back() ? " and " : ", ").push_back(c);
      file_.add(named.key_place, path, std::move(sentence));
    }
    YamlValue& value = *named.use.value;
    if (value.broken) continue;
    if (value.kind != Kind::kMapping) {
      file_.add(named.use.place, path, "expected a mapping, found " + found(value));
      continue;
    }
    YamlNode child(file_, value, named.key_place, path);
    read(named.key, child);
    child.refuse_other_keys();
  }
}

void YamlNode::variants(std::string_view key, std::string_view about, std::span<const Variant> variants) {
  TextRule rule{.about = about};
  for (const Variant& variant : variants) rule.one_of.push_back(variant.word);
  const std::string word = required_text(key, rule);
  const auto chosen =
      std::find_if(variants.begin(), variants.end(), [&](const Variant& each) { return each.word == word; });
  if (chosen == variants.end()) {
    any_key_ = true;
  } else {
    chosen->read(*this);
  }
}

bool YamlNode::has(std::string_view key) const {
  return find(key) != nullptr;
}

void YamlNode::mistake(std::string_view key, std::string sentence) {
  if (failed_.contains(key)) return;  // what is wrong with it was said already
  const YamlEntry* entry = find(key);
  if (!entry) {
    const bool secret = !secret_.empty();
    file_.add(place_, key.empty() ? path_ : path_of(key), redacted(std::move(sentence), mapping_, secret));
    return;
  }
  if (entry->use.value->broken) return;
  judged_.emplace(key);
  file_.add(entry->use.place, path_of(key), redacted(std::move(sentence), *entry->use.value, secret_.contains(key)));
}

void YamlNode::mistake_within(std::string_view key, std::string_view inner, std::string sentence) {
  const YamlEntry* outer = find(key);
  if (!outer) return;
  for (const YamlEntry& entry : outer->use.value->entries) {
    if (entry.key == inner) file_.add(entry.key_place, join_path(path_of(key), inner), std::move(sentence));
  }
}

void YamlNode::refuse_other_keys() {
  if (any_key_) return;
  const std::vector<std::string> known = asked_;
  for (const YamlEntry& entry : mapping_.entries) {
    if (std::find(asked_.begin(), asked_.end(), entry.key) != asked_.end() || judged_.contains(entry.key)) continue;
    file_.add(entry.key_place, path_of(entry.key), "unknown key" + suggestion(entry.key, known));
    asked_.push_back(entry.key);
  }
}

std::string YamlNode::resolve_path(const std::string& path) const {
  std::string out = (file_.folder / path).lexically_normal().string();
  if (out.size() > 1 && out.back() == '/') out.pop_back();
  return out;
}

const YamlEntry* YamlNode::find(std::string_view key) const {
  for (const YamlEntry& entry : mapping_.entries) {
    if (entry.key == key) return &entry;
  }
  return nullptr;
}

const YamlEntry* YamlNode::ask(std::string_view key) {
  asked_.emplace_back(key);
  const YamlEntry* entry = find(key);
  return entry && !entry->use.value->broken ? entry : nullptr;
}

const YamlEntry* YamlNode::ask_for_mapping(std::string_view key) {
  const YamlEntry* entry = ask(key);
  if (!entry || entry->use.value->kind == Kind::kMapping) return entry;
  refuse_value(*entry, "expected a mapping, found " + found(*entry->use.value));
  return nullptr;
}

void YamlNode::require(std::string_view key, std::string sentence) {
  if (find(key) || mapping_.incomplete) return;
  file_.add(place_, path_of(key), std::move(sentence));
  failed_.emplace(key);
}

void YamlNode::refuse_value(const YamlEntry& entry, std::string sentence) {
  file_.add(entry.use.place, path_of(entry.key), std::move(sentence));
  failed_.insert(entry.key);
}

std::string YamlNode::path_of(std::string_view key) const {
  return join_path(path_, key);
}

std::string YamlNode::redacted(std::string sentence, const YamlValue& value, bool secret) const {
  std::unordered_set<const YamlValue*> seen;
  visit_values(value, seen, [&](const YamlValue& each) {
    for (const auto& [name, hidden] : each.variables) replace_word(sentence, hidden, "${" + name + "}");
  });
  if (!secret) return sentence;
  for (const YamlEntry& entry : mapping_.entries) {
    if (secret_.contains(entry.key)) replace_word(sentence, entry.use.value->text, "(not shown)");
  }
  return sentence;
}

}  // namespace weir::config
