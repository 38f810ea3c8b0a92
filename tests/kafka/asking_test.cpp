#include "connectors/kafka/asking.h"

#include <atomic>
#include <future>

#include <catch2/catch.hpp>

using namespace weir;
using namespace weir::kafka;
using namespace std::chrono_literals;

TEST_CASE("it is asked until there is an answer, with pauses that double up to a limit") {
  std::promise<Instant> answered;
  std::promise<const Asking*> made;
  int asked = 0;
  bool over = false;
  const Instant began = SystemClock().now().instant;
  const Asking asking([&] { return ++asked == 5; },
                      [&] {
                        over = made.get_future().get()->is_over();  // before it is told: who is told looks
                        answered.set_value(SystemClock().now().instant);
                      },
                      {.min = 1ms, .max = 4ms});
  made.set_value(&asking);
  const Instant ended = answered.get_future().get();
  CHECK(asked == 5);
  CHECK(over);
  CHECK(ended - began >= 1ms + 2ms + 4ms + 4ms);
}

TEST_CASE("who gives up waits for no pause and hears of no answer") {
  std::promise<void> first;
  std::atomic<int> asked = 0;
  std::atomic<int> answers = 0;
  const Instant began = SystemClock().now().instant;
  {
    Asking asking(
        [&] {
          if (++asked == 1) first.set_value();
          return false;
        },
        [&] { ++answers; }, {.min = 1h, .max = 1h});
    first.get_future().get();
    asking.give_up();
  }
  CHECK(asked == 1);
  CHECK(answers == 0);
  CHECK(SystemClock().now().instant - began < 10min);
}

TEST_CASE("an answer that comes when it was given up on is none") {
  std::promise<void> asked, may_answer;
  std::atomic<int> answers = 0;
  {
    Asking asking(
        [&] {
          asked.set_value();
          may_answer.get_future().get();
          return true;
        },
        [&] { ++answers; }, {.min = 1h, .max = 1h});
    asked.get_future().get();
    CHECK_FALSE(asking.is_over());
    asking.give_up();
    CHECK_FALSE(asking.is_over());
    may_answer.set_value();
  }
  CHECK(answers == 0);
}
