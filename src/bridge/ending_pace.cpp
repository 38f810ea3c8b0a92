#include "bridge/ending_pace.h"

#include <array>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace weir::bridge {
namespace {

/// Endings that may have their event in memory at a time: the event, its record and the dead letter are up to 3 MB.
constexpr int kTurns = 32;
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

net::awaitable<EndingPace::Turn> EndingPace::turn() {
  while (turns_ >= kTurns) {
    net::steady_timer turn(executor_, net::steady_timer::time_point::max());
    waiting_.push_back(&turn);
    boost::system::error_code woken;
    co_await turn.async_wait(net::redirect_error(net::use_awaitable, woken));
  }
  co_return Turn(*this);
}

void EndingPace::turn_over() {
  --turns_;
  if (waiting_.empty()) return;
  waiting_.front()->cancel();
  waiting_.pop_front();
}

bool EndingPace::last(std::size_t failures) const {
  return failures >= kWaits.size() || stopping_ || pauses_.size() >= kWaitingMax;
}

net::awaitable<void> EndingPace::wait(std::size_t failures) {
  if (stopping_) co_return;
  const Instant until = clock_.now().instant + kWaits.at(failures);
  net::steady_timer timer(executor_, net::steady_timer::time_point(until.time_since_epoch()));
  pauses_.insert(&timer);
  boost::system::error_code woken;
  co_await timer.async_wait(net::redirect_error(net::use_awaitable, woken));
  pauses_.erase(&timer);
}

void EndingPace::request_stop() {
  stopping_ = true;
  for (net::steady_timer* pause : pauses_) pause->cancel();
}

}  // namespace weir::bridge
