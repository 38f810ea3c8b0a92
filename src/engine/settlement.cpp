#include "engine/settlement.h"

#include <iterator>
#include <utility>

#include "weir/base/error.h"

namespace weir::engine {

Ordinals Ordinals::cut(std::size_t count) {
  auto run = runs_.begin() + static_cast<std::ptrdiff_t>(taken_);
  for (; run != runs_.end() && run->size() <= count; ++run) count -= run->size();
  Ordinals tail;
  tail.runs_.assign(run, runs_.end());
  if (count > 0) {
    WEIR_ASSERT(run != runs_.end());
    tail.runs_.front().first += count;
    run->end = tail.runs_.front().first;
    ++run;
  }
  runs_.erase(run, runs_.end());
  return tail;
}

void Settlement::settle(OrdinalRun run, std::optional<Position> upto) {
  WEIR_ASSERT(run.first >= front_ && run.end > run.first);
  if (run.first == front_) {
    advance({run.end, std::move(upto)});
    while (!ahead_.empty() && ahead_.begin()->first == front_) {
      advance(std::move(ahead_.begin()->second));
      ahead_.erase(ahead_.begin());
    }
    return;
  }
  auto behind = ahead_.lower_bound(run.first);
  WEIR_ASSERT(behind == ahead_.end() || behind->first >= run.end);
  Range range{run.end, std::move(upto)};
  if (behind != ahead_.end() && behind->first == run.end) {
    range.end = behind->second.end;
    if (behind->second.upto) range.upto = std::move(behind->second.upto);
    behind = ahead_.erase(behind);
  }
  if (behind != ahead_.begin()) {
    Range& before = std::prev(behind)->second;
    WEIR_ASSERT(before.end <= run.first);
    if (before.end == run.first) {
      before.end = range.end;
      if (range.upto) before.upto = std::move(range.upto);
      return;
    }
  }
  ahead_.emplace_hint(behind, run.first, std::move(range));
}

void Settlement::advance(Range range) {
  front_ = range.end;
  if (!range.upto) return;
  WEIR_ASSERT(!upto_ || *upto_ < *range.upto);
  upto_ = std::move(range.upto);
}

}  // namespace weir::engine
