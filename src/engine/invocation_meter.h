#pragma once

#include <array>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "weir/base/time.h"
#include "weir/event/cold_start.h"
#include "weir/event/invocation.h"

namespace weir::engine {

/// What one function's invocations came to, for the metrics of the same names (monitoring-metrics-types). Throttles are
/// counted by the ConcurrencyLedger, which refuses.
class InvocationMeter {
 public:
  /// Upper bounds of the Duration histogram in seconds; one more bucket holds the rest.
  static constexpr std::array<double, 14> kDurationBounds{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                                          0.25,  0.5,    1,     2.5,  10,    60,   900};

  /// Upper bounds of the histogram of initializations, likewise.
  static constexpr std::array<double, 11> kInitBounds{0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};

  void on_outcome(const Outcome& outcome);
  /// Of a function that weir runs itself: its environments are weir's.
  void on_cold_start(const ColdStart& start);

  std::uint64_t invocations() const { return invocations_; }  ///< the code ran, well or not
  std::uint64_t errors() const { return errors_; }            ///< of these, function errors
  std::uint64_t service_errors() const { return service_errors_; }
  /// Of a function that runs elsewhere: those that its answers told of.
  std::uint64_t cold_starts() const { return cold_starts_; }
  std::uint64_t cold_starts(StartReason reason) const { return by_reason_[static_cast<std::size_t>(reason)]; }
  std::uint64_t failed_inits() const { return failed_inits_; }  ///< cold starts that came to nothing
  Duration init_sum() const { return init_sum_; }
  /// Of cold starts that went well; as durations().
  const std::array<std::uint64_t, kInitBounds.size() + 1>& inits() const { return inits_; }
  std::optional<ColdStart> last_cold_start() const { return last_cold_start_; }
  Duration duration_sum() const { return duration_sum_; }
  /// Counts per bucket of kDurationBounds and, last, of all above; not cumulated.
  const std::array<std::uint64_t, kDurationBounds.size() + 1>& durations() const { return durations_; }

 private:
  std::uint64_t invocations_ = 0;
  std::uint64_t errors_ = 0;
  std::uint64_t service_errors_ = 0;
  std::uint64_t cold_starts_ = 0;
  bool counts_starts_ = false;  ///< its cold starts are told by themselves, not by outcomes
  std::array<std::uint64_t, std::size(kStartReasons)> by_reason_{};
  std::uint64_t failed_inits_ = 0;
  Duration init_sum_{0};
  std::array<std::uint64_t, kInitBounds.size() + 1> inits_{};
  std::optional<ColdStart> last_cold_start_;
  Duration duration_sum_{0};
  std::array<std::uint64_t, kDurationBounds.size() + 1> durations_{};
};

/// The figures of what a call named: CloudWatch's dimension Resource, which is a version or an alias.
struct ResourceFigures {
  std::uint64_t throttles = 0;
  int executing = 0;
  int executing_max = 0;
  /// By the dimension ExecutedVersion, which calls of an alias have; "" of others.
  std::map<std::string, InvocationMeter, std::less<>> by_version;
};

/// A function's figures by CloudWatch's dimensions; each call is in one place, so that they add up to the function's.
/// Source: monitoring-metrics-view.
class ResourceMeter {
 public:
  /// A function that runs elsewhere may be called by any name; beyond so many, calls count as those without one.
  static constexpr std::size_t kResourcesMax = 1000;

  void on_throttle(std::string_view qualifier) { ++figures(qualifier).throttles; }
  /// Each call that was let in, and then its end, whatever that is. `qualifier`: as it was called, "" when without.
  void on_begin(std::string_view qualifier);
  void on_end(std::string_view qualifier, const Outcome& outcome);

  /// By qualifier.
  const std::map<std::string, ResourceFigures, std::less<>>& all() const { return all_; }

 private:
  ResourceFigures& figures(std::string_view qualifier);

  std::map<std::string, ResourceFigures, std::less<>> all_;
};

}  // namespace weir::engine
