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
  /// `trace_header`: of the invocation that the record is about.
  using Invoke =
      std::function<net::awaitable<Result<void>>(std::string function, std::string record, std::string trace_header)>;

  /// `blocking`: a pool's executor.
  Destinations(net::any_io_executor blocking, Invoke invoke)
      : blocking_(std::move(blocking)), invoke_(std::move(invoke)) {}

  /// Kept by the destination when it returns: a file has it as a whole line, on disk. Errors: destination.failed (of a
  /// file), event.refused (by the queue: too large, or one of too many in a row), and those of the store behind the
  /// queue, which may take it later. `trace_header`: of the invocation that the record is about, or "".
  net::awaitable<Result<void>> deliver(std::string destination, std::string record, std::string trace_header);

 private:
  net::any_io_executor blocking_;
  Invoke invoke_;
};

}  // namespace weir::bridge
