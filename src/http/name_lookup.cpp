#include "http/name_lookup.h"

#include <algorithm>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <netdb.h>

namespace weir::http {

namespace {

constexpr std::chrono::seconds kKnownFor{60};

using Addresses = std::vector<net::ip::address>;

/// Shared by who waits and the thread that looks up, whichever ends first.
struct Lookup {
  std::mutex guard;
  net::steady_timer* waiting = nullptr;  ///< of who waits; null when it has gone, and the context with it perhaps
  Addresses found;
};

Addresses ask_system(const std::string& name) {
  addrinfo wanted{};
  wanted.ai_family = AF_UNSPEC;
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_ADDRCONFIG;
  addrinfo* list = nullptr;
  Addresses found;
  if (::getaddrinfo(name.c_str(), nullptr, &wanted, &list) != 0) return found;
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> all(list, &::freeaddrinfo);
  for (const addrinfo* each = list; each != nullptr; each = each->ai_next) {
    net::ip::tcp::endpoint endpoint;
    if (each->ai_addrlen > endpoint.capacity()) continue;
    std::copy_n(static_cast<const char*>(static_cast<const void*>(each->ai_addr)), each->ai_addrlen,
                static_cast<char*>(static_cast<void*>(endpoint.data())));
    endpoint.resize(each->ai_addrlen);
    found.push_back(endpoint.address());
  }
  return found;
}

void look_up(const std::shared_ptr<Lookup>& lookup, const std::string& name) {
  Addresses found = ask_system(name);
  const std::lock_guard lock(lookup->guard);
  if (lookup->waiting == nullptr) return;
  lookup->found = std::move(found);
  net::post(lookup->waiting->get_executor(), [lookup] {
    const std::lock_guard again(lookup->guard);
    if (lookup->waiting != nullptr) lookup->waiting->cancel();
  });
}

net::awaitable<Addresses> looked_up(std::string name, net::steady_timer& patience) {
  const auto lookup = std::make_shared<Lookup>();
  lookup->waiting = &patience;
  // Also when this frame is destroyed with its context.
  struct Leave {
    Lookup& lookup;
    ~Leave() {
      const std::lock_guard lock(lookup.guard);
      lookup.waiting = nullptr;
    }
  } const leave{*lookup};
  try {
    std::thread(look_up, lookup, std::move(name)).detach();
  } catch (const std::system_error&) {
    co_return Addresses();  // no thread is to be had
  }
  boost::system::error_code woken;
  co_await patience.async_wait(net::redirect_error(net::use_awaitable, woken));
  const std::lock_guard lock(lookup->guard);
  co_return std::move(lookup->found);
}

bool is_localhost(std::string_view name) {
  constexpr std::string_view kName = "localhost";
  return name == kName || (name.ends_with(kName) && name[name.size() - kName.size() - 1] == '.');
}

}  // namespace

net::awaitable<Addresses> NameLookup::find(std::string name, net::steady_timer& patience) {
  boost::system::error_code no_address;
  const net::ip::address address = net::ip::make_address(name, no_address);
  if (!no_address) co_return Addresses(1, address);
  // RFC 6761, 6.3: it is never asked for.
  if (is_localhost(name)) {
    Addresses both;
    both.emplace_back(net::ip::address_v6::loopback());
    both.emplace_back(net::ip::address_v4::loopback());
    co_return both;
  }
  const auto now = std::chrono::steady_clock::now();
  std::erase_if(known_, [&](const auto& entry) { return entry.second.until <= now; });
  if (const auto known = known_.find(name); known != known_.end()) co_return known->second.addresses;
  Addresses found = co_await looked_up(name, patience);
  if (!found.empty()) known_[name] = Known{found, std::chrono::steady_clock::now() + kKnownFor};
  co_return found;
}

}  // namespace weir::http
