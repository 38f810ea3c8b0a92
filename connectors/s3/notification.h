#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "weir/base/error.h"

#include "connectors/s3/object_event.h"

namespace weir::s3 {

/// What the body of a notification says.
struct Notification {
  /// A record that no event can be made of.
  struct LeftOut {
    std::string bucket, key;  ///< as far as it names them, as they stand there
    std::string_view reason;  ///< one of few sentences, kept for ever
  };
  bool test = false;  ///< Amazon's s3:TestEvent, which says only that notifications will come
  std::vector<ObjectEvent> events;
  std::vector<LeftOut> left_out;
};

enum class Wrapping {
  kNone,
  /// It may be within a notification of SNS, an event of SNS or SQS as Lambda has them, or both, one in the other; or
  /// be EventBridge's.
  kAny,
};

/// Reads a body as Amazon, MinIO or another S3-compatible server sends it. Names become Amazon's; members that only the
/// sender knows are dropped. `now`: for an event that does not say when it was. A record that is wrong spoils no other.
/// Error: event.refused, what is wrong with the whole body. Never throws.
Result<Notification> read_notification(std::string_view body, WallTime now, Wrapping wrapping = Wrapping::kNone);

}  // namespace weir::s3
