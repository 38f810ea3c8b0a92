#pragma once

#include <boost/asio/awaitable.hpp>

#include "weir/base/error.h"

namespace weir::bridge {

namespace net = boost::asio;

/// One life of a source, whatever its kind.
class SourceRunner {
 public:
  virtual ~SourceRunner() = default;
  /// Until the source ended by itself, request_stop() was obeyed, or it failed; then its error. A broken belief comes
  /// out of it.
  virtual net::awaitable<Result<void>> run() = 0;
  virtual void request_stop() = 0;
  /// The end of patience.
  virtual void cancel() = 0;
};

}  // namespace weir::bridge
