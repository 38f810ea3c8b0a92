#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "weir/connector.h"

#include "connectors/logs/batch.h"
#include "connectors/logs/budget.h"
#include "connectors/logs/config.h"
#include "connectors/logs/files.h"
#include "connectors/logs/lines.h"
#include "connectors/logs/timers.h"
#include "runtime/task_scope.h"

namespace weir::logs {

/// How much tailing does at once and how long it waits.
struct TailTuning {
  std::size_t piece_bytes = 8 << 20;  ///< read of a file in one go; then it is the next file's turn
  std::size_t message_bytes = kTailedBytesMax;
  std::size_t batch_bytes = kBatchBytes;
  std::size_t batch_events = kBatchEvents;
  std::size_t files_max = 1024;
  std::size_t budget_bytes = 32 << 20;       ///< of what is read and not yet sent, of all files together
  std::size_t turn_bytes = 4 * kBatchBytes;  ///< a file's that is read: a batch, its JSON and what that is packed to
  std::size_t resting_bytes = 4096;          ///< of an incomplete line while nothing comes; more is read again
  Duration window = std::chrono::milliseconds(300);     ///< from a batch's first event to its delivery
  Duration look_again_after = std::chrono::seconds(1);  ///< for new files, and for what no notice told
  Duration look_at_most_every = std::chrono::milliseconds(50);
  Duration noted_after = std::chrono::seconds(5);     ///< a position that has passed no event
  Duration multiline_wait = std::chrono::seconds(1);  ///< for another line of an event
  Duration rotated_kept = std::chrono::seconds(5);    ///< a file that lost its name: who writes it may not know yet
  Duration absent_kept = std::chrono::hours(24);      ///< the position of a file that is not there
  Duration absent_sought_every = std::chrono::minutes(1);  ///< under another name
  Duration patience_min = std::chrono::milliseconds(100);  ///< after a refusal; doubled each time
  Duration patience_max = std::chrono::seconds(5);
};

/// Files whose new lines are log events. Each is a log stream under its path; of a function's own log, under a name as
/// AWS gives one. One coroutine reads one file, a piece at a time on the pool's thread, so no file waits long for
/// another. A piece ends where a batch is full, and files are read only in their turns, which are as many as fit in a
/// budget: what is in memory does not grow with the number of files, nor with their lines.
///
/// Where reading goes on is kept with every batch in one transaction. A file is known again by its inode and its first
/// bytes: the number of its device may be another after a boot, and an inode may be given to another file. One that was
/// passed over without being read is known by its inode, its path and that it is no shorter. What is not there may come
/// back, as a file system that is mounted late: its position is kept for a day. Names are looked up anew every second,
/// and when the kernel tells of a change.
class Tail {
 public:
  /// All references outlive it.
  Tail(const LogsConfig& config, const SourceContext& context, EventSink& sink, Timers& timers, TailTuning tuning);

  /// Until it is cancelled or fails.
  net::awaitable<Result<void>> run();

 private:
  struct Pending {
    LogEvent event;  ///< without its id, until it is sent
    std::uint64_t end = 0;
    std::size_t bytes = 0;             ///< of its JSON
    std::optional<std::int64_t> time;  ///< its line's own
  };
  /// What is kept of a file.
  struct Noted {
    FileId id;
    std::uint64_t position = 0;
    std::size_t first_bytes = 0;
    std::uint64_t first_hash = 0;
    std::optional<WallTime> absent_since;  ///< when it was first certain that it is not there
    std::int64_t day = 0;                  ///< since 1970, of a function's log: when it was found
    std::string path;
    Instant sought_again{};  ///< not kept

    std::string text() const;
  };
  /// A file that is read.
  struct Followed {
    Followed(Tail& tail, std::string file_path, std::shared_ptr<OpenFile> opened, std::uint64_t position,
             std::int64_t found_on);

