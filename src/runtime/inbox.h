#pragma once

#include <deque>
#include <optional>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "weir/base/time.h"

namespace weir::runtime {

namespace net = boost::asio;

/// What happened, waiting to be told to an engine, oldest first. One reader; everything on one thread. Its bound is the
/// number of actions an engine has outstanding, each of which puts one message here.
template <typename Message>
class Inbox {
 public:
  explicit Inbox(net::any_io_executor executor) : timer_(std::move(executor)) {}

  void put(Message message) {
    messages_.push_back(std::move(message));
    timer_.cancel();
  }

  /// Wakes the reader without a message.
  void wake() {
    woken_ = true;
    timer_.cancel();
  }

  /// The oldest message, or nothing when `until` came first (at once, if it is past), wake() was called or the reader
  /// was cancelled.
  net::awaitable<std::optional<Message>> next_until(std::optional<Instant> until) {
    if (messages_.empty() && !woken_) {
      // An Instant is the steady clock's time (SystemClock).
      timer_.expires_at(until ? net::steady_timer::time_point(until->time_since_epoch())
                              : net::steady_timer::time_point::max());
      boost::system::error_code ignored;
      co_await timer_.async_wait(net::redirect_error(net::use_awaitable, ignored));
    }
    woken_ = false;
    std::optional<Message> message;
    if (!messages_.empty()) {
      message.emplace(std::move(messages_.front()));
      messages_.pop_front();
    }
    co_return message;
  }

  bool empty() const { return messages_.empty(); }

 private:
  net::steady_timer timer_;
  std::deque<Message> messages_;
  bool woken_ = false;
};

}  // namespace weir::runtime
