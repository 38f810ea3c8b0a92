#include "observe/function_log_lines.h"

#include <unistd.h>

#include "weir/base/time.h"

namespace weir::observe {
namespace {

constexpr std::size_t kTimeBytes = 24;  // "2026-09-13T15:32:02.357Z"

/// Whether a text has digits where the form has a 0, and else what the form has.
bool has_form(std::string_view text, std::string_view form) {
  if (text.size() < form.size()) return false;
  for (std::size_t i = 0; i < form.size(); ++i) {
    if (form[i] == '0' ? text[i] < '0' || text[i] > '9' : text[i] != form[i]) return false;
  }
  return true;
}

}  // namespace

void append_function_log_line(std::string& to, std::int64_t time, std::string_view stream, std::string_view message) {
  to += iso_milliseconds(from_epoch_milliseconds(time));
  to += ' ';
  to += stream;
  to += ' ';
  to += message;
  to += '\n';
}

std::optional<FunctionLogLine> read_function_log_line(std::string_view line) {
  if (!has_form(line, "0000-00-00T00:00:00.000Z 0000/00/00/[")) return std::nullopt;
  const std::size_t end = line.find(' ', kTimeBytes + 1);
  if (end == std::string_view::npos || end >= kFunctionLogPrefixMax) return std::nullopt;
  const auto time = parse_iso(line.substr(0, kTimeBytes));
  if (!time) return std::nullopt;
  FunctionLogLine read;
  read.time = epoch_milliseconds(*time);
  read.stream = line.substr(kTimeBytes + 1, end - kTimeBytes - 1);
  read.message = line.substr(end + 1);
  return read;
}

std::string_view version_of_stream(std::string_view stream) {
  const std::size_t begin = stream.find('[');
  const std::size_t end = stream.rfind(']');
  if (begin == std::string_view::npos || end == std::string_view::npos || end < begin) return {};
  return stream.substr(begin + 1, end - begin - 1);
}

std::string rotated_function_log(const std::string& path, int number) {
  return path + "." + std::to_string(number);
}

std::vector<std::string> function_log_files(const std::string& path) {
  std::vector<std::string> found;
  const auto add = [&found](const std::string& file) {
    if (::access(file.c_str(), F_OK) == 0) found.push_back(file);
  };
  for (int number = kFunctionLogFilesMax; number >= 1; --number) add(rotated_function_log(path, number));
  add(path);
  return found;
}

}  // namespace weir::observe
