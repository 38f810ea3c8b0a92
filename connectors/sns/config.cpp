#include "connectors/sns/config.h"

#include <algorithm>
#include <fstream>
#include <iterator>

#include "connectors/sns/certificate.h"
#include "pattern/pattern.h"
#include "service/arn.h"

namespace weir::sns {
namespace {

constexpr std::size_t kTopicNameMax = 256;
constexpr std::string_view kFifo = ".fifo";
constexpr std::string_view kOnlyTopic = "goes with `topic`, a topic of weir's own; a webhook's filter is at its SNS";
constexpr std::string_view kOnlyWebhook = "goes with `topic_arn`; messages of a topic of weir's own come from weir";

/// Letters, digits, dots and hyphens, perhaps a port.
bool is_host(std::string_view text) {
  const std::size_t colon = text.find(':');
  const std::string_view host = text.substr(0, colon);
  const std::string_view port = colon == text.npos ? "1" : text.substr(colon + 1);
  return !host.empty() && !port.empty() && port.size() <= 5 &&
         host.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-") == host.npos &&
         port.find_first_not_of("0123456789") == port.npos;
}

void read_certificate(ConfigNode& node, const std::string& file, SnsConfig& config) {
  std::ifstream in(node.resolve_path(file), std::ios::binary);
  config.signing_certificate.assign(std::istreambuf_iterator<char>(in), {});
  if (!in || config.signing_certificate.find("-----BEGIN CERTIFICATE-----") == std::string::npos) {
    node.mistake("signing_certificate", "cannot be read, or has no certificate in PEM");
  }
}

}  // namespace

bool is_topic_name(std::string_view name) {
  if (name.size() > kTopicNameMax) return false;
  if (name.ends_with(kFifo)) name.remove_suffix(kFifo.size());
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

std::unique_ptr<SourceConfig> read_config(ConfigNode& node) {
  auto config = std::make_unique<SnsConfig>();
  const auto topic = node.text("topic", {.about = "A topic of weir's own, by its name: what is published to it through "
                                                  "the SNS API at the gateway, or sent to sns:NAME, is delivered. "
                                                  "Either this or topic_arn."});
  auto policies = node.documents(
      "filter_policy", {.about = "The subscription's FilterPolicy.", .max_items = 1, .list_key = "", .item_key = ""});
  const auto scope = node.text("filter_policy_scope", {.about = "What the policy looks at.",
                                                       .fallback = "MessageAttributes",
                                                       .one_of = {"MessageAttributes", "MessageBody"}});
  config->topic_arns =
      node.texts("topic_arn", {.about = "Topics elsewhere, by their ARNs, whose notifications come to the webhook POST "
                                        "/sns/SOURCE; those of others are refused. Either this or topic."});
  config->confirm = node.flag("confirm", {.about = "Whether the webhook confirms a subscription of these topics by "
                                                   "itself. Else somebody has to open its SubscribeURL.",
                                          .fallback = false});
  config->raw = node.flag("raw", {.about = "Whether raw delivery is taken. Nobody signs it: whoever reaches the "
                                           "gateway can send messages.",
                                  .fallback = false});
  config->certificate_hosts = node.texts(
      "certificate_hosts", {.about = "HOST or HOST:PORT of what stands in for SNS: certificates of signatures are "
                                     "fetched there too, and subscriptions confirmed, also with http. AWS's own hosts "
                                     "need not be named."});
  const auto certificate = node.text(
      "signing_certificate", {.about = "A file with the certificate (PEM) that notifications are signed with: none is "
                                       "fetched then. Relative to the configuration file's folder."});

  if (topic) {
    config->topic = *topic;
    if (!is_topic_name(*topic)) {
      node.mistake("topic", "is no topic's name: letters, digits, '-' and '_', at most 256");
    } else if (topic->ends_with(kFifo)) {
      node.mistake("topic", "is a FIFO topic; as with AWS, functions cannot be subscribed to one, only queues");
    }
  }
  if (topic.has_value() == !config->topic_arns.empty()) {
    node.mistake("topic", "give either topic (one of weir's own) or topic_arn (of topics elsewhere)");
  }
  if (!policies.empty()) {
    config->filter_policy = std::move(policies.front());
    config->filter_body = scope == "MessageBody";
    if (!topic) node.mistake("filter_policy", std::string(kOnlyTopic));
    const auto compiled = pattern::Pattern::compile(
        config->filter_policy, config->filter_body ? pattern::Dialect::kSnsBody : pattern::Dialect::kSnsAttributes);
    if (!compiled) node.mistake("filter_policy", compiled.error().message());
  } else if (node.has("filter_policy_scope")) {
    node.mistake("filter_policy_scope", "goes with filter_policy");
  }
  for (const std::string& arn : config->topic_arns) {
    const auto parts = service::parse_arn(arn);
    if (!parts || parts->service != "sns" || !is_topic_name(parts->resource))
      node.mistake("topic_arn", "'" + arn + "' is no topic's ARN");
  }
  for (const std::string& host : config->certificate_hosts) {
    if (!is_host(host)) node.mistake("certificate_hosts", "'" + host + "' is neither HOST nor HOST:PORT");
  }
  if (certificate) read_certificate(node, *certificate, *config);
  if (topic) {
    for (const std::string_view key : {"confirm", "raw", "certificate_hosts", "signing_certificate"}) {
      if (node.has(key)) node.mistake(key, std::string(kOnlyWebhook));
    }
  }
  return config;
}

}  // namespace weir::sns
