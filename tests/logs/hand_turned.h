#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <set>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "connectors/logs/timers.h"
#include "support/fake_clock.h"

namespace weir::test {

/// Timers whose time is turned by hand, with the clock.
class HandTurnedTimers final : public logs::Timers {
 public:
  HandTurnedTimers(logs::net::any_io_executor executor, FakeClock& clock)
      : executor_(std::move(executor)), clock_(clock) {}

  std::unique_ptr<logs::Timer> make() override { return std::make_unique<One>(*this); }

  /// When the next wait is over.
  std::optional<Instant> next_due() const {
    std::optional<Instant> next;
    for (const One* timer : all_) next = earlier(next, timer->due);
    return next;
  }
  /// Turns the clock, and ends the waits that are over then.
  void turn_to(Instant time) {
    clock_.advance(std::max(time - clock_.now().instant, Duration(0)));
    for (One* timer : all_) {
      if (timer->due && *timer->due <= time) timer->wake();
    }
  }

 private:
  struct One final : logs::Timer {
    explicit One(HandTurnedTimers& timers)
        : owner(timers), never(timers.executor_, logs::net::steady_timer::time_point::max()) {
      owner.all_.insert(this);
    }
    ~One() override { owner.all_.erase(this); }
    logs::net::awaitable<void> wait(Duration duration) override {
      due = owner.clock_.now().instant + duration;
      boost::system::error_code woken;
      co_await never.async_wait(logs::net::redirect_error(logs::net::use_awaitable, woken));
    }
    void wake() override {
      due.reset();
      never.cancel();
    }

    HandTurnedTimers& owner;
    std::optional<Instant> due;
    logs::net::steady_timer never;
  };

  logs::net::any_io_executor executor_;
  FakeClock& clock_;
  std::set<One*> all_;
};

}  // namespace weir::test
