#include "connectors/s3/folder.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <sys/inotify.h>
#include <unistd.h>

#include "connectors/s3/rules.h"
#include "runtime/offload.h"

namespace weir::s3 {
namespace {

constexpr std::size_t kKeyBytes = 1024;  // S3's limit
constexpr std::uint32_t kWatched = IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ONLYDIR;
constexpr std::uint32_t kRootWatched = kWatched | IN_DELETE_SELF | IN_MOVE_SELF;
constexpr std::string_view kCreated = "s3:ObjectCreated:Put";
constexpr std::string_view kRemoved = "s3:ObjectRemoved:Delete";
/// Who does things in a folder is not known. The address is the one that they do it from.
constexpr std::string_view kPrincipal = "weir";
constexpr std::string_view kAddress = "127.0.0.1";

/// The notes: one a key that is known, and one that says that a scan came to its end.
constexpr std::string_view kScannedNote = "scanned";
/// With LATEST, until then: when the very first scan was begun, in nanoseconds.
constexpr std::string_view kBegunNote = "begun";
constexpr std::string_view kKeyNote = "key/";

std::string note_key(std::string_view key) {
  return std::string(kKeyNote) + encode_key(key);
}

std::string note_value(const Stamp& stamp, std::uint64_t sequencer) {
  return std::to_string(stamp.size) + " " + std::to_string(stamp.modified_ns) + " " + std::to_string(stamp.inode) +
         " " + std::to_string(sequencer);
}

struct NoteValue {
  Stamp stamp;
  std::uint64_t sequencer = 0;
};

std::optional<NoteValue> read_note_value(std::string_view text) {
  NoteValue value;
  const char* at = text.data();
  const char* const end = at + text.size();
  const auto number = [&at, end](auto& into) {
    if (at != end && *at == ' ') ++at;
    const auto read = std::from_chars(at, end, into);
    at = read.ptr;
    return read.ec == std::errc();
  };
  if (!number(value.stamp.size) || !number(value.stamp.modified_ns) || !number(value.stamp.inode) ||
      !number(value.sequencer) || at != end)
    return std::nullopt;
  return value;
}

std::optional<std::int64_t> read_number(std::string_view text) {
  std::int64_t number = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  if (read.ec != std::errc() || read.ptr != text.data() + text.size()) return std::nullopt;
  return number;
}

std::string hexadecimal(std::uint64_t number) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  constexpr int kDigits = 16;
  std::string text(kDigits, '0');
  for (std::size_t i = text.size(); i > 0; --i, number >>= 4U) text[i - 1] = kHex[number & 15U];
  return text;
}

std::string joined(const std::string& folder, std::string_view name) {
  return folder.empty() ? std::string(name) : folder + "/" + std::string(name);
}

constexpr std::size_t kNamedMax = 100;  // keys that one kind of message is logged for

}  // namespace

FolderWatch::FolderWatch(const S3Config& config, const SourceContext& context, EventSink& sink, FolderTuning tuning)
    : config_(config),
      context_(context),
      sink_(sink),
      tuning_(tuning),
      wants_created_(config.rules.wants(kCreated)),
      wants_removed_(config.rules.wants(kRemoved)),
      scope_(context.executor),
      room_(context.executor, net::steady_timer::time_point::max()),
      to_scan_(context.executor, net::steady_timer::time_point::max()),
      to_ask_(context.executor, net::steady_timer::time_point::max()),
      finished_(context.executor, net::steady_timer::time_point::max()) {}

