#include <array>
#include <span>

#include "connectors/sns/connector.h"
#include "connectors/sns/notification.h"

namespace weir::sns {
namespace {

constexpr std::string_view kTopic = "arn:aws:sns:us-east-1:123456789012:sns-lambda";
constexpr std::string_view kSubscription =
    "arn:aws:sns:us-east-1:123456789012:sns-lambda:21be56ed-a058-49f5-8c98-aedd2564c486";

/// Source: Lambda developer guide, with-sns.
Notification notification() {
  Notification notification;
  notification.id = "95df01b4-ee98-5cb9-9903-4c221d41eb5e";
  notification.topic_arn = kTopic;
  notification.message = "Hello from SNS!";
  notification.timestamp = "2019-01-02T12:45:07.000Z";
  notification.signature_version = "1";
  notification.signature = "dGhpcyBpcyBub3QgYSByZWFsIHNpZ25hdHVyZQ==";
  notification.certificate_url =
      "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-ac565b8b1a6c5d002d285f9598aa1d9b.pem";
  notification.unsubscribe_url =
      "https://sns.us-east-1.amazonaws.com/?Action=Unsubscribe&SubscriptionArn=" + std::string(kSubscription);
  return notification;
}

std::string attributes() {
  Notification made = notification();
  made.attributes["tier"] = {"String", "gold"};
  made.attributes["places"] = {"String.Array", R"(["north",7,true,null])"};
  made.attributes["count"] = {"Number", "12.5"};
  made.attributes["bytes"] = {"Binary", "3q2+7w=="};
  return lambda_event(made, kSubscription);
}
std::string without_subject() {
  return lambda_event(notification(), kSubscription);
}
std::string json_message() {
  Notification made = notification();
  made.subject = "order";
  made.message = R"({"orderId":"o-1","total":12.5})";
  return lambda_event(made, kSubscription);
}

}  // namespace

std::string sample_event() {
  Notification made = notification();
  made.subject = "TestInvoke";
  made.attributes["Test"] = {"String", "TestString"};
  made.attributes["TestBinary"] = {"Binary", "VGVzdEJpbmFyeQ=="};
  return lambda_event(made, kSubscription);
}

std::span<const SampleEvent> samples() {
  static constexpr std::array kSamples{
      SampleEvent{"attributes", "A message with attributes of every type.", &attributes},
      SampleEvent{"json", "One that is JSON.", &json_message},
      SampleEvent{"no-subject", "One without subject and attributes.", &without_subject},
  };
  return kSamples;
}

}  // namespace weir::sns
