#include "aws/event_stream.h"

#include <catch2/catch.hpp>

#include "kinesis/stream_message.h"

using namespace weir;
using namespace aws;
using test::message;
using test::number;

TEST_CASE("checksums are those of zlib") {
  CHECK(crc32_of("") == 0);
  CHECK(crc32_of("123456789") == 0xCBF43926U);
}

TEST_CASE("messages come out whole, however their bytes come in") {
  const std::string bytes = message({{":message-type", "event"}, {":event-type", "SubscribeToShardEvent"}}, "{}") +
                            message({}, "") + message({{"a", "b"}}, std::string(100'000, 'x'));
  const std::size_t step = GENERATE(1, 7, 12, 100, 1'000'000);
  StreamMessages messages;
  std::vector<StreamMessage> got;
  for (std::size_t at = 0; at < bytes.size(); at += step) {
    messages.add(std::string_view(bytes).substr(at, step));
    for (;;) {
      auto next = messages.next();
      REQUIRE(next.has_value());
      if (!*next) break;
      got.push_back(std::move(**next));
    }
  }
  REQUIRE(got.size() == 3);
  CHECK(got[0].header(":event-type") == "SubscribeToShardEvent");
  CHECK(got[0].payload == "{}");
  CHECK(got[1].headers.empty());
  CHECK(got[2].payload.size() == 100'000);
}

TEST_CASE("each broken byte of a message is found") {
  const std::string whole = message({{":message-type", "event"}}, "payload");
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string broken = whole;
    broken[at] = static_cast<char>(broken[at] ^ 0x10);
    StreamMessages messages;
    messages.add(broken);
    const auto next = messages.next();
    CAPTURE(at);
    REQUIRE_FALSE(next.has_value());
    CHECK(next.error().code() == ErrorCode::kSourceFailed);
  }
}

TEST_CASE("lengths that cannot be, with the right checksum") {
  const auto prelude = [](std::size_t total, std::size_t headers) {
    const std::string bytes = number(total) + number(headers);
    return bytes + number(crc32_of(bytes));
  };
  for (const std::string& bytes :
       {prelude(15, 0), prelude(100, 85), prelude(0xFFFFFFFF, 0), prelude(1U << 20U, 200'000)}) {
    StreamMessages messages;
    messages.add(bytes);
    CHECK_FALSE(messages.next().has_value());
  }
  StreamMessages right;
  right.add(prelude(16, 0));
  CHECK(right.next().has_value());
}

TEST_CASE("a message is written as its specification has it") {
  std::string bytes = "before";
  append_stream_message(bytes, {{":message-type", "event"}, {":event-type", "PayloadChunk"}}, "payload");
  CHECK(bytes == "before" + message({{":message-type", "event"}, {":event-type", "PayloadChunk"}}, "payload"));

  std::string empty;
  append_stream_message(empty, {}, "");
  CHECK(empty == message({}, ""));
}
