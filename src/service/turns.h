#pragma once

#include <list>
#include <map>
#include <string>
#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include "weir/connector.h"

namespace weir::service {

/// How a turn is had: by nobody else at the time, or beside others that want it so.
enum class Way { kAlone, kBeside };

/// Turns at things with names, in the order in which they were asked for: who changes a thing has waited until what was
/// asked before is on disk, and sees what came of it. One executor.
class Turns {
  struct Thing;
  struct Waiter;

 public:
  explicit Turns(net::any_io_executor executor) : executor_(std::move(executor)) {}
  Turns(const Turns&) = delete;
  Turns& operator=(const Turns&) = delete;

  /// Ends when it goes; before the turns do.
  class Turn {
   public:
    Turn(Turn&& other) noexcept
        : turns_(std::exchange(other.turns_, nullptr)), name_(std::move(other.name_)), waiter_(other.waiter_) {}
    Turn& operator=(Turn&&) = delete;
    ~Turn() {
      if (turns_ != nullptr) turns_->end(name_, waiter_);
    }

   private:
    friend class Turns;
    Turn(Turns& turns, std::string name, std::list<Waiter>::iterator waiter)
        : turns_(&turns), name_(std::move(name)), waiter_(waiter) {}

    Turns* turns_;
    std::string name_;
    std::list<Waiter>::iterator waiter_;
  };

  net::awaitable<Turn> take(std::string name, Way way);
  /// At the only thing there is, alone.
  net::awaitable<Turn> take() { return take(std::string(), Way::kAlone); }
  /// Things that somebody has or waits for.
  std::size_t size() const { return things_.size(); }
  /// How often somebody who waits was woken.
  std::size_t wakes() const { return wakes_; }

 private:
  struct Waiter {
    Waiter(const net::any_io_executor& executor, Way how)
        : way(how), woken(executor, net::steady_timer::time_point::max()) {}

    Way way;
    bool has = false;
    net::steady_timer woken;
  };
  struct Thing {
    std::list<Waiter> waiters;  ///< those who have it in front
  };

  void give(Thing& thing);
  void end(const std::string& name, std::list<Waiter>::iterator waiter);

  net::any_io_executor executor_;
  std::map<std::string, Thing> things_;
  std::size_t wakes_ = 0;
};

}  // namespace weir::service
