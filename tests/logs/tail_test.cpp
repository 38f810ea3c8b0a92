// Files as programs write them: lines, rotation, truncation, restarts. Nothing is waited for but what has to happen.
#include "connectors/logs/tail.h"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <catch2/catch.hpp>

#include "logs/unpack.h"
#include "s3/fake_sink.h"
#include "support/temporary_folder.h"

using namespace weir;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

logs::TailTuning quick() {
  logs::TailTuning tuning;
  tuning.window = 1ms;
  tuning.look_again_after = 2ms;
  tuning.look_at_most_every = 1ms;
  tuning.noted_after = 1ms;
  tuning.multiline_wait = 5ms;
  tuning.rotated_kept = 5ms;
  tuning.patience_min = 1ms;
  tuning.patience_max = 2ms;
  return tuning;
}

/// A source over files of a folder; notes stay between two starts.
class Tailing {
 public:
  Tailing() {
    config.name = "web";
    config.files = {folder / "*.log"};
    config.filter = pattern::LogPattern::compile("").value();
    config.starting_position = logs::StartingPosition::kTrimHorizon;
  }
  ~Tailing() { stop(); }

  void begin() {
    context_.emplace(SourceContext{"web", io_.get_executor(), pool_.get_executor(), null_log(), clock_});
    tail_.emplace(config, *context_, sink, tuning);
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
    until([this] { return !running_; });
    tail_.reset();
  }
  void until(const std::function<bool()>& so) {
    const auto patience = std::chrono::steady_clock::now() + 5s;
    while (!so()) {
      if (std::chrono::steady_clock::now() > patience) {
        FAIL("it did not happen; told were " << told() << "; " << failure_);
      }
      io_.restart();
      io_.run_for(1ms);
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
  std::string note_of(const std::string& name) const {
    for (const auto& [key, value] : sink.kept) {
      if (value.ends_with(folder / name)) return value.substr(0, value.find(' '));
    }
    return "";
  }

  test::TemporaryFolder folder;
  logs::LogsConfig config;
  logs::TailTuning tuning = quick();
  test::FakeSink sink;

 private:
  net::io_context io_;
  net::thread_pool pool_{1};
  SystemClock clock_;
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
  tail.until([&] { return tail.sink.kept.size() == 2; });  // that it has begun, and the file that is there
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
