#include "connectors/s3/notification.h"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "weir/base/bytes.h"
#include "weir/base/random.h"

#include "connectors/s3/connector.h"
#include "connectors/s3/eventbridge.h"
#include "support/print.h"

using namespace weir;
using nlohmann::json;
using s3::Notification;
using s3::ObjectEvent;
using s3::read_notification;
using s3::Wrapping;

namespace {

const WallTime kNow = from_epoch_milliseconds(1'789'200'000'000);

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Compares with the golden file; WEIR_UPDATE_GOLDEN=1 writes it anew.
void check_golden(const std::string& path, const std::string& text) {
  if (std::getenv("WEIR_UPDATE_GOLDEN") != nullptr) std::ofstream(path, std::ios::binary) << text << '\n';
  CHECK(read_file(path) == text + "\n");
}

std::string golden(std::string_view name) {
  return std::string(WEIR_S3_GOLDEN) + "/" + std::string(name);
}

/// The Lambda events that a body becomes, a line each.
std::string lambda_events(const std::string& body) {
  const auto notification = read_notification(body, kNow);
  REQUIRE(notification.has_value());
  std::string lines;
  for (const ObjectEvent& event : notification->events)
    lines += (lines.empty() ? "" : "\n") + s3::lambda_event(event, "images");
  return lines;
}

/// A record as MinIO sends it, with another event.
std::string minio(std::string_view event, std::string_view object) {
  return R"({"EventName":")" + std::string(event) +
         R"(","Key":"photos/k","Records":[{"eventVersion":"2.0","eventSource":"minio:s3","awsRegion":"",)"
         R"("eventTime":"2026-03-04T05:06:07.089Z","eventName":")" +
         std::string(event) +
         R"(","userIdentity":{"principalId":"minioadmin"},"requestParameters":{"principalId":"minioadmin",)"
         R"("region":"","sourceIPAddress":"127.0.0.1"},"responseElements":{"x-amz-id-2":"aa11",)"
         R"("x-amz-request-id":"18AB","x-minio-deployment-id":"d-1"},"s3":{"s3SchemaVersion":"1.0",)"
         R"("configurationId":"Config","bucket":{"name":"photos","ownerIdentity":{"principalId":"minioadmin"},)"
         R"("arn":"arn:aws:s3:::photos"},"object":)" +
         std::string(object) + R"(},"source":{"host":"127.0.0.1","port":"","userAgent":"MinIO"}}]})";
}

json object_of(const std::string& body) {
  return json::parse(lambda_events(body)).at("Records").at(0).at("s3").at("object");
}

}  // namespace

TEST_CASE("what servers send becomes Lambda's event, byte by byte") {
  // Sources of the .in files: minio_put from MinIO's source as reference/push-sources.md section 2 restates it;
  // amazon_put is the user guide's form; amazon_restored has the user guide's glacierEventData; s3rver_put is what
  // s3rver 3.7.1 emits (lib/models/event.js).
  for (const std::string_view name : {"minio_put", "amazon_put", "amazon_restored", "s3rver_put", "two_records"}) {
    DYNAMIC_SECTION(name) {
      check_golden(golden(std::string(name) + ".json"),
                   lambda_events(read_file(golden(std::string(name) + ".in.json"))));
    }
  }
}

TEST_CASE("what a MinIO server sent becomes Lambda's events, byte by byte") {
  // Source: recorded from MinIO of 2026-02-12 through boto3: a put, a copy, a multipart upload, tags put and deleted, a
  // removal, one of nothing, a read; then, in a bucket with versions, a put and a removal.
  std::istringstream bodies(read_file(golden("minio_recorded.in.jsonl")));
  std::string events;
  for (std::string body; std::getline(bodies, body);) events += (events.empty() ? "" : "\n") + lambda_events(body);
  check_golden(golden("minio_recorded.jsonl"), events);
}

TEST_CASE("the sample event is made by the code that makes real ones") {
  check_golden(WEIR_S3_SAMPLE, s3::sample_event());
  // Reading it back and writing it anew changes nothing.
  const auto notification = read_notification(s3::sample_event(), kNow);
  REQUIRE(notification.has_value());
  CHECK(s3::lambda_event(notification->events.at(0), "828aa6fc-f7b5-4305-8584-487c791949c1") == s3::sample_event());
}

