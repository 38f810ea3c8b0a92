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
constexpr std::string_view kUnseenNote = "unseen/";
constexpr std::string_view kAbsent = "absent=";  // in a file's note
constexpr std::string_view kDay = "day=";
constexpr std::size_t kFirstBytes = 256;         // that tell a file from another with its inode
constexpr std::size_t kBlockBytes = 256 * 1024;  // read at once: what a processor's cache holds while it is searched
constexpr std::uint32_t kWatched = IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ONLYDIR;
constexpr std::int64_t kDayMilliseconds = 86'400'000;
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

/// "WORDnumber ", which may be missing.
void read_word(std::string_view& text, std::string_view word, std::int64_t& number) {
  std::string_view rest = text;
  if (!rest.starts_with(word)) return;
  rest.remove_prefix(word.size());
  if (read_numbers(rest, number)) text = rest;
}

/// Whether it is one of these paths, or in a folder among them.
bool is_under(const std::set<std::string>& paths, std::string_view path) {
  while (!path.empty()) {
    if (paths.contains(std::string(path))) return true;
    const std::size_t slash = path.rfind('/');
    path = path.substr(0, slash == std::string_view::npos ? 0 : slash);
  }
  return paths.contains("/");
}

std::string hexadecimal(std::uint64_t number) {
  std::string digits(16, '0');
  for (std::size_t i = digits.size(); i > 0; --i, number >>= 4U) digits[i - 1] = "0123456789abcdef"[number & 0xFU];
  return digits;
}

}  // namespace

std::string Tail::Noted::text() const {
  std::string text =
      std::to_string(position) + " " + std::to_string(first_bytes) + " " + std::to_string(first_hash) + " ";
  if (absent_since) text += std::string(kAbsent) + std::to_string(epoch_milliseconds(*absent_since)) + " ";
  if (day != 0) text += std::string(kDay) + std::to_string(day) + " ";
  return text + path;
}

/// Whether a file is one that was noted.
struct Tail::Comparison {
  enum class Answer { kSame, kAnother, kUnknown } answer = Answer::kUnknown;
  std::string first;   ///< of the same one, what is known of its first bytes
  std::string reason;  ///< why it is unknown
};

Tail::Followed::Followed(Tail& tail, std::string file_path, std::shared_ptr<OpenFile> opened, std::uint64_t position,
                         std::int64_t found_on)
    : path(std::move(file_path)),
      day(found_on),
      stream(tail.stream_of(path, day, opened->id())),
      seen_at(path),
      file(std::move(opened)),
      read_to(position),
      share(tail.budget_),
      noted(position),
      wake(tail.timers_.make()) {
  cutter.emplace(*tail.config_.filter, tail.config_.multiline_start, tail.tuning_.message_bytes, position,
                 !tail.config_.log_of.empty());
  grown_at = noted_at = tail.now();
}

/// What one reading of a file gave.
struct Tail::Piece {
  std::vector<Pending> events;
  std::string first;
  bool anew = false;   ///< it was truncated: what was read belongs to another content
  bool more = false;   ///< something was read, so there may be more
  bool ended = false;  ///< it was its end, and all of it is taken
  std::uint64_t read_to = 0;
  std::optional<Error> failure;
};
struct Tail::Turn {
  bool more = false;
  bool ended = false;
};

