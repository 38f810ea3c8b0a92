#include "engine/settlement.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "weir/base/error.h"

namespace weir::engine {

void Ordinals::append(OrdinalRun run) {
  if (first_.size() == 0) {
    first_ = run;
    return;
  }
  OrdinalRun& last = next_ == rest_.size() ? first_ : rest_.back();
  WEIR_ASSERT(last.end <= run.first);
  if (last.end == run.first) {
    last.end = run.end;
  } else {
    rest_.push_back(run);
  }
}

void Ordinals::give(std::size_t count, Ordinals& to) {
  while (count > 0) {
    WEIR_ASSERT(first_.size() > 0);
    const OrdinalRun part{first_.first, first_.first + std::min(count, first_.size())};
    to.append(part);
    count -= part.size();
    first_.first = part.end;
    if (first_.size() == 0 && next_ < rest_.size()) first_ = rest_[next_++];
  }
}

Ordinals Ordinals::cut(std::size_t count) {
  Ordinals head;
  give(count, head);
  std::swap(head, *this);
  return head;
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
