#include "connectors/eventbridge/model.h"

#include <algorithm>
#include <array>

#include <nlohmann/json.hpp>

#include "weir/base/json_check.h"
#include "weir/base/json_writer.h"

#include "service/arn.h"

namespace weir::eventbridge {
namespace {

using nlohmann::json;

constexpr std::string_view kBusPrefix = "event-bus/";
/// Members of every event that patterns seldom name.
constexpr std::array<std::string_view, 5> kFrame{"version", "id", "account", "time", "region"};
constexpr std::array<std::string_view, 6> kStates{"STARTING",   "RUNNING",   "COMPLETED",
                                                  "CANCELLING", "CANCELLED", "FAILED"};

std::string text_of(const json& from, const char* name) {
  const auto found = from.find(name);
  return found != from.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::optional<std::string> given(const json& from, const char* name) {
  if (!from.contains(name) || from.at(name).is_null()) return std::nullopt;
  return from.at(name).get<std::string>();
}

std::string start_of(std::string_view key, std::string_view kind) {
  return std::string(kind) + "/" + std::string(key);
}

Error corrupt(const std::string& key) {
  return {ErrorCode::kStoreCorrupt, "the note " + key + " of the service events is not what weir wrote"};
}

}  // namespace

std::string bus_arn(std::string_view bus) {
  return service::local_arn("events", std::string(kBusPrefix) + std::string(bus));
}

std::string rule_arn(std::string_view bus, std::string_view rule) {
  const std::string in_bus = bus == kDefaultBus ? "" : std::string(bus) + "/";
  return service::local_arn("events", "rule/" + in_bus + std::string(rule));
}

std::string archive_arn(std::string_view archive) {
  return service::local_arn("events", "archive/" + std::string(archive));
}

std::string replay_arn(std::string_view replay) {
  return service::local_arn("events", "replay/" + std::string(replay));
}

std::string bus_name(std::string_view name_or_arn) {
  if (!name_or_arn.starts_with("arn:")) return std::string(name_or_arn);
  const auto resource = service::local_resource(name_or_arn, "events");
  return resource && resource->starts_with(kBusPrefix) ? resource->substr(kBusPrefix.size()) : std::string();
}

std::string Archive::log() const {
  return "archive/" + name + "@" + std::to_string(epoch_milliseconds(created));
}

std::string_view text(ReplayState state) {
  return kStates.at(static_cast<std::size_t>(state));
}

Result<Target> read_target(const std::string& document) {
  try {
    const json from = json::parse(document);
    Target target;
    target.id = from.at("Id").get<std::string>();
    target.arn = from.at("Arn").get<std::string>();
    target.document = document;
    InputSettings settings;
    settings.input = given(from, "Input");
    settings.input_path = given(from, "InputPath");
    if (from.contains("InputTransformer")) {
      const json& transformer = from.at("InputTransformer");
      settings.input_template = transformer.at("InputTemplate").get<std::string>();
      if (transformer.contains("InputPathsMap")) {
        settings.input_paths = transformer.at("InputPathsMap").get<std::map<std::string, std::string>>();
      }
    }
    auto input = TargetInput::make(settings, target.id);
    if (!input) return std::move(input.error());
    target.input = std::move(*input);
    if (from.contains("SqsParameters")) target.group = text_of(from.at("SqsParameters"), "MessageGroupId");
    if (from.contains("RetryPolicy")) {
      const json& retries = from.at("RetryPolicy");
      if (retries.contains("MaximumRetryAttempts")) target.retries = retries.at("MaximumRetryAttempts").get<int>();
      if (retries.contains("MaximumEventAgeInSeconds")) {
        target.max_age = std::chrono::seconds(retries.at("MaximumEventAgeInSeconds").get<int>());
      }
    }
    if (from.contains("DeadLetterConfig")) target.dead_letter = text_of(from.at("DeadLetterConfig"), "Arn");
    return target;
  } catch (const json::exception&) {
    return Error(ErrorCode::kConfigInvalid, "a member of the target is missing or of the wrong type.");
  }
}

Model::Model(WallTime now) : began_(now) {
  Bus standard;
  standard.name = kDefaultBus;
  standard.created = now;
  standard.configured = true;
  buses_.emplace(standard.name, std::move(standard));
}

Result<void> Model::declare(Rule rule) {
  Bus& bus = buses_[rule.bus];
  if (bus.name.empty()) {
    bus.name = rule.bus;
    bus.created = began_;
  }
  bus.configured = true;
  std::string name = rule.name;
  bus.rules.insert_or_assign(std::move(name), std::move(rule));
  matchers_.clear();
  return {};
}

const Bus* Model::bus(std::string_view name) const {
  const auto found = buses_.find(name);
  return found == buses_.end() ? nullptr : &found->second;
}

const Rule* Model::rule(std::string_view bus_name, std::string_view name) const {
  const Bus* const on = bus(bus_name);
  if (on == nullptr) return nullptr;
  const auto found = on->rules.find(name);
  return found == on->rules.end() ? nullptr : &found->second;
}

std::optional<schedule::PlanMemory> Model::schedule_of(std::string_view rule) const {
  const auto found = schedules_.find(rule);
  if (found == schedules_.end()) return std::nullopt;
  return found->second;
}

ArchiveSize Model::size_of(const Archive& archive) const {
  const auto found = sizes_.find(archive.log());
  return found == sizes_.end() ? ArchiveSize() : found->second;
}

SourceNote Model::count(const std::string& log, ArchiveSize more) {
  ArchiveSize& size = sizes_[log];
  size.events += more.events;
  size.bytes += more.bytes;
  std::string value;
  JsonWriter(value).begin_object().member("events", size.events).member("bytes", size.bytes).end_object();
  return {start_of(log, "size"), std::move(value)};
}

std::map<std::string, std::string> Model::tags(const std::string& arn) const {
  const auto found = tags_.find(arn);
  return found == tags_.end() ? std::map<std::string, std::string>() : found->second;
}

SourceNote note_of(const Bus& bus) {
  std::string value;
  JsonWriter(value)
      .begin_object()
      .member("description", bus.description)
      .member("created", epoch_milliseconds(bus.created))
      .end_object();
  return {start_of(bus.name, "bus"), std::move(value)};
}

SourceNote note_of(const Rule& rule) {
  std::string value;
  JsonWriter out(value);
  out.begin_object().member("pattern", rule.pattern).member("schedule", rule.schedule);
  out.member("description", rule.description).member("role", rule.role).member("enabled", rule.enabled);
  out.key("targets").begin_array();
  for (const Target& target : rule.targets) out.raw(target.document);
  out.end_array().end_object();
  return {start_of(rule.bus + "/" + rule.name, "rule"), std::move(value)};
}

SourceNote note_of(const Archive& archive) {
  std::string value;
  JsonWriter out(value);
  out.begin_object().member("bus", archive.bus).member("pattern", archive.pattern);
  out.member("description", archive.description).member("retention_days", archive.retention_days);
  out.member("created", epoch_milliseconds(archive.created)).end_object();
  return {start_of(archive.name, "archive"), std::move(value)};
}

SourceNote note_of(const Replay& replay) {
  std::string value;
  JsonWriter out(value);
  out.begin_object().member("archive", replay.archive).member("bus", replay.bus);
  out.member("description", replay.description).key("filter_arns").begin_array();
  for (const std::string& arn : replay.filter_arns) out.value(arn);
  out.end_array().member("from", epoch_milliseconds(replay.from)).member("to", epoch_milliseconds(replay.to));
  out.member("started", epoch_milliseconds(replay.started));
  if (replay.ended) out.member("ended", epoch_milliseconds(*replay.ended));
  out.member("state", text(replay.state)).member("reason", replay.reason);
  if (replay.last) out.member("last", epoch_milliseconds(*replay.last)).member("last_id", replay.last_id);
  out.end_object();
  return {start_of(replay.name, "replay"), std::move(value)};
}

SourceNote note_of_schedule(const std::string& rule, const std::optional<schedule::PlanMemory>& memory) {
  SourceNote note{start_of(rule, "schedule"), std::nullopt};
  if (!memory) return note;
  note.value = "";
  JsonWriter out(*note.value);
  out.begin_object().member("begun", std::int64_t{memory->begun.time_since_epoch().count()});
  out.member("settled", std::int64_t{memory->settled.time_since_epoch().count()}).end_object();
  return note;
}

std::vector<SourceNote> end_of_archive(const Archive& archive) {
  return {end_of(archive),
          {start_of(archive.name, "size"), std::nullopt},  // of a weir that counted by name
          {start_of(archive.log(), "left-over"), std::string("{}")}};
}

std::vector<SourceNote> end_of_left_over(const std::string& log) {
  return {{start_of(log, "size"), std::nullopt}, {start_of(log, "left-over"), std::nullopt}};
}

SourceNote note_of_tags(const std::string& arn, const std::map<std::string, std::string>& tags) {
  SourceNote note{start_of(arn, "tags"), std::nullopt};
  if (tags.empty()) return note;
  note.value = "";
  JsonWriter out(*note.value);
  out.begin_object();
  for (const auto& [key, value] : tags) out.member(key, value);
  out.end_object();
  return note;
}

Result<void> Model::apply_rule(std::string_view bus, const std::string& name, const std::string& value) {
  const json from = json::parse(value);
  Rule rule;
  rule.name = name;
  rule.bus = bus;
  rule.pattern = from.at("pattern").get<std::string>();
  rule.schedule = from.at("schedule").get<std::string>();
  rule.description = from.at("description").get<std::string>();
  rule.role = from.at("role").get<std::string>();
  rule.enabled = from.at("enabled").get<bool>();
  for (const json& each : from.at("targets")) {
    auto target = read_target(each.dump());
    if (!target) return std::move(target.error());
    rule.targets.push_back(std::move(*target));
  }
  Bus& on = buses_[rule.bus];
  if (on.name.empty()) {
    on.name = rule.bus;
    on.created = began_;
  }
  // A rule of the configuration hides one of its name that an earlier life's API made.
  if (const auto there = on.rules.find(name); there != on.rules.end() && !there->second.source.empty()) return {};
  on.rules.insert_or_assign(name, std::move(rule));
  return {};
}

Result<void> Model::apply(const SourceNote& note) {
  const std::size_t slash = note.key.find('/');
  if (slash == std::string::npos) return corrupt(note.key);
  const std::string kind = note.key.substr(0, slash);
  if (kind == "bus" || kind == "rule" || kind == "archive") matchers_.clear();
  const std::string name = note.key.substr(slash + 1);
  try {
    if (kind == "rule") {
      const std::size_t middle = name.find('/');
      if (middle == std::string::npos) return corrupt(note.key);
      if (note.value) return apply_rule(name.substr(0, middle), name.substr(middle + 1), *note.value);
      if (const auto on = buses_.find(name.substr(0, middle)); on != buses_.end()) {
        on->second.rules.erase(name.substr(middle + 1));
      }
    } else if (!note.value) {
      if (kind == "bus") buses_.erase(name);
      if (kind == "archive") archives_.erase(name);
      if (kind == "size") sizes_.erase(name);
      if (kind == "left-over") left_over_.erase(name);
      if (kind == "replay") replays_.erase(name);
      if (kind == "schedule") schedules_.erase(name);
      if (kind == "tags") tags_.erase(name);
    } else if (kind == "bus") {
      const json from = json::parse(*note.value);
      Bus& bus = buses_[name];
      bus.name = name;
      bus.description = from.at("description").get<std::string>();
      bus.created = from_epoch_milliseconds(from.at("created").get<std::int64_t>());
    } else if (kind == "archive") {
      const json from = json::parse(*note.value);
      Archive archive;
      archive.name = name;
      archive.bus = from.at("bus").get<std::string>();
      archive.pattern = from.at("pattern").get<std::string>();
      archive.description = from.at("description").get<std::string>();
      archive.retention_days = from.at("retention_days").get<int>();
      archive.created = from_epoch_milliseconds(from.at("created").get<std::int64_t>());
      archives_.insert_or_assign(name, std::move(archive));
    } else if (kind == "replay") {
      const json from = json::parse(*note.value);
      Replay replay;
      replay.name = name;
      replay.archive = from.at("archive").get<std::string>();
      replay.bus = from.at("bus").get<std::string>();
      replay.description = from.at("description").get<std::string>();
      replay.filter_arns = from.at("filter_arns").get<std::set<std::string>>();
      replay.from = from_epoch_milliseconds(from.at("from").get<std::int64_t>());
      replay.to = from_epoch_milliseconds(from.at("to").get<std::int64_t>());
      replay.started = from_epoch_milliseconds(from.at("started").get<std::int64_t>());
      if (from.contains("ended")) replay.ended = from_epoch_milliseconds(from.at("ended").get<std::int64_t>());
      const auto word = from.at("state").get<std::string>();
      for (std::size_t i = 0; i < kStates.size(); ++i) {
        if (kStates.at(i) == word) replay.state = static_cast<ReplayState>(i);
      }
      replay.reason = text_of(from, "reason");
      if (from.contains("last")) {
        replay.last = from_epoch_milliseconds(from.at("last").get<std::int64_t>());
        replay.last_id = from.at("last_id").get<std::uint64_t>();
      }
      replays_.insert_or_assign(name, std::move(replay));
    } else if (kind == "schedule") {
      const json from = json::parse(*note.value);
      const auto seconds = [&](const char* member) {
        return schedule::UtcSeconds(std::chrono::seconds(from.at(member).get<std::int64_t>()));
      };
      schedules_[name] = {seconds("begun"), seconds("settled")};
    } else if (kind == "size") {
      const json from = json::parse(*note.value);
      // Notes are told in order of their keys: the archives are there. One under an archive's name is of a weir that
      // counted by names, and older than the one by its log.
      const auto archive = archives_.find(name);
      const ArchiveSize size{from.at("events").get<std::int64_t>(), from.at("bytes").get<std::int64_t>()};
      if (archive != archives_.end()) {
        sizes_.try_emplace(archive->second.log(), size);
      } else {
        sizes_.insert_or_assign(name, size);
      }
    } else if (kind == "left-over") {
      left_over_.insert(name);
    } else if (kind == "tags") {
      tags_[name] = json::parse(*note.value).get<std::map<std::string, std::string>>();
    } else {
      return corrupt(note.key);
    }
  } catch (const json::exception&) {
    return corrupt(note.key);
  }
  return {};
}

Model::Matcher& Model::matcher(const Bus& bus) {
  auto& made = matchers_[bus.name];
  if (made) return *made;
  made = std::make_unique<Matcher>();
  std::vector<std::pair<const std::string*, const Archive*>> kept;
  for (const auto& [name, rule] : bus.rules) {
    if (!rule.enabled || rule.pattern.empty()) continue;
    // It was checked when it was put; what a newer weir refuses matches nothing.
    if (made->patterns.add(static_cast<std::uint32_t>(made->rules.size()), rule.pattern)) made->rules.push_back(&rule);
  }
  for (const auto& [name, archive] : archives_) {
    if (archive.bus != bus.name) continue;
    if (archive.pattern.empty()) {
      made->all.push_back(&archive);
    } else if (made->patterns.add(static_cast<std::uint32_t>(made->rules.size() + made->archives.size()),
                                  archive.pattern)) {
      made->archives.push_back(&archive);
    }
  }
  made->asks_for_frame = std::ranges::any_of(kFrame, [&](auto name) { return made->patterns.asks_for(name); });
  return *made;
}

std::optional<Matched> Model::match(std::string_view bus_name, const Event& event) {
  const Bus* const on = bus(bus_name);
  if (on == nullptr) {
    if (!is_json(event.detail)) return std::nullopt;
    return Matched();
  }
  Matcher& with = matcher(*on);
  pattern::PatternSet& patterns = with.patterns;
  patterns.begin();
  patterns.text("detail-type", event.detail_type);
  patterns.text("source", event.source);
  if (with.asks_for_frame) {
    patterns.text("version", "0");
    patterns.text("id", event.id);
    patterns.text("account", event.account);
    patterns.text("time", iso_seconds(event.time));
    patterns.text("region", event.region);
  }
  if (!event.replay_name.empty()) patterns.text("replay-name", event.replay_name);
  // An empty array has no value.
  if (!event.resources.empty() && patterns.asks_for("resources")) {
    std::string resources;
    JsonWriter out(resources);
    out.begin_array();
    for (const std::string& resource : event.resources) out.value(resource);
    out.end_array();
    patterns.member("resources", resources);
  }
  if (!patterns.member("detail", event.detail)) return std::nullopt;
  Matched matched;
  for (const std::uint32_t id : patterns.finish()) {
    if (id < with.rules.size()) {
      matched.rules.push_back(with.rules[id]);
    } else if (event.replay_name.empty()) {
      matched.archives.push_back(with.archives[id - with.rules.size()]);
    }
  }
  if (event.replay_name.empty()) matched.archives.insert(matched.archives.end(), with.all.begin(), with.all.end());
  return matched;
}

}  // namespace weir::eventbridge
