#include "connectors/logs/connector.h"
#include "connectors/logs/tail.h"
#include "service/fed_source.h"

namespace weir::logs {
namespace {

/// Files that are tailed.
class FilesSource final : public PushSource {
 public:
  FilesSource(std::shared_ptr<const LogsConfig> config, SourceContext context)
      : config_(std::move(config)), context_(std::move(context)) {}

  net::awaitable<Result<void>> run(EventSink& sink) override {
    SystemTimers timers(context_.executor);
    Tail tail(*config_, context_, sink, timers, TailTuning());
    co_return co_await tail.run();
  }

 private:
  std::shared_ptr<const LogsConfig> config_;
  SourceContext context_;
};

}  // namespace

std::unique_ptr<PushSource> make_source(std::shared_ptr<const SourceConfig> config, SourceContext context) {
  auto logs = std::static_pointer_cast<const LogsConfig>(std::move(config));
  if (logs->files.empty()) return std::make_unique<service::FedSource>(context.executor);
  return std::make_unique<FilesSource>(std::move(logs), std::move(context));
}

}  // namespace weir::logs
