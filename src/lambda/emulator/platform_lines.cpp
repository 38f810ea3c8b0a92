#include "lambda/emulator/platform_lines.h"

#include <algorithm>
#include <chrono>
#include <cstdio>

namespace weir::emulator {

namespace {

std::string milliseconds(Duration duration) {
  char text[48];
  std::snprintf(text, sizeof(text), "%.2f ms", std::max(0.0, as_seconds(duration) * 1000));
  return text;
}

}  // namespace

std::string start_line(std::string_view request_id, std::string_view version) {
  return "START RequestId: " + std::string(request_id) + " Version: " + std::string(version);
}

std::string end_line(std::string_view request_id) {
  return "END RequestId: " + std::string(request_id);
}

std::string report_line(const Report& report) {
  const Duration billed = report.duration + report.init_duration.value_or(Duration(0));
  std::string line =
      "REPORT RequestId: " + report.request_id + "\tDuration: " + milliseconds(report.duration) +
      "\tBilled Duration: " + std::to_string(std::chrono::ceil<std::chrono::milliseconds>(billed).count()) +
      " ms\tMemory Size: " + std::to_string(report.memory_size) +
      " MB\tMax Memory Used: " + std::to_string((report.memory_peak + (1U << 20U) - 1) >> 20U) + " MB\t";
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

}  // namespace weir::emulator
