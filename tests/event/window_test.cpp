#include "weir/event/window.h"

#include <catch2/catch.hpp>

using namespace weir;

namespace {

WindowCall minute_of_seven() {
  WindowCall window;
  window.start = parse_iso("2026-09-12T07:00:00Z").value();
  window.end = parse_iso("2026-09-12T07:01:00Z").value();
  return window;
}

}  // namespace

TEST_CASE("what a window adds to an event, member by member in AWS's order") {
  // Source: reference stream-sources.md, section 8.
  WindowCall window = minute_of_seven();
  CHECK(window_members("shardId-000000000000", "arn:aws:kinesis:eu-west-1:123456789012:stream/clicks", window) ==
        R"(,"shardId":"shardId-000000000000",)"
        R"("eventSourceARN":"arn:aws:kinesis:eu-west-1:123456789012:stream/clicks",)"
        R"("window":{"start":"2026-09-12T07:00:00Z","end":"2026-09-12T07:01:00Z"},)"
        R"("state":{},"isFinalInvokeForWindow":false,"isWindowTerminatedEarly":false)");
}

TEST_CASE("the last call of a window has what the function returned before, as it wrote it") {
  WindowCall window = minute_of_seven();
  window.state = R"({"sum":1.50,"text":"a\"b"})";
  window.is_final = true;
  CHECK(window_members("s", "a", window) ==
        R"(,"shardId":"s","eventSourceARN":"a",)"
        R"("window":{"start":"2026-09-12T07:00:00Z","end":"2026-09-12T07:01:00Z"},)"
        R"("state":{"sum":1.50,"text":"a\"b"},"isFinalInvokeForWindow":true,"isWindowTerminatedEarly":false)");
  window.terminated_early = true;
  CHECK(window_members("s", "a", window).ends_with(R"("isWindowTerminatedEarly":true)"));
}

TEST_CASE("names of shards and sources are texts of JSON") {
  const std::string members = window_members("a\"b", "c\\d", minute_of_seven());
  CHECK(members.starts_with(R"(,"shardId":"a\"b","eventSourceARN":"c\\d",)"));
}