TEST_CASE("every sample is what a source would deliver: reading it back and writing it anew changes nothing") {
  for (const SampleEvent& sample : s3::samples()) {
    INFO(sample.name);
    const std::string text = sample.make();
    const auto notification = read_notification(text, kNow, Wrapping::kAny);
    REQUIRE(notification.has_value());
    REQUIRE(notification->events.size() == 1);
    CHECK(notification->left_out.empty());
    const ObjectEvent& event = notification->events[0];
    if (sample.name.starts_with("eventbridge-")) {
      json again = json::parse(s3::eventbridge_event(event));
      json first = json::parse(text);
      again.erase("id");  // it is of facts that the form does not tell
      first.erase("id");
      CHECK(again == first);
    } else {
      CHECK(s3::lambda_event(event, "828aa6fc-f7b5-4305-8584-487c791949c1") == text);
    }
  }
}

TEST_CASE("what an object has depends on the event") {
  const std::string all = R"({"key":"k","size":3,"eTag":"abc","versionId":"v1","sequencer":"0A"})";
  const auto members = [&all](std::string_view event) { return object_of(minio(event, all)).dump(); };
  // Source: recorded events, see object_event.h.
  CHECK(members("s3:ObjectCreated:Put") == R"({"eTag":"abc","key":"k","sequencer":"0A","size":3,"versionId":"v1"})");
  CHECK(members("s3:ObjectRemoved:Delete") == R"({"key":"k","sequencer":"0A","versionId":"v1"})");
  CHECK(members("s3:ObjectRemoved:DeleteMarkerCreated") ==
        R"({"eTag":"d41d8cd98f00b204e9800998ecf8427e","key":"k","sequencer":"0A","versionId":"v1"})");
  CHECK(members("s3:ObjectCreated:PutTagging") == R"({"eTag":"abc","key":"k","versionId":"v1"})");
  CHECK(members("s3:ObjectRestore:Post") == R"({"eTag":"abc","key":"k","sequencer":"0A","size":3,"versionId":"v1"})");
}

TEST_CASE("the version of an event is that of its kind") {
  const auto version = [](std::string_view event) {
    return json::parse(lambda_events(minio(event, R"({"key":"k"})"))).at("Records").at(0).at("eventVersion");
  };
  CHECK(version("s3:ObjectCreated:Put") == "2.1");
  CHECK(version("s3:ObjectRemoved:Delete") == "2.1");
  CHECK(version("s3:ObjectRestore:Completed") == "2.1");
  CHECK(version("s3:ObjectRestore:Delete") == "2.3");
  CHECK(version("s3:Replication:OperationNotTracked") == "2.2");
  for (const std::string_view event :
       {"s3:LifecycleExpiration:Delete", "s3:LifecycleTransition", "s3:IntelligentTiering", "s3:ObjectAcl:Put",
        "s3:ObjectTagging:Put", "s3:ObjectCreated:PutTagging"})
    CHECK(version(event) == "2.3");
}

TEST_CASE("a key's bytes survive, whoever sends them") {
  CHECK(object_of(minio("s3:ObjectCreated:Put", R"({"key":"cats%2Fa+b%2B%C3%BC.png"})")).at("key") ==
        "cats/a+b%2B%C3%BC.png");
  CHECK(object_of(minio("s3:ObjectCreated:Put", R"({"key":"%FF"})")).at("key") == "%FF");
}

TEST_CASE("the only version of an object is none") {
  CHECK_FALSE(object_of(minio("s3:ObjectCreated:Put", R"({"key":"k","versionId":"null"})")).contains("versionId"));
  CHECK_FALSE(object_of(minio("s3:ObjectCreated:Put", R"({"key":"k","versionId":""})")).contains("versionId"));
}

TEST_CASE("ids that the sender does not give are made up, the same for the same event") {
  const std::string body = R"({"Records":[{"eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"photos"},)"
                           R"("object":{"key":"a","sequencer":"01"}}}]})";
  const json once = json::parse(lambda_events(body)).at("Records").at(0);
  const json again = json::parse(lambda_events(body)).at("Records").at(0);
  CHECK(once == again);
  CHECK(once.at("responseElements").at("x-amz-request-id").get<std::string>().size() == 16);
  CHECK(once.at("responseElements").at("x-amz-id-2").get<std::string>().size() == 76);
  CHECK(once.at("eventTime") == iso_milliseconds(kNow));
}

