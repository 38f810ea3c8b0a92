#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/steady_timer.hpp>

namespace weir::http {

namespace net = boost::asio;

/// Finds the addresses of hosts. An address is its own, `localhost` is both loopback addresses, and other names are
/// looked up in threads of their own, since getaddrinfo() blocks and cannot be called off; what was found is used for a
/// minute. One executor, whose context runs in one thread.
class NameLookup {
 public:
  /// In the order in which they are to be tried; none: there is no such host, or `patience`, a timer that is set, has
  /// expired or was cancelled. It outlives the call.
  net::awaitable<std::vector<net::ip::address>> find(std::string name, net::steady_timer& patience);

 private:
  struct Known {
    std::vector<net::ip::address> addresses;
    std::chrono::steady_clock::time_point until;
  };
  std::map<std::string, Known> known_;  ///< as many as were looked up within a minute
};

}  // namespace weir::http
