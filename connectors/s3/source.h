#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "weir/connector.h"

#include "connectors/s3/config.h"
#include "connectors/s3/folder.h"
#include "connectors/s3/notification.h"

namespace weir::s3 {

struct PollTuning {
  /// How long a stop waits for what a queue was asked: a receive of 5 s, and the deleting of what it brought.
  Duration stop_patience = std::chrono::seconds(10);
  /// Before the next receive, when one brought nothing that could be taken.
  Duration pause = std::chrono::milliseconds(200);
};

/// A bucket's notifications: by its server's webhook, out of a queue that is polled, and from a folder that stands in
/// for the bucket.
class S3Source final : public PushSource {
 public:
  S3Source(std::shared_ptr<const S3Config> config, SourceContext context, FolderTuning tuning,
           PollTuning polling = PollTuning());

  net::awaitable<Result<void>> run(EventSink& sink) override;
  net::awaitable<WebhookResponse> receive(EventSink& sink, WebhookRequest request) override;

 private:
  /// The events of one request that are being given to the sink.
  struct Taking {
    std::vector<ObjectEvent> events;
    std::size_t next = 0;
    std::size_t accepted = 0;
    std::size_t other_buckets = 0;
    std::optional<Error> refusal;  ///< for now
  };
  /// A queue that is being polled.
  struct Polling;

  net::awaitable<Result<void>> poll(EventSink& sink);
  net::awaitable<void> poll_on(EventSink& sink, Polling& polling);
  net::awaitable<void> take_message(EventSink& sink, const QueueMessage& message, Polling& polling);
  void log_left(std::string_view reason, Polling& polling);

  Taking wanted_of(Notification notification);
  net::awaitable<void> take_all(EventSink& sink, Taking& taking);
  net::awaitable<void> take_some(EventSink& sink, Taking& taking);
  void log_left_out(std::string_view bucket, std::string_view key, std::string_view reason);
  void log_other_bucket(const std::string& bucket);

  std::shared_ptr<const S3Config> config_;
  SourceContext context_;
  FolderTuning tuning_;
  PollTuning poll_tuning_;
  std::set<std::string> other_buckets_;  ///< that were logged
  std::set<std::string_view> left_out_;  ///< reasons that were logged
};

}  // namespace weir::s3
