// Files as programs write them: lines, rotation, truncation, restarts. One thread does everything and the clock is
// turned by hand, so nothing waits.
#include "connectors/logs/tail.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <malloc.h>
#include <sys/resource.h>

#include "lambda/emulator/function_log.h"
#include "logs/hand_turned.h"
#include "logs/unpack.h"
#include "s3/fake_sink.h"
#include "support/fake_clock.h"
#include "support/temporary_folder.h"

using namespace weir;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

/// As long as it is there, this process opens no more files.
class NoMoreFiles {
 public:
  NoMoreFiles() {
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before_) == 0);
    rlimit none = before_;
    none.rlim_cur = 0;
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
  }
  ~NoMoreFiles() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  NoMoreFiles(const NoMoreFiles&) = delete;
  NoMoreFiles& operator=(const NoMoreFiles&) = delete;

 private:
  rlimit before_{};
};

/// As long as it is there, nobody can look at what has that name: it leads round. What had it is beside the folder.
class NobodyCanLookAt {
 public:
  explicit NobodyCanLookAt(std::string path) : path_(std::move(path)), kept_(aside_ / "kept") {
    fs::rename(path_, kept_);
    fs::create_symlink(path_, path_);
  }
  ~NobodyCanLookAt() {
    fs::remove(path_);
    fs::rename(kept_, path_);
  }
  NobodyCanLookAt(const NobodyCanLookAt&) = delete;
  NobodyCanLookAt& operator=(const NobodyCanLookAt&) = delete;

 private:
  test::TemporaryFolder aside_;
  std::string path_;
  std::string kept_;
};

/// As long as it is there, a path leads nowhere, as with a file system that is not mounted.
class NotMounted {
 public:
  explicit NotMounted(std::string path) : path_(std::move(path)), kept_(aside_ / "kept") { fs::rename(path_, kept_); }
  ~NotMounted() {
    fs::remove_all(path_);
    fs::rename(kept_, path_);
  }
  NotMounted(const NotMounted&) = delete;
  NotMounted& operator=(const NotMounted&) = delete;

 private:
  test::TemporaryFolder aside_;
  std::string path_;
  std::string kept_;
};

/// Words between bars, in order: files are read side by side.
std::vector<std::string> sorted(const std::string& told) {
  std::vector<std::string> words;
  std::istringstream rest(told);
  for (std::string word; std::getline(rest, word, '|');) words.push_back(word);
  std::sort(words.begin(), words.end());
  return words;
}

/// A source over files of a folder; notes stay between two starts.
class Tailing {
 public:
  Tailing() {
    config.name = "web";
    config.files = {folder / "*.log"};
    config.filter = pattern::LogPattern::compile("").value();
    config.starting_position = logs::StartingPosition::kTrimHorizon;
    timers_.make();  // asio opens files of its own with the first timer, when there may be no more
  }
  ~Tailing() { stop(); }

  void begin() {
    context_.emplace(SourceContext{"web", io_.get_executor(), io_.get_executor(), null_log(), clock_});
    tail_.emplace(config, *context_, sink, timers_, tuning);
    running_ = true;
    net::co_spawn(io_, tail_->run(),
                  net::bind_cancellation_slot(cancel_.slot(), [this](std::exception_ptr thrown, Result<void> ended) {
                    running_ = false;
                    if (thrown) std::rethrow_exception(thrown);
                    if (!ended) failure_ = ended.error().describe();
                  }));
  }
  void stop() {
    if (!running_) return;
    cancel_.emit(net::cancellation_type::terminal);
    settle();
    REQUIRE_FALSE(running_);
    tail_.reset();
  }
  /// All that can happen now happens.
  void settle() {
    do io_.restart();
    while (io_.poll() > 0);
    INFO(failure_);
    CHECK(failure_.empty());
  }
  /// So much time goes by.
  void pass(Duration time) {
    const Instant end = clock_.now().instant + time;
    for (settle();; settle()) {
      const auto next = timers_.next_due();
      timers_.turn_to(next && *next < end ? *next : end);
      if (!next || *next >= end) break;
    }
    settle();
  }
  /// Time goes by until it is so: a minute would be more than anything takes.
  void until(const std::function<bool()>& so) {
    const Instant patience = clock_.now().instant + 1min;
    for (settle(); !so(); settle()) {
      const auto next = timers_.next_due();
      if (!next || *next > patience) FAIL("it did not happen; told were " << told() << "; " << failure_);
      timers_.turn_to(*next);
    }
  }
  void until_told(const std::string& expected) {
    until([&] { return told() == expected; });
  }
  /// "one|two", in the order of acceptance.
  std::string told() const {
    std::string text;
    for (const std::string& payload : sink.payloads) {
      const auto inside = test::unpack(payload);
      for (const auto& event : inside.at("logEvents"))
        text += (text.empty() ? "" : "|") + event.at("message").get<std::string>();
    }
    return text;
  }
  void append(std::string_view name, std::string_view text) { folder.write(name, text, std::ios::app); }
  /// As written so long before the clock's time.
  void date(const std::string& path, Duration ago) {
    const auto ahead = epoch_milliseconds(clock_.now().wall) - epoch_milliseconds(SystemClock().now().wall);
    fs::last_write_time(path, fs::file_time_type::clock::now() + std::chrono::milliseconds(ahead) - ago);
  }
  std::string note_of(const std::string& name) const {
    for (const auto& [key, value] : sink.kept) {
      if (value.ends_with(folder / name)) return value.substr(0, value.find(' '));
    }
    return "";
  }

