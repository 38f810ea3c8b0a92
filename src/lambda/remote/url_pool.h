#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "weir/base/random.h"
#include "weir/base/time.h"

namespace weir::remote {

/// Which of several URLs the next call goes to: each takes so many at a time, the least busy one first, equals in turn.
/// One that cannot be reached is passed over, for a time that doubles from half a second to half a minute with jitter;
/// then one call tries it. When none can be reached nothing is gained by waiting, and calls go to the one that was
/// tried longest ago. Pure; one owner.
class UrlPool {
 public:
  /// `urls` and `requests_per_url` are at least 1.
  UrlPool(std::size_t urls, int requests_per_url, std::uint64_t seed);

  /// Takes a place at a URL and gives its number; nothing while all places are taken. `tried`, by a URL's number: where
  /// the call has been already and does not go again; empty: nowhere.
  std::optional<std::size_t> acquire(Instant now, const std::vector<bool>& tried = {});
  void release(std::size_t url);

  /// A call could not reach the URL. True: that is news.
  bool on_unreachable(Instant now, std::size_t url);
  /// Somebody answered there. True: that is news.
  bool on_reached(std::size_t url);

  /// When, after `now`, acquire() may give a place that it does not give now, though none is released.
  std::optional<Instant> wake_at(Instant now) const;

 private:
  struct Url {
    int busy = 0;
    int refusals = 0;  ///< in a row; 0: it can be reached, for all that is known
    Instant retry_at{};
    std::uint64_t turn = 0;  ///< of the call that was given it last: the smaller, the longer ago
  };
  bool has_place(const Url& url) const { return url.busy < requests_per_url_; }

  std::vector<Url> urls_;
  int requests_per_url_;
  Random random_;
  std::size_t last_ = 0;  ///< given out last
  std::uint64_t turns_ = 0;
};

}  // namespace weir::remote
