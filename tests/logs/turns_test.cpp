#include "connectors/logs/turns.h"

#include <memory>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>

using namespace weir;
using logs::Turns;
using logs::Way;

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
