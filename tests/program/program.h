#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>
#include <sys/types.h>

#include "support/temporary_folder.h"

namespace weir::test {

using namespace std::chrono_literals;

/// How a process ended: its exit status, or 128 + the signal's number, as a shell says it.
using Ending = int;

/// A program that runs, with its output collected line by line. It dies with this object, and with the tests.
class Process {
 public:
  struct Options {
    std::string input;                               ///< what it reads on stdin
    std::map<std::string, std::string> environment;  ///< added to the tests' own
    bool ignore_file_size_signal = false;            ///< over RLIMIT_FSIZE a write fails, and does not kill
  };

  Process(std::vector<std::string> command, Options options);
  explicit Process(std::vector<std::string> command) : Process(std::move(command), Options()) {}
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  std::string out() const;
  std::string err() const;
  /// Waits until `text` stands on stderr. Fails the test, with all of stderr, when it ends or is silent instead.
  void wait_for(std::string_view text, std::chrono::seconds patience = 20s);
  void signal(int number) const;
  /// Waits for its end and for the end of its output. Fails the test when it still runs after `patience`.
  Ending wait(std::chrono::seconds patience = 20s);
  bool running();
  Ending terminate();

 private:
  struct Stream {
    int descriptor = -1;
    std::string text;
    bool open = true;
    std::thread reader;
  };
  void collect(Stream& stream);

  pid_t pid_ = -1;
  std::optional<Ending> ending_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Stream out_;
  Stream err_;
  std::thread writer_;
};

struct Finished {
  Ending ending;
  std::string out;
  std::string err;
};

/// Runs `weir` with these arguments to its end.
Finished run_weir(std::vector<std::string> arguments, Process::Options options = {});

/// Waits until `condition` holds; fails the test with `sentence` when it does not in time.
void wait_until(std::string_view sentence, const std::function<bool()>& condition, std::chrono::seconds patience = 20s);

/// `weir run`, on ports of its own choice.
class Bridge {
 public:
  /// `config`: a file that says `admin: ${ADMIN}`, and nothing of `listen`.
  explicit Bridge(const std::string& config, std::vector<std::string> more = {}, Process::Options options = {});

  Process& process() { return process_; }
  /// "127.0.0.1:PORT", once it listens.
  std::string admin();
  /// The same of the gateway.
  std::string gateway();
  /// What a path of the admin address answers, as JSON.
  nlohmann::json get(const std::string& path);
  nlohmann::json status() { return get("/status"); }
  nlohmann::json source(const std::string& name);
  nlohmann::json function(const std::string& name);
  void wait_for_state(const std::string& source, const std::string& state, std::chrono::seconds patience = 20s);
  /// The log lines of an event, as JSON.
  std::vector<nlohmann::json> log(std::string_view event) const;
  /// `weir COMMAND...` with ADMIN set, so that the configuration leads to this bridge.
  Finished command(std::vector<std::string> arguments);

 private:
  Process process_;
  std::string admin_;
};

/// A record as the recorder function saw it.
struct Seen {
  std::string shard;     ///< "clicks-0", "shardId-000000000000"
  std::string sequence;  ///< sequence number or offset
  std::string data;
  friend bool operator==(const Seen&, const Seen&) = default;
};

/// What the recorder has written to the file so far, whole lines only.
std::vector<Seen> seen(const std::string& path);

/// Every value "first" to "last" is there, and none is seen for the first time before a smaller one of its shard.
/// "" when that is so, else what is wrong.
std::string loss_or_disorder(const std::vector<Seen>& seen, int first, int last);

/// Living processes, other than this one, whose environment holds `mark`.
std::vector<pid_t> processes_marked(std::string_view mark);

/// Numbers `first` to `last`, one a line.
std::string lines(int first, int last);

}  // namespace weir::test
