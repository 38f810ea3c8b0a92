#include <algorithm>
#include <array>
#include <chrono>

#include "connectors/eventbridge/api_call.h"
#include "pattern/pattern.h"
#include "service/arn.h"

namespace weir::eventbridge {
namespace {

using service::ApiError;

constexpr std::size_t kMaxArchives = 100;  // AWS's quota
constexpr std::size_t kMaxReplaying = 10;  // at once, AWS's quota
constexpr std::size_t kMaxReplays = 1000;  // remembered

// Archives

std::optional<ApiError> read_archive(Call& call, Archive& archive) {
  if (call.arguments.has("Description")) archive.description = call.arguments.text("Description", 512);
  if (call.arguments.has("EventPattern")) {
    archive.pattern = call.arguments.text("EventPattern", pattern::kMaxPatternLength);
  }
  if (const auto days = call.arguments.integer("RetentionDays", 0, 1'000'000)) {
    archive.retention_days = static_cast<int>(*days);
  }
  if (call.wrong()) return *call.arguments.error();
  if (!archive.pattern.empty()) return check_pattern(archive.pattern);
  return std::nullopt;
}

Reply archive_answer(const Archive& archive) {
  Reply reply = object_reply([&](JsonWriter& out) {
    out.member("ArchiveArn", archive_arn(archive.name)).member("State", "ENABLED");
    out.member("CreationTime", seconds_of(archive.created));
  });
  reply.notes.push_back(note_of(archive));
  return reply;
}

Reply create_archive(Call& call) {
  Archive archive;
  archive.name = call.arguments.name("ArchiveName", 48);
  const std::string source = call.arguments.required("EventSourceArn", 1600);
  archive.created = call.now;
  auto error = read_archive(call, archive);
  if (error) return call.refuse(std::move(*error));
  archive.bus = source.starts_with("arn:") ? bus_name(source) : "";
  if (archive.bus.empty()) {
    return call.refuse(invalid("Parameter EventSourceArn is not valid. Reason: Must contain an event bus ARN."));
  }
  if (call.model.bus(archive.bus) == nullptr) return call.refuse(no_bus(archive.bus));
  if (call.model.archives().count(archive.name) > 0) {
    return call.refuse(exists_already("Archive " + archive.name + " already exists."));
  }
  if (call.model.archives().size() >= kMaxArchives) return call.refuse(too_many());
  // One of that name that ended just now still has its events under its own time.
  while (call.model.left_over().count(archive.log()) > 0) archive.created += std::chrono::milliseconds(1);
  return archive_answer(archive);
}

const Archive* find_archive(Call& call) {
  const std::string name = call.arguments.required("ArchiveName", 48);
  if (call.wrong()) return nullptr;
  const auto found = call.model.archives().find(name);
  if (found != call.model.archives().end()) return &found->second;
  call.arguments.refuse(not_found("Archive " + name + " does not exist."));
  return nullptr;
}

void write_archive_members(JsonWriter& out, const Call& call, const Archive& archive) {
  const ArchiveSize size = call.model.size_of(archive);
  out.member("ArchiveName", archive.name).member("EventSourceArn", bus_arn(archive.bus)).member("State", "ENABLED");
  out.member("RetentionDays", archive.retention_days).member("SizeBytes", size.bytes).member("EventCount", size.events);
  out.member("CreationTime", seconds_of(archive.created));
}

Reply describe_archive(Call& call) {
  const Archive* const archive = find_archive(call);
  if (archive == nullptr) return call.refuse();
  return object_reply([&](JsonWriter& out) {
    out.member("ArchiveArn", archive_arn(archive->name));
    optional_member(out, "Description", archive->description);
    optional_member(out, "EventPattern", archive->pattern);
    write_archive_members(out, call, *archive);
  });
}

Reply update_archive(Call& call) {
  const Archive* const archive = find_archive(call);
  if (archive == nullptr) return call.refuse();
  Archive changed = *archive;
  auto error = read_archive(call, changed);
  if (error) return call.refuse(std::move(*error));
  return archive_answer(changed);
}

Reply delete_archive(Call& call) {
  const Archive* const archive = find_archive(call);
  if (archive == nullptr) return call.refuse();
  Reply reply;
  reply.notes = end_of_archive(*archive);
  return reply;
}

/// The three filters of a list, of which a call has at most one.
struct Filter {
  std::string prefix;
  std::string source;
  std::string state;
};
std::optional<Filter> read_filter(Call& call, std::string_view operation, std::size_t longest_name) {
  Filter filter;
  filter.prefix = call.arguments.text("NamePrefix", longest_name);
  filter.source = call.arguments.text("EventSourceArn", 1600);
  filter.state = call.arguments.text("State");
  if ((filter.prefix.empty() ? 0 : 1) + (filter.source.empty() ? 0 : 1) + (filter.state.empty() ? 0 : 1) > 1) {
    call.arguments.refuse(invalid("At most one filter is allowed for " + std::string(operation) +
                                  ". Use either : State, EventSourceArn, or NamePrefix."));
  }
  if (call.wrong()) return std::nullopt;
  return filter;
}
bool passes(const Filter& filter, std::string_view name, std::string_view source, std::string_view state) {
  return name.starts_with(filter.prefix) && (filter.source.empty() || filter.source == source) &&
         (filter.state.empty() || filter.state == state);
}

Reply list_archives(Call& call) {
  const auto filter = read_filter(call, "ListArchives", 48);
  if (!filter) return call.refuse();
  if (!filter->source.empty() && call.model.bus(bus_name(filter->source)) == nullptr) {
    return call.refuse(no_bus(bus_name(filter->source)));
  }
  const auto wanted = [&](const std::string& name, const Archive& archive) {
    return passes(*filter, name, bus_arn(archive.bus), "ENABLED");
  };
  return list_reply(call, "Archives", call.model.archives(), wanted,
                    [&](JsonWriter& out, const std::string&, const Archive& archive) {
                      out.begin_object();
                      write_archive_members(out, call, archive);
                      out.end_object();
                    });
}

// Replays

Reply start_replay(Call& call) {
  Arguments& arguments = call.arguments;
  Replay replay;
  replay.name = arguments.name("ReplayName", 64);
  replay.description = arguments.text("Description", 512);
  const std::string source = arguments.required("EventSourceArn", 1600);
  const auto from = arguments.time("EventStartTime");
  const auto to = arguments.time("EventEndTime");
  if (!from) arguments.refuse(constraint("null", "eventStartTime", "not be null"));
  if (!to) arguments.refuse(constraint("null", "eventEndTime", "not be null"));
  Arguments destination = arguments.object("Destination");
  const std::string bus = destination.required("Arn", 1600);
  const auto filters = destination.texts("FilterArns");
  arguments.take(destination);
  if (call.wrong()) return call.refuse();
  if (!bus.starts_with("arn:") || bus_name(bus).empty()) {
    return call.refuse(invalid("Parameter Destination.Arn is not valid. Reason: Must contain an event bus ARN."));
  }
  replay.bus = bus_name(bus);
  if (call.model.bus(replay.bus) == nullptr) return call.refuse(no_bus(replay.bus));
  constexpr std::string_view kArchive = "archive/";
  const auto resource = service::local_resource(source, "events");
  replay.archive = resource && resource->starts_with(kArchive) ? resource->substr(kArchive.size()) : source;
  const auto archive = call.model.archives().find(replay.archive);
  if (archive == call.model.archives().end()) {
    return call.refuse(
        invalid("Parameter EventSourceArn is not valid. Reason: Archive " + replay.archive + " does not exist."));
  }
  if (archive->second.bus != replay.bus) {
    return call.refuse(
        invalid("Parameter Destination.Arn is not valid. Reason: Cross event bus replay is not permitted."));
  }
  if (*from >= *to) {
    return call.refuse(
        invalid("Parameter EventEndTime is not valid. Reason: EventStartTime must be before EventEndTime."));
  }
  if (call.model.replays().count(replay.name) > 0) {
    return call.refuse(exists_already("Replay " + replay.name + " already exists."));
  }
  const auto& all = call.model.replays();
  const auto running = std::count_if(all.begin(), all.end(), [](const auto& each) { return each.second.under_way(); });
  if (static_cast<std::size_t>(running) >= kMaxReplaying) return call.refuse(too_many());
  replay.filter_arns.insert(filters.begin(), filters.end());
  replay.from = *from;
  replay.to = *to;
  replay.started = call.now;
  Reply reply = object_reply([&](JsonWriter& out) {
    out.member("ReplayArn", replay_arn(replay.name)).member("State", text(replay.state));
    out.member("ReplayStartTime", seconds_of(replay.started));
  });
  if (all.size() >= kMaxReplays) {
    const auto oldest = std::min_element(all.begin(), all.end(), [](const auto& a, const auto& b) {
      return std::make_pair(a.second.under_way(), a.second.started) <
             std::make_pair(b.second.under_way(), b.second.started);
    });
    reply.notes.push_back(end_of(oldest->second));
  }
  reply.notes.push_back(note_of(replay));
  return reply;
}

const Replay* find_replay(Call& call) {
  const std::string name = call.arguments.required("ReplayName", 64);
  if (call.wrong()) return nullptr;
  const auto found = call.model.replays().find(name);
  if (found != call.model.replays().end()) return &found->second;
  call.arguments.refuse(not_found("Replay " + name + " does not exist."));
  return nullptr;
}

void write_replay_members(JsonWriter& out, const Replay& replay) {
  out.member("ReplayName", replay.name).member("EventSourceArn", archive_arn(replay.archive));
  out.member("State", text(replay.state));
  optional_member(out, "StateReason", replay.reason);
  out.member("EventStartTime", seconds_of(replay.from));
  out.member("EventEndTime", seconds_of(replay.to)).member("ReplayStartTime", seconds_of(replay.started));
  if (replay.last) out.member("EventLastReplayedTime", seconds_of(*replay.last));
  if (replay.ended) out.member("ReplayEndTime", seconds_of(*replay.ended));
}

Reply describe_replay(Call& call) {
  const Replay* const replay = find_replay(call);
  if (replay == nullptr) return call.refuse();
  return object_reply([&](JsonWriter& out) {
    out.member("ReplayArn", replay_arn(replay->name));
    optional_member(out, "Description", replay->description);
    out.key("Destination").begin_object().member("Arn", bus_arn(replay->bus)).key("FilterArns").begin_array();
    for (const std::string& arn : replay->filter_arns) out.value(arn);
    out.end_array().end_object();
    write_replay_members(out, *replay);
  });
}

Reply cancel_replay(Call& call) {
  const Replay* const replay = find_replay(call);
  if (replay == nullptr) return call.refuse();
  if (replay->state != ReplayState::kStarting && replay->state != ReplayState::kRunning) {
    return call.refuse(
        refusal("IllegalStatusException", "Replay " + replay->name + " is not in a valid state for this operation."));
  }
  Replay changed = *replay;
  changed.state = ReplayState::kCancelling;
  Reply reply = object_reply(
      [&](JsonWriter& out) { out.member("ReplayArn", replay_arn(replay->name)).member("State", text(changed.state)); });
  reply.notes.push_back(note_of(changed));
  return reply;
}

Reply list_replays(Call& call) {
  const auto filter = read_filter(call, "ListReplays", 64);
  if (!filter) return call.refuse();
  const auto wanted = [&](const std::string& name, const Replay& replay) {
    return passes(*filter, name, archive_arn(replay.archive), text(replay.state));
  };
  return list_reply(call, "Replays", call.model.replays(), wanted,
                    [](JsonWriter& out, const std::string&, const Replay& replay) {
                      out.begin_object();
                      write_replay_members(out, replay);
                      out.end_object();
                    });
}

constexpr std::array kOperations{
    Operation{"CancelReplay", &cancel_replay},     Operation{"CreateArchive", &create_archive},
    Operation{"DeleteArchive", &delete_archive},   Operation{"DescribeArchive", &describe_archive},
    Operation{"DescribeReplay", &describe_replay}, Operation{"ListArchives", &list_archives},
    Operation{"ListReplays", &list_replays},       Operation{"StartReplay", &start_replay},
    Operation{"UpdateArchive", &update_archive},
};

}  // namespace

std::span<const Operation> archive_operations() {
  return kOperations;
}

}  // namespace weir::eventbridge
