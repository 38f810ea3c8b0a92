#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "weir/base/time.h"

namespace weir::emulator {

/// AWS_LAMBDA_INITIALIZATION_TYPE.
inline constexpr const char* kOnDemandInitialization = "on-demand";
inline constexpr const char* kProvisionedInitialization = "provisioned-concurrency";

/// What an invocation's END and REPORT lines say.
struct Report {
  std::string request_id;
  Duration duration{0};
  std::optional<Duration> init_duration;
  std::string status;             ///< "timeout", "error\tError Type: Runtime.ExitError", or "" for success
  int memory_size = 0;            ///< MB
  std::uint64_t memory_peak = 0;  ///< bytes
};

/// The lines that Lambda itself writes to a function's log, in its text format (reference invoke.md 2.4).
std::string start_line(std::string_view request_id, std::string_view version);
std::string end_line(std::string_view request_id);
std::string report_line(const Report& report);
/// `events`: "INVOKE, SHUTDOWN"; `error_type`: "" for none.
std::string extension_line(std::string_view name, std::string_view state, std::string_view events,
                           std::string_view error_type);
/// `phase`: "init" or "invoke"; `status` as in a Report.
std::string init_report_line(Duration took, std::string_view phase, std::string_view status);

/// The same in the JSON format (monitoring-cloudwatchlogs-logformat; records of the Telemetry API's schema). It has no
/// record for the end of an invocation whose report follows.
std::string start_record(WallTime now, std::string_view request_id, std::string_view version);
std::string report_record(WallTime now, const Report& report);
std::string extension_record(WallTime now, std::string_view name, std::string_view state, bool invoke, bool shutdown,
                             std::string_view error_type);
std::string init_report_record(WallTime now, Duration took, std::string_view phase, std::string_view status,
                               std::string_view initialization_type);

}  // namespace weir::emulator
