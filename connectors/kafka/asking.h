#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "weir/base/time.h"

namespace weir::kafka {

/// A question that blocks, asked in a thread of its own until there is an answer, with pauses that double.
class Asking {
 public:
  struct Pauses {
    Duration min = std::chrono::milliseconds(100);
    Duration max = std::chrono::seconds(5);
  };

  /// Both are called in the thread. `ask`: whether there is an answer; it blocks for a bounded time. `answered`: once,
  /// when there is and is_over() says so; not after give_up().
  Asking(std::function<bool()> ask, std::function<void()> answered, Pauses pauses);
  /// Waits for the question under way, if there is one: is_over() tells that there is nothing to wait for.
  ~Asking();
  Asking(const Asking&) = delete;
  Asking& operator=(const Asking&) = delete;

  /// Ends the pause; nothing is asked any more.
  void give_up();
  bool is_over() const;

 private:
  void run();

  std::function<bool()> ask_;
  std::function<void()> answered_;
  const Pauses pauses_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool given_up_ = false;
  bool over_ = false;
  std::thread thread_;  ///< last: it uses the others
};

}  // namespace weir::kafka
