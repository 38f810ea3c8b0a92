#pragma once

#include <string>
#include <string_view>

#include "connectors/s3/object_event.h"

namespace weir::s3 {

/// Whether S3 sends that event, or some of a family ("s3:ObjectCreated:*"), to EventBridge: not
/// replication, reduced redundancy, annotations, and nothing that is MinIO's own.
/// Source: S3 user guide, ev-mapping-troubleshooting.
bool goes_to_eventbridge(std::string_view name);

/// The name of the event that an envelope with these members tells of; "" of none. `reason`, `deletion_type`: as far as
/// it has them.
std::string_view name_of_detail(std::string_view detail_type, std::string_view reason, std::string_view deletion_type);

/// The event as EventBridge delivers it: bare, with no Records, and the key as it is. It goes there. Its id
/// is the same for the same event, so that a repeated one is told by it. The account is the owner's when that is one's
/// number, else weir's own.
/// Source: S3 user guide, ev-events; order of members: recorded envelopes (localstack test_events_targets).
std::string eventbridge_event(const ObjectEvent& event);

}  // namespace weir::s3
