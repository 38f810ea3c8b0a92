// What a function's answer says of its batch (reference stream-sources.md, 5.2 to 5.4).
#include "bridge/batch_response.h"

#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>

#include "bridge/world.h"
#include "support/fake_clock.h"

using namespace weir;
using namespace weir::bridge;
using Items = BatchResponse::Items;

namespace {

BatchResponse response_of(const std::string& payload) {
  net::io_context context;
  const test::FakeClock clock;
  test::EventNames log;
  const test::FakeSource source(std::make_shared<test::FakeStream>(),
                                SourceContext{"s", context.get_executor(), context.get_executor(), log, clock});
  return read_batch_response(payload, true, source, {"s", "a"});
}

std::string state_of(const std::string& payload) {
  return response_of(payload).state.value_or("none");
}

/// The answer as the mapping of a stream reads it: "done", "all", or the positions that failed.
std::string read(const std::string& payload) {
  const BatchResponse response = response_of(payload);
  if (response.items == Items::kAllDone) return "done";
  if (response.items == Items::kAllFailed) return "all";
  std::string text;
  for (const Position& position : response.failed) text += (text.empty() ? "" : ",") + position.text();
  return text;
}

}  // namespace

TEST_CASE("an answer that reports nothing is a success") {
  const auto payload = GENERATE(as<std::string>{}, R"({"batchItemFailures":[]})", R"({"batchItemFailures":null})", "{}",
                                "null", R"("")", "[]", "", R"({"statusCode":200})", R"("ok")", "7");
  CAPTURE(payload);
  CHECK(read(payload) == "done");
}

TEST_CASE("what cannot be understood fails the whole batch") {
  const auto payload = GENERATE(
      as<std::string>{}, R"({"batchItemFailures":[{"itemIdentifier":""}]})",
      R"({"batchItemFailures":[{"itemIdentifier":null}]})", R"({"batchItemFailures":[{"foo":"bar"}]})",
      R"({"batchItemFailures":[{"foo":null}]})", R"({"batchItemFailures":["1"]})", R"({"batchItemFailures":"1"})",
      R"({"batchItemFailures":{"itemIdentifier":"1"}})", R"({"batchItemFailures":[{"itemIdentifier":"x"}]})",
      R"({"batchItemFailures":[{"itemIdentifier":"1"},{"itemIdentifier":""}]})", "not JSON", "{");
  CAPTURE(payload);
  CHECK(read(payload) == "all");
}

TEST_CASE("reported sequence numbers are positions, in the order of the answer") {
  CHECK(read(R"({"batchItemFailures":[{"itemIdentifier":"12"},{"itemIdentifier":"7","why":"x"}]})") == "12,7");
  const std::string long_number = "49640000000000000000000000000000000000000000000000000434";
  CHECK(read(R"({"batchItemFailures":[{"itemIdentifier":")" + long_number + R"("}]})") == long_number);
}

TEST_CASE("a window's state is the answer's member as it is") {
  CHECK(state_of(R"({"state":{"sum":[1,2]}})") == R"({"sum":[1,2]})");
  CHECK(state_of(R"({"state":null})") == "null");
  CHECK(state_of("{}") == "none");
  CHECK(state_of("null") == "none");
  CHECK(state_of("") == "none");
  CHECK(state_of("{") == "none");
}

TEST_CASE("an answer that is nested without end does no harm") {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  // Within the object itself.
  CHECK(state_of("{\"state\":" + nested(999) + "}") == nested(999));
  CHECK(state_of("{\"state\":" + nested(1000) + "}") == "none");
  CHECK(state_of("{\"state\":" + nested(2'000'000) + "}") == "none");
  CHECK(read("{\"batchItemFailures\":[{\"itemIdentifier\":" + nested(100'000) + "}]}") == "all");
  CHECK(state_of("{\"state\":\"" + std::string(5000, '[') + "\"}") == '"' + std::string(5000, '[') + '"');
}
