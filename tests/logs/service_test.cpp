// The API of CloudWatch Logs: what it keeps, what it delivers, and AWS's words for what it refuses.
#include <algorithm>
#include <future>
#include <map>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <catch2/catch.hpp>

#include "connectors/logs/config.h"
#include "connectors/logs/connector.h"
#include "logs/unpack.h"
#include "support/fake_clock.h"
#include "support/kept_pages.h"
#include "support/run_coroutine.h"

using namespace weir;
using nlohmann::json;

namespace {

/// A bridge that keeps all it is given, or refuses.
class FakeHost final : public ServiceHost {
 public:
  net::awaitable<Result<void>> commit(ServiceCommit what) override {
    if (refuse) co_return Error(std::exchange(refuse, std::nullopt).value(), "the test refuses this");
    ++commits;
    while (held) {
      net::steady_timer timer(co_await net::this_coro::executor, net::steady_timer::time_point::max());
      waiting.push_back(&timer);
      boost::system::error_code woken;
      co_await timer.async_wait(net::redirect_error(net::use_awaitable, woken));
    }
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
  net::awaitable<Result<KeptPage>> kept(KeptRange range) override {
    KeptPage page = test::page_of(events, range);
    read += page.events.size();
    std::size_t bytes = 0;
    for (const KeptEvent& event : page.events) bytes += event.event.size();
    most_at_once = std::max(most_at_once, bytes);
    co_return page;
  }
  net::awaitable<Result<void>> forget(std::string log, WallTime before) override {
    std::erase_if(events, [&](const KeptEvent& event) { return event.log == log && event.at < before; });
    co_return Result<void>();
  }
  std::string target_of(std::string_view arn) const override {
    return arn.starts_with("arn:aws:lambda:") ? "lambda:" + std::string(arn.substr(arn.rfind(':') + 1)) : "";
  }
  bool exists(std::string_view target) const override { return target != "lambda:nobody"; }

  /// Commits from now on wait, until go_on().
  void hold() { held = true; }
  void go_on() {
    held = false;
    for (net::steady_timer* each : std::exchange(waiting, {})) each->cancel();
  }

  std::optional<ErrorCode> refuse;
  bool held = false;
  std::vector<net::steady_timer*> waiting;
  int commits = 0;
  std::size_t read = 0;          ///< events that were given to be looked at
  std::size_t most_at_once = 0;  ///< bytes of them
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
    pool_ = std::make_unique<net::io_context>();
    service_ =
        logs::make_service({io_->get_executor(), pool_->get_executor(), null_log(), clock, AwsAccess(), sources_});
    net::co_spawn(*io_, service_->run(host), net::detached);
    io_->poll();
    REQUIRE(service_->ready());
  }
  ~LogsWorld() { io_.reset(); }  // with it the coroutines, which refer to the service

