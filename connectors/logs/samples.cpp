#include <array>
#include <span>

#include "connectors/logs/batch.h"
#include "connectors/logs/connector.h"

namespace weir::logs {
namespace {

/// Source: CloudWatch Logs user guide, SubscriptionFilters, the example event.
Origin origin() {
  return {"CloudTrail/logs", "111111111111_CloudTrail/logs_us-east-1", "Destination"};
}

std::vector<LogEvent> events() {
  std::vector<LogEvent> events;
  for (std::uint64_t number = 1; number <= 2; ++number) {
    LogEvent event;
    event.timestamp = 1'432'826'855'000;
    event.id = event_id(event.timestamp, stable_hash(origin().stream), number);
    event.message = R"({"eventVersion":"1.03","userIdentity":{"type":"Root"}})";
    events.push_back(std::move(event));
  }
  return events;
}

std::vector<LogEvent> events_with_fields() {
  LogEvent event;
  event.timestamp = 1'432'826'855'000;
  event.id = event_id(event.timestamp, stable_hash(origin().stream), 1);
  event.message = "127.0.0.1 GET 500";
  event.fields = {{"ip", "127.0.0.1"}, {"method", "GET"}, {"status", "500"}};
  return {event};
}

std::string decoded() {
  return data_message(origin(), events());
}
std::string fields() {
  return lambda_event(origin(), events_with_fields());
}
std::string fields_decoded() {
  return data_message(origin(), events_with_fields());
}

}  // namespace

std::string sample_event() {
  return lambda_event(origin(), events());
}

std::span<const SampleEvent> samples() {
  static constexpr std::array kSamples{
      SampleEvent{"awslogs", "Two log events, as a function gets them: base64 of gzip.", &sample_event},
      SampleEvent{"decoded", "What is packed in there.", &decoded},
      SampleEvent{"fields", "A log event that a pattern of fields took apart.", &fields},
      SampleEvent{"fields-decoded", "What is packed in there.", &fields_decoded},
  };
  return kSamples;
}

}  // namespace weir::logs
