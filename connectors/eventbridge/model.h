#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "weir/base/error.h"
#include "weir/base/time.h"
#include "weir/service.h"

#include "connectors/eventbridge/event.h"
#include "connectors/eventbridge/input.h"
#include "pattern/pattern_set.h"
#include "schedule/run_plan.h"

namespace weir::eventbridge {

inline constexpr std::string_view kDefaultBus = "default";
inline constexpr int kMaxRetries = 185;
inline constexpr Duration kMaxAge = std::chrono::hours(24);

/// "arn:aws:events:us-east-1:000000000000:event-bus/orders", and so on.
std::string bus_arn(std::string_view bus);
std::string rule_arn(std::string_view bus, std::string_view rule);
std::string archive_arn(std::string_view archive);
std::string replay_arn(std::string_view replay);
/// The name of a bus by its name or its ARN; "" of an ARN that is none of weir's buses.
std::string bus_name(std::string_view name_or_arn);

struct Target {
  std::string id;
  std::string arn;
  TargetInput input;
  std::string group;  ///< MessageGroupId of a FIFO queue
  int retries = kMaxRetries;
  Duration max_age = kMaxAge;
  std::string dead_letter;  ///< a queue's ARN; "" is none
  std::string document;     ///< as PutTargets has it
};

/// Reads a target of PutTargets. Error: config.invalid, of which only the message counts.
Result<Target> read_target(const std::string& document);

struct Rule {
  std::string name;
  std::string bus;
  std::string pattern;   ///< "" when it only has a schedule
  std::string schedule;  ///< "" when it has none
  std::string description;
  std::string role;
  bool enabled = true;
  std::vector<Target> targets;
  /// The source of the configuration that the rule is; "" of one that the API made. Its only target is the function.
  std::string source;
  std::string function;

  std::string arn() const { return rule_arn(bus, name); }
};

struct Archive {
  std::string name;
  std::string bus;
  std::string pattern;  ///< "": every event
  std::string description;
  int retention_days = 0;  ///< 0: for ever
  WallTime created;

  /// Where its events are kept. One that was made anew under an old name has its own.
  std::string log() const;
};

/// What an archive holds.
struct ArchiveSize {
  std::int64_t events = 0;
  std::int64_t bytes = 0;
};

enum class ReplayState { kStarting, kRunning, kCompleted, kCancelling, kCancelled, kFailed };
std::string_view text(ReplayState state);

struct Replay {
  std::string name;
  std::string archive;
  std::string bus;
  std::string description;
  std::set<std::string> filter_arns;  ///< rules; none: all of the bus
  WallTime from;
  WallTime to;
  WallTime started;
  std::optional<WallTime> ended;
  ReplayState state = ReplayState::kStarting;
  std::string reason;  ///< why it failed
  /// The archived event that was replayed last.
  std::optional<WallTime> last;
  std::uint64_t last_id = 0;

  bool under_way() const { return !ended; }
  void fail(std::string why) {
    state = ReplayState::kFailed;
    reason = std::move(why);
  }
};

struct Bus {
  std::string name;
  std::string description;
  WallTime created;
  bool configured = false;  ///< a source of the configuration names it
  std::map<std::string, Rule, std::less<>> rules;
};

/// What an event meets on its bus. Valid until the model changes.
struct Matched {
  std::vector<const Rule*> rules;
  std::vector<const Archive*> archives;
};

/// Buses, rules, archives and replays: what the configuration declares, and what the API made, each of which is one
/// note. It changes by notes alone, when they are on disk.
class Model {
 public:
  explicit Model(WallTime now);

  /// A rule of the configuration; its bus with it.
  Result<void> declare(Rule rule);
  /// Takes a note, as it was made by one of the functions below, or its end. Errors: store.corrupt.
  Result<void> apply(const SourceNote& note);

  const std::map<std::string, Bus, std::less<>>& buses() const { return buses_; }
  const std::map<std::string, Archive, std::less<>>& archives() const { return archives_; }
  const std::map<std::string, Replay, std::less<>>& replays() const { return replays_; }
  const Bus* bus(std::string_view name) const;
  const Rule* rule(std::string_view bus, std::string_view name) const;
  /// How far the schedule of a rule of the default bus is.
  std::optional<schedule::PlanMemory> schedule_of(std::string_view rule) const;
  ArchiveSize size_of(const Archive& archive) const;
  /// Counts what comes into an archive's log or goes (below 0), before it is on disk. The note of it. One of a log that
  /// is left over goes with its end.
  SourceNote count(const std::string& log, ArchiveSize more);
  /// The logs of archives that are deleted, whose events are still to be forgotten.
  const std::set<std::string>& left_over() const { return left_over_; }
  /// The tags of a bus or rule.
  std::map<std::string, std::string> tags(const std::string& arn) const;

  /// One pass over the event, whichever number of rules there are. Nothing when its detail is no JSON. A replayed event
  /// goes into no archive.
  std::optional<Matched> match(std::string_view bus, const Event& event);

 private:
  struct Matcher {
    pattern::PatternSet patterns;
    std::vector<const Rule*> rules;        ///< by id
    std::vector<const Archive*> archives;  ///< by id, behind the rules'
    std::vector<const Archive*> all;       ///< archives of every event
    bool asks_for_frame = true;            ///< a pattern names what stands around every event: its id, its time ...
  };
  Result<void> apply_rule(std::string_view bus, const std::string& name, const std::string& value);
  Matcher& matcher(const Bus& bus);

  WallTime began_;
  std::map<std::string, Bus, std::less<>> buses_;
  std::map<std::string, Archive, std::less<>> archives_;
  std::map<std::string, Replay, std::less<>> replays_;
  std::map<std::string, schedule::PlanMemory, std::less<>> schedules_;
  std::map<std::string, ArchiveSize, std::less<>> sizes_;  ///< by log: another archive of the name has its own
  std::set<std::string> left_over_;
  std::map<std::string, std::map<std::string, std::string>> tags_;
  std::map<std::string, std::unique_ptr<Matcher>> matchers_;  ///< made when they are needed, dropped at every change
};

SourceNote note_of(const Bus& bus);
SourceNote note_of(const Rule& rule);
SourceNote note_of(const Archive& archive);
SourceNote note_of(const Replay& replay);
SourceNote note_of_schedule(const std::string& rule, const std::optional<schedule::PlanMemory>& memory);
/// What is remembered of an archive that ends: that its events are still to be forgotten, and nothing else.
std::vector<SourceNote> end_of_archive(const Archive& archive);
std::vector<SourceNote> end_of_left_over(const std::string& log);
SourceNote note_of_tags(const std::string& arn, const std::map<std::string, std::string>& tags);
/// The note without its value.
template <typename T>
SourceNote end_of(const T& thing) {
  return {note_of(thing).key, std::nullopt};
}

}  // namespace weir::eventbridge
