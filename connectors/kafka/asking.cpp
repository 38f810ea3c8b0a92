#include "connectors/kafka/asking.h"

#include <algorithm>
#include <utility>

namespace weir::kafka {

Asking::Asking(std::function<bool()> ask, std::function<void()> answered, Pauses pauses)
    : ask_(std::move(ask)), answered_(std::move(answered)), pauses_(pauses), thread_([this] { run(); }) {}

Asking::~Asking() {
  give_up();
  thread_.join();
}

void Asking::give_up() {
  const std::lock_guard lock(mutex_);
  given_up_ = true;
  changed_.notify_one();
}

bool Asking::is_over() const {
  const std::lock_guard lock(mutex_);
  return over_;
}

void Asking::run() {
  Duration pause = pauses_.min;
  std::unique_lock lock(mutex_);
  while (!given_up_) {
    lock.unlock();
    const bool has_answer = ask_();
    lock.lock();
    if (has_answer && !given_up_) {
      over_ = true;  // before it is told: who is told looks
      lock.unlock();
      answered_();
      return;
    }
    changed_.wait_for(lock, pause, [this] { return given_up_; });
    pause = std::min(pause * 2, pauses_.max);
  }
  over_ = true;
}

}  // namespace weir::kafka
