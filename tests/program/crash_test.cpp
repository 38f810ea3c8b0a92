// kill -9 under load, again and again: what got its 202 reaches its function or is a dead letter, a file that was there
// is announced, and streams keep their order. WEIR_CRASH_ROUNDS=200 for the long one.
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <mutex>
#include <set>
#include <unordered_set>

#include <catch2/catch.hpp>

#include "weir/base/random.h"

#include "http/client.h"
#include "program/program.h"

namespace {

using namespace weir::test;
using weir::Random;

constexpr int kClients = 32;

int rounds() {
  const char* text = std::getenv("WEIR_CRASH_ROUNDS");
  return text == nullptr || *text == '\0' ? 8 : std::stoi(text);
}

/// Who sends asynchronous invocations, and remembers which of them got their 202.
class Clients {
 public:
  Clients() {
    for (int i = 0; i < kClients; ++i) threads_.emplace_back([this, i] { send(i); });
  }
  ~Clients() {
    ending_ = true;
    for (std::thread& thread : threads_) thread.join();
  }
  Clients(const Clients&) = delete;
  Clients& operator=(const Clients&) = delete;

  /// "" while there is no bridge.
  void aim_at(const std::string& gateway) {
    const std::lock_guard lock(mutex_);
    gateway_ = gateway;
  }
  struct Accepted {
    std::set<long> handled;                   ///< ids of events for a function that runs
    std::unordered_set<std::string> blocked;  ///< request ids of events for one that is blocked
    std::size_t refused = 0;
  };
  Accepted accepted() const {
    const std::lock_guard lock(mutex_);
    return accepted_;
  }

 private:
  void send(int client) {
    for (long count = 0; !ending_; ++count) {
      std::string gateway;
      {
        const std::lock_guard lock(mutex_);
        gateway = gateway_;
      }
      if (gateway.empty()) {
        std::this_thread::sleep_for(2ms);
        continue;
      }
      const long id = client * 10'000'000L + count;
      const bool blocked = count % 8 == 7;
      weir::http::Headers headers;
      headers.add("X-Amz-Invocation-Type", "Event");
      const std::string url =
          "http://" + gateway + "/2015-03-31/functions/" + (blocked ? "blocked" : "recorder") + "/invocations";
      const auto answer = weir::http::request("POST", url, "{\"id\":" + std::to_string(id) + "}", 10s, headers);
      const std::lock_guard lock(mutex_);
      if (!answer || answer->status != 202) {
        ++accepted_.refused;
      } else if (blocked) {
        accepted_.blocked.emplace(*answer->headers.get("x-amzn-RequestId"));
      } else {
        accepted_.handled.insert(id);
      }
    }
  }

  mutable std::mutex mutex_;
  std::string gateway_;
  Accepted accepted_;
  std::atomic<bool> ending_{false};
  std::vector<std::thread> threads_;
};

/// Who drops files into the bucket's folder, written in place or renamed into it, and appends to the stream.
class Writer {
 public:
  explicit Writer(const TemporaryFolder& folder) : folder_(folder), thread_([this] { write(); }) {}
  ~Writer() { end(); }
  void end() {
    ending_ = true;
    if (thread_.joinable()) thread_.join();
  }
  int files() const { return files_; }
  int numbers() const { return numbers_; }

 private:
  void write() {
    std::ofstream numbers(folder_ / "numbers.txt", std::ios::app);
    while (!ending_) {
      const int file = files_;
      const std::string name = "object-" + std::to_string(file);
      if (file % 2 == 0) {
        std::ofstream(folder_ / ("bucket/" + name)) << "content " << file;
      } else {
        std::ofstream(folder_ / ("aside-" + name)) << "content " << file;
        std::filesystem::rename(folder_ / ("aside-" + name), folder_ / ("bucket/" + name));
      }
      ++files_;
      for (int i = 0; i < 3; ++i) numbers << ++numbers_ << '\n';
      numbers.flush();
      std::this_thread::sleep_for(5ms);
    }
  }

