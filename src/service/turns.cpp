#include "service/turns.h"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace weir::service {

net::awaitable<Turns::Turn> Turns::take(std::string name, Way way) {
  Thing& thing = things_[name];
  const auto waiter = thing.waiters.emplace(thing.waiters.end(), executor_, way);
  // From here on also a wait that is cancelled gives its place back: the next co_await of such a one throws.
  Turn turn(*this, std::move(name), waiter);
  give(thing);
  while (!waiter->has) {
    boost::system::error_code woken;
    co_await waiter->woken.async_wait(net::redirect_error(net::use_awaitable, woken));
    ++wakes_;
  }
  co_return turn;
}

/// To those in front: one alone, or all up to the first who wants it alone.
void Turns::give(Thing& thing) {
  for (auto each = thing.waiters.begin(); each != thing.waiters.end(); ++each) {
    const bool first = each == thing.waiters.begin();
    if (each->way == Way::kAlone && !first) return;
    if (!each->has) {
      each->has = true;
      each->woken.cancel();
    }
    if (each->way == Way::kAlone) return;
  }
}

void Turns::end(const std::string& name, std::list<Waiter>::iterator waiter) {
  const auto thing = things_.find(name);
  thing->second.waiters.erase(waiter);
  if (thing->second.waiters.empty()) {
    things_.erase(thing);
  } else {
    give(thing->second);
  }
}

}  // namespace weir::service
