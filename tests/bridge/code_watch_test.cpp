// What is a change of a function's code, and what is none.
#include "bridge/code_watch.h"

#include <filesystem>
#include <stdexcept>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <catch2/catch.hpp>

#include "bridge/world.h"

using namespace weir;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

/// The folder `code` of the function "f", watched.
class Watched {
 public:
  explicit Watched(std::size_t folders = bridge::CodeWatch::kFolders)
      : watch(
            {context_.get_executor(), pool_.get_executor(), log}, home / "code/state",
            [this](const std::string& function) { changes.push_back(function); }, folders) {
    fs::create_directories(home / "code/lib/deep");
    fs::create_directories(home / "code/state");
    home.write("code/index.js", "1");
  }
  ~Watched() {
    watch.request_stop();
    run_until([this] { return ended_; });
  }
  void begin(std::map<std::string, std::string> folders) {
    watch.watch(folders);
    net::co_spawn(context_, run(), net::detached);
    run_until([this] { return watch.settled(); });
  }
  void begin() { begin({{"f", home / "code"}}); }

  void run_until(const std::function<bool()>& enough) {
    const auto patience = std::chrono::steady_clock::now() + 10s;
    while (!enough()) {
      if (std::chrono::steady_clock::now() > patience) throw std::runtime_error("it did not come to that in 10 s");
      context_.run_one_for(20ms);
    }
  }
  /// What was told when a change that surely is one has been told of.
  std::vector<std::string> told_at_last() {
    home.write("code/sure.js", "1");
    run_until([this] { return !changes.empty(); });
    return changes;
  }

  test::TemporaryFolder home;
  test::EventNames log;
  std::vector<std::string> changes;

 private:
  net::awaitable<void> run() {
    co_await watch.run();
    ended_ = true;
  }

  net::io_context context_;
  net::thread_pool pool_{1};
  bool ended_ = false;

 public:
  bridge::CodeWatch watch;
};

}  // namespace

TEST_CASE("a file that is written, moved, removed or made below is a change of the code") {
  Watched code;
  code.begin();
  const fs::path home = code.home.path();
  const std::vector<std::function<void()>> changes{
      [&] { code.home.write("code/index.js", "2"); },
      [&] { code.home.write("code/lib/deep/new.js", "2"); },
      [&] { fs::remove(home / "code/index.js"); },
      [&] { fs::rename(home / "code/index.js", home / "code/lib/index.js"); },
      [&] {
        code.home.write("elsewhere", "2");
        fs::rename(home / "elsewhere", home / "code/index.js");
      },
      [&] {
        fs::create_directories(home / "code/more/and/more");
        code.home.write("code/more/and/more/file.js", "2");
      },
  };
  const auto which = GENERATE(range(0, 6));
  CAPTURE(which);
  changes[static_cast<std::size_t>(which)]();
  code.run_until([&] { return !code.changes.empty(); });
  CHECK(code.changes.front() == "f");
}

TEST_CASE("many changes in a moment are one") {
  Watched code;
  code.begin();
  for (int i = 0; i < 200; ++i) code.home.write("code/file" + std::to_string(i), "1");
  code.run_until([&] { return !code.changes.empty(); });
  CHECK(code.changes == std::vector<std::string>{"f"});
}

TEST_CASE("files that are copied one after the other are told of as they begin and when they are there") {
  Watched code;
  code.begin();
  const auto begun = std::chrono::steady_clock::now();
  int written = 0;
  // Slower than what counts as one moment.
  code.run_until([&] {
    const auto since = std::chrono::steady_clock::now() - begun;
    if (written < 12 && since >= 70ms * written) code.home.write("code/file" + std::to_string(written++), "1");
    return written == 12;
  });
  CHECK(code.changes.size() == 1);
  code.run_until([&] { return code.changes.size() == 2; });
  CHECK(std::chrono::steady_clock::now() - begun >= 70ms * 11 + bridge::CodeWatch::kSettled);
}

TEST_CASE("a folder that a link leads to is another one when the link leads elsewhere") {
  Watched code;
  const fs::path home = code.home.path();
  code.home.write("code/lib/deep/app.js", "1");
  fs::create_directory_symlink(home / "code/lib/deep", home / "current");
  code.begin({{"f", code.home / "current"}});
  fs::create_directories(home / "next");
  code.home.write("next/app.js", "2");
  fs::create_directory_symlink(home / "next", home / "to_be");
  fs::rename(home / "to_be", home / "current");
  code.run_until([&] { return !code.changes.empty(); });
  code.run_until([&] { return code.watch.settled(); });
  code.changes.clear();
  code.home.write("next/app.js", "3");
  code.run_until([&] { return !code.changes.empty(); });
  CHECK(code.changes == std::vector<std::string>{"f"});
}

TEST_CASE("what editors and interpreters leave, and what weir itself writes, is no change") {
  Watched code;
  code.begin();
  fs::create_directories(code.home / "code/__pycache__");
  fs::create_directories(code.home / "code/.git");
  for (const char* name : {".index.js.swp", "index.js~", "#index.js#", "4913", "x.pyc", ".git/HEAD",
                           "__pycache__/x.cpython-311.pyc", "state/events.sqlite"}) {
    code.home.write(std::string("code/") + name, "1");
  }
  const auto quiet = std::chrono::steady_clock::now() + 300ms;
  code.run_until([&] { return std::chrono::steady_clock::now() > quiet; });
  CHECK(code.changes.empty());
  CHECK(code.told_at_last() == std::vector<std::string>{"f"});
}

TEST_CASE("a folder that is taken away is waited for, and what comes in its place is a change") {
  Watched code;
  code.begin();
  fs::remove_all(code.home / "code");
  code.run_until([&] { return !code.changes.empty(); });
  code.changes.clear();
  fs::create_directories(code.home / "code/lib");
  code.home.write("code/lib/index.js", "2");
  code.run_until([&] { return !code.changes.empty(); });
}

TEST_CASE("of more folders than are watched the uppermost level is looked at, and it is said") {
  Watched code(2);
  code.begin();
  CHECK(code.log.count("function.watch_limited") == 1);
  CHECK(code.told_at_last().front() == "f");
}

TEST_CASE("functions share a folder, and leave it") {
  Watched code;
  code.begin({{"f", code.home / "code"}, {"g", code.home / "code/"}, {"h", code.home / "code/lib"}});
  code.home.write("code/index.js", "2");
  code.run_until([&] { return code.changes.size() == 2; });
  CHECK(code.changes == std::vector<std::string>{"f", "g"});
  code.changes.clear();
  code.watch.watch({{"h", code.home / "code/lib"}});
  code.home.write("code/index.js", "3");
  code.home.write("code/lib/index.js", "3");
  code.run_until([&] { return !code.changes.empty(); });
  CHECK(code.changes == std::vector<std::string>{"h"});
}
