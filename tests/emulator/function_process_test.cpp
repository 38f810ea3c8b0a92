#include "lambda/emulator/function_process.h"

#include <optional>
#include <string>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

namespace weir::emulator {
namespace {

/// The process may have so many descriptors more than it has now, while this lives.
class DescriptorsLeft {
 public:
  explicit DescriptorsLeft(rlim_t left) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const int next = ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);  // the lowest that is free
    ::close(next);
    rlimit limit = before_;
    limit.rlim_cur = static_cast<rlim_t>(next) + left;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  ~DescriptorsLeft() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  DescriptorsLeft(const DescriptorsLeft&) = delete;
  DescriptorsLeft& operator=(const DescriptorsLeft&) = delete;

 private:
  rlimit before_{};
};

class Heard final : public ProcessEvents {
 public:
  void on_output(std::string_view) override {}
  void on_cannot_start(std::string type, std::string) override { trouble = std::move(type); }
  void on_exited(int ended) override { status = ended; }

  std::string trouble;
  std::optional<int> status;
};

}  // namespace

TEST_CASE("without descriptors a process cannot start, which its environment is told") {
  bool ran = false;
  int refused = 0;
  for (rlim_t left = 0; !ran; ++left) {
    REQUIRE(left < 20);
    INFO(left);
    net::io_context context;
    Heard heard;
    FunctionProcess process(context.get_executor(), heard);
    ProcessPlan plan;
    plan.command.emplace_back("/bin/true");
    plan.directory = std::string("/");
    std::exception_ptr failure;
    {
      const DescriptorsLeft few(left);
      net::co_spawn(context, process.run(std::move(plan)), [&](std::exception_ptr what) { failure = std::move(what); });
      context.run();
    }
    CHECK(failure == nullptr);
    if (heard.trouble.empty()) {
      REQUIRE(heard.status.has_value());
      ran = true;
    } else {
      CHECK(heard.trouble == "Sandbox.Failure");
      ++refused;
    }
  }
  // Two for its output, then for its supervisor's news, each on its own.
  CHECK(refused >= 4);
}

}  // namespace weir::emulator
