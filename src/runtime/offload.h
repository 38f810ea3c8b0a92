#pragma once

#include <functional>
#include <memory>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace weir::runtime {

namespace net = boost::asio;

/// Runs `work`, which may block, on `blocking` (the executor of a thread pool), and comes back to the caller's executor
/// with what it returned. It is not called off: whoever waits is told how it ended. `work` must not throw.
template <typename T>
net::awaitable<T> offload(net::any_io_executor blocking, std::function<T()> work) {
  auto initiate = [blocking](auto handler, std::function<T()> what) {
    auto executor = net::prefer(net::get_associated_executor(handler), net::execution::outstanding_work.tracked);
    auto shared = std::make_shared<decltype(handler)>(std::move(handler));
    net::post(blocking, [shared, executor, what = std::move(what)] {
      auto result = std::make_shared<T>(what());
      net::post(executor, [shared, result] { std::move (*shared)(std::move(*result)); });
    });
  };
  co_return co_await net::async_initiate<const net::use_awaitable_t<>&, void(T)>(initiate, net::use_awaitable,
                                                                                 std::move(work));
}

}  // namespace weir::runtime
