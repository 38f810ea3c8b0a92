#include "connectors/logs/budget.h"

#include <algorithm>
#include <utility>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "weir/base/error.h"

namespace weir::logs {

struct ByteBudget::Waiter {
  Waiter(ByteBudget& owner, Share& asking, std::size_t wanted)
      : budget(owner), share(asking), bytes(wanted), served(owner.executor_, net::steady_timer::time_point::max()) {
    budget.waiting_.push_back(this);
  }
  ~Waiter() {
    // One that was cancelled may have been all that kept the next ones waiting.
    if (std::erase(budget.waiting_, this) > 0) budget.serve();
  }
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  ByteBudget& budget;
  Share& share;
  std::size_t bytes;
  net::steady_timer served;
};

ByteBudget::ByteBudget(net::any_io_executor executor, std::size_t bytes)
    : executor_(std::move(executor)), bytes_(bytes) {}

void ByteBudget::serve() {
  while (!waiting_.empty() && has(waiting_.front()->bytes)) {
    Waiter& next = *waiting_.front();
    waiting_.pop_front();
    held_ += next.bytes;
    next.share.bytes_ = next.bytes;
    next.served.cancel();
  }
}

bool ByteBudget::Share::grow_now(std::size_t bytes) {
  if (bytes <= bytes_) return true;
  if (!budget_.waiting_.empty() || !budget_.has(bytes - bytes_)) return false;
  set(bytes);
  return true;
}

net::awaitable<void> ByteBudget::Share::wait_for(std::size_t bytes) {
  WEIR_ASSERT(bytes_ == 0);
  Waiter waiter(budget_, *this, bytes);
  budget_.serve();
  if (bytes_ > 0) co_return;
  boost::system::error_code woken;
  co_await waiter.served.async_wait(net::redirect_error(net::use_awaitable, woken));
}

void ByteBudget::Share::set(std::size_t bytes) {
  budget_.held_ = budget_.held_ - bytes_ + bytes;
  bytes_ = bytes;
  budget_.serve();
}

}  // namespace weir::logs
