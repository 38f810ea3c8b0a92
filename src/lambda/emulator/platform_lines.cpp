#include "lambda/emulator/platform_lines.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>

#include "weir/base/json_writer.h"

namespace weir::emulator {

namespace {

std::string milliseconds(Duration duration) {
  char text[48];
  std::snprintf(text, sizeof(text), "%.2f ms", std::max(0.0, as_seconds(duration) * 1000));
  return text;
}

/// To two decimals, as in the text format.
double in_milliseconds(Duration duration) {
  return std::round(std::max(0.0, as_seconds(duration) * 1000) * 100) / 100;
}

Duration billed(const Report& report) {
  return std::chrono::ceil<std::chrono::milliseconds>(report.duration + report.init_duration.value_or(Duration(0)));
}

std::uint64_t peak_megabytes(const Report& report) {
  return (report.memory_peak + (1U << 20U) - 1) >> 20U;
}

JsonWriter begin_record(std::string& text, WallTime now, std::string_view type) {
  JsonWriter out(text);
  out.begin_object().member("time", iso_milliseconds(now)).member("type", type).key("record").begin_object();
  return out;
}

/// The text format's "error\tError Type: NAME" in two members.
void write_status(JsonWriter& out, std::string_view status) {
  constexpr std::string_view kError = "error\tError Type: ";
  if (status.starts_with(kError)) {
    out.member("status", "error").member("errorType", status.substr(kError.size()));
  } else {
    out.member("status", status.empty() ? "success" : status);
  }
}

}  // namespace

std::string start_line(std::string_view request_id, std::string_view version) {
  return "START RequestId: " + std::string(request_id) + " Version: " + std::string(version);
}

std::string end_line(std::string_view request_id) {
  return "END RequestId: " + std::string(request_id);
}

std::string report_line(const Report& report) {
  std::string line = "REPORT RequestId: " + report.request_id + "\tDuration: " + milliseconds(report.duration) +
                     "\tBilled Duration: " +
                     std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(billed(report)).count()) +
                     " ms\tMemory Size: " + std::to_string(report.memory_size) +
                     " MB\tMax Memory Used: " + std::to_string(peak_megabytes(report)) + " MB\t";
  if (report.init_duration) line += "Init Duration: " + milliseconds(*report.init_duration) + "\t";
  if (!report.status.empty()) line += "Status: " + report.status;
  return line;
}

std::string extension_line(std::string_view name, std::string_view state, std::string_view events,
                           std::string_view error_type) {
  std::string line = "EXTENSION\tName: " + std::string(name) + "\tState: " + std::string(state) + "\tEvents: [" +
                     std::string(events) + "]";
  if (!error_type.empty()) line += "\tError Type: " + std::string(error_type);
  return line;
}

std::string init_report_line(Duration took, std::string_view phase, std::string_view status) {
  return "INIT_REPORT Init Duration: " + milliseconds(took) + "\tPhase: " + std::string(phase) +
         "\tStatus: " + std::string(status);
}

std::string start_record(WallTime now, std::string_view request_id, std::string_view version) {
  std::string text;
  JsonWriter out = begin_record(text, now, "platform.start");
  out.member("requestId", request_id).member("version", version).end_object().end_object();
  return text;
}

std::string report_record(WallTime now, const Report& report) {
  std::string text;
  JsonWriter out = begin_record(text, now, "platform.report");
  out.member("requestId", report.request_id).key("metrics").begin_object();
  out.member("durationMs", in_milliseconds(report.duration));
  out.member("billedDurationMs", std::chrono::duration_cast<std::chrono::milliseconds>(billed(report)).count());
  out.member("memorySizeMB", report.memory_size).member("maxMemoryUsedMB", peak_megabytes(report));
  if (report.init_duration) out.member("initDurationMs", in_milliseconds(*report.init_duration));
  out.end_object();
  write_status(out, report.status);
  out.end_object().end_object();
  return text;
}

std::string extension_record(WallTime now, std::string_view name, std::string_view state, bool invoke, bool shutdown,
                             std::string_view error_type) {
  std::string text;
  JsonWriter out = begin_record(text, now, "platform.extension");
  out.member("name", name).member("state", state).key("events").begin_array();
  if (invoke) out.value("INVOKE");
  if (shutdown) out.value("SHUTDOWN");
  out.end_array();
  if (!error_type.empty()) out.member("errorType", error_type);
  out.end_object().end_object();
  return text;
}

std::string init_report_record(WallTime now, Duration took, std::string_view phase, std::string_view status,
                               std::string_view initialization_type) {
  std::string text;
  JsonWriter out = begin_record(text, now, "platform.initReport");
  out.member("initializationType", initialization_type).member("phase", phase);
  write_status(out, status);
  out.key("metrics").begin_object().member("durationMs", in_milliseconds(took)).end_object();
  out.end_object().end_object();
  return text;
}

}  // namespace weir::emulator
