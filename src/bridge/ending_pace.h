#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <set>
#include <string>
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
/// The line in which an ending that tells this destination waits for its turn: its own where an answer may be long in
/// coming, and the one of all others, as of "" (none), where nothing leaves the process.
std::string line_of(std::string_view destination);

/// The pace at which what is over in a queue is told to its destinations: how many have what they tell in memory, and
/// when a destination that failed is tried again. A destination that does not answer holds up what is told to it and
/// nothing else. One executor, one thread; who waits here is never cancelled.
class EndingPace {
 public:
  EndingPace(net::any_io_executor executor, const Clock& clock) : executor_(std::move(executor)), clock_(clock) {}

  /// The right to have one thing that is over in memory, as long as it is there.
  class Turn {
   public:
    Turn(EndingPace& pace, std::string line) : pace_(&pace), line_(std::move(line)) {}
    Turn(Turn&& other) noexcept : pace_(std::exchange(other.pace_, nullptr)), line_(std::move(other.line_)) {}
    Turn& operator=(Turn&&) = delete;
    ~Turn() {
      if (pace_ != nullptr) pace_->turn_over(line_);
    }

   private:
    EndingPace* pace_;
    std::string line_;
  };
  net::awaitable<Turn> turn(std::string line);

  /// Whether a destination that failed before, so often, is tried no more if it fails again: then, while weir stops,
  /// and with as many waiting as may.
  bool last(std::size_t failures) const;
  /// The wait after one more failure than that; none while weir stops.
  net::awaitable<void> wait(std::size_t failures);
  /// Waits until a destination that is left alone may be asked again: not at all while weir stops. Such waits are none
  /// of those that last() counts, for they hold nothing in memory.
  net::awaitable<void> rest(Instant until);
  void request_stop();

 private:
  struct Waiter {
    explicit Waiter(net::any_io_executor executor) : woken(std::move(executor), net::steady_timer::time_point::max()) {}
    net::steady_timer woken;
    bool has_turn = false;
  };
  struct Line {
    int turns = 0;
    std::deque<Waiter*> waiting;  ///< on their frames
  };
  void turn_over(const std::string& line);
  net::awaitable<void> sleep(Instant until, std::set<net::steady_timer*>& among);
  /// Gives the turns that there are to those that came first in their lines.
  void hand_out();

  net::any_io_executor executor_;
  const Clock& clock_;
  bool stopping_ = false;
  std::map<std::string, Line> lines_;    ///< in which somebody is
  int away_ = 0;                         ///< turns of destinations that are not in this process
  std::set<net::steady_timer*> rests_;   ///< of those whose destination is left alone, on their frames
  std::set<net::steady_timer*> pauses_;  ///< of those that wait for their destination's next try, on their frames
};

}  // namespace weir::bridge
