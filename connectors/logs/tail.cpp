#include "connectors/logs/tail.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <sys/inotify.h>
#include <unistd.h>

#include "runtime/offload.h"

namespace weir::logs {
namespace {

constexpr std::string_view kBegunNote = "begun";
constexpr std::string_view kFileNote = "file/";
constexpr std::size_t kFirstBytes = 256;  // that tell a file from another with its inode
constexpr std::uint32_t kWatched = IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ONLYDIR;
constexpr std::size_t kToldMax = 100;

std::string note_key(const FileId& id) {
  return std::string(kFileNote) + std::to_string(id.device) + ":" + std::to_string(id.inode);
}

/// Numbers with one character between each two; false when there are others, or fewer.
template <typename... Numbers>
bool read_numbers(std::string_view& text, Numbers&... numbers) {
  const auto one = [&](auto& number) {
    const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
    if (read.ec != std::errc()) return false;
    text.remove_prefix(static_cast<std::size_t>(read.ptr - text.data()));
    if (!text.empty()) text.remove_prefix(1);
    return true;
  };
  return (one(numbers) && ...);
}

}  // namespace

Tail::Followed::Followed(Tail& tail, std::string file_path, std::shared_ptr<OpenFile> opened, std::uint64_t position)
    : path(std::move(file_path)),
      file(std::move(opened)),
      noted(position),
      wake(tail.context_.executor, net::steady_timer::time_point::max()) {
  cutter.emplace(*tail.config_.filter, tail.config_.multiline_start, tail.tuning_.message_bytes, position);
  grown_at = noted_at = tail.now();
}

/// What one reading of a file gave.
struct Tail::Piece {
  std::vector<Pending> events;
  std::string first;
  bool anew = false;  ///< it was truncated: what was read belongs to another content
  bool grown = false;
  std::optional<Error> failure;
};

Tail::Tail(const LogsConfig& config, const SourceContext& context, EventSink& sink, TailTuning tuning)
    : config_(config),
      context_(context),
      sink_(sink),
      tuning_(tuning),
      scope_(context.executor),
      to_look_(context.executor, net::steady_timer::time_point::max()),
      finished_(context.executor, net::steady_timer::time_point::max()) {}

net::awaitable<Result<void>> Tail::run() {
  if (auto loaded = co_await load(); !loaded) co_return loaded;
  // Without notices everything is found by looking.
  const int descriptor = ::inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  if (descriptor >= 0) {
    notices_.emplace(context_.executor, descriptor);
  } else {
    context_.log.warn("tail.polling", {{"source", context_.name}, {"reason", std::strerror(errno)}});
  }
  // Being cancelled must not throw from here on: what was begun is waited for.
  const bool throws = co_await net::this_coro::throw_if_cancelled();
  co_await net::this_coro::throw_if_cancelled(false);
  const auto called_off = [](const net::cancellation_state& state) {
    return state.cancelled() != net::cancellation_type::none;
  };
  if (notices_) start(read_notices());
  start(look());
  while (!ended_ && !called_off(co_await net::this_coro::cancellation_state)) {
    boost::system::error_code woken;
    co_await finished_.async_wait(net::redirect_error(net::use_awaitable, woken));
  }
  scope_.cancel();
  co_await scope_.join();
  co_await net::this_coro::throw_if_cancelled(throws);
  if (failure_) co_return *failure_;
  co_return Result<void>();
}

void Tail::start(net::awaitable<void> task) {
  scope_.spawn(watched(std::move(task)));
}

/// A task that throws ends run(), whose join() then throws the same.
net::awaitable<void> Tail::watched(net::awaitable<void> task) {
  try {
    co_await std::move(task);
  } catch (...) {
    ended_ = true;
    finished_.cancel();
    throw;
  }
}

void Tail::fail(Error error) {
  if (!failure_) failure_ = std::move(error);
  ended_ = true;
  finished_.cancel();
}

net::awaitable<Result<void>> Tail::load() {
  auto notes = co_await sink_.notes();
  if (!notes) co_return std::move(notes.error());
  for (const auto& [name, text] : *notes) {
    if (name == kBegunNote) begun_before_ = true;
    if (!name.starts_with(kFileNote)) continue;
    std::string_view key = std::string_view(name).substr(kFileNote.size());
    std::string_view value = text;
    FileId id;
    Noted noted;
    // One that cannot be read is of a file that is read from its beginning again.
    if (!read_numbers(key, id.device, id.inode) ||
        !read_numbers(value, noted.position, noted.first_bytes, noted.first_hash))
      continue;
    noted.path = value;
    noted_.emplace(id, std::move(noted));
  }
  co_return Result<void>();
}

// ---- which files there are

net::awaitable<void> Tail::look() {
  for (;;) {
    look_now_ = false;
    std::set<FileId> known;
    for (const auto& [id, file] : files_) known.insert(id);
    std::function<std::vector<SeenFile>()> looking = [patterns = config_.files, known = std::move(known)] {
      return look_for(patterns, known);
    };
    std::vector<SeenFile> seen = co_await runtime::offload(context_.blocking, std::move(looking));
    watch_folders(seen);
    co_await reconcile(std::move(seen));
    co_await sleep(tuning_.look_at_most_every);
    if (look_now_) continue;
    to_look_.expires_after(tuning_.look_again_after);
    boost::system::error_code woken;
    co_await to_look_.async_wait(net::redirect_error(net::use_awaitable, woken));
  }
}

net::awaitable<void> Tail::reconcile(std::vector<SeenFile> seen) {
  std::set<FileId> ids;
  struct Begin {
    std::string path;
    std::shared_ptr<OpenFile> file;
    std::uint64_t position = 0;
  };
  std::vector<Begin> begins;
  const bool skips = !begun_before_ && config_.starting_position == StartingPosition::kLatest;
  for (SeenFile& each : seen) {
    ids.insert(each.id);
    const auto known = files_.find(each.id);
    if (known != files_.end()) {
      known->second->named = true;
      if (known->second->cutter->read_to() != each.size) wake(*known->second);
      continue;
    }
    if (!each.file || files_.size() + begins.size() >= tuning_.files_max) {
      const std::string reason = each.file ? "more files than are read at once" : each.unreadable;
      if (told_.size() < kToldMax && told_.insert(each.path).second)
        context_.log.warn("file.left_out", {{"source", context_.name}, {"file", each.path}, {"reason", reason}});
      continue;
    }
    told_.erase(each.path);
    const auto position = co_await position_of(each.file);
    begins.push_back({each.path, each.file, position.value_or(skips ? each.size : 0)});
  }
  for (const auto& [id, file] : files_) {
    if (ids.contains(id)) continue;
    file->named = false;
    wake(*file);
  }
  if (!searched_) {
    searched_ = true;
    co_await find_rotated();
  }
  if (!begun_before_) {
    // Before anything is read: what a first start passed over stays passed over, however it ends.
    std::vector<SourceNote> notes{{std::string(kBegunNote), "1"}};
    for (const Begin& begin : begins) {
      if (begin.position == 0) continue;
      const Followed at(*this, begin.path, begin.file, begin.position);
      notes.push_back(note(at, begin.position));
    }
    co_await keep(std::nullopt, std::move(notes));
    begun_before_ = true;
  }
  for (Begin& begin : begins) follow(begin.path, std::move(begin.file), begin.position, true);
}

/// Files that were known when reading ended and have no name now that a pattern finds: their rest is read.
net::awaitable<void> Tail::find_rotated() {
  std::vector<SourceNote> gone;
  for (const auto& [id, noted] : std::map(noted_)) {
    if (files_.contains(id)) continue;
    std::function<std::shared_ptr<OpenFile>()> finding = [path = noted.path, id = id] { return find_beside(path, id); };
    std::shared_ptr<OpenFile> file = co_await runtime::offload(context_.blocking, std::move(finding));
    const std::string path = noted.path;
    std::optional<std::uint64_t> position;
    if (file) position = co_await position_of(file);
    if (position) {
      follow(path, std::move(file), *position, false);
    } else {
      gone.push_back({note_key(id), std::nullopt});
    }
  }
  noted_.clear();
  if (!gone.empty()) co_await keep(std::nullopt, std::move(gone));
}

/// Where reading of a file ended, if it is the one that was read then.
net::awaitable<std::optional<std::uint64_t>> Tail::position_of(std::shared_ptr<OpenFile> file) {
  const auto found = noted_.find(file->id());
  if (found == noted_.end()) co_return std::nullopt;
  const Noted noted = found->second;
  noted_.erase(found);
  std::function<bool()> comparing = [file, noted] {
    const auto first = file->read(0, noted.first_bytes);
    const auto size = file->size();
    return first && size && first->size() == noted.first_bytes && stable_hash(*first) == noted.first_hash &&
           *size >= noted.position;
  };
  if (!co_await runtime::offload(context_.blocking, std::move(comparing))) co_return 0;
  co_return noted.position;
}

void Tail::follow(const std::string& path, std::shared_ptr<OpenFile> file, std::uint64_t position, bool named) {
  const FileId id = file->id();
  auto followed = std::make_shared<Followed>(*this, path, std::move(file), position);
  followed->named = named;
  files_[id] = followed;
  start(read_on(std::move(followed)));
}

// ---- notices of the kernel

void Tail::watch_folders(const std::vector<SeenFile>& seen) {
  if (!notices_) return;
  std::set<std::string> folders;
  for (const std::string& pattern : config_.files) folders.insert(folder_of(pattern));
  for (const SeenFile& each : seen) folders.insert(folder_of(each.path));
  for (const std::string& folder : folders) {
    // Of a folder that is watched already it is the same number. One that cannot be watched is looked at.
    const int watch = ::inotify_add_watch(notices_->native_handle(), folder.c_str(), kWatched);
    if (watch >= 0) watches_[watch] = folder;
  }
}

net::awaitable<void> Tail::read_notices() {
  for (;;) {
    co_await notices_->async_wait(net::posix::stream_descriptor::wait_read, net::use_awaitable);
    take_notices();
  }
}

void Tail::take_notices() {
  alignas(inotify_event) std::array<char, 32 * 1024> buffer;
  const ssize_t got = ::read(notices_->native_handle(), buffer.data(), buffer.size());
  if (got < 0 && errno != EAGAIN && errno != EINTR) {
    fail(Error(ErrorCode::kSourceFailed, std::string("reading notices of the files: ") + std::strerror(errno)));
    return;
  }
  std::set<std::string> written;
  for (const char* at = buffer.data(); at < buffer.data() + got;) {
    inotify_event notice{};
    std::memcpy(&notice, at, sizeof notice);
    const char* const name = at + sizeof notice;
    at = name + notice.len;
    const auto folder = watches_.find(notice.wd);
    if ((notice.mask & IN_IGNORED) != 0 && folder != watches_.end()) {
      watches_.erase(folder);
    } else if ((notice.mask & IN_MODIFY) != 0 && folder != watches_.end() && notice.len > 0) {
      written.insert((folder->second == "/" ? "" : folder->second) + "/" + name);
      continue;
    }
    look_now_ = true;
    to_look_.cancel();
  }
  for (const auto& [id, file] : files_) {
    if (!written.empty() && written.contains(file->path)) wake(*file);
  }
}

void Tail::wake(Followed& file) {
  file.woken = true;
  file.wake.cancel();
}

// ---- one file

net::awaitable<void> Tail::read_on(std::shared_ptr<Followed> file) {
  const auto take_into = [](std::vector<Pending>& events) {
    return [&events](std::string_view message, std::uint64_t end) {
      Pending pending;
      pending.event.message = message;
      pending.end = end;
      events.push_back(std::move(pending));
    };
  };
  for (;;) {
    file->woken = false;
    const bool grown = co_await read_piece(*file);
    co_await send_due(*file, false);
    if (grown) continue;
    const Duration quiet = now() - file->grown_at;
    const bool over = !file->named && quiet >= tuning_.rotated_kept;
    if (over || (file->cutter->waiting() && quiet >= tuning_.multiline_wait)) {
      std::vector<Pending> events;
      file->cutter->flush(over, take_into(events));
      take(*file, std::move(events));
      co_await send_due(*file, over);
    }
    if (over) {
      const FileId id = file->file->id();
      std::vector<SourceNote> forgotten{{note_key(id), std::nullopt}};
      co_await keep(std::nullopt, std::move(forgotten));
      files_.erase(id);
      co_return;
    }
    co_await note_position(*file);
    co_await rest(*file);
  }
}

/// Reads on, and takes what is wanted. False at the end.
net::awaitable<bool> Tail::read_piece(Followed& file) {
  // Behind a store that refuses, the file waits: send_due() comes back only when there is room.
  std::function<Piece()> reading = [&file, &tuning = tuning_] {
    Piece piece;
    const auto take = [&piece](std::string_view message, std::uint64_t end) {
      Pending pending;
      pending.event.message = message;
      pending.end = end;
      piece.events.push_back(std::move(pending));
    };
    const auto size = file.file->size();
    auto first = file.file->read(0, kFirstBytes);
    if (!size || !first) {
      piece.failure = !size ? size.error() : first.error();
      return piece;
    }
    piece.first = std::move(*first);
    if (*size < file.cutter->read_to() || !piece.first.starts_with(file.first)) {
      piece.anew = true;
      file.cutter->flush(true, take);  // what was read of the former content
      return piece;
    }
    auto bytes = file.file->read(file.cutter->read_to(), tuning.piece_bytes);
    if (!bytes) {
      piece.failure = bytes.error();
      return piece;
    }
    piece.grown = !bytes->empty();
    file.cutter->feed(*bytes, take);
    return piece;
  };
  Piece piece = co_await runtime::offload(context_.blocking, std::move(reading));
  if (piece.failure) {
    if (told_.size() < kToldMax && told_.insert(file.path).second)
      context_.log.warn("file.unreadable",
                        {{"source", context_.name}, {"file", file.path}, {"reason", piece.failure->message()}});
    co_return false;
  }
  take(file, std::move(piece.events));
  if (piece.anew) {
    context_.log.info("file.truncated", {{"source", context_.name}, {"file", file.path}});
    co_await send_due(file, true);
    file.cutter.emplace(*config_.filter, config_.multiline_start, tuning_.message_bytes, 0);
    file.first.clear();
    file.noted = ~std::uint64_t{0};  // so that the new position is noted
    co_return true;
  }
  if (piece.grown) file.grown_at = now();
  // Only what was read is known to be this file's: the rest may have come after a truncation.
  piece.first.resize(std::min<std::size_t>(piece.first.size(), file.cutter->read_to()));
  file.first = std::move(piece.first);
  co_return piece.grown;
}

/// Gives events their times, ids and fields.
void Tail::take(Followed& file, std::vector<Pending> events) {
  if (events.empty()) return;
  if (file.pending.empty()) file.opened_at = now();
  file.last_time = std::max(file.last_time, epoch_milliseconds(context_.clock.now().wall));
  const std::uint64_t stream = stable_hash(file.path);
  for (Pending& pending : events) {
    pending.event.timestamp = file.last_time;
    pending.event.id = event_id(file.last_time, stream, ++file.number);
    if (config_.filter->has_fields()) pending.event.fields = config_.filter->fields_of(pending.event.message);
    pending.bytes = json_bytes(pending.event);
    file.pending_bytes += pending.bytes;
    file.pending.push_back(std::move(pending));
  }
}

/// Sends what is full or has waited long enough; with `all` everything.
net::awaitable<void> Tail::send_due(Followed& file, bool all) {
  while (!file.pending.empty()) {
    const bool full = file.pending_bytes >= tuning_.batch_bytes || file.pending.size() >= tuning_.batch_events;
    if (!all && !full && now() - file.opened_at < tuning_.window) co_return;
    co_await send(file);
  }
}

/// One batch: at least one event, and no more than fit.
net::awaitable<void> Tail::send(Followed& file) {
  std::vector<LogEvent> events;
  std::size_t bytes = 0;
  std::uint64_t end = 0;
  while (!file.pending.empty() && events.size() < tuning_.batch_events &&
         (events.empty() || bytes + file.pending.front().bytes <= tuning_.batch_bytes)) {
    Pending& next = file.pending.front();
    bytes += next.bytes;
    end = next.end;
    events.push_back(std::move(next.event));
    file.pending.pop_front();
  }
  file.pending_bytes -= bytes;
  file.opened_at = now();
  if (file.pending.empty()) end = file.cutter->done_to();
  Origin origin{config_.group(), file.path, config_.subscription()};
  std::function<std::string()> packing = [origin = std::move(origin), events = std::move(events)] {
    return lambda_event(origin, events);
  };
  std::string payload = co_await runtime::offload(context_.blocking, std::move(packing));
  std::vector<SourceNote> notes{note(file, end)};
  co_await keep(std::move(payload), std::move(notes));
  file.noted = end;
  file.noted_at = now();
}

/// Now and then also where nothing was found.
net::awaitable<void> Tail::note_position(Followed& file) {
  if (!file.pending.empty() || file.cutter->done_to() == file.noted || now() - file.noted_at < tuning_.noted_after)
    co_return;
  const std::uint64_t position = file.cutter->done_to();
  std::vector<SourceNote> notes{note(file, position)};
  co_await keep(std::nullopt, std::move(notes));
  file.noted = position;
  file.noted_at = now();
}

/// Until there is something to do.
net::awaitable<void> Tail::rest(Followed& file) {
  if (file.woken) co_return;
  Duration wait = tuning_.noted_after;
  if (!file.pending.empty()) wait = std::min(wait, file.opened_at + tuning_.window - now());
  if (file.cutter->waiting()) wait = std::min(wait, file.grown_at + tuning_.multiline_wait - now());
  // Nobody tells of what is written to a file without a name.
  if (!file.named) wait = std::min(wait, std::min(tuning_.look_again_after, tuning_.rotated_kept));
  file.wake.expires_after(std::max(wait, Duration(std::chrono::milliseconds(1))));
  boost::system::error_code woken;
  co_await file.wake.async_wait(net::redirect_error(net::use_awaitable, woken));
}

SourceNote Tail::note(const Followed& file, std::uint64_t position) const {
  const std::string_view first = std::string_view(file.first).substr(0, position);
  return {note_key(file.file->id()), std::to_string(position) + " " + std::to_string(first.size()) + " " +
                                         std::to_string(stable_hash(first)) + " " + file.path};
}

// ---- the sink

/// Gives the event with its note, or notes alone, as often as it takes. Only what is refused for ever is given up.
net::awaitable<void> Tail::keep(std::optional<std::string> event, std::vector<SourceNote> notes) {
  for (Duration patience = tuning_.patience_min;; patience = std::min(2 * patience, tuning_.patience_max)) {
    std::optional<Error> refusal;
    if (event) {
      auto accepted = co_await sink_.accept(*event, notes.front());
      if (!accepted) refusal = std::move(accepted.error());
    } else {
      auto kept = co_await sink_.remember(notes);
      if (!kept) refusal = std::move(kept.error());
    }
    if (!refusal) {
      on_kept();
      co_return;
    }
    if (event && refusal->code() == ErrorCode::kEventRefused) {
      context_.log.error("event.refused", {{"source", context_.name}, {"error", refusal->describe()}});
      event.reset();
      continue;
    }
    on_refusal(*refusal);
    co_await sleep(patience);
  }
}

void Tail::on_refusal(const Error& error) {
  if (error.code() == ErrorCode::kCancelled) return;  // weir stops, and so will this
  if (!refused_) context_.log.warn("tail.paused", {{"source", context_.name}, {"error", error.describe()}});
  refused_ = true;
}

void Tail::on_kept() {
  if (refused_) context_.log.info("tail.resumed", {{"source", context_.name}});
  refused_ = false;
}

net::awaitable<void> Tail::sleep(Duration duration) {
  net::steady_timer timer(context_.executor, duration);
  co_await timer.async_wait(net::use_awaitable);
}

}  // namespace weir::logs
