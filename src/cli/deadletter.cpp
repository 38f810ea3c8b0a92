#include <cstdio>
#include <iostream>
#include <memory>
#include <variant>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "weir/base/json_writer.h"

#include "cli/command.h"
#include "gateway/dead_letters_json.h"
#include "http/client.h"
#include "http/uri.h"
#include "store/store.h"

namespace weir::cli {
namespace {

struct Options {
  std::vector<std::string> files{"weir.yaml"};
  std::string admin;
  std::string function;
  std::string source;
  std::size_t limit = 100;
  bool json = false;
  bool payload = false;
  bool all = false;
  std::vector<std::uint64_t> ids;
};

/// Where the dead letters are: in a state folder that nobody holds, or behind a running bridge's admin address.
struct Place {
  std::unique_ptr<store::StateFolder> store;  ///< null: ask `admin`
  std::string admin;
};

/// The exit status when there is none, with the reason said.
std::variant<Place, int> find_place(const Options& options) {
  Place place;
  place.admin = options.admin;
  if (!place.admin.empty()) return place;
  const auto config = load_config(options.files, "no dead letter was touched");
  if (!config) return kBadCall;
  place.admin = config->admin;
  auto store = store::StateFolder::open(config->state);
  if (store) {
    place.store = std::move(*store);
  } else if (store.error().code() != ErrorCode::kStoreLocked) {
    return complain(store.error());
  }
  return place;
}

Result<std::string> ask(const std::string& admin, const std::string& method, const std::string& path,
                        const std::string& body = "") {
  auto answer = http::request(method, "http://" + admin + path, body, std::chrono::seconds(60));
  if (!answer) return std::move(answer.error()).during("asking the bridge at " + admin);
  if (answer->status == 200) return std::move(answer->body);
  const auto said = nlohmann::json::parse(answer->body, nullptr, false);
  const bool told = said.is_object() && said.contains("message") && said["message"].is_string();
  std::string message = told ? said["message"].get<std::string>() : answer->body;
  while (message.ends_with('\n')) message.pop_back();
  return Error(ErrorCode::kHttpFailed, "the bridge at " + admin + " answered: " + message);
}

store::DeadLetterFilter filter(const Options& options) {
  store::DeadLetterFilter which;
  which.ids = options.ids;
  which.function = options.function;
  which.source = options.source;
  return which;
}

Result<std::string> list_stored(store::StateFolder& store, const Options& options) {
  auto letters = store.list_dead_letters(filter(options), options.limit, false);
  if (!letters) return letters.error();
  std::vector<gateway::DeadLetterRow> rows;
  for (const store::DeadLetter& letter : *letters) {
    // One whole letter at a time: each may be some megabytes.
    store::DeadLetterFilter one;
    one.ids = {letter.id};
    auto whole = store.list_dead_letters(one, 1, true);
    if (!whole) return whole.error();
    for (const store::DeadLetter& found : *whole) rows.push_back(gateway::dead_letter_row(found));
  }
  return gateway::dead_letters_json(rows);
}

int list(const Options& options) {
  auto found = find_place(options);
  if (const int* status = std::get_if<int>(&found)) return *status;
  const Place& place = std::get<Place>(found);
  std::string query = "?limit=" + std::to_string(options.limit);
  if (!options.function.empty()) query += "&function=" + http::percent_encode(options.function);
  if (!options.source.empty()) query += "&source=" + http::percent_encode(options.source);
  auto json = place.store ? list_stored(*place.store, options) : ask(place.admin, "GET", "/deadletters" + query);
  if (!json) return complain(json.error());
  const auto rows = nlohmann::json::parse(*json, nullptr, false);
  if (!rows.is_array()) return complain("what answers at " + place.admin + " is no weir", kFailed);
  if (options.json) {
    while (json->ends_with('\n')) json->pop_back();
    std::cout << *json << "\n";
    return kDone;
  }
  const auto text = [](const nlohmann::json& row, const char* name) {
    const std::string value = row.value(name, std::string());
    return value.empty() ? std::string("-") : value;
  };
  std::printf("%-8s %-24s %-20s %-16s %-26s %-36s %10s\n", "ID", "AT", "FUNCTION", "SOURCE", "CONDITION", "REQUEST ID",
              "BYTES");
  for (const auto& row : rows) {
    std::printf("%-8llu %-24s %-20s %-16s %-26s %-36s %10llu\n",
                static_cast<unsigned long long>(row.value("id", std::uint64_t{0})), text(row, "at").c_str(),
                text(row, "function").c_str(), text(row, "source").c_str(), text(row, "condition").c_str(),
                text(row, "request_id").c_str(), static_cast<unsigned long long>(row.value("bytes", std::uint64_t{0})));
  }
  return kDone;
}

int show(const Options& options) {
  auto found = find_place(options);
  if (const int* status = std::get_if<int>(&found)) return *status;
  const Place& place = std::get<Place>(found);
  if (!place.store) {
    const std::string path =
        "/deadletters/" + std::to_string(options.ids.front()) + (options.payload ? "/payload" : "");
    auto said = ask(place.admin, "GET", path);
    if (!said) return complain(said.error());
    while (said->ends_with('\n')) said->pop_back();
    std::cout << *said << "\n";
    return kDone;
  }
  const auto letters = place.store->list_dead_letters(filter(options), 1, true);
  if (!letters) return complain(letters.error());
  if (letters->empty()) return complain("there is no dead letter " + std::to_string(options.ids.front()), kFailed);
  std::cout << (options.payload ? letters->front().payload : gateway::dead_letter_json(letters->front())) << "\n";
  return kDone;
}

int redrive(const Options& options) {
  if (options.ids.empty() == !options.all) {
    return complain("deadletter redrive: name dead letters by their ids, or say --all", kBadCall);
  }
  auto found = find_place(options);
  if (const int* status = std::get_if<int>(&found)) return *status;
  const Place& place = std::get<Place>(found);
  std::uint64_t redriven = 0;
  if (place.store) {
    const auto done = place.store->redrive_dead_letters(filter(options), SystemClock().now().wall);
    if (!done) return complain(done.error());
    redriven = *done;
  } else {
    std::string body;
    JsonWriter out(body);
    out.begin_object();
    if (options.all) out.member("all", true);
    if (!options.ids.empty()) {
      out.key("ids").begin_array();
      for (const std::uint64_t id : options.ids) out.value(id);
      out.end_array();
    }
    if (!options.function.empty()) out.member("function", options.function);
    if (!options.source.empty()) out.member("source", options.source);
    out.end_object();
    const auto said = ask(place.admin, "POST", "/deadletters/redrive", body);
    if (!said) return complain(said.error());
    const auto count = nlohmann::json::parse(*said, nullptr, false);
    if (!count.is_object() || !count.contains("redriven"))
      return complain("what answers at " + place.admin + " is no weir", kFailed);
    redriven = count.value("redriven", std::uint64_t{0});
  }
  std::cout << redriven << (redriven == 1 ? " dead letter is" : " dead letters are") << " sent again"
            << (place.store ? " when the bridge runs" : "") << "\n";
  if (redriven < options.ids.size()) return complain("not all of them are there", kFailed);
  return kDone;
}

}  // namespace

void add_deadletter(CLI::App& app, Work& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "deadletter", "Looks at what was given up on, of a stopped bridge or through a running one, and sends it again.");
  command->require_subcommand(1);
  command->footer(
      "Example: weir deadletter list --function resize && weir deadletter redrive --all --function resize\n"
      "Exit status: 0, 1 when it failed, 2 for a bad call.");
  CLI::App* list_command = command->add_subcommand("list", "Lists dead letters, the oldest first.");
  CLI::App* show_command = command->add_subcommand("show", "Prints one, with AWS's record of it and its payload.");
  CLI::App* redrive_command =
      command->add_subcommand("redrive", "Sends dead letters again, as new asynchronous invocations.");
  for (CLI::App* each : {list_command, show_command, redrive_command}) {
    each->add_option("--config", options->files, "The bridge's configuration files.")
        ->allow_extra_args(false)
        ->capture_default_str();
    each->add_option("--admin", options->admin, "The admin address of a running bridge, in place of --config.");
  }
  for (CLI::App* each : {list_command, redrive_command}) {
    each->add_option("--function", options->function, "Only this function's.");
    each->add_option("--source", options->source, "Only this source's.");
  }
  list_command->add_option("--limit", options->limit, "At most so many.")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  list_command->add_flag("--json", options->json, "Prints JSON.");
  show_command->add_option("ID", options->ids, "As `deadletter list` shows it.")->required()->expected(1);
  show_command->add_flag("--payload", options->payload, "Prints the payload only.");
  redrive_command->add_option("ID", options->ids, "As `deadletter list` shows them.");
  redrive_command->add_flag("--all", options->all, "All that there are, of --function and --source if given.");
  list_command->callback([options, &chosen] { chosen = [options] { return list(*options); }; });
  show_command->callback([options, &chosen] { chosen = [options] { return show(*options); }; });
  redrive_command->callback([options, &chosen] { chosen = [options] { return redrive(*options); }; });
}

}  // namespace weir::cli
