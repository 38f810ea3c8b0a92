// The files of a function's log: lines with their time, rotation, several that write, and who reads them.
#include "lambda/emulator/function_log.h"

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>

#include "observe/function_log_lines.h"
#include "observe/function_log_reader.h"
#include "support/fake_clock.h"
#include "support/temporary_folder.h"

using namespace weir;
using namespace std::chrono_literals;
using emulator::ApplicationLevel;
using emulator::FunctionLog;
using emulator::LogLevels;
using emulator::LogLimits;
using emulator::LogStream;
using emulator::SystemLevel;
namespace fs = std::filesystem;

namespace {

const std::string kStream = "2026/09/12/[$LATEST]0123456789abcdef0123456789abcdef";

struct Log {
  test::TemporaryFolder folder;
  test::FakeClock clock;
  std::string path = folder / "logs/f.log";

  FunctionLog open(LogLimits limits = {}, LogLevels levels = {}) {
    return std::move(FunctionLog::open(path, clock, limits, levels).value());
  }
  static std::string text(const std::string& file) {
    std::ifstream stream(file, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  }
  /// The messages of all files, the oldest first.
  std::vector<std::string> messages() const {
    std::vector<std::string> all;
    observe::FunctionLogReader reader(path, from_epoch_milliseconds(0));
    reader.read([&](std::string_view line) {
      const auto read = observe::read_function_log_line(line);
      REQUIRE(read);
      all.emplace_back(read->message);
      return true;
    });
    return all;
  }
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const std::string& file : observe::function_log_files(path)) names.push_back(fs::path(file).filename());
    return names;
  }
};

std::vector<std::string> numbers(int first, int last) {
  std::vector<std::string> all;
  for (int number = first; number <= last; ++number) all.push_back(std::to_string(number));
  return all;
}

/// Reads on in the same reader.
void read_on(observe::FunctionLogReader& reader, std::vector<std::string>& into) {
  reader.read([&](std::string_view line) {
    into.emplace_back(observe::read_function_log_line(line)->message);
    return true;
  });
}

}  // namespace

TEST_CASE("a line has its time and its stream, as aws logs tail prints them") {
  Log log;
  {
    FunctionLog lines = log.open();
    LogStream stream(lines, kStream);
    stream.add_output("one\ntw");
    stream.add_output("o words \r\n\n");
    stream.add_platform_line("END RequestId: 1");
  }
  const std::string time = iso_milliseconds(log.clock.now().wall);
  const std::string begin = time + " " + kStream + " ";
  CHECK(Log::text(log.path) ==
        begin + "one\n" + begin + "two words \r\n" + begin + "\n" + begin + "END RequestId: 1\n");
  const auto read = observe::read_function_log_line(begin + "two words ");
  REQUIRE(read);
  CHECK(read->time == epoch_milliseconds(log.clock.now().wall));
  CHECK(read->stream == kStream);
  CHECK(observe::version_of_stream(read->stream) == "$LATEST");
  CHECK(observe::version_of_stream("2026/09/12/[17]01") == "17");
}

TEST_CASE("what is no line of such a log is none") {
  const std::string begin = "2026-09-12T00:00:00.000Z " + kStream;
  CHECK(observe::read_function_log_line(begin + " ")->message.empty());
  for (const std::string& line :
       {std::string(), std::string("START RequestId: 1"), begin, begin.substr(0, 30),
        "2026-13-12T00:00:00.000Z " + kStream + " a", "2026-09-12 00:00:00.000Z " + kStream + " a",
        "2026-09-12T00:00:00.000Z app " + kStream + " a",
        "2026-09-12T00:00:00.000Z 2026/09/12/[" + std::string(200, 'x') + "] a"}) {
    INFO(line);
    CHECK_FALSE(observe::read_function_log_line(line));
  }
}

TEST_CASE("a file that is full is renamed, the oldest one goes; nobody who reads along misses a line") {
  Log log;
  FunctionLog lines = log.open({1000, 3});
  observe::FunctionLogReader reader(log.path, from_epoch_milliseconds(0));
  std::vector<std::string> read;
  for (int number = 1; number <= 100; ++number) {
    lines.add_line(kStream, std::to_string(number));
    lines.flush();
    for (const std::string& file : observe::function_log_files(log.path)) CHECK(fs::file_size(file) <= 1000);
    if (number % 15 == 0) read_on(reader, read);  // behind at most two rotations
  }
  read_on(reader, read);
  CHECK(read == numbers(1, 100));
  CHECK(log.files() == std::vector<std::string>{"f.log.2", "f.log.1", "f.log"});
  const std::vector<std::string> left = log.messages();
  REQUIRE(left.size() > 20);
  CHECK(left == numbers(101 - static_cast<int>(left.size()), 100));
}

