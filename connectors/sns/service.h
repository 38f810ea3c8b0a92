#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "weir/base/random.h"
#include "weir/service.h"

#include "connectors/sns/certificate.h"
#include "connectors/sns/message.h"
#include "connectors/sns/publishing.h"
#include "connectors/sns/topics.h"
#include "service/form.h"
#include "service/turns.h"

namespace weir::sns {

/// SNS: topics, who is subscribed to them, and what is published. Source: reference push-sources.md, section 3.
class SnsService final : public Service {
 public:
  explicit SnsService(ServiceContext context);

  net::awaitable<Result<void>> run(ServiceHost& host) override;
  net::awaitable<ServiceAnswer> call(ServiceHost& host, ServiceCall call) override;
  bool ready() const override { return ready_; }
  bool owns(std::string_view target) const override;
  net::awaitable<Result<void>> take(ServiceHost& host, std::string target, DestinationRecord message) override;

 private:
  /// A call on its way through an operation.
  struct Asked {
    ServiceHost& host;
    const ServiceCall& call;
    service::Form form;

    std::string text(std::string_view name) const { return std::string(form.text(name)); }
  };
  using Said = Answered<std::string>;  ///< XML
  using Operation = net::awaitable<Said> (SnsService::*)(Asked& asked);
  static const std::map<std::string, Operation, std::less<>>& operations();

  /// What a FIFO topic published lately, so that it is not published again.
  struct Published {
    std::string id;
    std::string sequence;
    WallTime at;
  };

  net::awaitable<Result<void>> remember(ServiceHost& host);
  Result<void> remember_key(const std::map<std::string, std::string>& notes);
  net::awaitable<Result<void>> have_key(ServiceHost& host);
  void declare();
  net::awaitable<Result<void>> forget_old(ServiceHost& host);

  net::awaitable<Said> create_topic(Asked& asked);
  net::awaitable<Said> delete_topic(Asked& asked);
  net::awaitable<Said> list_topics(Asked& asked);
  net::awaitable<Said> get_topic_attributes(Asked& asked);
  net::awaitable<Said> set_topic_attributes(Asked& asked);
  net::awaitable<Said> subscribe(Asked& asked);
  net::awaitable<Said> confirm_subscription(Asked& asked);
  net::awaitable<Said> unsubscribe(Asked& asked);
  net::awaitable<Said> list_subscriptions(Asked& asked);
  net::awaitable<Said> list_subscriptions_by_topic(Asked& asked);
  net::awaitable<Said> get_subscription_attributes(Asked& asked);
  net::awaitable<Said> set_subscription_attributes(Asked& asked);
  net::awaitable<Said> publish(Asked& asked);
  net::awaitable<Said> publish_batch(Asked& asked);
  net::awaitable<Said> tag_resource(Asked& asked);
  net::awaitable<Said> untag_resource(Asked& asked);
  net::awaitable<Said> list_tags(Asked& asked);

  Answered<Topic*> topic(std::string_view arn, std::string_view parameter);
  Answered<Subscription*> subscription(std::string_view arn);
  Answered<void> check_endpoint(const ServiceHost& host, const Topic& topic, const Subscription& wanted) const;
  /// Publishes messages that are checked, all in one commit; gives each its id. Those of a FIFO topic that came before
  /// get the id of then.
  net::awaitable<Result<void>> publish_all(ServiceHost& host, Topic topic, std::vector<Message>& messages,
                                           std::string address);
  Answered<void> check_size(const Topic& topic, std::size_t bytes) const;
  std::string next_sequence(WallTime now);
  Sender sender(const ServiceHost& host, std::string address) const;
  std::string list_xml(const std::vector<const Subscription*>& all, const std::string& token) const;

  ServiceContext context_;
  service::Turns turns_;
  service::Turns making_key_;
  Random random_;
  std::map<std::string, Topic, std::less<>> topics_;
  std::map<std::string, Published, std::less<>> published_;  ///< by "TOPIC/DEDUPLICATION ID"
  std::uint64_t last_sequence_ = 0;
  std::optional<SigningKey> key_;
  std::string address_;  ///< how the gateway was reached last
  bool ready_ = false;
};

}  // namespace weir::sns
