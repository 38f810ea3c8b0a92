#include "connectors/sns/service.h"

#include <algorithm>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "connectors/sns/config.h"
#include "connectors/sns/connector.h"
#include "http/uri.h"
#include "support/fake_clock.h"

using namespace weir;
using nlohmann::json;

namespace {

class NoLog final : public Log {
 public:
  void write(LogLevel, std::string_view, std::span<const LogField>) override {}
};

/// A bridge that keeps what it is given; its notes outlive a service, as the store's do.
class FakeHost final : public ServiceHost {
 public:
  net::awaitable<Result<void>> commit(ServiceCommit what) override {
    if (refuses) co_return Error(*refuses, "the test refuses this");
    ++commits;
    for (SourceNote& note : what.notes) {
      if (note.value) {
        kept_notes[note.key] = *note.value;
      } else {
        kept_notes.erase(note.key);
      }
    }
    for (ServiceDelivery& each : what.deliveries) deliveries.push_back(std::move(each));
    co_return Result<void>();
  }
  net::awaitable<Result<std::map<std::string, std::string>>> notes() override { co_return kept_notes; }
  net::awaitable<Result<KeptPage>> kept(KeptRange) override { co_return KeptPage(); }
  net::awaitable<Result<void>> forget(std::string, WallTime) override { co_return Result<void>(); }
  std::string target_of(std::string_view arn) const override {
    if (arn.find(":sqs:") != std::string_view::npos) return "sqs:" + std::string(arn);
    return "lambda:" + std::string(arn.substr(arn.rfind(':') + 1));
  }
  bool exists(std::string_view target) const override { return target != "lambda:missing"; }

  std::map<std::string, std::string> kept_notes;
  std::vector<ServiceDelivery> deliveries;
  std::optional<ErrorCode> refuses;
  int commits = 0;
};

using Fields = std::vector<std::pair<std::string, std::string>>;

struct Topics {
  explicit Topics(std::vector<ServiceSource> sources = {}, std::map<std::string, std::string> notes = {}) {
    host.kept_notes = std::move(notes);
    ServiceContext made{context.get_executor(), pool.get_executor(), log, clock, AwsAccess(), std::move(sources)};
    service = sns::make_service(std::move(made));
    net::co_spawn(context, service->run(host), net::detached);
    while (!service->ready()) context.run_one();
  }
  ~Topics() { pool.join(); }

  /// The answer's body; a failure has its status before it.
  std::string call(const std::string& operation, const Fields& fields) {
    ServiceCall call;
    call.method = "POST";
    call.operation = operation;
    call.address = "http://127.0.0.1:4580";
    call.body = "Action=" + operation;
    for (const auto& [name, value] : fields) call.body += "&" + name + "=" + http::percent_encode(value);
    std::optional<ServiceAnswer> answer;
    net::co_spawn(context, service->call(host, std::move(call)),
                  [&](const std::exception_ptr& failed, ServiceAnswer said) {
                    if (!failed) answer = std::move(said);
                  });
    while (!answer) context.run_one();
    return answer->status == 200 ? answer->body : std::to_string(answer->status) + " " + answer->body;
  }
  std::string topic(const std::string& name, Fields more = {}) {
    more.emplace_back("Name", name);
    if (name.ends_with(".fifo")) {
      more.emplace_back("Attributes.entry.1.key", "FifoTopic");
      more.emplace_back("Attributes.entry.1.value", "true");
    }
    return between(call("CreateTopic", more), "TopicArn");
  }
  std::string subscribe(const std::string& topic, const std::string& protocol, const std::string& endpoint,
                        Fields more = {}) {
    more.insert(more.end(), {{"TopicArn", topic}, {"Protocol", protocol}, {"Endpoint", endpoint}});
    return between(call("Subscribe", more), "SubscriptionArn");
  }
  static std::string between(const std::string& xml, const std::string& name) {
    const std::size_t at = xml.find("<" + name + ">");
    if (at == std::string::npos) return xml;
    const std::size_t begin = at + name.size() + 2;
    return xml.substr(begin, xml.find("</" + name + ">") - begin);
  }
  static Fields attribute(const std::string& name, const std::string& value) {
    return {{"Attributes.entry.1.key", name}, {"Attributes.entry.1.value", value}};
  }

