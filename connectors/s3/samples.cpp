#include <array>
#include <span>

#include "connectors/s3/connector.h"
#include "connectors/s3/eventbridge.h"
#include "connectors/s3/object_event.h"

namespace weir::s3 {
namespace {

constexpr std::string_view kConfiguration = "828aa6fc-f7b5-4305-8584-487c791949c1";

/// Source: Lambda developer guide, with-s3, the example event.
ObjectEvent example(std::string_view name) {
  ObjectEvent event;
  event.name = name;
  event.time = from_epoch_milliseconds(1'567'539'447'192);
  event.region = "us-east-2";
  event.principal = "AWS:AIDAINPONIXQXHT3IKHL2";
  event.source_ip = "205.255.255.255";
  event.request_id = "D82B88E5F771F645";
  event.host_id = "vlR7PnpV2Ce81l0PRw6jlUpck7Jo5ZsQjryTjKlc5aLWGVHPZLj5NeC6qMa0emYBDXOo6QBU0Wo=";
  event.bucket = "lambda-artifacts-deafc19498e3f2df";
  event.bucket_owner = "A3I5XTEXAMAI3E";
  event.key = "b21b84d653bb07b05b1e6b33684dc11b";
  event.size = 1'305'107;
  event.etag = "b21b84d653bb07b05b1e6b33684dc11b";
  event.sequencer = "0C0F6F405D6ED209E1";
  return event;
}

std::string notification_of(const ObjectEvent& event) {
  return lambda_event(event, kConfiguration);
}

std::string copied() {
  return notification_of(example("s3:ObjectCreated:Copy"));
}
std::string uploaded_in_parts() {
  ObjectEvent event = example("s3:ObjectCreated:CompleteMultipartUpload");
  event.etag += "-2";  // of two parts
  return notification_of(event);
}
std::string removed() {
  return notification_of(example("s3:ObjectRemoved:Delete"));
}
std::string marked() {
  ObjectEvent event = example("s3:ObjectRemoved:DeleteMarkerCreated");
  event.version_id = "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e";
  return notification_of(event);
}
std::string tagged() {
  return notification_of(example("s3:ObjectTagging:Put"));
}

ObjectEvent restored_object() {
  ObjectEvent event = example("s3:ObjectRestore:Completed");
  event.source_ip = "s3.amazonaws.com";
  event.principal = "AmazonCustomer:A3I5XTEXAMAI3E";
  event.extra_name = "glacierEventData";
  event.extra_json = R"({"restoreEventData":{"lifecycleRestorationExpiryTime":"2019-09-05T00:00:00.000Z",)"
                     R"("lifecycleRestoreStorageClass":"GLACIER"}})";
  return event;
}
std::string restored() {
  return notification_of(restored_object());
}

std::string created_by_eventbridge() {
  return eventbridge_event(example("s3:ObjectCreated:Put"));
}
std::string deleted_by_eventbridge() {
  return eventbridge_event(example("s3:ObjectRemoved:Delete"));
}
std::string restored_by_eventbridge() {
  return eventbridge_event(restored_object());
}

}  // namespace

std::string sample_event() {
  return notification_of(example("s3:ObjectCreated:Put"));
}

std::span<const SampleEvent> samples() {
  static constexpr std::array kSamples{
      SampleEvent{"eventbridge-created", "An object that was put, with format: eventbridge.", &created_by_eventbridge},
      SampleEvent{"eventbridge-deleted", "One that was deleted, with format: eventbridge.", &deleted_by_eventbridge},
      SampleEvent{"eventbridge-restored", "One that was restored, with format: eventbridge.", &restored_by_eventbridge},
      SampleEvent{"object-created-copy", "An object that was copied there.", &copied},
      SampleEvent{"object-created-multipart", "One that was uploaded in parts.", &uploaded_in_parts},
      SampleEvent{"object-created-put", "One that was put, as without a name.", &sample_event},
      SampleEvent{"object-removed-delete", "One that was deleted.", &removed},
      SampleEvent{"object-removed-marker", "One that got a delete marker, in a bucket with versions.", &marked},
      SampleEvent{"object-restore-completed", "One that was restored from an archive.", &restored},
      SampleEvent{"object-tagging-put", "One whose tags were set.", &tagged},
  };
  return kSamples;
}

}  // namespace weir::s3
