#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include "weir/base/log.h"

#include "runtime/task_scope.h"

namespace weir::bridge {

namespace net = boost::asio;

/// Sees when a file in a function's folder, or in a folder below it, has changed. What editors and interpreters leave
/// there is no change: names that begin with a dot, backups (NAME~, #NAME#, 4913, .swp), `__pycache__`, `.pyc`. Of the
/// folders the first kFolders are watched (inotify); a folder of which some are not, or that inotify refuses, is said
/// so once in the log, and its uppermost level is looked at twice a second. A folder that goes is waited for; of one
/// that is reached through a link it is looked where that leads, ten times a second. One executor, one thread.
class CodeWatch {
 public:
  /// Of all functions together.
  static constexpr std::size_t kFolders = 8192;
  /// Changes that come one after the other are one, as long as they come so soon after each other ...
  static constexpr std::chrono::milliseconds kQuiet{50};
  /// ... and not for longer than this.
  static constexpr std::chrono::milliseconds kLatest{120};
  /// What changes sooner after an earlier change is part of something larger, a copy of many files perhaps ...
  static constexpr std::chrono::milliseconds kCalm{1000};
  /// ... which is over when it has been quiet for so long, or has gone on for longer than anybody's patience.
  static constexpr std::chrono::milliseconds kSettled{300};
  static constexpr std::chrono::milliseconds kPatience{10'000};

  struct Deps {
    net::any_io_executor executor;
    net::any_io_executor blocking;  ///< a pool's
    Log& log;
  };
  using Changed = std::function<void(const std::string& function)>;
  /// `not_below`: a folder that weir itself writes to.
  CodeWatch(Deps deps, std::string not_below, Changed changed, std::size_t folders = kFolders);
  ~CodeWatch();

  /// From now on these are watched: functions by name, with their folders.
  void watch(const std::map<std::string, std::string>& folders);
  /// Until request_stop().
  net::awaitable<void> run();
  void request_stop();

  /// Whether all of the folders are watched by now.
  bool settled() const { return scans_ == 0; }

 private:
  using Time = net::steady_timer::time_point;
  struct Inotify;
  /// A function's folder, with all below it.
  struct Tree {
    std::set<std::string> functions;
    bool lost = false;          ///< it is not there
    bool polled = false;        ///< not all of it is watched
    std::uint64_t top = 0;      ///< what its uppermost level looked like, where it is polled
    std::string leads_to;       ///< where it really is, when that is elsewhere
    Time first = Time::max();   ///< the first change that was not told of
    Time latest = Time::min();  ///< the last one
    bool goes_on = false;       ///< the first was soon after one before

    /// When it is to be told of.
    Time due() const {
      return goes_on ? std::min(latest + kSettled, first + kPatience) : std::min(latest + kQuiet, first + kLatest);
    }
  };
  struct Found {
    std::vector<std::pair<int, std::string>> watches;
    bool files = false;    ///< there are some
    bool missing = false;  ///< it is no folder (any more)
    std::string limit;     ///< why there are folders that are not watched; "" when all are
  };

  static bool is_nothing(std::string_view name);
  static Found look(std::shared_ptr<Inotify> inotify, std::string folder, std::string not_below, std::size_t room);
  static std::uint64_t look_of(const std::string& folder);
  net::awaitable<void> scan(std::string folder, bool all_is_new);
  net::awaitable<void> read();
  net::awaitable<void> tell();
  net::awaitable<void> poll();
  void take(std::string_view events);
  void changed(std::string_view path);
  void lose(const std::string& path);
  void find_again(const std::string& root, Tree& tree);
  void wake();

  Deps deps_;
  std::string not_below_;
  Changed changed_;
  std::size_t folders_;
  std::shared_ptr<Inotify> inotify_;    ///< shared with what looks at folders on another thread
  std::map<std::string, Tree> trees_;   ///< by their folders
  std::map<int, std::string> watches_;  ///< folders by inotify's numbers
  std::size_t scans_ = 0;
  bool stopping_ = false;
  net::steady_timer due_;
  net::steady_timer poll_;
  runtime::TaskScope tasks_;
};

}  // namespace weir::bridge
