#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <ostream>
#include <queue>
#include <string>
#include <utility>
#include <vector>

#include "weir/base/error.h"
#include "weir/base/random.h"
#include "weir/base/time.h"

namespace weir::simulation {

/// How features are drawn from a seed.
struct Draw {
  Random& random;

  std::size_t one_of(std::initializer_list<std::size_t> choices) const {
    return *(choices.begin() + static_cast<std::ptrdiff_t>(random.below(choices.size())));
  }
  /// A part of things between 0 and `most`; 0 in most worlds.
  double sometimes(double most) const { return random.chance(0.4) ? random.unit() * most : 0.0; }
  bool chance(double probability) const { return random.chance(probability); }
  Duration seconds_up_to(std::uint64_t most) const { return std::chrono::seconds(1 + random.below(most)); }
};

/// Names the features that a world has.
inline void name_features(std::ostream& out, std::initializer_list<std::pair<const char*, double>> parts,
                          std::initializer_list<std::pair<const char*, bool>> flags) {
  for (const auto& [name, part] : parts) {
    if (part > 0) out << ", " << name << " " << part;
  }
  for (const auto& [name, on] : flags) {
    if (on) out << ", " << name;
  }
}

/// What goes wrong with any store, process and clock.
struct Troubles {
  explicit Troubles(Draw draw)
      : refuses(draw.sometimes(0.5)),
        lies(draw.sometimes(0.1)),
        slow_store(draw.chance(0.3)),
        outages(draw.chance(0.2)),
        crashes(draw.chance(0.5) ? static_cast<int>(1 + draw.random.below(4)) : 0),
        stops(draw.chance(0.5) ? static_cast<int>(1 + draw.random.below(4)) : 0),
        wall_jumps(draw.chance(0.2)),
        late_ticks(draw.chance(0.3)),
        idle_ticks(draw.chance(0.2)) {}

  void name(std::ostream& out) const {
    name_features(out, {{"refuses", refuses}, {"lies", lies}},
                  {{"slow_store", slow_store},
                   {"outages", outages},
                   {"crashes", crashes > 0},
                   {"stops", stops > 0},
                   {"wall_jumps", wall_jumps},
                   {"late_ticks", late_ticks},
                   {"idle_ticks", idle_ticks}});
  }

  double refuses;  ///< part of the writes
  double lies;     ///< part of the writes that are kept but reported as refused
  bool slow_store;
  bool outages;  ///< the store refuses everything for minutes
  int crashes;   ///< at most
  int stops;     ///< graceful ones, at most
  bool wall_jumps;
  bool late_ticks;
  bool idle_ticks;  ///< ticks that nobody asked for
};

/// What every world stands on: one seed, two clocks, what will happen, and the first promise that was broken.
/// A `Happening` has `at` and `order`.
template <typename Happening>
class Stage {
 public:
  /// The first broken promise, as a sentence; empty if none was.
  const std::string& broken_promise() const { return broken_; }

 protected:
  Stage(std::uint64_t seed, std::uint64_t stir) : seed_(seed), random_(seed * stir) {}
  ~Stage() = default;

  void later(Duration wait, Happening happening) {
    happening.at = now_.instant + wait;
    happening.order = ++last_order_;
    queue_.push(std::move(happening));
  }

  /// Lets time pass to the next happening, or to `wake` if that comes first, and tells `act` what happens: null for the
  /// waking. False when a promise was broken, or nothing will ever happen.
  template <typename Act>
  bool turn(std::optional<Instant> wake, Act act) {
    ++steps_;
    promise(steps_ < kMostSteps, "the world does not come to its end");
    const bool wakes = wake && (queue_.empty() || *wake <= queue_.top().at);
    if (!wakes && queue_.empty()) {
      promise(false, "nothing will ever happen again, and something is left");
      return false;
    }
    const Instant at = std::max(now_.instant, wakes ? *wake : queue_.top().at);
    now_.wall += at - now_.instant;
    now_.instant = at;
    try {
      if (wakes) {
        act(nullptr);
      } else {
        const Happening next = queue_.top();
        queue_.pop();
        act(&next);
      }
    } catch (const BrokenBelief& belief) {
      promise(false, belief.what());
    }
    return broken_.empty();
  }

  void promise(bool kept, const char* otherwise) {
    if (!kept && broken_.empty()) broken_ = otherwise;
  }

  /// The wall clock is set, forward or back.
  void jump(Duration most) { now_.wall += random_.chance(0.5) ? upto(most) : -upto(most); }

  Duration upto(Duration most) {
    return Duration(static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(most.count()) + 1)));
  }
  double seconds_since_start() const { return as_seconds(now_.instant - kStart); }

  const std::uint64_t seed_;
  Random random_;
  Moment now_{kStart, from_epoch_milliseconds(1'790'000'000'000)};
  std::uint64_t last_order_ = 0;
  std::uint64_t steps_ = 0;
  std::string broken_;

 private:
  static constexpr std::uint64_t kMostSteps = 100'000;  // more than ten times what the longest world takes
  static constexpr Instant kStart{std::chrono::hours(1)};

  struct Later {
    bool operator()(const Happening& a, const Happening& b) const {
      return a.at != b.at ? a.at > b.at : a.order > b.order;
    }
  };
  std::priority_queue<Happening, std::vector<Happening>, Later> queue_;
};

}  // namespace weir::simulation