  const TemporaryFolder& folder_;
  std::atomic<int> files_{0};
  std::atomic<int> numbers_{0};
  std::atomic<bool> ending_{false};
  std::thread thread_;
};

}  // namespace

TEST_CASE("kill -9 under load loses nothing that got its 202, no file, and no order") {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "bucket");
  std::ofstream(folder / "numbers.txt").close();
  const std::string config =
      folder.write("weir.yaml", "state: ./state\nadmin: ${ADMIN}\nfunctions:\n  recorder: {command: [" RECORDER
                                "], environment: {SEEN: " +
                                    (folder / "seen") +
                                    "}}\n  blocked: {command: [" RECORDER
                                    "], reserved_concurrent_executions: 0}\nsources:\n"
                                    "  numbers: {type: file, path: numbers.txt, follow: true, "
                                    "batch_size: 7, function: recorder}\n"
                                    "  uploads: {type: s3, bucket: uploads, folder: ./bucket, "
                                    "function: recorder}\n");
  const std::uint64_t seed = weir::seed_from_system();
  INFO("seed " << seed);
  Random random(seed);
  Clients clients;
  Writer writer(folder);
  for (int round = 0; round < rounds(); ++round) {
    Bridge bridge(config);
    clients.aim_at(bridge.gateway());
    std::this_thread::sleep_for(std::chrono::milliseconds(20 + random.below(round % 4 == 3 ? 1500 : 300)));
    bridge.process().signal(SIGKILL);
    static_cast<void>(bridge.process().wait());
    clients.aim_at("");
  }
  writer.end();

  Bridge last(config);
  const auto drained = [&] {
    const auto status = last.status();
    return status.at("queue").at("events") == 0 && last.source("numbers").at("iterator_age_seconds") == 0;
  };
  const auto missing = [&] {
    const Clients::Accepted accepted = clients.accepted();
    std::set<long> unseen = accepted.handled;
    std::set<std::string> objects;
    std::vector<Seen> numbers;
    for (const Seen& each : seen(folder / "seen")) {
      if (each.shard == "async") {
        unseen.erase(std::stol(each.sequence));
      } else if (each.shard == "s3") {
        objects.insert(each.sequence);
      } else {
        numbers.push_back(each);
      }
    }
    std::string what;
    if (!unseen.empty()) what += std::to_string(unseen.size()) + " events with a 202 were never seen; ";
    for (int file = 0; file < writer.files(); ++file) {
      if (!objects.contains("object-" + std::to_string(file))) what += "object-" + std::to_string(file) + " ";
    }
    return what + loss_or_disorder(numbers, 1, writer.numbers());
  };
  // What is never delivered is found out at the deadline, with its name.
  const auto deadline = std::chrono::steady_clock::now() + 60s;
  while (std::chrono::steady_clock::now() < deadline && (!drained() || !missing().empty())) {
    std::this_thread::sleep_for(50ms);
  }
  CHECK(missing() == "");
  Clients::Accepted accepted = clients.accepted();
  for (const auto& letter : last.get("/deadletters?limit=10000")) {
    accepted.blocked.erase(letter.at("request_id").get<std::string>());
  }
  CHECK(accepted.blocked.empty());
  CHECK(last.status().at("queue").at("events") == 0);
  CHECK(last.process().terminate() == 0);
  const Clients::Accepted all = clients.accepted();
  std::cout << rounds() << " rounds: " << all.handled.size() << " events handled, " << all.blocked.size()
            << " dead letters, " << writer.files() << " files, " << writer.numbers() << " records; " << all.refused
            << " calls without a 202\n";
  // A load that never got through would prove nothing.
  CHECK(all.handled.size() > static_cast<std::size_t>(rounds()) * 10);
  CHECK(all.blocked.size() > static_cast<std::size_t>(rounds()));
}
