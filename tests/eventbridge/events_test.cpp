#include <ctime>
#include <fstream>
#include <iterator>

#include <catch2/catch.hpp>

#include "connectors/eventbridge/api.h"
#include "connectors/eventbridge/connector.h"
#include "connectors/eventbridge/event.h"

using namespace weir;
using eventbridge::PutEntry;

namespace {

PutEntry an_entry() {
  PutEntry entry;
  entry.source = "shop.web";
  entry.detail_type = "OrderPlaced";
  entry.detail = "{}";
  return entry;
}

std::string complaint(const PutEntry& entry) {
  const auto error = eventbridge::check_entry(entry);
  return error ? std::string(error->code) + ": " + std::string(error->message) : "";
}

std::string refused(const std::string& body) {
  const auto request = eventbridge::read_put_events(body);
  return request.error ? request.error->code + ": " + request.error->message : "";
}

std::string body_of(int entries, const std::string& detail = "{}") {
  std::string body = R"({"Entries":[)";
  for (int i = 0; i < entries; ++i) {
    body += std::string(i > 0 ? "," : "") + R"({"Source":"s","DetailType":"t","Detail":")" + detail + "\"}";
  }
  return body + "]}";
}

}  // namespace

TEST_CASE("an event's envelope, in AWS's order") {
  // Source: reference push-sources.md 4.2.
  const std::string expected =
      R"({"version":"0","id":"3f9d2c11-7a61-4b8e-9f00-0a1b2c3d4e5f","detail-type":"OrderPlaced","source":"shop.web",)"
      R"("account":"000000000000","time":"2026-03-04T05:06:07Z","region":"us-east-1","resources":[],)"
      R"("detail":{"orderId":"o-1","total":12.5}})";
  CHECK(eventbridge::sample_event() == expected);
  std::ifstream file(WEIR_EVENTBRIDGE_SAMPLE);
  const std::string sample((std::istreambuf_iterator<char>(file)), {});
  CHECK(sample == expected + "\n");
  const auto read = eventbridge::read_envelope(expected, eventbridge::Event());
  REQUIRE(read);
  CHECK(eventbridge::envelope(*read) == expected);
}

TEST_CASE("a replayed event says which replay it is of, behind its region") {
  eventbridge::Event event = eventbridge::new_event("i", from_epoch_milliseconds(0));
  event.source = "s";
  event.detail_type = "t";
  event.replay_name = "again";
  event.detail = "{}";
  event.resources = {"a", "b"};
  CHECK(
      eventbridge::envelope(event) ==
      R"({"version":"0","id":"i","detail-type":"t","source":"s","account":"000000000000",)"
      R"("time":"1970-01-01T00:00:00Z","region":"us-east-1","replay-name":"again","resources":["a","b"],"detail":{}})");
}

