#include "service/fed_source.h"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace weir::service {

net::awaitable<Result<void>> FedSource::run(EventSink&) {
  co_await wait_for_ever(executor_);
  co_return Result<void>();
}

net::awaitable<void> wait_for_ever(net::any_io_executor executor) {
  net::steady_timer timer(std::move(executor), net::steady_timer::time_point::max());
  co_await timer.async_wait(net::use_awaitable);
}

}  // namespace weir::service
