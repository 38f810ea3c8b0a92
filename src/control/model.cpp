#include "control/model.h"

#include <algorithm>
#include <array>
#include <optional>

#include "service/arn.h"

namespace weir::control {
namespace {

using nlohmann::json;

constexpr std::string_view kNumber = "number";
constexpr std::string_view kMapping = "mapping";
constexpr std::string_view kLayer = "layer";
constexpr std::string_view kLayerPolicy = "layer-policy";
constexpr std::string_view kLayerNumber = "layer-number";
/// By Kind.
constexpr std::array<std::string_view, 7> kKinds{"version", "alias", "provisioned", "async",
                                                 "policy",  "url",   "setting"};

bool is_number(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// Where a qualifier stands among the others.
int rank(std::string_view qualifier) {
  if (qualifier == kLatest) return 0;
  return is_number(qualifier) ? 1 : 2;
}

std::string key_of(Kind kind, std::string_view function, std::string_view key) {
  return std::string(kKinds.at(static_cast<std::size_t>(kind))) + "/" + std::string(function) + "/" + std::string(key);
}

std::string layer_key(std::string_view kind, std::string_view layer, std::string_view version) {
  return std::string(kind) + "/" + std::string(layer) + "/" + std::string(version);
}

Error corrupt(const std::string& key) {
  return {ErrorCode::kStoreCorrupt, "the note " + key + " of the service lambda is not what weir wrote"};
}

bool is_empty(const Function& function) {
  return function.versions.empty() && function.aliases.empty() && function.provisioned.empty() &&
         function.async.empty() && function.policies.empty() && function.urls.empty() && function.settings.empty();
}

}  // namespace

std::string function_arn(std::string_view name, std::string_view qualifier) {
  std::string arn = service::local_arn("lambda", "function:" + std::string(name));
  if (!qualifier.empty()) arn.append(":").append(qualifier);
  return arn;
}

bool QualifierOrder::operator()(std::string_view a, std::string_view b) const {
  const int rank_a = rank(a);
  const int rank_b = rank(b);
  if (rank_a != rank_b) return rank_a < rank_b;
  if (rank_a == 1 && a.size() != b.size()) return a.size() < b.size();
  return a < b;
}

Documents& Function::of(Kind kind) {
  switch (kind) {
    case Kind::kVersion:
      return versions;
    case Kind::kAlias:
      return aliases;
    case Kind::kProvisioned:
      return provisioned;
    case Kind::kAsync:
      return async;
    case Kind::kPolicy:
      return policies;
    case Kind::kUrl:
      return urls;
    case Kind::kSetting:
      break;
  }
  return settings;
}

const json* find(const Documents& documents, std::string_view key) {
  const auto found = documents.find(key);
  return found == documents.end() ? nullptr : &found->second;
}

Result<void> Model::apply(const SourceNote& note) {
  const std::size_t first = note.key.find('/');
  if (first == std::string::npos) return corrupt(note.key);
  const std::string_view kind = std::string_view(note.key).substr(0, first);
  const std::size_t second = note.key.find('/', first + 1);
  const std::string name = note.key.substr(first + 1, second - first - 1);
  json value;
  if (note.value) {
    value = json::parse(*note.value, nullptr, false);
    if (value.is_discarded()) return corrupt(note.key);
  }
  if (kind == kNumber || kind == kLayerNumber) {
    if (!note.value || !value.is_number_integer()) return corrupt(note.key);
    (kind == kNumber ? numbers_ : layer_numbers_)[name] = value.get<std::int64_t>();
    return {};
  }
  if (kind == kLayer || kind == kLayerPolicy) {
    if (second == std::string::npos || (note.value && !value.is_object())) return corrupt(note.key);
    Layer& layer = layers_[name];
    Documents& documents = kind == kLayer ? layer.versions : layer.policies;
    const std::string version = note.key.substr(second + 1);
    if (note.value) {
      documents.insert_or_assign(version, std::move(value));
    } else {
      documents.erase(version);
    }
    return {};
  }
  if (kind == kMapping) {
    if (!note.value) {
      mappings_.erase(name);
      return {};
    }
    if (!value.is_object()) return corrupt(note.key);
    mappings_.insert_or_assign(name, std::move(value));
    return {};
  }
  const auto* const known = std::find(kKinds.begin(), kKinds.end(), kind);
  if (known == kKinds.end() || second == std::string::npos || (note.value && !value.is_object())) {
    return corrupt(note.key);
  }
  const std::string key = note.key.substr(second + 1);
  Function& function = functions_[name];
  function.name = name;
  Documents& documents = function.of(static_cast<Kind>(known - kKinds.begin()));
  if (note.value) {
    documents.insert_or_assign(key, std::move(value));
  } else {
    documents.erase(key);
    if (is_empty(function)) functions_.erase(name);
  }
  return {};
}

const Function* Model::function(std::string_view name) const {
  const auto found = functions_.find(name);
  return found == functions_.end() || !found->second.versions.contains(kLatest) ? nullptr : &found->second;
}

const Layer* Model::layer(std::string_view name) const {
  const auto found = layers_.find(name);
  return found == layers_.end() ? nullptr : &found->second;
}

std::int64_t Model::last_layer_number(std::string_view name) const {
  const auto found = layer_numbers_.find(name);
  return found == layer_numbers_.end() ? 0 : found->second;
}

std::int64_t Model::last_number(std::string_view name) const {
  const auto found = numbers_.find(name);
  return found == numbers_.end() ? 0 : found->second;
}

SourceNote note_of(Kind kind, std::string_view function, std::string_view key, const json& value) {
  return {key_of(kind, function, key), value.dump()};
}

SourceNote end_of(Kind kind, std::string_view function, std::string_view key) {
  return {key_of(kind, function, key), std::nullopt};
}

SourceNote note_of_mapping(std::string_view uuid, const json& mapping) {
  return {std::string(kMapping) + "/" + std::string(uuid), mapping.dump()};
}

SourceNote end_of_mapping(std::string_view uuid) {
  return {std::string(kMapping) + "/" + std::string(uuid), std::nullopt};
}

SourceNote note_of_layer(std::string_view layer, std::string_view version, const json& value) {
  return {layer_key(kLayer, layer, version), value.dump()};
}

SourceNote end_of_layer(std::string_view layer, std::string_view version) {
  return {layer_key(kLayer, layer, version), std::nullopt};
}

SourceNote note_of_layer_policy(std::string_view layer, std::string_view version, const json& value) {
  return {layer_key(kLayerPolicy, layer, version), value.dump()};
}

SourceNote end_of_layer_policy(std::string_view layer, std::string_view version) {
  return {layer_key(kLayerPolicy, layer, version), std::nullopt};
}

SourceNote note_of_layer_number(std::string_view layer, std::int64_t number) {
  return {std::string(kLayerNumber) + "/" + std::string(layer), std::to_string(number)};
}

SourceNote note_of_number(std::string_view function, std::int64_t number) {
  return {std::string(kNumber) + "/" + std::string(function), std::to_string(number)};
}

}  // namespace weir::control
