#include <utility>

#include "weir/base/random.h"

#include "config/mapping_host.h"
#include "config/model.h"
#include "config/yaml_node.h"

namespace weir::config {

std::string mapping_uuid(const SourceEntry& source) {
  if (source.by_api) return source.name;
  std::uint64_t hash = 14'695'981'039'346'656'037U;  // FNV-1a
  for (const char c : source.name) hash = (hash ^ static_cast<unsigned char>(c)) * 1'099'511'628'211U;
  return Random(hash).uuid();
}

SourceReading read_source(const std::string& name, const std::string& json, std::span<const ConnectorEntry> connectors,
                          const Config& beside, std::optional<Duration> function_timeout) {
  SourceReading reading;
  YamlFile file;
  file.name = "mapping";
  file.folder = beside.state;
  auto parsed = parse_yaml(json);  // JSON is YAML
  if (const auto* fault = std::get_if<YamlFault>(&parsed)) {
    reading.mistakes.push_back(fault->sentence);
    return reading;
  }
  file.document = std::move(std::get<YamlDocument>(parsed));
  // Not check_values(): a caller of an API does not get to see variables of weir's environment.
  for (YamlValue& value : file.document.values) {
    value.quoted = value.tag == "!";
    if (value.text.find('\0') != std::string::npos) {
      reading.mistakes.emplace_back("a text cannot hold the character NUL");
      return reading;
    }
  }
  Draft draft;
  draft.connectors = connectors;
  draft.config.destinations = beside.destinations;
  draft.config.state = beside.state;
  draft.config.aws = beside.aws;
  YamlValue& root = *file.document.root.value;
  YamlNode node(file, root, root.place, "");
  reading.entry = read_source(name, node, draft, function_timeout);
  node.refuse_other_keys();
  reading.entry.by_api = true;
  for (Mistake& mistake : file.mistakes) reading.mistakes.push_back(std::move(mistake.sentence));
  return reading;
}

}  // namespace weir::config
