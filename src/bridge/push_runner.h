#pragma once

#include <cstdint>
#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/steady_timer.hpp>

#include "weir/connector.h"

#include "bridge/event_queue.h"
#include "bridge/source_runner.h"
#include "runtime/task_scope.h"
#include "store/event_store.h"

namespace weir::bridge {

/// What a push source did so far.
struct PushCounters {
  std::uint64_t accepted = 0;  ///< events that are or were in the queue
  std::uint64_t refused = 0;   ///< events that were not taken: the store refused, or the event was too large
  std::uint64_t webhooks = 0;  ///< requests to its webhook
};

/// One life of a push source: what it announces goes into the queue in front of its function.
class PushRunner final : public SourceRunner, private EventSink {
 public:
  /// Everything outlives the runner. `counters` go on over the source's lives.
  struct Deps {
    net::any_io_executor executor;
    PushSource& source;
    EventQueue& queue;
    store::EventStore& events;
    PushCounters& counters;
    std::string name;
    std::string function;
  };
  explicit PushRunner(Deps deps);
  ~PushRunner() override;

  net::awaitable<Result<void>> run() override;
  void request_stop() override;
  void cancel() override { request_stop(); }

  /// Only while run() runs, which waits for it.
  net::awaitable<WebhookResponse> receive(WebhookRequest request);

 private:
  net::awaitable<Result<std::string>> accept(std::string payload, std::optional<SourceNote> note) override;
  net::awaitable<Result<void>> remember(std::vector<SourceNote> notes) override;
  net::awaitable<Result<std::map<std::string, std::string>>> notes() override;
  net::awaitable<void> watch();

  Deps deps_;
  runtime::TaskScope watching_;
  net::steady_timer changed_;
  std::optional<Result<void>> result_;
  std::exception_ptr failure_;
  int receiving_ = 0;
};

}  // namespace weir::bridge
