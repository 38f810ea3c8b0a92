#include "connectors/schedule/event.h"

#include <fstream>
#include <iterator>

#include <catch2/catch.hpp>

#include "connectors/schedule/connector.h"
#include "schedule/zones.h"

using namespace weir;
using namespace weir::scheduled;

namespace {

Run nightly() {
  Run run;
  run.name = "nightly";
  run.time = test::utc("2022-03-22T18:59:43Z");
  run.execution_id = "11111111-2222-4333-8444-555555555555";
  return run;
}

std::string event(Kind kind, std::optional<std::string> input = std::nullopt) {
  ScheduleConfig config;
  config.kind = kind;
  config.input = std::move(input);
  return event_of(config, nightly());
}

}  // namespace

TEST_CASE("the sample is what the code makes") {
  std::ifstream file(WEIR_SCHEDULE_SAMPLE);
  const std::string sample{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  CHECK(sample == sample_event() + "\n");
  CHECK(samples().size() == 2);
}

TEST_CASE("a rule's event") {
  // Source: localstack test_events_schedule.snapshot.json (recorded from AWS), the order of keys of its envelopes.
  CHECK(event(Kind::kRule) ==
        R"({"version":"0","id":"11111111-2222-4333-8444-555555555555","detail-type":"Scheduled Event",)"
        R"("source":"aws.events","account":"000000000000","time":"2022-03-22T18:59:43Z","region":"us-east-1",)"
        R"("resources":["arn:aws:events:us-east-1:000000000000:rule/nightly"],"detail":{}})");
}

TEST_CASE("EventBridge Scheduler's event") {
  // Source: reference push-sources.md 5, as seen in the wild.
  CHECK(event(Kind::kScheduler) ==
        R"({"version":"0","id":"11111111-2222-4333-8444-555555555555","detail-type":"Scheduled Event",)"
        R"("source":"aws.scheduler","account":"000000000000","time":"2022-03-22T18:59:43Z","region":"us-east-1",)"
        R"("resources":["arn:aws:scheduler:us-east-1:000000000000:schedule/default/nightly"],"detail":"{}"})");
}

TEST_CASE("keywords of the input") {
  CHECK(event(Kind::kScheduler, R"({"arn":"<aws.scheduler.schedule-arn>","at":"<aws.scheduler.scheduled-time>",)"
                                R"("id":"<aws.scheduler.execution-id>","n":<aws.scheduler.attempt-number>})") ==
        R"({"arn":"arn:aws:scheduler:us-east-1:000000000000:schedule/default/nightly",)"
        R"("at":"2022-03-22T18:59:43Z","id":"11111111-2222-4333-8444-555555555555","n":1})");
  CHECK(event(Kind::kScheduler, R"("<<aws.scheduler.attempt-number>> <aws.scheduler.x> <")") ==
        R"("<1> <aws.scheduler.x> <")");
  CHECK(event(Kind::kScheduler, "") == "");
  CHECK(event(Kind::kRule, R"("<aws.scheduler.attempt-number>")") == R"("<aws.scheduler.attempt-number>")");
}
