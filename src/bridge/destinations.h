#pragma once

#include <functional>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "weir/base/error.h"

namespace weir::bridge {

namespace net = boost::asio;

/// Delivers AWS's records to where the configuration says: `file:PATH` or `lambda:FUNCTION`.
class Destinations {
 public:
  /// Takes a record as an asynchronous invocation of the function.
  using Invoke = std::function<net::awaitable<Result<void>>(std::string function, std::string record)>;

  /// `blocking`: a pool's executor.
  Destinations(net::any_io_executor blocking, Invoke invoke)
      : blocking_(std::move(blocking)), invoke_(std::move(invoke)) {}

  /// Kept by the destination when it returns: a file has it as a whole line, on disk. Errors: destination.failed.
  net::awaitable<Result<void>> deliver(std::string destination, std::string record);

 private:
  net::any_io_executor blocking_;
  Invoke invoke_;
};

}  // namespace weir::bridge
