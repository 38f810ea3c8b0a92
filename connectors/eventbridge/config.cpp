#include "connectors/eventbridge/config.h"

#include "connectors/eventbridge/model.h"
#include "pattern/pattern.h"

namespace weir::eventbridge {
namespace {

constexpr std::size_t kMaxBusName = 256;
constexpr std::string_view kNamed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_";

std::string read_bus(ConfigNode& node) {
  std::string bus = node.text("bus", {.about = "The event bus, which is there as soon as a source names it.",
                                      .fallback = kDefaultBus,
                                      .max_length = kMaxBusName})
                        .value_or(std::string(kDefaultBus));
  if (bus.empty() || bus.find_first_not_of(kNamed) != std::string::npos) {
    node.mistake("bus", "is no event bus's name; it consists of letters, digits, full stops, hyphens and underscores");
  }
  return bus;
}

std::string read_pattern(ConfigNode& node) {
  const auto patterns =
      node.documents("event_pattern", {.about = "Which events are delivered, an event pattern in AWS's language: a "
                                                "mapping, or its JSON as a text.",
                                       .max_items = 1,
                                       .max_length = pattern::kMaxPatternLength});
  if (!node.has("event_pattern")) {
    node.mistake("event_pattern", "is required; Parameter(s) EventPattern must be specified.");
    return "";
  }
  if (patterns.empty()) return "";
  if (auto read = pattern::Pattern::compile(patterns.front(), pattern::Dialect::kEventBridge); !read) {
    node.mistake("event_pattern", read.error().message());
  }
  return patterns.front();
}

InputSettings read_input(ConfigNode& node) {
  InputSettings settings;
  const auto constants =
      node.documents("input", {.about = "What the function gets in place of every event: a mapping, or JSON as a text.",
                               .max_items = 1,
                               .max_length = kMaxInputBytes});
  if (!constants.empty()) settings.input = constants.front();
  settings.input_path = node.text("input_path", {.about = "The part of the event that the function gets: `$.detail`.",
                                                 .max_length = kMaxPathLength});
  node.section("input_transformer", "What the function gets is written anew for every event.", [&](ConfigNode& inner) {
    settings.input_paths =
        inner.text_map("input_paths_map", "Names for parts of the event: `{order: $.detail.order}`. At most 100.");
    settings.input_template = inner.required_text(
        "input_template", {.about = "A text in which `<name>` stands for that part.", .max_length = kMaxInputBytes});
    inner.refuse_other_keys();
  });
  return settings;
}

}  // namespace

std::string EventBridgeConfig::same_as(const SourceConfig& other, std::string_view function,
                                       const AwsAccess& aws) const {
  static_cast<void>(aws);
  const auto& that = static_cast<const EventBridgeConfig&>(other);
  if (that.bus != bus || that.pattern != pattern || that.settings != settings) return "";
  return "the source " + that.name + " has this pattern of the event bus " + bus + " for the function " +
         std::string(function) + " already, so each event would come twice";
}

std::unique_ptr<SourceConfig> read_config(ConfigNode& node) {
  auto config = std::make_unique<EventBridgeConfig>();
  config->bus = read_bus(node);
  config->pattern = read_pattern(node);
  config->settings = read_input(node);
  auto input = TargetInput::make(config->settings, "function");
  if (input) {
    config->input = std::move(*input);
  } else {
    const char* const key = config->settings.input_template ? "input_transformer"
                            : config->settings.input_path   ? "input_path"
                                                            : "input";
    node.mistake(key, input.error().message());
  }
  return config;
}

}  // namespace weir::eventbridge
