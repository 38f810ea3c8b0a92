#pragma once

#include <cstddef>
#include <deque>
#include <set>
#include <string_view>
#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include "weir/base/error.h"
#include "weir/base/time.h"

namespace weir::bridge {

namespace net = boost::asio;

/// Whether a destination has refused a record, and not just the store behind it.
bool is_refusal(ErrorCode code);
/// Whether a delivery that failed may succeed soon. A file is weir's own disk, and a function weir's own queue.
bool may_pass(std::string_view destination, ErrorCode code);

/// The pace at which what is over in a queue is told to its destinations: how many have what they tell in memory, and
/// when a destination that failed is tried again. One executor, one thread; who waits here is never cancelled.
class EndingPace {
 public:
  EndingPace(net::any_io_executor executor, const Clock& clock) : executor_(std::move(executor)), clock_(clock) {}

  /// The right to have one thing that is over in memory, as long as it is there.
  class Turn {
   public:
    explicit Turn(EndingPace& pace) : pace_(&pace) { ++pace.turns_; }
    Turn(Turn&& other) noexcept : pace_(std::exchange(other.pace_, nullptr)) {}
    Turn& operator=(Turn&&) = delete;
    ~Turn() {
      if (pace_ != nullptr) pace_->turn_over();
    }

   private:
    EndingPace* pace_;
  };
  net::awaitable<Turn> turn();

  /// Whether a destination that failed before, so often, is tried no more if it fails again: then, while weir stops,
  /// and with as many waiting as may.
  bool last(std::size_t failures) const;
  /// The wait after one more failure than that; none while weir stops.
  net::awaitable<void> wait(std::size_t failures);
  void request_stop();

 private:
  void turn_over();

  net::any_io_executor executor_;
  const Clock& clock_;
  bool stopping_ = false;
  int turns_ = 0;
  std::deque<net::steady_timer*> waiting_;  ///< for a turn; on their frames
  std::set<net::steady_timer*> pauses_;     ///< of those that wait for their destination's next try, on their frames
};

}  // namespace weir::bridge
