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
#include "support/print.h"

using namespace weir;
using nlohmann::json;
using s3::Notification;
using s3::ObjectEvent;
using s3::read_notification;

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
