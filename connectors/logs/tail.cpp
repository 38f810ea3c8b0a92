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
constexpr std::size_t kFirstBytes = 256;         // that tell a file from another with its inode
constexpr std::size_t kBlockBytes = 256 * 1024;  // read at once: what a processor's cache holds while it is searched
constexpr std::uint32_t kWatched = IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ONLYDIR;
constexpr std::size_t kToldMax = 100;

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

/// Whether a file begins as it did when its position was noted, and still has so much.
bool is_as_noted(const OpenFile& file, std::uint64_t position, std::size_t first_bytes, std::uint64_t first_hash) {
  if (first_bytes == 0 && position > 0) return false;  // nothing says that it is
  const auto first = file.read(0, first_bytes);
  const auto size = file.size();
  return first && size && first->size() == first_bytes && stable_hash(*first) == first_hash && *size >= position;
}

}  // namespace

Tail::Followed::Followed(Tail& tail, std::string file_path, std::shared_ptr<OpenFile> opened, std::uint64_t position)
    : path(std::move(file_path)),
      seen_at(path),
      file(std::move(opened)),
      read_to(position),
      noted(position),
      wake(tail.timers_.make()) {
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

Tail::Tail(const LogsConfig& config, const SourceContext& context, EventSink& sink, Timers& timers, TailTuning tuning)
    : config_(config),
      context_(context),
      sink_(sink),
      timers_(timers),
      tuning_(tuning),
      scope_(context.executor),
      to_look_(timers.make()),
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
    Noted noted;
    // One that cannot be read is of a file that is read from its beginning again.
    if (!read_numbers(key, noted.id.device, noted.id.inode) ||
        !read_numbers(value, noted.position, noted.first_bytes, noted.first_hash))
      continue;
    noted.path = value;
    noted_.emplace(name, std::move(noted));
  }
  co_return Result<void>();
}

// ---- which files there are

net::awaitable<void> Tail::look() {
  const std::unique_ptr<Timer> pause = timers_.make();
  for (;;) {
    look_now_ = false;
    std::map<FileId, std::string> known;
    for (const auto& [id, file] : files_) known.emplace(id, file->seen_at);
    const std::size_t room = tuning_.files_max - std::min(tuning_.files_max, files_.size());
    std::function<Look()> looking = [patterns = config_.files, known = std::move(known), room] {
      return look_for(patterns, known, room);
    };
    Look look = co_await runtime::offload(context_.blocking, std::move(looking));
    tell_unreadable(look);
    watch_folders(look);
    co_await reconcile(std::move(look));
    co_await pause->wait(tuning_.look_at_most_every);
    if (look_now_) continue;
    co_await to_look_->wait(tuning_.look_again_after);
  }
}

void Tail::tell_unreadable(const Look& look) {
  for (const auto& [folder, reason] : look.unreadable) {
    if (told_.size() < kToldMax && told_.insert(folder + "/").second)
      context_.log.warn("folder.unreadable", {{"source", context_.name}, {"folder", folder}, {"reason", reason}});
  }
  // What can be read again is told anew another time; files are told without a slash at their end.
  std::erase_if(told_, [&](const std::string& told) {
    return told.ends_with('/') && !look.unreadable.contains(told.substr(0, told.size() - 1));
  });
}

net::awaitable<void> Tail::reconcile(Look look) {
  std::vector<std::shared_ptr<Followed>> begins;
  for (const SeenFile& each : look.files) {
    const auto known = files_.find(each.id);
    if (known != files_.end()) {
      known->second->unnamed_at.reset();
      known->second->seen_at = each.path;
      if (known->second->read_to != each.size) wake(*known->second);
      continue;
    }
    if (!each.file) {
      const std::string reason = each.unreadable.empty() ? "more files than are read at once" : each.unreadable;
      if (told_.size() < kToldMax && told_.insert(each.path).second)
        context_.log.warn("file.left_out", {{"source", context_.name}, {"file", each.path}, {"reason", reason}});
      continue;
    }
    told_.erase(each.path);
    begins.push_back(co_await opened(each));
  }
  for (const FileId& id : look.gone) {
    const auto file = files_.find(id);
    if (file == files_.end() || file->second->unnamed_at) continue;
    file->second->unnamed_at = now();
    wake(*file->second);
  }
  if (!noted_.empty()) co_await find_rotated(look);
  if (!begun_before_) {
    // Before anything is read: what a first start passed over stays passed over, however it ends.
    std::vector<SourceNote> notes{{std::string(kBegunNote), "1"}};
    for (const auto& begin : begins) {
      if (begin->read_to > 0) notes.push_back(note(*begin, begin->read_to));
    }
    co_await keep(std::nullopt, std::move(notes));
    begun_before_ = true;
  }
  for (auto& begin : begins) follow(std::move(begin));
}

