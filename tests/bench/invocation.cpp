// What a warm invocation takes with one client, against a bare HTTP request and answer between two processes over
// loopback: the server is the same http::Server, its handler answers at once, the client is a blocking socket. Prints
// one line of JSON.
//
// weir-bench-invocation FUNCTION PLACEMENT [BLOCKS]: the program of the function; where the processes of both sides run
// (see Placement); 100 blocks of each side, alternating, unless said.
#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "weir/base/random.h"

#include "bridge/invoker.h"
#include "functions/runtime/runtime_client.h"
#include "http/server.h"
#include "lambda/emulator/emulator_endpoint.h"
#include "support/temporary_folder.h"

using namespace weir;

namespace {

constexpr int kBlock = 50;  ///< calls of one side in a row
constexpr const char* kFunction = "bench";
const std::string kEvent =
    R"({"Records":[{"kinesis":{"partitionKey":"key","sequenceNumber":"1","data":"SGVsbG8sIHRoaXMgaXMgYSB0ZXN0IDEyMy4=",)"
    R"("approximateArrivalTimestamp":1545084650.987},"eventSource":"aws:kinesis","eventID":"shardId-000000000000:1"}]})";

using Clock = std::chrono::steady_clock;

double microseconds_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
}

double quantile(std::vector<double> values, double part) {
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1, static_cast<std::size_t>(static_cast<double>(values.size()) * part))];
}

/// Which cores the two processes of each side run on. Waking a process on a core that sleeps takes longer than all of
/// an exchange, so left alone the figure says where the scheduler put them.
enum class Placement { kFree, kOneCore, kTwoCores };

Placement placement_of(const std::string& word) {
  if (word == "free") return Placement::kFree;
  if (word == "one") return Placement::kOneCore;
  if (word == "two") return Placement::kTwoCores;
  throw std::runtime_error(word + " is no placement; there are free, one, two");
}

/// The calling thread, and every process that it starts from now on.
void run_on(int core) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<std::size_t>(core), &set);
  if (::sched_setaffinity(0, sizeof set, &set) != 0) throw std::runtime_error("no core " + std::to_string(core));
}

net::awaitable<http::Response> bare_answer(http::Request) {
  co_return http::Response(200, "application/json", "{}");
}

/// Serves until it is killed, and says where on its standard output.
void serve_bare() {
  net::io_context context{1};
  auto server = http::Server::listen(context.get_executor(), "127.0.0.1:0", bare_answer, {});
  if (!server) throw std::runtime_error(server.error().describe());
  const std::string address = (*server)->address();
  if (::write(STDOUT_FILENO, address.data(), address.size()) > 0) context.run();
}

/// The bare server, in a process of its own that ends with this one. It is a program of its own, as a function is: the
/// scheduler puts what was only forked to other places.
class BareServer {
 public:
  BareServer() {
    std::array<int, 2> answer{};
    if (::pipe(answer.data()) != 0) throw std::runtime_error("no pipe");
    child_ = ::fork();
    if (child_ < 0) throw std::runtime_error("no process");
    if (child_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::dup2(answer[1], STDOUT_FILENO);
      ::execl("/proc/self/exe", "weir-bench-invocation", "serve", nullptr);
      std::_Exit(1);
    }
    ::close(answer[1]);
    std::array<char, 64> text{};
    const ssize_t size = ::read(answer[0], text.data(), text.size());
    ::close(answer[0]);
    if (size <= 0) throw std::runtime_error("the bare server did not start");
    address_.assign(text.data(), static_cast<std::size_t>(size));
  }
  ~BareServer() {
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
  }
  BareServer(const BareServer&) = delete;
  BareServer& operator=(const BareServer&) = delete;
  const std::string& address() const { return address_; }

 private:
  pid_t child_ = -1;
  std::string address_;
};