TEST_CASE("Amazon's test event says nothing about an object") {
  const auto notification = read_notification(
      R"({"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2014-10-13T15:57:02.089Z","Bucket":"photos",)"
      R"("RequestId":"5582815E1AEA5ADF","HostId":"8cLeGAmw098X5cv4Zkwcmo8vvZa3eH3eKxsPzbB9wrR"})",
      kNow);
  REQUIRE(notification.has_value());
  CHECK(notification->test);
  CHECK(notification->events.empty());
}

TEST_CASE("a body that is no notification is refused, and it is said why") {
  struct Row {
    std::string body, why;
  };
  const auto row = GENERATE(values<Row>({
      {"", "not JSON"},
      {"{", "not JSON"},
      {"\"\xFF\"", "not JSON"},
      {"[]", "no Records"},
      {"7", "no Records"},
      {"{}", "no Records"},
      {R"({"Records":{}})", "no Records"},
      {R"({"Records":[]})", "no Records"},
  }));
  INFO(row.body);
  const auto notification = read_notification(row.body, kNow);
  REQUIRE(notification.has_error());
  CHECK(notification.error().code() == ErrorCode::kEventRefused);
  CHECK_THAT(notification.error().message(), Catch::Contains(row.why));
}

TEST_CASE("a record that is wrong is left out, and it is said why") {
  struct Row {
    std::string record, why;
  };
  const std::string bucket = R"("bucket":{"name":"photos"})";
  const auto row = GENERATE_COPY(values<Row>({
      {"1", "record is no object"},
      {"{}", "no eventName"},
      {R"({"eventName":1})", "no eventName"},
      {R"({"eventName":"ObjectCreated:Put"})", "no s3.bucket.name"},
      {R"({"eventName":"ObjectCreated:Put","s3":[]})", "no s3.bucket.name"},
      {R"({"eventName":"ObjectCreated:Put","s3":{)" + bucket + "}}", "no s3.object.key"},
      {R"({"eventName":"ObjectCreated:Put","s3":{)" + bucket + R"(,"object":{"key":"100%"}}})", "not form-urlencoded"},
      {R"({"eventName":"ObjectCreated:Put","s3":{)" + bucket + R"(,"object":{"key":")" + std::string(1025, 'k') +
           R"("}}})",
       "more than 1024 bytes"},
  }));
  INFO(row.record);
  const std::string good = R"({"eventName":"ObjectCreated:Put","s3":{)" + bucket + R"(,"object":{"key":"good"}}})";
  const auto notification = read_notification(R"({"Records":[)" + row.record + "," + good + "]}", kNow);
  REQUIRE(notification.has_value());
  REQUIRE(notification->events.size() == 1);
  CHECK(notification->events.at(0).key == "good");
  REQUIRE(notification->left_out.size() == 1);
  CHECK_THAT(std::string(notification->left_out.at(0).reason), Catch::Contains(row.why));
}

TEST_CASE("nesting is read to 32 levels, and refused below, however deep") {
  const auto nested = [](std::size_t levels) { return std::string(levels, '[') + std::string(levels, ']'); };
  CHECK_THAT(read_notification(nested(32), kNow).error().message(), Catch::Contains("no Records"));
  CHECK_THAT(read_notification(nested(34), kNow).error().message(), Catch::Contains("deeper"));
  CHECK_THAT(read_notification(nested(1'000'000), kNow).error().message(), Catch::Contains("deeper"));
}

TEST_CASE("in EventBridge's form, byte by byte") {
  for (const std::string_view name : {"minio_put", "amazon_restored"}) {
    DYNAMIC_SECTION(name) {
      const auto notification = read_notification(read_file(golden(std::string(name) + ".in.json")), kNow);
      REQUIRE(notification.has_value());
      check_golden(golden(std::string(name) + ".eventbridge.json"), s3::eventbridge_event(notification->events.at(0)));
    }
  }
}

