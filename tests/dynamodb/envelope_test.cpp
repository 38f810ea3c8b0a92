#include "connectors/dynamodb/envelope.h"

#include <cstdlib>
#include <fstream>
#include <iterator>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "weir/base/json_check.h"
#include "weir/base/random.h"

#include "connectors/dynamodb/connector.h"
#include "support/print.h"

using namespace weir;
using dynamodb::RecordReader;
using dynamodb::StreamPage;
using nlohmann::json;

namespace {

const std::string kArn = "arn:aws:dynamodb:us-east-1:123456789012:table/T/stream/2026-09-17T07:00:00.000";

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Compares with the golden file; WEIR_UPDATE_GOLDEN=1 writes it anew.
void check_golden(const std::string& path, const std::string& text) {
  if (std::getenv("WEIR_UPDATE_GOLDEN") != nullptr) std::ofstream(path, std::ios::binary) << text << '\n';
  CHECK(read_file(path) == text + "\n");
}
std::string golden(const std::string& name) {
  return WEIR_DYNAMODB_GOLDEN "/" + name;
}

StreamPage read(const std::string& answer) {
  auto page = RecordReader().read(answer, kArn);
  INFO(answer);
  INFO((page ? std::string() : page.error().describe()));
  REQUIRE(page.has_value());
  return std::move(*page);
}

std::string event_of(const StreamPage& page) {
  std::string out;
  dynamodb::write_event(page.records.records, out);
  return out;
}

/// One record whose `dynamodb` member has these members, and whose record has those besides.
std::string answer_of(const std::string& change, const std::string& more = "") {
  return R"({"Records":[{"eventID":"7de3041dd709b024af6f29e4fa13d34c","eventName":"INSERT","eventVersion":"1.1",)"
         R"("eventSource":"aws:dynamodb","awsRegion":"us-east-1","dynamodb":{)" +
         change + "}" + more + "}]}";
}
const std::string kLeast =
    R"("ApproximateCreationDateTime":1.789651658E9,"Keys":{"id":{"S":"a"}},"SequenceNumber":"111111111111111111111")";

std::string refusal(const std::string& answer) {
  auto page = RecordReader().read(answer, kArn);
  REQUIRE_FALSE(page.has_value());
  CHECK(page.error().code() == ErrorCode::kSourceFailed);
  return page.error().message();
}

}  // namespace

TEST_CASE("a record is AWS's, byte for byte: its order, whole seconds with an exponent, the stream added") {
  // Lambda's event as stackd recorded it, of a GetRecords answer in another order of members.
  const StreamPage page = read(
      R"({"NextShardIterator":"arn:x|1|AAAA==","Records":[{"awsRegion":"us-east-1","dynamodb":{)"
      R"("ApproximateCreationDateTime":1.789651658E9,"Keys":{"id":{"S":"a"}},"NewImage":{"id":{"S":"a"},"n":{"N":"1"}},)"
      R"("OldImage":{"id":{"S":"a"},"n":{"N":"0"}},"SequenceNumber":"100000000000000499493087","SizeBytes":26,)"
      R"("StreamViewType":"NEW_AND_OLD_IMAGES"},"eventID":"7de3041dd709b024af6f29e4fa13d34c","eventName":"MODIFY",)"
      R"("eventSource":"aws:dynamodb","eventVersion":"1.1"}]})");
  CHECK(
      event_of(page) ==
      R"({"Records":[{"eventID":"7de3041dd709b024af6f29e4fa13d34c","eventName":"MODIFY","eventVersion":"1.1",)"
      R"("eventSource":"aws:dynamodb","awsRegion":"us-east-1","dynamodb":{"ApproximateCreationDateTime":1.789651658E9,)"
      R"("Keys":{"id":{"S":"a"}},"NewImage":{"id":{"S":"a"},"n":{"N":"1"}},"OldImage":{"id":{"S":"a"},"n":{"N":"0"}},)"
      R"("SequenceNumber":"100000000000000499493087","SizeBytes":26,"StreamViewType":"NEW_AND_OLD_IMAGES"},)"
      R"("eventSourceARN":"arn:aws:dynamodb:us-east-1:123456789012:table/T/stream/2026-09-17T07:00:00.000"}]})");
  CHECK(page.next == "arn:x|1|AAAA==");
  CHECK_FALSE(page.records.end_of_shard);
  const Record& record = page.records.records.at(0);
  CHECK(record.position.text() == "100000000000000499493087");
  CHECK(record.arrival == from_epoch_milliseconds(1'789'651'658'000));
  CHECK(record.key == R"({"id":{"S":"a"}})");
}