/// Files that were known when reading ended and have no name now that a pattern finds: their rest is read. Of one that
/// may be there all the same, only that nobody can read it now, the position is kept.
net::awaitable<void> Tail::find_rotated(const Look& look) {
  std::set<std::uint64_t> unopened;  // inodes
  for (const SeenFile& each : look.files) {
    if (!each.file && !files_.contains(each.id)) unopened.insert(each.id.inode);
  }
  std::vector<SourceNote> gone;
  for (const auto& [key, noted] : std::map(noted_)) {
    if (unopened.contains(noted.id.inode) || look.unreadable.contains(folder_of(noted.path))) continue;
    std::function<FoundBeside()> finding = [noted] {
      return find_beside(noted.path, noted.id.inode, [&noted](const OpenFile& file) {
        return is_as_noted(file, noted.position, noted.first_bytes, noted.first_hash);
      });
    };
    FoundBeside found = co_await runtime::offload(context_.blocking, std::move(finding));
    std::shared_ptr<Followed> file;
    if (found.file && !files_.contains(found.file->id())) file = co_await resumed(noted.path, std::move(found.file));
    if (file) {
      file->unnamed_at = now();
      follow(std::move(file));
    } else if (found.certain) {
      noted_.erase(key);
      gone.push_back({key, std::nullopt});
    }
  }
  if (!gone.empty()) co_await keep(std::nullopt, std::move(gone));
}

/// A file that was not read so far, where its reading goes on or begins.
net::awaitable<std::shared_ptr<Tail::Followed>> Tail::opened(const SeenFile& seen) {
  std::shared_ptr<Followed> file = co_await resumed(seen.path, seen.file);
  if (file) co_return file;
  std::uint64_t position = 0;
  std::string first;
  if (!begun_before_ && config_.starting_position == StartingPosition::kLatest) {
    // What is passed over is known by its first bytes like what was read: another file may have its inode next time.
    std::function<Result<std::string>()> reading = [file = seen.file] { return file->read(0, kFirstBytes); };
    const auto read = co_await runtime::offload(context_.blocking, std::move(reading));
    if (read) first = *read;
    position = seen.size;
  }
  file = std::make_shared<Followed>(*this, seen.path, seen.file, position);
  file->first = std::move(first);
  file->key = unused_key(seen.id);
  co_return file;
}

/// A file that was read in an earlier run, where that ended; null when it is another.
net::awaitable<std::shared_ptr<Tail::Followed>> Tail::resumed(const std::string& path, std::shared_ptr<OpenFile> file) {
  const FileId id = file->id();
  std::vector<std::pair<std::string, Noted>> candidates;
  for (const auto& [key, noted] : noted_) {
    if (noted.id.inode == id.inode) candidates.emplace_back(key, noted);
  }
  // Two devices may have files of one inode that begin alike.
  std::ranges::stable_partition(candidates, [&](const auto& one) { return one.second.id == id; });
  for (const auto& [key, noted] : candidates) {
    std::function<bool()> comparing = [file, noted = noted] {
      return is_as_noted(*file, noted.position, noted.first_bytes, noted.first_hash);
    };
    if (!co_await runtime::offload(context_.blocking, std::move(comparing))) continue;
    noted_.erase(key);
    auto followed = std::make_shared<Followed>(*this, path, file, noted.position);
    followed->key = key;
    co_return followed;
  }
  co_return nullptr;
}

void Tail::follow(std::shared_ptr<Followed> file) {
  files_[file->file->id()] = file;
  start(read_on(std::move(file)));
}

/// A name for the note of a file; a file of an earlier boot may have it already.
std::string Tail::unused_key(const FileId& id) const {
  const std::string base = std::string(kFileNote) + std::to_string(id.device) + ":" + std::to_string(id.inode);
  const auto used = [&](const std::string& key) {
    return noted_.contains(key) ||
           std::ranges::any_of(files_, [&](const auto& file) { return file.second->key == key; });
  };
  std::string key = base;
  for (int number = 2; used(key); ++number) key = base + ":" + std::to_string(number);
  return key;
}

// ---- notices of the kernel

