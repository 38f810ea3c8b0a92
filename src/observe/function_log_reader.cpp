#include "observe/function_log_reader.h"

#include <array>
#include <cerrno>
#include <optional>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "observe/function_log_lines.h"

namespace weir::observe {
namespace {

std::optional<struct stat> status_of(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  return status;
}

std::int64_t milliseconds(const timespec& time) {
  return time.tv_sec * 1000 + time.tv_nsec / 1'000'000;
}

bool same_file(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

}  // namespace

FunctionLogReader::FunctionLogReader(std::string path, WallTime since) : path_(std::move(path)), since_(since) {}

FunctionLogReader::~FunctionLogReader() {
  if (file_ >= 0) ::close(file_);
}

void FunctionLogReader::read(const Take& take) {
  if (file_ < 0 && !open_oldest()) return;
  for (;;) {
    if (!read_to_end(take)) return;
    if (has_the_name()) return;
    // Nobody writes to it any more, so this was its end, unless something came before it lost its name.
    if (!read_to_end(take) || !open_next(take)) return;
  }
}

void FunctionLogReader::read_rest(const Take& take) {
  if (!begun_.empty()) take(std::exchange(begun_, {}));
}

bool FunctionLogReader::take_file(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  if (file_ >= 0) ::close(file_);
  file_ = file;
  position_ = 0;
  return true;
}

bool FunctionLogReader::open_oldest() {
  const auto since = epoch_milliseconds(since_);
  for (const std::string& path : function_log_files(path_)) {
    const auto status = status_of(path);
    if (!status) continue;
    // Of the one that is written more may come.
    if (path != path_ && milliseconds(status->st_mtim) < since) continue;
    if (take_file(path)) return true;
  }
  return false;
}

bool FunctionLogReader::has_the_name() const {
  struct stat mine {};
  const auto named = status_of(path_);
  return ::fstat(file_, &mine) == 0 && named && same_file(mine, *named);
}

/// The file that was written after this one. Nothing yet, when there is none.
bool FunctionLogReader::open_next(const Take& take) {
  struct stat mine {};
  if (::fstat(file_, &mine) != 0) return false;
  constexpr int kTriesMax = 8;  // each time somebody rotates meanwhile
  for (int tries = 0; tries < kTriesMax; ++tries) {
    int number = 0;
    for (int each = 1; each <= kFunctionLogFilesMax && number == 0; ++each) {
      const auto status = status_of(rotated_function_log(path_, each));
      if (status && same_file(*status, mine)) number = each;
    }
    std::string next = number > 1 ? rotated_function_log(path_, number - 1) : path_;
    if (number == 0) {
      // It was removed. Of what is there, what was written later is younger.
      next.clear();
      for (const std::string& path : function_log_files(path_)) {
        const auto status = status_of(path);
        if (!status || milliseconds(status->st_mtim) < milliseconds(mine.st_mtim)) continue;
        next = path;
        break;
      }
      if (next.empty()) return false;
    }
    const int before = std::exchange(file_, -1);
    const bool opened = take_file(next);
    const auto still = number == 0 ? std::nullopt : status_of(rotated_function_log(path_, number));
    if (opened && (number == 0 || (still && same_file(*still, mine)))) {
      ::close(before);
      read_rest(take);
      return true;
    }
    if (opened) ::close(file_);
    file_ = before;
    if (!opened) return false;
  }
  return false;
}

bool FunctionLogReader::read_to_end(const Take& take) {
  struct stat status {};
  if (::fstat(file_, &status) == 0 && static_cast<std::uint64_t>(status.st_size) < position_) {
    // Somebody truncated it.
    position_ = 0;
    begun_.clear();
  }
  std::array<char, 64 * 1024> bytes;
  for (;;) {
    const ssize_t got = ::pread(file_, bytes.data(), bytes.size(), static_cast<off_t>(position_));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return true;
    position_ += static_cast<std::uint64_t>(got);
    std::string_view rest(bytes.data(), static_cast<std::size_t>(got));
    for (std::size_t end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
      bool more = true;
      if (begun_.empty()) {
        more = take(rest.substr(0, end));
      } else {
        begun_ += rest.substr(0, end);
        more = take(std::exchange(begun_, {}));
      }
      if (!more) return false;
      rest.remove_prefix(end + 1);
    }
    begun_ += rest;
  }
}

}  // namespace weir::observe
