#pragma once

#include <memory>
#include <set>
#include <string>

#include "weir/connector.h"

#include "connectors/s3/config.h"
#include "connectors/s3/folder.h"

namespace weir::s3 {

/// A bucket's notifications: by its server's webhook, and from a folder that stands in for the bucket.
class S3Source final : public PushSource {
 public:
  S3Source(std::shared_ptr<const S3Config> config, SourceContext context, FolderTuning tuning);

  net::awaitable<Result<void>> run(EventSink& sink) override;
  net::awaitable<WebhookResponse> receive(EventSink& sink, WebhookRequest request) override;

 private:
  void log_other_bucket(const std::string& bucket);

  std::shared_ptr<const S3Config> config_;
  SourceContext context_;
  FolderTuning tuning_;
  std::set<std::string> other_buckets_;  ///< that were logged
};

}  // namespace weir::s3
