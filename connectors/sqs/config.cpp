#include "connectors/sqs/config.h"

#include <algorithm>
#include <array>

#include "weir/service.h"

#include "connectors/sqs/connector.h"

namespace weir::sqs {
namespace {

constexpr std::size_t kNameMax = 80;  // of CreateQueue
constexpr std::string_view kFifo = ".fifo";

bool is_name(std::string_view text) {
  if (text.empty() || text.size() > kNameMax) return false;
  if (text.ends_with(kFifo)) text.remove_suffix(kFifo.size());
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

/// "arn:aws:sqs:REGION:ACCOUNT:NAME", taken apart behind "arn".
std::optional<std::array<std::string_view, 5>> arn_parts(std::string_view text) {
  std::array<std::string_view, 5> parts;
  if (!text.starts_with("arn:")) return std::nullopt;
  text.remove_prefix(4);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const bool last = i + 1 == parts.size();
    const std::size_t colon = text.find(':');
    if ((colon == std::string_view::npos) != last) return std::nullopt;
    parts[i] = text.substr(0, colon);
    text.remove_prefix(last ? text.size() : colon + 1);
  }
  if (!parts[0].starts_with("aws") || parts[1] != "sqs" || parts[2].empty() || !is_account(parts[3]) ||
      !is_name(parts[4])) {
    return std::nullopt;
  }
  return parts;
}

/// "https://sqs.eu-west-1.amazonaws.com", and the address of old, "https://eu-west-1.queue.amazonaws.com".
std::string region_of_host(std::string_view origin) {
  if (origin.find(".amazonaws.com") == std::string_view::npos) return "";
  std::string_view host = origin.substr(origin.find("://") + 3);
  const std::size_t dot = host.find('.');
  const std::string_view first = host.substr(0, dot);
  const std::string_view rest = host.substr(dot + 1);
  if (first == "sqs" || first == "sqs-fips") return std::string(rest.substr(0, rest.find('.')));
  return rest.starts_with("queue.") ? std::string(first) : "";
}

std::optional<QueueName> parse_url(std::string_view text) {
  const std::size_t host = text.find("://") + 3;
  const std::size_t path = text.find('/', host);
  if (path == std::string_view::npos || path == host) return std::nullopt;
  QueueName queue;
  queue.url = text;
  queue.name = text.substr(text.rfind('/') + 1);
  if (!is_name(queue.name)) return std::nullopt;
  queue.region = region_of_host(queue.origin());
  return queue;
}

/// Where the queue is, whichever way it is written.
AwsPlace place_of(const SqsConfig& config, const AwsAccess& aws) {
  const QueueName& queue = config.queue;
  AwsPlace place{config.access, queue.account};
  const bool of_aws = !queue.region.empty();
  if (!queue.url.empty()) {
    // https://HOST/ACCOUNT/NAME
    const std::string path = queue.url.substr(queue.origin().size());
    const std::string account = path.substr(1, path.find('/', 1) - 1);
    if (is_account(account)) place.account = account;
    if (!of_aws && place.access.endpoint_url.empty()) place.access.endpoint_url = queue.origin();
  }
  place.access = place.access.or_else(aws);
  return place;
}

void take_queue(ConfigNode& node, const std::string& text, SqsConfig& config) {
  if (auto parsed = parse_queue(text)) {
    config.queue = std::move(*parsed);
  } else if (!text.empty()) {
    node.mistake("queue", text.starts_with("arn:") ? "Unrecognized event source."
                                                   : "is no queue's URL, ARN or name; a name has up to 80 letters, "
                                                     "digits, hyphens and underscores, and may end with .fifo");
  }
}

/// As it was written, or near to it.
std::string shown(const QueueName& queue) {
  if (!queue.url.empty()) return queue.url;
  return queue.account.empty() ? queue.name : "arn:aws:sqs:" + queue.region + ":" + queue.account + ":" + queue.name;
}

}  // namespace

std::string QueueName::origin() const {
  return url.substr(0, url.find('/', url.find("://") + 3));
}

std::optional<std::string> region_of_arn(std::string_view arn) {
  const auto parts = arn_parts(arn);
  if (!parts) return std::nullopt;
  return std::string((*parts)[2]);
}

std::optional<QueueName> parse_queue(std::string_view text) {
  if (text.find("://") != std::string_view::npos) return is_server_url(text) ? parse_url(text) : std::nullopt;
  QueueName queue;
  if (const auto parts = arn_parts(text)) {
    queue.region = (*parts)[2];
    queue.account = (*parts)[3];
    queue.name = (*parts)[4];
    return queue;
  }
  if (!is_name(text)) return std::nullopt;
  queue.name = text;
  return queue;
}

EventSourceView SqsConfig::event_source(const AwsAccess& aws) const {
  const AwsPlace place = place_of(*this, aws);
  EventSourceView view;
  view.arn = "arn:aws:sqs:" + (place.access.region.empty() ? std::string(kLocalRegion) : place.access.region) + ":" +
             (place.account.empty() ? std::string(kLocalAccount) : place.account) + ":" + queue.name;
  return view;
}

std::string SqsConfig::same_as(const SourceConfig& other, std::string_view function, const AwsAccess& aws) const {
  const auto& first = static_cast<const SqsConfig&>(other);
  if (queue.name.empty() || queue.name != first.queue.name) return "";
  if (!same_place(place_of(*this, aws), place_of(first, aws))) return "";
  return "An event source mapping with SQS arn (\" " + shown(queue) + " \") and function (\" " + std::string(function) +
         " \") already exists.";
}

std::unique_ptr<SourceConfig> read_config(ConfigNode& node) {
  auto config = std::make_unique<SqsConfig>();
  const std::string queue = node.required_text(
      "queue", {.about = "The queue: its URL, its ARN or its name. A URL says where the queue is, too, unless there is "
                         "an `endpoint_url`."});
  take_queue(node, queue, *config);
  config->access = read_aws_access(node);
  settle_region(node, config->access, config->queue.region);
  config->mapping = read_mapping_settings(node, config->queue.fifo() ? MappingKind::kSqsFifo : MappingKind::kSqs);
  return config;
}

std::shared_ptr<const SourceConfig> read_queue(ConfigNode& node, const std::string& queue) {
  auto config = std::make_shared<SqsConfig>();
  take_queue(node, queue, *config);
  config->access.region = config->queue.region;
  return config;
}

}  // namespace weir::sqs
