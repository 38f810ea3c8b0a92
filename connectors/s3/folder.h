#pragma once

#include <deque>
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

#include "connectors/s3/config.h"
#include "connectors/s3/files.h"
#include "connectors/s3/object_event.h"
#include "runtime/task_scope.h"

namespace weir::s3 {

/// How much a folder does at once and how long it waits; tests make it small.
struct FolderTuning {
  std::size_t workers = 16;           ///< files that are looked at at once; the store writes their events together
  std::size_t listed_at_once = 512;   ///< files of one piece of a listing
  std::size_t waiting_max = 4096;     ///< keys to look at; a scan waits above it, notices above four times it
  std::size_t piece_bytes = 1 << 18;  ///< read of a file in one go
  Duration patience_min = std::chrono::milliseconds(100);  ///< after a refusal; doubled each time
  Duration patience_max = std::chrono::seconds(5);
  Duration ask_again_after = std::chrono::seconds(1);     ///< whether a file that was being written still is
  Duration root_checked_after = std::chrono::seconds(5);  ///< whether the folder is still where it was
};

/// A folder that stands in for a bucket: its files are the objects, their paths the keys.
///
/// What was announced is known (`known_`, and the sink's notes across restarts). A notice or a scan only says which key
/// to look at; a look compares what is there with what is known and announces the difference. So a notice too many does
/// no harm, and one too few is made good by the next scan. Only a notice of closing says more: that the file was
/// written, even if its size and time say nothing of it.
class FolderWatch {
 public:
  /// All references outlive it.
  FolderWatch(const S3Config& config, const SourceContext& context, EventSink& sink, FolderTuning tuning);

  /// Until it is cancelled or fails.
  net::awaitable<Result<void>> run();

 private:
  /// Why a key is looked at, the weakest first.
  enum class Reason {
    kHint,    ///< it appeared or vanished: a file that may still be written is left until it is closed
    kFound,   ///< a scan saw it: announced if it is new or another, unless somebody surely writes it
    kClosed,  ///< it was closed after writing, or renamed into place: announced whatever is known of it
  };
  struct Wish {
    Reason reason = Reason::kHint;
    bool running = false;
    bool again = false;  ///< asked for while running
  };
  struct Known {
    Stamp stamp;
    std::uint64_t sequencer = 0;
    std::uint64_t scan = 0;  ///< the latest that saw it
  };

  void start(net::awaitable<void> task);
  net::awaitable<void> watched(net::awaitable<void> task);
  void end();
  Result<void> open();
  net::awaitable<Result<void>> load();

  net::awaitable<void> read_notices();
  void take_notices();
  void on_notice(int watch, std::uint32_t what, std::string_view name);
  net::awaitable<void> watch_root();
  void root_is_gone();

  net::awaitable<void> scan();
  void scan_soon(std::deque<std::string>& folders, const std::string& folder);
  net::awaitable<void> begin_quietly();
  net::awaitable<void> walk(std::string top, bool quietly);
  net::awaitable<void> check_vanished(std::string folder);
  net::awaitable<void> wait_for_room();
  bool watch_folder(const std::string& folder);
  void forget_watches(const std::string& folder);

  void want(const std::string& key, Reason reason);
  void pump();
  net::awaitable<void> work(std::string key);
  /// False when it has to be looked at again later.
  net::awaitable<bool> look(const std::string& key, Reason& reason);
  net::awaitable<void> ask_again();
  net::awaitable<void> announce(const std::string& key, const Stamp& stamp, std::string etag);
  net::awaitable<void> announce_removal(const std::string& key);
  net::awaitable<void> keep(const std::string& key, std::optional<std::string> event, SourceNote note);
  net::awaitable<void> remember_patiently(std::vector<SourceNote> notes);
  void on_refusal(const Error& error);
  void on_kept();
  net::awaitable<void> sleep(Duration duration);

  ObjectEvent event_of(std::string_view name, const std::string& key) const;
  std::uint64_t next_sequencer();
  std::string path_of(const std::string& key) const;
  void fail(Error error);
  void log_once(std::set<std::string>& logged, std::string_view event, std::string_view key, std::string_view reason);

  const S3Config& config_;
  const SourceContext& context_;
  EventSink& sink_;
  const FolderTuning tuning_;
  const bool wants_created_;
  const bool wants_removed_;

  std::optional<net::posix::stream_descriptor> notices_;
  std::unordered_map<int, std::string> watches_;  ///< the folder that a watch is of; "" is the whole
  int root_watch_ = -1;
  std::optional<FolderId> root_;  ///< what was at the folder's path when it was opened

  std::map<std::string, Known, std::less<>> known_;
  std::unordered_map<std::string, Wish> wishes_;  ///< bounded by tuning_.waiting_max, see there
  std::deque<std::string> urgent_;                ///< keys of wishes: what just happened
  std::deque<std::string> found_;                 ///< keys of wishes: what a scan came upon
  std::set<std::string> left_;                    ///< keys of files that are being written
  std::size_t working_ = 0;
  std::uint64_t last_sequencer_ = 0;

  bool scanned_before_ = false;           ///< at some start, to the end
  std::optional<std::int64_t> begun_ns_;  ///< see begin_quietly()
  bool rescan_ = true;
  std::uint64_t scan_number_ = 0;
  // Together bounded by tuning_.waiting_max.
  std::deque<std::string> appeared_;  ///< folders to walk
  std::deque<std::string> moved_;     ///< folders whose keys to check

  bool refused_ = false;                   ///< by the sink, at last
  std::set<std::string> told_unreadable_;  ///< keys that were logged
  std::set<std::string> told_too_long_;
  std::set<std::string> told_refused_event_;

  runtime::TaskScope scope_;
  net::steady_timer room_;      ///< cancelled when there is room for more wishes
  net::steady_timer to_scan_;   ///< cancelled when there is something to scan
  net::steady_timer to_ask_;    ///< cancelled when left_ got its first
  net::steady_timer finished_;  ///< cancelled by end()
  bool ended_ = false;
  std::optional<Error> failure_;
};

}  // namespace weir::s3
