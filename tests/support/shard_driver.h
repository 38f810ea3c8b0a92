#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "engine/shard_processor.h"

namespace weir::test {

/// Records by their positions: "1-4", "2" for one alone, "1+3-4" with a gap, "nothing" without any.
inline std::string range(std::span<const Record> records) {
  std::string out;
  for (std::size_t first = 0; first < records.size();) {
    std::size_t last = first;
    while (last + 1 < records.size() && *records[last + 1].position.number() == *records[last].position.number() + 1) {
      ++last;
    }
    if (!out.empty()) out += "+";
    out += records[first].position.text();
    if (last > first) out += "-" + records[last].position.text();
    first = last + 1;
  }
  return out.empty() ? "nothing" : out;
}

/// A ShardProcessor, a clock turned by hand, and a source whose records are numbered from 1. Each verb tells the engine
/// one thing and returns what it wants done next, in its own order: "invoke 1-2, fetch". With tumbling windows it says
/// in which one, in seconds from the beginning, and with which state: "invoke 1-2 of 60 {}", "final nothing of 60 {}".
class ShardDriver {
 public:
  static constexpr std::size_t kRecordBytes = 100;  ///< of JSON, where a test does not say otherwise

  explicit ShardDriver(engine::ShardSettings settings) : shard_(settings) {}

  std::string start() { return wanted(); }

  /// The read is answered with so many records, which arrived `age` ago.
  std::string gives(std::size_t count, Duration age = Duration(0)) {
    return gives_sizes(std::vector<std::size_t>(count, kRecordBytes), age);
  }
  /// The same with records of these encoded sizes.
  std::string gives_sizes(const std::vector<std::size_t>& sizes, Duration age = Duration(0)) {
    return tell_records(batch(sizes, age));
  }
  /// Records of several ages in one read, the oldest first.
  std::string gives_ages(const std::vector<Duration>& ages) {
    RecordBatch together;
    for (const Duration age : ages) together.records.push_back(record(kRecordBytes, age));
    return tell_records(std::move(together));
  }
  /// Records by their keys: "a b a". A "-" behind a key: filtered out; a "+": the next record has the same position.
  std::string gives_keys(const std::string& keys) {
    RecordBatch read;
    std::istringstream words(keys);
    for (std::string word; words >> word;) {
      Record made = record(kRecordBytes, Duration(0));
      made.filtered = word.ends_with('-');
      made.continues = word.ends_with('+');
      if (made.continues) --last_position_;
      keys_.push_back(word.substr(0, word.size() - (made.filtered || made.continues ? 1 : 0)));
      made.key = keys_.back();
      read.records.push_back(std::move(made));
    }
    return tell_records(std::move(read));
  }
  /// From now on every read gives a part of one page, which the source holds as well; the next one is the last.
  void begin_page() { page_ = std::make_shared<int>(); }
  void end_page() { page_ends_ = true; }
  std::string gives_nothing() { return tell_records({}); }
  /// The read is answered with the shard's last records.
  std::string ends(std::size_t count = 0) {
    RecordBatch last = batch(std::vector<std::size_t>(count, kRecordBytes), Duration(0));
    last.end_of_shard = true;
    return tell_records(std::move(last));
  }

  std::string succeeds() { return tell(Outcome(Succeeded{"null"})); }
  /// The same of one of several invocations under way, by its records.
  std::string succeeds(const std::string& records) { return tell(records, Outcome(Succeeded{"null"})); }
  std::string fails(const std::string& records) {
    return tell(records, Outcome(FunctionFailed{"Unhandled", R"({"errorMessage":"no"})"}));
  }
  /// The function answers and reports these positions in batchItemFailures.
  std::string reports(const std::vector<std::uint64_t>& failed) {
    BatchResponse response;
    response.items = BatchResponse::Items::kSomeFailed;
    for (const std::uint64_t position : failed) response.failed.emplace_back(position);
    return tell(Outcome(Succeeded{"{}"}), response);
  }
  /// It answers what cannot be understood.
  std::string reports_nonsense() {
    BatchResponse response;
    response.items = BatchResponse::Items::kAllFailed;
    return tell(Outcome(Succeeded{"{}"}), response);
  }
  std::string answers_state(std::string state) {
    BatchResponse response;
    response.state = std::move(state);
    return tell(Outcome(Succeeded{"{}"}), response);
  }
  std::string fails() { return tell(Outcome(FunctionFailed{"Unhandled", R"({"errorMessage":"no"})"})); }
  std::string throttled() { return tell(Outcome(Throttled{})); }
  std::string service_error() { return tell(Outcome(ServiceFailed{})); }
  std::string cancelled() { return tell(Outcome(Cancelled{})); }
  std::string tell(const Outcome& outcome, const BatchResponse& response = BatchResponse()) {
    shard_.on_outcome(now_, invoke_->batch, outcome, response);
    return wanted();
  }
  std::string tell(const std::string& records, const Outcome& outcome) {
    shard_.on_outcome(now_, invoked_.at(records), outcome);
    return wanted();
  }