TEST_CASE("who reads too slowly goes on with the oldest that is left") {
  Log log;
  FunctionLog lines = log.open({1000, 2});
  observe::FunctionLogReader reader(log.path, from_epoch_milliseconds(0));
  std::vector<std::string> read;
  lines.add_line(kStream, "1");
  lines.flush();
  read_on(reader, read);
  for (int number = 2; number <= 100; ++number) {
    lines.add_line(kStream, std::to_string(number));
    lines.flush();
  }
  const std::vector<std::string> left = log.messages();
  read_on(reader, read);
  // The file that it had open is read to its end.
  const auto gap = read.end() - static_cast<std::ptrdiff_t>(left.size());
  CHECK(std::vector<std::string>(gap, read.end()) == left);
  CHECK(std::vector<std::string>(read.begin(), gap) == numbers(1, static_cast<int>(gap - read.begin())));
  CHECK(std::stoi(left.front()) > static_cast<int>(gap - read.begin()) + 1);
}

TEST_CASE("fewer files than before: those that are too many go with the next rotation") {
  Log log;
  {
    FunctionLog lines = log.open({200, 8});
    for (int number = 1; number <= 20; ++number) {
      lines.add_line(kStream, std::to_string(number));
      lines.flush();
    }
  }
  CHECK(log.files().size() == 8);
  FunctionLog lines = log.open({200, 2});
  for (int number = 21; number <= 24; ++number) {
    lines.add_line(kStream, std::to_string(number));
    lines.flush();
  }
  CHECK(log.files() == std::vector<std::string>{"f.log.1", "f.log"});
}

TEST_CASE("without a size a file grows; a line that is larger than a file is one all the same") {
  Log log;
  SECTION("without a size") {
    FunctionLog lines = log.open({0, 2});
    for (int number = 1; number <= 2000; ++number) lines.add_line(kStream, std::to_string(number));
    lines.flush();
    CHECK(log.files() == std::vector<std::string>{"f.log"});
    CHECK(log.messages() == numbers(1, 2000));
  }
  SECTION("a large line") {
    FunctionLog lines = log.open({1000, 4});
    for (const char letter : {'a', 'b'}) {
      lines.add_line(kStream, std::string(5000, letter));
      lines.flush();
    }
    CHECK(log.messages() == std::vector<std::string>{std::string(5000, 'a'), std::string(5000, 'b')});
    CHECK(log.files().size() == 2);
  }
}