Tail::Tail(const LogsConfig& config, const SourceContext& context, EventSink& sink, Timers& timers, TailTuning tuning)
    : config_(config),
      context_(context),
      sink_(sink),
      timers_(timers),
      tuning_(tuning),
      budget_(context.executor, tuning.budget_bytes),
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
    if (name == kBegunNote) {
      begun_before_ = true;
      std::int64_t milliseconds = 0;
      std::string_view value = text;
      if (read_numbers(value, milliseconds)) begun_at_ = from_epoch_milliseconds(milliseconds);
    }
    if (name.starts_with(kUnseenNote)) unseen_.insert(name.substr(kUnseenNote.size()));
    if (!name.starts_with(kFileNote)) continue;
    std::string_view key = std::string_view(name).substr(kFileNote.size());
    std::string_view value = text;
    Noted noted;
    // One that cannot be read is of a file that is read from its beginning again.
    if (!read_numbers(key, noted.id.device, noted.id.inode) ||
        !read_numbers(value, noted.position, noted.first_bytes, noted.first_hash))
      continue;
    std::int64_t absent = 0;
    read_word(value, kAbsent, absent);
    if (absent != 0) noted.absent_since = from_epoch_milliseconds(absent);
    read_word(value, kDay, noted.day);
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
  std::map<std::string, std::string> folders = look.unreadable;
  for (const auto& [path, reason] : look.hidden) folders.emplace(folder_of(path), path + ": " + reason);
  for (const auto& [folder, reason] : folders) {
    if (told_.size() < kToldMax && told_.insert(folder + "/").second)
      context_.log.warn("folder.unreadable", {{"source", context_.name}, {"folder", folder}, {"reason", reason}});
  }
  // What can be read again is told anew another time; files are told without a slash at their end.
  std::erase_if(told_, [&](const std::string& told) {
    return told.ends_with('/') && !folders.contains(told.substr(0, told.size() - 1));
  });
}

void Tail::tell_left_out(const SeenFile& seen, const std::string& reason) {
  if (told_.size() < kToldMax && told_.insert(seen.path).second)
    context_.log.warn("file.left_out", {{"source", context_.name}, {"file", seen.path}, {"reason", reason}});
}

net::awaitable<void> Tail::reconcile(Look look) {
  std::vector<std::shared_ptr<Followed>> begins;
  std::vector<SourceNote> notes;
  std::set<std::uint64_t> unread;  // inodes of files that are there
  std::vector<const SeenFile*> passed_over;
  for (const SeenFile& each : look.files) {
    const auto known = files_.find(each.id);
    if (known != files_.end()) {
      known->second->unnamed_at.reset();
      known->second->seen_at = each.path;
      if (known->second->read_to != each.size) wake(*known->second);
      continue;
    }
    std::string reason = each.unreadable.empty() ? "more files than are read at once" : each.unreadable;
    if (each.file) {
      Opened now_opened = co_await opened(each, notes);
      if (now_opened.file) {
        told_.erase(each.path);
        begins.push_back(std::move(now_opened.file));
        continue;
      }
      reason = std::move(now_opened.unreadable);
    }
    tell_left_out(each, reason);
    unread.insert(each.id.inode);
    if (passes_over(each) && each.size > 0) passed_over.push_back(&each);
  }
  if (!passed_over.empty()) pass_over_unread(passed_over, notes);
  for (const FileId& id : look.gone) {
    const auto file = files_.find(id);
    if (file == files_.end() || file->second->unnamed_at) continue;
    file->second->unnamed_at = now();
    wake(*file->second);
  }
  if (!noted_.empty()) co_await find_rotated(look, unread, notes);
  note_unseen(look, notes);
  // Before anything is read: what a first start passed over stays passed over, however it ends.
  if (!begun_before_) {
    begun_at_ = context_.clock.now().wall;
    notes.push_back({std::string(kBegunNote), std::to_string(epoch_milliseconds(begun_at_))});
  }
  for (const auto& begin : begins) {
    if (begin->noted == begin->read_to) continue;
    notes.push_back(note(*begin, begin->read_to));
    begin->noted = begin->read_to;
  }
  if (!notes.empty()) co_await keep(std::nullopt, std::move(notes));
  begun_before_ = true;
  for (auto& begin : begins) follow(std::move(begin));
}

/// With LATEST: whether what is in a file is not wanted, for it was there at the very first start. Where that could not
/// be seen then, the time of its last writing may say so: a file system that is mounted later brings old files.
bool Tail::passes_over(const SeenFile& seen) const {
  if (config_.starting_position != StartingPosition::kLatest) return false;
  return !begun_before_ || seen.written < begun_at_ || is_under(unseen_, seen.path);
}