  test::TemporaryFolder folder;
  logs::LogsConfig config;
  logs::TailTuning tuning;
  test::FakeSink sink;

 private:
  net::io_context io_;
  test::FakeClock clock_;
  test::HandTurnedTimers timers_{io_.get_executor(), clock_};
  std::optional<SourceContext> context_;
  std::optional<logs::Tail> tail_;
  net::cancellation_signal cancel_;
  bool running_ = false;
  std::string failure_;
};

}  // namespace

TEST_CASE("lines are events of their file's stream, with ids that grow") {
  Tailing tail;
  tail.config.log_group = "/app/web";
  tail.config.filter_name = "all";
  tail.append("a.log", "one\ntwo\npart");
  tail.begin();
  tail.until_told("one|two");
  tail.append("a.log", "ial\nthree\n");
  tail.until_told("one|two|partial|three");
  const auto first = test::unpack(tail.sink.payloads.front());
  CHECK(first.at("logGroup") == "/app/web");
  CHECK(first.at("logStream") == tail.folder / "a.log");
  CHECK(first.at("subscriptionFilters")[0] == "all");
  CHECK(first.at("logEvents")[0].at("id") < first.at("logEvents")[1].at("id"));
}

TEST_CASE("only what the filter wants is delivered, and where reading is goes on all the same") {
  Tailing tail;
  tail.config.filter = pattern::LogPattern::compile("ERROR").value();
  tail.append("a.log", "one\nERROR two\nthree\n");
  tail.begin();
  tail.until_told("ERROR two");
  tail.until([&] { return tail.note_of("a.log") == std::to_string(fs::file_size(tail.folder / "a.log")); });
}

TEST_CASE("with LATEST a first start passes over what is there, also when it ends at once") {
  Tailing tail;
  tail.config.starting_position = logs::StartingPosition::kLatest;
  tail.append("a.log", "old\n");
  tail.begin();
  tail.until([&] { return tail.sink.kept.contains("begun"); });
  tail.stop();
  tail.append("a.log", "new\n");
  tail.append("b.log", "another\n");
  tail.begin();
  tail.until([&] { return tail.told().size() == std::string("new|another").size(); });
  CHECK((tail.told() == "new|another" || tail.told() == "another|new"));
}

TEST_CASE("a restart goes on behind what was accepted") {
  Tailing tail;
  tail.append("a.log", "one\ntwo\nthr");
  tail.begin();
  tail.until_told("one|two");
  tail.stop();
  tail.append("a.log", "ee\n");
  tail.begin();
  tail.until_told("one|two|three");
  tail.stop();
  tail.begin();
  tail.append("a.log", "four\n");
  tail.until_told("one|two|three|four");
}

TEST_CASE("rotation by renaming: the former file is read to its end, the new one from its beginning") {
  Tailing tail;
  tail.append("a.log", "one\n");
  tail.begin();
  tail.until_told("one");
  fs::rename(tail.folder / "a.log", tail.folder / "a.log.1");
  // Its writer has not yet noticed; its last line has no end.
  tail.append("a.log.1", "two\nlast");
  tail.until_told("one|two|last");
  tail.append("a.log", "three\n");
  tail.until_told("one|two|last|three");
  tail.pass(10s);
  CHECK(tail.sink.kept.size() == 2);  // that it has begun, and the file that is there
}

