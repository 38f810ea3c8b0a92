#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include "weir/lambda_endpoint.h"

namespace weir::gateway {

/// A streamed response on its way from the endpoint to its caller, who reads it. Holds little: who writes waits until
/// it is read. One reader and one writer on one thread; shared by both.
class ResponsePipe final : public ResponseSink {
 public:
  /// Writing waits above it. What comes at once is larger only when it is written at once.
  static constexpr std::size_t kBytesMax = 256U << 10U;

  explicit ResponsePipe(net::any_io_executor executor);

  void begin(ResponseStart start) override;
  net::awaitable<void> write(std::string bytes) override;

  /// Waits until the response begins or, empty, ended without.
  net::awaitable<std::optional<ResponseStart>> started();
  /// Everything that has come; "" behind the end.
  net::awaitable<std::string> read();
  /// No more comes: the invocation is over. What was written is still read.
  void close();
  /// Nobody reads any more: what is written is dropped.
  void abandon();

 private:
  net::awaitable<void> change();

  net::steady_timer changed_;
  std::optional<ResponseStart> start_;
  std::string bytes_;
  bool closed_ = false;
  bool abandoned_ = false;
};

}  // namespace weir::gateway