/// So that files which cannot be read now begin behind what they have now.
void Tail::pass_over_unread(const std::vector<const SeenFile*>& files, std::vector<SourceNote>& notes) {
  std::set<std::pair<std::uint64_t, std::string>> known;
  for (const auto& [key, noted] : noted_) known.emplace(noted.id.inode, noted.path);
  for (const SeenFile* seen : files) {
    if (known.contains({seen->id.inode, seen->path})) continue;
    Noted noted;
    noted.id = seen->id;
    noted.position = seen->size;
    noted.first_hash = stable_hash("");
    noted.path = seen->path;
    std::string key = unused_key(seen->id);
    notes.push_back({key, noted.text()});
    noted_.emplace(std::move(key), std::move(noted));
  }
}

/// What could not be looked at when it began was there all the same, perhaps: what is found under such a path when it
/// is looked at for the first time is passed over like the rest. That is remembered, for it may be in another run.
void Tail::note_unseen(const Look& look, std::vector<SourceNote>& notes) {
  if (config_.starting_position != StartingPosition::kLatest) return;
  std::set<std::string> unseen;
  for (const auto* paths : {&look.unreadable, &look.hidden}) {
    for (const auto& [path, reason] : *paths) {
      if (unseen.size() < tuning_.files_max && (!begun_before_ || is_under(unseen_, path))) unseen.insert(path);
    }
  }
  for (const std::string& path : unseen) {
    if (!unseen_.contains(path)) notes.push_back({std::string(kUnseenNote) + path, "1"});
  }
  for (const std::string& path : unseen_) {
    if (!unseen.contains(path)) notes.push_back({std::string(kUnseenNote) + path, std::nullopt});
  }
  unseen_ = std::move(unseen);
}

/// Files that were known when reading ended and have no name now that a pattern finds: their rest is read. Of one that
/// is there but cannot be read, or that nobody can tell of, the position is kept; of one that is not there it is kept
/// for a while.
net::awaitable<void> Tail::find_rotated(const Look& look, const std::set<std::uint64_t>& unread,
                                        std::vector<SourceNote>& notes) {
  std::map<std::string, std::vector<MissedFile>> missed;  // by their folders
  std::map<std::string, std::vector<std::string>> keys;
  for (auto& [key, noted] : noted_) {
    if (unread.contains(noted.id.inode) || noted.sought_again > now() || look.hidden.contains(noted.path)) continue;
    std::string folder = folder_of(noted.path);
    if (look.unreadable.contains(folder)) continue;
    noted.sought_again = now() + tuning_.absent_sought_every;
    missed[folder].push_back({noted.path, noted.id.inode});
    keys[std::move(folder)].push_back(key);
  }
  for (const auto& [folder, files] : missed) {
    std::function<FoundBeside()> finding = [folder = folder, files = files] { return find_beside(folder, files); };
    FoundBeside found = co_await runtime::offload(context_.blocking, std::move(finding));
    for (auto& file : found.files) {
      if (files_.contains(file->id())) continue;
      Opened now_opened = co_await resumed(std::move(file), "", notes);
      if (!now_opened.unreadable.empty()) found.certain = false;
      if (!now_opened.file) continue;
      now_opened.file->unnamed_at = now();
      follow(std::move(now_opened.file));
    }
    if (!found.certain) continue;
    const WallTime wall = context_.clock.now().wall;
    for (const std::string& key : keys[folder]) {
      const auto noted = noted_.find(key);
      if (noted == noted_.end() || found.uncertain.contains(noted->second.path)) continue;
      if (!noted->second.absent_since) {
        noted->second.absent_since = wall;
        notes.push_back({key, noted->second.text()});
      } else if (wall - *noted->second.absent_since >= tuning_.absent_kept) {
        notes.push_back({key, std::nullopt});
        noted_.erase(noted);
      }
    }
  }
}