TEST_CASE("creation times are printed as Java prints them, however the service does") {
  const auto created = [](const std::string& number) {
    const StreamPage page = read(answer_of(R"("ApproximateCreationDateTime":)" + number +
                                           R"(,"Keys":{"id":{"S":"a"}},"SequenceNumber":"111111111111111111111")"));
    const std::string event = event_of(page);
    const std::size_t at = event.find("DateTime\":") + 10;
    return event.substr(at, event.find(',', at) - at);
  };
  CHECK(created("1.789651658E9") == "1.789651658E9");
  CHECK(created("1789651660") == "1.78965166E9");
  CHECK(created("1795433820.000") == "1.79543382E9");
  CHECK(created("1795433820.125") == "1.795433820125E9");
}

TEST_CASE("what DynamoDB Local answered, for each view type") {
  for (const std::string view : {"new_and_old_images", "keys_only", "new_image", "old_image"}) {
    INFO(view);
    const StreamPage page = read(read_file(golden("local_" + view + ".answer.json")));
    REQUIRE(page.records.records.size() == 3);
    check_golden(golden("local_" + view + ".event.json"), event_of(page));
    // The same item all along: one lane.
    CHECK(page.records.records[0].key == page.records.records[2].key);
    const json event = json::parse(event_of(page));
    const bool fresh = view == "new_and_old_images" || view == "new_image";
    const bool old = view == "new_and_old_images" || view == "old_image";
    const auto has = [&](std::size_t record, const char* image) {
      return event["Records"][record]["dynamodb"].contains(image);
    };
    CHECK(has(0, "NewImage") == fresh);
    CHECK_FALSE(has(0, "OldImage"));
    CHECK(has(1, "NewImage") == fresh);
    CHECK(has(1, "OldImage") == old);
    CHECK_FALSE(has(2, "NewImage"));
    CHECK(has(2, "OldImage") == old);
  }
}

TEST_CASE("an event has exactly the size that its records said") {
  const StreamPage page = read(read_file(golden("local_new_and_old_images.answer.json")));
  for (std::size_t count = 1; count <= page.records.records.size(); ++count) {
    const std::span<const Record> records(page.records.records.data(), count);
    std::size_t size = dynamodb::kEnvelopeBytes + count - 1;
    for (const Record& record : records) size += record.encoded_bytes;
    std::string event;
    dynamodb::write_event(records, event);
    CHECK(event.size() == size);
  }
  std::string empty;
  dynamodb::write_event({}, empty);
  CHECK(empty.size() == dynamodb::kEnvelopeBytes);
}

TEST_CASE("records outlive the reader and later answers") {
  StreamPage first;
  {
    RecordReader reader;
    first = reader.read(answer_of(kLeast), kArn).value();
    (void)reader.read(answer_of(R"("Keys":{"id":{"S":"other"}},"ApproximateCreationDateTime":1,"SequenceNumber":"2")"),
                      kArn);
  }
  CHECK(is_json(event_of(first)));
  CHECK(first.records.records[0].key == R"({"id":{"S":"a"}})");
}

TEST_CASE("images are the service's own bytes, white space and escapes as they are") {
  const std::string image = R"({ "a" : {"L":[{"BOOL":true},{"NULL":true}]} , "\u00e9":{"N":"1E+2"},"s":{"S":"\/\"}"}})";
  const StreamPage page = read(answer_of(kLeast + R"(, "NewImage" : )" + image + " \n, \"SizeBytes\" : 12 "));
  CHECK(event_of(page).find(R"("NewImage":)" + image + R"(,"SequenceNumber")") != std::string::npos);
  CHECK(event_of(page).find(R"("SizeBytes":12})") != std::string::npos);
}

