#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>

#include "weir/aws_access.h"
#include "weir/base/error.h"
#include "weir/base/log.h"
#include "weir/base/time.h"
#include "weir/connector.h"
#include "weir/destination.h"

namespace weir::bridge {

namespace net = boost::asio;

/// Delivers AWS's records to where the configuration says: `file:PATH`, `lambda:FUNCTION`, and what the table of
/// destinations has, each made on its first use; of many, the one that was used least recently is forgotten.
class Destinations {
 public:
  /// Takes a record as an asynchronous invocation of the function.
  /// `trace_header`: of the invocation that the record is about.
  using Invoke =
      std::function<net::awaitable<Result<void>>(std::string function, std::string record, std::string trace_header)>;

  /// Everything outlives the destinations.
  struct Deps {
    net::any_io_executor executor;
    net::any_io_executor blocking;  ///< a pool's
    AwsAccess aws;                  ///< the configuration's `aws` section
    std::span<const DestinationEntry> table;
    Log& log;
    const Clock& clock;
  };
  Destinations(Deps deps, Invoke invoke) : deps_(std::move(deps)), invoke_(std::move(invoke)) {}

  /// What is in this process, functions and what weir's own services have: a destination that is one of these does not
  /// leave it.
  struct Here {
    /// Whether it is one of these, or would be if it were there.
    std::function<net::awaitable<bool>(std::string destination)> owns;
    /// Takes it; on disk when it returns. destination.gone when it is not there.
    std::function<net::awaitable<Result<void>>(std::string destination, DestinationRecord record)> take;
  };
  void set_here(Here here) { here_ = std::move(here); }

  /// Kept by the destination when it returns: a file has it as a whole line, on disk. One that lets its callers wait
  /// and then fails is left alone for a while, in which it fails at once, and is then asked by one caller, whose answer
  /// the others wait for. Errors: destination.failed, destination.gone, destination.forbidden, cancelled, event.refused
  /// (by the queue: too large, or one of too many in a row), and those of the store behind the queue, which may take it
  /// later. `source`: of the mapping that delivers; null of an asynchronous invocation.
  net::awaitable<Result<void>> deliver(std::string destination, DestinationRecord record,
                                       std::shared_ptr<const SourceConfig> source);

  /// Until when it is left alone; long ago when it is not. Who asks sooner is told so, which says nothing new of it.
  Instant left_alone_until(const std::string& destination, const std::shared_ptr<const SourceConfig>& source) const;

  /// Ends what is under way; after it only files and functions take records.
  net::awaitable<void> close();

 private:
  /// One that was made. It is not forgotten while it is called.
  struct Made {
    explicit Made(net::any_io_executor executor)
        : answered(std::move(executor), net::steady_timer::time_point::max()) {}

    std::unique_ptr<Destination> destination;
    int calls = 0;
    int waiting = 0;             ///< for the answer to one of the calls
    std::uint64_t used = 0;      ///< when, as others were
    std::string trouble;         ///< what it failed with, after a long wait; "" when it answers
    Instant left_alone_until{};  ///< with trouble
    net::steady_timer answered;  ///< cancelled when a call ends
  };
  /// "SCHEME:TARGET" and the source's name.
  using Key = std::pair<std::string, std::string>;

  net::awaitable<bool> is_here(std::string destination);
  net::awaitable<Result<void>> give(std::string destination, DestinationRecord record,
                                    std::shared_ptr<const SourceConfig> source);
  net::awaitable<void> answer_to_others(Made& made);
  net::awaitable<void> make_room();
  Result<Made*> find(const Key& key, const std::shared_ptr<const SourceConfig>& source);

  Deps deps_;
  Invoke invoke_;
  Here here_;
  bool closed_ = false;
  std::map<Key, Made> made_;
  std::uint64_t uses_ = 0;
};

}  // namespace weir::bridge