/// A file that was not read so far, where its reading goes on or begins.
net::awaitable<Tail::Opened> Tail::opened(const SeenFile& seen, std::vector<SourceNote>& notes) {
  Opened result = co_await resumed(seen.file, seen.path, notes);
  if (result.file || !result.unreadable.empty()) co_return result;
  const bool passed_over = passes_over(seen) && seen.size > 0;
  result.file = std::make_shared<Followed>(*this, seen.path, seen.file, passed_over ? seen.size : 0, today());
  result.file->key = unused_key(seen.id);
  if (passed_over) {
    // What is passed over is known by its first bytes like what was read: another file may have its inode next time.
    std::function<Result<std::string>()> reading = [file = seen.file] { return file->read(0, kFirstBytes); };
    auto read = co_await runtime::offload(context_.blocking, std::move(reading));
    if (read) result.file->first = std::move(*read);
    result.file->noted.reset();
  }
  co_return result;
}

/// A file that was read in an earlier run, where that ended; neither a file nor a reason when it is another. `path`: ""
/// of one that was found under a name that is not its own.
net::awaitable<Tail::Opened> Tail::resumed(std::shared_ptr<OpenFile> file, const std::string& path,
                                           std::vector<SourceNote>& notes) {
  Opened result;
  const FileId id = file->id();
  std::vector<std::pair<std::string, Noted>> candidates;
  for (const auto& [key, noted] : noted_) {
    if (noted.id.inode == id.inode) candidates.emplace_back(key, noted);
  }
  // Two devices may have files of one inode that begin alike.
  std::ranges::stable_partition(candidates, [&](const auto& one) { return one.second.id == id; });
  for (const auto& [key, noted] : candidates) {
    std::function<Comparison()> comparing = [file, path, noted = noted] { return compare(*file, path, noted); };
    Comparison comparison = co_await runtime::offload(context_.blocking, std::move(comparing));
    if (comparison.answer == Comparison::Answer::kUnknown) {
      result.unreadable = std::move(comparison.reason);
      co_return result;
    }
    if (comparison.answer == Comparison::Answer::kSame) {
      const std::string& known_as = path.empty() ? noted.path : path;
      result.file = std::make_shared<Followed>(*this, known_as, file, noted.position, noted.day);
      result.file->key = key;
      result.file->first = std::move(comparison.first);
      if (noted.absent_since) result.file->noted.reset();  // or a later absence would seem as old
      noted_.erase(key);
      co_return result;
    }
    if (noted.id == id && noted.path == path) {
      // It has taken the other's place on the disk.
      noted_.erase(key);
      notes.push_back({key, std::nullopt});
    }
  }
  co_return result;
}

