#include <nlohmann/json.hpp>

#include "config/config.h"
#include "config/describing_node.h"

namespace weir::config {
namespace {

using Json = nlohmann::ordered_json;
using Kind = KeyDescription::Kind;

Json reference(const std::string& name) {
  return {{"$ref", "#/$defs/" + name}};
}

/// What is no text in the file may come from a variable, too.
Json or_variable(Json schema) {
  Json any = Json::array();
  any.push_back(std::move(schema));
  any.push_back(reference("variable"));
  return {{"anyOf", std::move(any)}};
}

/// A schema of one text, as TextRule and the entries of TextsRule say.
Json text_schema(const KeyDescription& key) {
  Json schema = {{"type", "string"}};
  if (key.or_number) schema["type"] = {"string", "number"};
  if (key.max_length > 0) schema["maxLength"] = key.max_length;
  if (!key.one_of.empty()) schema["enum"] = key.one_of;
  const bool any_text = key.one_of.empty() && key.max_length == 0;
  if (any_text) return schema;
  return or_variable(std::move(schema));
}

Json integer_schema(const KeyDescription& key) {
  Json schema = {{"type", "integer"}, {"minimum", key.min}, {"maximum", key.max}};
  Json any = or_variable(std::move(schema));
  if (key.also) any["anyOf"].insert(any["anyOf"].begin(), Json{{"const", *key.also}});
  return any;
}

Json texts_schema(const KeyDescription& key) {
  Json list = {{"type", "array"}, {"items", text_schema(key)}};
  if (key.min_items > 0) list["minItems"] = key.min_items;
  if (key.max_items > 0) list["maxItems"] = key.max_items;
  if (key.min_items > 1) return list;
  Json any = Json::array();
  any.push_back(text_schema(key));
  any.push_back(std::move(list));
  return {{"anyOf", std::move(any)}};
}

/// A mapping or a text that holds JSON, one or several; AWS's own form is a mapping, too.
Json documents_schema(const KeyDescription& key) {
  Json document = {{"type", {"object", "string"}}};
  Json list = {{"type", "array"}, {"items", document}};
  if (key.max_items > 0) list["maxItems"] = key.max_items;
  Json any = Json::array();
  any.push_back(std::move(document));
  any.push_back(std::move(list));
  return {{"anyOf", std::move(any)}};
}

Json value_schema(const KeyDescription& key, Json& definitions);

void add_keys(Json& schema, const std::vector<KeyDescription>& keys, Json& definitions) {
  for (const KeyDescription& key : keys) {
    schema["properties"][key.key] = value_schema(key, definitions);
    if (key.required) schema["required"].push_back(key.key);
  }
}

Json object_schema() {
  return {{"type", "object"}, {"properties", Json::object()}};
}

/// A closed object; with variants, an open one that sends each kind to its own closed definition.
Json mapping_schema(const MappingDescription& mapping, const std::string& name, Json& definitions) {
  Json schema = object_schema();
  add_keys(schema, mapping.keys, definitions);
  if (mapping.variants.empty()) {
    schema["additionalProperties"] = false;
    return schema;
  }
  for (const VariantDescription& variant : mapping.variants) {
    const std::string definition = name + "." + variant.word;
    Json own = object_schema();
    own["description"] = variant.about;
    add_keys(own, mapping.keys, definitions);
    add_keys(own, variant.own->keys, definitions);
    own["properties"][mapping.variant_key] = {{"const", variant.word}};
    own["additionalProperties"] = false;
    definitions[definition] = std::move(own);

    Json is_of_this_kind = {{"properties", {{mapping.variant_key, {{"const", variant.word}}}}}};
    is_of_this_kind["required"].push_back(mapping.variant_key);
    schema["allOf"].push_back({{"if", std::move(is_of_this_kind)}, {"then", reference(definition)}});
  }
  return schema;
}

/// "^[a-zA-Z0-9_.-]{1,64}$"; the punctuation holds no ] or ^, and - stands last.
std::string name_pattern(const KeyDescription& key) {
  std::string inside;
  for (const char c : key.punctuation) {
    if (c != '-') inside.push_back(c);
  }
  if (key.punctuation.find('-') != std::string::npos) inside.push_back('-');
  return "^[a-zA-Z0-9" + inside + "]{1," + std::to_string(key.name_length) + "}$";
}

Json value_schema(const KeyDescription& key, Json& definitions) {
  Json schema;
  switch (key.kind) {
    case Kind::kText:
      schema = text_schema(key);
      if (key.required && key.one_of.empty()) schema["minLength"] = 1;
      if (key.text_default && !key.secret) schema["default"] = *key.text_default;
      break;
    case Kind::kInteger:
      schema = integer_schema(key);
      if (key.integer_default) schema["default"] = *key.integer_default;
      break;
    case Kind::kFlag:
      schema = or_variable({{"type", "boolean"}});
      schema["default"] = key.flag_default;
      break;
    case Kind::kTexts:
      schema = texts_schema(key);
      break;
    case Kind::kTextMap:
      schema = {{"type", "object"}, {"additionalProperties", {{"type", {"string", "number", "boolean"}}}}};
      break;
    case Kind::kDocuments:
      schema = documents_schema(key);
      break;
    case Kind::kSection:
      schema = mapping_schema(*key.inside, key.key, definitions);
      break;
    case Kind::kNamed: {
      // Built first: assigning into `definitions` while it grows would write to an old place.
      Json named = mapping_schema(*key.inside, key.key, definitions);
      definitions[key.key] = std::move(named);
      schema = {{"type", "object"},
                {"propertyNames", {{"pattern", name_pattern(key)}}},
                {"additionalProperties", reference(key.key)}};
      break;
    }
  }
  schema["description"] = key.about;
  return schema;
}

}  // namespace

std::string json_schema(std::span<const ConnectorEntry> connectors) {
  Json definitions = Json::object();
  definitions["variable"] = {{"description", "A value that comes from the environment: ${NAME} or ${NAME:-default}."},
                             {"type", "string"},
                             {"pattern", "\\$\\{[A-Za-z_][A-Za-z0-9_]*(:-[^}]*)?\\}"}};
  Json schema = {{"$schema", "https://json-schema.org/draft/2020-12/schema"}, {"title", "weir configuration"}};
  schema.update(mapping_schema(describe_config(connectors), "weir", definitions));
  schema["$defs"] = std::move(definitions);
  return schema.dump(2) + "\n";
}

}  // namespace weir::config
