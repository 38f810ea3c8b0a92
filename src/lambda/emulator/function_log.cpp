#include "lambda/emulator/function_log.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace weir::emulator {

namespace {

constexpr std::size_t kBufferBytes = 32U << 10U;

}  // namespace

Result<FunctionLog> FunctionLog::open(const std::string& path) {
  if (path.empty()) return FunctionLog(-1);
  std::error_code ignored;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
  const int file = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (file < 0) {
    return Error(ErrorCode::kEndpointFailed,
                 "cannot write the log " + path + ": " + std::generic_category().message(errno));
  }
  return FunctionLog(file);
}

FunctionLog::FunctionLog(FunctionLog&& other) noexcept
    : file_(std::exchange(other.file_, -1)), buffer_(std::exchange(other.buffer_, {})) {}

FunctionLog& FunctionLog::operator=(FunctionLog&& other) noexcept {
  std::swap(file_, other.file_);
  std::swap(buffer_, other.buffer_);
  return *this;
}

FunctionLog::~FunctionLog() {
  flush();
  if (file_ >= 0) ::close(file_);
}

void FunctionLog::add_line(std::string_view line) {
  if (file_ < 0) return;
  buffer_ += line;
  buffer_ += '\n';
  if (buffer_.size() >= kBufferBytes) flush();
}

void FunctionLog::flush() {
  std::string_view rest = buffer_;
  while (!rest.empty()) {
    const ssize_t written = ::write(file_, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) break;
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  buffer_.clear();
}

void LogStream::add_output(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t newline = bytes.find('\n');
    const std::size_t room = kLineMaxBytes - open_line_.size();
    const std::size_t size = std::min(std::min(newline, bytes.size()), room);
    open_line_ += bytes.substr(0, size);
    bytes.remove_prefix(size);
    const bool ended = !bytes.empty() && bytes.front() == '\n';
    if (ended) bytes.remove_prefix(1);
    if (ended || open_line_.size() >= kLineMaxBytes) {
      add_line(open_line_);
      open_line_.clear();
    }
  }
}

void LogStream::end_line() {
  if (open_line_.empty()) return;
  add_line(open_line_);
  open_line_.clear();
}

void LogStream::add_platform_line(std::string_view line) {
  end_line();
  add_line(line);
}

void LogStream::add_line(std::string_view line) {
  log_.add_line(line);
  if (line.size() > kTailBytes) line.remove_prefix(line.size() - kTailBytes);
  tail_ += line;
  tail_ += '\n';
  // Trimmed now and then, not at every line.
  if (tail_.size() > 4 * kTailBytes) tail_.erase(0, tail_.size() - kTailBytes);
}

std::string LogStream::tail() const {
  return tail_.size() > kTailBytes ? tail_.substr(tail_.size() - kTailBytes) : tail_;
}

}  // namespace weir::emulator
