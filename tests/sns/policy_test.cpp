#include <catch2/catch.hpp>

#include "connectors/sns/delivery_policy.h"
#include "connectors/sns/message.h"

using namespace weir;
using std::chrono::seconds;

TEST_CASE("an HTTP endpoint is tried three times more, 20 s apart, unless a policy says otherwise") {
  const sns::DeliveryPolicy usual;
  int retries = 0;
  for (const RetryPhase& phase : usual.rules.phases) retries += phase.retries;
  CHECK(retries == 3);
  const auto own = sns::read_subscription_policy(
      R"({"healthyRetryPolicy":{"numRetries":10,"numNoDelayRetries":1,"numMinDelayRetries":2,"numMaxDelayRetries":3,
          "minDelayTarget":1,"maxDelayTarget":60,"backoffFunction":"exponential"},
          "throttlePolicy":{"maxReceivesPerSecond":5},"requestPolicy":{"headerContentType":"text/csv"}})",
      usual);
  REQUIRE(own.has_value());
  const auto& phases = own->rules.phases;
  REQUIRE(phases.size() == 4);
  CHECK(phases[0] == RetryPhase{1, Duration(0), Duration(0), Backoff::kLinear});
  CHECK(phases[1] == RetryPhase{2, seconds(1), seconds(1), Backoff::kLinear});
  CHECK(phases[2] == RetryPhase{4, seconds(1), seconds(60), Backoff::kExponential});
  CHECK(phases[3] == RetryPhase{3, seconds(60), seconds(60), Backoff::kLinear});
  CHECK(own->rules.max_per_second == 5);
  CHECK(own->content_type == "text/csv");
}

TEST_CASE("a topic's policy is for its subscriptions, which may differ unless it says they may not") {
  const auto topic = sns::read_topic_policy(
      R"({"http":{"defaultHealthyRetryPolicy":{"numRetries":0},"disableSubscriptionOverrides":true}})");
  REQUIRE(topic.has_value());
  CHECK_FALSE(topic->subscriptions_may_differ);
  CHECK(sns::read_topic_policy(sns::topic_policy_json(*topic)).has_value());
}

TEST_CASE("limits of a delivery policy, both sides") {
  const sns::DeliveryPolicy usual;
  const auto takes = [&](const std::string& members) {
    return sns::read_subscription_policy(R"({"healthyRetryPolicy":{)" + members + "}}", usual).has_value();
  };
  CHECK(takes(R"("numRetries":100)"));
  CHECK_FALSE(takes(R"("numRetries":101)"));
  CHECK(takes(R"("numRetries":1,"maxDelayTarget":3600)"));
  CHECK_FALSE(takes(R"("numRetries":1,"maxDelayTarget":3601)"));
  CHECK_FALSE(takes(R"("minDelayTarget":30,"maxDelayTarget":20)"));
  CHECK_FALSE(takes(R"("numRetries":2,"minDelayTarget":1801,"maxDelayTarget":1801)"));
  CHECK_FALSE(takes(R"("backoffFunction":"cubic")"));
}

TEST_CASE("functions and queues are tried 100,015 times over 23 days") {
  const DeliveryRules rules = sns::service_rules();
  int retries = 0;
  for (const RetryPhase& phase : rules.phases) retries += phase.retries;
  CHECK(retries == 100'015);
  CHECK(rules.max_age == std::chrono::hours(23 * 24));
}

TEST_CASE("MessageStructure=json has a text for each protocol") {
  sns::Message message;
  message.structure = "json";
  message.text = R"({"default":"d","sqs":"q","http":7})";
  REQUIRE(sns::check_message(message).has_value());
  CHECK(message.text_for("sqs") == "q");
  CHECK(message.text_for("http") == "d");
  message.text = R"({"sqs":"q"})";
  CHECK(sns::check_message(message).error().message ==
        "Invalid parameter: Message Structure - No default entry in JSON message body");
  message.text = "x";
  CHECK(sns::check_message(message).error().message ==
        "Invalid parameter: Message Structure - JSON message body failed to parse");
  message.text = R"({"default":"d","n":1e999})";  // JSON, with a number that no double holds
  CHECK_FALSE(sns::check_message(message).has_value());
}

TEST_CASE("a subject has 1 to 99 characters and no lines") {
  sns::Message message;
  message.text = "x";
  message.subject = std::string(99, 's');
  CHECK(sns::check_message(message).has_value());
  for (const std::string& wrong : {std::string(), std::string(100, 's'), std::string("a\nb")}) {
    message.subject = wrong;
    CHECK_FALSE(sns::check_message(message).has_value());
  }
}
