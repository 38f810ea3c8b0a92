#pragma once

#include "weir/base/time.h"

namespace weir::test {

/// A clock that is turned by hand.
class FakeClock final : public Clock {
 public:
  Moment now() const override { return now_; }
  void advance(Duration by) {
    now_.instant += by;
    now_.wall += by;
  }

 private:
  Moment now_{Instant(std::chrono::hours(1)), from_epoch_milliseconds(1'789'200'000'000)};
};

}  // namespace weir::test