TEST_CASE("an event with very many resources is read in one pass") {
  eventbridge::Event event = eventbridge::new_event("i", from_epoch_milliseconds(0));
  event.source = "s";
  event.detail_type = "t";
  event.detail = "{}";
  event.resources.assign(50'000, "r");
  const std::clock_t begun = std::clock();
  const auto read = eventbridge::read_envelope(eventbridge::envelope(event), eventbridge::Event());
  REQUIRE(read);
  CHECK(read->resources == event.resources);
  // Of processor time; a pass for each of them takes more than ten times as much.
  CHECK(std::clock() - begun < CLOCKS_PER_SEC);
}

TEST_CASE("a service's event is put on a bus as it is spelt") {
  DestinationRecord message;
  message.record =
      R"({"source":"s","detail-type":"t","detail":{"n":1.0, "e":1E2},"resources":["a",1],"id":"i","region":"r"})";
  const auto entry = service::bus_entry(message, "bus");
  REQUIRE(entry);
  CHECK(entry->detail == R"({"n":1.0, "e":1E2})");
  CHECK(entry->resources == std::vector<std::string>{"a"});
  const eventbridge::Event event = eventbridge::event_of(*entry, eventbridge::new_event("new", WallTime()));
  CHECK(event.id == "i");
  CHECK(event.account == "000000000000");
  CHECK(event.region == "r");
  for (const char* wrong : {"", "[]", "{", R"({"source":"s","detail-type":"t","detail":[]})",
                            R"({"source":"s","detail-type":"t"})", R"({"source":1,"detail-type":"t","detail":{}})"}) {
    message.record = wrong;
    CHECK_FALSE(service::bus_entry(message, "bus"));
  }
}

TEST_CASE("what AWS says of an entry") {
  CHECK(complaint(an_entry()).empty());
  PutEntry entry = an_entry();
  entry.source.clear();
  CHECK(complaint(entry) == "InvalidArgument: Parameter Source is not valid. Reason: Source is a required argument.");
  entry = an_entry();
  entry.detail_type.clear();
  CHECK(complaint(entry) ==
        "InvalidArgument: Parameter DetailType is not valid. Reason: DetailType is a required argument.");
  entry.detail_type = std::string(128, 'x');
  CHECK(complaint(entry).empty());
  entry.detail_type += "x";
  CHECK(complaint(entry) ==
        "InvalidArgument: Parameter DetailType is not valid. Reason: DetailType has more than 128 characters.");
  entry = an_entry();
  entry.detail.clear();
  CHECK(complaint(entry) == "InvalidArgument: Parameter Detail is not valid. Reason: Detail is a required argument.");
  for (const char* wrong : {"[]", "\"x\"", "1", " "}) {
    entry.detail = wrong;
    CHECK(complaint(entry) == "MalformedDetail: Detail is malformed.");
  }
  entry = an_entry();
  entry.source = "aws.s3";
  CHECK(complaint(entry) == "NotAuthorizedForSourceException: Not authorized for the source.");
}

TEST_CASE("what a whole PutEvents is refused for") {
  CHECK(refused(body_of(1)).empty());
  CHECK(refused(body_of(10)).empty());
  CHECK(refused(body_of(11)) ==
        "ValidationException: 1 validation error detected: Value '[PutEventsRequestEntry]' at 'entries' failed to "
        "satisfy constraint: Member must have length less than or equal to 10");
  CHECK(refused("{}").starts_with("ValidationException: 1 validation error detected: Value null at 'entries'"));
  CHECK(refused(R"({"Entries":[]})").starts_with("ValidationException"));
  CHECK(refused("[]").starts_with("SerializationException"));
  CHECK(refused("{").starts_with("SerializationException"));
  for (const char* wrong : {R"({"Entries":[{"Source":1}]})", R"({"Entries":{}})", R"({"Entries":[1]})",
                            R"({"Entries":[{"Resources":"r"}]})", R"({"Entries":[{"Resources":[1]}]})"}) {
    CHECK(refused(wrong).starts_with("SerializationException"));
  }
}

TEST_CASE("the size of entries is counted as AWS does") {
  PutEntry entry = an_entry();
  entry.resources = {"12345"};
  CHECK(eventbridge::entry_size(entry) == 8 + 11 + 2 + 5);
  entry.time = from_epoch_milliseconds(0);
  CHECK(eventbridge::entry_size(entry) == 8 + 11 + 2 + 5 + 14);
  const std::size_t most = eventbridge::kMaxEntriesBytes - 2;  // source and detail type have a byte each
  CHECK(refused(body_of(1, std::string(most, 'x'))).empty());
  CHECK(refused(body_of(1, std::string(most + 1, 'x'))) ==
        "ValidationException: Total size of the entries in the request is over the limit.");
}

TEST_CASE("texts of entries are taken as their escapes say") {
  struct Row {
    const char* written;
    std::string read;
  };
  const auto row = GENERATE(values<Row>({{R"(\"a\" \\ \/)", R"("a" \ /)"},
                                         {R"(\b\f\n\r\t)", "\b\f\n\r\t"},
                                         {R"(\u00e9x\u20AC)", "\u00e9x\u20ac"},
                                         {R"(\ud83d\ude00!)", "\U0001F600!"},
                                         {R"(\ud83d)", R"(\ud83d)"},
                                         {R"(\ud83d\u0041)", R"(\ud83d\u0041)"},
                                         {R"(\ude00)", R"(\ude00)"}}));
  const auto request =
      eventbridge::read_put_events(R"({"Entries":[{"Detail":")" + std::string(row.written) + R"(","Source":null}]})");
  REQUIRE(!request.error);
  CHECK(request.entries.at(0).detail == row.read);
  CHECK(request.entries.at(0).source.empty());
}

TEST_CASE("a long text has its escapes anywhere") {
  for (std::size_t before = 0; before < 40; ++before) {
    const std::string plain(before, 'x');
    const auto request = eventbridge::read_put_events(R"({"Entries":[{"Detail":")" + plain + R"(\"a\")" + plain +
                                                      R"(\u20ac\n)" + plain + R"("}]})");
    REQUIRE(!request.error);
    CHECK(request.entries.at(0).detail == plain + "\"a\"" + plain + "\u20ac\n" + plain);
  }
}

TEST_CASE("of a member that comes twice the last counts, and one that nobody knows is passed over") {
  const auto request = eventbridge::read_put_events(
      R"({"Entries":[{"Source":1},2],"More":{"a":[1,{}]},"\u0045ntries":[{"So\u0075rce":"a","Source":"b","More":[[{}]],)"
      R"("Resources":["x"],"Resources":["y","z"],"Detail":null}]})");
  REQUIRE(!request.error);
  REQUIRE(request.entries.size() == 1);
  CHECK(request.entries.at(0).source == "b");
  CHECK(request.entries.at(0).resources == std::vector<std::string>{"y", "z"});
}

TEST_CASE("a body that is malformed anywhere is no JSON, whatever else is wrong with it") {
  for (const char* body :
       {R"({"Entries":[{"Source":1}]} x)", R"({"Entries":[{"Source":1}])", R"({"Entries":[{"Source":1},]})",
        R"({"Entries":[1]"More":1})", R"({"Entries":nul})", R"({"Entries":[{"Source":nul}]})", " ", "1"}) {
    CHECK(refused(body) == "SerializationException: The request's body is no JSON object.");
  }
}

TEST_CASE("times of entries are seconds, or a text") {
  const auto request = eventbridge::read_put_events(
      R"({"Entries":[{"Time":1772600767.5},{"Time":"2026-03-04T05:06:07Z"},{"Time":1772600767}]})");
  REQUIRE(!request.error);
  CHECK(epoch_milliseconds(*request.entries.at(0).time) == 1'772'600'767'500);
  CHECK(epoch_milliseconds(*request.entries.at(1).time) == 1'772'600'767'000);
  CHECK(epoch_milliseconds(*request.entries.at(2).time) == 1'772'600'767'000);
  for (const char* wrong : {"-1", "1e300", "true", "\"soon\""}) {
    CHECK(refused(R"({"Entries":[{"Time":)" + std::string(wrong) + "}]}").starts_with("SerializationException"));
  }
}
