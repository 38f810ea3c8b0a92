#include <algorithm>
#include <charconv>
#include <iostream>
#include <memory>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "connectors/table.h"

namespace weir::cli {
namespace {

/// Changes what stands at a dotted path ("Records.0.kinesis.partitionKey"). The value is JSON where it can be read as
/// such, else a text.
bool set_value(nlohmann::ordered_json& event, const std::string& path, const std::string& value) {
  nlohmann::ordered_json* at = &event;
  std::size_t begin = 0;
  while (begin <= path.size()) {
    const std::size_t end = std::min(path.find('.', begin), path.size());
    const std::string part = path.substr(begin, end - begin);
    begin = end + 1;
    if (at->is_object() && at->contains(part)) {
      at = &(*at)[part];
      continue;
    }
    std::size_t index = 0;
    const bool numeric =
        std::from_chars(part.data(), part.data() + part.size(), index).ptr == part.data() + part.size() &&
        !part.empty();
    if (!at->is_array() || !numeric || index >= at->size()) return false;
    at = &(*at)[index];
  }
  auto parsed = nlohmann::ordered_json::parse(value, nullptr, false);
  *at = parsed.is_discarded() ? nlohmann::ordered_json(value) : std::move(parsed);
  return true;
}

std::span<const SampleEvent> samples_of(const ConnectorEntry& entry) {
  return entry.samples == nullptr ? std::span<const SampleEvent>() : entry.samples();
}

/// "object-created-put, object-removed-delete".
std::string names_of(std::span<const SampleEvent> samples) {
  std::string names;
  for (const SampleEvent& sample : samples) names += (names.empty() ? "" : ", ") + std::string(sample.name);
  return names;
}

/// The events of every source that has several, a line each, for --help.
std::string all_samples() {
  std::string lines;
  for (const ConnectorEntry& entry : connectors()) {
    for (const SampleEvent& sample : samples_of(entry)) {
      lines +=
          "  " + std::string(entry.type) + " " + std::string(sample.name) + ": " + std::string(sample.about) + "\n";
    }
  }
  return lines;
}

}  // namespace

void add_event(CLI::App& app, Work& chosen) {
  struct Options {
    std::string source;
    std::string name;
    std::vector<std::string> changes;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("event", "Prints a sample event of a source, made by the code that makes real ones.");
  std::string types;
  for (const ConnectorEntry& entry : connectors()) types += (types.empty() ? "" : ", ") + std::string(entry.type);
  command->add_option("SOURCE", options->source, "The type of source: " + types + ".")->required();
  command->add_option("NAME", options->name, "Which of the source's events, where it has several; else its usual one.");
  command
      ->add_option("--set", options->changes,
                   "PATH=VALUE: changes a member, for example Records.0.kinesis.partitionKey=abc.")
      ->allow_extra_args(false);
  const std::string listed = all_samples();
  command->footer((listed.empty() ? "" : "Events by name:\n" + listed + "\n") +
                  "Example: weir event kafka | weir invoke hello --event -\nExit status: 0, or 2 when there is no such "
                  "source, event or member.");
  command->callback([options, types, &chosen] {
    chosen = [options, types] {
      const auto entry = std::ranges::find(connectors(), std::string_view(options->source), &ConnectorEntry::type);
      if (entry == connectors().end())
        return complain("event: no source type " + options->source + "; there is " + types, kBadCall);
      std::string text;
      if (options->name.empty()) {
        text = entry->sample_event();
      } else {
        const std::span<const SampleEvent> samples = samples_of(*entry);
        const auto sample = std::ranges::find(samples, std::string_view(options->name), &SampleEvent::name);
        if (sample == samples.end()) {
          return complain("event: " + options->source + " has no event " + options->name + "; there is " +
                              (samples.empty() ? "only the one without a name" : names_of(samples)),
                          kBadCall);
        }
        text = sample->make();
      }
      if (!options->changes.empty()) {
        auto event = nlohmann::ordered_json::parse(text);
        for (const std::string& change : options->changes) {
          const std::size_t equals = change.find('=');
          if (equals == std::string::npos) return complain("event: --set takes PATH=VALUE, not " + change, kBadCall);
          if (!set_value(event, change.substr(0, equals), change.substr(equals + 1))) {
            return complain("event: the event has no " + change.substr(0, equals), kBadCall);
          }
        }
        text = event.dump();
      }
      std::cout << text << "\n";
      return kDone;
    };
  });
}

}  // namespace weir::cli
