#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "weir/event/kept.h"

namespace weir::test {

/// What a store that holds these events answers, in whatever order they are.
inline KeptPage page_of(const std::vector<KeptEvent>& events, const KeptRange& range) {
  const auto place = [](const KeptEvent& event) { return std::pair(event.at, event.id); };
  std::vector<KeptEvent> wanted;
  for (const KeptEvent& event : events) {
    if (event.log == range.log && place(event) > std::pair(range.from, range.after) &&
        place(event) < std::pair(range.to, range.before))
      wanted.push_back(event);
  }
  std::ranges::sort(wanted, {}, place);
  if (range.newest_first) std::ranges::reverse(wanted);
  KeptPage page;
  std::size_t bytes = 0;
  for (KeptEvent& event : wanted) {
    bytes += event.event.size();
    page.more = page.events.size() == range.limit || (!page.events.empty() && bytes > range.bytes_max);
    if (page.more) break;
    page.events.push_back(std::move(event));
  }
  return page;
}

}  // namespace weir::test
