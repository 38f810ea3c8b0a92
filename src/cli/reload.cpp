#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "http/client.h"

namespace weir::cli {
namespace {

struct Options {
  std::string admin = config::Config().admin;
  std::vector<std::string> files;
  bool json = false;
};

/// The bridge's answer, whose status is 200 or 400.
int report(const Options& options, const std::string& body) {
  const auto said = nlohmann::json::parse(body, nullptr, false);
  const bool mistaken = said.is_object() && said.contains("mistakes");
  // Whoever has the port may say anything; a weir says this much.
  if (!mistaken && !(said.is_object() && said.contains("changes"))) {
    return complain("what answers at " + options.admin + " is no weir that can reload", kNotDelivered);
  }
  if (options.json) std::cout << body;
  if (mistaken) {
    for (const auto& mistake : said.at("mistakes")) std::cerr << mistake.get<std::string>() << "\n";
    std::cerr << said.at("message").get<std::string>() << "\n";
    return kBadCall;
  }
  if (options.json) return kDone;
  for (const auto& change : said.at("changes")) std::cout << change.at("text").get<std::string>() << "\n";
  if (said.at("changes").empty()) std::cout << "nothing has changed\n";
  return kDone;
}

int reload(Options& options) {
  if (!options.files.empty()) {
    const auto config = load_config(options.files, "nothing was changed");
    if (!config) return kBadCall;
    options.admin = config->admin;
  }
  const auto answer = http::request("POST", "http://" + options.admin + "/reload", "", std::chrono::minutes(1));
  if (!answer) return complain(answer.error().during("asking the bridge at " + options.admin), kNotDelivered);
  if (answer->status != 200 && answer->status != 400) {
    return complain("the bridge at " + options.admin + " answered " + std::to_string(answer->status), kNotDelivered);
  }
  return report(options, answer->body);
}

}  // namespace

void add_reload(CLI::App& app, Work& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "reload", "Makes a running bridge read its configuration anew, and prints what is not what it was.");
  command->add_option("--admin", options->admin, "The running bridge's admin address.")->capture_default_str();
  command->add_option("--config", options->files, "Takes the admin address from the bridge's configuration instead.")
      ->allow_extra_args(false);
  command->add_flag("--json", options->json, "Prints JSON.");
  command->footer(
      "Example: weir reload\n"
      "The bridge reads the files that it was started with. Functions, sources, concurrency and shutdown_grace change "
      "at once; what else has changed, and sources that a service of weir's own feeds, are marked (needs a restart).\n"
      "Exit status: 0, 2 when there are mistakes, with which nothing has changed, or 3 when no bridge answers.");
  command->callback([options, &chosen] { chosen = [options] { return reload(*options); }; });
}

}  // namespace weir::cli