TEST_CASE("a file that nobody wrote for an hour is read for 5 seconds after it lost its name") {
  Tailing tail;
  tail.append("a.log", "one\n");
  tail.begin();
  tail.until_told("one");
  tail.pass(1h);
  fs::rename(tail.folder / "a.log", tail.folder / "a.log.1");
  tail.pass(4s);
  tail.append("a.log.1", "two\n");
  tail.pass(4s);
  CHECK(tail.told() == "one|two");
  tail.append("a.log.1", "three\n");  // its writer still has it
  tail.until_told("one|two|three");
  tail.pass(10s);
  tail.append("a.log.1", "too late\n");
  tail.pass(10s);
  CHECK(tail.told() == "one|two|three");
  CHECK(tail.sink.kept.size() == 1);  // that it has begun
}

TEST_CASE("what is written to a renamed file while the store refuses its last line is read, too") {
  Tailing tail;
  tail.append("a.log", "one\n");
  tail.begin();
  tail.until_told("one");
  tail.append("a.log", "last");
  tail.pass(1s);
  fs::rename(tail.folder / "a.log", tail.folder / "a.log.1");
  tail.pass(4s);
  tail.sink.refuse_next(6, ErrorCode::kStoreFull);
  tail.pass(3s);  // the last line counts, but is not accepted
  CHECK(tail.told() == "one");
  tail.append("a.log.1", "\ntwo\n");
  tail.until_told("one|last|two");
}

TEST_CASE("a folder that cannot be read for a while has its files all the same") {
  Tailing tail;
  tail.append("a.log", "one\n");
  tail.begin();
  tail.until_told("one");
  std::ofstream writer(tail.folder / "a.log", std::ios::app);
  {
    const NoMoreFiles open;
    tail.pass(20s);
    writer << "two\n" << std::flush;
    tail.pass(20s);
  }
  tail.append("a.log", "three\n");
  tail.pass(20s);
  CHECK(tail.told() == "one|two|three");
}

TEST_CASE("a file that cannot be read after a restart keeps its position") {
  Tailing tail;
  const bool named = GENERATE(true, false);  // whether its folder has to be read to find it
  if (named) tail.config.files = {tail.folder / "a.log"};
  tail.append("a.log", "one\n");
  tail.begin();
  tail.until_told("one");
  tail.stop();
  tail.append("a.log", "two\n");
  {
    const NoMoreFiles open;
    tail.begin();
    tail.pass(20s);
    tail.stop();
    tail.begin();
    tail.pass(20s);
  }
  tail.pass(20s);
  CHECK(tail.told() == "one|two");
}

TEST_CASE("a file's position is kept while there are too many others") {
  Tailing tail;
  tail.append("b.log", "one\n");
  tail.begin();
  tail.until_told("one");
  tail.stop();
  tail.append("a.log", "another\n");
  tail.tuning.files_max = 1;
  tail.begin();
  tail.until_told("one|another");
  fs::remove(tail.folder / "a.log");
  tail.append("b.log", "two\n");
  tail.until_told("one|another|two");
}

TEST_CASE("no more files are opened than are read") {
  test::TemporaryFolder folder;
  for (int i = 0; i < 20; ++i) folder.write("f" + std::to_string(i) + ".log", "x\n");
  const logs::Look look = logs::look_for({folder / "*.log"}, {}, 3);
  CHECK(look.files.size() == 20);
  CHECK(std::ranges::count_if(look.files, [](const auto& each) { return each.file != nullptr; }) == 3);
  CHECK(logs::look_for({folder / "*.log"}, {}, 0).files.front().file == nullptr);
}

