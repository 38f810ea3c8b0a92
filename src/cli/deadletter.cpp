#include <cstdio>
#include <iostream>
#include <limits>
#include <memory>
#include <string_view>
#include <variant>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "weir/base/json_writer.h"

#include "cli/command.h"
#include "gateway/admin.h"
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
  std::size_t limit = 0;  ///< 0: all of them
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

constexpr Duration kPatience = std::chrono::seconds(60);
/// A hundred thousand of them take some seconds.
constexpr Duration kRedrivePatience = std::chrono::minutes(30);

Result<http::Response> ask(const std::string& admin, const std::string& method, const std::string& path,
                           const std::string& body = "", Duration patience = kPatience) {
  auto answer = http::request(method, "http://" + admin + path, body, patience);
  if (!answer) return std::move(answer.error()).during("asking the bridge at " + admin);
  if (answer->status == 200) return answer;
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

/// Prints rows as they come: a table, or one JSON array, which ends as one whatever happens.
class Printer {
 public:
  explicit Printer(bool json) : json_(json) {}
  Printer(const Printer&) = delete;
  Printer& operator=(const Printer&) = delete;
  ~Printer() {
    if (json_ && begun_) std::puts("]");
  }

  /// `array`: of dead_letters_json(), and `rows` the same parsed.
  void print(std::string_view array, const nlohmann::json& rows) {
    if (json_) {
      const std::size_t first = array.find('[') + 1;
      const std::string_view inner = array.substr(first, array.rfind(']') - first);
      std::printf("%s%.*s", !begun_ ? "[" : rows.empty() ? "" : ",", static_cast<int>(inner.size()), inner.data());
    } else {
      if (!begun_) {
        std::printf("%-8s %-24s %-20s %-16s %-26s %-36s %10s\n", "ID", "AT", "FUNCTION", "SOURCE", "CONDITION",
                    "REQUEST ID", "BYTES");
      }
      for (const auto& row : rows) print_row(row);
    }
    begun_ = true;
    std::fflush(stdout);
  }

 private:
  static void print_row(const nlohmann::json& row) {
    const auto text = [&](const char* name) {
      const std::string value = row.value(name, std::string());
      return value.empty() ? std::string("-") : value;
    };
    std::printf("%-8llu %-24s %-20s %-16s %-26s %-36s %10llu\n",
                static_cast<unsigned long long>(row.value("id", std::uint64_t{0})), text("at").c_str(),
                text("function").c_str(), text("source").c_str(), text("condition").c_str(), text("request_id").c_str(),
                static_cast<unsigned long long>(row.value("bytes", std::uint64_t{0})));
  }

  const bool json_;
  bool begun_ = false;
};

Result<void> list_stored(store::StateFolder& store, const Options& options, Printer& printer) {
  store::DeadLetterFilter rest = filter(options);
  std::size_t left = std::numeric_limits<std::size_t>::max();
  if (options.limit > 0) {
    left = options.limit;
    auto newest = store.list_dead_letters(rest, options.limit, false);
    if (!newest) return std::move(newest.error());
    if (!newest->empty()) rest.after = newest->front().id - 1;
  }
  for (;;) {
    auto piece = store.list_dead_letter_piece(rest, left);
    if (!piece) return std::move(piece.error());
    std::vector<gateway::DeadLetterRow> rows;
    for (const store::DeadLetter& letter : *piece) rows.push_back(gateway::dead_letter_row(letter));
    const std::string array = gateway::dead_letters_json(rows);
    printer.print(array, nlohmann::json::parse(array));
    if (rows.empty()) return {};
    left -= rows.size();
    rest.after = rows.back().id;
  }
}

Result<void> list_asked(const std::string& admin, const Options& options, Printer& printer) {
  std::string narrowed;
  if (!options.function.empty()) narrowed += "&function=" + http::percent_encode(options.function);
  if (!options.source.empty()) narrowed += "&source=" + http::percent_encode(options.source);
  std::string query = options.limit > 0 ? "?limit=" + std::to_string(options.limit) : "?after=0";
  for (;;) {
    auto page = ask(admin, "GET", "/deadletters" + query + narrowed);
    if (!page) return std::move(page.error());
    const auto rows = nlohmann::json::parse(page->body, nullptr, false);
    if (!rows.is_array()) return Error(ErrorCode::kHttpFailed, "what answers at " + admin + " is no weir");
    printer.print(page->body, rows);
    const bool more = page->headers.get("Link").value_or("").ends_with("rel=\"next\"");
    if (!more || options.limit > 0 || rows.empty()) return {};
    query = "?after=" + std::to_string(rows.back().value("id", std::uint64_t{0}));
  }
}

int list(const Options& options) {
  auto found = find_place(options);
  if (const int* status = std::get_if<int>(&found)) return *status;
  const Place& place = std::get<Place>(found);
  Printer printer(options.json);
  const auto listed =
      place.store ? list_stored(*place.store, options, printer) : list_asked(place.admin, options, printer);
  if (!listed) return complain(listed.error());
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
    std::string& body = said->body;
    while (body.ends_with('\n')) body.pop_back();
    std::cout << body << "\n";
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
  std::string stopped;
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
    const auto said = ask(place.admin, "POST", "/deadletters/redrive", body, kRedrivePatience);
    if (!said) return complain(said.error());
    const auto count = nlohmann::json::parse(said->body, nullptr, false);
    if (!count.is_object() || !count.contains("redriven"))
      return complain("what answers at " + place.admin + " is no weir", kFailed);
    redriven = count.value("redriven", std::uint64_t{0});
    stopped = count.value("stopped", std::string());
  }
  std::cout << redriven << (redriven == 1 ? " dead letter is" : " dead letters are") << " sent again"
            << (place.store ? " when the bridge runs" : "") << "\n";
  if (!stopped.empty()) return complain("the others stay dead letters: " + stopped, kFailed);
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
  list_command->add_option("--limit", options->limit, "At most so many, the newest; without it all of them.")
      ->check(CLI::Range(std::size_t{1}, gateway::kDeadLettersListedMax));
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
