#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "engine/queue_processor.h"

namespace weir::test {

/// A QueueProcessor and a clock turned by hand. Each verb tells the engine one thing and returns what it wants done
/// next, in its own order, each action with the number that its answer names:
///   "receive#1 10 20s"        at most 10 messages, waiting 20 s; "for 61s" with a visibility timeout of its own
///   "invoke#2 a b"            with these messages
///   "remove#3 a b", "visibility#4 30s a", "drained"
/// A message is its id; "x:1" is of group x, and "-a" is one that the filters do not want.
class ReceiveDriver {
 public:
  static constexpr std::size_t kItemBytes = 100;

  explicit ReceiveDriver(engine::QueueSettings settings) : queue_(settings) {}

  std::string start() { return after(Duration(0)); }

  std::string gives(engine::QueueCall call, const std::string& messages) {
    std::istringstream words(messages);
    std::vector<engine::QueueItem> items;
    for (std::string word; words >> word;) items.push_back(item(word));
    return tell(call, std::move(items));
  }
  std::string gives_many(engine::QueueCall call, int count) {
    std::vector<engine::QueueItem> items;
    for (int i = 0; i < count; ++i) items.push_back(item("m" + std::to_string(++last_message_)));
    return tell(call, std::move(items));
  }
  std::string receive_fails(engine::QueueCall call) {
    receives_.erase(call);
    queue_.on_receive_failed(now_, call);
    return wanted();
  }

  std::string succeeds(engine::QueueCall call, const engine::ItemFailures& failures = engine::ItemFailures()) {
    return outcome(call, Outcome(Succeeded{"null"}), failures);
  }
  std::string fails(engine::QueueCall call) { return outcome(call, Outcome(FunctionFailed{"Unhandled", "{}"})); }
  std::string throttled(engine::QueueCall call) { return outcome(call, Outcome(Throttled{})); }
  std::string service_error(engine::QueueCall call) { return outcome(call, Outcome(ServiceFailed{})); }
  std::string cancelled(engine::QueueCall call) { return outcome(call, Outcome(Cancelled{})); }

  /// All of them, or those that are said to be.
  std::string removed(engine::QueueCall call) { return removed(call, std::vector<bool>(receipts_.at(call), true)); }
  std::string removed(engine::QueueCall call, const std::vector<bool>& gone) {
    queue_.on_removed(now_, call, gone);
    return wanted();
  }
  std::string changed(engine::QueueCall call) { return changed(call, std::vector<bool>(receipts_.at(call), true)); }
  std::string changed(engine::QueueCall call, const std::vector<bool>& changed) {
    queue_.on_visibility(now_, call, changed);
    return wanted();
  }
  std::string stop() {
    queue_.request_stop(now_);
    return wanted();
  }

  /// Time passes, on both clocks, and the engine is told.
  std::string after(Duration time) {
    passes(time);
    queue_.on_tick(now_);
    return wanted();
  }
  void passes(Duration time) {
    now_.instant += time;
    now_.wall += time;
    passed_ += time;
  }
  /// Goes to the instant the engine wants to be woken at.
  std::string at_wake() { return after(std::max(Duration(0), wait().value())); }
  std::optional<Duration> wait() const {
    const auto due = queue_.wake_at();
    if (!due) return std::nullopt;
    return *due - now_.instant;
  }

  /// A queue that always has messages, and a function that never ends.
  void busy_for(Duration time) { live(time, true); }
  /// A queue that has none.
  void idle_for(Duration time) { live(time, false); }
  void all_succeed() {
    while (!invocations_.empty()) succeeds(first_in_flight());
    while (!removals_.empty()) removed(take_removal());
  }
  /// A receive brings one message, whose batch fails: as the function reports it, or altogether.
  void fails_once(std::optional<engine::ItemFailures> reported) {
    gives_many(receives_.begin()->first, 1);
    if (reported) {
      succeeds(first_in_flight(), *reported);
    } else {
      fails(first_in_flight());
    }
  }

  engine::QueueProcessor& queue() { return queue_; }
  const engine::InvokeMessages& invoke(engine::QueueCall call) const { return invocations_.at(call); }
  const engine::ChangeVisibility& change() const { return change_.value(); }
  engine::QueueCall first_in_flight() const { return invocations_.begin()->first; }
  engine::QueueCall last_call() const { return last_call_; }
  engine::QueueCall last_removal() const { return removals_.back(); }
  Duration passed() const { return passed_; }

