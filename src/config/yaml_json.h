#pragma once

#include <optional>
#include <string>

#include "config/yaml_document.h"

namespace weir::config {

struct YamlJson {
  std::optional<std::string> text;
  std::optional<std::string> sentence;  ///< why there is none; nothing when that was reported already
  Place place;                          ///< of what the sentence is about
};

/// The JSON of a value that has passed check_values(): what is quoted is a text, numbers keep their spelling.
YamlJson json_of(const YamlValue& value);

}  // namespace weir::config
