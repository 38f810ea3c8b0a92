#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "weir/base/error.h"
#include "weir/base/time.h"

namespace weir::sns {

/// What is told of messages that nobody vouches for: whoever sends them may send as many as he likes, and may not fill
/// the log. The first of each reason is told at once, the next a window later, with how many there were since.
class Refusals {
 public:
  explicit Refusals(Duration window) : window_(window) {}

  /// `reason`: one of a small closed set. Returns how many messages a line is to stand for, this one among them;
  /// nothing when it is only counted.
  std::optional<std::uint64_t> count(std::string_view reason, Instant now) {
    const auto [found, first] = reasons_.try_emplace(std::string(reason));
    Reason& each = found->second;
    ++each.since;
    if (!first && now - each.told < window_) return std::nullopt;
    each.told = now;
    return std::exchange(each.since, 0);
  }

 private:
  struct Reason {
    Instant told;
    std::uint64_t since = 0;
  };

  Duration window_;
  std::map<std::string, Reason> reasons_;
};

/// URLs that could not be fetched a short while ago, and why: they are not asked for again at once. Bounded: when full,
/// the oldest is forgotten.
class FailedUrls {
 public:
  FailedUrls(Duration keep, std::size_t most) : keep_(keep), most_(most) {}

  void add(const std::string& url, Error why, Instant now) {
    forget(now, most_ - 1);
    if (known_.emplace(url, std::move(why)).second) order_.emplace_back(url, now);
  }
  /// Nothing when it may be fetched.
  std::optional<Error> why(const std::string& url, Instant now) {
    forget(now, most_);
    const auto found = known_.find(url);
    if (found == known_.end()) return std::nullopt;
    return found->second;
  }
  std::size_t size() const { return known_.size(); }

 private:
  void forget(Instant now, std::size_t most) {
    while (!order_.empty() && (order_.size() > most || now - order_.front().second >= keep_)) {
      known_.erase(order_.front().first);
      order_.pop_front();
    }
  }

  Duration keep_;
  std::size_t most_;
  std::unordered_map<std::string, Error> known_;
  std::deque<std::pair<std::string, Instant>> order_;
};

}  // namespace weir::sns
