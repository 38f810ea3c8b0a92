#include "connectors/sns/turn.h"

#include <string>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <catch2/catch.hpp>

using weir::sns::Turns;
namespace net = boost::asio;

namespace {

/// Takes a turn, keeps it while others run, and says so.
net::awaitable<void> work(Turns& turns, char who, std::string& done, int steps = 1) {
  const Turns::Turn turn = co_await turns.take();
  for (int i = 0; i < steps; ++i) co_await net::post(net::use_awaitable);
  done += who;
}

}  // namespace

TEST_CASE("a thousand who wait for their turn are woken once each, in the order in which they asked") {
  net::io_context io;
  Turns turns(io.get_executor());
  std::string done;
  std::string asked;
  for (int i = 0; i < 1'000; ++i) {
    const char who = static_cast<char>('a' + i % 26);
    asked += who;
    net::co_spawn(io, work(turns, who, done), [](const std::exception_ptr& failed) { CHECK_FALSE(failed); });
  }
  io.run();
  CHECK(done == asked);
  CHECK(turns.wakes() == 999);
}

TEST_CASE("who gives up waiting is passed over, also when it was to be next") {
  net::io_context io;
  Turns turns(io.get_executor());
  std::string done;
  net::cancellation_signal give_up;
  bool cancelled = false;
  // With one step the turn ends, and goes to the one who gives up, just before he does.
  const int steps = GENERATE(1, 5);
  net::co_spawn(io, work(turns, 'a', done, steps), [](const std::exception_ptr&) {});
  net::co_spawn(io, work(turns, 'b', done),
                net::bind_cancellation_slot(give_up.slot(),
                                            [&](const std::exception_ptr& failed) { cancelled = failed != nullptr; }));
  net::co_spawn(io, work(turns, 'c', done), [](const std::exception_ptr&) {});
  for (int i = 0; i < 3; ++i) io.poll_one();
  give_up.emit(net::cancellation_type::all);
  io.run();
  CHECK(cancelled);
  CHECK(done == "ac");
}