TEST_CASE("a file is known again by its inode and its first bytes") {
  Tailing tail;
  tail.append("a.log", "one\n");
  tail.begin();
  tail.until_told("one");
  tail.stop();
  const auto note = *std::ranges::find_if(tail.sink.kept, [](const auto& one) { return one.first != "begun"; });
  const std::string inode = note.first.substr(note.first.find(':'));
  tail.append("a.log", "two\n" + std::string(300, 'x') + "\n");
  const std::string all = "one|two|" + std::string(300, 'x');
  tail.tuning.absent_kept = 30s;  // of the others of that inode
  tail.tuning.absent_sought_every = 1s;
  SECTION("whatever number its device has after a boot") {
    tail.sink.kept.erase(note.first);
    tail.sink.kept["file/9999" + inode] = note.second;
    SECTION("and also when another device's file of that inode was read") {
      tail.sink.kept["file/1" + inode] = "2 2 12345 /another/folder/a.log";
      tail.sink.kept[note.first] = "2 2 12345 /yet/another/a.log";
    }
    tail.begin();
    tail.until_told(all);
    tail.stop();
    tail.begin();
    tail.append("a.log", "three\n");
    tail.until_told(all + "|three");
    tail.pass(1min);
    CHECK(tail.sink.kept.size() == 2);  // that it has begun, and this file
  }
  SECTION("and is another where they differ") {
    tail.folder.write("a.log", "ONE\ntwo\n");
    tail.begin();
    tail.until_told("one|ONE|two");
    tail.pass(1min);
    CHECK(tail.sink.kept.size() == 2);
  }
}

TEST_CASE("with LATEST what was passed over is known by its first bytes, too") {
  Tailing tail;
  tail.config.starting_position = logs::StartingPosition::kLatest;
  tail.append("a.log", "old\n");
  tail.begin();
  tail.until([&] { return tail.sink.kept.contains("begun"); });
  tail.stop();
  tail.folder.write("a.log", "another file in its place\n");
  tail.begin();
  tail.until_told("another file in its place");
}

TEST_CASE("a file that was rotated while nobody read is found beside its former name") {
  Tailing tail;
  tail.append("a.log", "one\n");
  tail.begin();
  tail.until_told("one");
  tail.stop();
  tail.append("a.log", "two\n");
  fs::rename(tail.folder / "a.log", tail.folder / "a.log.1");
  tail.append("a.log", "three\n");
  tail.begin();
  tail.until([&] { return tail.told().size() == std::string("one|two|three").size(); });
  CHECK((tail.told() == "one|two|three" || tail.told() == "one|three|two"));
}

TEST_CASE("a file that was truncated is read from its beginning") {
  Tailing tail;
  tail.append("a.log", "the first\nthe second\n");
  tail.begin();
  tail.until_told("the first|the second");
  SECTION("shorter than before") {
    tail.folder.write("a.log", "x\n");
    tail.until_told("the first|the second|x");
  }
  SECTION("and longer than before when it is looked at: its first bytes are others") {
    tail.stop();
    tail.folder.write("a.log", "another one that is longer\n");
    tail.begin();
    tail.until_told("the first|the second|another one that is longer");
  }
}

TEST_CASE("an inode that was given to another file is another file") {
  Tailing tail;
  tail.append("a.log", "one\n");
  tail.begin();
  tail.until_told("one");
  tail.stop();
  fs::remove(tail.folder / "a.log");
  tail.append("b.log", "two and more\n");
  tail.begin();
  tail.until_told("one|two and more");
}

TEST_CASE("an event of several lines is complete when the next begins, or when nothing follows") {
  Tailing tail;
  tail.config.multiline_start = pattern::LogPattern::compile("%^\\[%").value();
  tail.append("a.log", "[1] a\n at b\n[2] c\n");
  tail.begin();
  tail.until_told("[1] a\n at b|[2] c");
}

TEST_CASE("a store that refuses holds the file up, and nothing is lost or told twice") {
  Tailing tail;
  tail.sink.refuse_next(5, ErrorCode::kStoreFull);
  tail.append("a.log", "one\ntwo\n");
  tail.begin();
  tail.until_told("one|two");
  tail.append("a.log", "three\n");
  tail.until_told("one|two|three");
}

TEST_CASE("a batch has at most so many bytes and events") {
  Tailing tail;
  tail.tuning.batch_events = 3;
  tail.append("a.log", "1\n2\n3\n4\n5\n6\n7\n");
  tail.begin();
  tail.until_told("1|2|3|4|5|6|7");
  for (const std::string& payload : tail.sink.payloads) CHECK(test::unpack(payload).at("logEvents").size() <= 3);
}