 private:
  static engine::QueueItem item(std::string word) {
    engine::QueueItem made;
    if (word.front() == '-') {
      made.filtered = true;
      word.erase(0, 1);
    }
    made.id = word;
    made.receipt = word;
    if (const auto colon = word.find(':'); colon != std::string::npos) made.group = word.substr(0, colon);
    made.encoded_bytes = kItemBytes;
    return made;
  }

  std::string tell(engine::QueueCall call, std::vector<engine::QueueItem> items) {
    receives_.erase(call);
    queue_.on_messages(now_, call, std::move(items));
    return wanted();
  }
  std::string outcome(engine::QueueCall call, const Outcome& outcome,
                      const engine::ItemFailures& failures = engine::ItemFailures()) {
    queue_.on_outcome(now_, call, outcome, failures);
    invocations_.erase(call);
    return wanted();
  }
  engine::QueueCall take_removal() {
    const engine::QueueCall call = removals_.back();
    removals_.pop_back();
    return call;
  }

  void live(Duration time, bool busy) {
    const Instant end = now_.instant + time;
    while (now_.instant < end) {
      while (busy && !receives_.empty()) gives_many(receives_.begin()->first, 1);
      Instant next = end;
      if (const auto wake = queue_.wake_at()) next = std::min(next, std::max(*wake, now_.instant));
      for (const auto& [call, due] : receives_) next = std::min(next, due);
      after(next - now_.instant);
      while (!changes_.empty()) {
        const engine::QueueCall call = changes_.back();
        changes_.pop_back();
        changed(call);
      }
      while (!receives_.empty() && receives_.begin()->second <= now_.instant) gives(receives_.begin()->first, "");
    }
  }

  std::string wanted() {
    std::string all;
    while (auto action = queue_.next()) {
      if (!all.empty()) all += ", ";
      all += std::visit([this](auto& wish) { return note(wish); }, *action);
    }
    return all;
  }
  std::string numbered(std::string_view verb, engine::QueueCall call) {
    last_call_ = call;
    return std::string(verb) + "#" + std::to_string(call);
  }
  static std::string in_seconds(Duration time) {
    return " " + std::to_string(std::chrono::duration_cast<std::chrono::seconds>(time).count()) + "s";
  }
  std::string note(const engine::ReceiveMessages& wish) {
    receives_.emplace(wish.call, now_.instant + wish.wait);
    std::string out = numbered("receive", wish.call) + " " + std::to_string(wish.max_messages) + in_seconds(wish.wait);
    if (wish.visibility_timeout) out += " for" + in_seconds(*wish.visibility_timeout);
    return out;
  }
  std::string note(engine::InvokeMessages& wish) {
    std::string out = numbered("invoke", wish.call);
    for (const engine::QueueItem* each : wish.items) out += " " + each->id;
    invocations_.emplace(wish.call, std::move(wish));
    return out;
  }
  std::string note(const engine::RemoveMessages& wish) {
    std::string out = numbered("remove", wish.call);
    for (const std::string& receipt : wish.receipts) out += " " + receipt;
    receipts_[wish.call] = wish.receipts.size();
    removals_.push_back(wish.call);
    return out;
  }
  std::string note(const engine::ChangeVisibility& wish) {
    std::string out = numbered("visibility", wish.call) + in_seconds(wish.timeout);
    for (const std::string& receipt : wish.receipts) out += " " + receipt;
    receipts_[wish.call] = wish.receipts.size();
    changes_.push_back(wish.call);
    change_ = wish;
    return out;
  }
  static std::string note(const engine::QueueDrained&) { return "drained"; }

  engine::QueueProcessor queue_;
  Moment now_{Instant(std::chrono::hours(1)), WallTime(std::chrono::hours(24 * 365 * 50))};
  Duration passed_{0};
  int last_message_ = 0;
  engine::QueueCall last_call_ = 0;
  std::map<engine::QueueCall, Instant> receives_;  ///< under way, and when their waiting ends
  std::map<engine::QueueCall, engine::InvokeMessages> invocations_;
  std::map<engine::QueueCall, std::size_t> receipts_;
  std::vector<engine::QueueCall> removals_;
  std::vector<engine::QueueCall> changes_;
  std::optional<engine::ChangeVisibility> change_;
};

}  // namespace weir::test
