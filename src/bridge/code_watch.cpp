#include "bridge/code_watch.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/offload.h"

namespace weir::bridge {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kEvents = IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB |
                                  IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
constexpr std::chrono::milliseconds kPoll{500};
/// A folder that was taken away is mostly being written anew.
constexpr std::chrono::milliseconds kPollLost{50};
constexpr std::chrono::milliseconds kPollLink{100};

bool is_below(std::string_view path, std::string_view folder) {
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/' || folder == "/");
}

/// Where a folder really is, when it is reached through a link; "" otherwise.
std::string behind_links(const std::string& folder) {
  std::error_code unknown;
  const fs::path real = fs::canonical(folder, unknown);
  return unknown || real == fs::path(folder).lexically_normal() ? std::string() : real.string();
}

std::string without_end(std::string folder) {
  while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
  return folder;
}

}  // namespace

struct CodeWatch::Inotify {
  explicit Inotify(const net::any_io_executor& executor)
      : number(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)), trouble(number < 0 ? errno : 0), stream(executor) {
    if (number >= 0) stream.assign(number);
  }
  int number;
  int trouble;  ///< why there is none
  net::posix::stream_descriptor stream;
};

CodeWatch::CodeWatch(Deps deps, std::string not_below, Changed changed, std::size_t folders)
    : deps_(std::move(deps)),
      not_below_(without_end(std::move(not_below))),
      changed_(std::move(changed)),
      folders_(folders),
      inotify_(std::make_shared<Inotify>(deps_.executor)),
      due_(deps_.executor, Time::max()),
      poll_(deps_.executor, Time::max()),
      tasks_(deps_.executor) {}

CodeWatch::~CodeWatch() = default;

bool CodeWatch::is_nothing(std::string_view name) {
  return name.empty() || name.front() == '.' || name.back() == '~' || (name.front() == '#' && name.back() == '#') ||
         name == "4913" || name == "__pycache__" || name.ends_with(".pyc") || name.ends_with(".swp");
}

/// Watches a folder and those below it. On a thread of the pool: a folder may hold thousands of others.
CodeWatch::Found CodeWatch::look(std::shared_ptr<Inotify> inotify, std::string folder, std::string not_below,
                                 std::size_t room) {
  Found found;
  std::vector<std::string> open{std::move(folder)};
  for (bool top = true; !open.empty(); top = false) {
    const std::string here = std::move(open.back());
    open.pop_back();
    if (found.watches.size() >= room) {
      found.limit = "it holds more folders than are watched";
      break;
    }
    const int watch = inotify->number < 0 ? -1 : ::inotify_add_watch(inotify->number, here.c_str(), kEvents);
    if (watch < 0) {
      const int why = inotify->number < 0 ? inotify->trouble : errno;
      found.missing = found.missing || (top && (why == ENOENT || why == ENOTDIR));
      if (why != ENOENT && why != ENOTDIR) found.limit = std::generic_category().message(why);
      if (inotify->number < 0 || why == ENOSPC) break;
      continue;
    }
    found.watches.emplace_back(watch, here);
    std::error_code error;
    for (fs::directory_iterator each(here, error), end; !error && each != end; each.increment(error)) {
      const std::string name = each->path().filename().string();
      if (is_nothing(name)) continue;
      std::error_code unknown;
      if (fs::is_directory(each->symlink_status(unknown))) {
        if (!is_below(each->path().string(), not_below)) open.push_back(each->path().string());
      } else {
        found.files = true;
      }
    }
  }
  return found;
}

/// What the uppermost level looks like: names, times and sizes.
std::uint64_t CodeWatch::look_of(const std::string& folder) {
  std::uint64_t sum = 1;
  std::error_code error;
  for (fs::directory_iterator each(folder, error), end; !error && each != end; each.increment(error)) {
    const std::string name = each->path().filename().string();
    struct stat about {};
    if (is_nothing(name) || ::stat(each->path().c_str(), &about) != 0) continue;
    std::uint64_t one = std::hash<std::string>()(name);
    for (const auto part : {about.st_mtim.tv_sec, about.st_mtim.tv_nsec, static_cast<long>(about.st_size)}) {
      one = one * 1'000'003 + static_cast<std::uint64_t>(part);
    }
    sum += one;  // in whatever order they come
  }
  return sum;
}

