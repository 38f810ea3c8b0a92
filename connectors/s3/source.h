#pragma once

#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "weir/connector.h"

#include "connectors/s3/config.h"
#include "connectors/s3/folder.h"
#include "connectors/s3/notification.h"

namespace weir::s3 {

/// A bucket's notifications: by its server's webhook, and from a folder that stands in for the bucket.
class S3Source final : public PushSource {
 public:
  S3Source(std::shared_ptr<const S3Config> config, SourceContext context, FolderTuning tuning);

  net::awaitable<Result<void>> run(EventSink& sink) override;
  net::awaitable<WebhookResponse> receive(EventSink& sink, WebhookRequest request) override;

 private:
  /// The events of one request that are being given to the sink.
  struct Taking {
    std::vector<ObjectEvent> events;
    std::size_t next = 0;
    std::size_t accepted = 0;
    bool refused = false;  ///< for now
  };
  net::awaitable<void> take_all(EventSink& sink, Taking& taking);
  net::awaitable<void> take_some(EventSink& sink, Taking& taking);
  void log_left_out(std::string_view bucket, std::string_view key, std::string_view reason);
  void log_other_bucket(const std::string& bucket);

  std::shared_ptr<const S3Config> config_;
  SourceContext context_;
  FolderTuning tuning_;
  std::set<std::string> other_buckets_;  ///< that were logged
  std::set<std::string_view> left_out_;  ///< reasons that were logged
};

}  // namespace weir::s3
