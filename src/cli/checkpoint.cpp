#include <iostream>
#include <memory>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "weir/base/json_writer.h"

#include "bridge/checkpoints.h"
#include "cli/command.h"
#include "cli/table.h"
#include "gateway/status_json.h"
#include "http/client.h"

namespace weir::cli {
namespace {

struct Options {
  std::vector<std::string> files{"weir.yaml"};
  bool json = false;
  std::string source;
  std::string shard;
  std::vector<std::string> position;  ///< the words of it: "AT_TIMESTAMP" takes a second one
  std::string at;
};

/// Where `set` wants reading to go on; a sentence when that is nowhere.
struct Place {
  std::optional<Resume> resume;
  std::string mistake;
};

/// Times saturate (base/time.h).
bool is_out_of_reach(WallTime time) {
  constexpr auto kDay = std::chrono::hours(24);
  return time >= from_epoch_milliseconds(INT64_MAX) - kDay || time <= from_epoch_milliseconds(INT64_MIN) + kDay;
}

Place read_place(const Options& options) {
  Place place;
  if (options.position.empty() == options.at.empty()) {
    place.mistake = "give either a POSITION or --at TIME";
    return place;
  }
  std::string text = options.at;
  if (!text.empty()) {
    place.resume = Resume::parse("AT_TIMESTAMP " + text);
    if (!place.resume) place.mistake = text + " is no time; one is 2026-09-12T07:00:00Z, or seconds since 1970";
  } else {
    text = options.position.front();
    for (std::size_t i = 1; i < options.position.size(); ++i) text += " " + options.position[i];
    place.resume = Resume::parse(text);
    // A date can only be meant as one.
    if (!place.resume && parse_iso(text)) place.resume = Resume::parse("AT_TIMESTAMP " + text);
    if (!place.resume) {
      place.mistake = text +
                      " is no position; one is a sequence number or offset, TRIM_HORIZON, LATEST, or a time: --at "
                      "2026-09-12T07:00:00Z";
    }
  }
  if (place.resume && place.resume->kind() == Resume::Kind::kAtTimestamp && is_out_of_reach(place.resume->time())) {
    place.mistake = text + " is too far away; weir knows the years 1824 to 2115";
    place.resume.reset();
  }
  return place;
}

/// Opens the state folder; nothing when a running bridge holds it, which is asked instead.
Result<std::unique_ptr<store::StateFolder>> open_unless_held(const config::Config& config) {
  auto store = store::StateFolder::open(config.state);
  if (!store && store.error().code() == ErrorCode::kStoreLocked) return std::unique_ptr<store::StateFolder>();
  return store;
}

Result<std::string> ask_bridge(const config::Config& config, const std::string& method, const std::string& body) {
  auto answer = http::request(method, "http://" + config.admin + "/checkpoints", body, std::chrono::seconds(60));
  if (!answer)
    return std::move(answer.error()).during("asking the bridge at " + config.admin + ", which holds " + config.state);
  if (answer->status == 200) return std::move(answer->body);
  const auto said = nlohmann::json::parse(answer->body, nullptr, false);
  const std::string message =
      said.is_object() && said.contains("message") ? said["message"].get<std::string>() : answer->body;
  return Error(ErrorCode::kHttpFailed, "the bridge at " + config.admin + " answered: " + message);
}

void print(const std::string& json) {
  Table table({"SOURCE", "SHARD", "SAVED AT", "POSITION"}, 4);
  for (const auto& row : nlohmann::json::parse(json)) {
    const auto shown = [&](const char* key) { return row.at(key).is_null() ? "-" : row.at(key).get<std::string>(); };
    table.add({shown("source"), shown("shard"), shown("saved_at"), shown("position")});
  }
  table.print();
}

int list(const Options& options) {
  const auto config = load_config(options.files, "no checkpoint was read");
  if (!config) return kBadCall;
  auto store = open_unless_held(*config);
  if (!store) return complain(store.error());
  std::string json;
  if (*store) {
    auto rows = bridge::list_checkpoints(**store, *config);
    if (!rows) return complain(rows.error());
    json = gateway::checkpoints_json(*rows);
  } else {
    auto answer = ask_bridge(*config, "GET", "");
    if (!answer) return complain(answer.error());
    json = std::move(*answer);
    if (!nlohmann::json::parse(json, nullptr, false).is_array()) {
      return complain("what answers at " + config->admin + " is no weir", kFailed);
    }
    while (json.ends_with('\n')) json.pop_back();
  }
  if (options.json) {
    std::cout << json << "\n";
  } else {
    print(json);
  }
  return kDone;
}

/// `to` none: forgets it.
int move(const Options& options, const std::optional<Resume>& to) {
  const auto config = load_config(options.files, "no checkpoint was moved");
  if (!config) return kBadCall;
  const auto entry = bridge::find_source(*config, options.source);
  if (!entry) return complain(entry.error(), kBadCall);
  if (const auto right = bridge::check_move(**entry, options.shard, to); !right) {
    return complain("checkpoint: " + right.error().message(), kBadCall);
  }
  auto store = open_unless_held(*config);
  if (!store) return complain(store.error());
  if (*store) {
    const auto moved = bridge::move_checkpoint(**store, **entry, options.shard, to);
    if (!moved) return complain(moved.error());
  } else {
    std::string body;
    JsonWriter writer(body);
    writer.begin_object().member("source", options.source).member("shard", options.shard).key("position");
    if (to) {
      writer.value(to->text());
    } else {
      writer.null();
    }
    writer.end_object();
    const auto answer = ask_bridge(*config, "POST", body);
    if (!answer) return complain(answer.error());
  }
  const std::string what = options.source + (options.shard.empty() ? "" : "/" + options.shard);
  std::cout << what << ": " << bridge::what_follows(**entry, options.shard, to) << "\n";
  return kDone;
}

int set(const Options& options) {
  const Place place = read_place(options);
  if (!place.resume) return complain("checkpoint: " + place.mistake, kBadCall);
  return move(options, place.resume);
}

}  // namespace

void add_checkpoint(CLI::App& app, Work& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app.add_subcommand("checkpoint", "Reads and moves checkpoints, of a stopped bridge or through a running one.");
  command->require_subcommand(1);
  command->footer(
      "Example: weir checkpoint set clicks clicks-0 1041 --config weir.yaml\n"
      "         weir checkpoint set orders shardId-000000000003 --at 2026-09-12T07:00:00Z\n"
      "A checkpoint is the position of the last record that is done: a Kafka offset, a sequence number of a stream, a "
      "byte of a file. SHARD_END is one of a shard that ended for good; `reset` makes such a shard be read again.\n"
      "Sources without shards (a queue, a webhook) have no checkpoints. Exit status: 0, 1 when it failed, 2 for a bad "
      "call.");
  CLI::App* list_command = command->add_subcommand("list", "Lists every checkpoint.");
  CLI::App* set_command = command->add_subcommand("set", "Sets the checkpoint of one shard.");
  CLI::App* reset_command =
      command->add_subcommand("reset", "Forgets the checkpoint of one shard, or of all shards of a source.");
  for (CLI::App* each : {list_command, set_command, reset_command}) {
    each->add_option("--config", options->files, "The bridge's configuration files.")
        ->allow_extra_args(false)
        ->capture_default_str();
  }
  list_command->add_flag("--json", options->json, "Prints JSON.");
  set_command->add_option("SOURCE", options->source, "The source's name.")->required();
  set_command->add_option("SHARD", options->shard, "The shard, as `checkpoint list` shows it.")->required();
  set_command
      ->add_option("POSITION", options->position,
                   "The last record that is done: reading goes on behind it. Or TRIM_HORIZON (the oldest record there "
                   "is), LATEST (behind the newest), AT_TIMESTAMP TIME.")
      ->expected(0, 2);
  set_command->add_option("--at", options->at,
                          "Instead of a POSITION: reading goes on with the first record that came at this time or "
                          "later. ISO 8601, or seconds since 1970.");
  reset_command->add_option("SOURCE", options->source, "The source's name.")->required();
  reset_command->add_option("SHARD", options->shard, "The shard; all when not given.");
  list_command->callback([options, &chosen] { chosen = [options] { return list(*options); }; });
  set_command->callback([options, &chosen] { chosen = [options] { return set(*options); }; });
  reset_command->callback([options, &chosen] { chosen = [options] { return move(*options, std::nullopt); }; });
}

}  // namespace weir::cli
