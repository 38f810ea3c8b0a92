#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

namespace weir::test {

/// Runs a coroutine on the context to its end, with everything that it started.
template <typename T>
T run(boost::asio::io_context& context, boost::asio::awaitable<T> work) {
  auto result = boost::asio::co_spawn(context, std::move(work), boost::asio::use_future);
  context.restart();
  context.run();
  return result.get();
}

}  // namespace weir::test
