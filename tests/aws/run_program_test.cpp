// credential_process: a program is run without a shell, and ended when it must be.
#include "aws/run_program.h"

#include <csignal>
#include <thread>

#include <catch2/catch.hpp>
#include <unistd.h>

#include "support/print.h"
#include "support/temporary_folder.h"

using namespace weir;
using namespace weir::aws;
using namespace std::chrono_literals;

namespace {

std::string told(const std::vector<std::string>& arguments, Duration timeout = 20s, std::size_t output_max = 100) {
  const std::atomic<bool> stop = false;
  const auto output = run_program(arguments, timeout, stop, output_max);
  return output ? "printed " + *output : output.error().message();
}

}  // namespace

TEST_CASE("what a program prints is taken, when it ends well") {
  CHECK(told({"/bin/echo", "a  b", "$HOME", "; c"}) == "printed a  b $HOME ; c\n");
  CHECK(told({"/bin/true"}) == "printed ");
  CHECK(told({"/bin/sh", "-c", "cat; echo error >&2"}) == "printed ");
  CHECK(told({"/bin/sh", "-c", "exec >&-; exit 0"}) == "printed ");
}

TEST_CASE("a program inherits no descriptor") {
  const int inherited = ::dup(STDOUT_FILENO);
  REQUIRE(inherited > STDERR_FILENO);
  const std::string path = "/proc/self/fd/" + std::to_string(inherited);
  CHECK(told({"/bin/sh", "-c", "[ -e /proc/self/fd/1 ] && echo 1; [ -e " + path + " ] && echo inherited; true"}) ==
        "printed 1\n");
  ::close(inherited);
}

TEST_CASE("a program that does not end well is told without what it printed") {
  CHECK(told({"/bin/sh", "-c", "echo hush; echo hush >&2; exit 3"}) == "/bin/sh ended with exit status 3");
  CHECK(told({"/bin/sh", "-c", "kill -9 $$"}) == "/bin/sh was ended by signal 9");
  CHECK(told({"/no/such/program"}) == "/no/such/program cannot be started: No such file or directory");
}

TEST_CASE("a program may print so much and no more") {
  CHECK(told({"/bin/sh", "-c", "printf 12345"}, 20s, 5) == "printed 12345");
  CHECK(told({"/bin/sh", "-c", "printf 123456"}, 20s, 5) == "/bin/sh printed more than 5 bytes and was killed");
  CHECK(told({"/bin/sh", "-c", "yes"}) == "/bin/sh printed more than 100 bytes and was killed");
}

TEST_CASE("a program that hangs is killed with its children, at its time or when weir stops") {
  const test::TemporaryFolder folder;
  const std::string pid_file = folder / "pid";
  const std::vector<std::string> hangs{"/bin/sh", "-c", "sleep 600 & echo $! > " + pid_file + "; wait"};
  const bool by_stop = GENERATE(true, false);
  std::atomic<bool> stop = false;
  std::thread stopper;
  if (by_stop) {
    stopper = std::thread([&] {
      while (!std::filesystem::exists(pid_file)) std::this_thread::yield();
      stop = true;
    });
  }
  const auto output = run_program(hangs, by_stop ? Duration(20s) : Duration(1s), stop);
  if (stopper.joinable()) stopper.join();
  REQUIRE_FALSE(output.has_value());
  CHECK(output.error().code() == (by_stop ? ErrorCode::kCancelled : ErrorCode::kEndpointFailed));
  if (!by_stop) CHECK(output.error().message() == "/bin/sh did not end in time and was killed");
  // Its child is gone too: killed, at the latest when the kernel comes to it, and perhaps not yet reaped.
  int child = 0;
  std::ifstream(pid_file) >> child;
  REQUIRE(child > 0);
  const auto runs = [&] {
    std::ifstream file("/proc/" + std::to_string(child) + "/stat");
    std::string number;
    std::string name;
    std::string state;
    return (file >> number >> name >> state) && state != "Z" && state != "X";
  };
  const auto patience = std::chrono::steady_clock::now() + 10s;
  while (runs() && std::chrono::steady_clock::now() < patience) std::this_thread::yield();
  CHECK_FALSE(runs());
}