  std::string checkpoint(bool kept) {
    shard_.on_checkpoint(now_, kept);
    return wanted();
  }
  std::string discarded(bool kept) { return discarded(kept ? engine::Kept::kDeadLetter : engine::Kept::kNowhere); }
  std::string discarded(engine::Kept kept) {
    shard_.on_discarded(now_, discard_->batch, kept);
    return wanted();
  }
  /// The same of one of several discards under way, by its records.
  std::string discarded(const std::string& records, bool kept) {
    shard_.on_discarded(now_, discarding_.at(records), kept ? engine::Kept::kDeadLetter : engine::Kept::kNowhere);
    return wanted();
  }
  std::string stop() {
    shard_.request_stop(now_);
    return wanted();
  }

  /// Time passes, on both clocks, and the engine is told.
  std::string after(Duration passed) {
    now_.instant += passed;
    now_.wall += passed;
    shard_.on_tick(now_);
    return wanted();
  }
  /// Goes to the instant the engine wants to be woken at.
  std::string at_wake() { return after(wait().value()); }
  /// How long the engine wants to sleep; nothing when it waits for an answer only.
  std::optional<Duration> wait() const {
    const auto due = shard_.wake_at();
    if (!due) return std::nullopt;
    return *due - now_.instant;
  }
  void wall_clock_jumps(Duration by) { now_.wall += by; }

  engine::ShardProcessor& shard() { return shard_; }
  Moment now() const { return now_; }
  /// What owns the bytes of the latest read.
  std::weak_ptr<const void> last_owner() const { return last_owner_; }
  /// The latest of each kind of action.
  const engine::Fetch& fetch() const { return fetch_.value(); }
  const engine::Invoke& invoke() const { return invoke_.value(); }
  const engine::Discard& discard() const { return discard_.value(); }

 private:
  Record record(std::size_t encoded_bytes, Duration age) {
    Record made;
    made.position = Position(++last_position_);
    made.arrival = now_.wall - age;
    made.data = "0123456789";
    made.encoded_bytes = encoded_bytes;
    return made;
  }

  RecordBatch batch(const std::vector<std::size_t>& sizes, Duration age) {
    RecordBatch made;
    for (const std::size_t size : sizes) made.records.push_back(record(size, age));
    return made;
  }

  std::string tell_records(RecordBatch records) {
    records.owner = page_ ? page_ : std::make_shared<int>();
    last_owner_ = records.owner;
    if (std::exchange(page_ends_, false)) page_.reset();
    shard_.on_records(now_, std::move(records));
    return wanted();
  }

  std::string wanted() {
    std::string text;
    while (auto action = shard_.next()) {
      if (!text.empty()) text += ", ";
      text += std::visit([this](auto& wish) { return note(wish); }, *action);
    }
    return text;
  }

  std::string note(engine::Fetch& wish) {
    fetch_ = wish;
    return "fetch";
  }
  std::string note(engine::Invoke& wish) {
    invoke_ = wish;
    invoked_[range(wish.records)] = wish.batch;
    const bool is_final = wish.window && wish.window->is_final;
    return (is_final ? "final " : "invoke ") + range(wish.records) + note(wish.window);
  }
  std::string note(engine::Checkpoint& wish) { return "checkpoint " + wish.upto.text(); }
  std::string note(engine::Discard& wish) {
    discard_ = wish;
    discarding_[range(wish.records)] = wish.batch;
    return "discard " + range(wish.records) + note(wish.window) + " " + std::string(text(wish.condition));
  }
  std::string note(const std::optional<WindowCall>& window) const {
    if (!window) return "";
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(window->start - kBeginning).count();
    return " of " + std::to_string(seconds) + (window->terminated_early ? " early " : " ") + window->state;
  }
  std::string note(engine::Drained& wish) { return wish.end_of_shard ? "drained, ended" : "drained"; }

  static constexpr WallTime kBeginning{std::chrono::hours(24 * 365 * 50)};  // a window of any length may begin here

  engine::ShardProcessor shard_;
  Moment now_{Instant(std::chrono::hours(1)), kBeginning};
  std::deque<std::string> keys_;  ///< of all records; they do not move
  std::uint64_t last_position_ = 0;
  std::weak_ptr<const void> last_owner_;
  std::shared_ptr<const void> page_;
  bool page_ends_ = false;
  std::optional<engine::Fetch> fetch_;
  std::optional<engine::Invoke> invoke_;
  std::optional<engine::Discard> discard_;
  std::map<std::string, engine::BatchId> invoked_, discarding_;  ///< by their records
};

}  // namespace weir::test
