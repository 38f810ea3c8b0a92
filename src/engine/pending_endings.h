#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "weir/base/error.h"
#include "weir/base/random.h"
#include "weir/base/time.h"

#include "engine/growing_wait.h"

namespace weir::engine {

/// What of a queue is over and has to be kept as that: asked for in order, and while the store refuses one at a time,
/// less and less often, to see whether it still does.
class PendingEndings {
 public:
  PendingEndings(Duration backoff_min, Duration backoff_max) : backoff_min_(backoff_min), backoff_max_(backoff_max) {}

  /// While it is, nothing is to be begun that would have to be remembered.
  bool refusing() const { return refusals_ > 0; }
  bool unanswered() const { return asked_ > 0; }
  /// While the store refuses: when it is tried again; nothing when an answer comes first.
  std::optional<Instant> wake_at() const { return probe_ ? std::nullopt : std::optional<Instant>(due_); }

  void add(std::uint32_t slot) { waiting_.push_back(slot); }

  /// Calls `ask` for each that is due. `last`: it is the last time, so every one is.
  template <typename Ask>
  void ask_due(Instant now, bool last, Ask ask) {
    const bool probing = refusing() && !last;
    if (probing && (probe_ || due_ > now)) return;
    while (!waiting_.empty()) {
      const std::uint32_t slot = waiting_.front();
      waiting_.pop_front();
      ++asked_;
      ask(slot);
      if (probing) {
        probe_ = slot;
        return;
      }
    }
  }

  void on_kept() {
    answered();
    refusals_ = 0;
    probe_.reset();
  }

  /// `again`: it is asked for again.
  void on_refused(Instant now, std::uint32_t slot, bool again, Random& random) {
    answered();
    const bool probed = probe_ == slot;
    if (probed) probe_.reset();
    // Many may be refused that were asked for together: that is one failure. From then on the probe's answer counts.
    if (!refusing() || probed) due_ = now + growing_wait(backoff_min_, backoff_max_, ++refusals_, random);
    if (again) waiting_.push_back(slot);
  }

 private:
  void answered() {
    WEIR_ASSERT(asked_ > 0);
    --asked_;
  }

  Duration backoff_min_, backoff_max_;
  std::deque<std::uint32_t> waiting_;   ///< to be asked for
  std::size_t asked_ = 0;               ///< and not answered
  int refusals_ = 0;                    ///< in a row
  Instant due_{};                       ///< while it refuses
  std::optional<std::uint32_t> probe_;  ///< the ending it is tried with
};

}  // namespace weir::engine