void CodeWatch::watch(const std::map<std::string, std::string>& folders) {
  for (auto& [folder, tree] : trees_) tree.functions.clear();
  std::vector<std::string> fresh;
  for (const auto& [function, written] : folders) {
    const std::string folder = without_end(written);
    const auto [tree, is_new] = trees_.try_emplace(folder);
    tree->second.functions.insert(function);
    if (!is_new) continue;
    tree->second.leads_to = behind_links(folder);
    fresh.push_back(folder);
  }
  std::erase_if(trees_, [](const auto& each) { return each.second.functions.empty(); });
  std::erase_if(watches_, [&](const auto& each) {
    const bool needed =
        std::any_of(trees_.begin(), trees_.end(), [&](const auto& tree) { return is_below(each.second, tree.first); });
    if (!needed) ::inotify_rm_watch(inotify_->number, each.first);
    return !needed;
  });
  for (const std::string& folder : fresh) {
    ++scans_;
    tasks_.spawn(scan(folder, false));
  }
}

/// `all_is_new`: what is found there is a change.
net::awaitable<void> CodeWatch::scan(std::string folder, bool all_is_new) {
  std::function<std::pair<Found, std::uint64_t>()> work = [inotify = inotify_, folder, not_below = not_below_,
                                                           room = folders_ - std::min(folders_, watches_.size())] {
    Found found = look(inotify, folder, not_below, room);
    const std::uint64_t top = found.limit.empty() ? 0 : look_of(folder);
    return std::pair(std::move(found), top);
  };
  auto [found, top] = co_await runtime::offload(deps_.blocking, std::move(work));
  --scans_;
  for (auto& [number, path] : found.watches) watches_[number] = std::move(path);
  if (all_is_new && found.files) changed(folder);
  for (auto& [root, tree] : trees_) {
    if (root == folder && found.missing) {
      tree.lost = true;
      poll_.cancel();
    }
    if (!is_below(folder, root) || found.limit.empty() || tree.polled) continue;
    tree.polled = true;
    tree.top = root == folder ? top : look_of(root);
    poll_.cancel();
    deps_.log.warn("function.watch_limited", {{"function", *tree.functions.begin()},
                                              {"folder", root},
                                              {"folders", watches_.size()},
                                              {"message", found.limit + "; only its uppermost level is looked at"}});
  }
}

net::awaitable<void> CodeWatch::run() {
  tasks_.spawn(tell());
  tasks_.spawn(poll());
  if (inotify_->number >= 0) tasks_.spawn(read());
  co_await tasks_.join();
}

void CodeWatch::request_stop() {
  stopping_ = true;
  tasks_.cancel();
}

net::awaitable<void> CodeWatch::read() {
  alignas(inotify_event) std::array<char, 64 * 1024> buffer{};
  for (;;) {
    co_await inotify_->stream.async_wait(net::posix::stream_descriptor::wait_read, net::use_awaitable);
    for (;;) {
      const ssize_t length = ::read(inotify_->number, buffer.data(), buffer.size());
      if (length <= 0) break;
      take(std::string_view(buffer.data(), static_cast<std::size_t>(length)));
    }
  }
}

