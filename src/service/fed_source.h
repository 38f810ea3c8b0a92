#pragma once

#include "weir/connector.h"

namespace weir::service {

/// A source that its service feeds: it has nothing to watch itself.
class FedSource final : public PushSource {
 public:
  explicit FedSource(net::any_io_executor executor) : executor_(std::move(executor)) {}
  net::awaitable<Result<void>> run(EventSink& sink) override;

 private:
  net::any_io_executor executor_;
};

/// Until it is cancelled, which throws as every wait that is.
net::awaitable<void> wait_for_ever(net::any_io_executor executor);

}  // namespace weir::service
