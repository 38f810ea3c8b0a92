#include <nlohmann/json.hpp>

#include "weir/base/json_writer.h"

#include "connectors/destinations/destinations.h"
#include "connectors/destinations/service.h"
#include "service/arn.h"
#include "service/bus_entry.h"

namespace weir::destination {
namespace {

constexpr std::string_view kProtocolVersion = "1.1";
constexpr std::string_view kBus = "event-bus/";
constexpr std::size_t kMaxNameLength = 256;

/// The ARN of a bus; nothing when the target is no such ARN.
std::optional<service::Arn> read_arn(std::string_view target) {
  auto arn = service::parse_arn(target);
  if (!arn || arn->service != "events" || arn->region.empty() || arn->account.empty() ||
      !arn->resource.starts_with(kBus)) {
    return std::nullopt;
  }
  return arn;
}

/// An event bus, on which AWS's records are put as events of Lambda, and a service's messages as the events they are.
class EventBridgeDestination final : public Destination {
 public:
  EventBridgeDestination(std::string target, std::unique_ptr<aws::Client> client)
      : target_(std::move(target)), client_(std::move(client)) {}

  net::awaitable<Result<void>> deliver(DestinationRecord record) override {
    const std::string doing = "putting an event on bus " + target_;
    const auto entry = service::bus_entry(record, arn_for(record));
    if (!entry) co_return Error(ErrorCode::kEventRefused, "the message is no event").during(doing);
    std::string body;
    JsonWriter out(body);
    out.begin_object().key("Entries").begin_array().begin_object();
    if (!entry->time.empty()) {
      if (const auto time = parse_iso(entry->time)) out.member("Time", as_seconds(time->time_since_epoch()));
    }
    out.member("Source", entry->source).member("DetailType", entry->detail_type).member("Detail", entry->detail);
    out.key("Resources").begin_array();
    for (const std::string& each : entry->resources) out.value(each);
    out.end_array().member("EventBusName", target_);
    if (!record.trace_header.empty()) out.member("TraceHeader", record.trace_header);
    out.end_object().end_array().end_object();
    const auto answer = co_await client_->call("AWSEvents.PutEvents", std::string(kProtocolVersion), std::move(body));
    if (!answer) co_return error_of(answer.error(), doing);
    if (const auto refused = refusal_in(*answer)) co_return error_of(*refused, doing);
    co_return Result<void>();
  }

  net::awaitable<void> close() override { return client_->close(); }

 private:
  /// A bus that is given by its name is one of the account of the function that the record is about.
  std::string arn_for(const DestinationRecord& record) const {
    if (read_arn(target_)) return target_;
    return "arn:aws:events:" + client_->region() + ":" + service::account_of(record) + ":" + std::string(kBus) +
           target_;
  }

  /// Each entry is taken or refused by itself, with a 200 for all.
  static std::optional<aws::ServiceError> refusal_in(const std::string& answer) {
    const auto read = nlohmann::json::parse(answer, nullptr, false);
    aws::ServiceError error;
    error.status = 200;
    if (!read.is_object() || !read.contains("FailedEntryCount") || !read["FailedEntryCount"].is_number_integer()) {
      error.message = "the answer has no FailedEntryCount";
      return error;
    }
    if (read["FailedEntryCount"] == 0) return std::nullopt;
    const auto entries = read.find("Entries");
    if (entries != read.end() && entries->is_array() && !entries->empty() && entries->front().is_object()) {
      const auto text = [&](const char* key) {
        const auto found = entries->front().find(key);
        return found != entries->front().end() && found->is_string() ? found->get<std::string>() : "";
      };
      error.code = text("ErrorCode");
      error.message = text("ErrorMessage");
    }
    if (error.code.empty() && error.message.empty()) error.message = "the event was not taken";
    return error;
  }

  std::string target_;
  std::unique_ptr<aws::Client> client_;
};

}  // namespace

std::string check_eventbridge(std::string_view target, std::string_view source_type) {
  if (!source_type.empty()) return "an event bus can be the destination of a function, not of an event source mapping";
  const auto arn = read_arn(target);
  const std::string_view name = arn ? std::string_view(arn->resource).substr(kBus.size()) : target;
  std::string letters(name);
  // Buses have dots in their names, and those of partners slashes.
  std::erase_if(letters, [](char c) { return c == '.' || c == '/'; });
  if (!is_name(letters, kMaxNameLength) || name.size() > kMaxNameLength || name.starts_with('/'))
    return "an event bus is given by its name (letters, digits, '.', '-', '_' and '/', at most 256) or its ARN";
  return "";
}

Result<std::unique_ptr<Destination>> make_eventbridge(std::string target, DestinationContext context) {
  const auto arn = read_arn(target);
  auto client = client_for("events", target, arn ? arn->region : "", context);
  if (!client) return client.error();
  return std::make_unique<EventBridgeDestination>(std::move(target), std::move(*client));
}

}  // namespace weir::destination
