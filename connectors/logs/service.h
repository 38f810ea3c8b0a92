#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/steady_timer.hpp>
#include <nlohmann/json_fwd.hpp>

#include "weir/service.h"

#include "connectors/logs/batch.h"
#include "pattern/log_pattern.h"
#include "service/turns.h"

namespace weir::logs {

/// CloudWatch Logs, as far as something is written to it and subscribed to: groups, streams, events, retention,
/// subscription filters. A group's events are one log of the store, which no later group of that name has; an event
/// names its stream by a number that no later stream of that name has. Each PutLogEvents is one transaction: its
/// events, and for each filter what it wants of them as asynchronous invocations.
///
/// Who changes a group has it alone; those who write to it have it beside each other, and each stream of it alone. What
/// a call found before it waited for its turn may be gone, so it looks behind the wait.
class LogsService final : public Service {
 public:
  explicit LogsService(ServiceContext context);

  net::awaitable<Result<void>> run(ServiceHost& host) override;
  net::awaitable<ServiceAnswer> call(ServiceHost& host, ServiceCall call) override;
  bool ready() const override { return ready_; }
  bool owns(std::string_view target) const override;
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
    std::string log;  ///< of the store
    std::int64_t created = 0;
    std::optional<std::int64_t> retention;  ///< days
    bool declared = false;                  ///< by the configuration
    std::map<std::string, Stream> streams;
    std::vector<Filter> filters;  ///< by name
  };
  /// Of one filter, before it is packed.
  struct Batch {
    std::string target;
    std::string source;
    Origin origin;
    std::vector<LogEvent> events;
    std::size_t bytes = 0;
  };
  using Json = nlohmann::json;
  /// A call on its way through an operation.
  struct Asked {
    ServiceHost& host;
    const Json& body;
    const std::string& trace_header;
  };
  using Operation = net::awaitable<std::string> (LogsService::*)(const Asked& asked);

  /// Between two events, where reading goes on: forward from behind (`at`, `id`), or backward from in front of it.
  struct Place {
    bool forward = true;
    std::int64_t at = 0;
    std::uint64_t id = 0;
  };
  /// Events of a group that a caller wants.
  struct Wanted {
    std::string log;
    std::int64_t from = 0;
    std::int64_t to = 0;  ///< before this
    std::map<std::uint64_t, std::string> streams;
    std::optional<pattern::LogPattern> pattern;
    std::size_t limit = 0;
  };
  struct Found {
    std::uint64_t id = 0;
    std::string stream;
    std::int64_t timestamp = 0;
    std::int64_t put = 0;
    std::uint64_t number = 0;
    std::string message;
  };
  struct Page {
    std::vector<Found> events;  ///< in the order of reading
    Place on;                   ///< from where it goes on
    bool end = false;           ///< there is no more for now
  };

  // service.cpp
  net::awaitable<Result<void>> load(ServiceHost& host);
  void declare();
  net::awaitable<void> tidy(ServiceHost& host);
  net::awaitable<std::string> answer(const std::string& operation, const Asked& asked);
  net::awaitable<void> commit(ServiceHost& host, ServiceCommit what);
  net::awaitable<service::Turns::Turn> group_alone(const std::string& name);
  Group& group(const std::string& name);
  std::string new_log(const std::string& group);
  std::uint64_t next_number();
  std::int64_t now() const { return epoch_milliseconds(context_.clock.now().wall); }
  static SourceNote group_note(const std::string& name, const Group& group);
  static SourceNote stream_note(const std::string& group, const std::string& name, const Stream& stream);

  // service_groups.cpp
  net::awaitable<std::string> create_group(const Asked& asked);
  net::awaitable<std::string> delete_group(const Asked& asked);
  net::awaitable<std::string> describe_groups(const Asked& asked);
  net::awaitable<std::string> put_retention(const Asked& asked);
  net::awaitable<std::string> delete_retention(const Asked& asked);
  net::awaitable<std::string> set_retention(const Asked& asked, std::optional<std::int64_t> days);
  net::awaitable<std::string> create_stream(const Asked& asked);
  net::awaitable<std::string> delete_stream(const Asked& asked);
  net::awaitable<std::string> describe_streams(const Asked& asked);

  // service_events.cpp
  net::awaitable<std::string> put_events(const Asked& asked);
  net::awaitable<std::string> get_events(const Asked& asked);
  net::awaitable<std::string> filter_events(const Asked& asked);
  static net::awaitable<Page> read(ServiceHost& host, const Wanted& wanted, Place place);
  static Place place_of(std::string_view token);
  static std::string token_of(const Place& place);
  static Place turned(Place place);

  // service_filters.cpp
  net::awaitable<std::string> put_filter(const Asked& asked);
  net::awaitable<std::string> delete_filter(const Asked& asked);
  net::awaitable<std::string> describe_filters(const Asked& asked);
  net::awaitable<std::string> test_filter(const Asked& asked);
  static void add_batches(const Filter& filter, const std::string& group, const std::string& stream,
                          const std::vector<LogEvent>& events, std::vector<Batch>& batches);
  net::awaitable<std::vector<ServiceDelivery>> deliveries_of(std::vector<Batch> batches, std::string trace_header);

  ServiceContext context_;
  service::Turns turns_;
  net::steady_timer tidy_at_;
  std::map<std::string, Group> groups_;
  std::set<std::string> gone_;  ///< logs of groups that are gone, to be forgotten
  std::uint64_t last_number_ = 0;
  bool ready_ = false;
};

/// What the service remembers: groups, their streams and filters by "KIND/GROUP\nNAME" (no name of a group has a line's
/// end), logs that are to be forgotten.
inline constexpr std::string_view kGroupNote = "group/";
inline constexpr std::string_view kStreamNote = "stream/";
inline constexpr std::string_view kFilterNote = "filter/";
inline constexpr std::string_view kGoneNote = "gone/";
std::string note_key(std::string_view kind, const std::string& group, const std::string& name);
std::string group_arn(const std::string& name);

}  // namespace weir::logs