    std::string path;     ///< under which it was found first
    std::int64_t day;     ///< as in Noted
    std::string stream;   ///< its log stream
    std::string seen_at;  ///< where it was found last
    std::string key;      ///< of its note
    std::shared_ptr<OpenFile> file;
    std::optional<LineCutter> cutter;  ///< the pool's while a piece is read
    std::uint64_t read_to = 0;         ///< how far it was read; the cutter may have gone back
    bool waiting = false;              ///< what the cutter said after the last piece
    std::string first;                 ///< its first bytes, as far as they were read
    std::deque<Pending> pending;
    std::size_t pending_bytes = 0;   ///< of their JSON
    std::size_t pending_memory = 0;  ///< that they take
    ByteBudget::Share share;
    Instant opened_at{};  ///< when the oldest pending event was read
    Instant grown_at{};   ///< when it last gave something
    Instant noted_at{};
    std::optional<std::uint64_t> noted;  ///< the position that is kept; none: another, or none at all
    std::int64_t last_time = 0;          ///< of its events, which never go back
    std::uint64_t number = 0;            ///< of its events
    std::optional<Instant> unnamed_at;   ///< since when no pattern finds it
    bool woken = false;
    std::unique_ptr<Timer> wake;
  };
  /// What became of a file that was opened.
  struct Opened {
    std::shared_ptr<Followed> file;  ///< null: it is not known which one it is
    std::string unreadable;          ///< then why
  };
  struct Comparison;
  struct Turn;
  struct Piece;

  void start(net::awaitable<void> task);
  net::awaitable<void> watched(net::awaitable<void> task);
  void fail(Error error);

  net::awaitable<Result<void>> load();
  net::awaitable<void> look();
  net::awaitable<void> reconcile(Look look);
  net::awaitable<void> find_rotated(const Look& look, const std::set<std::uint64_t>& unread,
                                    std::vector<SourceNote>& notes);
  bool passes_over(const SeenFile& seen) const;
  void pass_over_unread(const std::vector<const SeenFile*>& files, std::vector<SourceNote>& notes);
  void note_unseen(const Look& look, std::vector<SourceNote>& notes);
  net::awaitable<Opened> opened(const SeenFile& seen, std::vector<SourceNote>& notes);
  net::awaitable<Opened> resumed(std::shared_ptr<OpenFile> file, const std::string& path,
                                 std::vector<SourceNote>& notes);
  static Comparison compare(const OpenFile& file, const std::string& path, const Noted& noted);
  void follow(std::shared_ptr<Followed> file);
  std::string unused_key(const FileId& id) const;
  std::string stream_of(const std::string& path, std::int64_t day, const FileId& id) const;
  std::int64_t today() const;
  void tell_unreadable(const Look& look);
  void tell_left_out(const SeenFile& seen, const std::string& reason);

  void watch_folders(const Look& look);
  net::awaitable<void> read_notices();
  void take_notices();

  net::awaitable<void> read_on(std::shared_ptr<Followed> file);
  bool over(const Followed& file, Instant read_at) const;
  net::awaitable<void> take_turn(Followed& file);
  net::awaitable<Turn> read_piece(Followed& file, Instant read_at, bool ends);
  void take(Followed& file, std::vector<Pending> events);
  net::awaitable<void> send_due(Followed& file, bool all);
  net::awaitable<void> send(Followed& file);
  net::awaitable<void> note_position(Followed& file);
  net::awaitable<void> rest(Followed& file);
  SourceNote note(const Followed& file, std::uint64_t position) const;
  static void wake(Followed& file);

  net::awaitable<void> keep(std::optional<std::string> event, std::vector<SourceNote> notes);
  void on_refusal(const Error& error);
  void on_kept();
  Instant now() const { return context_.clock.now().instant; }

  const LogsConfig& config_;
  const SourceContext& context_;
  EventSink& sink_;
  Timers& timers_;
  const TailTuning tuning_;

  std::map<std::string, Noted> noted_;  ///< by their keys: of an earlier run, until their files are found again
  bool begun_before_ = false;
  WallTime begun_at_{};           ///< of the very first start, where it is known
  std::set<std::string> unseen_;  ///< paths that nobody could look at when it began, nor since: see note_unseen()
  ByteBudget budget_;
  std::map<FileId, std::shared_ptr<Followed>> files_;  ///< shared with the coroutine that reads it
  std::set<std::string> told_;                         ///< files and folders that were logged as unreadable or too many

  std::optional<net::posix::stream_descriptor> notices_;
  std::unordered_map<int, std::string> watches_;

  runtime::TaskScope scope_;
  std::unique_ptr<Timer> to_look_;
  bool look_now_ = false;
  net::steady_timer finished_;
  bool ended_ = false;
  bool refused_ = false;
  std::optional<Error> failure_;
};

}  // namespace weir::logs
