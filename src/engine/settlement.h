#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "weir/event/position.h"

namespace weir::engine {

/// Records of a shard are numbered as they are read; these are the ones from `first` to before `end`.
struct OrdinalRun {
  std::uint64_t first = 0;
  std::uint64_t end = 0;

  std::size_t size() const { return static_cast<std::size_t>(end - first); }
};

/// The numbers of some records, in order, as few runs as they can be. A single lane without filters has one run, which
/// takes no memory of its own.
class Ordinals {
 public:
  Ordinals() = default;
  explicit Ordinals(OrdinalRun run) : first_(run) {}

  /// `run`: behind all there are.
  void append(OrdinalRun run);
  /// Moves the first `count` to the end of `to`; there are as many.
  void give(std::size_t count, Ordinals& to);
  /// Takes out all behind the first `count`.
  Ordinals cut(std::size_t count);

  template <typename Visit>
  void for_each_run(Visit visit) const {
    if (first_.size() > 0) visit(first_);
    for (std::size_t i = next_; i < rest_.size(); ++i) visit(rest_[i]);
  }

 private:
  OrdinalRun first_;              ///< empty when there are none
  std::vector<OrdinalRun> rest_;  ///< from `next_` on
  std::size_t next_ = 0;
};

/// What of a shard is done: a front without gaps, and what was done out of order behind it. A checkpoint is a position,
/// and several records may share one (the parts of an aggregate): it is passed only with the last of them.
class Settlement {
 public:
  /// These are done now; none was before. `upto`: the position of the last of them behind which no other record with
  /// its position follows; none when there is no such record.
  void settle(OrdinalRun run, std::optional<Position> upto);

  /// Everything up to and including this position is done.
  const std::optional<Position>& upto() const { return upto_; }

 private:
  struct Range {
    std::uint64_t end = 0;
    std::optional<Position> upto;
  };

  void advance(Range range);

  std::uint64_t front_ = 0;  ///< all ordinals below are done
  std::optional<Position> upto_;
  /// Behind a gap, by their first ordinal; neighbours are merged, so there are at most as many as there are gaps.
  std::map<std::uint64_t, Range> ahead_;
};

}  // namespace weir::engine
