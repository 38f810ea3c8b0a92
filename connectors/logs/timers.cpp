#include "connectors/logs/timers.h"

#include <utility>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace weir::logs {
namespace {

class SystemTimer final : public Timer {
 public:
  explicit SystemTimer(net::any_io_executor executor) : timer_(std::move(executor)) {}

  net::awaitable<void> wait(Duration duration) override {
    timer_.expires_after(duration);
    boost::system::error_code woken;
    co_await timer_.async_wait(net::redirect_error(net::use_awaitable, woken));
  }
  void wake() override { timer_.cancel(); }

 private:
  net::steady_timer timer_;
};

}  // namespace

std::unique_ptr<Timer> SystemTimers::make() {
  return std::make_unique<SystemTimer>(executor_);
}

}  // namespace weir::logs
