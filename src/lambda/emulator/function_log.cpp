#include "lambda/emulator/function_log.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "observe/function_log_lines.h"

namespace weir::emulator {

namespace {

constexpr std::size_t kBufferBytes = 32U << 10U;
/// While somebody else writes, lines wait; what is more than this goes without the lock, so that one who holds it for
/// ever holds up nobody.
constexpr std::size_t kWaitingBytesMax = 1U << 20U;

int open_file(const std::string& path) {
  return ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
}

bool is_file(int descriptor, const std::string& path, std::uint64_t& size) {
  struct stat opened {};
  struct stat named {};
  if (::fstat(descriptor, &opened) != 0 || ::stat(path.c_str(), &named) != 0) return false;
  size = static_cast<std::uint64_t>(opened.st_size);
  return opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

}  // namespace

Result<FunctionLog> FunctionLog::open(const std::string& path, const Clock& clock, LogLimits limits, LogLevels levels) {
  WEIR_ASSERT(limits.files >= 2 && limits.files <= observe::kFunctionLogFilesMax);
  if (path.empty()) return FunctionLog(path, -1, clock, limits, levels);
  std::error_code ignored;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), ignored);
  const int file = open_file(path);
  if (file < 0) {
    return Error(ErrorCode::kEndpointFailed,
                 "cannot write the log " + path + ": " + std::generic_category().message(errno));
  }
  return FunctionLog(path, file, clock, limits, levels);
}

FunctionLog::FunctionLog(std::string path, int file, const Clock& clock, LogLimits limits, LogLevels levels)
    : path_(std::move(path)), file_(file), clock_(&clock), limits_(limits), levels_(levels) {}

FunctionLog::FunctionLog(FunctionLog&& other) noexcept
    : path_(std::exchange(other.path_, {})),
      file_(std::exchange(other.file_, -1)),
      clock_(other.clock_),
      limits_(other.limits_),
      levels_(other.levels_),
      buffer_(std::exchange(other.buffer_, {})),
      torn_(other.torn_) {}

FunctionLog::~FunctionLog() {
  write_out(false);
  close_file();
}

void FunctionLog::add_line(std::string_view stream, std::string_view line) {
  if (path_.empty()) return;
  observe::append_function_log_line(buffer_, epoch_milliseconds(clock_->now().wall), stream, line);
  if (buffer_.size() >= kBufferBytes) flush();
}

void FunctionLog::flush() {
  write_out(true);
}

void FunctionLog::write_out(bool may_wait) {
  if (buffer_.empty()) return;
  const Hold hold = hold_file();
  if (hold == Hold::kBusy && may_wait && buffer_.size() < kWaitingBytesMax) return;
  if (torn_) buffer_.insert(buffer_.begin(), '\n');
  std::string_view rest = buffer_;
  while (!rest.empty() && file_ >= 0) {
    const ssize_t written = ::write(file_, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) break;
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  if (hold == Hold::kHeld) ::flock(file_, LOCK_UN);
  // A full disk may end in the middle of a line; what comes next is not a part of it.
  const std::size_t written = buffer_.size() - rest.size();
  if (written > 0) torn_ = buffer_[written - 1] != '\n';
  buffer_.clear();
}

/// Opens the file that has the name now, locks it, and makes room in it. One that cannot be rotated goes on growing.
FunctionLog::Hold FunctionLog::hold_file() {
  // Somebody may rotate between our opening and our locking, but not each time.
  constexpr int kTriesMax = 8;
  bool rotated = false;
  for (int tries = 0; tries < kTriesMax; ++tries) {
    if (file_ < 0) file_ = open_file(path_);
    if (file_ < 0) return Hold::kFailed;
    if (::flock(file_, LOCK_EX | LOCK_NB) != 0) return Hold::kBusy;
    std::uint64_t size = 0;
    if (is_file(file_, path_, size)) {
      const bool fits = limits_.file_bytes == 0 || size == 0 || size + buffer_.size() <= limits_.file_bytes;
      if (fits || rotated) return Hold::kHeld;
      rotate();
      rotated = true;
    }
    close_file();
  }
  return Hold::kFailed;
}

/// Only with the file's lock, which whoever would rotate it at the same time waits for.
void FunctionLog::rotate() const {
  const auto name = [this](int number) { return observe::rotated_function_log(path_, number); };
  // There may be more of them than are kept now.
  for (int number = observe::kFunctionLogFilesMax; number >= limits_.files - 1; --number) {
    ::unlink(name(number).c_str());
  }
  for (int number = limits_.files - 2; number >= 1; --number) ::rename(name(number).c_str(), name(number + 1).c_str());
  ::rename(path_.c_str(), name(1).c_str());
}

/// Its lock goes with it.
void FunctionLog::close_file() {
  if (file_ >= 0) ::close(std::exchange(file_, -1));
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
      add_line(open_line_, log_.levels().wants(open_line_));
      open_line_.clear();
    }
  }
}

void LogStream::end_line() {
  if (open_line_.empty()) return;
  add_line(open_line_, log_.levels().wants(open_line_));
  open_line_.clear();
}

void LogStream::add_platform_line(std::string_view line, SystemLevel level) {
  end_line();
  add_line(line, log_.levels().wants(level));
}

void LogStream::add_line(std::string_view line, bool wanted) {
  if (wanted) log_.add_line(name_, line);
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
