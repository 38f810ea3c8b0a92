#pragma once

#include <memory>
#include <string>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "weir/queue_source.h"

#include "aws/client.h"
#include "connectors/sqs/config.h"
#include "connectors/sqs/protocol.h"
#include "runtime/task_scope.h"

namespace weir::sqs {

/// An SQS queue, over its JSON protocol.
class SqsSource final : public QueueSource {
 public:
  SqsSource(std::shared_ptr<const SqsConfig> config, SourceContext context);
  ~SqsSource() override;

  net::awaitable<Result<QueueTraits>> describe() override;
  net::awaitable<Result<std::vector<QueueMessage>>> receive(ReceiveLimits limits) override;
  net::awaitable<Result<std::vector<bool>>> remove(std::vector<std::string> receipts) override;
  net::awaitable<Result<std::vector<bool>>> change_visibility(std::vector<std::string> receipts,
                                                              Duration timeout) override;
  std::optional<std::int64_t> backlog() const override { return backlog_; }
  void write_event(std::span<const QueueMessage* const> messages, std::string& out) const override;
  void write_filter_view(const QueueMessage& message, bool with_metadata, FilterView& out) const override;
  net::awaitable<void> close() override;

 private:
  /// One change of many messages, in requests of ten.
  struct Change;

  Result<void> connect();
  net::awaitable<Result<void>> find_url();
  net::awaitable<Result<std::string>> call(std::string operation, std::string body, Duration wait = Duration(0));
  net::awaitable<Result<std::vector<bool>>> change(std::vector<std::string> receipts, std::optional<Duration> timeout);
  net::awaitable<void> change_some(std::shared_ptr<Change> change);
  net::awaitable<void> change_ten(Change& change);

  std::shared_ptr<const SqsConfig> config_;
  SourceContext context_;
  std::unique_ptr<aws::Client> client_;
  std::string url_;
  QueueArn arn_;
  std::optional<std::int64_t> backlog_;
  MessagesReader reader_;
  runtime::TaskScope changes_;
  int changes_free_;                ///< how many more requests of changes may be under way
  net::steady_timer change_freed_;  ///< whoever waits for one
};

}  // namespace weir::sqs