TEST_CASE("ten files at once are read in turns") {
  Tailing tail;
  tail.tuning.piece_bytes = 64;
  tail.tuning.batch_events = 4;
  if (GENERATE(false, true)) tail.tuning.budget_bytes = 1;  // one at a time
  constexpr std::size_t kFiles = 10;
  constexpr std::size_t kLines = 100;
  for (std::size_t i = 0; i < kFiles; ++i) {
    std::string text;
    for (std::size_t n = 0; n < kLines; ++n) text += "line " + std::to_string(n) + "\n";
    tail.append("f" + std::to_string(i) + ".log", text);
  }
  tail.begin();
  std::map<std::string, std::size_t> counts;
  const auto count = [&] {
    counts.clear();
    std::size_t all = 0;
    for (const std::string& payload : tail.sink.payloads) {
      const auto inside = test::unpack(payload);
      counts[inside.at("logStream")] += inside.at("logEvents").size();
      all += inside.at("logEvents").size();
    }
    return all;
  };
  tail.until([&] { return tail.sink.payloads.size() >= 100; });
  count();
  CHECK(counts.size() == kFiles);  // none of them waits for another's end
  tail.until([&] { return count() == kFiles * kLines; });
  for (const auto& [stream, lines] : counts) CHECK(lines == kLines);
}

TEST_CASE("a line of 2 MB is several events, of which none is lost") {
  Tailing tail;
  tail.append("a.log", std::string(2'000'000, 'x') + "\nafter\n");
  tail.begin();
  std::size_t bytes = 0;
  tail.until([&] {
    const std::string told = tail.told();
    bytes = static_cast<std::size_t>(std::count(told.begin(), told.end(), 'x'));
    return told.ends_with("after");
  });
  CHECK(bytes == 2'000'000);
  for (const std::string& payload : tail.sink.payloads) {
    const auto inside = test::unpack(payload);
    for (const auto& event : inside.at("logEvents"))
      CHECK(event.at("message").get<std::string>().size() <= logs::kTailedBytesMax);
  }
}