void Tail::watch_folders(const Look& look) {
  if (!notices_) return;
  std::set<std::string> folders;
  for (const std::string& pattern : config_.files) folders.insert(folder_of(pattern));
  for (const SeenFile& each : look.files) folders.insert(folder_of(each.path));
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
    to_look_->wake();
  }
  for (const auto& [id, file] : files_) {
    if (!written.empty() && written.contains(file->seen_at)) wake(*file);
  }
}

void Tail::wake(Followed& file) {
  file.woken = true;
  file.wake->wake();
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
    const Instant read_at = now();
    bool grown = co_await read_piece(*file);
    co_await send_due(*file, false);
    if (grown) continue;
    const bool ends = over(*file, read_at);
    if (ends || (file->cutter->waiting() && read_at - file->grown_at >= tuning_.multiline_wait)) {
      std::vector<Pending> events;
      file->cutter->flush(ends, take_into(events));
      take(*file, std::move(events));
      co_await send_due(*file, ends);
    }
    if (ends) {
      std::vector<SourceNote> forgotten{{file->key, std::nullopt}};
      co_await keep(std::nullopt, std::move(forgotten));
      // The store may have let it wait, and its writer has not waited for that.
      grown = co_await read_piece(*file);
      if (!grown && file->unnamed_at) {
        files_.erase(file->file->id());
        co_return;
      }
      file->noted = ~std::uint64_t{0};  // so that its position is noted again
      continue;
    }
    co_await note_position(*file);
    co_await rest(*file);
  }
}

/// Whether nobody writes it any more, after nothing was read of it.
bool Tail::over(const Followed& file, Instant read_at) const {
  return file.unnamed_at && read_at - *file.unnamed_at >= tuning_.rotated_kept &&
         read_at - file.grown_at >= tuning_.rotated_kept;
}

/// Reads on, and takes what is wanted. False at the end.
net::awaitable<bool> Tail::read_piece(Followed& file) {
  // Behind a store that refuses, the file waits: send_due() comes back only when there is room.
  std::function<Piece()> reading = [&file, &tuning = tuning_] {
    Piece piece;
    std::size_t taken = 0;
    const auto take = [&](std::string_view message, std::uint64_t end) {
      taken += message.size() + kEventOverhead;
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
    if (*size < file.read_to || !piece.first.starts_with(file.first)) {
      piece.anew = true;
      file.cutter->flush(true, take);  // what was read of the former content
      return piece;
    }
    // One for each of the pool's threads: made anew for every piece it would cost more than what is done with it.
    thread_local std::vector<char> block(kBlockBytes);
    std::uint64_t position = file.read_to;
    const std::uint64_t end = position + tuning.piece_bytes;
    std::size_t got = 0;
    // What fills a batch is sent before more is read.
    do {
      const auto room = std::min<std::uint64_t>(block.size(), end - position);
      const auto read = file.file->read(position, std::span(block).first(static_cast<std::size_t>(room)));
      if (!read) {
        // What came before it counts; the next piece begins with the failure.
        if (position == file.read_to) piece.failure = read.error();
        break;
      }
      got = *read;
      position += got;
      file.cutter->feed(std::string_view(block.data(), got), take);
    } while (got == block.size() && position < end && taken < tuning.batch_bytes);
    piece.grown = position > file.read_to;
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
    file.read_to = 0;
    file.first.clear();
    file.noted = ~std::uint64_t{0};  // so that the new position is noted
    co_return true;
  }
  file.read_to = file.cutter->read_to();
  if (piece.grown) file.grown_at = now();
  // Only what was read is known to be this file's: the rest may have come after a truncation.
  piece.first.resize(std::min<std::size_t>(piece.first.size(), file.read_to));
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
  if (file.unnamed_at) wait = std::min(wait, std::min(tuning_.look_again_after, tuning_.rotated_kept));
  co_await file.wake->wait(std::max(wait, Duration(std::chrono::milliseconds(1))));
}

SourceNote Tail::note(const Followed& file, std::uint64_t position) const {
  const std::string_view first = std::string_view(file.first).substr(0, position);
  return {file.key, std::to_string(position) + " " + std::to_string(first.size()) + " " +
                        std::to_string(stable_hash(first)) + " " + file.path};
}

// ---- the sink

/// Gives the event with its note, or notes alone, as often as it takes. Only what is refused for ever is given up.
net::awaitable<void> Tail::keep(std::optional<std::string> event, std::vector<SourceNote> notes) {
  const std::unique_ptr<Timer> pause = timers_.make();
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
    co_await pause->wait(patience);
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

}  // namespace weir::logs