TEST_CASE("an item's key is the same text whatever order the service writes its attributes in") {
  const auto key = [](const std::string& keys) {
    const StreamPage page = read(answer_of(R"("ApproximateCreationDateTime":1,"SequenceNumber":"1","Keys":)" + keys));
    CHECK(event_of(page).find("\"Keys\":" + keys) != std::string::npos);
    return std::string(page.records.records[0].key);
  };
  const std::string sorted = R"({"at":{"N":"5"},"id":{"S":"a"}})";
  CHECK(key(sorted) == sorted);
  CHECK(key(R"({"id":{"S":"a"},"at":{"N":"5"}})") == sorted);
  CHECK(key(R"({"id":{"S":"b"},"at":{"N":"5"}})") != sorted);
  CHECK(key(R"({"n\u0061me":{"S":"a"}})") == R"({"name":{"S":"a"}})");
}

TEST_CASE("a delete by time to live says who did it, in Lambda's spelling; nothing else has userIdentity") {
  const auto identity = [](const std::string& more) {
    const json event = json::parse(event_of(read(answer_of(kLeast, more))));
    const json& record = event["Records"][0];
    return record.contains("userIdentity") ? record["userIdentity"].dump() : "none";
  };
  const std::string lambdas = R"({"principalId":"dynamodb.amazonaws.com","type":"Service"})";
  CHECK(identity(R"(,"userIdentity":{"PrincipalId":"dynamodb.amazonaws.com","Type":"Service"})") == lambdas);
  CHECK(identity(R"(,"userIdentity":{"type":"Service","principalId":"dynamodb.amazonaws.com"})") == lambdas);
  CHECK(identity(R"(,"userIdentity":null)") == "none");
  CHECK(identity("") == "none");
  CHECK(event_of(read(answer_of(kLeast, R"(,"userIdentity":{"PrincipalId":"p","Type":"Service"})")))
            .find(R"(},"userIdentity":{"type":"Service","principalId":"p"},"eventSourceARN":)") != std::string::npos);
}

TEST_CASE("a shard's end, and answers without records") {
  CHECK(read(R"({"Records":[]})").records.end_of_shard);
  CHECK(read(R"({"Records":[],"NextShardIterator":null})").records.end_of_shard);
  const StreamPage page = read(R"({"NextShardIterator":"n\"ext","Records":[]})");
  CHECK_FALSE(page.records.end_of_shard);
  CHECK(page.next == "n\"ext");
  CHECK(page.records.records.empty());
}

TEST_CASE("an answer that is none is refused as a whole") {
  const std::string good = answer_of(kLeast);
  REQUIRE(RecordReader().read(good, kArn).has_value());
  CHECK(refusal("").ends_with("it is not JSON"));
  CHECK(refusal(good.substr(0, good.size() - 1)).ends_with("it is not JSON"));
  CHECK(refusal("[]").ends_with("it is no object"));
  CHECK(refusal("3").ends_with("it is no object"));
  refusal(R"({"Records":{}})");
  refusal(R"({"Records":[3]})");
  refusal(R"({"Records":[],"NextShardIterator":3})");
  CHECK(refusal(R"({"Records":[{}]})").ends_with("a record has no eventID or eventName"));
  CHECK(refusal(answer_of(R"("Keys":{"id":{"S":"a"}},"ApproximateCreationDateTime":1)"))
            .ends_with("a record has no SequenceNumber"));
  CHECK(refusal(answer_of(R"("Keys":{"id":{"S":"a"}},"SequenceNumber":"1")"))
            .ends_with("a record has no ApproximateCreationDateTime"));
  CHECK(
      refusal(answer_of(R"("ApproximateCreationDateTime":1,"SequenceNumber":"1")")).ends_with("a record has no Keys"));
  CHECK(refusal(answer_of(R"("ApproximateCreationDateTime":1,"Keys":{"id":{"S":"a"}},"SequenceNumber":"1x")"))
            .ends_with("a record's SequenceNumber is no number"));
  CHECK(refusal(answer_of(R"("ApproximateCreationDateTime":1,"Keys":{"id":{"S":"a"}},"SequenceNumber":1)"))
            .ends_with("SequenceNumber is no text"));
  CHECK(refusal(answer_of(R"("ApproximateCreationDateTime":1e10,"Keys":{"id":{"S":"a"}},"SequenceNumber":"1")"))
            .ends_with("a record has no ApproximateCreationDateTime"));
  CHECK(refusal(answer_of(kLeast + R"(,"NewImage":[])")).ends_with("NewImage is no object"));
  // What would be spliced into a payload is JSON, also where nothing here looks into it.
  CHECK(refusal(answer_of(kLeast + R"(,"NewImage":{"a":tru})")).ends_with("it is not JSON"));
  CHECK(refusal(answer_of(kLeast + ",\"NewImage\":{\"a\":{\"S\":\"\xff\"}}")).ends_with("it is not JSON"));
}

