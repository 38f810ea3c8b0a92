#include <array>

#include "connectors/eventbridge/connector.h"
#include "connectors/eventbridge/event.h"
#include "connectors/eventbridge/model.h"
#include "service/fed_source.h"

namespace weir::eventbridge {
namespace {

constexpr std::int64_t kSampleTime = 1'772'600'767'000;

Event sample(std::string id) {
  return new_event(std::move(id), from_epoch_milliseconds(kSampleTime));
}

std::string scheduled_event() {
  Event event = sample("53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa");
  event.source = "aws.events";
  event.detail_type = "Scheduled Event";
  event.resources.push_back(rule_arn(kDefaultBus, "nightly"));
  event.detail = "{}";
  return envelope(event);
}

std::string replayed_event() {
  Event event = sample("8a2b1c9d-2f7e-4c55-9a61-0d3e5f7a9b1c");
  event.source = "shop.web";
  event.detail_type = "OrderPlaced";
  event.replay_name = "march-again";
  event.detail = R"({"orderId":"o-1","total":12.5})";
  return envelope(event);
}

}  // namespace

std::unique_ptr<PushSource> make_source(std::shared_ptr<const SourceConfig> config, SourceContext context) {
  static_cast<void>(config);
  return std::make_unique<service::FedSource>(context.executor);
}

std::string sample_event() {
  Event event = sample("3f9d2c11-7a61-4b8e-9f00-0a1b2c3d4e5f");
  event.source = "shop.web";
  event.detail_type = "OrderPlaced";
  event.detail = R"({"orderId":"o-1","total":12.5})";
  return envelope(event);
}

std::span<const SampleEvent> samples() {
  static constexpr std::array kSamples{
      SampleEvent{"replayed", "An event of an archive that is replayed.", &replayed_event},
      SampleEvent{"scheduled", "What a rule with a schedule makes.", &scheduled_event},
  };
  return kSamples;
}

}  // namespace weir::eventbridge
