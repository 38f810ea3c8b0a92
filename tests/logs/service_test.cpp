// The API of CloudWatch Logs: what it keeps, what it delivers, and AWS's words for what it refuses.
#include <algorithm>
#include <map>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <catch2/catch.hpp>

#include "connectors/logs/config.h"
#include "connectors/logs/connector.h"
#include "logs/unpack.h"
#include "support/fake_clock.h"
#include "support/run_coroutine.h"

using namespace weir;
using nlohmann::json;

namespace {

/// A bridge that keeps all it is given, or refuses.
class FakeHost final : public ServiceHost {
 public:
  net::awaitable<Result<void>> commit(ServiceCommit what) override {
    if (refuse) co_return Error(std::exchange(refuse, std::nullopt).value(), "the test refuses this");
    for (const SourceNote& note : what.notes) {
      if (note.value)
        remembered[note.key] = *note.value;
      else
        remembered.erase(note.key);
    }
    for (KeptEvent& event : what.kept) {
      event.id = ++last_id;
      events.push_back(std::move(event));
    }
    std::ranges::stable_sort(events, {}, [](const KeptEvent& event) { return std::pair(event.at, event.id); });
    for (ServiceDelivery& delivery : what.deliveries) deliveries.push_back(std::move(delivery));
    co_return Result<void>();
  }
  net::awaitable<Result<std::map<std::string, std::string>>> notes() override { co_return remembered; }
  net::awaitable<Result<std::vector<KeptEvent>>> kept(std::string log, WallTime from, std::uint64_t after, WallTime to,
                                                      std::size_t limit) override {
    std::vector<KeptEvent> found;
    for (const KeptEvent& event : events) {
      const bool behind = event.at > from || (event.at == from && event.id > after);
      if (event.log == log && behind && event.at < to && found.size() < limit) found.push_back(event);
    }
    co_return found;
  }
  net::awaitable<Result<void>> forget(std::string log, WallTime before) override {
    std::erase_if(events, [&](const KeptEvent& event) { return event.log == log && event.at < before; });
    co_return Result<void>();
  }
  std::string target_of(std::string_view arn) const override {
    return arn.starts_with("arn:aws:lambda:") ? "lambda:" + std::string(arn.substr(arn.rfind(':') + 1)) : "";
  }
  bool exists(std::string_view target) const override { return target != "lambda:nobody"; }

  std::optional<ErrorCode> refuse;
  std::map<std::string, std::string> remembered;
  std::vector<KeptEvent> events;
  std::vector<ServiceDelivery> deliveries;
  std::uint64_t last_id = 0;
};

class LogsWorld {
 public:
  LogsWorld() {
    auto config = std::make_shared<logs::LogsConfig>();
    config->name = "orders";
    config->log_group = "/shop";
    config->filter_text = "ERROR";
    config->filter = pattern::LogPattern::compile("ERROR").value();
    sources_.push_back({"orders", "alert", config});
    begin();
  }
  /// As after a restart.
  void begin() {
    io_ = std::make_unique<net::io_context>();
    service_ = logs::make_service({io_->get_executor(), io_->get_executor(), null_log(), clock, AwsAccess(), sources_});
    net::co_spawn(*io_, service_->run(host), net::detached);
    io_->poll();
    REQUIRE(service_->ready());
  }
  ~LogsWorld() { io_.reset(); }  // with it the coroutine, which refers to the service

  /// The answer's body; of an error "CODE: message".
  std::string call(const std::string& operation, const std::string& body) {
    ServiceCall asked;
    asked.operation = operation;
    asked.body = body;
    auto answered = net::co_spawn(*io_, service_->call(host, std::move(asked)), net::use_future);
    io_->restart();
    io_->poll();
    const ServiceAnswer answer = answered.get();
    if (answer.status == 200) return answer.body;
    const json error = json::parse(answer.body);
    return error.at("__type").get<std::string>() + ": " + error.at("message").get<std::string>();
  }
  std::int64_t now() const { return epoch_milliseconds(clock.now().wall); }
  std::string event(std::int64_t offset, const std::string& message) const {
    return json{{"timestamp", now() + offset}, {"message", message}}.dump();
  }
  std::string put(const std::string& events) {
    return call("PutLogEvents", R"({"logGroupName":"/shop","logStreamName":"s","logEvents":[)" + events + "]}");
  }
  /// "a|b"
  std::string messages(const std::string& operation, const std::string& settings) {
    const json found = json::parse(call(operation, R"({"logGroupName":"/shop")" + settings + "}"));
    std::string text;
    for (const json& each : found.at("events"))
      text += (text.empty() ? "" : "|") + each.at("message").get<std::string>();
    last = found;
    return text;
  }

  test::FakeClock clock;
  FakeHost host;
  json last;

