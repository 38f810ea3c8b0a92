#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <unordered_map>
#include <utility>

#include "weir/base/time.h"

namespace weir::sns {

/// The ids of messages that came within the last while: a repeated one is not delivered twice. Bounded: when full, the
/// oldest is forgotten, which a sender of that many could have repeated.
class SeenMessages {
 public:
  enum class Kind { kNew, kUnderWay, kDone };

  SeenMessages(Duration keep, std::size_t most) : keep_(keep), most_(most) {}

  /// What is known of a message; a new one is under way from now on.
  Kind begin(const std::string& id, Instant now) {
    while (!order_.empty() && (order_.size() >= most_ || now - order_.front().second >= keep_)) {
      done_.erase(order_.front().first);
      order_.pop_front();
    }
    const auto [found, added] = done_.emplace(id, false);
    if (added) return Kind::kNew;
    return found->second ? Kind::kDone : Kind::kUnderWay;
  }
  /// It is delivered: from now on it is known for `keep`.
  void done(const std::string& id, Instant now) {
    done_[id] = true;
    order_.emplace_back(id, now);
  }
  /// It was not taken, and may come again.
  void failed(const std::string& id) { done_.erase(id); }

  std::size_t size() const { return done_.size(); }

 private:
  Duration keep_;
  std::size_t most_;
  std::unordered_map<std::string, bool> done_;
  std::deque<std::pair<std::string, Instant>> order_;  ///< of those that are done
};

}  // namespace weir::sns
