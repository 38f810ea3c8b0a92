#include "connectors/s3/config.h"

#include <algorithm>

#include "connectors/s3/eventbridge.h"

namespace weir::s3 {
namespace {

constexpr std::string_view kDefaultEvents = "s3:ObjectCreated:*";
constexpr std::size_t kFilterBytes = 1024;  // of AWS's, and of a key

std::string read_filter_value(ConfigNode& filter, std::string_view key, std::string_view about) {
  const std::string text = filter.text(key, {.about = about, .fallback = "", .max_length = kFilterBytes}).value_or("");
  auto value = decode_key(text);
  if (!value) {
    filter.mistake(key, "has a % that begins no escape of two hexadecimal digits; a percent sign itself is %25");
    return text;
  }
  return std::move(*value);
}

/// MinIO's rule: one word goes behind `Bearer`, two are the header.
std::string read_authorization(ConfigNode& node) {
  const auto token = node.text(
      "auth_token", {.about = "What a notification must bring in its header Authorization, as MinIO's setting of that "
                              "name has it: one word is a Bearer token, two words are the header as it is. Without it "
                              "nothing is asked for.",
                     .secret = true});
  if (!token) return "";
  const bool edges = !token->empty() && token->front() != ' ' && token->back() != ' ';
  const auto spaces = std::count(token->begin(), token->end(), ' ');
  const bool printable = std::all_of(token->begin(), token->end(), [](char c) { return c >= ' ' && c <= '~'; });
  if (!edges || spaces > 1 || !printable) {
    node.mistake("auth_token", token->empty() ? "is empty; leave it out to ask for no token"
                                              : "is one word (a Bearer token), or two with one space between them");
    return "";
  }
  return spaces == 1 ? *token : "Bearer " + *token;
}

/// Whether the bucket itself is what invokes the function.
bool is_direct(const S3Config& config) {
  return config.form == EventForm::kNotification && !config.unwrap && config.queue == nullptr;
}

EventForm read_form(ConfigNode& node, const std::vector<std::string>& events) {
  const auto format =
      node.text("format", {.about = "What the function gets: Amazon's notification, {\"Records\": [...]}, or the event "
                                    "of EventBridge, as from a rule on a bus.",
                           .fallback = "notification",
                           .one_of = {"notification", "eventbridge"}});
  if (format != "eventbridge") return EventForm::kNotification;
  for (const std::string& name : events) {
    if (!goes_to_eventbridge(name))
      node.mistake("format", "S3 sends no \"" + name + "\" to EventBridge; name others in `events`");
  }
  return EventForm::kEventBridge;
}

}  // namespace

bool S3Config::wants(const ObjectEvent& event) const {
  return rules.wants(event.name) && rules.wants_key(event.key) &&
         (form != EventForm::kEventBridge || goes_to_eventbridge(event.name));
}

std::string S3Config::event_text(const ObjectEvent& event) const {
  return form == EventForm::kEventBridge ? eventbridge_event(event) : lambda_event(event, configuration_id());
}

std::string S3Config::overlap_with(const SourceConfig& other) const {
  const auto& second = static_cast<const S3Config&>(other);
  if (queue != nullptr && queue_name == second.queue_name)
    return "Both poll the queue " + queue_name + ": each of its messages would come to one of them only.";
  if (bucket != second.bucket || !is_direct(*this) || !is_direct(second) || !rules.overlaps(second.rules)) return "";
  // Sources: reference push-sources.md, 1.3.
  if (rules.filters_keys() && second.rules.filters_keys())
    return "Configuration is ambiguously defined. Cannot have overlapping suffixes in two rules if the prefixes are "
           "overlapping for the same event type.";
  return "Configurations overlap. Configurations on the same bucket cannot share a common event type.";
}

std::unique_ptr<SourceConfig> read_config(ConfigNode& node, const QueueReading& queues) {
  auto config = std::make_unique<S3Config>();
  config->bucket = node.required_text(
      "bucket", {.about = "The bucket's name. Notifications about another one are not delivered.", .max_length = 63});
  if (const auto wrong = bucket_name_mistake(config->bucket); wrong && !config->bucket.empty())
    node.mistake("bucket", std::string(*wrong));
  auto events =
      node.texts("events", {.about = "The events that are delivered, each by its name or all of a family, as in "
                                     "`s3:ObjectRemoved:*`. `s3:ObjectCreated:*` when not given.",
                            .one_of = event_names()});
  if (node.has("events") && events.empty()) node.mistake("events", "names no event, so nothing would be delivered");
  if (events.empty()) events.emplace_back(kDefaultEvents);
  config->form = read_form(node, events);
  std::string prefix;
  std::string suffix;
  node.section("filter", "Which keys are delivered; both have to fit.", [&](ConfigNode& filter) {
    prefix = read_filter_value(filter, "prefix",
                               "What the key begins with. A plus sign is a space and percent signs are escapes, as "
                               "AWS has it: a plus sign itself is %2B.");
    suffix = read_filter_value(filter, "suffix", "What the key ends with, written in the same way.");
    filter.refuse_other_keys();
  });
  config->rules = EventRules(std::move(events), std::move(prefix), std::move(suffix));
  if (const auto folder = node.text("folder", {.about = "A folder that stands in for the bucket: its files are the "
                                                        "objects. Relative to the configuration file's folder."})) {
    if (folder->empty()) node.mistake("folder", "is empty; leave it out to have only the webhook");
    config->folder = node.resolve_path(*folder);
  }
  config->queues = queues;
  if (const auto queue = node.text(
          "queue", {.about = "An SQS queue that is polled for the bucket's notifications, by its URL, its ARN or its "
                             "name: as S3 sends them there, or in what SNS or EventBridge send. How it is reached is "
                             "said by a URL or in the section `aws`."})) {
    config->queue_name = *queue;
    config->queue = queues.read(node, *queue);
    if (queue->empty()) node.mistake("queue", "is empty; leave it out to poll none");
    if (node.has("folder")) node.mistake("queue", "does not go together with `folder`: a source has one of them");
  }
  config->authorization = read_authorization(node);
  config->unwrap = node.flag(
      "unwrap", {.about = "Whether the webhook also takes what S3's events are wrapped in on their way through "
                          "SNS, SQS or EventBridge. Their signatures are not looked at, so it needs "
                          "auth_token.",
                 .fallback = false});
  if (config->unwrap && config->authorization.empty() && !node.has("auth_token"))
    node.mistake("unwrap", "needs auth_token: signatures of what is unwrapped are not checked");
  config->region = node.text("region", {.about = "`awsRegion` of events whose sender names no region.",
                                        .fallback = "us-east-1",
                                        .max_length = 64})
                       .value_or("");
  if (config->region.empty() ||
      config->region.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") != std::string::npos)
    node.mistake("region", "is no region's name; it consists of lower-case letters, digits and hyphens");
  config->configuration =
      node.text("configuration_id",
                {.about = "`configurationId` of events; the source's name when not given.", .max_length = 255})
          .value_or("");
  const auto start =
      node.text("starting_position", {.about = "Whether what is in the folder at the very first start is delivered "
                                               "(TRIM_HORIZON) or only what comes later (LATEST).",
                                      .fallback = "TRIM_HORIZON",
                                      .one_of = {"TRIM_HORIZON", "LATEST"}});
  config->starting_position = start == "LATEST" ? StartingPosition::kLatest : StartingPosition::kTrimHorizon;
  return config;
}

}  // namespace weir::s3