TEST_CASE("what waits in memory does not grow with the files and their lines") {
  Tailing tail;
  constexpr std::size_t kMiB = 1024 * 1024;
  tail.tuning.batch_bytes = 64 * 1024;
  tail.tuning.turn_bytes = 4 * tail.tuning.batch_bytes;
  tail.tuning.budget_bytes = 4 * kMiB;
  const std::size_t files = 100;
  std::string text;
  SECTION("many short lines") {
    while (text.size() < 64 * 1024) text += "a\n";
  }
  SECTION("each with the beginning of a long one") {
    text = "a\n" + std::string(200'000, 'x');
  }
  for (std::size_t i = 0; i < files; ++i) tail.append("f" + std::to_string(i) + ".log", text);
  tail.sink.refuse_next(1'000'000, ErrorCode::kStoreFull);
  const std::size_t before = ::mallinfo2().uordblks;
  tail.begin();
  tail.pass(10s);
  CHECK(::mallinfo2().uordblks - before < 8 * kMiB);
}

TEST_CASE("files with little to say are all read while the store refuses, and told when it does not") {
  Tailing tail;
  tail.tuning.budget_bytes = 1;
  tail.sink.refuse_next(8, ErrorCode::kStoreFull);
  std::size_t bytes = 0;
  for (int i = 0; i < 5; ++i) {
    tail.append("f" + std::to_string(i) + ".log", "one\ntwo\n");
    bytes += std::string("one|two|").size();
  }
  tail.begin();
  tail.until([&] { return tail.told().size() + 1 == bytes; });
}

TEST_CASE("a line that is written slowly is told once and whole") {
  Tailing tail;
  tail.tuning.resting_bytes = 10;
  const bool several = GENERATE(false, true);
  CAPTURE(several);
  if (several) tail.config.multiline_start = pattern::LogPattern::compile("%^\\[%").value();
  std::string line = "[";
  tail.append("a.log", "[0\n[");
  tail.begin();
  for (int i = 0; i < 20; ++i) {
    const std::string part = std::to_string(i) + " and ";
    line += part;
    tail.append("a.log", part);
    tail.pass(700ms);
  }
  SECTION("until it ends") {
    tail.append("a.log", "\n");
    tail.pass(3s);
    CHECK(tail.told() == "[0|" + line);
  }
  SECTION("with another that belongs to it") {
    tail.append("a.log", "\n at b");
    tail.pass(300ms);
    tail.append("a.log", "\n");
    tail.pass(3s);
    CHECK(tail.told() == "[0|" + line + (several ? "\n" : "|") + " at b");
  }
  SECTION("until its file has no name any more") {
    fs::rename(tail.folder / "a.log", tail.folder / "a.log.1");
    tail.pass(10s);
    CHECK(tail.told() == "[0|" + line);
  }
  SECTION("and not at all while it has no end") {
    tail.pass(10min);
    CHECK(tail.told() == "[0");
    CHECK(tail.note_of("a.log") == "3");
  }
}

TEST_CASE("a file that nobody can look at after a restart keeps its position") {
  Tailing tail;
  tail.tuning.look_again_after = 30s;
  fs::create_directory(tail.folder / "app");
  const bool named = GENERATE(true, false);
  tail.config.files = {tail.folder / (named ? "app/a.log" : "app/*.log")};
  tail.append("app/a.log", "one\n");
  tail.begin();
  tail.until_told("one");
  tail.stop();
  tail.append("app/a.log", "two\n");
  const std::string hidden = tail.folder / GENERATE("app/a.log", "app");
  {
    const NobodyCanLookAt it(hidden);
    tail.begin();
    tail.pass(48h);
    tail.stop();
    tail.begin();
    tail.pass(1min);
  }
  tail.until_told("one|two");
}

TEST_CASE("the position of a file that is not there is kept for a day") {
  Tailing tail;
  tail.tuning.look_again_after = 10min;
  fs::create_directory(tail.folder / "app");
  tail.config.files = {tail.folder / "app/*.log"};
  tail.append("app/a.log", "one\n");
  tail.begin();
  tail.until_told("one");
  tail.stop();
  tail.append("app/a.log", "two\n");
  const bool is_there = GENERATE(true, false);
  const bool long_enough = GENERATE(false, true);
  {
    const NotMounted it(tail.folder / "app");
    if (is_there) fs::create_directory(tail.folder / "app");
    tail.begin();
    tail.pass(12h);
    tail.stop();
    CHECK(tail.note_of("app/a.log") == "4");
    tail.begin();
    tail.pass(long_enough ? 12h + 20min : 11h);
    CHECK(tail.note_of("app/a.log") == (long_enough ? "" : "4"));
  }
  tail.pass(11min);
  CHECK(tail.told() == (long_enough ? "one|one|two" : "one|two"));
  if (!long_enough) {
    // That it was absent is forgotten: the next absence is another one.
    tail.stop();
    const NotMounted it(tail.folder / "app");
    tail.begin();
    tail.pass(20h);
    CHECK(tail.note_of("app/a.log") == "8");
  }
}

TEST_CASE("what comes in the place of a file that is not there is another, and read from its beginning") {
  Tailing tail;
  fs::create_directory(tail.folder / "app");
  tail.config.files = {tail.folder / "app/*.log"};
  tail.append("app/a.log", "one\n");
  tail.begin();
  tail.until_told("one");
  tail.stop();
  tail.append("app/a.log", "two\n");
  {
    const NotMounted it(tail.folder / "app");
    fs::create_directory(tail.folder / "app");
    tail.begin();
    tail.pass(10s);
    tail.append("app/a.log", "in its place\nuntil it is mounted\n");
    tail.until_told("one|in its place|until it is mounted");
    tail.pass(10s);
  }
  tail.until_told("one|in its place|until it is mounted|two");
}

TEST_CASE("with LATEST a file that a first look could not open is passed over as it was") {
  Tailing tail;
  tail.config.starting_position = logs::StartingPosition::kLatest;
  tail.append("a.log", "old\n");
  const bool restarted = GENERATE(false, true);
  SECTION("because no more can be opened") {
    tail.config.files = {tail.folder / "a.log"};
    {
      const NoMoreFiles open;
      tail.begin();
      tail.pass(5s);
    }
  }
  SECTION("because there are too many") {
    tail.tuning.files_max = 1;
    tail.append("A.log", "old\n");  // comes first
    tail.begin();
    tail.pass(5s);
    fs::remove(tail.folder / "A.log");
  }
  if (restarted) tail.stop();
  tail.append("a.log", "new\n");
  if (restarted) tail.begin();
  tail.until_told("new");
}

TEST_CASE("a file that was passed over unread is another when it is shorter, or elsewhere") {
  Tailing tail;
  tail.config.starting_position = logs::StartingPosition::kLatest;
  tail.append("a.log", "this is old\n");
  tail.config.files = {tail.folder / "?.log"};
  tail.tuning.files_max = 0;
  tail.begin();
  tail.pass(1s);
  CHECK(tail.note_of("a.log") == "12");
  tail.stop();
  tail.tuning.files_max = 10;
  SECTION("shorter") {
    tail.folder.write("a.log", "new\n");
  }
  SECTION("elsewhere") {
    tail.folder.write("a.log", "another and one that is longer\nnew\n");
    fs::rename(tail.folder / "a.log", tail.folder / "b.log");
    tail.begin();
    tail.until_told("another and one that is longer|new");
    return;
  }
  tail.begin();
  tail.until_told("new");
}

TEST_CASE("with LATEST what was there at the very first start is passed over, though nobody could look at it") {
  Tailing tail;
  tail.config.starting_position = logs::StartingPosition::kLatest;
  fs::create_directory(tail.folder / "app");
  tail.config.files = {tail.folder / GENERATE("app/*.log", "app/a.log"), tail.folder / "*.log"};
  tail.append("app/a.log", "old\n");
  const bool restarted = GENERATE(false, true);
  {
    const NobodyCanLookAt it(tail.folder / GENERATE("app", "app/a.log"));
    tail.begin();
    tail.pass(5s);
    // Others have begun already.
    tail.append("b.log", "one\n");
    tail.until_told("one");
    if (restarted) tail.stop();
  }
  if (restarted) tail.begin();
  tail.until([&] { return tail.note_of("app/a.log") == "4"; });
  tail.append("app/a.log", "two\n");
  tail.until_told("one|two");
  // From now on that folder's are files like others.
  fs::remove(tail.folder / "app/a.log");
  tail.pass(10s);
  tail.append("app/a.log", "three\n");
  tail.until_told("one|two|three");
}

TEST_CASE("with LATEST what a file system brings that is mounted later is passed over if it is old") {
  Tailing tail;
  tail.config.starting_position = logs::StartingPosition::kLatest;
  fs::create_directory(tail.folder / "app");
  tail.config.files = {tail.folder / "app/*.log"};
  const bool restarted = GENERATE(false, true);
  tail.append("app/old.log", "old\n");
  tail.append("app/new.log", "new\n");
  tail.date(tail.folder / "app/old.log", 1s);
  {
    const NotMounted it(tail.folder / "app");
    tail.begin();
    tail.pass(5s);
    if (restarted) tail.stop();
  }
  tail.date(tail.folder / "app/new.log", 0s);
  if (restarted) tail.begin();
  tail.until_told("new");
  tail.until([&] { return tail.note_of("app/old.log") == "4"; });
  tail.append("app/old.log", "more\n");
  tail.until_told("new|more");
}

TEST_CASE("a file whose first bytes cannot be read now is not taken for another") {
  Tailing tail;
  // Reading its first bytes fails, for nothing is there.
  fs::create_symlink("/proc/self/mem", tail.folder / "a.log");
  const logs::Look look = logs::look_for(tail.config.files, {}, 0);
  REQUIRE(look.files.size() == 1);
  const logs::FileId id = look.files[0].id;
  const std::string key = "file/" + std::to_string(id.device) + ":" + std::to_string(id.inode);
  const std::string note = "0 4 1234 " + (tail.folder / "a.log");
  tail.sink.kept = {{"begun", "1"}, {key, note}};
  tail.begin();
  tail.pass(10s);
  CHECK(tail.sink.kept == std::map<std::string, std::string>{{"begun", "1"}, {key, note}});
}

TEST_CASE("a function's own log has a stream as AWS names it, the same after a restart and another for another file") {
  Tailing tail;
  tail.config.log_of = "orders";
  tail.config.function_log_is(tail.folder / "a.log");
  tail.append("a.log", "one\n");
  tail.begin();
  tail.until_told("one");
  tail.stop();
  tail.pass(48h);
  tail.append("a.log", "two\n");
  tail.begin();
  tail.until_told("one|two");
  fs::rename(tail.folder / "a.log", tail.folder / "a.log.1");
  tail.append("a.log.1", "three\n");
  tail.until_told("one|two|three");
  tail.append("a.log", "four\n");
  tail.until_told("one|two|three|four");
  std::vector<std::string> streams;
  for (const std::string& payload : tail.sink.payloads)
    streams.push_back(test::unpack(payload).at("logStream").get<std::string>());
  REQUIRE(streams.size() == 4);
  const std::string first = "2026/09/12/[$LATEST]";
  CHECK(streams[0].substr(0, first.size()) == first);
  const std::string digits = streams[0].substr(first.size());
  CHECK(digits.size() == 32);
  CHECK(digits.find_first_not_of("0123456789abcdef") == std::string::npos);
  CHECK(streams[1] == streams[0]);
  CHECK(streams[2] == streams[0]);
  CHECK(streams[3].substr(0, first.size()) == "2026/09/14/[$LATEST]");
  CHECK(streams[3].substr(first.size()) != digits);
}

TEST_CASE("a function's log is read on behind its rotations, several of them between two looks, each line once") {
  Tailing tail;
  tail.config.log_of = "orders";
  const std::string path = tail.folder / "orders.log";
  tail.config.function_log_is(path);
  const test::FakeClock clock;
  const std::string stream = "2026/09/12/[$LATEST]0123456789abcdef0123456789abcdef";
  const auto open = [&] { return std::move(emulator::FunctionLog::open(path, clock, {400, 100}).value()); };
  std::string expected;
  int number = 0;
  const auto print = [&](int lines) {
    emulator::FunctionLog log = open();
    for (const int last = number + lines; number < last;) {
      expected += (number == 0 ? "" : "|") + std::to_string(number);
      log.add_line(stream, std::to_string(number++));
      log.flush();
    }
  };
  print(3);
  tail.begin();
  tail.until_told(expected);
  print(40);  // eight files, and nobody has looked
  tail.until([&] { return sorted(tail.told()) == sorted(expected); });
  tail.stop();
  print(20);  // while nobody reads, as far as files go that are still there
  tail.begin();
  tail.until([&] { return sorted(tail.told()) == sorted(expected); });
  tail.pass(10s);
  CHECK(sorted(tail.told()) == sorted(expected));
  // Its own time, not that of the reading.
  const auto event = test::unpack(tail.sink.payloads.back()).at("logEvents").at(0);
  CHECK(event.at("timestamp") == epoch_milliseconds(clock.now().wall));
}

TEST_CASE("a function's log is found wherever the state folder is") {
  Tailing tail;
  fs::create_directory(tail.folder / "*[a]?\\");
  tail.config.log_of = "orders";
  tail.config.function_log_is(tail.folder / "*[a]?\\/a.log");
  tail.append("*[a]?\\/a.log", "one\n");
  tail.begin();
  tail.until_told("one");
}

TEST_CASE("which files a pattern fits") {
  test::TemporaryFolder folder;
  for (const char* name : {"b", "a", ".hidden", "a*b", "c/x", "d/x", "d/y", ".e/x", "e[1]/x"}) {
    fs::create_directories(fs::path(folder / name).parent_path());
    folder.write(name, "x\n");
  }
  fs::create_symlink(folder / "nowhere", folder / "z");
  const auto fitting = [&](const std::string& pattern) {
    std::string names;
    const logs::Look look = logs::look_for({folder / pattern}, {}, 100);
    CHECK(look.unreadable.empty());
    CHECK(look.hidden.empty());
    for (const logs::SeenFile& each : look.files) names += each.path.substr(folder.path().size() + 1) + " ";
    return names;
  };
  CHECK(fitting("*") == "a a*b b ");
  CHECK(fitting(".*") == ".hidden ");
  CHECK(fitting("[ab]") == "a b ");
  CHECK(fitting("?") == "a b ");
  CHECK(fitting("a\\*b") == "a*b ");
  CHECK(fitting("a") == "a ");
  CHECK(fitting("*/x") == "c/x d/x e[1]/x ");
  CHECK(fitting("[cd]/*") == "c/x d/x d/y ");
  CHECK(fitting("e\\[1]/x") == "e[1]/x ");
  CHECK(fitting("*/nothing").empty());
  CHECK(fitting("a/x").empty());
  CHECK(fitting("nowhere/*").empty());
}