  /// Goes as far as it gets.
  std::future<ServiceAnswer> begin_call(const std::string& operation, const std::string& body) {
    ServiceCall asked;
    asked.operation = operation;
    asked.body = body;
    asked.trace_header = "Root=1-5759e988-bd862e3fe1be46a994272793";
    auto answered = net::co_spawn(*io_, service_->call(host, std::move(asked)), net::use_future);
    go_on();
    return answered;
  }
  void go_on() {
    do {
      io_->restart();
      io_->poll();
    } while (!pool_busy && pool_works());
  }
  /// The answer's body; of an error "CODE: message".
  std::string call(const std::string& operation, const std::string& body) {
    auto answered = begin_call(operation, body);
    return text(answered);
  }
  static std::string text(std::future<ServiceAnswer>& answered) {
    REQUIRE(answered.wait_for(std::chrono::seconds(0)) == std::future_status::ready);
    const ServiceAnswer answer = answered.get();
    if (answer.status == 200) return answer.body;
    const json error = json::parse(answer.body);
    return error.at("__type").get<std::string>() + ": " + error.at("message").get<std::string>();
  }
  bool owns(const std::string& target) const { return service_->owns(target); }
  Result<void> take(const std::string& target, DestinationRecord record) {
    auto taken = net::co_spawn(*io_, service_->take(host, target, std::move(record)), net::use_future);
    go_on();
    return taken.get();
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
  bool pool_busy = false;  ///< with something else
  std::size_t pool_works_done = 0;

 private:
  bool pool_works() {
    pool_->restart();
    const std::size_t done = pool_->poll();
    pool_works_done += done;
    return done > 0;
  }

  std::vector<ServiceSource> sources_;
  std::unique_ptr<net::io_context> pool_;
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
  CHECK(world.put(world.event(-23 * kHour, "a") + "," + world.event(kHour + 1, "b")) ==
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
  CHECK(world.host.deliveries.empty());
  const json streams = json::parse(world.call("DescribeLogStreams", R"({"logGroupName":"/shop"})")).at("logStreams");
  CHECK_FALSE(streams[0].contains("lastEventTimestamp"));  // nor says it was there
  CHECK(world.put(world.event(0, "ERROR")).find("nextSequenceToken") != std::string::npos);
  CHECK(world.host.events.size() == 1);
}

TEST_CASE("an answer has a megabyte of events or 10,000, and the store is read in pages") {
  LogsWorld world;
  world.call("CreateLogStream", kStream);
  const std::string half(524'288 - 26, 'x');  // two are a megabyte exactly
  for (int i = 0; i < 5; ++i) {
    CHECK(world.put(world.event(i, std::to_string(i) + half.substr(1))).find("nextSequenceToken") != std::string::npos);
  }
  const auto shown = [&](const std::string& operation, const std::string& settings) {
    world.messages(operation, settings);
    std::string first;
    for (const json& each : world.last.at("events")) first += each.at("message").get<std::string>().front();
    return first;
  };
  const std::string stream = R"(,"logStreamName":"s")";
  CHECK(shown("GetLogEvents", stream + R"(,"startFromHead":true)") == "01");
  const std::string on = world.last.at("nextForwardToken");
  CHECK(shown("GetLogEvents", stream + R"(,"startFromHead":true,"nextToken":")" + on + "\"") == "23");
  CHECK(shown("GetLogEvents", stream) == "34");
  const std::string back = world.last.at("nextBackwardToken");
  CHECK(shown("GetLogEvents", stream + R"(,"nextToken":")" + back + "\"") == "12");
  CHECK(shown("FilterLogEvents", "") == "01");
  CHECK(world.last.contains("nextToken"));
  CHECK(world.host.most_at_once <= 1'048'576 + 200);

  // 10,000 of another stream.
  world.call("CreateLogStream", R"({"logGroupName":"/shop","logStreamName":"many"})");
  std::string events;
  for (int i = 0; i < 10'000; ++i) events += (i > 0 ? "," : "") + world.event(10, "m");
  for (int i = 0; i < 2; ++i)
    world.call("PutLogEvents", R"({"logGroupName":"/shop","logStreamName":"many","logEvents":[)" + events + "]}");
  CHECK(shown("GetLogEvents", R"(,"logStreamName":"many","startFromHead":true)").size() == 10'000);
  CHECK(shown("FilterLogEvents", R"(,"logStreamNames":["many"])").size() == 10'000);
  // Where the chosen streams have nothing, nobody looks.
  world.call("CreateLogStream", R"({"logGroupName":"/shop","logStreamName":"none"})");
  world.call("CreateLogStream", R"({"logGroupName":"/shop","logStreamName":"few"})");
  const auto put_few = [&](std::int64_t offset) {
    const std::string few = R"({"logGroupName":"/shop","logStreamName":"few","logEvents":[)";
    world.call("PutLogEvents", few + world.event(offset, "f") + "]}");
  };
  put_few(12);
  put_few(20);
  const auto looked_at = [&](const std::string& settings) {
    const std::size_t before = world.host.read;
    shown("FilterLogEvents", settings);
    CHECK_FALSE(world.last.contains("nextToken"));
    return world.last.at("events").size() * 1000 + world.host.read - before;
  };
  CHECK(looked_at(R"(,"logStreamNames":["few"])") == 2002);
  CHECK(looked_at(R"(,"logStreamNames":["few"],"startFromHead":false,"startTime":1704067200000)") == 2002);
  CHECK(looked_at(R"(,"logStreamNames":["few","none"])") == 2002);
  CHECK(looked_at(R"(,"logStreamNamePrefix":"f","startTime":)" + std::to_string(world.now() + 13)) == 1001);
  CHECK(looked_at(R"(,"logStreamNames":["few"],"endTime":)" + std::to_string(world.now() + 12)) == 1001);
  CHECK(looked_at(R"(,"logStreamNames":["few"],"endTime":)" + std::to_string(world.now() + 11)) == 0);
  CHECK(looked_at(R"(,"logStreamNames":["none"])") == 0);
}

TEST_CASE("the latest events are read from the end of a group, not from its beginning") {
  LogsWorld world;
  world.call("CreateLogStream", kStream);
  for (int put = 0; put < 5; ++put) {
    std::string events;
    for (int i = 0; i < 1000; ++i)
      events += (i > 0 ? "," : "") + world.event(put, std::to_string(put) + "." + std::to_string(i));
    world.put(events);
  }
  CHECK(world.messages("GetLogEvents", R"(,"logStreamName":"s","limit":2)") == "4.998|4.999");
  CHECK(world.host.read <= 1000);
  const std::string back = world.last.at("nextBackwardToken");
  CHECK(world.messages("GetLogEvents", R"(,"logStreamName":"s","limit":2,"nextToken":")" + back + "\"") ==
        "4.996|4.997");
  // A stream's own times say where it is, however much others put.
  world.call("CreateLogStream", R"({"logGroupName":"/shop","logStreamName":"late"})");
  world.call("PutLogEvents",
             R"({"logGroupName":"/shop","logStreamName":"late","logEvents":[)" + world.event(9, "x") + "]}");
  world.host.read = 0;
  CHECK(world.messages("GetLogEvents", R"(,"logStreamName":"late","startFromHead":true)") == "x");
  CHECK(world.host.read == 1);
}

TEST_CASE("tokens of pages go both ways, and stay what they are at both ends") {
  LogsWorld world;
  world.call("CreateLogStream", kStream);
  world.call("CreateLogStream", R"({"logGroupName":"/shop","logStreamName":"other"})");
  const auto get = [&](const char* token) {
    return world.messages("GetLogEvents", R"(,"logStreamName":"s","startFromHead":true,"limit":2,"nextToken":")" +
                                              world.last.at(token).get<std::string>() + "\"");
  };
  // An empty stream: what is put later is behind its token.
  CHECK(world.messages("GetLogEvents", R"(,"logStreamName":"s")").empty());
  world.put(world.event(0, "1") + "," + world.event(0, "2") + "," + world.event(0, "3"));
  CHECK(get("nextForwardToken") == "1|2");
  CHECK(world.last.at("nextForwardToken").get<std::string>().starts_with("f/"));
  CHECK(world.last.at("nextBackwardToken").get<std::string>().starts_with("b/"));
  CHECK(get("nextForwardToken") == "3");
  const json end = world.last.at("nextForwardToken");
  CHECK(get("nextForwardToken").empty());
  CHECK(world.last.at("nextForwardToken") == end);
  world.call("PutLogEvents",
             R"({"logGroupName":"/shop","logStreamName":"other","logEvents":[)" + world.event(5, "o") + "]}");
  CHECK(get("nextForwardToken").empty());
  CHECK(world.last.at("nextForwardToken") == end);  // what others put does not move it
  CHECK(get("nextBackwardToken") == "2|3");
  CHECK(get("nextBackwardToken") == "1");
  const json beginning = world.last.at("nextBackwardToken");
  CHECK(get("nextBackwardToken").empty());
  CHECK(world.last.at("nextBackwardToken") == beginning);
  CHECK(get("nextForwardToken") == "1|2");
  for (const char* const token : {"x", "f/", "f/1", "f/1/", "f/1/x", "f/-1/1", "c/1/1", "f/99999999999999/1",
                                  "f/1/9223372036854775807", "f/1/2/3"}) {
    CHECK(world.call("GetLogEvents",
                     json{{"logGroupName", "/shop"}, {"logStreamName", "s"}, {"nextToken", token}}.dump()) ==
          "InvalidParameterException: The specified nextToken is invalid.");
  }
}

TEST_CASE("FilterLogEvents goes backward, too") {
  LogsWorld world;
  world.call("CreateLogStream", kStream);
  world.put(world.event(0, "1") + "," + world.event(1, "2") + "," + world.event(2, "3"));
  const std::string backward = R"(,"startFromHead":false,"limit":2,"startTime":)" + std::to_string(world.now() - 5);
  CHECK(world.messages("FilterLogEvents", backward) == "3|2");
  const std::string on = world.last.at("nextToken");
  CHECK(world.messages("FilterLogEvents", R"(,"nextToken":")" + on + "\"") == "1");  // the token knows the direction
  CHECK_FALSE(world.last.contains("nextToken"));
  CHECK(world.call("FilterLogEvents", R"({"logGroupName":"/shop","startFromHead":false,"startTime":1704067199999})")
            .starts_with("InvalidParameterException"));
  // Both ends belong to it.
  const std::string now = std::to_string(world.now() + 1);
  CHECK(world.messages("FilterLogEvents", R"(,"startTime":)" + now + R"(,"endTime":)" + now) == "2");
}

TEST_CASE("requests over a limit are refused in AWS's words") {
  LogsWorld world;
  world.call("CreateLogStream", kStream);
  const auto words = [](const std::string& value, const std::string& key, const std::string& says) {
    return "InvalidParameterException: 1 validation error detected: Value '" + value + "' at '" + key +
           "' failed to satisfy constraint: Member must " + says;
  };
  const std::string long_name(513, 'a');
  const std::string cut = std::string(256, 'a') + "...";
  const std::string group_pattern = "satisfy regular expression pattern: [\\.\\-_/#A-Za-z0-9]+";
  struct Row {
    std::string operation;
    json asked;
    std::string answer;
  };
  json many_names = json::array();
  for (int i = 0; i < 101; ++i) many_names.push_back("s");
  json many_events = json::array();
  for (int i = 0; i < 10'001; ++i) many_events.push_back({{"timestamp", world.now()}, {"message", "m"}});
  const json event{{"timestamp", world.now()}, {"message", "m"}};
  const std::vector<Row> rows = {
      {"CreateLogGroup", json::object(),
       "InvalidParameterException: 1 validation error detected: Value null at 'logGroupName' failed to satisfy "
       "constraint: Member must not be null"},
      {"CreateLogGroup", {{"logGroupName", ""}}, words("", "logGroupName", "have length greater than or equal to 1")},
      {"CreateLogGroup",
       {{"logGroupName", long_name}},
       words(cut, "logGroupName", "have length less than or equal to 512")},
      {"CreateLogGroup", {{"logGroupName", "a b"}}, words("a b", "logGroupName", group_pattern)},
      {"CreateLogGroup", {{"logGroupName", 5}}, "SerializationException: logGroupName has to be a string"},
      {"DeleteLogGroup", {{"logGroupName", "a:b"}}, words("a:b", "logGroupName", group_pattern)},
      {"CreateLogStream",
       {{"logGroupName", "/shop"}, {"logStreamName", "a*"}},
       words("a*", "logStreamName", "satisfy regular expression pattern: [^:*]*")},
      {"CreateLogStream",
       {{"logGroupName", "/shop"}, {"logStreamName", long_name}},
       words(cut, "logStreamName", "have length less than or equal to 512")},
      {"PutSubscriptionFilter",
       {{"logGroupName", "/shop"}, {"filterName", "a:b"}},
       words("a:b", "filterName", "satisfy regular expression pattern: [^:*]*")},
      {"DescribeLogGroups", {{"limit", 51}}, words("51", "limit", "have value less than or equal to 50")},
      {"DescribeLogGroups", {{"limit", 0}}, words("0", "limit", "have value greater than or equal to 1")},
      {"DescribeLogGroups", {{"nextToken", "x"}}, "InvalidParameterException: The specified nextToken is invalid."},
      {"DescribeLogStreams",
       {{"logGroupName", "/shop"}, {"limit", 51}},
       words("51", "limit", "have value less than or equal to 50")},
      {"DescribeLogStreams",
       {{"logGroupName", "/shop"}, {"orderBy", "x"}},
       words("x", "orderBy", "satisfy enum value set: [LogStreamName, LastEventTime]")},
      {"DescribeSubscriptionFilters",
       {{"logGroupName", "/shop"}, {"limit", 51}},
       words("51", "limit", "have value less than or equal to 50")},
      {"FilterLogEvents",
       {{"logGroupName", "/shop"}, {"logStreamNames", many_names}},
       words("[...]", "logStreamNames", "have length less than or equal to 100")},
      {"FilterLogEvents",
       {{"logGroupName", "/shop"}, {"logStreamNames", json::array()}},
       words("[]", "logStreamNames", "have length greater than or equal to 1")},
      {"FilterLogEvents",
       {{"logGroupName", "/shop"}, {"logStreamNames", {"s", "a:b"}}},
       words("a:b", "logStreamNames.2.member", "satisfy regular expression pattern: [^:*]*")},
      {"FilterLogEvents",
       {{"logGroupName", "/shop"}, {"logStreamNames", {"s", "none"}}},
       "ResourceNotFoundException: The specified log stream does not exist."},
      {"FilterLogEvents",
       {{"logGroupName", "/shop"}, {"limit", 10'001}},
       words("10001", "limit", "have value less than or equal to 10000")},
      {"FilterLogEvents",
       {{"logGroupName", "/shop"}, {"startTime", -1}},
       words("-1", "startTime", "have value greater than or equal to 0")},
      {"FilterLogEvents",
       {{"logGroupName", "/shop"}, {"logGroupIdentifier", "/shop"}},
       "InvalidParameterException: A request cannot have both logGroupName and logGroupIdentifier."},
      {"FilterLogEvents",
       {{"logGroupIdentifier", "arn:aws:logs:us-east-1:000000000000:log-group:/none:*"}},
       "ResourceNotFoundException: The specified log group does not exist."},
      {"GetLogEvents",
       {{"logGroupName", "/shop"}, {"logStreamName", "s"}, {"limit", 10'001}},
       words("10001", "limit", "have value less than or equal to 10000")},
      {"GetLogEvents",
       {{"logGroupName", "/shop"}, {"logStreamName", "s"}, {"endTime", -1}},
       words("-1", "endTime", "have value greater than or equal to 0")},
      {"PutLogEvents",
       {{"logGroupName", "/shop"}, {"logStreamName", "s"}},
       "InvalidParameterException: 1 validation error detected: Value null at 'logEvents' failed to satisfy "
       "constraint: Member must not be null"},
      {"PutLogEvents",
       {{"logGroupName", "/shop"}, {"logStreamName", "s"}, {"logEvents", json::array()}},
       words("[]", "logEvents", "have length greater than or equal to 1")},
      {"PutLogEvents",
       {{"logGroupName", "/shop"}, {"logStreamName", "s"}, {"logEvents", many_events}},
       words("[...]", "logEvents", "have length less than or equal to 10000")},
      {"PutLogEvents",
       {{"logGroupName", "/shop"}, {"logStreamName", "s"}, {"logEvents", {event, {{"timestamp", 1}, {"message", ""}}}}},
       words("", "logEvents.2.member.message", "have length greater than or equal to 1")},
      {"PutLogEvents",
       {{"logGroupName", "/shop"}, {"logStreamName", "s"}, {"logEvents", {{{"timestamp", -1}, {"message", "m"}}}}},
       words("-1", "logEvents.1.member.timestamp", "have value greater than or equal to 0")},
      {"PutRetentionPolicy",
       {{"logGroupName", "/shop"}, {"retentionInDays", 2}},
       words("2", "retentionInDays",
             "satisfy enum value set: [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, "
             "2192, 2557, 2922, 3288, 3653]")},
      {"TestMetricFilter",
       {{"filterPattern", ""}, {"logEventMessages", json::array()}},
       words("[]", "logEventMessages", "have length greater than or equal to 1")},
      {"TestMetricFilter",
       {{"filterPattern", ""}, {"logEventMessages", {"a", ""}}},
       words("", "logEventMessages.2.member", "have length greater than or equal to 1")},
  };
  for (const Row& row : rows) {
    DYNAMIC_SECTION(row.operation << " " << row.answer) {
      CHECK(world.call(row.operation, row.asked.dump()) == row.answer);
    }
  }
  many_names.erase(0);
  CHECK(world.call("FilterLogEvents", json{{"logGroupName", "/shop"}, {"logStreamNames", many_names}}.dump())
            .starts_with("{"));
  many_events.erase(0);
  CHECK(world
            .call("PutLogEvents",
                  json{{"logGroupName", "/shop"}, {"logStreamName", "s"}, {"logEvents", many_events}}.dump())
            .starts_with("{"));
  CHECK(world.call("CreateLogGroup", json{{"logGroupName", long_name.substr(1)}}.dump()) == "{}");
  // 512 characters, whatever bytes they have.
  std::string wide;
  for (int i = 0; i < 512; ++i) wide += "\u00e9";
  CHECK(world.call("CreateLogStream", R"({"logGroupName":"/shop","logStreamName":")" + wide + "\"}") == "{}");
}

TEST_CASE("a day is the span of events that are neither too old nor too new") {
  LogsWorld world;
  world.call("CreateLogStream", kStream);
  const json answer = json::parse(world.put(world.event(-15 * 24 * kHour, "old") + "," + world.event(0, "now")));
  CHECK(answer.at("rejectedLogEventsInfo").dump() == R"({"tooOldLogEventEndIndex":1})");
  CHECK(world.messages("GetLogEvents", R"(,"logStreamName":"s")") == "now");
}

TEST_CASE("a delivery holds what a function takes; what is larger goes alone") {
  LogsWorld world;
  world.call("CreateLogStream", kStream);
  // What does not compress: an event of a megabyte that has more than that in base64.
  std::string noise = "ERROR ";
  std::uint64_t state = 1;
  while (noise.size() < 900'000) {
    state = state * 6'364'136'223'846'793'005U + 1'442'695'040'888'963'407U;
    noise += static_cast<char>(' ' + (state >> 33U) % 95);
  }
  for (char& c : noise) c = c == '"' || c == '\\' ? 'x' : c;
  CHECK(world.put(world.event(0, "ERROR a") + "," + world.event(1, noise) + "," + world.event(2, "ERROR b"))
            .find("nextSequenceToken") != std::string::npos);
  REQUIRE(world.host.deliveries.size() == 3);
  const auto first = [&](std::size_t i) {
    const json inside = test::unpack(world.host.deliveries[i].payload);
    return inside.at("logEvents").size() == 1 ? inside.at("logEvents")[0].at("message").get<std::string>() : "";
  };
  CHECK(first(0) == "ERROR a");
  CHECK(first(1) == noise);
  CHECK(first(2) == "ERROR b");
  CHECK(world.host.deliveries[2].trace_header == "Root=1-5759e988-bd862e3fe1be46a994272793");  // by which loops end

  // Otherwise half a megabyte of JSON each, all of them in order.
  world.host.deliveries.clear();
  std::string events;
  for (int i = 0; i < 10; ++i)
    events += (i > 0 ? "," : "") + world.event(3, "ERROR" + std::to_string(i) + std::string(100'000, 'x'));
  world.put(events);
  REQUIRE(world.host.deliveries.size() == 2);
  std::string order;
  for (const ServiceDelivery& delivery : world.host.deliveries) {
    const json inside = test::unpack(delivery.payload);
    for (const json& each : inside.at("logEvents")) order += each.at("message").get<std::string>()[5];
    order += " ";
  }
  CHECK(order == "01234 56789 ");
}

TEST_CASE("changes of a group come one after the other") {
  LogsWorld world;
  const std::string group = R"({"logGroupName":"/g"})";
  const std::string stream = R"({"logGroupName":"/g","logStreamName":"s"})";
  const std::string put = R"({"logGroupName":"/g","logStreamName":"s","logEvents":[)" + world.event(0, "x") + "]}";
  const auto notes = [&](const std::string& part) {
    return std::ranges::count_if(world.host.remembered,
                                 [&](const auto& note) { return note.first.find(part) != std::string::npos; });
  };
  SECTION("a group is made once") {
    world.host.hold();
    auto first = world.begin_call("CreateLogGroup", group);
    auto second = world.begin_call("CreateLogGroup", group);
    world.host.go_on();
    world.go_on();
    CHECK(world.text(first) == "{}");
    CHECK(world.text(second) == "ResourceAlreadyExistsException: The specified log group already exists");
  }
  SECTION("what is put after a group's end leaves nothing") {
    world.call("CreateLogGroup", group);
    world.call("CreateLogStream", stream);
    world.host.hold();
    auto ending = world.begin_call("DeleteLogGroup", group);
    auto putting = world.begin_call("PutLogEvents", put);
    auto filter = world.begin_call("PutSubscriptionFilter",
                                   R"({"logGroupName":"/g","filterName":"f","filterPattern":"","destinationArn":)"
                                   R"("arn:aws:lambda:us-east-1:000000000000:function:audit"})");
    world.host.go_on();
    world.go_on();
    CHECK(world.text(ending) == "{}");
    CHECK(world.text(putting) == "ResourceNotFoundException: The specified log group does not exist.");
    CHECK(world.text(filter) == "ResourceNotFoundException: The specified log group does not exist.");
    CHECK(notes("/g\n") == 0);
    CHECK(world.host.events.empty());
    world.begin();
    CHECK(json::parse(world.call("DescribeLogGroups", "{}")).at("logGroups").size() == 1);
  }
  SECTION("a group ends when what is put before is kept") {
    world.call("CreateLogGroup", group);
    world.call("CreateLogStream", stream);
    world.host.hold();
    auto putting = world.begin_call("PutLogEvents", put);
    auto ending = world.begin_call("DeleteLogGroup", group);
    world.host.go_on();
    world.go_on();
    CHECK(world.text(putting).find("nextSequenceToken") != std::string::npos);
    CHECK(world.text(ending) == "{}");
    CHECK(notes("/g\n") == 0);
  }
  SECTION("two filters are two, also when three come at once") {
    world.call("CreateLogGroup", group);
    world.host.hold();
    std::vector<std::future<ServiceAnswer>> putting;
    for (const char* const name : {"a", "b", "c"}) {
      putting.push_back(world.begin_call(
          "PutSubscriptionFilter", json{{"logGroupName", "/g"},
                                        {"filterName", name},
                                        {"filterPattern", ""},
                                        {"destinationArn", "arn:aws:lambda:us-east-1:000000000000:function:audit"}}
                                       .dump()));
    }
    world.host.go_on();
    world.go_on();
    CHECK(world.text(putting[0]) == "{}");
    CHECK(world.text(putting[1]) == "{}");
    CHECK(world.text(putting[2]) == "LimitExceededException: Resource limit exceeded.");
    CHECK(notes("filter/") == 2);
  }
  SECTION("into different streams is put side by side, into one after the other") {
    world.call("CreateLogStream", kStream);
    world.call("CreateLogStream", R"({"logGroupName":"/shop","logStreamName":"t"})");
    world.host.commits = 0;
    world.host.hold();
    const std::string events = R"(,"logEvents":[)" + world.event(0, "x") + "]}";
    auto one = world.begin_call("PutLogEvents", R"({"logGroupName":"/shop","logStreamName":"s")" + events);
    auto two = world.begin_call("PutLogEvents", R"({"logGroupName":"/shop","logStreamName":"t")" + events);
    auto again = world.begin_call("PutLogEvents", R"({"logGroupName":"/shop","logStreamName":"s")" + events);
    CHECK(world.host.commits == 2);
    world.host.go_on();
    world.go_on();
    CHECK(world.host.commits == 3);
    CHECK(world.text(again).find("nextSequenceToken") != std::string::npos);
  }
}

TEST_CASE("a group's events go with it, and a new group of its name has nothing to do with them") {
  LogsWorld world;
  const std::string stream = R"({"logGroupName":"/g","logStreamName":"s"})";
  const auto make = [&] {
    world.call("CreateLogGroup", R"({"logGroupName":"/g"})");
    world.call("CreateLogStream", stream);
    world.call("PutLogEvents",
               R"({"logGroupName":"/g","logStreamName":"s","logEvents":[)" + world.event(0, "x") + "]}");
  };
  make();
  REQUIRE(world.host.events.size() == 1);
  const std::string old = world.host.events[0].log;
  CHECK(world.call("DeleteLogGroup", R"({"logGroupName":"/g"})") == "{}");
  CHECK(world.host.events.empty());
  CHECK_FALSE(world.host.remembered.contains("gone/" + old));
  make();
  REQUIRE(world.host.events.size() == 1);
  CHECK(world.host.events[0].log != old);
  // One that a stop came before is forgotten at the next start.
  world.host.remembered["gone/" + world.host.events[0].log] = "{}";
  world.begin();
  CHECK(world.host.events.empty());
}

TEST_CASE("pages of descriptions go on where an item was that is gone") {
  LogsWorld world;
  for (const char* const name : {"a", "b", "c", "d"})
    world.call("CreateLogStream", json{{"logGroupName", "/shop"}, {"logStreamName", name}}.dump());
  const auto names = [&](const std::string& settings) {
    const json answer =
        json::parse(world.call("DescribeLogStreams", R"({"logGroupName":"/shop","limit":2)" + settings + "}"));
    world.last = answer;
    std::string all;
    for (const json& each : answer.at("logStreams")) all += each.at("logStreamName").get<std::string>();
    return all;
  };
  CHECK(names("") == "ab");
  std::string on = R"(,"nextToken":")" + world.last.at("nextToken").get<std::string>() + "\"";
  world.call("DeleteLogStream", R"({"logGroupName":"/shop","logStreamName":"b"})");
  CHECK(names(on) == "cd");
  CHECK_FALSE(world.last.contains("nextToken"));
  CHECK(names(R"(,"descending":true)") == "dc");
  on = R"(,"nextToken":")" + world.last.at("nextToken").get<std::string>() + "\"";
  CHECK(names(R"(,"descending":true)" + on) == "a");
  world.call("PutLogEvents",
             R"({"logGroupName":"/shop","logStreamName":"a","logEvents":[)" + world.event(0, "x") + "]}");
  CHECK(names(R"(,"orderBy":"LastEventTime","descending":true)") == "ad");
  CHECK(names(R"(,"logStreamNamePrefix":"c")") == "c");
  CHECK(json::parse(world.call("DescribeLogStreams",
                               R"({"logGroupIdentifier":"arn:aws:logs:us-east-1:000000000000:log-group:/shop:*"})"))
            .at("logStreams")
            .size() == 3);
}

TEST_CASE("a group is a target: each event is one of its own, and its filters want it as any other") {
  LogsWorld world;
  const std::string group = "logs:arn:aws:logs:us-east-1:000000000000:log-group:/shop";
  const auto take = [&](const std::string& target, const std::string& text) {
    DestinationRecord record;
    record.record = text;
    record.trace_header = "Root=1-2";
    return world.take(target, std::move(record));
  };
  CHECK(world.owns(group));
  CHECK(world.owns(group + ":*"));
  CHECK_FALSE(world.owns(group + "x"));
  CHECK_FALSE(world.owns("logs:arn:aws:logs:us-east-1:111122223333:log-group:/shop"));
  CHECK_FALSE(world.owns("logs:/shop"));
  CHECK_FALSE(world.owns("sns:/shop"));
  CHECK(take(group, R"({"detail":"ERROR"})").has_value());
  CHECK(take(group + ":*", R"({"detail":"done"})").has_value());
  CHECK(world.messages("GetLogEvents", R"(,"logStreamName":"events")") == R"({"detail":"ERROR"}|{"detail":"done"})");
  REQUIRE(world.host.deliveries.size() == 1);
  CHECK(world.host.deliveries[0].trace_header == "Root=1-2");
  CHECK(take(group + "x", "x").error().code() == ErrorCode::kDestinationGone);
  CHECK(take(group, "").error().code() == ErrorCode::kEventRefused);
  CHECK(take(group, std::string(1'048'576, 'x')).error().code() == ErrorCode::kEventRefused);
  world.host.refuse = ErrorCode::kStoreFull;
  CHECK(take(group, "x").error().code() == ErrorCode::kDestinationFailed);
}

TEST_CASE("what would keep the engine's thread is packed elsewhere, and kept when all of it is packed") {
  LogsWorld world;
  world.call("CreateLogStream", kStream);
  const std::string line = "ERROR " + std::string(1000, 'x');
  std::string much = world.event(0, line);
  for (int i = 1; i < 700; ++i) much += "," + world.event(0, line);  // more than one batch
  const std::string call = R"({"logGroupName":"/shop","logStreamName":"s","logEvents":[)" + much + "]}";
  world.pool_busy = true;
  auto large = world.begin_call("PutLogEvents", call);
  auto behind = world.begin_call("PutLogEvents", R"({"logGroupName":"/shop","logStreamName":"s","logEvents":[)" +
                                                     world.event(0, "ERROR last") + "]}");
  CHECK(large.wait_for(std::chrono::seconds(0)) == std::future_status::timeout);
  CHECK(world.host.events.empty());
  world.pool_busy = false;
  world.go_on();
  CHECK(LogsWorld::text(large).find("nextSequenceToken") != std::string::npos);
  CHECK(LogsWorld::text(behind).find("nextSequenceToken") != std::string::npos);
  CHECK(world.pool_works_done == 1);  // both batches at once; the last call was small
  REQUIRE(world.host.deliveries.size() == 3);
  CHECK(test::unpack(world.host.deliveries[0].payload).at("logEvents").size() +
            test::unpack(world.host.deliveries[1].payload).at("logEvents").size() ==
        700);
  CHECK(test::unpack(world.host.deliveries[2].payload).at("logEvents")[0].at("message") == "ERROR last");
  CHECK(world.host.commits == 3);
}

TEST_CASE("what a target's input says of a log line is taken so, and anything else is the line") {
  LogsWorld world;
  const auto take = [&](const std::string& text) {
    DestinationRecord record;
    record.record = text;
    return world.take("logs:arn:aws:logs:us-east-1:000000000000:log-group:/shop", std::move(record));
  };
  struct Row {
    std::string sentence;
    std::string payload;  ///< with an hour ago for MS and ISO
    std::string line;
    std::int64_t before;  ///< milliseconds
  };
  const auto row = GENERATE(values<Row>({
      {"a time in milliseconds", R"({"timestamp":MS,"message":"a \"line\""})", R"(a "line")", kHour},
      {"a time as $.time has it", R"({"timestamp":"ISO","message":"m"})", "m", kHour},
      {"no time", R"({"message":"m"})", "m", 0},
      {"a value of JSON is its text", R"( {"message" : {"n": 1.0} } )", R"({"n": 1.0})", 0},
      {"a time without a message", R"({"timestamp":1})", R"({"timestamp":1})", 0},
      {"a time that is none", R"({"timestamp":"noon","message":"m"})", R"({"timestamp":"noon","message":"m"})", 0},
      {"a time before 1970", R"({"timestamp":-1,"message":"m"})", R"({"timestamp":-1,"message":"m"})", 0},
      {"a time that is no whole number", R"({"timestamp":1.5,"message":"m"})", R"({"timestamp":1.5,"message":"m"})", 0},
      {"one more member", R"({"message":"m","id":1})", R"({"message":"m","id":1})", 0},
      {"a text", R"("message")", R"("message")", 0},
      {"no JSON", R"({"message":"m")", R"({"message":"m")", 0},
  }));
  DYNAMIC_SECTION(row.sentence) {
    const auto with = [](std::string text, std::string_view word, const std::string& value) {
      const std::size_t at = text.find(word);
      return at == std::string::npos ? text : text.replace(at, word.size(), value);
    };
    const std::string ms = std::to_string(world.now() - kHour);
    const std::string iso = iso_milliseconds(world.clock.now().wall - std::chrono::hours(1));
    CHECK(take(with(with(row.payload, "MS", ms), "ISO", iso)).has_value());
    CHECK(world.messages("GetLogEvents", R"(,"logStreamName":"events")") == row.line);
    CHECK(world.last.at("events")[0].at("timestamp") == world.now() - row.before);
  }
}

TEST_CASE("a line of a time that the group does not take is refused, not lost") {
  LogsWorld world;
  const auto take = [&](const std::string& text) {
    DestinationRecord record;
    record.record = text;
    return world.take("logs:arn:aws:logs:us-east-1:000000000000:log-group:/shop", std::move(record));
  };
  const auto at = [](std::int64_t time) { return R"({"timestamp":)" + std::to_string(time) + R"(,"message":"m"})"; };
  CHECK(take(at(world.now() - 14 * 24 * kHour)).has_value());
  CHECK(take(at(world.now() + 2 * kHour)).has_value());
  CHECK(take(at(world.now() - 14 * 24 * kHour - 1)).error().code() == ErrorCode::kEventRefused);
  CHECK(take(at(world.now() + 2 * kHour + 1)).error().code() == ErrorCode::kEventRefused);
  CHECK(take(R"({"message":""})").error().code() == ErrorCode::kEventRefused);
}

TEST_CASE("TestMetricFilter says which messages match, and what is in their fields") {
  LogsWorld world;
  const auto matches = [&](const std::string& pattern) {
    return json::parse(
               world.call("TestMetricFilter",
                          json{{"filterPattern", pattern}, {"logEventMessages", {"INFO a b", "ERROR c d"}}}.dump()))
        .at("matches")
        .dump();
  };
  CHECK(matches("ERROR") == R"([{"eventMessage":"ERROR c d","eventNumber":2,"extractedValues":{}}])");
  CHECK(matches("[level=ERROR, , rest]") ==
        R"([{"eventMessage":"ERROR c d","eventNumber":2,"extractedValues":{"$2":"c","$level":"ERROR","$rest":"d"}}])");
  CHECK(matches("none") == "[]");
  CHECK(world.call("TestMetricFilter", R"({"filterPattern":"ERR*","logEventMessages":["a"]})") ==
        "InvalidParameterException: Invalid character(s) in term '*'");
}