net::awaitable<Result<void>> FolderWatch::run() {
  if (auto opened = open(); !opened) co_return opened;
  if (auto loaded = co_await load(); !loaded) co_return loaded;
  // Being cancelled must not throw from here on: what was begun is waited for.
  const bool throws = co_await net::this_coro::throw_if_cancelled();
  co_await net::this_coro::throw_if_cancelled(false);
  const auto called_off = [](const net::cancellation_state& state) {
    return state.cancelled() != net::cancellation_type::none;
  };
  start(read_notices());
  start(scan());
  start(ask_again());
  start(watch_root());
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

void FolderWatch::start(net::awaitable<void> task) {
  scope_.spawn(watched(std::move(task)));
}

/// A task that throws ends run(), whose join() then throws the same.
net::awaitable<void> FolderWatch::watched(net::awaitable<void> task) {
  try {
    co_await std::move(task);
  } catch (...) {
    end();
    throw;
  }
}

void FolderWatch::end() {
  ended_ = true;
  finished_.cancel();
}

Result<void> FolderWatch::open() {
  const int descriptor = ::inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  if (descriptor < 0)
    return Error(ErrorCode::kSourceFailed, std::string("no inotify instance can be had: ") + std::strerror(errno) +
                                               "; fs.inotify.max_user_instances limits them");
  notices_.emplace(context_.executor, descriptor);
  root_watch_ = ::inotify_add_watch(descriptor, config_.folder.c_str(), kRootWatched);
  if (root_watch_ < 0) {
    const bool missing = errno == ENOENT || errno == ENOTDIR;
    return Error(missing ? ErrorCode::kSourceNotFound : ErrorCode::kSourceFailed,
                 config_.folder + ": cannot be watched: " + std::strerror(errno));
  }
  watches_.emplace(root_watch_, "");
  root_ = folder_id(config_.folder);
  return {};
}

net::awaitable<Result<void>> FolderWatch::load() {
  constexpr std::size_t kAtOnce = 1000;
  auto notes = co_await sink_.notes();
  if (!notes) co_return std::move(notes.error());
  std::size_t count = 0;
  for (const auto& [name, text] : *notes) {
    if (name == kScannedNote) scanned_before_ = true;
    if (name == kBegunNote) begun_ns_ = read_number(text);
    if (++count % kAtOnce == 0) co_await net::post(net::use_awaitable);
    if (!name.starts_with(kKeyNote)) continue;
    auto key = decode_key(std::string_view(name).substr(kKeyNote.size()));
    const auto value = read_note_value(text);
    if (!key || !value) continue;  // not ours: the file counts as unknown and is announced again
    Known& known = known_[std::move(*key)];
    known.stamp = value->stamp;
    known.sequencer = value->sequencer;
    last_sequencer_ = std::max(last_sequencer_, value->sequencer);
  }
  co_return Result<void>();
}

void FolderWatch::fail(Error error) {
  if (!failure_) failure_ = std::move(error);
  end();
}

/// Logs each key once, as many as help anybody.
void FolderWatch::log_once(std::set<std::string>& logged, std::string_view event, std::string_view key,
                           std::string_view reason) {
  if (logged.size() == kNamedMax || !logged.emplace(key).second) return;
  const std::string_view last = logged.size() == kNamedMax ? "; no more of these are logged" : "";
  context_.log.warn(
      event, {{"source", context_.name}, {"key", encode_key(key)}, {"reason", std::string(reason).append(last)}});
}

std::string FolderWatch::path_of(const std::string& key) const {
  return key.empty() ? config_.folder : config_.folder + "/" + key;
}

// ---- notices of the kernel

net::awaitable<void> FolderWatch::read_notices() {
  for (;;) {
    co_await notices_->async_wait(net::posix::stream_descriptor::wait_read, net::use_awaitable);
    take_notices();
    // Behind a store that refuses, notices wait in the kernel. When even its queue is full, it says so, and a scan
    // finds what was not told.
    while (wishes_.size() >= 4 * tuning_.waiting_max) co_await wait_for_room();
  }
}

void FolderWatch::take_notices() {
  alignas(inotify_event) std::array<char, 32 * 1024> buffer;
  while (wishes_.size() < 4 * tuning_.waiting_max) {
    const ssize_t got = ::read(notices_->native_handle(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      if (got < 0 && errno != EAGAIN)
        fail(Error(ErrorCode::kSourceFailed, std::string("reading notices of the folder: ") + std::strerror(errno)));
      return;
    }
    for (const char* at = buffer.data(); at < buffer.data() + got;) {
      inotify_event notice{};
      std::memcpy(&notice, at, sizeof notice);
      const char* const name = at + sizeof notice;
      on_notice(notice.wd, notice.mask, notice.len > 0 ? std::string_view(name) : std::string_view());
      at = name + notice.len;
    }
  }
}

void FolderWatch::on_notice(int watch, std::uint32_t what, std::string_view name) {
  if ((what & IN_Q_OVERFLOW) != 0) {
    context_.log.info("folder.overflowed", {{"source", context_.name}});
    rescan_ = true;
    to_scan_.cancel();
    return;
  }
  if (watch == root_watch_ && (what & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)) != 0) {
    root_is_gone();
    return;
  }
  if ((what & IN_IGNORED) != 0) {
    watches_.erase(watch);
    return;
  }
  const auto folder = watches_.find(watch);
  if (folder == watches_.end() || name.empty()) return;
  const std::string key = joined(folder->second, name);
  if (key.size() > kKeyBytes) {
    log_once(told_too_long_, "object.left_out", key, "a key has at most 1024 bytes");
    return;
  }
  if ((what & IN_ISDIR) != 0) {
    if ((what & IN_MOVED_FROM) != 0) {
      // Its watches go on to tell, under names that are no longer theirs.
      forget_watches(key);
      scan_soon(moved_, key);
    } else if ((what & (IN_CREATE | IN_MOVED_TO)) != 0 && config_.rules.may_hold_wanted(key)) {
      scan_soon(appeared_, key);
    }
    return;
  }
  if (!config_.rules.wants_key(key)) return;
  if ((what & (IN_CLOSE_WRITE | IN_MOVED_TO)) != 0) {
    want(key, Reason::kClosed);
  } else if ((what & IN_CREATE) != 0 || known_.contains(key) || wishes_.contains(key)) {
    // Also files that no notice of closing will follow: links to files, and what was written before it got a name.
    want(key, Reason::kHint);
  }
}

void FolderWatch::root_is_gone() {
  fail(Error(ErrorCode::kSourceNotFound, config_.folder + ": was removed or moved away"));
}

/// No notice tells that a folder above the root was renamed, or that something was mounted over it.
net::awaitable<void> FolderWatch::watch_root() {
  for (;;) {
    co_await sleep(tuning_.root_checked_after);
    std::function<bool()> looking = [path = config_.folder, root = root_] { return folder_id(path) == root; };
    if (co_await runtime::offload(context_.blocking, std::move(looking))) continue;
    root_is_gone();
    co_return;
  }
}

bool FolderWatch::watch_folder(const std::string& folder) {
  if (folder.empty()) return true;  // since open()
  const int watch = ::inotify_add_watch(notices_->native_handle(), path_of(folder).c_str(), kWatched | IN_DONT_FOLLOW);
  if (watch >= 0) {
    watches_[watch] = folder;
    return true;
  }
  if (errno == ENOSPC)
    fail(Error(ErrorCode::kSourceFailed,
               config_.folder + ": has more folders than the kernel watches; raise fs.inotify.max_user_watches"));
  if (errno != ENOENT && errno != ENOTDIR && errno != ENOSPC)
    log_once(told_unreadable_, "object.unreadable", folder, std::strerror(errno));
  return false;
}

void FolderWatch::forget_watches(const std::string& folder) {
  const std::string inside = folder + "/";
  for (auto watch = watches_.begin(); watch != watches_.end();) {
    if (watch->second != folder && !watch->second.starts_with(inside)) {
      ++watch;
      continue;
    }
    ::inotify_rm_watch(notices_->native_handle(), watch->first);
    watch = watches_.erase(watch);
  }
}

// ---- scans

/// Of more folders than are kept in mind, a scan of everything finds the same.
void FolderWatch::scan_soon(std::deque<std::string>& folders, const std::string& folder) {
  if (appeared_.size() + moved_.size() < tuning_.waiting_max) {
    folders.push_back(folder);
  } else if (!rescan_) {
    appeared_.clear();
    moved_.clear();
    rescan_ = true;
  }
  to_scan_.cancel();
}

net::awaitable<void> FolderWatch::scan() {
  for (;;) {
    if (rescan_) {
      rescan_ = false;
      ++scan_number_;
      const bool quietly = !scanned_before_ && config_.starting_position == StartingPosition::kLatest;
      if (quietly && !begun_ns_) co_await begin_quietly();
      co_await walk("", quietly);
      if (failure_) co_return;
      co_await check_vanished("");
      if (!scanned_before_) {
        std::vector<SourceNote> done{{std::string(kScannedNote), "1"}};
        if (begun_ns_) done.push_back({std::string(kBegunNote), std::nullopt});
        co_await remember_patiently(std::move(done));
        scanned_before_ = true;
      }
    } else if (!moved_.empty()) {
      std::string folder = std::move(moved_.front());
      moved_.pop_front();
      co_await check_vanished(std::move(folder));
    } else if (!appeared_.empty()) {
      std::string folder = std::move(appeared_.front());
      appeared_.pop_front();
      co_await walk(std::move(folder), false);
    } else {
      boost::system::error_code woken;
      co_await to_scan_.async_wait(net::redirect_error(net::use_awaitable, woken));
    }
  }
}

/// A first scan may be ended half-way and begun again. What changed since its first beginning is not passed over then,
/// so the time of that is kept before anything else is.
net::awaitable<void> FolderWatch::begin_quietly() {
  begun_ns_ = context_.clock.now().wall.time_since_epoch().count();
  std::vector<SourceNote> begun{{std::string(kBegunNote), std::to_string(*begun_ns_)}};
  co_await remember_patiently(std::move(begun));
}

/// Looks for new and changed files below a folder. `quietly`: those from before the first start are only remembered.
net::awaitable<void> FolderWatch::walk(std::string top, bool quietly) {
  std::vector<std::string> folders{std::move(top)};
  while (!folders.empty()) {
    const std::string folder = std::move(folders.back());
    folders.pop_back();
    // Watched before it is listed: what comes in between is told twice, not never.
    if (!watch_folder(folder)) continue;
    std::function<Result<std::shared_ptr<Listing>>()> opening = [path = path_of(folder)] {
      return Listing::open(path);
    };
    const auto opened = co_await runtime::offload(context_.blocking, std::move(opening));
    if (!opened) {
      if (folder.empty()) fail(Error(opened.error().code(), config_.folder + ": " + opened.error().message()));
      if (opened.error().code() == ErrorCode::kSourceRefused)
        log_once(told_unreadable_, "object.unreadable", folder, opened.error().message());
      // Gone again, or for a short time not to be had: then everything is looked through once more.
      if (opened.error().code() == ErrorCode::kSourceFailed) {
        rescan_ = true;
        co_await sleep(tuning_.patience_min);
      }
      continue;
    }
    const std::shared_ptr<Listing> listing = *opened;
    for (bool end = false; !end;) {
      struct Piece {
        std::vector<Listing::Entry> entries;
        bool end = false;
      };
      std::function<Piece()> reading = [listing, at_once = tuning_.listed_at_once] {
        Piece piece;
        piece.entries = listing->next(at_once, piece.end);
        return piece;
      };
      const Piece piece = co_await runtime::offload(context_.blocking, std::move(reading));
      end = piece.end;
      std::vector<SourceNote> quiet;
      for (const Listing::Entry& entry : piece.entries) {
        const std::string key = joined(folder, entry.name);
        if (key.size() > kKeyBytes) {
          log_once(told_too_long_, "object.left_out", key, "a key has at most 1024 bytes");
        } else if (entry.folder) {
          if (config_.rules.may_hold_wanted(key)) folders.push_back(key);
        } else if (config_.rules.wants_key(key)) {
          const auto known = known_.find(key);
          if (known != known_.end()) known->second.scan = scan_number_;
          if (known != known_.end() && known->second.stamp == entry.stamp) continue;
          if (!quietly || entry.changed_ns > begun_ns_) {
            want(key, Reason::kFound);
          } else if (!wishes_.contains(key)) {
            const std::uint64_t sequencer = next_sequencer();
            known_[key] = Known{entry.stamp, sequencer, scan_number_};
            quiet.push_back({note_key(key), note_value(entry.stamp, sequencer)});
          }
        }
      }
      if (!quiet.empty()) co_await remember_patiently(std::move(quiet));
      while (wishes_.size() >= tuning_.waiting_max) co_await wait_for_room();
    }
  }
}

/// Looks at the known keys of a folder that was moved away, or at all that the scan did not see.
net::awaitable<void> FolderWatch::check_vanished(std::string folder) {
  constexpr std::size_t kAtOnce = 1000;
  const std::string inside = folder.empty() ? "" : folder + "/";
  std::size_t count = 0;
  for (auto known = known_.lower_bound(inside); known != known_.end() && known->first.starts_with(inside);) {
    const std::string key = known->first;
    if (!folder.empty() || known->second.scan != scan_number_) want(key, Reason::kHint);
    if (++count % kAtOnce == 0) co_await net::post(net::use_awaitable);
    while (wishes_.size() >= tuning_.waiting_max) co_await wait_for_room();
    known = known_.upper_bound(key);
  }
}

net::awaitable<void> FolderWatch::wait_for_room() {
  boost::system::error_code woken;
  co_await room_.async_wait(net::redirect_error(net::use_awaitable, woken));
}

// ---- looking at keys

void FolderWatch::want(const std::string& key, Reason reason) {
  const auto [at, fresh] = wishes_.try_emplace(key);
  at->second.reason = std::max(at->second.reason, reason);
  if (fresh) {
    (reason == Reason::kFound ? found_ : urgent_).push_back(key);
  } else if (at->second.running) {
    at->second.again = true;
  }
  pump();
}

void FolderWatch::pump() {
  while (working_ < tuning_.workers) {
    std::deque<std::string>& keys = urgent_.empty() ? found_ : urgent_;
    if (keys.empty()) return;
    std::string key = std::move(keys.front());
    keys.pop_front();
    wishes_.at(key).running = true;
    ++working_;
    start(work(std::move(key)));
  }
}

net::awaitable<void> FolderWatch::work(std::string key) {
  Reason reason = Reason::kHint;
  for (Duration patience = tuning_.patience_min; !co_await look(key, reason);) {
    co_await sleep(patience);
    patience = std::min(2 * patience, tuning_.patience_max);
  }
  --working_;
  Wish& wish = wishes_.at(key);
  if (wish.again) {
    wish.again = wish.running = false;
    urgent_.push_back(key);
  } else {
    wishes_.erase(key);
    room_.cancel();
  }
  pump();
}

net::awaitable<bool> FolderWatch::look(const std::string& key, Reason& reason) {
  // What was asked for until now is answered by this look; `reason` has what an earlier, unfinished one was for.
  const auto take_reason = [this, &key, &reason] {
    Wish& wish = wishes_.at(key);
    reason = std::max(reason, std::exchange(wish.reason, Reason::kHint));
    wish.again = false;
  };
  take_reason();
  left_.erase(key);
  struct Look {
    Result<std::shared_ptr<OpenFile>> file = std::shared_ptr<OpenFile>();
    OpenFile::Writer writer = OpenFile::Writer::kNone;
    bool end = false;  ///< of its content was reached
    bool same = false;
    std::string etag;
    bool root_there = true;
  };
  // A file that was closed is read at once; of the others it is asked first whether they are being written.
  const bool at_once = reason == Reason::kClosed && wants_created_;
  const auto read_on = [piece = tuning_.piece_bytes](Look& now) {
    auto end = (*now.file)->read(piece);
    if (!end) {
      now.file = std::move(end.error());
      return;
    }
    now.end = *end;
    if (!now.end) return;
    now.same = (*now.file)->unchanged();
    if (now.same) {
      now.etag = (*now.file)->etag();
    } else {
      now.writer = (*now.file)->writer();
    }
  };
  const auto begin = [read_on](Look& now) {
    if (auto begun = (*now.file)->begin(); !begun) {
      now.file = std::move(begun.error());
    } else {
      read_on(now);
    }
  };
  std::function<Look()> opening = [path = path_of(key), root_path = config_.folder, root = root_,
                                   ask = reason != Reason::kClosed, at_once, begin] {
    Look now;
    now.file = OpenFile::open(path);
    if (!now.file) now.root_there = root && folder_id(root_path) == root;
    if (now.file && ask) now.writer = (*now.file)->writer();
    if (now.file && at_once) begin(now);
    return now;
  };
  Look now = co_await runtime::offload(context_.blocking, std::move(opening));

  if (now.file && !at_once) {
    // A writer that was gone when it was asked for has left its notice; with that it is one look, not two.
    take_notices();
    const bool left = now.writer == OpenFile::Writer::kPresent ||
                      (now.writer == OpenFile::Writer::kUnknown && reason == Reason::kHint);
    take_reason();
    if (left && reason != Reason::kClosed) {
      if (now.writer == OpenFile::Writer::kPresent) {
        left_.insert(key);
        to_ask_.cancel();
      }
      co_return true;  // its notice of closing will come
    }
    const auto known = known_.find(key);
    if (known != known_.end() && reason != Reason::kClosed && known->second.stamp == (*now.file)->stamp())
      co_return true;
    if (wants_created_) {
      std::function<Look()> beginning = [now, begin]() mutable {
        begin(now);
        return now;
      };
      now = co_await runtime::offload(context_.blocking, std::move(beginning));
    }
  }
  while (now.file && wants_created_ && !now.end) {
    std::function<Look()> reading = [now, read_on]() mutable {
      read_on(now);
      return now;
    };
    now = co_await runtime::offload(context_.blocking, std::move(reading));
  }
  if (!now.file) {
    switch (now.file.error().code()) {
      case ErrorCode::kSourceNotFound:
        // When the whole folder is gone (moved, not mounted), nobody has deleted an object.
        if (!now.root_there) {
          root_is_gone();
          co_return true;
        }
        if (known_.contains(key)) co_await announce_removal(key);
        co_return true;
      case ErrorCode::kSourceRefused:
        log_once(told_unreadable_, "object.unreadable", key, now.file.error().message());
        co_return true;
      default:
        co_return false;
    }
  }
  if (wants_created_ && !now.same) {
    // It was written while it was read: whoever writes it will close it, or is done and it is read again.
    reason = Reason::kClosed;
    co_return now.writer == OpenFile::Writer::kPresent;
  }
  co_await announce(key, (*now.file)->stamp(), std::move(now.etag));
  co_return true;
}

/// Looks now and then at files that somebody wrote when they were looked at. Most were closed meanwhile, with a notice,
/// and are not among them any more; but no notice tells of the closing of a file that was opened before it had a name.
net::awaitable<void> FolderWatch::ask_again() {
  for (;;) {
    while (left_.empty()) {
      boost::system::error_code woken;
      co_await to_ask_.async_wait(net::redirect_error(net::use_awaitable, woken));
    }
    co_await sleep(tuning_.ask_again_after);
    for (const std::string& key : std::exchange(left_, {})) want(key, Reason::kHint);
  }
}

ObjectEvent FolderWatch::event_of(std::string_view name, const std::string& key) const {
  ObjectEvent event;
  event.name = name;
  event.time = context_.clock.now().wall;
  event.region = config_.region;
  event.principal = kPrincipal;
  event.source_ip = kAddress;
  event.bucket = config_.bucket;
  event.bucket_owner = kPrincipal;
  event.key = key;
  return event;
}

std::uint64_t FolderWatch::next_sequencer() {
  const auto now = static_cast<std::uint64_t>(context_.clock.now().wall.time_since_epoch().count());
  last_sequencer_ = std::max(last_sequencer_ + 1, now);
  return last_sequencer_;
}

net::awaitable<void> FolderWatch::announce(const std::string& key, const Stamp& stamp, std::string etag) {
  const Known known{stamp, next_sequencer(), scan_number_};
  std::optional<std::string> text;
  if (wants_created_) {
    ObjectEvent event = event_of(kCreated, key);
    event.size = stamp.size;
    event.etag = std::move(etag);
    event.sequencer = hexadecimal(known.sequencer);
    text = config_.event_text(event);
  }
  SourceNote note{note_key(key), note_value(stamp, known.sequencer)};
  co_await keep(key, std::move(text), std::move(note));
  known_[key] = known;
}

net::awaitable<void> FolderWatch::announce_removal(const std::string& key) {
  std::optional<std::string> text;
  if (wants_removed_) {
    ObjectEvent event = event_of(kRemoved, key);
    event.sequencer = hexadecimal(next_sequencer());
    text = config_.event_text(event);
  }
  SourceNote note{note_key(key), std::nullopt};
  co_await keep(key, std::move(text), std::move(note));
  known_.erase(key);
}

// ---- the sink

/// Gives the event with its note, or the note alone, as often as it takes. Only an event that is refused for ever is
/// given up: a note without its event would lose the file.
net::awaitable<void> FolderWatch::keep(const std::string& key, std::optional<std::string> event, SourceNote note) {
  if (event) {
    for (Duration patience = tuning_.patience_min;; patience = std::min(2 * patience, tuning_.patience_max)) {
      const auto accepted = co_await sink_.accept(*event, note);
      if (accepted) {
        on_kept();
        co_return;
      }
      if (accepted.error().code() == ErrorCode::kEventRefused) {
        log_once(told_refused_event_, "event.refused", key, accepted.error().message());
        break;
      }
      on_refusal(accepted.error());
      co_await sleep(patience);
    }
  }
  std::vector<SourceNote> notes;
  notes.push_back(std::move(note));
  co_await remember_patiently(std::move(notes));
}

net::awaitable<void> FolderWatch::remember_patiently(std::vector<SourceNote> notes) {
  for (Duration patience = tuning_.patience_min;; patience = std::min(2 * patience, tuning_.patience_max)) {
    const auto kept = co_await sink_.remember(notes);
    if (kept) {
      on_kept();
      co_return;
    }
    on_refusal(kept.error());
    co_await sleep(patience);
  }
}

void FolderWatch::on_refusal(const Error& error) {
  if (error.code() == ErrorCode::kCancelled) return;  // weir stops, and so will this
  if (!refused_) context_.log.warn("folder.paused", {{"source", context_.name}, {"error", error.describe()}});
  refused_ = true;
}

void FolderWatch::on_kept() {
  if (refused_) context_.log.info("folder.resumed", {{"source", context_.name}});
  refused_ = false;
}

net::awaitable<void> FolderWatch::sleep(Duration duration) {
  net::steady_timer timer(context_.executor, duration);
  co_await timer.async_wait(net::use_awaitable);
}

}  // namespace weir::s3
