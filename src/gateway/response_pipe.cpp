#include "gateway/response_pipe.h"

#include <utility>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace weir::gateway {

ResponsePipe::ResponsePipe(net::any_io_executor executor)
    : changed_(std::move(executor), net::steady_timer::time_point::max()) {}

void ResponsePipe::begin(ResponseStart start) {
  start_ = std::move(start);
  changed_.cancel();
}

net::awaitable<void> ResponsePipe::write(std::string bytes) {
  if (abandoned_ || closed_) co_return;
  bytes_ += bytes;
  changed_.cancel();
  while (bytes_.size() > kBytesMax && !abandoned_ && !closed_) co_await change();
}

net::awaitable<std::optional<ResponseStart>> ResponsePipe::started() {
  while (!start_ && !closed_) co_await change();
  co_return start_;
}

net::awaitable<std::string> ResponsePipe::read() {
  while (bytes_.empty() && !closed_) co_await change();
  changed_.cancel();
  co_return std::exchange(bytes_, {});
}

void ResponsePipe::close() {
  closed_ = true;
  changed_.cancel();
}

void ResponsePipe::abandon() {
  abandoned_ = true;
  bytes_ = {};
  changed_.cancel();
}

net::awaitable<void> ResponsePipe::change() {
  boost::system::error_code ignored;
  co_await changed_.async_wait(net::redirect_error(net::use_awaitable, ignored));
}

}  // namespace weir::gateway
