#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "weir/config_node.h"

namespace weir::config {

/// How the names in a mapping of named things may look: letters, digits and some punctuation.
struct NameRule {
  std::string_view about;        ///< of the mapping
  std::string_view punctuation;  ///< allowed beside a-z, A-Z and 0-9
  std::size_t max_length = 64;
};

/// One kind of a mapping that has kinds: the word that tells it and who reads its own keys.
struct Variant {
  std::string_view word;
  std::string_view about;
  std::function<void(ConfigNode&)> read;
};

/// What the model needs beyond what a connector does. Works as ConfigNode does: one reading parses, or describes.
class ModelNode : public ConfigNode {
 public:
  /// A mapping of names to mappings; `read` is called for each, and with the name "NAME" when there is no file.
  virtual void named_sections(std::string_view key, const NameRule& rule,
                              const std::function<void(const std::string& name, ModelNode& node)>& read) = 0;
  /// The required text `key` says what kind of thing this node is; that variant reads the rest. Without a known word
  /// nobody knows the other keys, and none of them is refused. The last thing to read of a node.
  virtual void variants(std::string_view key, std::string_view about, std::span<const Variant> variants) = 0;
  /// mistake(), at the entry `inner` of the mapping that is the value of `key`.
  virtual void mistake_within(std::string_view key, std::string_view inner, std::string sentence) = 0;
};

}  // namespace weir::config
