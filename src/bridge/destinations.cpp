#include "bridge/destinations.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <mutex>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/offload.h"

namespace weir::bridge {
namespace {

/// Destinations that are kept ready for the next message: each has a client and perhaps credentials.
constexpr std::size_t kMadeMax = 1000;
/// A destination that fails only after so long holds up whoever asks it.
constexpr Duration kLong = std::chrono::seconds(2);
/// For how long it is left alone then.
constexpr Duration kLeftAlone = std::chrono::seconds(10);

/// The last byte of a file that is not empty; '\n' where nobody knows.
char last_byte(const std::string& path, off_t size) {
  char last = '\n';
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return last;
  if (::pread(file, &last, 1, size - 1) != 1) last = '\n';
  ::close(file);
  return last;
}

/// So that power loss does not take a file that was just made.
void keep_name(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const int folder =
      ::open(slash == std::string::npos ? "." : path.substr(0, slash + 1).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return;
  ::fsync(folder);
  ::close(folder);
}

/// Appends a whole line and waits until the disk has it; what was written of a line that did not fit is taken back.
Result<void> append_line(const std::string& path, std::string line) {
  // Taking back must not meet another line that was appended behind.
  static std::mutex one_at_a_time;
  const std::lock_guard lock(one_at_a_time);
  const auto failed = [&] { return Error(ErrorCode::kDestinationFailed, path + ": " + std::strerror(errno)); };
  // O_NONBLOCK: a pipe that nobody reads is refused, not waited for.
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0644);
  if (file < 0) return failed();
  // A payload may be spread over lines, which JSON knows between its tokens only: as blanks they mean the same.
  std::replace_if(
      line.begin(), line.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
  line += '\n';
  struct stat before {};
  Result<void> result;
  if (::fstat(file, &before) != 0) {
    result = failed();
  } else if (S_ISREG(before.st_mode) && before.st_size > 0 && last_byte(path, before.st_size) != '\n') {
    line.insert(line.begin(), '\n');  // power was lost in the middle of the line before
  }
  for (std::string_view rest = line; result && !rest.empty();) {
    const ssize_t written = ::write(file, rest.data(), rest.size());
    if (written >= 0) {
      rest.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno != EINTR) {
      result = failed();
      // A pipe or a device cannot be shortened and needs not be.
      if (S_ISREG(before.st_mode) && ::ftruncate(file, before.st_size) != 0) {
        result = Error(ErrorCode::kDestinationFailed, path + ": a line was cut off and could not be taken back");
      }
    }
  }
  // What is no file (EINVAL) has nothing to be synced.
  if (result && ::fdatasync(file) != 0 && errno != EINVAL && errno != EROFS) result = failed();
  ::close(file);
  if (result && before.st_size == 0) keep_name(path);
  return result;
}

}  // namespace

net::awaitable<Result<void>> Destinations::deliver(std::string destination, DestinationRecord record,
                                                   std::shared_ptr<const SourceConfig> source) {
  const std::size_t colon = destination.find(':');
  const std::string_view kind = std::string_view(destination).substr(0, colon);
  std::string where = destination.substr(colon + 1);
  Result<void> delivered;
  if (kind == "file") {
    std::function<Result<void>()> append = [where, line = std::move(record.record)] {
      return append_line(where, line);
    };
    delivered = co_await runtime::offload(deps_.blocking, std::move(append));
  } else if (kind == "lambda") {
    delivered = co_await invoke_(std::move(where), std::move(record.record), std::move(record.trace_header));
  } else if (const bool here = co_await is_here(destination); here) {
    delivered = co_await here_.take(destination, std::move(record));
  } else {
    delivered = co_await give(destination, std::move(record), std::move(source));
  }
  if (!delivered) co_return std::move(delivered.error()).during("delivering a record to " + destination);
  co_return delivered;
}

net::awaitable<bool> Destinations::is_here(std::string destination) {
  if (!here_.owns) co_return false;
  co_return co_await here_.owns(std::move(destination));
}

net::awaitable<Result<void>> Destinations::give(std::string destination, DestinationRecord record,
                                                std::shared_ptr<const SourceConfig> source) {
  const Key key(std::move(destination), source ? source->name : "");
  if (!made_.contains(key)) co_await make_room();
  const auto found = find(key, source);
  if (!found) co_return found.error();
  Made& made = **found;
  if (!made.trouble.empty() && made.calls > 0) co_await answer_to_others(made);
  const Instant begun = deps_.clock.now().instant;
  if (!made.trouble.empty() && (made.calls > 0 || begun < made.left_alone_until)) {
    co_return Error(ErrorCode::kDestinationFailed,
                    "it is left alone for some seconds, since it failed: " + made.trouble);
  }
  struct Called {
    Made& made;
    ~Called() {
      --made.calls;
      made.answered.cancel();
    }
  };
  made.used = ++uses_;
  ++made.calls;
  const Called called{made};
  Result<void> delivered = co_await made.destination->deliver(std::move(record));
  const Instant ended = deps_.clock.now().instant;
  if (delivered || delivered.error().code() != ErrorCode::kDestinationFailed || ended - begun < kLong) {
    made.trouble.clear();
  } else {
    made.trouble = delivered.error().message();
    made.left_alone_until = ended + kLeftAlone;
  }
  co_return delivered;
}

/// Waits for the end of the call that finds out whether it answers again.
net::awaitable<void> Destinations::answer_to_others(Made& made) {
  struct Waiting {
    int& count;
    ~Waiting() { --count; }
  };
  ++made.waiting;
  const Waiting waiting{made.waiting};
  while (!made.trouble.empty() && made.calls > 0 && !closed_) {
    if ((co_await net::this_coro::cancellation_state).cancelled() != net::cancellation_type::none) co_return;
    boost::system::error_code woken;
    co_await made.answered.async_wait(net::redirect_error(net::use_awaitable, woken));
  }
}

Instant Destinations::left_alone_until(const std::string& destination,
                                       const std::shared_ptr<const SourceConfig>& source) const {
  const auto made = made_.find(Key(destination, source ? source->name : ""));
  return made == made_.end() || made->second.trouble.empty() ? Instant::min() : made->second.left_alone_until;
}

/// For one more. With all of them called at the moment there are more than that for a while.
net::awaitable<void> Destinations::make_room() {
  while (made_.size() >= kMadeMax && !closed_) {
    auto oldest = made_.end();
    for (auto each = made_.begin(); each != made_.end(); ++each) {
      const bool idle = each->second.calls == 0 && each->second.waiting == 0;
      if (idle && (oldest == made_.end() || each->second.used < oldest->second.used)) oldest = each;
    }
    if (oldest == made_.end()) co_return;
    const auto forgotten = made_.extract(oldest);
    co_await forgotten.mapped().destination->close();
  }
}

Result<Destinations::Made*> Destinations::find(const Key& key, const std::shared_ptr<const SourceConfig>& source) {
  if (closed_) return Error(ErrorCode::kCancelled, "weir stops");
  if (const auto made = made_.find(key); made != made_.end()) return &made->second;
  const std::string& destination = key.first;
  const std::size_t colon = destination.find(':');
  const auto entry = std::find_if(deps_.table.begin(), deps_.table.end(), [&](const DestinationEntry& each) {
    return each.scheme == std::string_view(destination).substr(0, colon);
  });
  // The configuration's own check refuses what is not in the table; what a service was told by its API may be that.
  if (entry == deps_.table.end()) return Error(ErrorCode::kDestinationGone, "nothing here delivers there");
  auto result = entry->make(destination.substr(colon + 1),
                            {deps_.executor, deps_.blocking, deps_.aws, source, deps_.log, deps_.clock});
  if (!result) return result.error();
  Made& made = made_.try_emplace(key, deps_.executor).first->second;
  made.destination = std::move(*result);
  return &made;
}

net::awaitable<void> Destinations::close() {
  closed_ = true;
  for (const auto& [key, made] : made_) co_await made.destination->close();
}

}  // namespace weir::bridge
