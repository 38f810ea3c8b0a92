#pragma once

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include "weir/base/random.h"

#include "lambda/emulator/emulator_endpoint.h"
#include "observe/function_log_lines.h"
#include "runtime/task_scope.h"
#include "support/temporary_folder.h"

namespace weir::test {

inline std::string file_text(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// An emulated function, and an io_context that runs while something is waited for.
class World {
 public:
  explicit World(const std::function<void(emulator::EmulatorSettings&)>& change = [](auto&) {}) {
    settings_.name = "misbehave";
    settings_.command = {MISBEHAVE};
    settings_.directory = "/";
    settings_.timeout = std::chrono::seconds(30);
    settings_.memory_size = 1024;
    settings_.folder = folder_ / "environments";
    settings_.log_file = folder_ / "log";
    settings_.environment["INIT_COUNTER"] = "/dev/null";
    change(settings_);
    auto made = emulator::EmulatorEndpoint::make(io_.get_executor(), settings_, null_log(), clock_);
    if (!made) throw std::runtime_error(made.error().describe());
    endpoint_ = std::move(made.value());
  }
  ~World() { close(); }

  /// Invokes and waits.
  Outcome invoke(const std::string& payload, bool log_tail = false) {
    const std::size_t call = begin(payload, log_tail);
    return wait(call);
  }

  /// Begins an invocation, to be waited for later.
  std::size_t begin(const std::string& payload, bool log_tail = false) {
    Invocation invocation;
    invocation.function = settings_.name;
    invocation.request_id = random_.uuid();
    invocation.payload = payload;
    invocation.log_tail = log_tail;
    return begin(std::move(invocation));
  }
  std::size_t begin(Invocation invocation) {
    calls_.push_back(std::make_unique<Pending>());
    Pending& pending = *calls_.back();
    pending.request_id = invocation.request_id;
    net::co_spawn(io_, run(std::move(invocation), pending),
                  net::bind_cancellation_slot(pending.signal.slot(), [](std::exception_ptr failure) {
                    if (failure) std::rethrow_exception(failure);
                  }));
    return calls_.size() - 1;
  }
  Outcome wait(std::size_t call) {
    run_until([&] { return calls_[call]->outcome.has_value(); });
    return *calls_[call]->outcome;
  }
  void cancel(std::size_t call) { calls_[call]->signal.emit(net::cancellation_type::all); }
  const std::string& request_id(std::size_t call) const { return calls_[call]->request_id; }
  const std::string& last_request_id() const { return calls_.back()->request_id; }

  /// Runs the context until something holds; a test that waits longer than half a minute has failed.
  void run_until(const std::function<bool()>& holds) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (!holds()) {
      if (std::chrono::steady_clock::now() > deadline) throw std::runtime_error("waited in vain");
      io_.restart();
      io_.run_one_for(std::chrono::milliseconds(20));
    }
  }

  void close() {
    if (!endpoint_) return;
    bool closed = false;
    net::co_spawn(io_, endpoint_->close(), [&closed](std::exception_ptr failure) {
      if (failure) std::rethrow_exception(failure);
      closed = true;
    });
    run_until([&] { return closed; });
    endpoint_.reset();
  }

  emulator::EmulatorEndpoint& endpoint() { return *endpoint_; }
  emulator::EnvironmentCounts counts() const { return endpoint_->counts(); }
  /// What the log's lines say, without their times and streams.
  std::string log() const {
    std::string messages;
    std::istringstream lines(file_text(settings_.log_file));
    for (std::string line; std::getline(lines, line);) {
      const auto read = observe::read_function_log_line(line);
      if (!read) throw std::runtime_error("no line of a function's log: " + line);
      messages.append(read->message).append("\n");
    }
    return messages;
  }
  std::string log_file() const { return settings_.log_file; }
  /// Waits until the log holds a text: it is written behind the answer.
  void wait_for_log(const std::string& text) {
    run_until([&] { return log().find(text) != std::string::npos; });
  }
  std::filesystem::path folder() const { return folder_.path(); }
  net::io_context& io() { return io_; }

 private:
  struct Pending {
    std::string request_id;
    net::cancellation_signal signal;
    std::optional<Outcome> outcome;
  };

  net::awaitable<void> run(Invocation invocation, Pending& pending) {
    Outcome outcome = co_await endpoint_->invoke(std::move(invocation), Instant::max());
    pending.outcome = std::move(outcome);
  }

  TemporaryFolder folder_;
  net::io_context io_{1};
  SystemClock clock_;
  Random random_{seed_from_system()};
  emulator::EmulatorSettings settings_;
  std::unique_ptr<emulator::EmulatorEndpoint> endpoint_;
  std::vector<std::unique_ptr<Pending>> calls_;
};

/// The payload of a success, or the kind and document of anything else.
inline std::string text_of(const Outcome& outcome) {
  if (const auto* succeeded = std::get_if<Succeeded>(&outcome.what)) return succeeded->payload;
  if (const auto* failed = std::get_if<FunctionFailed>(&outcome.what))
    return failed->error_type + " " + failed->payload;
  return std::string(kind(outcome));
}

}  // namespace weir::test
