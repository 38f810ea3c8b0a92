#pragma once

#include <list>
#include <utility>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "weir/connector.h"

namespace weir::sns {

/// One at a time, in the order in which they asked: whoever changes something waits until the change before it is on
/// disk. The end of a turn wakes nobody but the next. One executor.
class Turns {
  using Waiters = std::list<net::steady_timer>;

 public:
  explicit Turns(net::any_io_executor executor) : executor_(std::move(executor)) {}
  Turns(const Turns&) = delete;
  Turns& operator=(const Turns&) = delete;

  /// Whose turn it is; it ends when this goes, before the turns do.
  class Turn {
   public:
    Turn(Turn&& other) noexcept : turns_(std::exchange(other.turns_, nullptr)), place_(other.place_) {}
    Turn& operator=(Turn&&) = delete;
    ~Turn() {
      if (turns_ != nullptr) turns_->leave(place_);
    }

   private:
    friend class Turns;
    Turn(Turns& turns, Waiters::iterator place) : turns_(&turns), place_(place) {}

    Turns* turns_;
    Waiters::iterator place_;
  };

  net::awaitable<Turn> take() {
    const auto place = waiters_.emplace(waiters_.end(), executor_, net::steady_timer::time_point::max());
    // From here on also a wait that is cancelled gives its place back: the next co_await of such a one throws.
    Turn turn(*this, place);
    while (place != waiters_.begin()) {
      boost::system::error_code woken;
      co_await place->async_wait(net::redirect_error(net::use_awaitable, woken));
      ++wakes_;
    }
    co_return turn;
  }

  /// How often somebody who waits was woken.
  std::size_t wakes() const { return wakes_; }

 private:
  void leave(Waiters::iterator place) {
    const bool had_it = place == waiters_.begin();
    waiters_.erase(place);
    if (had_it && !waiters_.empty()) waiters_.front().cancel();
  }

  net::any_io_executor executor_;
  Waiters waiters_;  ///< who has the turn in front
  std::size_t wakes_ = 0;
};

}  // namespace weir::sns