/// Blocks.
Tail::Comparison Tail::compare(const OpenFile& file, const std::string& path, const Noted& noted) {
  Comparison result;
  const auto size = file.size();
  auto first = file.read(0, noted.first_bytes);
  if (!size || !first) {
    result.reason = (!size ? size.error() : first.error()).message();
    return result;
  }
  // Of what was passed over unread nothing else is known.
  const bool by_path = noted.first_bytes == 0 && noted.position > 0;
  const bool same =
      by_path ? path == noted.path : first->size() == noted.first_bytes && stable_hash(*first) == noted.first_hash;
  result.answer = same && *size >= noted.position ? Comparison::Answer::kSame : Comparison::Answer::kAnother;
  result.first = std::move(*first);
  return result;
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

std::int64_t Tail::today() const {
  const auto since_1970 = context_.clock.now().wall.time_since_epoch();
  return std::chrono::floor<std::chrono::days>(since_1970).count();
}

/// AWS's form for a function's log: the day, the version, and 32 digits for the file. All its environments print to it.
std::string Tail::stream_of(const std::string& path, std::int64_t day, const FileId& id) const {
  if (config_.log_of.empty()) return path;
  // Not by its name, which is another when it is rotated.
  const std::string identity = config_.log_of + " " + std::to_string(id.inode) + " " + std::to_string(day);
  std::string text = iso_milliseconds(from_epoch_milliseconds(day * kDayMilliseconds)).substr(0, 10);
  std::ranges::replace(text, '-', '/');
  return text + "/[$LATEST]" + hexadecimal(stable_hash(identity)) + hexadecimal(stable_hash(identity + " again"));
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
  for (;;) {
    file->woken = false;
    co_await take_turn(*file);
    const Instant read_at = now();
    Turn turn = co_await read_piece(*file, read_at, over(*file, read_at));
    co_await send_due(*file, turn.ended);
    file->share.set(file->pending_memory);
    if (turn.more) continue;
    if (turn.ended) {
      std::vector<SourceNote> forgotten{{file->key, std::nullopt}};
      co_await keep(std::nullopt, std::move(forgotten));
      // The store may have let it wait, and its writer has not waited for that.
      co_await take_turn(*file);
      turn = co_await read_piece(*file, now(), false);
      if (!turn.more && file->unnamed_at) {
        files_.erase(file->file->id());
        co_return;
      }
      file->noted.reset();
      continue;
    }
    co_await note_position(*file);
    co_await rest(*file);
  }
}

/// Waits until there is memory for a piece.
net::awaitable<void> Tail::take_turn(Followed& file) {
  if (file.share.grow_now(tuning_.turn_bytes)) co_return;
  // What it has read goes now, be it little: else files could wait for what they all hold.
  co_await send_due(file, true);
  file.share.set(0);
  co_await file.share.wait_for(tuning_.turn_bytes);
}

/// Whether nobody writes it any more, after nothing was read of it.
bool Tail::over(const Followed& file, Instant read_at) const {
  return file.unnamed_at && read_at - *file.unnamed_at >= tuning_.rotated_kept &&
         read_at - file.grown_at >= tuning_.rotated_kept;
}

/// Reads on, and takes what is wanted, until a batch is full. `ends`: when nothing more comes, its last line counts.
net::awaitable<Tail::Turn> Tail::read_piece(Followed& file, Instant read_at, bool ends) {
  const bool waited = read_at - file.grown_at >= tuning_.multiline_wait;
  // Behind a store that refuses, the file waits: send_due() comes back only when there is room.
  std::function<Piece()> reading = [&file, &tuning = tuning_, &filter = *config_.filter, ends, waited] {
    Piece piece;
    piece.read_to = file.read_to;
    std::size_t bytes = file.pending_bytes;
    const std::size_t events_max = tuning.batch_events - std::min(tuning.batch_events, file.pending.size());
    bool room = true;
    const auto take = [&](std::string_view message, std::uint64_t end) {
      Pending pending;
      pending.event.message = message;
      if (filter.has_fields()) pending.event.fields = filter.fields_of(message);
      pending.bytes = json_bytes(pending.event);
      pending.end = end;
      pending.time = file.cutter->time();
      bytes += pending.bytes;
      piece.events.push_back(std::move(pending));
      room = bytes < tuning.batch_bytes && piece.events.size() < events_max;
      return room;
    };
    const auto finish = [&] {
      file.cutter->flush(ends, take);
      piece.ended = ends;
    };
    const auto size = file.file->size();
    auto first = file.file->read(0, kFirstBytes);
    if (!size || !first) {
      piece.failure = !size ? size.error() : first.error();
      if (ends) finish();
      return piece;
    }
    piece.first = std::move(*first);
    if (*size < file.read_to || !piece.first.starts_with(file.first)) {
      piece.anew = piece.more = true;
      file.cutter->flush(true, take);  // what was read of the former content
      return piece;
    }
    const std::uint64_t begin = file.cutter->read_to();
    // What it went back for is read again when it is known to be complete, or when there is more.
    if (*size > file.read_to || ends || (waited && file.waiting)) {
      // One for each of the pool's threads: made anew for every piece it would cost more than what is done with it.
      thread_local std::vector<char> block(kBlockBytes);
      const std::uint64_t end = begin + tuning.piece_bytes;
      for (bool full = true; room && full && file.cutter->read_to() < end;) {
        const std::uint64_t position = file.cutter->read_to();
        const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(block.size(), end - position));
        const auto got = file.file->read(position, std::span(block).first(wanted));
        if (!got) {
          // What came before it counts; the next piece begins with the failure.
          if (position == begin) piece.failure = got.error();
          break;
        }
        file.cutter->feed(std::string_view(block.data(), *got), take);
        full = *got == wanted;
      }
    }
    piece.more = file.cutter->read_to() > begin;
    piece.read_to = std::max(file.read_to, file.cutter->read_to());
    if (!piece.more && (ends || (waited && file.cutter->waiting()))) finish();
    return piece;
  };
  Piece piece = co_await runtime::offload(context_.blocking, std::move(reading));
  take(file, std::move(piece.events));
  // One that has gone back, and was not read again, knows nothing of it.
  if (file.cutter->read_to() == piece.read_to) file.waiting = file.cutter->waiting();
  Turn turn;
  turn.more = piece.more;
  turn.ended = piece.ended;
  if (piece.failure) {
    if (told_.size() < kToldMax && told_.insert(file.path).second)
      context_.log.warn("file.unreadable",
                        {{"source", context_.name}, {"file", file.path}, {"reason", piece.failure->message()}});
    co_return turn;
  }
  if (piece.anew) {
    context_.log.info("file.truncated", {{"source", context_.name}, {"file", file.path}});
    co_await send_due(file, true);
    file.cutter.emplace(*config_.filter, config_.multiline_start, tuning_.message_bytes, 0, !config_.log_of.empty());
    file.read_to = 0;
    file.waiting = false;
    file.first.clear();
    file.noted.reset();
    co_return turn;
  }
  if (piece.read_to > file.read_to) file.grown_at = now();
  file.read_to = piece.read_to;
  // Only what was read is known to be this file's: the rest may have come after a truncation.
  piece.first.resize(std::min<std::size_t>(piece.first.size(), file.read_to));
  file.first = std::move(piece.first);
  co_return turn;
}