 private:
  std::vector<ServiceSource> sources_;
  std::unique_ptr<net::io_context> io_;
  std::unique_ptr<Service> service_;
};

constexpr std::int64_t kHour = 3'600'000;
const std::string kStream = R"({"logGroupName":"/shop","logStreamName":"s"})";

}  // namespace

TEST_CASE("what is put is kept, and delivered to the functions whose filters want it") {
  LogsWorld world;
  CHECK(world.call("CreateLogStream", kStream) == "{}");
  CHECK(world.call("PutSubscriptionFilter",
                   R"({"logGroupName":"/shop","filterName":"fields","filterPattern":"[level=ERROR, rest]",)"
                   R"("destinationArn":"arn:aws:lambda:us-east-1:000000000000:function:audit"})") == "{}");
  const json answer = json::parse(world.put(world.event(0, "ERROR one two") + "," + world.event(1, "INFO")));
  CHECK_FALSE(answer.contains("rejectedLogEventsInfo"));
  CHECK(world.host.events.size() == 2);
  REQUIRE(world.host.deliveries.size() == 2);
  const ServiceDelivery& with_fields = world.host.deliveries[0];
  CHECK(with_fields.target == "lambda:audit");
  CHECK(with_fields.source.empty());
  const json inside = test::unpack(with_fields.payload);
  CHECK(inside.at("logStream") == "s");
  CHECK(inside.at("logEvents").size() == 1);
  CHECK(inside.at("logEvents")[0].at("extractedFields").at("rest") == "one two");
  CHECK(world.host.deliveries[1].target == "lambda:alert");
  CHECK(world.host.deliveries[1].source == "orders");
  CHECK(test::unpack(world.host.deliveries[1].payload).at("subscriptionFilters")[0] == "orders");
  // The id is the one that a reader of the group sees.
  CHECK(world.messages("FilterLogEvents", R"(,"filterPattern":"ERROR")") == "ERROR one two");
  CHECK(world.last.at("events")[0].at("eventId") == inside.at("logEvents")[0].at("id"));
}

TEST_CASE("a restart finds groups, streams, filters and events") {
  LogsWorld world;
  world.call("CreateLogGroup", R"({"logGroupName":"/other"})");
  world.call("PutRetentionPolicy", R"({"logGroupName":"/other","retentionInDays":7})");
  world.call("CreateLogStream", kStream);
  world.call("PutSubscriptionFilter", R"({"logGroupName":"/other","filterName":"f","filterPattern":"",)"
                                      R"("destinationArn":"arn:aws:lambda:us-east-1:000000000000:function:audit"})");
  world.put(world.event(0, "one"));
  world.begin();
  const json groups = json::parse(world.call("DescribeLogGroups", "{}")).at("logGroups");
  REQUIRE(groups.size() == 2);
  CHECK(groups[0].at("logGroupName") == "/other");
  CHECK(groups[0].at("retentionInDays") == 7);
  CHECK(json::parse(world.call("DescribeSubscriptionFilters", R"({"logGroupName":"/other"})"))
            .at("subscriptionFilters")
            .size() == 1);
  CHECK(world.messages("GetLogEvents", R"(,"logStreamName":"s")") == "one");
  world.call("DeleteLogStream", kStream);
  world.call("CreateLogStream", kStream);
  CHECK(world.messages("GetLogEvents", R"(,"logStreamName":"s")").empty());
}

TEST_CASE("events too new, too old or expired are left out and told of") {
  LogsWorld world;
  world.call("CreateLogStream", kStream);
  const auto rejected = [&](const std::string& events) {
    return json::parse(world.put(events)).value("rejectedLogEventsInfo", json::object()).dump();
  };
  CHECK(rejected(world.event(2 * kHour, "a")) == "{}");
  CHECK(rejected(world.event(2 * kHour, "b") + "," + world.event(2 * kHour + 1, "c")) ==
        R"({"tooNewLogEventStartIndex":1})");
  CHECK(rejected(world.event(-14 * 24 * kHour - 1, "d") + "," + world.event(-14 * 24 * kHour, "e")) ==
        R"({"tooOldLogEventEndIndex":1})");
  world.call("PutRetentionPolicy", R"({"logGroupName":"/shop","retentionInDays":1})");
  CHECK(rejected(world.event(-24 * kHour - 1, "f") + "," + world.event(-24 * kHour, "g")) ==
        R"({"expiredLogEventEndIndex":1})");
  CHECK(world.messages("GetLogEvents", R"(,"logStreamName":"s","startFromHead":true)") == "e|g|a|b");
}