TEST_CASE("what EventBridge calls an event, and back") {
  struct Row {
    std::string_view name, detail_type, reason, deletion_type;
  };
  // Source: S3 user guide, ev-mapping-troubleshooting and ev-events.
  const auto row = GENERATE(values<Row>({
      {"s3:ObjectCreated:Put", "Object Created", "PutObject", ""},
      {"s3:ObjectCreated:Post", "Object Created", "POST Object", ""},
      {"s3:ObjectCreated:Copy", "Object Created", "CopyObject", ""},
      {"s3:ObjectCreated:CompleteMultipartUpload", "Object Created", "CompleteMultipartUpload", ""},
      {"s3:ObjectRemoved:Delete", "Object Deleted", "DeleteObject", "Permanently Deleted"},
      {"s3:ObjectRemoved:DeleteMarkerCreated", "Object Deleted", "DeleteObject", "Delete Marker Created"},
      {"s3:LifecycleExpiration:Delete", "Object Deleted", "Lifecycle Expiration", "Permanently Deleted"},
      {"s3:LifecycleExpiration:DeleteMarkerCreated", "Object Deleted", "Lifecycle Expiration", "Delete Marker Created"},
      {"s3:ObjectRestore:Post", "Object Restore Initiated", "", ""},
      {"s3:ObjectRestore:Completed", "Object Restore Completed", "", ""},
      {"s3:ObjectRestore:Delete", "Object Restore Expired", "", ""},
      {"s3:LifecycleTransition", "Object Storage Class Changed", "", ""},
      {"s3:IntelligentTiering", "Object Access Tier Changed", "", ""},
      {"s3:ObjectTagging:Put", "Object Tags Added", "", ""},
      {"s3:ObjectTagging:Delete", "Object Tags Deleted", "", ""},
      {"s3:ObjectAcl:Put", "Object ACL Updated", "", ""},
  }));
  INFO(row.name);
  ObjectEvent event;
  event.name = row.name;
  event.bucket = "photos";
  event.key = "k";
  const std::string text = s3::eventbridge_event(event);
  const json envelope = json::parse(text);
  CHECK(envelope.at("detail-type") == row.detail_type);
  CHECK(envelope.at("detail").value("reason", "") == row.reason);
  CHECK(envelope.at("detail").value("deletion-type", "") == row.deletion_type);
  const auto back = read_notification(text, kNow, Wrapping::kAny);
  REQUIRE(back.has_value());
  CHECK(back->events.at(0).name == row.name);
}

TEST_CASE("what S3 does not send to EventBridge") {
  for (const std::string_view name : {"s3:Replication:*", "s3:ReducedRedundancyLostObject", "s3:ObjectAnnotation:Put",
                                      "s3:ObjectAccessed:*", "s3:ObjectCreated:PutRetention"}) {
    INFO(name);
    CHECK_FALSE(s3::goes_to_eventbridge(name));
  }
  CHECK(s3::goes_to_eventbridge("s3:LifecycleExpiration:*"));
}

TEST_CASE("what differs in EventBridge's form") {
  ObjectEvent event;
  event.name = "s3:ObjectCreated:Put";
  event.time = from_epoch_milliseconds(1'772'600'767'089);
  event.bucket = "photos";
  event.key = "ä b/c";
  event.source_ip = "198.51.100.7";
  event.principal = "AWS:AIDAZZTOPEXAMPLE00001";
  event.bucket_owner = "111122223333";
  const json put = json::parse(s3::eventbridge_event(event));
  CHECK(put.at("detail").at("object").at("key") == "ä b/c");  // not encoded
  CHECK(put.at("time") == "2026-03-04T05:06:07Z");            // no milliseconds
  CHECK(put.at("account") == "111122223333");
  CHECK(put.at("detail").at("requester") == "111122223333");
  CHECK(put.at("detail").at("source-ip-address") == "198.51.100.7");
  CHECK(put.at("id") == json::parse(s3::eventbridge_event(event)).at("id"));
  event.sequencer = "1";
  CHECK(put.at("id") != json::parse(s3::eventbridge_event(event)).at("id"));
  event.source_ip = "s3.amazonaws.com";
  event.bucket_owner = "A1B2C3D4E5F6G7";
  const json expired = json::parse(s3::eventbridge_event(event));
  CHECK(expired.at("account") == "000000000000");
  CHECK(expired.at("detail").at("requester") == "s3.amazonaws.com");
  CHECK_FALSE(expired.at("detail").contains("source-ip-address"));
}

