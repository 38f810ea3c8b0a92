#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "weir/connector.h"

namespace weir::sns {

/// A source of type sns: either subscribed to a topic of weir's own, or the webhook of topics elsewhere.
struct SnsConfig final : SourceConfig {
  std::string topic;          ///< of weir's own, by name; "": this is a webhook
  std::string filter_policy;  ///< JSON; "": every message
  bool filter_body = false;   ///< filter_policy_scope: MessageBody

  std::vector<std::string> topic_arns;         ///< whose messages the webhook takes
  bool confirm = false;                        ///< whether it confirms subscriptions itself
  bool raw = false;                            ///< whether raw delivery, which nobody signs, is taken
  std::vector<std::string> certificate_hosts;  ///< HOST or HOST:PORT of what stands in for SNS
  std::string signing_certificate;             ///< PEM, read from the file; "": it is fetched
};

std::unique_ptr<SourceConfig> read_config(ConfigNode& node);

/// Whether AWS takes it as a topic's name; FIFO topics end with .fifo.
bool is_topic_name(std::string_view name);

}  // namespace weir::sns
