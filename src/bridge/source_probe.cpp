#include "bridge/source_probe.h"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "weir/queue_source.h"

#include "bridge/queue_runner.h"
#include "runtime/task_scope.h"

namespace weir::bridge {
namespace {

constexpr Duration kPatience = std::chrono::seconds(3);

/// What came of asking, and what ends the waiting for it.
struct Answer {
  explicit Answer(const net::any_io_executor& executor) : over(executor) { over.expires_after(kPatience); }

  void is(Result<void> result) {
    if (!result && (result.error().code() == ErrorCode::kSourceNotFound || refused)) what = std::move(result);
    over.cancel();
  }

  net::steady_timer over;
  Result<void> what;
  bool refused = false;  ///< the error is Lambda's own, whatever its code
};

net::awaitable<void> ask_queue(Answer& answer, QueueSource& queue, std::optional<Duration> function_timeout) {
  const auto traits = co_await queue.describe();
  if (!traits) {
    answer.is(traits.error());
    co_return;
  }
  Result<void> fits = check_visibility(*traits, function_timeout);
  answer.refused = !fits;
  answer.is(std::move(fits));
}

/// The first shard says that the stream is there.
class FirstShard final : public ShardListener {
 public:
  explicit FirstShard(Answer& answer) : answer_(answer) {}
  void shard_opened(ShardId) override { answer_.is({}); }
  void shard_revoked(const ShardId&, bool) override {}

 private:
  Answer& answer_;
};

net::awaitable<void> ask_stream(Answer& answer, PollSource& stream) {
  FirstShard first(answer);
  answer.is(co_await stream.run(first));
}

}  // namespace

net::awaitable<Result<void>> probe_source(config::SourceEntry source, SourceContext context,
                                          std::optional<Duration> function_timeout) {
  const net::any_io_executor executor = context.executor;
  Answer answer(executor);
  runtime::TaskScope asking(executor);
  std::unique_ptr<QueueSource> queue;
  std::unique_ptr<PollSource> stream;
  const MappingKind kind = source.settings->mapping.kind;
  if (source.connector->delivery == Delivery::kQueue) {
    queue = source.connector->make_queue_source(source.settings, std::move(context));
    asking.spawn(ask_queue(answer, *queue, function_timeout));
  } else if (kind == MappingKind::kKinesis || kind == MappingKind::kDynamodb) {
    stream = source.connector->make_source(source.settings, std::move(context));
    asking.spawn(ask_stream(answer, *stream));
  } else {
    co_return Result<void>();
  }
  boost::system::error_code ignored;
  co_await answer.over.async_wait(net::redirect_error(net::use_awaitable, ignored));
  asking.cancel();
  co_await asking.join();
  if (queue) co_await queue->close();
  co_return std::move(answer.what);
}

}  // namespace weir::bridge
