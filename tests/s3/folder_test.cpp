#include "connectors/s3/folder.h"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <set>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "connectors/s3/source.h"
#include "s3/fake_sink.h"
#include "support/fake_clock.h"
#include "support/print.h"
#include "support/temporary_folder.h"

using namespace weir;
using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

const std::vector<std::string> kAll{"s3:ObjectCreated:*", "s3:ObjectRemoved:*"};

/// Small everywhere, so that few files meet every limit; one worker, so that things come in order.
s3::FolderTuning small() {
  s3::FolderTuning tuning;
  tuning.workers = 1;
  tuning.listed_at_once = 3;
  tuning.waiting_max = 4;
  tuning.piece_bytes = 1000;
  tuning.patience_min = 1ms;
  tuning.patience_max = 2ms;
  tuning.ask_again_after = 1ms;
  tuning.root_checked_after = 1h;
  return tuning;
}

class Notebook final : public Log {
 public:
  void write(LogLevel, std::string_view event, std::span<const LogField> fields) override {
    events.emplace_back(event);
    for (const LogField& field : fields) {
      if (field.key == "key") keys.emplace_back(std::get<std::string_view>(field.value));
    }
  }
  std::vector<std::string> events;
  std::vector<std::string> keys;  ///< that were logged
};

/// A file that is being written, until close().
class Writer {
 public:
  explicit Writer(const std::string& path) : descriptor_(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644)) {
    REQUIRE(descriptor_ >= 0);
  }
  ~Writer() { close(); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;
  void write(std::string_view text) {
    REQUIRE(::write(descriptor_, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }
  void close() {
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = -1;
  }

 private:
  int descriptor_;
};

/// A folder, and a source over it that can be started and stopped; notes stay between two starts.
class World {
 public:
  explicit World(s3::FolderTuning tuning = small()) : tuning_(tuning) {
    config->name = "up";
    config->bucket = "photos";
    config->region = "us-east-1";
    config->folder = folder / "bucket";
    config->rules = s3::EventRules(kAll, "", "");
    fs::create_directory(config->folder);
  }
  ~World() {
    stop();
    pool_.join();
  }

  void start() {
    outcome_.reset();
    // The pool is what may block; its one thread makes an order that settle() can rely on.
    source_ = std::make_unique<s3::S3Source>(
        config, SourceContext{"up", context.get_executor(), pool_.get_executor(), log, clock}, tuning_);
    running_ = std::make_unique<net::cancellation_signal>();
    net::co_spawn(context, source_->run(sink),
                  net::bind_cancellation_slot(running_->slot(), [this](std::exception_ptr thrown, Result<void> result) {
                    if (thrown) std::rethrow_exception(thrown);
                    outcome_ = std::move(result);
                  }));
    settle();
  }
  /// As the bridge does it when it stops.
  void stop() {
    if (!running_) return;
    running_->emit(net::cancellation_type::all);
    until([this] { return outcome_.has_value(); });
    running_.reset();
  }
  void restart() {
    stop();
    start();
  }

  /// Runs until nothing more can happen by itself, but for timers.
  void settle() {
    for (int idle = 0; idle < 2;) {
      std::promise<void> reached;
      net::post(pool_, [&reached] { reached.set_value(); });
      reached.get_future().wait();
      context.restart();
      idle = context.poll() > 0 ? 0 : idle + 1;
    }
  }
  template <typename Reached>
  void until(Reached reached) {
    const auto give_up = std::chrono::steady_clock::now() + 30s;
    while (!reached()) {
      REQUIRE(std::chrono::steady_clock::now() < give_up);
      context.restart();
      context.run_one_for(100ms);
    }
  }

  /// Where the times of files are compared with the clock.
  void keep_real_time() {
    clock.advance(std::chrono::system_clock::now().time_since_epoch() - clock.now().wall.time_since_epoch());
  }
  /// Until a file that is written is later than the clock, for file systems count in ticks.
  void wait_for_file_time() {
    const auto now = [this] {
      folder.write("tick", "x");
      return fs::last_write_time(folder / "tick");
    };
    const auto before = now();
    while (now() <= before + 20ms) {
    }
  }

  std::string path(std::string_view name) const { return config->folder + "/" + std::string(name); }
  void write(std::string_view name, std::string_view text) { folder.write("bucket/" + std::string(name), text); }
  void remove(std::string_view name) { fs::remove(path(name)); }
  void rename(std::string_view from, std::string_view to) { fs::rename(path(from), path(to)); }
  /// What was told since the last call.
  std::string told() {
    settle();
    std::string text = sink.told();
    sink.payloads.clear();
    return text;
  }
  std::set<std::string> told_in_any_order() {
    const std::string all = told();
    std::set<std::string> each;
    for (std::size_t at = 0; at < all.size();) {
      const std::size_t end = std::min(all.find(", ", at), all.size());
      REQUIRE(each.insert(all.substr(at, end - at)).second);
      at = end + 2;
    }
    return each;
  }
  bool running() const { return running_ != nullptr; }
  const std::optional<Result<void>>& outcome() const { return outcome_; }

  test::TemporaryFolder folder;
  std::shared_ptr<s3::S3Config> config = std::make_shared<s3::S3Config>();
  net::io_context context;
  test::FakeClock clock;
  Notebook log;
  test::FakeSink sink;

 private:
  s3::FolderTuning tuning_;
  net::thread_pool pool_{1};
  std::unique_ptr<s3::S3Source> source_;
  std::unique_ptr<net::cancellation_signal> running_;
  std::optional<Result<void>> outcome_;
};

using Set = std::set<std::string>;

}  // namespace

TEST_CASE("a file that is written and closed is an object that was put") {
  World world;
  world.start();
  world.write("a b.txt", "hello");
  CHECK(world.told_in_any_order() == Set{"Put a+b.txt"});
  world.write("c", "");
  world.settle();
  const auto record = world.sink.record(0);
  CHECK(record.at("eventTime") == iso_milliseconds(world.clock.now().wall));
  CHECK(record.at("s3").at("bucket").at("arn") == "arn:aws:s3:::photos");
  const auto object = record.at("s3").at("object");
  CHECK(object.at("key") == "c");
  CHECK(object.at("size") == 0);
  CHECK(object.at("eTag") == "d41d8cd98f00b204e9800998ecf8427e");
  CHECK(object.at("sequencer").get<std::string>().size() == 16);
}

TEST_CASE("an eTag is the MD5 of all pieces") {
  World world;
  world.start();
  for (const std::size_t size : {999U, 1000U, 1001U, 2000U, 5000U}) {
    world.write("f", std::string(size, 'a'));
    world.settle();
    CHECK(world.sink.record(world.sink.payloads.size() - 1).at("s3").at("object").at("size") == size);
  }
  // md5sum of 1000 and 5000 times the letter a
  CHECK(world.sink.record(1).at("s3").at("object").at("eTag") == "cabe45dcc9ae5b66ba86600cca6b8ba8");
  CHECK(world.sink.record(4).at("s3").at("object").at("eTag") == "7aaa7dec709fa4fa82f3746abfd80bdb");
}

TEST_CASE("a file is announced when it is closed, not before") {
  World world;
  world.start();
  Writer writer(world.path("a"));
  writer.write("one");
  CHECK(world.told().empty());
  writer.write("two");
  CHECK(world.told().empty());
  writer.close();
  world.settle();
  CHECK(world.sink.record(0).at("s3").at("object").at("size") == 6);
  CHECK(world.told() == "Put a");
}

TEST_CASE("a file that is renamed into place is announced under its last name only") {
  World world;
  world.start();
  world.folder.write("outside", "x");
  fs::rename(world.folder / "outside", world.path("a"));
  CHECK(world.told() == "Put a");
  world.write(".a.part", "y");
  world.rename(".a.part", "a");
  CHECK(world.told() == "Put a");
}

TEST_CASE("renaming, replacing and removing") {
  World world;
  world.start();
  world.write("a", "1");
  CHECK(world.told() == "Put a");
  world.rename("a", "b");
  CHECK(world.told_in_any_order() == Set{"Delete a", "Put b"});
  world.write("b", "2");
  CHECK(world.told() == "Put b");
  world.remove("b");
  CHECK(world.told() == "Delete b");
  world.write("b", "3");
  CHECK(world.told() == "Put b");
}

TEST_CASE("written again with the same size in the same moment, it is told again") {
  World world;
  world.start();
  for (int i = 0; i < 5; ++i) {
    world.write("a", "same");
    CHECK(world.told() == "Put a");
  }
}

TEST_CASE("what came and went before it was announced is not told of") {
  World world;
  world.start();
  world.write("a", "1");
  world.remove("a");
  CHECK(world.told().empty());
  CHECK(world.sink.kept == std::map<std::string, std::string>{{"scanned", "1"}});
}

TEST_CASE("only wanted events are told, and the others still remembered") {
  World world;
  world.config->rules = s3::EventRules({"s3:ObjectRemoved:Delete"}, "", "");
  world.start();
  world.write("a", "1");
  CHECK(world.told().empty());
  world.remove("a");
  CHECK(world.told() == "Delete a");
  world.stop();
  world.config->rules = s3::EventRules({"s3:ObjectCreated:Put"}, "", "");
  world.start();
  world.write("b", "1");
  CHECK(world.told() == "Put b");
  world.remove("b");
  CHECK(world.told().empty());
  CHECK(world.sink.kept.size() == 1);
}

TEST_CASE("only wanted keys are told, remembered and looked for") {
  World world;
  world.config->rules = s3::EventRules(kAll, "in/", ".jpg");
  world.start();
  for (const char* folder : {"in", "out", "in/deep"}) fs::create_directory(world.path(folder));
  world.settle();
  for (const char* name : {"a.jpg", "in/a.jpg", "in/a.png", "out/a.jpg", "in/deep/b.jpg"}) world.write(name, "1");
  CHECK(world.told_in_any_order() == Set{"Put in/a.jpg", "Put in/deep/b.jpg"});
  CHECK(world.sink.kept.size() == 3);
  fs::remove_all(world.path("out"));
  world.remove("in/a.png");
  CHECK(world.told().empty());
}

TEST_CASE("folders that appear, move and go") {
  World world;
  world.start();
  // Written before the folder can be watched.
  fs::create_directories(world.path("x/y"));
  world.write("x/y/1", "1");
  CHECK(world.told() == "Put x/y/1");
  world.write("x/y/2", "2");
  CHECK(world.told() == "Put x/y/2");

  world.rename("x", "z");
  CHECK(world.told_in_any_order() == Set{"Delete x/y/1", "Delete x/y/2", "Put z/y/1", "Put z/y/2"});
  world.write("z/y/3", "3");
  CHECK(world.told() == "Put z/y/3");
  fs::create_directory(world.path("x"));
  world.settle();
  world.write("x/4", "4");
  CHECK(world.told() == "Put x/4");

  fs::rename(world.path("z"), world.folder / "away");
  CHECK(world.told_in_any_order() == Set{"Delete z/y/1", "Delete z/y/2", "Delete z/y/3"});
  world.folder.write("away/y/1", "not ours");
  CHECK(world.told().empty());
  fs::rename(world.folder / "away", world.path("back"));
  CHECK(world.told_in_any_order() == Set{"Put back/y/1", "Put back/y/2", "Put back/y/3"});
  fs::remove_all(world.path("back"));
  CHECK(world.told_in_any_order() == Set{"Delete back/y/1", "Delete back/y/2", "Delete back/y/3"});
}

TEST_CASE("what is there at the first start") {
  World world;
  fs::create_directory(world.path("in"));
  Set puts;
  for (int i = 0; i < 20; ++i) {
    world.write("in/" + std::to_string(i), "x");
    puts.insert("Put in/" + std::to_string(i));
  }
  SECTION("is announced with TRIM_HORIZON") {
    world.start();
    CHECK(world.told_in_any_order() == puts);
  }
  SECTION("is only remembered with LATEST") {
    world.config->starting_position = s3::StartingPosition::kLatest;
    world.keep_real_time();
    world.start();
    CHECK(world.told().empty());
    world.write("in/20", "x");
    CHECK(world.told() == "Put in/20");
    world.remove("in/3");
    CHECK(world.told() == "Delete in/3");
    // LATEST is about the very first start: later nothing is passed over.
    world.stop();
    world.write("in/21", "x");
    world.write("in/4", "another");
    world.start();
    CHECK(world.told_in_any_order() == Set{"Put in/21", "Put in/4"});
  }
}

TEST_CASE("with LATEST, a first scan that was ended half-way passes over nothing that came in between") {
  World world;
  world.config->starting_position = s3::StartingPosition::kLatest;
  for (int i = 0; i < 10; ++i) world.write("before-" + std::to_string(i), "x");
  world.keep_real_time();
  world.sink.take_next(2);  // the time of the beginning, and the notes of one piece of the folder
  world.start();
  REQUIRE(world.sink.kept.size() > 1);
  REQUIRE(world.sink.kept.size() < 10);
  world.stop();
  world.wait_for_file_time();
  world.write("between", "x");
  world.sink.refuse_next(0, ErrorCode::kStoreFull);
  world.clock.advance(1h);
  world.start();
  world.until([&world] { return world.sink.kept.contains("scanned"); });
  CHECK(world.told() == "Put between");
  CHECK(world.sink.kept.size() == 12);
  world.restart();
  CHECK(world.told().empty());
}

TEST_CASE("what happened while it was down is told at the next start, the rest is not told again") {
  World world;
  world.start();
  for (const char* name : {"a", "b", "c", "d"}) world.write(name, "1");
  CHECK(world.told_in_any_order().size() == 4);
  world.stop();
  world.write("b", "changed");
  world.remove("c");
  world.write("e", "new");
  world.rename("d", "f");
  world.start();
  CHECK(world.told_in_any_order() == Set{"Put b", "Delete c", "Put e", "Put f", "Delete d"});
  world.restart();
  CHECK(world.told().empty());
}

TEST_CASE("a file that somebody writes while the source starts is left until it is closed") {
  World world;
  Writer writer(world.path("a"));
  writer.write("half");
  world.write("b", "whole");
  world.start();
  CHECK(world.told() == "Put b");
  writer.write(" and half");
  writer.close();
  world.settle();
  CHECK(world.sink.record(0).at("s3").at("object").at("size") == 13);
  CHECK(world.told() == "Put a");
}

TEST_CASE("sequencers grow, also across a restart with a clock that went back") {
  World world;
  world.start();
  const auto sequencer = [&world] {
    world.settle();
    return world.sink.record(world.sink.payloads.size() - 1).at("s3").at("object").at("sequencer").get<std::string>();
  };
  world.write("a", "1");
  const std::string first = sequencer();
  world.write("a", "2");
  const std::string second = sequencer();
  CHECK(first < second);
  world.stop();
  world.clock.advance(-1h);
  world.start();
  world.write("a", "3");
  CHECK(second < sequencer());
}

TEST_CASE("a refusing store loses nothing and delays what it refuses") {
  World world;
  world.start();
  world.sink.refuse_next(5, ErrorCode::kStoreFull);
  for (int i = 0; i < 30; ++i) world.write(std::to_string(i), "x");
  world.until([&world] { return world.sink.payloads.size() == 30; });
  CHECK(world.told_in_any_order().size() == 30);
  CHECK(world.log.events == std::vector<std::string>{"folder.paused", "folder.resumed"});
  world.restart();
  CHECK(world.told().empty());
}

TEST_CASE("while the store refuses, a scan and the notices both wait for room, and wait quietly") {
  s3::FolderTuning tuning = small();
  SECTION("no work is done for waiting") {
    tuning.patience_min = tuning.patience_max = 1h;
    World world(tuning);
    world.sink.refuse_next(1'000'000, ErrorCode::kStoreFull);
    for (int i = 0; i < 10; ++i) world.write("before-" + std::to_string(i), "x");
    world.start();
    for (int i = 0; i < 40; ++i) world.write("after-" + std::to_string(i), "x");
    int done = 0;
    for (int idle = 0; idle < 100 && done < 10'000;) {
      world.context.restart();
      const auto now = static_cast<int>(world.context.run_for(1ms));
      done += now;
      idle = now > 0 ? 0 : idle + 1;
    }
    CHECK(done < 1000);
  }
  SECTION("and nothing is forgotten") {
    World world(tuning);
    world.sink.refuse_next(50, ErrorCode::kStoreFull);
    for (int i = 0; i < 10; ++i) world.write("before-" + std::to_string(i), "x");
    world.start();
    for (int i = 0; i < 40; ++i) world.write("after-" + std::to_string(i), "x");
    world.until([&world] { return world.sink.payloads.size() == 50; });
    CHECK(world.told_in_any_order().size() == 50);
  }
}

TEST_CASE("a store that refuses at the first scan, and a removal that it refuses") {
  World world;
  for (int i = 0; i < 10; ++i) world.write(std::to_string(i), "x");
  world.sink.refuse_next(3, ErrorCode::kStoreFailed);
  world.start();
  world.until([&world] { return world.sink.payloads.size() == 10 && world.sink.kept.contains("scanned"); });
  world.told();
  world.sink.refuse_next(2, ErrorCode::kStoreFull);
  world.remove("3");
  world.until([&world] { return !world.sink.payloads.empty(); });
  CHECK(world.told() == "Delete 3");
}

TEST_CASE("whatever else the sink refuses with, the file is not given up") {
  const ErrorCode code = GENERATE(ErrorCode::kCancelled, ErrorCode::kInternal, ErrorCode::kStoreLocked,
                                  ErrorCode::kStoreReadOnly, ErrorCode::kStoreCorrupt, ErrorCode::kStoreFailed);
  INFO(text(code));
  World world;
  world.start();
  SECTION("it is told when the sink takes it") {
    world.sink.refuse_next(2, code);
    world.write("a", "1");
    world.until([&world] { return !world.sink.payloads.empty(); });
    CHECK(world.told() == "Put a");
    const std::vector<std::string> said{"folder.paused", "folder.resumed"};
    // That weir stops is nothing to tell of.
    CHECK(world.log.events == (code == ErrorCode::kCancelled ? std::vector<std::string>() : said));
  }
  SECTION("or at the next start, for nothing says that it was told") {
    world.sink.refuse_next(1'000'000, code);
    world.write("a", "1");
    world.settle();
    world.stop();
    CHECK(world.sink.kept == std::map<std::string, std::string>{{"scanned", "1"}});
    world.sink.refuse_next(0, code);
    world.start();
    CHECK(world.told() == "Put a");
  }
}

TEST_CASE("an event that is refused for good holds up nothing") {
  World world;
  world.start();
  world.sink.refuse_next(1, ErrorCode::kEventRefused);
  world.write("a b", "1");
  world.write("b", "1");
  CHECK(world.told() == "Put b");
  CHECK(world.log.events == std::vector<std::string>{"event.refused"});
  CHECK(world.log.keys == std::vector<std::string>{"a+b"});
  world.restart();
  CHECK(world.told().empty());
}

TEST_CASE("names of every kind") {
  World world;
  world.start();
  const std::string longest(255, 'n');
  for (const std::string& name :
       std::vector<std::string>{"a+b c", "\xC3\xBC\xE2\x82\xAC", "\xFF\xFE", "line\nend", "100%", "-", "~", longest}) {
    world.write(name, "1");
    world.settle();
  }
  CHECK(world.told_in_any_order() == Set{"Put a%2Bb+c", "Put %C3%BC%E2%82%AC", "Put %FF%FE", "Put line%0Aend",
                                         "Put 100%25", "Put -", "Put %7E", "Put " + longest});
  world.restart();
  CHECK(world.told().empty());
  world.remove("\xFF\xFE");
  CHECK(world.told() == "Delete %FF%FE");
}

TEST_CASE("a key has at most 1024 bytes; a longer path is left out, and said so") {
  World world;
  world.start();
  std::string deep;
  for (int i = 0; i < 4; ++i) deep += std::string(250, static_cast<char>('a' + i)) + "/";  // 1004 bytes
  fs::create_directories(world.path(deep));
  world.settle();
  world.write(deep + std::string(20, 'x'), "1");
  world.write(deep + std::string(21, 'x'), "1");
  world.write(deep + std::string(22, 'x'), "1");
  CHECK(world.told() == "Put " + deep + std::string(20, 'x'));
  CHECK(world.log.events == std::vector<std::string>(2, "object.left_out"));
  world.restart();
  CHECK(world.told().empty());
}

TEST_CASE("each of the files that cannot be read is told of once, but of a hundred at most") {
  World world;
  world.start();
  // Permissions do not hold up who may do everything; this file refuses everybody.
  const auto cannot_be_read = [&world](int number) {
    fs::create_symlink("/proc/self/mem", world.path(std::to_string(number)));
    world.settle();
  };
  for (int i = 0; i < 3; ++i) cannot_be_read(i);
  CHECK(world.log.events == std::vector<std::string>(3, "object.unreadable"));
  CHECK(world.log.keys == std::vector<std::string>{"0", "1", "2"});
  world.remove("2");
  cannot_be_read(2);
  CHECK(world.log.events.size() == 3);
  for (int i = 3; i < 120; ++i) cannot_be_read(i);
  CHECK(world.log.events.size() == 100);
}

TEST_CASE("links to files count as files; links to folders, loops and what is no file do not") {
  World world;
  fs::create_directory(world.path("in"));
  fs::create_directory_symlink(world.path(""), world.path("in/loop"));
  fs::create_directory_symlink("..", world.path("in/up"));
  REQUIRE(::mkfifo(world.path("pipe").c_str(), 0600) == 0);
  world.folder.write("outside", "hello");
  fs::create_symlink(world.folder / "outside", world.path("in/link"));
  fs::create_symlink("nowhere", world.path("broken"));
  fs::create_symlink("self", world.path("self"));
  world.start();
  CHECK(world.told() == "Put in/link");
  fs::create_symlink(world.folder / "outside", world.path("later"));
  CHECK(world.told() == "Put later");
  fs::create_directory_symlink(world.path("in"), world.path("folder"));
  REQUIRE(::mkfifo(world.path("in/pipe").c_str(), 0600) == 0);
  CHECK(world.told().empty());
  world.remove("later");
  CHECK(world.told() == "Delete later");
}

TEST_CASE("a file that gets its name after it was written") {
  World world;
  world.start();
  world.folder.write("outside", "x");
  fs::create_hard_link(world.folder / "outside", world.path("linked"));
  CHECK(world.told() == "Put linked");
  {
    const int nameless = ::open(world.config->folder.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    REQUIRE(nameless >= 0);
    REQUIRE(::write(nameless, "x", 1) == 1);
    const std::string self = "/proc/self/fd/" + std::to_string(nameless);
    REQUIRE(::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, world.path("named").c_str(), AT_SYMLINK_FOLLOW) == 0);
    CHECK(world.told().empty());
    ::close(nameless);
  }
  // No notice tells of this closing.
  world.until([&world] { return !world.sink.payloads.empty(); });
  CHECK(world.told() == "Put named");
}

TEST_CASE("a folder that is not there, or goes away, is not found") {
  World world;
  SECTION("from the beginning") {
    fs::remove(world.config->folder);
  }
  SECTION("it is a file") {
    fs::remove(world.config->folder);
    world.folder.write("bucket", "x");
  }
  SECTION("it is removed while it is watched") {
    world.write("a", "1");
    world.start();
    CHECK(world.told() == "Put a");
    fs::remove_all(world.config->folder);
  }
  SECTION("it is moved while it is watched, and nobody deleted its objects") {
    world.write("a", "1");
    world.start();
    CHECK(world.told() == "Put a");
    fs::rename(world.config->folder, world.folder / "elsewhere");
    world.settle();
    CHECK(world.told().empty());
  }
  if (!world.running()) world.start();
  world.until([&world] { return world.outcome().has_value(); });
  REQUIRE(world.outcome()->has_error());
  CHECK(world.outcome()->error().code() == ErrorCode::kSourceNotFound);
  CHECK(is_transient(world.outcome()->error().code()));
}

TEST_CASE("a folder above the watched one is renamed") {
  s3::FolderTuning tuning = small();
  const bool noticed = GENERATE(true, false);
  if (!noticed) tuning.root_checked_after = 1ms;
  World world(tuning);
  fs::create_directories(world.folder / "above/bucket");
  world.config->folder = world.folder / "above/bucket";
  world.write("../above/bucket/a", "1");
  world.start();
  CHECK(world.told() == "Put a");
  fs::rename(world.folder / "above", world.folder / "moved");
  // Either something happens in it, or it is seen without.
  if (noticed) fs::remove(world.folder / "moved/bucket/a");
  world.until([&world] { return world.outcome().has_value(); });
  CHECK(world.told().empty());
  REQUIRE(world.outcome()->has_error());
  CHECK(world.outcome()->error().code() == ErrorCode::kSourceNotFound);
}

TEST_CASE("more folders than are kept in mind appear and move while the store refuses") {
  World world;
  world.start();
  world.sink.refuse_next(40, ErrorCode::kStoreFull);
  Set puts;
  for (int i = 0; i < 30; ++i) {
    const std::string name = std::to_string(i);
    fs::create_directory(world.path("x" + name));
    world.write("x" + name + "/f", "1");
    world.rename("x" + name, "y" + name);
    puts.insert("Put y" + name + "/f");
  }
  world.until([&world] { return world.sink.payloads.size() >= 30; });
  CHECK(world.told_in_any_order() == puts);
  for (int i = 0; i < 30; ++i) fs::rename(world.path("y" + std::to_string(i)), world.folder / std::to_string(i));
  world.until([&world] { return world.sink.payloads.size() >= 30; });
  world.told();
  CHECK(world.sink.kept.size() == 1);
}

TEST_CASE("when the kernel's notices overflow, a scan finds what they did not say") {
  World world;
  world.start();
  world.write("gone", "1");
  fs::create_directory(world.path("sub"));
  CHECK(world.told() == "Put gone");
  // As many notices as the kernel does not keep, while nobody reads them.
  std::ifstream limit("/proc/sys/fs/inotify/max_queued_events");
  int most = 0;
  REQUIRE(limit >> most);
  for (int i = 0; i < most + 10; ++i) {
    world.write(i % 2 == 0 ? "even" : "odd", "x");  // a closing each; of two names, or they merge
  }
  world.remove("gone");
  world.write("sub/late", "1");
  world.until([&world] { return world.sink.told().find("Delete gone") != std::string::npos; });
  world.settle();
  const std::string told = world.sink.told();
  CHECK_THAT(told, Catch::Contains("Put sub/late"));
  CHECK_THAT(told, Catch::Contains("Put even"));
  CHECK(world.log.events == std::vector<std::string>{"folder.overflowed"});
  world.sink.payloads.clear();
  world.write("sub/later", "1");
  CHECK(world.told() == "Put sub/later");
}

TEST_CASE("many files at the first start: nothing is lost, and the engine's thread is free in between") {
  s3::FolderTuning tuning;
  tuning.patience_min = 1ms;
  World world(tuning);
  constexpr int kFolders = 10;
  constexpr int kEach = 200;
  for (int f = 0; f < kFolders; ++f) {
    fs::create_directory(world.path(std::to_string(f)));
    for (int i = 0; i < kEach; ++i) world.write(std::to_string(f) + "/" + std::to_string(i), "x");
  }
  world.sink.refuse_next(100, ErrorCode::kStoreFull);
  world.start();
  world.until([&world] { return world.sink.payloads.size() >= kFolders * kEach; });
  CHECK(world.told_in_any_order().size() == kFolders * kEach);
  world.restart();
  CHECK(world.told().empty());
}

TEST_CASE("a source is stopped in the midst of anything, and goes on with what is left") {
  World world;
  for (int i = 0; i < 40; ++i) world.write(std::to_string(i), std::string(5000, 'x'));
  Set all;
  std::size_t told = 0;
  for (int steps = 1; all.size() < 40; steps += 7) {
    world.start();
    for (int i = 0; i < steps; ++i) world.context.poll_one();
    world.stop();
    for (const std::string& each : world.told_in_any_order()) {
      all.insert(each);
      ++told;
    }
    REQUIRE(steps < 1000);
  }
  // Nothing twice either, for what was accepted was remembered with it.
  CHECK(told == 40);
}
