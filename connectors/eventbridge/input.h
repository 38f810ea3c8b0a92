#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weir/base/error.h"
#include "weir/base/time.h"

#include "connectors/eventbridge/event.h"

namespace weir::eventbridge {

inline constexpr std::size_t kMaxInputPaths = 100;
inline constexpr std::size_t kMaxInputBytes = 8192;  ///< of a constant and of a template, in the API
inline constexpr std::size_t kMaxPathLength = 256;

/// What a target gets, as the API and the configuration have it; at most one of the three.
struct InputSettings {
  std::optional<std::string> input;
  std::optional<std::string> input_path;
  std::optional<std::string> input_template;
  std::map<std::string, std::string> input_paths;  ///< of the template

  bool operator==(const InputSettings&) const = default;
};

/// A way into an event: "$.detail.items[0].name".
class EventPath {
 public:
  static std::optional<EventPath> parse(std::string_view text);
  /// The value there, as it is spelt in the event; nothing when there is none.
  std::optional<std::string_view> find(std::string_view event) const;

 private:
  struct Step {
    std::string name;
    std::optional<std::size_t> index;  ///< of an array, instead of a name
  };
  std::vector<Step> steps_;
};

/// What a rule knows of an event beside the event itself.
struct InputContext {
  std::string_view rule_arn;
  std::string_view rule_name;
  WallTime ingested;
};

/// Makes of an event what its target gets. Pure and immutable.
/// Source: reference push-sources.md 4.3, recordings of AWS.
class TargetInput {
 public:
  TargetInput() = default;  ///< the whole event

  /// `target`: its id, for AWS's sentences. Error: config.invalid, of which only the message counts.
  static Result<TargetInput> make(const InputSettings& settings, std::string_view target);

  /// Whether it is the whole event, as it is.
  bool whole() const { return !constant_ && !path_ && pieces_.empty(); }

  /// `event` is the envelope of `parts`. Nothing when a template comes to no valid JSON: AWS drops it in silence.
  std::optional<std::string> apply(std::string_view event, const Event& parts, const InputContext& context) const;

 private:
  /// How a value is put in at a place of the template.
  enum class Place {
    kText,    ///< inside a template that is a JSON string: bare, objects without any quotes
    kValue,   ///< as a JSON value of its own
    kQuoted,  ///< inside a string of a JSON template: texts and other scalars only
  };
  struct Piece {
    std::string text;         ///< before the placeholder
    std::string placeholder;  ///< "" of the last piece
    Place place = Place::kText;
  };

  Result<void> read_template(const InputSettings& settings, std::string_view target);
  std::optional<std::string> value_of(const std::string& placeholder, std::string_view event, const Event& parts,
                                      const InputContext& context) const;
  std::optional<std::string> fill(std::string_view event, const Event& parts, const InputContext& context) const;

  std::optional<std::string> constant_;
  std::optional<EventPath> path_;
  std::vector<Piece> pieces_;  ///< of a template
  std::map<std::string, EventPath> paths_;
  bool json_ = false;  ///< the template is to come to JSON
};

}  // namespace weir::eventbridge
