// What a person sees of `weir run`.
#include <cerrno>
#include <csignal>

#include <catch2/catch.hpp>
#include <poll.h>
#include <pty.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "program/program.h"

namespace {

using namespace weir::test;
using Catch::Matchers::Contains;

constexpr int kColumns = 100;

std::string write_config(const TemporaryFolder& folder) {
  folder.write("numbers.txt", lines(1, 60));
  return folder.write("weir.yaml",
                      "state: state\nadmin: 127.0.0.1:0\nfunctions:\n"
                      "  slow: {command: [" RECORDER
                      "], environment: {SLEEP_MS: \"250\"}}\n"
                      "  poor: {command: [/bin/false]}\n"
                      "sources:\n"
                      "  clicks: {type: file, path: numbers.txt, function: slow, batch_size: 10}\n"
                      "  poor: {type: file, path: numbers.txt, function: poor, maximum_retry_attempts: 2}\n");
}

/// A terminal as far as `weir` uses one: text, new lines, carriage returns, cursor up, erase below.
class Screen {
 public:
  void show(std::string_view bytes) {
    for (const char byte : bytes) {
      if (in_escape_) {
        escape_ += byte;
        if (byte != '[' && (byte < '0' || byte > '9') && byte != ';') obey();
      } else if (byte == '\x1b') {
        in_escape_ = true;
        escape_.clear();
      } else if (byte == '\n') {
        ++row_;
      } else if (byte == '\r') {
        column_ = 0;
      } else {
        put(byte);
      }
    }
  }
  /// The rows from the first to the last that was ever reached.
  const std::vector<std::string>& rows() const { return rows_; }
  const std::vector<std::string>& unknown() const { return unknown_; }
  int redraws() const { return redraws_; }

 private:
  void put(char byte) {
    if (column_ == kColumns) {  // it wraps
      column_ = 0;
      ++row_;
    }
    if (rows_.size() <= row_) rows_.resize(row_ + 1);
    if (rows_[row_].size() <= column_) rows_[row_].resize(column_ + 1, ' ');
    rows_[row_][column_++] = byte;
  }
  void obey() {
    in_escape_ = false;
    if (escape_.back() == 'A') {
      const auto up = static_cast<std::size_t>(std::stoi(escape_.substr(1)));
      row_ -= std::min(up, row_);
      ++redraws_;
    } else if (escape_ == "[J") {
      if (rows_.size() > row_) rows_.resize(row_ + 1);
      if (rows_.size() > row_ && rows_[row_].size() > column_) rows_[row_].resize(column_);
    } else {
      unknown_.push_back(escape_);
    }
  }

  std::vector<std::string> rows_;
  std::vector<std::string> unknown_;
  std::size_t row_ = 0;
  std::size_t column_ = 0;
  bool in_escape_ = false;
  std::string escape_;
  int redraws_ = 0;
};

/// Runs `weir` on a pseudo terminal to its end and returns everything that it wrote.
std::string on_a_terminal(std::vector<std::string> command, int& status) {
  std::vector<char*> arguments;
  for (std::string& word : command) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  winsize size{};
  size.ws_col = kColumns;
  size.ws_row = 24;
  int terminal = -1;
  const pid_t pid = ::forkpty(&terminal, nullptr, nullptr, &size);
  REQUIRE(pid >= 0);
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::execv(arguments[0], arguments.data());
    ::_exit(127);
  }
  std::string text;
  char buffer[4096];
  const auto deadline = std::chrono::steady_clock::now() + 20s;
  for (;;) {
    pollfd readable{terminal, POLLIN, 0};
    const auto rest =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (rest <= 0ms || ::poll(&readable, 1, static_cast<int>(rest.count())) <= 0) {
      ::kill(pid, SIGKILL);  // over its time: what it wrote is still looked at
      break;
    }
    const auto got = ::read(terminal, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;  // EIO: the other side is closed
    text.append(buffer, static_cast<std::size_t>(got));
  }
  ::waitpid(pid, &status, 0);
  ::close(terminal);
  return text;
}

}  // namespace

TEST_CASE("without a terminal the lines of progress stand one under the other, where they are asked for") {
  const TemporaryFolder folder;
  const std::string config = write_config(folder);
  Process asked({WEIR, "run", config, "--until-finished", "--progress", "always"});
  Process quiet({WEIR, "validate", config});
  CHECK(asked.wait() == 0);
  CHECK_THAT(asked.err(), Contains("clicks") && Contains("records/s") && Contains("in flight") &&
                              Contains("IteratorAge") && Contains("60 done"));
  CHECK_THAT(asked.err(), !Contains("\x1b"));
  CHECK(asked.out().empty());
  CHECK(quiet.wait() == 0);
}

TEST_CASE("where no terminal is, nobody gets progress that was not asked for") {
  const TemporaryFolder folder;
  Process unasked({WEIR, "run", write_config(folder), "--until-finished"});
  CHECK(unasked.wait() == 0);
  CHECK_THAT(unasked.err(), !Contains("records/s"));
}

TEST_CASE("on a terminal the lines are drawn anew in their place, below the log") {
  const TemporaryFolder folder;
  int status = 0;
  const std::string bytes = on_a_terminal({WEIR, "run", write_config(folder), "--until-finished"}, status);
  CAPTURE(bytes);
  CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0));
  Screen screen;
  screen.show(bytes);
  CHECK(screen.unknown().empty());
  CHECK(screen.redraws() >= 2);
  // What is left: whole log lines, and each source's line once, at the foot.
  std::vector<std::string> progress;
  bool log_line = false;
  for (const std::string& row : screen.rows()) {
    if (row.find("records/s") != std::string::npos) {
      progress.push_back(row);
      CHECK(row.size() < kColumns);
      CHECK(row.find("level=") == std::string::npos);
    } else if (row.rfind("level=", 0) == 0) {
      log_line = true;
      CHECK(row.find("event=") != std::string::npos);
    }
  }
  CHECK(log_line);
  REQUIRE(progress.size() == 2);
  CHECK_THAT(progress[0], Contains("clicks") && Contains("finished"));
  CHECK_THAT(progress[1], Contains("poor"));
}