TEST_CASE("several write to one file: no line is torn or lost, whoever rotates it") {
  Log log;
  constexpr int kWriters = 4;
  constexpr int kLines = 2000;
  std::vector<std::thread> writers;
  for (int writer = 0; writer < kWriters; ++writer) {
    writers.emplace_back([&, writer] {
      const test::FakeClock clock;
      FunctionLog lines = std::move(FunctionLog::open(log.path, clock, {100'000, 100}).value());
      const std::string stream = "2026/09/12/[" + std::to_string(writer) + "]0123456789abcdef0123456789abcdef";
      for (int number = 0; number < kLines; ++number) {
        lines.add_line(stream, std::to_string(number) + std::string(static_cast<std::size_t>(number % 97), '.'));
        if (number % 7 == writer) lines.flush();
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  std::vector<int> next(kWriters, 0);
  observe::FunctionLogReader reader(log.path, from_epoch_milliseconds(0));
  reader.read([&](std::string_view line) {
    const auto read = observe::read_function_log_line(line);
    REQUIRE(read);
    int& expected = next[static_cast<std::size_t>(std::stoi(std::string(observe::version_of_stream(read->stream))))];
    CHECK(read->message == std::to_string(expected) + std::string(static_cast<std::size_t>(expected % 97), '.'));
    ++expected;
    return true;
  });
  CHECK(next == std::vector<int>(kWriters, kLines));
  CHECK(log.files().size() > 5);
}

TEST_CASE("a file that somebody else renames or removes is made anew with the next line") {
  Log log;
  FunctionLog lines = log.open();
  lines.add_line(kStream, "1");
  lines.flush();
  observe::FunctionLogReader reader(log.path, from_epoch_milliseconds(0));
  std::vector<std::string> read;
  read_on(reader, read);
  SECTION("renamed, as logrotate does it") {
    fs::rename(log.path, log.path + ".1");
  }
  SECTION("removed") {
    fs::remove(log.path);
  }
  SECTION("truncated") {
    fs::resize_file(log.path, 0);
  }
  lines.add_line(kStream, "2");
  lines.flush();
  CHECK(Log::text(log.path).find(" 2\n") != std::string::npos);
  CHECK(Log::text(log.path).find(" 1\n") == std::string::npos);
  if (fs::file_size(log.path) > 0) read_on(reader, read);
  CHECK((read == numbers(1, 2) || read == numbers(1, 1)));  // of a truncated one nobody can tell
}

TEST_CASE("a full disk loses lines, and tears at most the one that did not fit") {
  Log log;
  FunctionLog lines = log.open();
  const auto print = [&](const std::string& text) {
    lines.add_line(kStream, text);
    lines.flush();
  };
  print("1");
  const auto ignored = std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  rlimit full = before;
  full.rlim_cur = fs::file_size(log.path) + 100;
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &full) == 0);
  print(std::string(200, 'x'));
  print("lost");
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, ignored);
  print("2");
  const std::vector<std::string> messages = log.messages();
  REQUIRE(messages.size() == 3);
  CHECK(messages.front() == "1");
  CHECK(messages[1].find_first_not_of('x') == std::string::npos);
  CHECK(messages[1].size() < 100);
  CHECK(messages.back() == "2");
}

TEST_CASE("who holds the file's lock holds up nobody") {
  Log log;
  FunctionLog lines = log.open();
  const int held = ::open(log.path.c_str(), O_RDONLY);
  REQUIRE(::flock(held, LOCK_EX) == 0);
  lines.add_line(kStream, "waits");
  lines.flush();
  CHECK(Log::text(log.path).empty());
  SECTION("it is written when the lock is free") {
    ::flock(held, LOCK_UN);
    lines.flush();
    CHECK(log.messages() == std::vector<std::string>{"waits"});
  }
  SECTION("a lot is written without it") {
    const std::string large(1U << 20U, 'x');
    lines.add_line(kStream, large);
    CHECK(log.messages() == std::vector<std::string>{"waits", large});
  }
  ::close(held);
}

// Source: monitoring-cloudwatchlogs-log-level.
TEST_CASE("the level of a line is what a JSON object with a time says, else INFO") {
  struct Row {
    const char* line;
    ApplicationLevel level;
  };
  const auto row = GENERATE(values<Row>({
      {R"({"level":"DEBUG","timestamp":"2024-11-02T16:51:31.587199Z","msg":"x"})", ApplicationLevel::kDebug},
      {R"({"level":"debug","msg":"my debug log","timestamp":"2024-11-02T16:51:31.587199Z"})", ApplicationLevel::kDebug},
      {R"( {"time":"2024-11-02T16:51:31+01:00","level":"error"})", ApplicationLevel::kError},
      {R"({"timestamp":"2024-11-02T16:51:31Z","level":"WARNING"})", ApplicationLevel::kWarn},
      {R"({"timestamp":"2024-11-02T16:51:31Z","level":"CRITICAL"})", ApplicationLevel::kFatal},
      {R"({"timestamp":"2024-11-02T16:51:31Z","level":"TRACE"})", ApplicationLevel::kTrace},
      {R"({"timestamp":"2024-11-02T16:51:31Z","level":"loud"})", ApplicationLevel::kInfo},
      {R"({"timestamp":"2024-11-02T16:51:31Z","level":3})", ApplicationLevel::kInfo},
      {R"({"timestamp":"2024-11-02T16:51:31Z","log_level":"ERROR"})", ApplicationLevel::kInfo},
      {R"({"timestamp":"yesterday","level":"DEBUG"})", ApplicationLevel::kInfo},
      {R"({"level":"DEBUG"})", ApplicationLevel::kInfo},
      {R"({"level":"DEBUG",)", ApplicationLevel::kInfo},
      {R"(["level"])", ApplicationLevel::kInfo},
      {"level DEBUG", ApplicationLevel::kInfo},
      {"", ApplicationLevel::kInfo},
  }));
  INFO(row.line);
  CHECK(emulator::level_of(row.line) == row.level);
}

TEST_CASE("in the JSON format the log keeps what is important enough; the caller's tail has everything") {
  Log log;
  const std::string debug = R"({"level":"DEBUG","timestamp":"2024-11-02T16:51:31Z"})";
  const std::string error = R"({"level":"ERROR","timestamp":"2024-11-02T16:51:31Z"})";
  const auto kept = [&](LogLevels levels) {
    FunctionLog lines = log.open({}, levels);
    LogStream stream(lines, kStream);
    stream.add_output(debug + "\ntext\n" + error + "\n");
    stream.add_platform_line("start");
    stream.add_platform_line("report of a failure", SystemLevel::kWarn);
    CHECK(stream.tail() == debug + "\ntext\n" + error + "\nstart\nreport of a failure\n");
    lines.flush();
    return log.messages();
  };
  using Lines = std::vector<std::string>;
  LogLevels levels;
  SECTION("text is not filtered") {
    levels.application = ApplicationLevel::kFatal;
    levels.system = SystemLevel::kWarn;
    CHECK(kept(levels).size() == 5);
  }
  levels.filtered = true;
  SECTION("INFO and above, when nothing is said") {
    CHECK(kept(levels) == Lines{"text", error, "start", "report of a failure"});
  }
  SECTION("DEBUG") {
    levels.application = ApplicationLevel::kDebug;
    CHECK(kept(levels).size() == 5);
  }
  SECTION("WARN of both: a line without a level is INFO") {
    levels.application = ApplicationLevel::kWarn;
    levels.system = SystemLevel::kWarn;
    CHECK(kept(levels) == Lines{error, "report of a failure"});
  }
}