TEST_CASE("an event that went through SNS, SQS or EventBridge is found, when it is looked for") {
  const std::string bare = read_file(golden("amazon_put.in.json"));
  const std::string as_sns = json({{"Type", "Notification"}, {"TopicArn", "arn"}, {"Message", bare}}).dump();
  const auto records = [](const json& record) { return json({{"Records", json::array({record})}}).dump(); };
  struct Row {
    std::string_view sentence;
    std::string body;
  };
  const auto row = GENERATE_COPY(values<Row>({
      {"SNS's notification", as_sns},
      {"Lambda's event of SNS", records({{"EventSource", "aws:sns"}, {"Sns", {{"Message", bare}}}})},
      {"Lambda's event of SQS", records({{"eventSource", "aws:sqs"}, {"body", bare}})},
      {"SNS in SQS", records({{"eventSource", "aws:sqs"}, {"body", as_sns}})},
  }));
  INFO(row.sentence);
  const auto found = read_notification(row.body, kNow, Wrapping::kAny);
  REQUIRE(found.has_value());
  REQUIRE(found->events.size() == 1);
  CHECK(s3::lambda_event(found->events[0], "images") == lambda_events(bare));
  const auto unasked = read_notification(row.body, kNow);
  CHECK((!unasked || unasked->events.empty()));
}

TEST_CASE("an event out of EventBridge has what S3's own has, as far as EventBridge tells it") {
  const std::string bare = read_file(golden("amazon_restored.in.json"));
  const auto first = read_notification(bare, kNow);
  REQUIRE(first.has_value());
  const std::string envelope = s3::eventbridge_event(first->events.at(0));
  const std::string queued =
      json({{"Records", json::array({{{"eventSource", "aws:sqs"}, {"body", envelope}}})}}).dump();
  for (const std::string& body : {envelope, queued}) {
    const auto found = read_notification(body, kNow, Wrapping::kAny);
    REQUIRE(found.has_value());
    REQUIRE(found->events.size() == 1);
    CHECK(found->events[0].name == first->events[0].name);
    CHECK(found->events[0].key == first->events[0].key);
    CHECK(found->events[0].etag == first->events[0].etag);
    CHECK(found->events[0].extra_name == "glacierEventData");
    CHECK(json::parse(found->events[0].extra_json) == json::parse(first->events[0].extra_json));
    CHECK(s3::eventbridge_event(found->events[0]) == envelope);
  }
}

TEST_CASE("what is wrapped and no S3 notification is left out, and spoils no other") {
  const std::string bare = read_file(golden("amazon_put.in.json"));
  const auto sqs = [](const json& body) { return json({{"eventSource", "aws:sqs"}, {"body", body}}); };
  const std::string test_event = R"({"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"b"})";
  json deep = bare;
  for (int i = 0; i < 4; ++i) deep = json({{"Type", "Notification"}, {"Message", deep}}).dump();
  const auto mixed = read_notification(
      json({{"Records", json::array({sqs("no JSON"), sqs(1), sqs(bare), sqs(test_event), sqs(deep),
                                     sqs(R"({"Type":"SubscriptionConfirmation"})"), sqs(R"({"source":"aws.s3"})")})}})
          .dump(),
      kNow, Wrapping::kAny);
  REQUIRE(mixed.has_value());
  CHECK(mixed->test);
  CHECK(mixed->events.size() == 1);
  std::string reasons;
  for (const auto& left_out : mixed->left_out) reasons += std::string(left_out.reason) + "\n";
  CHECK(reasons ==
        "what is wrapped is no S3 notification\n"
        "what is wrapped is no S3 notification\n"
        "what is wrapped is no S3 notification\n"
        "it is about a subscription to a topic, which nobody confirms here\n"
        "the event's detail-type is none that S3 has\n");
  CHECK_FALSE(read_notification("no JSON", kNow, Wrapping::kAny).has_value());
}

TEST_CASE("a damaged notification never does harm") {
  const std::string whole = read_file(golden("minio_put.in.json"));
  Random random(7);
  for (int i = 0; i < 20'000; ++i) {
    std::string body = whole;
    for (int changes = 0; changes < 3; ++changes)
      body[random.below(body.size())] = static_cast<char>(random.below(256));
    const auto notification = read_notification(body, kNow);
    if (!notification) continue;
    for (const ObjectEvent& event : notification->events) {
      const std::string text = s3::lambda_event(event, "images");
      REQUIRE(json::accept(text));
    }
  }
}
