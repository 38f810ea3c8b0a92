#include <iostream>
#include <memory>

#include <CLI/CLI.hpp>

#include "cli/command.h"
#include "connectors/table.h"

namespace weir::cli {

void add_validate(CLI::App& app, Work& chosen) {
  struct Options {
    std::vector<std::string> files;
    bool schema = false;
    bool reference = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("validate", "Checks a configuration and prints every mistake with its place.");
  command->add_option("CONFIG", options->files, "Configuration files; functions and sources of several add up.");
  command->add_flag("--schema", options->schema, "Prints the JSON Schema of a configuration file.");
  command->add_flag("--reference", options->reference, "Prints the reference page of the configuration (Markdown).");
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
      return kDone;
    };
  });
}

}  // namespace weir::cli