TEST_CASE("events are read forward and backward in pages") {
  LogsWorld world;
  world.call("CreateLogStream", kStream);
  world.put(world.event(0, "1") + "," + world.event(0, "2") + "," + world.event(1, "3") + "," + world.event(2, "4"));
  const std::string stream = R"(,"logStreamName":"s","limit":2)";
  CHECK(world.messages("GetLogEvents", stream) == "3|4");
  const std::string back = world.last.at("nextBackwardToken");
  CHECK(world.messages("GetLogEvents", stream + R"(,"nextToken":")" + back + "\"") == "1|2");
  CHECK(world.messages("GetLogEvents", stream + R"(,"startFromHead":true)") == "1|2");
  std::string on = world.last.at("nextForwardToken");
  CHECK(world.messages("GetLogEvents", stream + R"(,"nextToken":")" + on + "\"") == "3|4");
  on = world.last.at("nextForwardToken");
  CHECK(world.messages("GetLogEvents", stream + R"(,"nextToken":")" + on + "\"").empty());
  CHECK(world.last.at("nextForwardToken") == on);  // which is how a reader knows the end
  CHECK(world.messages("FilterLogEvents", R"(,"limit":3)") == "1|2|3");
  on = world.last.at("nextToken");
  CHECK(world.messages("FilterLogEvents", R"(,"nextToken":")" + on + "\"") == "4");
  CHECK_FALSE(world.last.contains("nextToken"));
}

TEST_CASE("the API refuses what AWS refuses") {
  LogsWorld world;
  world.call("CreateLogStream", kStream);
  CHECK(world.call("CreateLogGroup", R"({"logGroupName":"/shop"})") ==
        "ResourceAlreadyExistsException: The specified log group already exists");
  CHECK(world.call("CreateLogStream", kStream) ==
        "ResourceAlreadyExistsException: The specified log stream already exists");
  CHECK(world.call("CreateLogStream", R"({"logGroupName":"x","logStreamName":"s"})") ==
        "ResourceNotFoundException: The specified log group does not exist.");
  CHECK(world.call("GetLogEvents", R"({"logGroupName":"/shop","logStreamName":"x"})") ==
        "ResourceNotFoundException: The specified log stream does not exist.");
  CHECK(world.put(world.event(1, "a") + "," + world.event(0, "b")) ==
        "InvalidParameterException: Log events in a single PutLogEvents request must be in chronological order.");
  CHECK(world.put(world.event(0, "a") + "," + world.event(24 * kHour + 1, "b")) ==
        "InvalidParameterException: The batch of log events in a single PutLogEvents request cannot span more than 24 "
        "hours.");
  CHECK(world.put(world.event(0, std::string(1'048'576 - 26, 'x'))).find("nextSequenceToken") != std::string::npos);
  CHECK(world.put(world.event(0, std::string(1'048'577 - 26, 'x'))) ==
        "InvalidParameterException: Upload too large: 1048577 bytes exceeds limit of 1048576");
  const auto filter = [&](const std::string& name, const std::string& pattern, const std::string& function) {
    return world.call("PutSubscriptionFilter",
                      json{{"logGroupName", "/shop"},
                           {"filterName", name},
                           {"filterPattern", pattern},
                           {"destinationArn", "arn:aws:lambda:us-east-1:000000000000:function:" + function}}
                          .dump());
  };
  CHECK(filter("a", "ERR*", "audit") == "InvalidParameterException: Invalid character(s) in term '*'");
  CHECK(filter("a", "", "nobody").starts_with("InvalidParameterException: Could not execute the lambda function."));
  CHECK(filter("orders", "", "audit").find("declared in weir's configuration") != std::string::npos);
  CHECK(filter("a", "", "audit") == "{}");
  CHECK(filter("a", "x", "audit") == "{}");  // the same once more
  CHECK(filter("b", "", "audit") == "LimitExceededException: Resource limit exceeded.");
  CHECK(world.call("DeleteSubscriptionFilter", R"({"logGroupName":"/shop","filterName":"b"})") ==
        "ResourceNotFoundException: The specified subscription filter does not exist.");
  CHECK(world.call("PutLogEvents", "[").starts_with("SerializationException"));
  CHECK(world.call("StartQuery", "{}").starts_with("UnknownOperationException"));
}

TEST_CASE("a store that refuses keeps nothing and answers that the call may be repeated") {
  LogsWorld world;
  world.call("CreateLogStream", kStream);
  world.host.refuse = ErrorCode::kStoreFull;
  CHECK(world.put(world.event(0, "ERROR")).starts_with("ServiceUnavailableException"));
  CHECK(world.host.events.empty());
  // What no function would take is kept all the same.
  world.host.refuse = ErrorCode::kEventRefused;
  CHECK(world.put(world.event(0, "ERROR")).find("nextSequenceToken") != std::string::npos);
  CHECK(world.host.events.size() == 1);
  CHECK(world.host.deliveries.empty());
}
