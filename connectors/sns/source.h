#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "weir/connector.h"

#include "connectors/sns/certificate.h"
#include "connectors/sns/config.h"
#include "connectors/sns/notification.h"
#include "connectors/sns/refusals.h"
#include "connectors/sns/seen.h"
#include "http/client.h"

namespace weir::sns {

/// The webhook of topics elsewhere: an HTTP(S) endpoint as SNS wants it. What cannot be proved to come from an allowed
/// topic is refused, and nothing is fetched for it.
class Webhook final : public PushSource {
 public:
  Webhook(std::shared_ptr<const SnsConfig> config, SourceContext context);

  net::awaitable<Result<void>> run(EventSink& sink) override;
  net::awaitable<WebhookResponse> receive(EventSink& sink, WebhookRequest request) override;

 private:
  bool is_allowed(std::string_view topic_arn) const;
  /// Empty when all is well.
  net::awaitable<std::optional<WebhookResponse>> check(const Notification& notification);
  net::awaitable<Result<Certificate>> certificate(std::string url);
  net::awaitable<WebhookResponse> confirm(Notification notification);
  net::awaitable<WebhookResponse> deliver(EventSink& sink, Notification notification, std::string subscription);
  net::awaitable<Result<std::string>> fetch(const std::string& url);
  void log_refused(std::string_view reason);
  void log_seldom(std::string_view event, std::string_view message);

  std::shared_ptr<const SnsConfig> config_;
  SourceContext context_;
  http::Client client_;
  std::map<std::string, Certificate> certificates_;  ///< by URL
  int fetches_ = 0;                                  ///< under way
  FailedUrls failed_;
  SeenMessages seen_;
  Refusals refusals_;
};

}  // namespace weir::sns
