#pragma once

#include <memory>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "weir/base/time.h"

namespace weir::logs {

namespace net = boost::asio;

/// A wait that may be cut short.
class Timer {
 public:
  virtual ~Timer() = default;
  /// Until the time is over, or wake() is called. Being cancelled ends it too; the caller's next co_await throws then.
  virtual net::awaitable<void> wait(Duration duration) = 0;
  /// Ends the wait that is under way, if there is one.
  virtual void wake() = 0;
};

/// Where waits come from; tests turn the time by hand.
class Timers {
 public:
  virtual ~Timers() = default;
  virtual std::unique_ptr<Timer> make() = 0;
};

/// Of the machine's clock.
class SystemTimers final : public Timers {
 public:
  explicit SystemTimers(net::any_io_executor executor) : executor_(std::move(executor)) {}
  std::unique_ptr<Timer> make() override;

 private:
  net::any_io_executor executor_;
};

}  // namespace weir::logs