  NoLog log;
  test::FakeClock clock;
  net::io_context context;
  net::thread_pool pool{1};
  FakeHost host;
  std::unique_ptr<Service> service;
};

constexpr const char* kFunction = "arn:aws:lambda:us-east-1:000000000000:function:audit";
constexpr const char* kQueue = "arn:aws:sqs:us-east-1:000000000000:mail";

/// Whether the text holds the other.
bool says(const std::string& text, std::string_view part) {
  INFO(text);
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a message goes to functions and queues, all in one commit") {
  Topics sns;
  const std::string orders = sns.topic("orders");
  CHECK(orders == "arn:aws:sns:us-east-1:000000000000:orders");
  CHECK(sns.topic("orders") == orders);
  const std::string to_function = sns.subscribe(orders, "lambda", kFunction);
  sns.subscribe(orders, "sqs", kQueue);
  const int before = sns.host.commits;
  const std::string said = sns.call("Publish", {{"TopicArn", orders},
                                                {"Message", "hello"},
                                                {"MessageAttributes.entry.1.Name", "tier"},
                                                {"MessageAttributes.entry.1.Value.DataType", "String"},
                                                {"MessageAttributes.entry.1.Value.StringValue", "gold"}});
  CHECK(sns.host.commits == before + 1);
  REQUIRE(sns.host.deliveries.size() == 2);
  for (const ServiceDelivery& each : sns.host.deliveries) {
    const json body = json::parse(each.payload);
    if (each.target == "lambda:audit") {
      CHECK(body.at("Records").at(0).at("EventSubscriptionArn") == to_function);
      CHECK(body.at("Records").at(0).at("Sns").at("Subject").is_null());
      CHECK(body.at("Records").at(0).at("Sns").at("MessageId") == Topics::between(said, "MessageId"));
    } else {
      CHECK(each.target == "sqs:" + std::string(kQueue));
      CHECK(body.at("Message") == "hello");
      CHECK_FALSE(body.contains("Subject"));
      CHECK(body.at("MessageAttributes").at("tier").at("Value") == "gold");
    }
  }
}

TEST_CASE("a queue with raw delivery gets the message and its attributes") {
  Topics sns;
  const std::string orders = sns.topic("orders");
  sns.subscribe(orders, "sqs", kQueue, Topics::attribute("RawMessageDelivery", "true"));
  sns.call("Publish", {{"TopicArn", orders},
                       {"Message", "bare"},
                       {"MessageAttributes.entry.1.Name", "n"},
                       {"MessageAttributes.entry.1.Value.DataType", "Number"},
                       {"MessageAttributes.entry.1.Value.StringValue", "7"}});
  REQUIRE(sns.host.deliveries.size() == 1);
  CHECK(sns.host.deliveries[0].payload == "bare");
  CHECK(sns.host.deliveries[0].details.attributes.at("n") == MessageAttribute{"Number", "7"});
}

TEST_CASE("filter policies of both scopes decide who gets a message") {
  Topics sns;
  const std::string orders = sns.topic("orders");
  Fields body = Topics::attribute("FilterPolicy", R"({"kind":["new"]})");
  body.emplace_back("Attributes.entry.2.key", "FilterPolicyScope");
  body.emplace_back("Attributes.entry.2.value", "MessageBody");
  sns.subscribe(orders, "sqs", kQueue, body);
  sns.subscribe(orders, "lambda", kFunction, Topics::attribute("FilterPolicy", R"({"tier":["gold"]})"));
  sns.call("Publish", {{"TopicArn", orders}, {"Message", R"({"kind":"old"})"}});
  CHECK(sns.host.deliveries.empty());
  sns.call("Publish", {{"TopicArn", orders}, {"Message", R"({"kind":"new"})"}});
  CHECK(sns.host.deliveries.size() == 1);
  CHECK(says(sns.subscribe(orders, "sqs", std::string(kQueue) + "2", Topics::attribute("FilterPolicy", R"({"a":"b"})")),
             "InvalidParameter"));
}

TEST_CASE("a topic that a source declares feeds its function and is changed only in the configuration") {
  auto config = std::make_shared<sns::SnsConfig>();
  config->topic = "orders";
  config->name = "audit-orders";
  Topics sns({{"audit-orders", "audit", config}});
  const std::string orders = "arn:aws:sns:us-east-1:000000000000:orders";
  sns.call("Publish", {{"TopicArn", orders}, {"Message", "x"}});
  REQUIRE(sns.host.deliveries.size() == 1);
  CHECK(sns.host.deliveries[0].target == "lambda:audit");
  CHECK(sns.host.deliveries[0].source == "audit-orders");
  const std::string arn = Topics::between(sns.call("ListSubscriptions", {}), "SubscriptionArn");
  CHECK(says(sns.call("Unsubscribe", {{"SubscriptionArn", arn}}), "configuration"));
  CHECK(says(sns.call("DeleteTopic", {{"TopicArn", orders}}), "configuration"));
  CHECK(sns.service->owns("sns:orders"));
  CHECK(sns.service->owns("sns:" + orders));
  CHECK_FALSE(sns.service->owns("sns:other"));
  CHECK_FALSE(sns.service->owns("sns:arn:aws:sns:eu-west-1:111122223333:orders"));
}

TEST_CASE("an HTTP endpoint gets nothing before it has confirmed; then signed notifications") {
  Topics sns;
  const std::string orders = sns.topic("orders");
  CHECK(sns.subscribe(orders, "http", "http://127.0.0.1:9/hook") == "pending confirmation");
  REQUIRE(sns.host.deliveries.size() == 1);
  const json asked = json::parse(sns.host.deliveries[0].payload);
  CHECK(asked.at("Type") == "SubscriptionConfirmation");
  CHECK(asked.at("SubscribeURL").get<std::string>().ends_with("&Version=2010-03-31"));
  CHECK(asked.at("SubscribeURL").get<std::string>().starts_with("http://127.0.0.1:4580/?Action=ConfirmSubscription"));
  sns.call("Publish", {{"TopicArn", orders}, {"Message", "early"}});
  CHECK(sns.host.deliveries.size() == 1);
  CHECK(says(sns.call("ConfirmSubscription", {{"TopicArn", orders}, {"Token", "wrong"}}), "Invalid parameter: Token"));
  const std::string token = asked.at("Token").get<std::string>();
  const std::string arn =
      Topics::between(sns.call("ConfirmSubscription", {{"TopicArn", orders}, {"Token", token}}), "SubscriptionArn");
  sns.call("Publish", {{"TopicArn", orders}, {"Message", "x"}});
  REQUIRE(sns.host.deliveries.size() == 2);
  const auto& headers = sns.host.deliveries[1].details.headers;
  CHECK(std::find(headers.begin(), headers.end(),
                  std::pair<std::string, std::string>("x-amz-sns-subscription-arn", arn)) != headers.end());
  const auto read = sns::read_notification(sns.host.deliveries[1].payload);
  REQUIRE(read.has_value());
  const auto key = json::parse(sns.host.kept_notes.at("key"));
  const auto certificate = sns::Certificate::read(key[1].get<std::string>(), sns::Trust::kPinned, sns.clock.now().wall);
  REQUIRE(certificate.has_value());
  CHECK(certificate->signed_this(sns::string_to_sign(*read), read->signature, "1"));
  // It is told when it is unsubscribed, and may take it back.
  sns.call("Unsubscribe", {{"SubscriptionArn", arn}});
  const json ended = json::parse(sns.host.deliveries.at(2).payload);
  CHECK(ended.at("Type") == "UnsubscribeConfirmation");
  sns.call("Publish", {{"TopicArn", orders}, {"Message", "gone"}});
  CHECK(sns.host.deliveries.size() == 3);
  sns.call("ConfirmSubscription", {{"TopicArn", orders}, {"Token", ended.at("Token").get<std::string>()}});
  sns.call("Publish", {{"TopicArn", orders}, {"Message", "back"}});
  CHECK(sns.host.deliveries.size() == 4);
}

TEST_CASE("a FIFO topic publishes a message once in five minutes, also after a restart") {
  Topics sns;
  const std::string orders = sns.topic("orders.fifo");
  CHECK(says(sns.subscribe(orders, "lambda", kFunction), "Please use FIFO SQS queue"));
  sns.subscribe(orders, "sqs", std::string(kQueue) + ".fifo");
  const auto publish = [&orders](Topics& at, const std::string& id) {
    return at.call("Publish",
                   {{"TopicArn", orders}, {"Message", "x"}, {"MessageGroupId", "g"}, {"MessageDeduplicationId", id}});
  };
  const std::string first = publish(sns, "1");
  CHECK(Topics::between(publish(sns, "1"), "MessageId") == Topics::between(first, "MessageId"));
  CHECK(sns.host.deliveries.size() == 1);
  CHECK(sns.host.deliveries[0].details.group == "g");
  CHECK_FALSE(json::parse(sns.host.deliveries[0].payload).contains("Signature"));
  CHECK(Topics::between(publish(sns, "2"), "SequenceNumber") > Topics::between(first, "SequenceNumber"));
  Topics again({}, sns.host.kept_notes);
  CHECK(Topics::between(publish(again, "1"), "MessageId") == Topics::between(first, "MessageId"));
  CHECK(again.host.deliveries.empty());
  again.clock.advance(std::chrono::minutes(5));
  publish(again, "1");
  CHECK(again.host.deliveries.size() == 1);
  CHECK(says(again.call("Publish", {{"TopicArn", orders}, {"Message", "x"}}), "MessageGroupId parameter is required"));
}

TEST_CASE("a FIFO topic knows a message again in the whole topic, or in its group where the scope says so") {
  Topics sns;
  const auto group_scope = GENERATE(false, true);
  const std::string orders = sns.topic("orders.fifo");
  sns.subscribe(orders, "sqs", std::string(kQueue) + ".fifo");
  if (group_scope) {
    sns.call("SetTopicAttributes",
             {{"TopicArn", orders}, {"AttributeName", "FifoThroughputScope"}, {"AttributeValue", "MessageGroup"}});
  }
  const auto publish = [&](Topics& at, const std::string& group, const std::string& id) {
    return Topics::between(
        at.call("Publish",
                {{"TopicArn", orders}, {"Message", "x"}, {"MessageGroupId", group}, {"MessageDeduplicationId", id}}),
        "MessageId");
  };
  const std::string first = publish(sns, "a", "1");
  CHECK(publish(sns, "a", "1") == first);
  const std::string other = publish(sns, "b", "1");
  CHECK((other != first) == group_scope);
  CHECK(sns.host.deliveries.size() == (group_scope ? 2 : 1));
  // A slash may stand in both ids: where one ends stays clear.
  CHECK((publish(sns, "a/1", "2") != publish(sns, "a", "1/2")));
  Topics again({}, sns.host.kept_notes);
  CHECK(publish(again, "a", "1") == first);
  CHECK(publish(again, "b", "1") == other);
  CHECK(again.host.deliveries.empty());
}

TEST_CASE("a batch to a FIFO topic of group scope holds the same id once for each group") {
  Topics sns;
  const std::string orders = sns.topic(
      "orders.fifo", {{"Attributes.entry.2.key", "FifoThroughputScope"}, {"Attributes.entry.2.value", "MessageGroup"}});
  sns.subscribe(orders, "sqs", std::string(kQueue) + ".fifo");
  Fields batch{{"TopicArn", orders}};
  int entry = 0;
  for (const char* group : {"a", "b", "a"}) {
    const std::string at = "PublishBatchRequestEntries.member." + std::to_string(++entry);
    batch.insert(batch.end(), {{at + ".Id", std::to_string(entry)},
                               {at + ".Message", "x"},
                               {at + ".MessageGroupId", group},
                               {at + ".MessageDeduplicationId", "1"}});
  }
  sns.call("PublishBatch", batch);
  CHECK(sns.host.deliveries.size() == 2);
}

TEST_CASE("a message that could not be kept was not published") {
  Topics sns;
  const std::string orders = sns.topic("orders.fifo");
  sns.subscribe(orders, "sqs", std::string(kQueue) + ".fifo");
  const Fields message{
      {"TopicArn", orders}, {"Message", "x"}, {"MessageGroupId", "g"}, {"MessageDeduplicationId", "1"}};
  sns.host.refuses = ErrorCode::kStoreFull;
  CHECK(sns.call("Publish", message).starts_with("429 "));
  sns.host.refuses = ErrorCode::kStoreFailed;
  CHECK(sns.call("Publish", message).starts_with("500 "));
  sns.host.refuses.reset();
  CHECK(says(sns.call("Publish", message), "<MessageId>"));
  CHECK(sns.host.deliveries.size() == 1);
}

TEST_CASE("limits of Publish and PublishBatch, in AWS's words") {
  Topics sns;
  const std::string orders = sns.topic("orders");
  const auto publish = [&](const std::string& text) {
    return sns.call("Publish", {{"TopicArn", orders}, {"Message", text}});
  };
  CHECK(says(publish(std::string(262'144, 'x')), "<MessageId>"));
  CHECK(says(publish(std::string(262'145, 'x')), "Invalid parameter: Message too long"));
  CHECK(says(publish(""), "Invalid parameter: Empty message"));
  CHECK(says(sns.call("Publish", {{"TopicArn", orders + "x"}, {"Message", "x"}}), "Topic does not exist"));
  const auto batch = [&](int entries, const std::string& id, const std::string& text) {
    Fields fields{{"TopicArn", orders}};
    for (int i = 1; i <= entries; ++i) {
      const std::string at = "PublishBatchRequestEntries.member." + std::to_string(i);
      fields.emplace_back(at + ".Id", id.empty() ? "e" + std::to_string(i) : id);
      fields.emplace_back(at + ".Message", text);
    }
    return sns.call("PublishBatch", fields);
  };
  CHECK(says(batch(10, "", "x"), "<Id>e10</Id>"));
  CHECK(says(batch(11, "", "x"), "TooManyEntriesInBatchRequest"));
  CHECK(says(batch(0, "", "x"), "EmptyBatchRequest"));
  CHECK(says(batch(2, "same", "x"), "BatchEntryIdsNotDistinct"));
  CHECK(says(batch(1, "a b", "x"), "InvalidBatchEntryId"));
  CHECK(says(batch(1, std::string(81, 'i'), "x"), "InvalidBatchEntryId"));
  CHECK(says(batch(2, "", std::string(131'073, 'x')), "BatchRequestTooLong"));
  CHECK(says(batch(1, "", ""), "<SenderFault>true</SenderFault>"));
}

TEST_CASE("what cannot be subscribed is refused with why") {
  Topics sns;
  const std::string orders = sns.topic("orders");
  CHECK(says(sns.subscribe(orders, "email", "a@b.c"), "weir does not deliver to email"));
  CHECK(says(sns.subscribe(orders, "pigeon", "x"), "does not support this protocol string: pigeon"));
  CHECK(says(sns.subscribe(orders, "lambda", "arn:aws:lambda:us-east-1:000000000000:function:missing"),
             "no such function"));
  CHECK(says(sns.subscribe(orders, "sqs", std::string(kQueue) + ".fifo"), "FIFO SQS Queues can not be subscribed"));
  CHECK(says(sns.subscribe(orders, "https", "http://a/b"), "Endpoint must match the specified protocol"));
  CHECK(says(sns.call("Subscribe", {{"TopicArn", "x"}, {"Protocol", "sqs"}}), "InvalidParameter"));
  CHECK(says(sns.call("AddPermission", {}), "InvalidAction"));
}

TEST_CASE("topics, subscriptions and tags are there again after a restart; what is deleted is not") {
  Topics sns;
  const std::string orders = sns.topic("orders");
  const std::string other = sns.topic("other");
  sns.call("TagResource", {{"ResourceArn", orders}, {"Tags.member.1.Key", "team"}, {"Tags.member.1.Value", "a"}});
  const std::string arn = sns.subscribe(orders, "sqs", kQueue);
  sns.call("SetTopicAttributes",
           {{"TopicArn", orders}, {"AttributeName", "DisplayName"}, {"AttributeValue", "Orders"}});
  sns.call("DeleteTopic", {{"TopicArn", other}});
  Topics again({}, sns.host.kept_notes);
  CHECK(says(again.call("ListTopics", {}), orders));
  CHECK_FALSE(says(again.call("ListTopics", {}), other));
  CHECK(says(again.call("ListSubscriptionsByTopic", {{"TopicArn", orders}}), arn));
  CHECK(says(again.call("ListTagsForResource", {{"ResourceArn", orders}}), "<Key>team</Key>"));
  CHECK(says(again.call("GetTopicAttributes", {{"TopicArn", orders}}), "<value>Orders</value>"));
}

TEST_CASE("topics are listed a hundred at a time") {
  Topics sns;
  for (int i = 0; i < 101; ++i) sns.topic("t" + std::to_string(1000 + i));
  const std::string page = sns.call("ListTopics", {});
  const std::string token = Topics::between(page, "NextToken");
  CHECK(token == "t1099");
  const std::string rest = sns.call("ListTopics", {{"NextToken", token}});
  CHECK(says(rest, "t1100"));
  CHECK_FALSE(says(rest, "NextToken"));
}
