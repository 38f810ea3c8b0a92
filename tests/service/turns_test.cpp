#include "service/turns.h"

#include <exception>
#include <map>
#include <memory>
#include <string>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <catch2/catch.hpp>

using namespace weir;
using service::Turns;
using service::Way;

namespace {

/// Callers with names of one letter; who has a turn stands in `has`.
class Callers {
 public:
  void ask(char who, const std::string& what, Way way) {
    net::co_spawn(io_, asking(who, what, way), net::bind_cancellation_slot(cancels_[who].slot(), net::detached));
    go_on();
  }
  void end(char who) {
    turns_held_.erase(who);
    has.erase(has.find(who), 1);
    go_on();
  }
  void cancel(char who) {
    cancels_[who].emit(net::cancellation_type::all);
    go_on();
  }
  std::string has;
  std::size_t things() const { return turns_.size(); }

 private:
  net::awaitable<void> asking(char who, std::string what, Way way) {
    auto turn = co_await turns_.take(std::move(what), way);
    turns_held_.emplace(who, std::make_unique<Turns::Turn>(std::move(turn)));
    has += who;
  }
  void go_on() {
    io_.restart();
    io_.poll();
  }

  net::io_context io_;
  Turns turns_{io_.get_executor()};
  std::map<char, std::unique_ptr<Turns::Turn>> turns_held_;
  std::map<char, net::cancellation_signal> cancels_;
};

/// Takes a turn, keeps it while others run, and says so.
net::awaitable<void> work(Turns& turns, char who, std::string& done, int steps = 1) {
  const Turns::Turn turn = co_await turns.take();
  for (int i = 0; i < steps; ++i) co_await net::post(net::use_awaitable);
  done += who;
}

}  // namespace

TEST_CASE("a turn is had alone or beside others, in the order of asking") {
  Callers callers;
  callers.ask('a', "x", Way::kAlone);
  callers.ask('b', "x", Way::kBeside);
  callers.ask('c', "x", Way::kBeside);
  callers.ask('d', "x", Way::kAlone);
  callers.ask('e', "x", Way::kBeside);
  callers.ask('f', "y", Way::kAlone);
  CHECK(callers.has == "af");
  callers.end('a');
  CHECK(callers.has == "fbc");
  callers.end('b');
  CHECK(callers.has == "fc");  // `e` does not pass by `d`
  callers.end('c');
  CHECK(callers.has == "fd");
  callers.end('d');
  CHECK(callers.has == "fe");
  callers.end('e');
  callers.end('f');
  CHECK(callers.things() == 0);
}

TEST_CASE("who is cancelled while waiting stands in nobody's way") {
  Callers callers;
  callers.ask('a', "x", Way::kBeside);
  callers.ask('b', "x", Way::kAlone);
  callers.ask('c', "x", Way::kBeside);
  CHECK(callers.has == "a");
  callers.cancel('b');
  CHECK(callers.has == "ac");
  callers.end('a');
  callers.end('c');
  CHECK(callers.things() == 0);
}

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