/// A function that weir runs, called the way every source calls it: a permit, the endpoint, the figures.
class Warm {
 public:
  Warm(const std::string& function, const std::string& folder) {
    emulator::EmulatorSettings settings;
    settings.name = kFunction;
    settings.command = {function};
    settings.directory = "/";
    settings.timeout = std::chrono::seconds(30);
    settings.folder = folder + "/environments";
    settings.log_file = folder + "/log";
    auto made = emulator::EmulatorEndpoint::make(context_.get_executor(), settings, null_log(), clock_);
    if (!made) throw std::runtime_error(made.error().describe());
    endpoint_ = std::move(*made);
    if (!invoker_.add(kFunction, *endpoint_, std::nullopt))
      throw std::runtime_error("the invoker refused the function");
  }
  ~Warm() {
    net::co_spawn(context_, endpoint_->close(), [](std::exception_ptr) {});
    context_.restart();
    context_.run();
  }
  Warm(const Warm&) = delete;
  Warm& operator=(const Warm&) = delete;

  void block(int calls, std::vector<double>& microseconds) {
    net::co_spawn(context_, calls_in_a_row(calls, microseconds), [this](std::exception_ptr thrown) {
      context_.stop();
      if (thrown) std::rethrow_exception(thrown);
    });
    context_.restart();
    context_.run();
  }

 private:
  net::awaitable<void> calls_in_a_row(int calls, std::vector<double>& microseconds) {
    for (int i = 0; i < calls; ++i) {
      Invocation call;
      call.function = kFunction;
      call.request_id = random_.uuid();
      call.payload = kEvent;
      const auto begin = Clock::now();
      const Outcome outcome = co_await invoker_.invoke(std::move(call), Instant::max(), engine::CallKind::kSynchronous);
      microseconds.push_back(microseconds_since(begin));
      if (!std::holds_alternative<Succeeded>(outcome.what)) throw std::runtime_error("an invocation failed");
    }
  }

  net::io_context context_{1};
  SystemClock clock_;
  Random random_{seed_from_system()};
  std::unique_ptr<emulator::EmulatorEndpoint> endpoint_;
  // Its own pace is measured, not the account's limit of ten calls a second per execution.
  bridge::Invoker invoker_{100'000, clock_, 1};
};

void bare_block(functions::RuntimeClient& client, int calls, std::vector<double>& microseconds) {
  for (int i = 0; i < calls; ++i) {
    const auto begin = Clock::now();
    const functions::Answer answer = client.post("bare", kEvent);
    microseconds.push_back(microseconds_since(begin));
    if (answer.status != 200) throw std::runtime_error("a bare request failed");
  }
}

void measure(const std::string& function, const std::string& place, int blocks) {
  const Placement placement = placement_of(place);
  if (placement != Placement::kFree) run_on(0);  // the server and the function
  const BareServer server;                       // before anything here has threads
  functions::RuntimeClient client(server.address());
  const test::TemporaryFolder folder;
  std::vector<double> bare;
  std::vector<double> warm;
  {
    Warm weir(function, folder.path());
    std::vector<double> first;  // the cold start, and what is slower at the beginning
    weir.block(kBlock, first);
    if (placement == Placement::kTwoCores) run_on(1);  // the client and weir
    bare_block(client, kBlock, first);
    for (int i = 0; i < blocks; ++i) {
      bare_block(client, kBlock, bare);
      weir.block(kBlock, warm);
    }
  }
  std::printf(
      "{\"bench\":\"warm_invocation\",\"placement\":\"%s\",\"event_bytes\":%zu,\"calls\":%zu,\"bare_us\":%.1f,\"weir_"
      "us\":%.1f,"
      "\"bare_p99_us\":%.1f,\"weir_p99_us\":%.1f,\"ratio\":%.3f}\n",
      place.c_str(), kEvent.size(), warm.size(), quantile(bare, 0.5), quantile(warm, 0.5), quantile(bare, 0.99),
      quantile(warm, 0.99), quantile(warm, 0.5) / quantile(bare, 0.5));
}

}  // namespace

int main(int argc, char** argv) {
  const bool serve = argc == 2 && std::string(argv[1]) == "serve";
  if (argc < 3 && !serve) {
    std::fprintf(stderr, "weir-bench-invocation FUNCTION free|one|two [BLOCKS]\n");
    return 2;
  }
  try {
    if (serve) {
      serve_bare();
      return 0;
    }
    measure(std::filesystem::absolute(argv[1]).string(), argv[2], argc > 3 ? std::max(1, std::atoi(argv[3])) : 100);
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "weir-bench-invocation: %s\n", problem.what());
    return 1;
  }
  return 0;
}
