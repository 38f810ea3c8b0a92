#include "connectors/sns/service.h"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include <nlohmann/json.hpp>

#include "weir/base/bytes.h"
#include "weir/base/json_check.h"
#include "weir/base/json_writer.h"

#include "connectors/sns/config.h"
#include "connectors/sns/connector.h"
#include "runtime/offload.h"
#include "service/arn.h"
#include "service/xml_writer.h"

namespace weir::sns {
namespace {

using service::ApiError;
using service::XmlWriter;

constexpr std::string_view kNameSpace = "http://sns.amazonaws.com/doc/2010-03-31/";
constexpr std::string_view kScheme = "sns:";
constexpr std::size_t kPage = 100;
constexpr std::size_t kTopicsMax = 10'000;
/// One publication is on disk in one transaction, a copy for each subscription: this bounds it.
constexpr std::size_t kSubscriptionsMax = 200;
constexpr std::size_t kBatchMax = 10;
constexpr std::size_t kBytesMax = 256U << 10U;
constexpr std::size_t kTagsMax = 50;
/// Source: fifo-topic-message-dedup.
constexpr Duration kDeduplicationFor = std::chrono::minutes(5);
constexpr std::size_t kPublishedMax = 200'000;
/// Source: sns-http-https-endpoint-as-subscriber: tokens are good for two days.
constexpr Duration kTokenFor = std::chrono::hours(48);
constexpr std::size_t kTokenBytes = 128;
constexpr Duration kTidyEvery = std::chrono::minutes(1);

ApiError not_found(std::string_view what) {
  return {404, "NotFound", std::string(what) + " does not exist"};
}

ApiError declared(std::string_view what) {
  return invalid_parameter(std::string(what) + " is declared in weir's configuration and can be changed only there");
}

/// What is told of a failure to keep: backpressure is the caller's matter, the rest is not.
ApiError not_kept(const Error& error) {
  if (error.code() == ErrorCode::kEventRefused) return invalid_parameter(error.message());
  if (error.code() == ErrorCode::kStoreFull) return {429, "Throttled", "Rate exceeded: " + error.message()};
  return service::not_kept(error, "InternalError");
}

std::string topic_note(std::string_view name) {
  return "topic/" + std::string(name);
}
std::string subscription_note(std::string_view id) {
  return "subscription/" + std::string(id);
}
std::string published_note(std::string_view key) {
  return "published/" + std::string(key);
}

/// What a message of a FIFO topic is known again by: its deduplication id in the topic, or in its group where
/// FifoThroughputScope says so. Neither id has a space. Source: fifo-topic-message-dedup.
std::string published_key(const Topic& topic, const Message& message) {
  const bool by_group = topic.text("FifoThroughputScope", "Topic") == "MessageGroup";
  return topic.name + "/" + (by_group ? message.group + " " : "") + message.deduplication;
}

std::string element(std::string_view name, std::string_view text) {
  std::string xml;
  XmlWriter(xml).element(name, text);
  return xml;
}

std::string attributes_xml(const Attributes& attributes) {
  std::string xml;
  XmlWriter out(xml);
  out.open("Attributes");
  for (const auto& [key, value] : attributes) {
    out.open("entry").element("key", key).element("value", value).close();
  }
  out.close();
  return xml;
}

/// AWS's default: whoever is of the account may do everything.
std::string default_policy(const std::string& arn) {
  std::string policy;
  JsonWriter out(policy);
  out.begin_object().member("Version", "2008-10-17").member("Id", "__default_policy_ID").key("Statement");
  out.begin_array().begin_object().member("Sid", "__default_statement_ID").member("Effect", "Allow");
  out.key("Principal").begin_object().member("AWS", "*").end_object().key("Action").begin_array();
  for (const std::string_view action :
       {"SNS:GetTopicAttributes", "SNS:SetTopicAttributes", "SNS:AddPermission", "SNS:RemovePermission",
        "SNS:DeleteTopic", "SNS:Subscribe", "SNS:ListSubscriptionsByTopic", "SNS:Publish"}) {
    out.value(action);
  }
  out.end_array().member("Resource", arn).key("Condition").begin_object().key("StringEquals").begin_object();
  out.member("AWS:SourceOwner", kLocalAccount).end_object().end_object().end_object().end_array().end_object();
  return policy;
}

/// A map of the form: LIST.N.key and .value.
Answered<Attributes> read_attributes(const service::Form& form) {
  Attributes attributes;
  for (const std::string& at : form.items("Attributes.entry")) {
    attributes[std::string(form.text(at + ".key"))] = form.text(at + ".value");
  }
  return attributes;
}

Answered<Attributes> read_tags(const service::Form& form) {
  Attributes tags;
  for (const std::string& at : form.items("Tags.member")) {
    const std::string key(form.text(at + ".Key"));
    if (key.empty() || key.size() > 128) return invalid_parameter("Tags Reason: a key has 1 to 128 characters");
    if (!tags.emplace(key, form.text(at + ".Value")).second)
      return invalid_parameter("Duplicated keys are not allowed.");
  }
  return tags;
}

/// The same UUID for the same source, whatever happens to the state folder.
std::string uuid_of(const std::string& source) {
  std::string hex = sha256_hex("source/" + source).substr(0, 32);
  for (const std::size_t at : {8U, 13U, 18U, 23U}) hex.insert(at, "-");
  return hex;
}

bool is_batch_id(std::string_view id) {
  constexpr std::size_t kMax = 80;
  return !id.empty() && id.size() <= kMax && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

ServiceCommit noted(std::string key, std::optional<std::string> value) {
  ServiceCommit commit;
  commit.notes.push_back({std::move(key), std::move(value)});
  return commit;
}

/// An http or https URL that a POST may go to: printable, with a host, without fragment.
bool is_endpoint(std::string_view endpoint, std::string_view protocol) {
  const std::string begin = std::string(protocol) + "://";
  return endpoint.starts_with(begin) && endpoint.size() > begin.size() && endpoint[begin.size()] != '/' &&
         std::all_of(endpoint.begin(), endpoint.end(), [](char c) { return c > ' ' && c <= '~' && c != '#'; });
}

}  // namespace

SnsService::SnsService(ServiceContext context)
    : context_(std::move(context)),
      turns_(context_.executor),
      making_key_(context_.executor),
      random_(seed_from_system()),
      address_("https://sns." + std::string(kLocalRegion) + ".amazonaws.com") {}

// ---- What it remembers ----

net::awaitable<Result<void>> SnsService::run(ServiceHost& host) {
  struct Ready {
    bool& ready;
    ~Ready() { ready = false; }
  };
  if (auto remembered = co_await remember(host); !remembered) co_return remembered;
  ready_ = true;
  const Ready until_end{ready_};
  for (;;) {
    net::steady_timer timer(context_.executor, kTidyEvery);
    co_await timer.async_wait(net::use_awaitable);
    const auto forgotten = co_await forget_old(host);
    if (!forgotten) {
      context_.log.warn("sns.not_tidied", {{"message", forgotten.error().describe()}});
    }
  }
}

net::awaitable<Result<void>> SnsService::remember(ServiceHost& host) {
  auto notes = co_await host.notes();
  if (!notes) co_return std::move(notes.error());
  topics_.clear();
  published_.clear();
  if (auto key = remember_key(*notes); !key) co_return key;
  declare();
  for (const auto& [note, value] : *notes) {
    const std::size_t slash = note.find('/');
    if (slash == std::string::npos) continue;
    const std::string name = note.substr(slash + 1);
    if (note.starts_with("topic/")) {
      auto topic = read_topic(name, value);
      if (!topic) co_return Error(ErrorCode::kStoreCorrupt, "the note " + note + " of SNS cannot be read");
      Topic& known = topics_[name];
      topic->declared = known.declared;
      topic->subscriptions = std::move(known.subscriptions);
      known = std::move(*topic);
    } else if (note.starts_with("published/")) {
      const auto read = nlohmann::json::parse(value, nullptr, false);
      if (!read.is_array() || read.size() != 3) continue;
      Published& published = published_[name];
      published.id = read[0].get<std::string>();
      published.sequence = read[1].get<std::string>();
      published.at = from_epoch_milliseconds(read[2].get<std::int64_t>());
      last_sequence_ = std::max<std::uint64_t>(last_sequence_, std::stoull(published.sequence));
    }
  }
  for (const auto& [note, value] : *notes) {
    if (!note.starts_with("subscription/")) continue;
    auto read = read_subscription(note.substr(note.find('/') + 1), value);
    if (!read) co_return Error(ErrorCode::kStoreCorrupt, "the note " + note + " of SNS cannot be read");
    const auto topic = topics_.find(read->topic);
    // Of a topic that a source declared, which is gone: its subscriptions wait until it is declared again.
    if (topic != topics_.end()) topic->second.subscriptions[read->id] = std::move(*read);
  }
  co_return Result<void>();
}

Result<void> SnsService::remember_key(const std::map<std::string, std::string>& notes) {
  const auto kept = notes.find("key");
  if (kept == notes.end()) return {};
  const auto read = nlohmann::json::parse(kept->second, nullptr, false);
  if (!read.is_array() || read.size() != 2 || !read[0].is_string() || !read[1].is_string())
    return Error(ErrorCode::kStoreCorrupt, "the remembered key of SNS cannot be read");
  auto key = SigningKey::read(read[0].get<std::string>(), read[1].get<std::string>());
  if (!key) return std::move(key.error());
  key_ = std::move(*key);
  return {};
}

/// It is made when it is needed: a weir of which nobody wants SNS makes none, and writes nothing.
net::awaitable<Result<void>> SnsService::have_key(ServiceHost& host) {
  if (key_) co_return Result<void>();
  const service::Turns::Turn turn = co_await making_key_.take();
  if (key_) co_return Result<void>();
  const WallTime now = context_.clock.now().wall;
  std::function<std::shared_ptr<Result<SigningKey>>()> make = [now] {
    return std::make_shared<Result<SigningKey>>(SigningKey::make(now));
  };
  auto made = co_await runtime::offload(context_.blocking, std::move(make));
  if (!*made) co_return std::move(made->error());
  std::string note;
  JsonWriter(note).begin_array().value((*made)->key_pem()).value((*made)->certificate_pem()).end_array();
  auto committed = co_await host.commit(noted("key", std::move(note)));
  if (committed) key_ = std::move(**made);
  co_return committed;
}

/// The topics of sources, and the sources as their subscriptions.
void SnsService::declare() {
  for (const ServiceSource& source : context_.sources) {
    const auto& config = dynamic_cast<const SnsConfig&>(*source.config);
    if (config.topic.empty()) continue;
    Topic& topic = topics_[config.topic];
    topic.name = config.topic;
    topic.declared = true;
    Subscription subscription;
    subscription.id = uuid_of(source.name);
    subscription.topic = config.topic;
    subscription.protocol = "lambda";
    subscription.endpoint = service::local_arn("lambda", "function:" + source.function);
    subscription.source = source.name;
    subscription.function = source.function;
    if (!config.filter_policy.empty()) {
      subscription.attributes["FilterPolicy"] = config.filter_policy;
      subscription.attributes["FilterPolicyScope"] = config.filter_body ? "MessageBody" : "MessageAttributes";
    }
    topic.subscriptions[subscription.id] = std::move(subscription);
  }
}

/// Subscriptions that nobody confirmed in time, and what FIFO topics published a while ago.
net::awaitable<Result<void>> SnsService::forget_old(ServiceHost& host) {
  const auto turn = co_await turns_.take();
  const WallTime now = context_.clock.now().wall;
  ServiceCommit commit;
  std::vector<std::string> published;
  std::vector<SubscriptionName> subscriptions;
  for (const auto& [key, each] : published_) {
    if (now - each.at < kDeduplicationFor) continue;
    published.push_back(key);
    commit.notes.push_back({published_note(key), std::nullopt});
  }
  for (const auto& [name, topic] : topics_) {
    for (const auto& [id, each] : topic.subscriptions) {
      if ((each.confirmed && !each.ended) || now - each.token_at < kTokenFor) continue;
      subscriptions.push_back({name, id});
      commit.notes.push_back({subscription_note(id), std::nullopt});
    }
  }
  if (commit.notes.empty()) co_return Result<void>();
  auto committed = co_await host.commit(std::move(commit));
  if (!committed) co_return committed;
  for (const std::string& key : published) published_.erase(key);
  for (const SubscriptionName& each : subscriptions) topics_.at(each.topic).subscriptions.erase(each.id);
  co_return Result<void>();
}

// ---- Calls ----

const std::map<std::string, SnsService::Operation, std::less<>>& SnsService::operations() {
  static const std::map<std::string, Operation, std::less<>> all{
      {"ConfirmSubscription", &SnsService::confirm_subscription},
      {"CreateTopic", &SnsService::create_topic},
      {"DeleteTopic", &SnsService::delete_topic},
      {"GetSubscriptionAttributes", &SnsService::get_subscription_attributes},
      {"GetTopicAttributes", &SnsService::get_topic_attributes},
      {"ListSubscriptions", &SnsService::list_subscriptions},
      {"ListSubscriptionsByTopic", &SnsService::list_subscriptions_by_topic},
      {"ListTagsForResource", &SnsService::list_tags},
      {"ListTopics", &SnsService::list_topics},
      {"Publish", &SnsService::publish},
      {"PublishBatch", &SnsService::publish_batch},
      {"SetSubscriptionAttributes", &SnsService::set_subscription_attributes},
      {"SetTopicAttributes", &SnsService::set_topic_attributes},
      {"Subscribe", &SnsService::subscribe},
      {"TagResource", &SnsService::tag_resource},
      {"Unsubscribe", &SnsService::unsubscribe},
      {"UntagResource", &SnsService::untag_resource}};
  return all;
}

net::awaitable<ServiceAnswer> SnsService::call(ServiceHost& host, ServiceCall call) {
  if (call.operation.empty()) {
    if (key_ && call.path == key_->path() && (call.method == "GET" || call.method == "HEAD")) {
      co_return ServiceAnswer(200, "application/x-pem-file", key_->certificate_pem());
    }
    co_return service::form_error(not_found("The certificate"), kNameSpace, call.request_id);
  }
  const auto operation = operations().find(call.operation);
  if (operation == operations().end()) {
    const ApiError unknown(400, "InvalidAction",
                           "The action " + call.operation + " is not valid for this web service, or weir has it not.");
    co_return service::form_error(unknown, kNameSpace, call.request_id);
  }
  auto form = service::Form::parse(call.method == "GET" ? call.query : call.body);
  if (!form) {
    const ApiError malformed(400, "MalformedQueryString", "The form has a percent sign that begins no escape.");
    co_return service::form_error(malformed, kNameSpace, call.request_id);
  }
  if (const auto key = co_await have_key(host); !key) {
    co_return service::form_error(not_kept(key.error()), kNameSpace, call.request_id);
  }
  const auto open = std::find(std::begin(kUnsigned), std::end(kUnsigned), call.operation);
  if (open == std::end(kUnsigned)) address_ = call.address;
  Asked asked{host, call, std::move(*form)};
  auto said = co_await (this->*operation->second)(asked);
  if (!said) co_return service::form_error(said.error(), kNameSpace, call.request_id);
  co_return service::form_answer(call.operation, *said, kNameSpace, call.request_id);
}

Answered<Topic*> SnsService::topic(std::string_view arn, std::string_view parameter) {
  if (!service::parse_arn(arn) || service::parse_arn(arn)->service != "sns") {
    return invalid_parameter(std::string(parameter) + " Reason: An ARN must have at least 6 elements, not " +
                             std::to_string(1 + std::count(arn.begin(), arn.end(), ':')));
  }
  const auto name = topic_of(arn);
  const auto found = name ? topics_.find(*name) : topics_.end();
  if (found == topics_.end()) return not_found("Topic");
  return &found->second;
}

Answered<Subscription*> SnsService::subscription(std::string_view arn) {
  const auto name = subscription_of(arn);
  if (!name) {
    if (!service::parse_arn(arn)) return invalid_parameter("SubscriptionArn");
    return not_found("Subscription");
  }
  const auto topic = topics_.find(name->topic);
  if (topic == topics_.end()) return not_found("Subscription");
  const auto found = topic->second.subscriptions.find(name->id);
  if (found == topic->second.subscriptions.end() || found->second.ended) return not_found("Subscription");
  return &found->second;
}

net::awaitable<SnsService::Said> SnsService::create_topic(Asked& asked) {
  const auto turn = co_await turns_.take();
  const std::string name = asked.text("Name");
  auto attributes = read_attributes(asked.form);
  auto tags = read_tags(asked.form);
  if (!tags) co_return tags.error();
  if (tags->size() > kTagsMax)
    co_return ApiError(400, "TagLimitExceeded", "Could not complete request: tag quota of per resource exceeded");
  const auto said_fifo = attributes->find("FifoTopic");
  const bool wants_fifo = said_fifo != attributes->end() && said_fifo->second == "true";
  const bool fifo = name.ends_with(".fifo");
  if (wants_fifo && (!fifo || !is_topic_name(name))) {
    co_return invalid_parameter(
        "Fifo Topic names must end with .fifo and must be made up of only uppercase and lowercase ASCII letters, "
        "numbers, underscores, and hyphens, and must be between 1 and 256 characters long.");
  }
  if (!is_topic_name(name) || (fifo && !wants_fifo)) co_return invalid_parameter("Topic Name");
  for (const auto& [key, value] : *attributes) {
    if (const auto right = check_topic_attribute(key, value, fifo, true); !right) co_return right.error();
  }
  if (!fifo) attributes->erase("FifoTopic");
  const auto known = topics_.find(name);
  if (known != topics_.end()) {
    for (const auto& [key, value] : *attributes) {
      if (known->second.text(key, "") != value)
        co_return invalid_parameter("Attributes Reason: Topic already exists with different attributes");
    }
    if (!tags->empty() && *tags != known->second.tags)
      co_return invalid_parameter("Tags Reason: Topic already exists with different tags");
    co_return element("TopicArn", known->second.arn());
  }
  if (topics_.size() >= kTopicsMax)
    co_return ApiError(403, "TopicLimitExceeded", "weir keeps at most " + std::to_string(kTopicsMax) + " topics.");
  Topic topic;
  topic.name = name;
  topic.attributes = std::move(*attributes);
  topic.tags = std::move(*tags);
  auto committed = co_await asked.host.commit(noted(topic_note(name), write_topic(topic)));
  if (!committed) co_return not_kept(committed.error());
  const std::string arn = topic.arn();
  topics_[name] = std::move(topic);
  co_return element("TopicArn", arn);
}

net::awaitable<SnsService::Said> SnsService::delete_topic(Asked& asked) {
  const auto turn = co_await turns_.take();
  const auto found = topic(asked.text("TopicArn"), "TopicArn");
  // Deleting what is not there is well, as with AWS.
  if (!found) {
    if (found.error().code == "NotFound") co_return std::string();
    co_return found.error();
  }
  const std::string name = (*found)->name;
  if ((*found)->declared) co_return declared("the topic " + name);
  ServiceCommit commit = noted(topic_note(name), std::nullopt);
  for (const auto& [id, each] : (*found)->subscriptions) commit.notes.push_back({subscription_note(id), std::nullopt});
  const std::string published = name + "/";
  const auto begin = published_.lower_bound(published);
  auto end = begin;
  for (; end != published_.end() && end->first.starts_with(published); ++end) {
    commit.notes.push_back({published_note(end->first), std::nullopt});
  }
  auto committed = co_await asked.host.commit(std::move(commit));
  if (!committed) co_return not_kept(committed.error());
  topics_.erase(name);
  published_.erase(begin, end);
  co_return std::string();
}

net::awaitable<SnsService::Said> SnsService::list_topics(Asked& asked) {
  const std::string from = asked.text("NextToken");
  std::string xml;
  XmlWriter out(xml);
  out.open("Topics");
  auto topic = topics_.upper_bound(from);
  std::string last;
  for (std::size_t count = 0; topic != topics_.end() && count < kPage; ++topic, ++count) {
    out.open("member").element("TopicArn", topic->second.arn()).close();
    last = topic->first;
  }
  out.close();
  if (topic != topics_.end()) out.element("NextToken", last);
  co_return xml;
}

net::awaitable<SnsService::Said> SnsService::get_topic_attributes(Asked& asked) {
  const auto found = topic(asked.text("TopicArn"), "TopicArn");
  if (!found) co_return found.error();
  const Topic& topic = **found;
  std::size_t confirmed = 0;
  std::size_t pending = 0;
  std::size_t deleted = 0;
  for (const auto& [id, each] : topic.subscriptions) ++(each.ended ? deleted : each.confirmed ? confirmed : pending);
  Attributes all = topic.attributes;
  all["TopicArn"] = topic.arn();
  all["Owner"] = kLocalAccount;
  all.try_emplace("DisplayName", "");
  all.try_emplace("Policy", default_policy(topic.arn()));
  all["EffectiveDeliveryPolicy"] = topic_policy_json(topic.delivery_policy());
  all["SubscriptionsConfirmed"] = std::to_string(confirmed);
  all["SubscriptionsPending"] = std::to_string(pending);
  all["SubscriptionsDeleted"] = std::to_string(deleted);
  if (topic.is_fifo()) {
    all["FifoTopic"] = "true";
    all.try_emplace("ContentBasedDeduplication", "false");
  }
  co_return attributes_xml(all);
}

net::awaitable<SnsService::Said> SnsService::set_topic_attributes(Asked& asked) {
  const auto turn = co_await turns_.take();
  const auto found = topic(asked.text("TopicArn"), "TopicArn");
  if (!found) co_return found.error();
  const std::string name = asked.text("AttributeName");
  const std::string value = asked.text("AttributeValue");
  Topic changed = **found;
  if (const auto right = check_topic_attribute(name, value, changed.is_fifo(), false); !right) co_return right.error();
  if (name == "MaximumMessageSize" && value.size() >= 6 && std::stoul(value) > kBytesMax) {
    const bool http = std::any_of(changed.subscriptions.begin(), changed.subscriptions.end(),
                                  [](const auto& each) { return each.second.is_http() && !each.second.ended; });
    if (http || changed.subscriptions.size() > 100)
      co_return invalid_parameter(
          "Attributes Reason: more than 262144 bytes go only to at most 100 subscriptions of Lambda and SQS");
  }
  if (name == "DeliveryPolicy" && value.empty()) {
    changed.attributes.erase(name);
  } else {
    changed.attributes[name] = value;
  }
  auto committed = co_await asked.host.commit(noted(topic_note(changed.name), write_topic(changed)));
  if (!committed) co_return not_kept(committed.error());
  topics_.at(changed.name).attributes = std::move(changed.attributes);
  co_return std::string();
}

// ---- Subscriptions ----

Answered<void> SnsService::check_endpoint(const ServiceHost& host, const Topic& topic,
                                          const Subscription& wanted) const {
  if (wanted.is_http()) {
    if (topic.is_fifo()) return invalid_parameter("Invalid parameter: Endpoint Reason: Please use FIFO SQS queue");
    if (!is_endpoint(wanted.endpoint, wanted.protocol))
      return invalid_parameter("Endpoint must match the specified protocol");
    if (std::stoul(topic.text("MaximumMessageSize", "0")) > kBytesMax)
      return invalid_parameter("Endpoint Reason: messages of this topic may be larger than HTTP endpoints get");
    return {};
  }
  const auto arn = service::parse_arn(wanted.endpoint);
  if (wanted.protocol == "lambda") {
    if (topic.is_fifo()) return invalid_parameter("Invalid parameter: Endpoint Reason: Please use FIFO SQS queue");
    if (!arn || arn->service != "lambda") return invalid_parameter("Lambda endpoint ARN");
    const std::string target = host.target_of(wanted.endpoint);
    if (target.empty() || !host.exists(target))
      return invalid_parameter("Endpoint Reason: weir's configuration has no such function");
    return {};
  }
  if (!arn || arn->service != "sqs") return invalid_parameter("SQS endpoint ARN");
  if (arn->resource.ends_with(".fifo") && !topic.is_fifo()) {
    return invalid_parameter(
        "Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics");
  }
  return {};
}

net::awaitable<SnsService::Said> SnsService::subscribe(Asked& asked) {
  const auto turn = co_await turns_.take();
  const auto found = topic(asked.text("TopicArn"), "TopicArn");
  if (!found) co_return found.error();
  const Topic topic = **found;
  Subscription wanted;
  wanted.id = random_.uuid();
  wanted.topic = topic.name;
  wanted.protocol = asked.text("Protocol");
  wanted.endpoint = asked.text("Endpoint");
  constexpr std::array<std::string_view, 4> kProtocols{"http", "https", "lambda", "sqs"};
  constexpr std::array<std::string_view, 5> kOthers{"email", "email-json", "sms", "application", "firehose"};
  if (std::find(kOthers.begin(), kOthers.end(), wanted.protocol) != kOthers.end()) {
    co_return invalid_parameter("Protocol Reason: weir does not deliver to " + wanted.protocol +
                                "; it delivers to lambda, sqs, http and https");
  }
  if (std::find(kProtocols.begin(), kProtocols.end(), wanted.protocol) == kProtocols.end())
    co_return invalid_parameter("Amazon SNS does not support this protocol string: " + wanted.protocol);
  wanted.attributes = *read_attributes(asked.form);
  if (const auto right = check_endpoint(asked.host, topic, wanted); !right) co_return right.error();
  // An empty policy is none.
  if (wanted.has("FilterPolicy", "") || wanted.has("FilterPolicy", "{}")) wanted.attributes.erase("FilterPolicy");
  if (const auto right = check_subscription_attributes(wanted.attributes, wanted.protocol); !right)
    co_return right.error();
  for (const auto& [id, each] : topic.subscriptions) {
    if (each.ended || each.protocol != wanted.protocol || each.endpoint != wanted.endpoint) continue;
    if (!each.source.empty()) continue;
    for (const auto& [key, value] : wanted.attributes) {
      if (!each.has(key, value))
        co_return invalid_parameter("Attributes Reason: Subscription already exists with different attributes");
    }
    const bool shown = each.confirmed || asked.text("ReturnSubscriptionArn") == "true";
    if (each.confirmed) co_return element("SubscriptionArn", each.arn());
    // Asked again, it is told again.
    ServiceCommit again;
    again.deliveries.push_back(confirmation("SubscriptionConfirmation", topic, each,
                                            sender(asked.host, asked.call.address), random_.uuid(),
                                            context_.clock.now().wall));
    auto told = co_await asked.host.commit(std::move(again));
    if (!told) co_return not_kept(told.error());
    co_return element("SubscriptionArn", shown ? each.arn() : "pending confirmation");
  }
  if (topic.subscriptions.size() >= kSubscriptionsMax) {
    co_return ApiError(403, "SubscriptionLimitExceeded",
                       "weir keeps at most " + std::to_string(kSubscriptionsMax) + " subscriptions of a topic.");
  }
  wanted.confirmed = !wanted.is_http();
  ServiceCommit commit;
  if (!wanted.confirmed) {
    wanted.token = random_hex(kTokenBytes);
    wanted.token_at = context_.clock.now().wall;
    commit.deliveries.push_back(confirmation("SubscriptionConfirmation", topic, wanted,
                                             sender(asked.host, asked.call.address), random_.uuid(), wanted.token_at));
  }
  commit.notes.push_back({subscription_note(wanted.id), write_subscription(wanted)});
  auto committed = co_await asked.host.commit(std::move(commit));
  if (!committed) co_return not_kept(committed.error());
  const bool shown = wanted.confirmed || asked.text("ReturnSubscriptionArn") == "true";
  const std::string arn = shown ? wanted.arn() : "pending confirmation";
  topics_.at(topic.name).subscriptions[wanted.id] = std::move(wanted);
  co_return element("SubscriptionArn", arn);
}

net::awaitable<SnsService::Said> SnsService::confirm_subscription(Asked& asked) {
  const auto turn = co_await turns_.take();
  const auto found = topic(asked.text("TopicArn"), "TopicArn");
  if (!found) {
    if (found.error().code == "NotFound") co_return invalid_parameter("Topic");
    co_return found.error();
  }
  const std::string token = asked.text("Token");
  const WallTime now = context_.clock.now().wall;
  const auto& all = (*found)->subscriptions;
  const auto meant = std::find_if(all.begin(), all.end(), [&](const auto& each) {
    return !token.empty() && each.second.token == token && now - each.second.token_at < kTokenFor;
  });
  if (meant == all.end()) co_return invalid_parameter("Token");
  Subscription changed = meant->second;
  const std::string arn = changed.arn();
  if (changed.confirmed && !changed.ended) co_return element("SubscriptionArn", arn);
  changed.confirmed = true;
  changed.ended = false;
  auto committed = co_await asked.host.commit(noted(subscription_note(changed.id), write_subscription(changed)));
  if (!committed) co_return not_kept(committed.error());
  const std::string id = changed.id;
  topics_.at(changed.topic).subscriptions[id] = std::move(changed);
  co_return element("SubscriptionArn", arn);
}

net::awaitable<SnsService::Said> SnsService::unsubscribe(Asked& asked) {
  const auto turn = co_await turns_.take();
  const auto found = subscription(asked.text("SubscriptionArn"));
  if (!found) {
    if (found.error().code == "NotFound") co_return std::string();
    co_return found.error();
  }
  Subscription changed = **found;
  if (!changed.source.empty()) co_return declared("the subscription of source " + changed.source);
  Topic& topic = topics_.at(changed.topic);
  if (!changed.is_http() || !changed.confirmed) {
    auto committed = co_await asked.host.commit(noted(subscription_note(changed.id), std::nullopt));
    if (!committed) co_return not_kept(committed.error());
    topic.subscriptions.erase(changed.id);
    co_return std::string();
  }
  // An HTTP endpoint is told, and may take it back with the token.
  changed.ended = true;
  changed.token = random_hex(kTokenBytes);
  changed.token_at = context_.clock.now().wall;
  ServiceCommit commit = noted(subscription_note(changed.id), write_subscription(changed));
  commit.deliveries.push_back(confirmation("UnsubscribeConfirmation", topic, changed,
                                           sender(asked.host, asked.call.address), random_.uuid(), changed.token_at));
  auto committed = co_await asked.host.commit(std::move(commit));
  if (!committed) co_return not_kept(committed.error());
  const std::string id = changed.id;
  topic.subscriptions[id] = std::move(changed);
  co_return std::string();
}

std::string SnsService::list_xml(const std::vector<const Subscription*>& all, const std::string& token) const {
  std::string xml;
  XmlWriter out(xml);
  out.open("Subscriptions");
  std::string last;
  std::size_t count = 0;
  bool more = false;
  for (const Subscription* each : all) {
    const std::string place = each->topic + "/" + each->id;
    if (place <= token || each->ended) continue;
    if (count == kPage) {
      more = true;
      break;
    }
    out.open("member").element("SubscriptionArn", each->confirmed ? each->arn() : "PendingConfirmation");
    out.element("Owner", kLocalAccount).element("Protocol", each->protocol).element("Endpoint", each->endpoint);
    out.element("TopicArn", service::local_arn("sns", each->topic)).close();
    last = place;
    ++count;
  }
  out.close();
  if (more) out.element("NextToken", last);
  return xml;
}

net::awaitable<SnsService::Said> SnsService::list_subscriptions(Asked& asked) {
  std::vector<const Subscription*> all;
  for (const auto& [name, topic] : topics_) {
    for (const auto& [id, each] : topic.subscriptions) all.push_back(&each);
  }
  // The order that tokens are made of: a topic's name may be another's beginning.
  std::sort(all.begin(), all.end(), [](const Subscription* a, const Subscription* b) {
    return a->topic + "/" + a->id < b->topic + "/" + b->id;
  });
  co_return list_xml(all, asked.text("NextToken"));
}

net::awaitable<SnsService::Said> SnsService::list_subscriptions_by_topic(Asked& asked) {
  const auto found = topic(asked.text("TopicArn"), "TopicArn");
  if (!found) co_return found.error();
  std::vector<const Subscription*> all;
  for (const auto& [id, each] : (*found)->subscriptions) all.push_back(&each);
  co_return list_xml(all, asked.text("NextToken"));
}

net::awaitable<SnsService::Said> SnsService::get_subscription_attributes(Asked& asked) {
  const auto found = subscription(asked.text("SubscriptionArn"));
  if (!found) co_return found.error();
  const Subscription& each = **found;
  Attributes all = each.attributes;
  all["SubscriptionArn"] = each.arn();
  all["TopicArn"] = service::local_arn("sns", each.topic);
  all["Owner"] = kLocalAccount;
  all["Protocol"] = each.protocol;
  all["Endpoint"] = each.endpoint;
  all["PendingConfirmation"] = each.confirmed ? "false" : "true";
  all["ConfirmationWasAuthenticated"] = each.is_http() ? "false" : "true";
  all["SubscriptionPrincipal"] = "arn:aws:iam::" + std::string(kLocalAccount) + ":root";
  all.try_emplace("RawMessageDelivery", "false");
  if (all.contains("FilterPolicy")) all.try_emplace("FilterPolicyScope", "MessageAttributes");
  if (each.is_http()) {
    all["EffectiveDeliveryPolicy"] = subscription_policy_json(delivery_policy(topics_.at(each.topic), each));
  }
  co_return attributes_xml(all);
}

net::awaitable<SnsService::Said> SnsService::set_subscription_attributes(Asked& asked) {
  const auto turn = co_await turns_.take();
  const auto found = subscription(asked.text("SubscriptionArn"));
  if (!found) co_return found.error();
  Subscription changed = **found;
  if (!changed.source.empty()) co_return declared("the subscription of source " + changed.source);
  const std::string name = asked.text("AttributeName");
  const std::string value = asked.text("AttributeValue");
  const bool clears = value.empty() || (name == "FilterPolicy" && value == "{}");
  constexpr std::array<std::string_view, 3> kClearable{"FilterPolicy", "RedrivePolicy", "DeliveryPolicy"};
  if (clears && std::find(kClearable.begin(), kClearable.end(), name) != kClearable.end()) {
    changed.attributes.erase(name);
  } else {
    changed.attributes[name] = value;
  }
  if (const auto right = check_subscription_attributes(changed.attributes, changed.protocol); !right)
    co_return right.error();
  auto committed = co_await asked.host.commit(noted(subscription_note(changed.id), write_subscription(changed)));
  if (!committed) co_return not_kept(committed.error());
  const std::string id = changed.id;
  topics_.at(changed.topic).subscriptions[id] = std::move(changed);
  co_return std::string();
}

// ---- Publishing ----

Sender SnsService::sender(const ServiceHost& host, std::string address) const {
  return Sender{*key_, std::move(address), [&host](std::string_view arn) { return host.target_of(arn); }};
}

Answered<void> SnsService::check_size(const Topic& topic, std::size_t bytes) const {
  const std::size_t most = std::stoul(topic.text("MaximumMessageSize", std::to_string(kBytesMax)));
  if (bytes > most) return invalid_parameter("Message too long");
  return {};
}

/// Twenty digits that grow, also over a restart as long as the clock does.
std::string SnsService::next_sequence(WallTime now) {
  constexpr std::uint64_t kFirst = 10'000'000'000'000'000'000U;
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch()).count();
  last_sequence_ = std::max(last_sequence_ + 1, kFirst + static_cast<std::uint64_t>(micros));
  return std::to_string(last_sequence_);
}

net::awaitable<Result<void>> SnsService::publish_all(ServiceHost& host, Topic topic, std::vector<Message>& messages,
                                                     std::string address) {
  // In a FIFO topic the order is that of acceptance, and what came before has to be on disk to be known.
  std::optional<service::Turns::Turn> turn;
  if (topic.is_fifo()) turn.emplace(co_await turns_.take());
  const WallTime now = context_.clock.now().wall;
  const Sender with = sender(host, std::move(address));
  ServiceCommit commit;
  std::map<std::string, Published> fresh;
  for (Message& message : messages) {
    message.at = now;
    message.id = random_.uuid();
    if (topic.is_fifo()) {
      if (message.deduplication.empty()) message.deduplication = sha256_hex(message.text);
      const std::string key = published_key(topic, message);
      const auto before = published_.find(key);
      const auto beside = fresh.find(key);
      const bool repeated =
          before != published_.end() && now - before->second.at < kDeduplicationFor && before->second.at <= now;
      if (repeated || beside != fresh.end()) {
        const Published& then = repeated ? before->second : beside->second;
        message.id = then.id;
        message.sequence = then.sequence;
        continue;
      }
      if (published_.size() + fresh.size() >= kPublishedMax)
        co_return Error(ErrorCode::kStoreFull, "too many messages of FIFO topics in five minutes");
      message.sequence = next_sequence(now);
      fresh[key] = {message.id, message.sequence, now};
      std::string note;
      JsonWriter(note)
          .begin_array()
          .value(message.id)
          .value(message.sequence)
          .value(epoch_milliseconds(now))
          .end_array();
      commit.notes.push_back({published_note(key), std::move(note)});
    }
    for (ServiceDelivery& each : fan_out(topic, message, with)) commit.deliveries.push_back(std::move(each));
  }
  if (commit.deliveries.empty() && commit.notes.empty()) co_return Result<void>();
  auto committed = co_await host.commit(std::move(commit));
  if (committed) {
    for (auto& [key, each] : fresh) published_[key] = std::move(each);
  }
  co_return committed;
}

net::awaitable<SnsService::Said> SnsService::publish(Asked& asked) {
  std::string arn = asked.text("TopicArn");
  if (arn.empty()) arn = asked.text("TargetArn");
  if (arn.empty()) {
    if (!asked.text("PhoneNumber").empty())
      co_return invalid_parameter("PhoneNumber Reason: weir sends no text messages");
    co_return invalid_parameter("TopicArn or TargetArn Reason: no value for required parameter");
  }
  const auto found = topic(arn, "TopicArn");
  if (!found) co_return found.error();
  auto message = read_message(asked.form, "");
  if (!message) co_return message.error();
  const Topic& topic = **found;
  if (const auto right = check_message(*message); !right) co_return right.error();
  if (const auto right = check_size(topic, message->bytes()); !right) co_return right.error();
  const bool content_based = topic.text("ContentBasedDeduplication", "") == "true";
  if (const auto right = check_ordering(*message, topic.is_fifo(), content_based); !right) co_return right.error();
  message->trace_header = asked.call.trace_header;
  std::vector<Message> messages;
  messages.push_back(std::move(*message));
  const auto published = co_await publish_all(asked.host, topic, messages, asked.call.address);
  if (!published) co_return not_kept(published.error());
  std::string xml;
  XmlWriter out(xml);
  out.element("MessageId", messages.front().id);
  if (!messages.front().sequence.empty()) out.element("SequenceNumber", messages.front().sequence);
  co_return xml;
}

net::awaitable<SnsService::Said> SnsService::publish_batch(Asked& asked) {
  const auto found = topic(asked.text("TopicArn"), "TopicArn");
  if (!found) co_return found.error();
  const Topic topic = **found;
  const auto entries = asked.form.items("PublishBatchRequestEntries.member");
  if (entries.empty()) co_return ApiError(400, "EmptyBatchRequest", "The batch request doesn't contain any entries.");
  if (entries.size() > kBatchMax) {
    co_return ApiError(400, "TooManyEntriesInBatchRequest",
                       "The batch request contains more entries than permissible.");
  }
  std::set<std::string> ids;
  for (const std::string& at : entries) {
    const std::string id = asked.text(at + ".Id");
    if (!is_batch_id(id)) {
      co_return ApiError(400, "InvalidBatchEntryId",
                         "The Id of a batch entry in a batch request doesn't abide by the specification.");
    }
    if (!ids.insert(id).second) {
      co_return ApiError(400, "BatchEntryIdsNotDistinct", "Two or more batch entries in the request have the same Id.");
    }
  }
  struct Entry {
    std::string id;
    std::optional<ApiError> error;
    std::size_t message = 0;
  };
  std::vector<Entry> done;
  std::vector<Message> messages;
  std::size_t bytes = 0;
  const bool content_based = topic.text("ContentBasedDeduplication", "") == "true";
  for (const std::string& at : entries) {
    Entry entry;
    entry.id = asked.text(at + ".Id");
    auto message = read_message(asked.form, at + ".");
    if (!message) {
      entry.error = message.error();
    } else {
      bytes += message->bytes();
      if (const auto right = check_ordering(*message, topic.is_fifo(), content_based); !right) co_return right.error();
      if (const auto right = check_message(*message); !right) {
        entry.error = right.error();
      } else {
        message->trace_header = asked.call.trace_header;
        entry.message = messages.size();
        messages.push_back(std::move(*message));
      }
    }
    done.push_back(std::move(entry));
  }
  if (!check_size(topic, bytes)) {
    co_return ApiError(400, "BatchRequestTooLong",
                       "The length of all the messages put together is more than the limit.");
  }
  const auto published = co_await publish_all(asked.host, topic, messages, asked.call.address);
  if (!published) co_return not_kept(published.error());
  std::string xml;
  XmlWriter out(xml);
  out.open("Successful");
  for (const Entry& entry : done) {
    if (entry.error) continue;
    const Message& message = messages[entry.message];
    out.open("member").element("Id", entry.id).element("MessageId", message.id);
    if (!message.sequence.empty()) out.element("SequenceNumber", message.sequence);
    out.close();
  }
  out.close().open("Failed");
  for (const Entry& entry : done) {
    if (!entry.error) continue;
    out.open("member").element("Id", entry.id).element("Code", entry.error->code);
    out.element("Message", entry.error->message).element("SenderFault", "true").close();
  }
  out.close();
  co_return xml;
}

bool SnsService::owns(std::string_view target) const {
  if (!target.starts_with(kScheme)) return false;
  target.remove_prefix(kScheme.size());
  const auto name = target.starts_with("arn:") ? topic_of(target) : std::optional<std::string>(target);
  return name && topics_.contains(*name);
}

net::awaitable<Result<void>> SnsService::take(ServiceHost& host, std::string target, DestinationRecord record) {
  const std::string_view named = std::string_view(target).substr(kScheme.size());
  const auto name = named.starts_with("arn:") ? topic_of(named) : std::optional<std::string>(named);
  const auto found = name ? topics_.find(*name) : topics_.end();
  if (found == topics_.end()) co_return Error(ErrorCode::kDestinationGone, "there is no topic " + std::string(named));
  const Topic topic = found->second;
  if (auto key = co_await have_key(host); !key) co_return key;
  Message message;
  message.text = std::move(record.record);
  if (!record.details.subject.empty()) message.subject = record.details.subject;
  message.attributes = std::move(record.details.attributes);
  message.group = record.details.group;
  message.deduplication = record.details.deduplication;
  message.trace_header = record.trace_header;
  const auto refuse = [](const ApiError& error) { return Error(ErrorCode::kEventRefused, error.message); };
  if (const auto right = check_message(message); !right) co_return refuse(right.error());
  if (const auto right = check_size(topic, message.bytes()); !right) co_return refuse(right.error());
  if (!topic.is_fifo()) message.deduplication.clear();
  const bool content_based = topic.text("ContentBasedDeduplication", "") == "true";
  if (const auto right = check_ordering(message, topic.is_fifo(), content_based); !right)
    co_return refuse(right.error());
  std::vector<Message> messages;
  messages.push_back(std::move(message));
  co_return co_await publish_all(host, topic, messages, address_);
}

// ---- Tags ----

net::awaitable<SnsService::Said> SnsService::tag_resource(Asked& asked) {
  const auto turn = co_await turns_.take();
  const auto found = topic(asked.text("ResourceArn"), "ResourceArn");
  if (!found) co_return ApiError(404, "ResourceNotFound", "Resource does not exist");
  const auto tags = read_tags(asked.form);
  if (!tags) co_return tags.error();
  Topic changed = **found;
  for (const auto& [key, value] : *tags) changed.tags[key] = value;
  if (changed.tags.size() > kTagsMax) {
    co_return ApiError(400, "TagLimitExceeded", "Could not complete request: tag quota of per resource exceeded");
  }
  auto committed = co_await asked.host.commit(noted(topic_note(changed.name), write_topic(changed)));
  if (!committed) co_return not_kept(committed.error());
  topics_.at(changed.name).tags = std::move(changed.tags);
  // The SDKs look for the element, whatever is in it.
  co_return std::string("\n");
}

net::awaitable<SnsService::Said> SnsService::untag_resource(Asked& asked) {
  const auto turn = co_await turns_.take();
  const auto found = topic(asked.text("ResourceArn"), "ResourceArn");
  if (!found) co_return ApiError(404, "ResourceNotFound", "Resource does not exist");
  Topic changed = **found;
  for (const std::string& at : asked.form.items("TagKeys.member")) changed.tags.erase(asked.text(at));
  auto committed = co_await asked.host.commit(noted(topic_note(changed.name), write_topic(changed)));
  if (!committed) co_return not_kept(committed.error());
  topics_.at(changed.name).tags = std::move(changed.tags);
  co_return std::string("\n");
}

net::awaitable<SnsService::Said> SnsService::list_tags(Asked& asked) {
  const auto found = topic(asked.text("ResourceArn"), "ResourceArn");
  if (!found) co_return ApiError(404, "ResourceNotFound", "Resource does not exist");
  std::string xml;
  XmlWriter out(xml);
  out.open("Tags");
  for (const auto& [key, value] : (*found)->tags) {
    out.open("member").element("Key", key).element("Value", value).close();
  }
  out.close();
  co_return xml;
}

std::unique_ptr<Service> make_service(ServiceContext context) {
  return std::make_unique<SnsService>(std::move(context));
}

}  // namespace weir::sns
