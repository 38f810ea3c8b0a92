#include "bridge/ending_pace.h"

#include <array>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace weir::bridge {
namespace {

/// Endings that may have their event in memory at a time: the event, its record and the dead letter are up to 3 MB.
constexpr int kTurnsHere = 32;
constexpr int kTurnsOfOne = 8;
constexpr int kTurnsAway = 96;
/// The waits before a destination that failed is tried again, while weir does not stop.
constexpr std::array<Duration, 3> kWaits{std::chrono::milliseconds(200), std::chrono::seconds(1),
                                         std::chrono::seconds(4)};
/// Endings that may wait so; what fails beyond that is a dead letter at once. Each has an answer in memory.
constexpr std::size_t kWaitingMax = 64;

}  // namespace

bool is_refusal(ErrorCode code) {
  return code == ErrorCode::kEventRefused || code == ErrorCode::kDestinationFailed ||
         code == ErrorCode::kDestinationGone || code == ErrorCode::kDestinationForbidden;
}

bool may_pass(std::string_view destination, ErrorCode code) {
  return code == ErrorCode::kDestinationFailed && !destination.starts_with("file:") &&
         !destination.starts_with("lambda:");
}

std::string line_of(std::string_view destination) {
  const bool here = destination.empty() || destination.starts_with("file:") || destination.starts_with("lambda:");
  return here ? std::string() : std::string(destination);
}

net::awaitable<EndingPace::Turn> EndingPace::turn(std::string line) {
  Waiter waiter(executor_);
  lines_[line].waiting.push_back(&waiter);
  hand_out();
  while (!waiter.has_turn) {
    boost::system::error_code woken;
    co_await waiter.woken.async_wait(net::redirect_error(net::use_awaitable, woken));
  }
  co_return Turn(*this, std::move(line));
}

void EndingPace::turn_over(const std::string& line) {
  const auto found = lines_.find(line);
  if (!line.empty()) --away_;
  if (--found->second.turns == 0 && found->second.waiting.empty()) lines_.erase(found);
  hand_out();
}

void EndingPace::hand_out() {
  for (auto& [name, line] : lines_) {
    const bool here = name.empty();
    while (!line.waiting.empty() && line.turns < (here ? kTurnsHere : kTurnsOfOne) && (here || away_ < kTurnsAway)) {
      Waiter& next = *line.waiting.front();
      line.waiting.pop_front();
      ++line.turns;
      if (!here) ++away_;
      next.has_turn = true;
      next.woken.cancel();
    }
  }
}

bool EndingPace::last(std::size_t failures) const {
  return failures >= kWaits.size() || stopping_ || pauses_.size() >= kWaitingMax;
}

net::awaitable<void> EndingPace::wait(std::size_t failures) {
  co_await sleep(clock_.now().instant + kWaits.at(failures), pauses_);
}

net::awaitable<void> EndingPace::rest(Instant until) {
  if (until > clock_.now().instant) co_await sleep(until, rests_);
}

net::awaitable<void> EndingPace::sleep(Instant until, std::set<net::steady_timer*>& among) {
  if (stopping_) co_return;
  net::steady_timer timer(executor_, net::steady_timer::time_point(until.time_since_epoch()));
  among.insert(&timer);
  boost::system::error_code woken;
  co_await timer.async_wait(net::redirect_error(net::use_awaitable, woken));
  among.erase(&timer);
}

void EndingPace::request_stop() {
  stopping_ = true;
  for (net::steady_timer* pause : pauses_) pause->cancel();
  for (net::steady_timer* rest : rests_) rest->cancel();
}

}  // namespace weir::bridge
