#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "weir/service.h"

#include "connectors/logs/batch.h"
#include "pattern/log_pattern.h"

namespace weir::logs {

/// CloudWatch Logs, as far as something is written to it and subscribed to: groups, streams, events, retention,
/// subscription filters. A group's events are one log of the store; an event names its stream by a number that no later
/// stream of that name has. Each PutLogEvents is one transaction: its events, and for each filter what it wants of them
/// as an asynchronous invocation.
class LogsService final : public Service {
 public:
  explicit LogsService(ServiceContext context);

  net::awaitable<Result<void>> run(ServiceHost& host) override;
  net::awaitable<ServiceAnswer> call(ServiceHost& host, ServiceCall call) override;
  bool ready() const override { return ready_; }
  bool owns(std::string_view) const override { return false; }
  net::awaitable<Result<void>> take(ServiceHost& host, std::string target, DestinationRecord message) override;

 private:
  struct Stream {
    std::uint64_t number = 0;  ///< which events are its own
    std::int64_t created = 0;  ///< milliseconds, as all times here
    std::optional<std::int64_t> first_event;
    std::optional<std::int64_t> last_event;
    std::optional<std::int64_t> last_put;
  };
  struct Filter {
    std::string name;
    std::string text;
    std::optional<pattern::LogPattern> pattern;
    std::string destination;  ///< an ARN
    std::string target;       ///< the same as deliveries have it
    std::string distribution = "ByLogStream";
    std::int64_t created = 0;
    std::string source;  ///< of the configuration; "" when the API made it
  };
  struct Group {
    std::int64_t created = 0;
    std::optional<std::int64_t> retention;  ///< days
    bool declared = false;                  ///< by the configuration
    std::map<std::string, Stream> streams;
    std::vector<Filter> filters;  ///< by name
  };
  /// Events of a group that a caller wants.
  struct Wanted {
    std::string group;
    std::int64_t from = 0;
    std::int64_t to = 0;  ///< before this
    std::map<std::uint64_t, std::string> streams;
    std::optional<pattern::LogPattern> pattern;
  };
  struct Found {
    WallTime at;
    std::uint64_t id = 0;
    std::string stream;
    std::int64_t timestamp = 0;
    std::int64_t put = 0;
    std::string event_id;
    std::string message;
  };

  net::awaitable<Result<void>> load(ServiceHost& host);
  void declare();

  using Json = nlohmann::json;
  net::awaitable<std::string> answer(ServiceHost& host, std::string operation, const Json& asked);
  net::awaitable<std::string> create_group(ServiceHost& host, const Json& asked);
  net::awaitable<std::string> delete_group(ServiceHost& host, const Json& asked);
  net::awaitable<std::string> set_retention(ServiceHost& host, const Json& asked, bool set);
  net::awaitable<std::string> create_stream(ServiceHost& host, const Json& asked);
  net::awaitable<std::string> delete_stream(ServiceHost& host, const Json& asked);
  net::awaitable<std::string> put_events(ServiceHost& host, const Json& asked);
  net::awaitable<std::string> get_events(ServiceHost& host, const Json& asked);
  net::awaitable<std::string> filter_events(ServiceHost& host, const Json& asked);
  net::awaitable<std::string> put_filter(ServiceHost& host, const Json& asked);
  net::awaitable<std::string> delete_filter(ServiceHost& host, const Json& asked);
  std::string describe_groups(const Json& asked) const;
  std::string describe_streams(const Json& asked);
  std::string describe_filters(const Json& asked);

  std::pair<const std::string, Group>& group_of(const Json& asked);
  net::awaitable<void> commit(ServiceHost& host, ServiceCommit what);
  net::awaitable<std::vector<Found>> read(ServiceHost& host, const Wanted& wanted, WallTime& from, std::uint64_t& after,
                                          std::size_t limit, std::size_t looked_at_max, bool& end);
  void add_deliveries(const std::string& group, const std::string& stream, const std::vector<LogEvent>& events,
                      ServiceCommit& what);
  std::uint64_t next_number();
  std::int64_t now() const { return epoch_milliseconds(context_.clock.now().wall); }
  SourceNote group_note(const std::string& name, const Group& group) const;
  SourceNote stream_note(const std::string& group, const std::string& name, const Stream& stream) const;

  ServiceContext context_;
  std::map<std::string, Group> groups_;
  std::uint64_t last_number_ = 0;
  bool ready_ = false;
};

}  // namespace weir::logs
