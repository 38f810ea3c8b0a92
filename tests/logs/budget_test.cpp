#include "connectors/logs/budget.h"

#include <deque>
#include <memory>
#include <vector>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>

using namespace weir;
using logs::ByteBudget;
namespace net = boost::asio;

namespace {

/// Ten bytes, and coroutines that want some of them.
class Sharing {
 public:
  ByteBudget::Share& share(std::size_t number) {
    while (shares_.size() <= number) shares_.push_back(std::make_unique<ByteBudget::Share>(budget));
    return *shares_[number];
  }
  /// Asks for a share. What is told when it is there: its number.
  void ask(std::size_t number, std::size_t bytes) {
    net::co_spawn(io_, wait(share(number), number, bytes),
                  net::bind_cancellation_slot(cancel_.emplace_back().slot(), [](std::exception_ptr thrown) {
                    if (thrown) std::rethrow_exception(thrown);
                  }));
    run();
  }
  void cancel_last() {
    cancel_.back().emit(net::cancellation_type::terminal);
    run();
  }
  void run() {
    io_.restart();
    io_.poll();
  }

 private:
  net::io_context io_;

 public:
  ByteBudget budget{io_.get_executor(), 10};
  std::vector<std::size_t> served;

 private:
  net::awaitable<void> wait(ByteBudget::Share& share, std::size_t number, std::size_t bytes) {
    co_await share.wait_for(bytes);
    if (share.bytes() > 0) served.push_back(number);
  }
  std::vector<std::unique_ptr<ByteBudget::Share>> shares_;
  std::deque<net::cancellation_signal> cancel_;
};

}  // namespace

TEST_CASE("a share grows as long as there is something left") {
  Sharing sharing;
  CHECK(sharing.share(0).grow_now(6));
  CHECK(sharing.share(1).grow_now(4));
  CHECK_FALSE(sharing.share(0).grow_now(7));
  CHECK(sharing.share(0).grow_now(6));
  sharing.share(1).set(3);
  CHECK(sharing.share(0).grow_now(7));
  CHECK(sharing.budget.held() == 10);
}

TEST_CASE("who waits is served in turn, and nobody overtakes him") {
  Sharing sharing;
  sharing.ask(0, 6);
  sharing.ask(1, 6);
  sharing.ask(2, 2);
  CHECK(sharing.served == std::vector<std::size_t>{0});
  CHECK(sharing.budget.waiting() == 2);
  CHECK_FALSE(sharing.share(3).grow_now(1));
  sharing.share(0).set(4);
  sharing.run();
  CHECK(sharing.served == std::vector<std::size_t>{0, 1});
  sharing.share(0).set(0);
  sharing.run();
  CHECK(sharing.served == std::vector<std::size_t>{0, 1, 2});
  CHECK(sharing.budget.held() == 8);
}

TEST_CASE("more than all there is can be had alone") {
  Sharing sharing;
  sharing.ask(0, 1);
  sharing.ask(1, 100);
  CHECK(sharing.served == std::vector<std::size_t>{0});
  sharing.share(0).set(0);
  sharing.run();
  CHECK(sharing.served == std::vector<std::size_t>{0, 1});
  CHECK_FALSE(sharing.share(0).grow_now(1));
  sharing.share(1).set(9);
  CHECK(sharing.share(0).grow_now(1));
}

TEST_CASE("one that is cancelled while it waits holds up nobody") {
  Sharing sharing;
  sharing.ask(0, 4);
  sharing.ask(1, 7);
  sharing.cancel_last();
  CHECK(sharing.budget.waiting() == 0);
  CHECK(sharing.share(1).bytes() == 0);
  CHECK(sharing.share(2).grow_now(6));
  CHECK(sharing.served == std::vector<std::size_t>{0});
}
