#include <iostream>
#include <memory>

#include <CLI/CLI.hpp>

#include "cli/command.h"
#include "connectors/schedule/connector.h"
#include "connectors/table.h"

namespace weir::cli {
namespace {

constexpr int kRunsShown = 5;
constexpr int kRunsMax = 1000;

/// "nightly: cron(0 2 * * ? *) in Europe/Berlin", and a line for each run: its time there, and in UTC.
void print_schedule(const config::SourceEntry& source, WallTime now, std::size_t count) {
  const scheduled::ComingRuns coming = scheduled::coming_runs(*source.settings, now, count);
  std::cout << source.name << ": " << coming.expression << " in " << coming.zone;
  if (coming.window.count() > 0) std::cout << ", within " << coming.window.count() << " minutes from then on";
  if (coming.counted_from_start) std::cout << ", counted from its first start: as if that were now";
  if (!source.enabled) std::cout << ", not enabled";
  std::cout << "\n";
  for (std::size_t i = 0; i < coming.runs.size(); ++i)
    std::cout << "  " << coming.local[i] << "  " << schedule::iso_seconds(coming.runs[i]) << "\n";
  if (coming.runs.size() < count) std::cout << (coming.runs.empty() ? "  no runs\n" : "  no more runs\n");
}

void print_schedules(const config::Config& config, std::size_t count) {
  const WallTime now = SystemClock().now().wall;
  for (const config::SourceEntry& source : config.sources)
    if (source.connector->type == "schedule") print_schedule(source, now, count);
}

}  // namespace

void add_validate(CLI::App& app, Work& chosen) {
  struct Options {
    std::vector<std::string> files;
    bool schema = false;
    bool reference = false;
    int schedules = 0;  ///< 0: not asked for
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("validate", "Checks a configuration and prints every mistake with its place.");
  command->add_option("CONFIG", options->files, "Configuration files; functions and sources of several add up.");
  command->add_flag("--schema", options->schema, "Prints the JSON Schema of a configuration file.");
  command->add_flag("--reference", options->reference, "Prints the reference page of the configuration (Markdown).");
  command
      ->add_flag("--schedules{" + std::to_string(kRunsShown) + "}", options->schedules,
                 "Prints the next runs of every schedule, in its time zone and in UTC: 5, or as many as --schedules=N "
                 "says.")
      ->check(CLI::Range(1, kRunsMax));
  command->footer("Example: weir validate weir.yaml\nExit status: 0 when it is right, 2 when it is not.");
  command->callback([options, &chosen] {
    chosen = [options] {
      if (options->schema) {
        std::cout << config::json_schema(connectors());
        return kDone;
      }
      if (options->reference) {
        std::cout << config::reference_page(connectors());
        return kDone;
      }
      if (options->files.empty()) return complain("validate: give a configuration file", kBadCall);
      const auto config = load_config(options->files, "the configuration cannot be used");
      if (!config) return kBadCall;
      const auto count = [](std::size_t number, const char* thing) {
        return std::to_string(number) + " " + thing + (number == 1 ? "" : "s");
      };
      std::cout << "right: " << count(config->functions.size(), "function") << ", "
                << count(config->sources.size(), "source") << "\n";
      if (options->schedules > 0) print_schedules(*config, static_cast<std::size_t>(options->schedules));
      return kDone;
    };
  });
}

}  // namespace weir::cli
