#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "weir/event/position.h"

namespace weir::engine {

/// Records of a shard are numbered as they are read; these are the ones from `first` to before `end`.
struct OrdinalRun {
  std::uint64_t first = 0;
  std::uint64_t end = 0;

  std::size_t size() const { return static_cast<std::size_t>(end - first); }
};

/// The numbers of some records, in order, as few runs as they can be. A single lane without filters has one run.
class Ordinals {
 public:
  Ordinals() = default;
  explicit Ordinals(OrdinalRun run) : runs_{run} {}

  /// `ordinal`: larger than all there are.
  void append(std::uint64_t ordinal) {
    if (!runs_.empty() && runs_.back().end == ordinal) {
      ++runs_.back().end;
    } else {
      runs_.push_back({ordinal, ordinal + 1});
    }
  }
  /// Takes out the first one; there is one.
  std::uint64_t take_first() {
    OrdinalRun& run = runs_[taken_];
    const std::uint64_t ordinal = run.first++;
    if (run.first == run.end) ++taken_;
    return ordinal;
  }
  /// Takes out all behind the first `count`.
  Ordinals cut(std::size_t count);

  std::span<const OrdinalRun> runs() const { return std::span(runs_).subspan(taken_); }

 private:
  std::vector<OrdinalRun> runs_;
  std::size_t taken_ = 0;  ///< runs of which nothing is left
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