TEST_CASE("whatever is damaged in an answer, it is refused or its event is JSON of the size that was said") {
  const std::string whole = read_file(golden("local_new_and_old_images.answer.json"));
  Random random(20'261'123);
  RecordReader reader;
  std::size_t refused = 0;
  constexpr std::string_view kBytes = "{}[]\",:\\ nu0-eE.\xc3";
  for (int round = 0; round < 20'000; ++round) {
    std::string damaged = whole;
    for (std::uint64_t changes = 1 + random.below(3); changes > 0; --changes) {
      const std::size_t at = random.below(damaged.size());
      switch (random.below(3)) {
        case 0:
          damaged[at] = kBytes[random.below(kBytes.size())];
          break;
        case 1:
          damaged.erase(at, 1 + random.below(20));
          break;
        default:
          damaged.insert(at, damaged.substr(random.below(damaged.size()), 1 + random.below(20)));
      }
    }
    const auto page = reader.read(damaged, kArn);
    if (!page) {
      ++refused;
      continue;
    }
    INFO(damaged);
    std::size_t size = dynamodb::kEnvelopeBytes;
    for (const Record& record : page->records.records) size += record.encoded_bytes + 1;
    if (!page->records.records.empty()) --size;
    const std::string event = event_of(*page);
    REQUIRE(event.size() == size);
    REQUIRE(is_json(event));
  }
  CHECK(refused > 10'000);
}

TEST_CASE("sequence numbers are spelled as the service insists: 21 digits at least") {
  CHECK(dynamodb::sequence_text(Position(7)) == "000000000000000000007");
  CHECK(dynamodb::sequence_text(*Position::parse("111111111111111111111")) == "111111111111111111111");
  CHECK(dynamodb::sequence_text(*Position::parse("100000000000000499493087")) == "100000000000000499493087");
}

TEST_CASE("the batch's description in an on-failure record: whole seconds; of a final call only shard and stream") {
  const StreamPage page = read(read_file(golden("local_new_and_old_images.answer.json")));
  const auto info = [&](std::span<const Record> records) {
    std::string out;
    JsonWriter writer(out);
    writer.begin_object();
    dynamodb::write_batch_info("shardId-1", kArn, records, writer);
    writer.end_object();
    return out;
  };
  CHECK(info(page.records.records) ==
        R"({"DDBStreamBatchInfo":{"shardId":"shardId-1","startSequenceNumber":"000000000000000000001",)"
        R"("endSequenceNumber":"000000000000000000003","approximateArrivalOfFirstRecord":"2026-11-23T11:37:00Z",)"
        R"("approximateArrivalOfLastRecord":"2026-11-23T11:37:00Z","batchSize":3,"streamArn":")" +
            kArn + "\"}}");
  CHECK(info({}) == R"({"DDBStreamBatchInfo":{"shardId":"shardId-1","streamArn":")" + kArn + "\"}}");
}

TEST_CASE("the sample event is made by the code that makes real ones") {
  check_golden(WEIR_DYNAMODB_SAMPLE, dynamodb::sample_event());
}