void CodeWatch::take(std::string_view events) {
  while (events.size() >= sizeof(inotify_event)) {
    inotify_event event{};
    std::memcpy(&event, events.data(), sizeof(event));
    const std::string_view name(events.data() + sizeof(event));  // ends with a zero, as inotify(7) says
    const std::string_view own = event.len == 0 ? std::string_view() : name;
    const std::size_t size = sizeof(event) + event.len;
    if ((event.mask & IN_Q_OVERFLOW) != 0) {
      // Nobody knows what was lost, new folders perhaps.
      for (const auto& [root, tree] : trees_) {
        ++scans_;
        tasks_.spawn(scan(root, true));
      }
    } else if (const auto watch = watches_.find(event.wd); watch != watches_.end()) {
      const std::string folder = watch->second;
      const std::string path = own.empty() ? folder : folder + "/" + std::string(own);
      const bool is_folder = (event.mask & IN_ISDIR) != 0;
      if ((event.mask & IN_IGNORED) != 0) watches_.erase(watch);
      if ((event.mask & (IN_DELETE_SELF | IN_MOVE_SELF)) != 0) {
        lose(folder);
      } else if (!is_nothing(own)) {
        if (is_folder && (event.mask & (IN_CREATE | IN_MOVED_TO)) != 0 && !is_below(path, not_below_)) {
          ++scans_;
          tasks_.spawn(scan(path, true));
        }
        // A file that was made will be written and closed; an empty folder is no code.
        const bool made = (event.mask & IN_CREATE) != 0 || (is_folder && (event.mask & (IN_MOVED_TO | IN_ATTRIB)) != 0);
        if (!made && !is_below(path, not_below_)) changed(path);
      }
    }
    events.remove_prefix(std::min(size, events.size()));
  }
}

void CodeWatch::changed(std::string_view path) {
  for (auto& [root, tree] : trees_) {
    if (!is_below(path, root)) continue;
    const Time now = net::steady_timer::clock_type::now();
    if (tree.first == Time::max()) {
      tree.goes_on = tree.latest != Time::min() && now - tree.latest < kCalm;
      tree.first = now;
    }
    tree.latest = now;
  }
  due_.cancel();
}

/// A function's folder is gone, or another one may take its place.
void CodeWatch::lose(const std::string& path) {
  for (auto& [root, tree] : trees_) {
    if (root == path) tree.lost = true;
  }
  poll_.cancel();
}

/// There is a folder again, or another one, at the place of one that is watched.
void CodeWatch::find_again(const std::string& root, Tree& tree) {
  tree.lost = false;
  tree.leads_to = behind_links(root);
  std::erase_if(watches_, [&](const auto& each) {
    if (!is_below(each.second, root)) return false;
    ::inotify_rm_watch(inotify_->number, each.first);
    return true;
  });
  ++scans_;
  tasks_.spawn(scan(root, true));
}

/// Tells of changes when it has been quiet for a moment.
net::awaitable<void> CodeWatch::tell() {
  for (;;) {
    Time next = Time::max();
    const Time now = net::steady_timer::clock_type::now();
    std::vector<std::string> functions;
    for (auto& [root, tree] : trees_) {
      if (tree.first == Time::max()) continue;
      if (tree.due() > now) {
        next = std::min(next, tree.due());
        continue;
      }
      tree.first = Time::max();
      functions.insert(functions.end(), tree.functions.begin(), tree.functions.end());
    }
    for (const std::string& function : functions) changed_(function);
    due_.expires_at(next);
    boost::system::error_code woken;
    co_await due_.async_wait(net::redirect_error(net::use_awaitable, woken));
    if (stopping_) co_return;
  }
}

/// Looks at what inotify does not tell of.
net::awaitable<void> CodeWatch::poll() {
  for (;;) {
    Time next = Time::max();
    const Time now = net::steady_timer::clock_type::now();
    for (const auto& [root, tree] : trees_) {
      if (tree.lost) next = std::min(next, now + kPollLost);
      if (tree.polled) next = std::min(next, now + kPoll);
      if (!tree.leads_to.empty()) next = std::min(next, now + kPollLink);
    }
    poll_.expires_at(next);
    boost::system::error_code woken;
    co_await poll_.async_wait(net::redirect_error(net::use_awaitable, woken));
    if (stopping_) co_return;
    if (woken) continue;
    for (auto& [root, tree] : trees_) {
      std::error_code error;
      const bool leads_elsewhere = !tree.leads_to.empty() && behind_links(root) != tree.leads_to;
      if ((tree.lost || leads_elsewhere) && fs::is_directory(root, error)) find_again(root, tree);
      if (!tree.polled) continue;
      const std::uint64_t top = look_of(root);
      if (std::exchange(tree.top, top) != top) changed(root);
    }
  }
}

}  // namespace weir::bridge
