#pragma once

#include <utility>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "weir/connector.h"

namespace weir::sns {

/// One at a time: whoever changes something waits until the change before it is on disk. One executor.
class Turns {
 public:
  explicit Turns(net::any_io_executor executor) : freed_(std::move(executor), net::steady_timer::time_point::max()) {}

  /// Whose turn it is; it ends when this goes.
  class Turn {
   public:
    explicit Turn(Turns& turns) : turns_(&turns) { turns.taken_ = true; }
    Turn(Turn&& other) noexcept : turns_(std::exchange(other.turns_, nullptr)) {}
    Turn& operator=(Turn&&) = delete;
    ~Turn() {
      if (turns_ == nullptr) return;
      turns_->taken_ = false;
      turns_->freed_.cancel();
    }

   private:
    Turns* turns_;
  };

  net::awaitable<Turn> take() {
    while (taken_) {
      boost::system::error_code woken;
      co_await freed_.async_wait(net::redirect_error(net::use_awaitable, woken));
    }
    co_return Turn(*this);
  }

 private:
  net::steady_timer freed_;
  bool taken_ = false;
};

}  // namespace weir::sns