/// Gives events their time, and room until they are sent.
void Tail::take(Followed& file, std::vector<Pending> events) {
  if (events.empty()) return;
  if (file.pending.empty()) file.opened_at = now();
  const std::int64_t read_at = epoch_milliseconds(context_.clock.now().wall);
  for (Pending& pending : events) {
    file.last_time = std::max(file.last_time, pending.time.value_or(read_at));
    pending.event.timestamp = file.last_time;
    file.pending_bytes += pending.bytes;
    file.pending_memory += pending.bytes + sizeof(Pending);
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
  const std::size_t count = events.size();
  file.pending_memory -= bytes + count * sizeof(Pending);
  file.opened_at = now();
  if (file.pending.empty()) end = file.cutter->done_to();
  Origin origin{config_.group(), file.stream, config_.subscription()};
  std::function<std::string()> packing = [origin = std::move(origin), events = std::move(events), number = file.number,
                                          stream = stable_hash(file.stream)]() mutable {
    for (LogEvent& event : events) event.id = event_id(event.timestamp, stream, ++number);
    return lambda_event(origin, events);
  };
  file.number += count;
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
  if (file.cutter->memory() > tuning_.resting_bytes) file.cutter->rewind();
  Duration wait = tuning_.noted_after;
  if (!file.pending.empty()) wait = std::min(wait, file.opened_at + tuning_.window - now());
  if (file.waiting) wait = std::min(wait, file.grown_at + tuning_.multiline_wait - now());
  // Nobody tells of what is written to a file without a name.
  if (file.unnamed_at) wait = std::min(wait, std::min(tuning_.look_again_after, tuning_.rotated_kept));
  co_await file.wake->wait(std::max(wait, Duration(std::chrono::milliseconds(1))));
}

SourceNote Tail::note(const Followed& file, std::uint64_t position) const {
  const std::string_view first = std::string_view(file.first).substr(0, position);
  Noted noted;
  noted.position = position;
  noted.first_bytes = first.size();
  noted.first_hash = stable_hash(first);
  noted.day = config_.log_of.empty() ? 0 : file.day;
  noted.path = file.path;
  return {file.key, noted.text()};
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
