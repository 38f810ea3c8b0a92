#include "config/config.h"
#include "config/describing_node.h"
#include "config/suggest.h"

namespace weir::config {
namespace {

using Kind = KeyDescription::Kind;

constexpr std::string_view kIntroduction = R"(# Configuration

This page is made by the calls that read the file; `weir validate --schema` prints the same as a JSON Schema for editors.

A configuration is one YAML (or JSON) file, or several that are read together: `functions` and `sources` add up, every
other key stands in one of them. `weir validate` checks it and prints every mistake with its place.

`${NAME}` in a value stands for the environment variable NAME, `${NAME:-default}` gives a default for when it is not set or
empty, and `$${` is a plain `${`. A number may come from a variable, too. Inside `[...]` and `{...}` YAML wants quotes around
it: `{timeout: "${TIMEOUT}"}`. What came from a variable is never shown in a message.

Relative paths are relative to the folder of the file they stand in. Anchors and aliases work; merge keys (`<<`) and tags are
refused.
)";

/// A cell of a table: one line, no bars.
std::string cell(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out.push_back('\\');
    out.push_back(c == '\n' ? ' ' : c);
  }
  return out;
}

std::string code(std::string_view text) {
  return "`" + std::string(text) + "`";
}

std::vector<std::string> as_code(const std::vector<std::string>& words) {
  std::vector<std::string> out;
  for (const std::string& word : words) out.push_back(code(word));
  return out;
}

std::string words_or_text(const KeyDescription& key) {
  std::string out = key.one_of.empty() ? (key.or_number ? "text or number" : "text") : listed(as_code(key.one_of));
  if (key.max_length > 0) out += ", at most " + std::to_string(key.max_length) + " characters";
  return out;
}

std::string type_of(const KeyDescription& key) {
  switch (key.kind) {
    case Kind::kText:
      return words_or_text(key) + (key.secret ? ", secret" : "");
    case Kind::kInteger:
      return (key.also ? std::to_string(*key.also) + " or " : "") + std::to_string(key.min) + " to " +
             std::to_string(key.max);
    case Kind::kFlag:
      return "`true` or `false`";
    case Kind::kTexts: {
      std::string out = "list of " + (key.one_of.empty() ? (key.or_number ? "texts or numbers" : "texts")
                                                         : listed(as_code(key.one_of)));
      if (key.min_items > 0) out += ", at least " + std::to_string(key.min_items);
      if (key.max_length > 0) out += ", each at most " + std::to_string(key.max_length) + " characters";
      if (key.max_items > 0) out += ", at most " + std::to_string(key.max_items);
      return out;
    }
    case Kind::kTextMap:
      return "mapping of texts";
    case Kind::kDocuments: {
      std::string out = "list of mappings, or of texts that hold JSON";
      if (key.max_length > 0) out += ", each at most " + std::to_string(key.max_length) + " characters";
      if (key.max_items > 0) out += ", at most " + std::to_string(key.max_items);
      if (!key.list_key.empty()) {
        out += "; or AWS's own form, " + code("{" + key.list_key + ": [{" + key.item_key + ": '...'}]}");
      }
      return out;
    }
    case Kind::kSection:
      return "mapping";
    case Kind::kNamed:
      return "mapping of names";
  }
  return "";
}

std::string default_of(const KeyDescription& key) {
  if (key.required) return "required";
  switch (key.kind) {
    case Kind::kText:
      if (!key.text_default || key.secret) return "-";
      return key.text_default->empty() ? "empty" : code(*key.text_default);
    case Kind::kInteger:
      return key.integer_default ? std::to_string(*key.integer_default) : "-";
    case Kind::kFlag:
      return code(key.flag_default ? "true" : "false");
    default:
      return "-";
  }
}

/// The rows of the keys; those of a section follow it, with its name before theirs.
void add_rows(std::string& out, const std::vector<KeyDescription>& keys, const std::string& prefix) {
  for (const KeyDescription& key : keys) {
    out += "| " + code(prefix + key.key) + " | " + cell(type_of(key)) + " | " + cell(default_of(key)) + " | " +
           cell(key.about) + " |\n";
    if (key.kind == Kind::kSection) add_rows(out, key.inside->keys, prefix + key.key + ".");
  }
}

void add_table(std::string& out, const std::vector<KeyDescription>& keys) {
  out += "\n| key | type and range | default | what it does |\n| --- | --- | --- | --- |\n";
  add_rows(out, keys, "");
}

void add_named(std::string& out, const KeyDescription& key) {
  out += "\n## `" + key.key + "`\n\n" + key.about + " A name is 1 to " + std::to_string(key.name_length) +
         " of a-z, A-Z, 0-9";
  for (const char c : key.punctuation)
    out.append(c == key.punctuation.back() ? " and " : ", ").append(code(std::string(1, c)));
  out += ".\n";
  add_table(out, key.inside->keys);
  for (const VariantDescription& variant : key.inside->variants) {
    out += "\n### `" + key.inside->variant_key + ": " + variant.word + "`\n\n" + variant.about + "\n";
    if (!variant.own->keys.empty()) add_table(out, variant.own->keys);
  }
}

}  // namespace

std::string reference_page(std::span<const ConnectorEntry> connectors) {
  const MappingDescription description = describe_config(connectors);
  std::string out(kIntroduction);
  out += "\n## The whole file\n";
  add_table(out, description.keys);
  for (const KeyDescription& key : description.keys) {
    if (key.kind == Kind::kNamed) add_named(out, key);
  }
  return out;
}

}  // namespace weir::config
