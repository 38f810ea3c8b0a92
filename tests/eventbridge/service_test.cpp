#include "connectors/eventbridge/service.h"

#include <algorithm>
#include <chrono>
#include <future>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "connectors/eventbridge/config.h"
#include "connectors/eventbridge/connector.h"
#include "support/fake_clock.h"
#include "support/kept_pages.h"

using namespace weir;
using nlohmann::json;

namespace {

const std::string kFunction = "arn:aws:lambda:us-east-1:000000000000:function:mail";
const std::string kReal = "arn:aws:lambda:eu-west-1:111122223333:function:mail";
const std::string kQueue = "arn:aws:sqs:us-east-1:000000000000:orders";
const std::string kBus = "arn:aws:events:us-east-1:000000000000:event-bus/";
const std::string kRule = "arn:aws:events:us-east-1:000000000000:rule/";

/// What a coroutine waits at until it is opened.
class Gate {
 public:
  explicit Gate(net::io_context& context) : opened_(context, net::steady_timer::time_point::max()) {}
  void close() { closed_ = true; }
  void open() {
    closed_ = false;
    opened_.cancel();
  }
  net::awaitable<void> pass() {
    if (!closed_) co_return;
    boost::system::error_code opened;
    co_await opened_.async_wait(net::redirect_error(net::use_awaitable, opened));
  }

 private:
  net::steady_timer opened_;
  bool closed_ = false;
};

/// A bridge that keeps what it is given, or refuses for a while.
class FakeHost final : public ServiceHost {
 public:
  explicit FakeHost(net::io_context& context) : commit_gate(context), notes_gate(context) {}

  net::awaitable<Result<void>> commit(ServiceCommit what) override {
    std::size_t bytes = 0;
    for (const ServiceDelivery& delivery : what.deliveries) bytes += delivery.payload.size();
    held += bytes;
    most_held = std::max(most_held, held);
    co_await commit_gate.pass();
    held -= bytes;
    if (refusing || commits == refusing_after) co_return Error(ErrorCode::kStoreFull, "no room");
    ++commits;
    for (ServiceDelivery& delivery : what.deliveries) {
      ++accepted;
      if (!forgetful) deliveries.push_back(std::move(delivery));
    }
    for (SourceNote& note : what.notes) {
      if (note.value) {
        remembered[note.key] = *note.value;
      } else {
        remembered.erase(note.key);
      }
    }
    for (KeptEvent& event : what.kept) {
      event.id = ++last_id;
      events.push_back(std::move(event));
    }
    co_return Result<void>();
  }
  net::awaitable<Result<std::map<std::string, std::string>>> notes() override {
    const auto read = remembered;
    co_await notes_gate.pass();
    co_return read;
  }
  net::awaitable<Result<KeptPage>> kept(KeptRange range) override {
    KeptPage page = test::page_of(events, range);
    read_events += page.events.size();
    largest_page = std::max(largest_page, page.events.size());
    co_return page;
  }
  net::awaitable<Result<void>> forget(std::string log, WallTime before) override {
    if (!forgetting) co_return Error(ErrorCode::kStoreFull, "no room");
    events.erase(std::remove_if(events.begin(), events.end(),
                                [&](const KeptEvent& event) { return event.log == log && event.at < before; }),
                 events.end());
    co_return Result<void>();
  }
  std::string target_of(std::string_view arn) const override {
    constexpr std::string_view kLambda = "arn:aws:lambda:us-east-1:000000000000:function:";
    if (arn == kReal) return configured ? "lambda:real" : "";
    if (arn.starts_with(kLambda)) return "lambda:" + std::string(arn.substr(kLambda.size()));
    if (arn.find(":sqs:") != std::string_view::npos) return "sqs:" + std::string(arn);
    if (arn.find(":event-bus/") != std::string_view::npos) return "eventbridge:" + std::string(arn);
    return "";
  }
  bool exists(std::string_view) const override { return true; }

  std::vector<ServiceDelivery> deliveries;
  std::map<std::string, std::string> remembered;
  std::vector<KeptEvent> events;
  std::uint64_t last_id = 0;
  int commits = 0;
  int refusing_after = -1;  ///< so many commits
  bool refusing = false;
  bool forgetting = true;
  bool forgetful = false;  ///< deliveries are only counted
  bool configured = true;  ///< whether the configuration has kReal
  std::size_t accepted = 0;
  std::size_t held = 0;  ///< bytes of deliveries that are about to be kept
  std::size_t most_held = 0;
  std::size_t read_events = 0;
  std::size_t largest_page = 0;
  Gate commit_gate;
  Gate notes_gate;
};

struct World {
  explicit World(std::vector<ServiceSource> sources = {}) : sources_(std::move(sources)) { start(); }
  ~World() { stop(); }

  void start() {
    ServiceContext made{context.get_executor(), context.get_executor(), null_log(), clock, AwsAccess(), sources_};
    service = eventbridge::make_service(std::move(made));
    run();
    REQUIRE(service->ready());
  }
  void run() {
    running = net::co_spawn(context, service->run(host), net::bind_cancellation_slot(ending.slot(), net::use_future));
    settle();
  }
  void end_run() {
    ending.emit(net::cancellation_type::terminal);
    settle();
  }
  void stop() {
    end_run();
    service.reset();
  }
  /// What is on disk stays, the rest is forgotten.
  void restart() {
    stop();
    start();
  }
  void settle() {
    context.restart();
    context.poll();
  }

  std::future<ServiceAnswer> begin(const std::string& operation, const std::string& body) {
    ServiceCall call;
    call.operation = operation;
    call.body = body;
    call.trace_header = trace;
    return net::co_spawn(context, service->call(host, std::move(call)), net::use_future);
  }
  ServiceAnswer answer(const std::string& operation, const std::string& body) {
    auto future = begin(operation, body);
    settle();
    REQUIRE(future.wait_for(std::chrono::seconds(0)) == std::future_status::ready);
    return future.get();
  }
  json ask(const std::string& operation, const json& arguments) {
    const ServiceAnswer got = answer(operation, arguments.dump());
    INFO(operation << " " << arguments << " " << got.body);
    CHECK(got.status == 200);
    return json::parse(got.body);
  }
  /// "ValidationException: ..."
  std::string refused(const std::string& operation, const json& arguments) {
    const ServiceAnswer got = answer(operation, arguments.dump());
    INFO(operation << " " << arguments << " " << got.body);
    CHECK(got.status != 200);
    const json error = json::parse(got.body);
    return error.at("__type").get<std::string>() + ": " + error.at("message").get<std::string>();
  }
  std::string taken(const std::string& target, DestinationRecord message) {
    auto future = net::co_spawn(context, service->take(host, target, std::move(message)), net::use_future);
    settle();
    const auto result = future.get();
    return result ? "taken" : std::string(text(result.error().code()));
  }

  /// A rule for everything of source `shop`, with one target.
  void rule(const std::string& name, json target = {{"Id", "t"}, {"Arn", kFunction}},
            const std::string& bus = "default", const std::string& pattern = R"({"source":["shop"]})") {
    ask("PutRule", {{"Name", name}, {"EventBusName", bus}, {"EventPattern", pattern}});
    ask("PutTargets", {{"Rule", name}, {"EventBusName", bus}, {"Targets", json::array({target})}});
  }
  json put(const std::string& detail = "{}", const std::string& bus = "default", const json& more = json::object()) {
    json entry{{"Source", "shop"}, {"DetailType", "t"}, {"Detail", detail}, {"EventBusName", bus}};
    entry.update(more);
    return ask("PutEvents", {{"Entries", json::array({entry})}});
  }

  net::io_context context;
  test::FakeClock clock;
  FakeHost host{context};
  std::unique_ptr<Service> service;
  net::cancellation_signal ending;
  std::future<Result<void>> running;
  std::string trace = "Root=1-a";

 private:
  std::vector<ServiceSource> sources_;
};

double seconds(WallTime time) {
  return static_cast<double>(epoch_milliseconds(time)) / 1000;
}

}  // namespace

TEST_CASE("an event goes to the targets of the rules that it matches, all in one commit") {
  World world;
  world.rule("mails");
  world.rule("others", {{"Id", "t"}, {"Arn", kFunction}}, "default", R"({"source":["else"]})");
  world.rule("queues", {{"Id", "q"}, {"Arn", kQueue}, {"InputPath", "$.detail"}});
  const int before = world.host.commits;
  json entry{{"Source", "shop"}, {"DetailType", "t"}, {"Detail", R"({"n":1.0})"}};
  const json answer = world.ask("PutEvents", {{"Entries", json::array({entry, entry})}});
  CHECK(answer.at("FailedEntryCount") == 0);
  CHECK(world.host.commits == before + 1);
  REQUIRE(world.host.deliveries.size() == 4);
  const ServiceDelivery& to_function = world.host.deliveries.at(0);
  CHECK(to_function.target == "lambda:mail");
  CHECK(to_function.trace_header == "Root=1-a");
  const json event = json::parse(to_function.payload);
  CHECK(event.at("id") == answer.at("Entries").at(0).at("EventId"));
  CHECK(event.at("time") == "2026-09-12T08:00:00Z");
  CHECK(world.host.deliveries.at(1).target == "sqs:" + kQueue);
  CHECK(world.host.deliveries.at(1).payload == R"({"n":1.0})");
}

TEST_CASE("an entry that is wrong spoils no other, and answers are in the order of entries") {
  World world;
  world.rule("mails");
  const json right{{"Source", "shop"}, {"DetailType", "t"}, {"Detail", "{}"}};
  json wrong = right;
  wrong["Detail"] = R"({"a":})";
  json nowhere = right;
  nowhere["EventBusName"] = "nowhere";
  json wrong_nowhere = wrong;
  wrong_nowhere["EventBusName"] = "nowhere";
  const json answer = world.ask("PutEvents", {{"Entries", json::array({wrong, right, nowhere, wrong_nowhere})}});
  CHECK(answer.at("FailedEntryCount") == 2);
  CHECK(answer.at("Entries").at(0) == json{{"ErrorCode", "MalformedDetail"}, {"ErrorMessage", "Detail is malformed."}});
  CHECK(answer.at("Entries").at(1).contains("EventId"));
  CHECK(answer.at("Entries").at(2).contains("EventId"));
  CHECK(answer.at("Entries").at(3).at("ErrorCode") == "MalformedDetail");
  CHECK(world.host.deliveries.size() == 1);
}

TEST_CASE("what the store refuses was not taken, and leaves nothing behind") {
  World world;
  world.rule("mails");
  world.host.refusing = true;
  const json entry{{"Source", "shop"}, {"DetailType", "t"}, {"Detail", "{}"}};
  CHECK(world.refused("PutEvents", {{"Entries", json::array({entry})}}).starts_with("InternalException"));
  CHECK(world.refused("CreateEventBus", {{"Name", "orders"}}).starts_with("InternalException"));
  world.host.refusing = false;
  CHECK(world.ask("ListEventBuses", json::object()).at("EventBuses").size() == 1);
  world.put();
  CHECK(world.host.deliveries.size() == 1);
}

TEST_CASE("a rule that is disabled, removed or without its target delivers nothing") {
  World world;
  world.rule("mails");
  world.ask("DisableRule", {{"Name", "mails"}});
  world.put();
  CHECK(world.host.deliveries.empty());
  world.ask("EnableRule", {{"Name", "mails"}});
  world.put();
  CHECK(world.host.deliveries.size() == 1);
  CHECK(world.refused("DeleteRule", {{"Name", "mails"}}) ==
        "ValidationException: Rule can't be deleted since it has targets.");
  world.ask("RemoveTargets", {{"Rule", "mails"}, {"Ids", {"t"}}});
  world.put();
  world.ask("DeleteRule", {{"Name", "mails"}});
  world.put();
  CHECK(world.host.deliveries.size() == 1);
  world.ask("DeleteRule", {{"Name", "mails"}});  // AWS too says nothing of one that is not there
}

TEST_CASE("what the API made is there after a restart") {
  World world;
  world.ask("CreateEventBus", {{"Name", "orders"}, {"Tags", json::array({{{"Key", "k"}, {"Value", "v"}}})}});
  world.rule("mails", {{"Id", "t"}, {"Arn", kFunction}, {"Input", R"({"a":1})"}}, "orders");
  world.restart();
  CHECK(world.ask("DescribeEventBus", {{"Name", "orders"}}).at("Arn") == kBus + "orders");
  const json rule = world.ask("DescribeRule", {{"Name", "mails"}, {"EventBusName", kBus + "orders"}});
  CHECK(rule.at("Arn") == kRule + "orders/mails");
  CHECK(rule.at("CreatedBy") == "000000000000");
  CHECK(world.ask("ListTagsForResource", {{"ResourceARN", kBus + "orders"}}).at("Tags").at(0).at("Value") == "v");
  world.put("{}", "orders");
  REQUIRE(world.host.deliveries.size() == 1);
  CHECK(world.host.deliveries.at(0).payload == R"({"a":1})");
}

TEST_CASE("a target's retries and its dead-letter queue") {
  World world;
  world.rule("mails", {{"Id", "t"},
                       {"Arn", kQueue + ".fifo"},
                       {"SqsParameters", {{"MessageGroupId", "g"}}},
                       {"RetryPolicy", {{"MaximumRetryAttempts", 3}, {"MaximumEventAgeInSeconds", 60}}},
                       {"DeadLetterConfig", {{"Arn", kQueue + "-dead"}}}});
  world.put();
  REQUIRE(world.host.deliveries.size() == 1);
  const ServiceDelivery& delivery = world.host.deliveries.at(0);
  CHECK(delivery.details.group == "g");
  CHECK(delivery.rules.max_age == std::chrono::seconds(60));
  REQUIRE(delivery.rules.phases.size() == 1);
  CHECK(delivery.rules.phases.at(0).retries == 3);
  CHECK(delivery.dead_letter == "sqs:" + kQueue + "-dead");
  CHECK(delivery.dead_letter_attributes.at("RULE_ARN").value == kRule + "mails");
  CHECK(delivery.dead_letter_attributes.at("TARGET_ARN").value == kQueue + ".fifo");
  CHECK(delivery.dead_letter_tells_why);
}

TEST_CASE("without a policy a target has a day and 185 retries; with none at all it has one attempt") {
  const DeliveryRules day = eventbridge::delivery_rules(eventbridge::kMaxRetries, eventbridge::kMaxAge);
  int retries = 0;
  for (const RetryPhase& phase : day.phases) retries += phase.retries;
  CHECK(retries == 185);
  CHECK(day.max_age == std::chrono::hours(24));
  CHECK(eventbridge::delivery_rules(0, eventbridge::kMaxAge).phases.empty());
}

TEST_CASE("an event goes from bus to bus once") {
  World world;
  for (const char* bus : {"second", "third"}) world.ask("CreateEventBus", {{"Name", bus}});
  world.rule("to-second", {{"Id", "b"}, {"Arn", kBus + "second"}});
  world.rule("to-third", {{"Id", "b"}, {"Arn", kBus + "third"}}, "second");
  world.rule("of-second", {{"Id", "t"}, {"Arn", kFunction}}, "second");
  world.rule("of-third", {{"Id", "t"}, {"Arn", kQueue}}, "third");
  const json answer = world.put();
  REQUIRE(world.host.deliveries.size() == 1);
  CHECK(world.host.deliveries.at(0).target == "lambda:mail");
  CHECK(json::parse(world.host.deliveries.at(0).payload).at("id") == answer.at("Entries").at(0).at("EventId"));
  world.put("{}", "second");
  CHECK(world.host.deliveries.size() == 3);
}

TEST_CASE("a trace of an entry's own does not hide how often functions called each other") {
  World world;
  world.rule("mails");
  world.put("{}", "default", {{"TraceHeader", "Root=1-b"}});
  CHECK(world.host.deliveries.at(0).trace_header == "Root=1-b");
  world.trace = "Root=1-a;Lineage=1:weir:4";
  world.put("{}", "default", {{"TraceHeader", "Root=1-b"}});
  CHECK(world.host.deliveries.at(1).trace_header == world.trace);
}

TEST_CASE("records of invocations become Lambda's own events") {
  World world;
  world.rule("all", {{"Id", "t"}, {"Arn", kFunction}}, "default", R"({"source":["lambda"]})");
  DestinationRecord message;
  message.function = "f";
  message.trace_header = "Root=1-c";
  message.record = R"({"requestContext":{"condition":"Success","functionArn":"arn:x:$LATEST"},"responsePayload":1})";
  CHECK(world.taken("eventbridge:default", message) == "taken");
  message.record = R"({"requestContext":{"condition":"RetriesExhausted"}})";
  CHECK(world.taken("eventbridge:" + kBus + "default", message) == "taken");
  REQUIRE(world.host.deliveries.size() == 2);
  const json event = json::parse(world.host.deliveries.at(0).payload);
  CHECK(event.at("detail-type") == "Lambda Function Invocation Result - Success");
  CHECK(event.at("resources") == json{kBus + "default", "arn:x:$LATEST"});
  CHECK(event.at("detail").at("responsePayload") == 1);
  CHECK(world.host.deliveries.at(0).trace_header == "Root=1-c");
  CHECK(json::parse(world.host.deliveries.at(1).payload).at("detail-type") ==
        "Lambda Function Invocation Result - Failure");
  CHECK(world.taken("eventbridge:nowhere", message) == "destination.gone");
}

TEST_CASE("a service's message is an event, or is refused") {
  World world;
  world.rule("mails");
  DestinationRecord message;
  message.record = R"({"source":"shop","detail-type":"t","detail":{"a":1}})";
  CHECK(world.taken("eventbridge:default", message) == "taken");
  REQUIRE(world.host.deliveries.size() == 1);
  CHECK(json::parse(world.host.deliveries.at(0).payload).at("time") == "2026-09-12T08:00:00Z");
  for (const char* wrong : {"no JSON", "{}", R"({"source":"s","detail-type":"t","detail":"text"})"}) {
    message.record = wrong;
    CHECK(world.taken("eventbridge:default", message) == "event.refused");
  }
}

TEST_CASE("a rule of the configuration delivers, and the API leaves it alone") {
  auto config = std::make_shared<eventbridge::EventBridgeConfig>();
  config->bus = "orders";
  config->pattern = R"({"source":["shop"]})";
  eventbridge::InputSettings settings;
  settings.input_path = "$.detail";
  config->input = *eventbridge::TargetInput::make(settings, "f");
  World world({ServiceSource{"up", "f", config}});
  CHECK(world.service->owns("eventbridge:orders"));
  CHECK_FALSE(world.service->owns("eventbridge:elsewhere"));
  world.put(R"({"a":1})", "orders");
  REQUIRE(world.host.deliveries.size() == 1);
  CHECK(world.host.deliveries.at(0).target == "lambda:f");
  CHECK(world.host.deliveries.at(0).source == "up");
  CHECK(world.host.deliveries.at(0).payload == R"({"a":1})");
  const json there{{"Name", "up"}, {"EventBusName", "orders"}};
  CHECK(world.ask("DescribeRule", there).at("ManagedBy") == "weir");
  for (const char* operation : {"DeleteRule", "DisableRule"}) {
    CHECK(world.refused(operation, there) ==
          "ManagedRuleException: Rule up is the source up of weir's configuration: change it there.");
  }
  CHECK(world.refused("DeleteEventBus", {{"Name", "orders"}}).starts_with("ValidationException"));
}

TEST_CASE("what AWS refuses of buses, rules and targets, in its words") {
  World world;
  world.rule("mails");
  CHECK(world.refused("CreateEventBus", {{"Name", "default"}}) ==
        "ResourceAlreadyExistsException: Event bus default already exists.");
  CHECK(world.refused("CreateEventBus", {{"Name", "a/b"}}) ==
        "ValidationException: Event bus name must not contain '/'.");
  CHECK(world.refused("DescribeEventBus", {{"Name", "none"}}) ==
        "ResourceNotFoundException: Event bus none does not exist.");
  CHECK(world.refused("DeleteEventBus", {{"Name", "default"}}) ==
        "ValidationException: Cannot delete event bus default.");
  CHECK(world.refused("PutRule", {{"Name", "r"}}) ==
        "ValidationException: Parameter(s) EventPattern or ScheduleExpression must be specified.");
  CHECK(world.refused("PutRule", {{"Name", "r"}, {"EventPattern", "{}"}})
            .starts_with("InvalidEventPatternException: Event pattern is not valid. Reason: Empty objects are not "
                         "allowed"));
  CHECK(world.refused("PutRule", {{"Name", "r"}, {"ScheduleExpression", "rate(1 minutes)"}}) ==
        "ValidationException: Parameter ScheduleExpression is not valid.");
  world.ask("CreateEventBus", {{"Name", "orders"}});
  CHECK(
      world.refused("PutRule", {{"Name", "r"}, {"EventBusName", "orders"}, {"ScheduleExpression", "rate(1 minute)"}}) ==
      "ValidationException: ScheduleExpression is supported only on the default event bus.");
  CHECK(world.refused("DescribeRule", {{"Name", "none"}}) ==
        "ResourceNotFoundException: Rule none does not exist on EventBus default.");
  const auto put = [&](json targets) { return world.refused("PutTargets", {{"Rule", "mails"}, {"Targets", targets}}); };
  const auto target = [](const std::string& id) { return json{{"Id", id}, {"Arn", kFunction}}; };
  CHECK(put({target("!@#$@!#$")}) ==
        "ValidationException: 1 validation error detected: Value '!@#$@!#$' at 'targets.1.member.id' failed to satisfy "
        "constraint: Member must satisfy regular expression pattern: [\\.\\-_A-Za-z0-9]+");
  CHECK(put({target(std::string(65, 'x'))}).find("Member must have length less than or equal to 64") !=
        std::string::npos);
  CHECK(put({target("a"), target("b"), target("c"), target("d"), target("e")}) ==
        "LimitExceededException: The requested resource exceeds the maximum number allowed.");
  CHECK(put({json{{"Id", "a"}, {"Arn", kQueue + ".fifo"}}}) ==
        "ValidationException: Parameter(s) SqsParameters must be specified for target: a.");
  CHECK(put({json{{"Id", "a"}, {"Arn", "x"}}}) ==
        "ValidationException: Parameter x is not valid. Reason: Provided Arn is not in correct format.");
  CHECK(put({json{{"Id", "a"}, {"Arn", kFunction}, {"Input", "{}"}, {"InputPath", "$"}}}) ==
        "ValidationException: Only one of Input, InputPath, or InputTransformer must be provided for target a.");
  CHECK(put({json{{"Id", "a"}, {"Arn", kFunction}, {"RetryPolicy", {{"MaximumRetryAttempts", 186}}}}})
            .find("less than or equal to 185") != std::string::npos);
  CHECK(world.ask("ListTargetsByRule", {{"Rule", "mails"}}).at("Targets") == json{target("t")});
  CHECK(world.refused("Dance", json::object()).starts_with("UnknownOperationException"));
}

TEST_CASE("lists come in pages") {
  World world;
  for (int i = 0; i < 5; ++i) world.rule("rule-" + std::to_string(i));
  const json first = world.ask("ListRules", {{"Limit", 3}, {"NamePrefix", "rule-"}});
  CHECK(first.at("Rules").size() == 3);
  const json rest = world.ask("ListRules", {{"Limit", 3}, {"NextToken", first.at("NextToken")}});
  CHECK(rest.at("Rules").size() == 2);
  CHECK_FALSE(rest.contains("NextToken"));
  CHECK(world.ask("ListRuleNamesByTarget", {{"TargetArn", kFunction}}).at("RuleNames").size() == 5);
  CHECK(world.ask("ListRuleNamesByTarget", {{"TargetArn", kQueue}}).at("RuleNames").empty());
}

TEST_CASE("TestEventPattern says what would match, and refuses what is no event") {
  World world;
  const std::string event = R"({"id":"1","account":"1","source":"shop","time":"2026-03-04T05:06:07Z","region":"r",)"
                            R"("detail-type":"t"})";
  const auto test = [&](const std::string& pattern, const std::string& of) {
    return json{{"EventPattern", pattern}, {"Event", of}};
  };
  CHECK(world.ask("TestEventPattern", test(R"({"source":["shop"]})", event)).at("Result") == true);
  CHECK(world.ask("TestEventPattern", test(R"({"source":["x"]})", event)).at("Result") == false);
  CHECK(world.refused("TestEventPattern", test(R"({"source":["x"]})", "{}")) ==
        "ValidationException: Parameter Event is not valid.");
  CHECK(world.refused("TestEventPattern", test(R"({"source":[]})", event))
            .starts_with("InvalidEventPatternException: Event pattern is not valid. Reason: Empty arrays are not "
                         "allowed"));
}

TEST_CASE("an archive keeps what its pattern wants, and a replay brings it again to the rules that it names") {
  World world;
  world.rule("mails");
  world.rule("queues", {{"Id", "q"}, {"Arn", kQueue}});
  const WallTime start = world.clock.now().wall;
  world.ask("CreateArchive", {{"ArchiveName", "all"}, {"EventSourceArn", kBus + "default"}, {"RetentionDays", 1}});
  world.ask(
      "CreateArchive",
      {{"ArchiveName", "some"}, {"EventSourceArn", kBus + "default"}, {"EventPattern", R"({"detail":{"n":[1]}})"}});
  world.put(R"({"n":1})");
  world.put(R"({"n":2})");
  CHECK(world.host.events.size() == 3);
  const json described = world.ask("DescribeArchive", {{"ArchiveName", "all"}});
  CHECK(described.at("EventCount") == 2);
  CHECK(described.at("State") == "ENABLED");
  CHECK(world.ask("DescribeArchive", {{"ArchiveName", "some"}}).at("EventCount") == 1);
  world.host.deliveries.clear();

  const json replay{{"ReplayName", "again"},
                    {"EventSourceArn", "arn:aws:events:us-east-1:000000000000:archive/all"},
                    {"EventStartTime", seconds(start - std::chrono::minutes(1))},
                    {"EventEndTime", seconds(start + std::chrono::minutes(1))},
                    {"Destination", {{"Arn", kBus + "default"}, {"FilterArns", {kRule + "mails"}}}}};
  CHECK(world.ask("StartReplay", replay).at("State") == "STARTING");
  world.settle();
  REQUIRE(world.host.deliveries.size() == 2);
  for (const ServiceDelivery& delivery : world.host.deliveries) {
    CHECK(delivery.target == "lambda:mail");
    CHECK(json::parse(delivery.payload).at("replay-name") == "again");
  }
  CHECK(world.host.events.size() == 3);  // what is replayed is not archived again
  const json after = world.ask("DescribeReplay", {{"ReplayName", "again"}});
  CHECK(after.at("State") == "COMPLETED");
  CHECK(after.contains("ReplayEndTime"));
  CHECK(world.refused("StartReplay", replay) == "ResourceAlreadyExistsException: Replay again already exists.");
  CHECK(world.refused("CancelReplay", {{"ReplayName", "again"}}).starts_with("IllegalStatusException"));
  world.restart();
  world.settle();
  CHECK(world.host.deliveries.size() == 2);
  CHECK(world.ask("DescribeArchive", {{"ArchiveName", "all"}}).at("EventCount") == 2);
}

TEST_CASE("what AWS refuses of archives and replays, in its words") {
  World world;
  world.ask("CreateEventBus", {{"Name", "orders"}});
  world.ask("CreateArchive", {{"ArchiveName", "all"}, {"EventSourceArn", kBus + "default"}});
  CHECK(world.refused("CreateArchive", {{"ArchiveName", "all"}, {"EventSourceArn", kBus + "default"}}) ==
        "ResourceAlreadyExistsException: Archive all already exists.");
  CHECK(world.refused("CreateArchive", {{"ArchiveName", "x"}, {"EventSourceArn", kBus + "none"}}) ==
        "ResourceNotFoundException: Event bus none does not exist.");
  CHECK(world.refused("DescribeArchive", {{"ArchiveName", "x"}}) ==
        "ResourceNotFoundException: Archive x does not exist.");
  CHECK(world.refused("ListArchives", {{"NamePrefix", "a"}, {"State", "ENABLED"}}) ==
        "ValidationException: At most one filter is allowed for ListArchives. Use either : State, EventSourceArn, or "
        "NamePrefix.");
  json replay{{"ReplayName", "again"},
              {"EventSourceArn", "arn:aws:events:us-east-1:000000000000:archive/all"},
              {"EventStartTime", 2},
              {"EventEndTime", 3},
              {"Destination", {{"Arn", kBus + "orders"}}}};
  CHECK(
      world.refused("StartReplay", replay) ==
      "ValidationException: Parameter Destination.Arn is not valid. Reason: Cross event bus replay is not permitted.");
  replay["Destination"]["Arn"] = kBus + "none";
  CHECK(world.refused("StartReplay", replay) == "ResourceNotFoundException: Event bus none does not exist.");
  replay["Destination"]["Arn"] = kBus + "default";
  replay["EventEndTime"] = 2;
  CHECK(
      world.refused("StartReplay", replay) ==
      "ValidationException: Parameter EventEndTime is not valid. Reason: EventStartTime must be before EventEndTime.");
  replay["EventSourceArn"] = "arn:aws:events:us-east-1:000000000000:archive/x";
  CHECK(world.refused("StartReplay", replay) ==
        "ValidationException: Parameter EventSourceArn is not valid. Reason: Archive x does not exist.");
  world.ask("DeleteArchive", {{"ArchiveName", "all"}});
  CHECK(world.ask("ListArchives", json::object()).at("Archives").empty());
}

TEST_CASE("archives forget what is older than their retention") {
  World world;
  world.ask("CreateArchive", {{"ArchiveName", "all"}, {"EventSourceArn", kBus + "default"}, {"RetentionDays", 1}});
  world.put();
  world.clock.advance(std::chrono::hours(24));
  world.restart();
  CHECK(world.host.events.size() == 1);
  world.clock.advance(std::chrono::seconds(1));
  world.restart();
  CHECK(world.host.events.empty());
  CHECK(world.ask("DescribeArchive", {{"ArchiveName", "all"}}).at("EventCount") == 0);
}

TEST_CASE("a rule with a schedule sends Scheduled Event to its targets, and to nobody else") {
  World world;
  world.ask("PutRule", {{"Name", "often"}, {"ScheduleExpression", "rate(5 minutes)"}});
  world.ask("PutTargets", {{"Rule", "often"}, {"Targets", {{{"Id", "t"}, {"Arn", kFunction}}}}});
  world.rule("all", {{"Id", "q"}, {"Arn", kQueue}}, "default", R"({"source":["aws.events"]})");
  world.clock.advance(std::chrono::minutes(5) - std::chrono::seconds(1));
  world.restart();
  CHECK(world.host.deliveries.empty());
  world.clock.advance(std::chrono::seconds(1));
  world.restart();
  REQUIRE(world.host.deliveries.size() == 1);
  CHECK(world.host.deliveries.at(0).target == "lambda:mail");
  const json event = json::parse(world.host.deliveries.at(0).payload);
  CHECK(event.at("detail-type") == "Scheduled Event");
  CHECK(event.at("source") == "aws.events");
  CHECK(event.at("time") == "2026-09-12T08:05:00Z");
  CHECK(event.at("resources") == json{kRule + "often"});
  CHECK(event.at("detail") == json::object());
  world.restart();
  CHECK(world.host.deliveries.size() == 1);
  world.ask("DisableRule", {{"Name", "often"}});
  world.clock.advance(std::chrono::hours(1));
  world.ask("EnableRule", {{"Name", "often"}});
  world.settle();
  CHECK(world.host.deliveries.size() == 1);
}

namespace {

/// A rule for everything, with five queues that get the whole event.
void make_wide_rules(World& world, int rules) {
  json targets = json::array();
  for (int i = 0; i < 5; ++i) targets.push_back({{"Id", std::to_string(i)}, {"Arn", kQueue}});
  for (int i = 0; i < rules; ++i) {
    const std::string name = "wide-" + std::to_string(i);
    world.ask("PutRule", {{"Name", name}, {"EventPattern", R"({"source":["shop"]})"}});
    world.ask("PutTargets", {{"Rule", name}, {"Targets", targets}});
  }
  world.host.commits = 0;
  world.host.forgetful = true;
}

json entries_of(int count, std::size_t bytes) {
  const json entry{{"Source", "shop"}, {"DetailType", "t"}, {"Detail", json{{"x", std::string(bytes, 'x')}}.dump()}};
  json entries = json::array();
  for (int i = 0; i < count; ++i) entries.push_back(entry);
  return {{"Entries", entries}};
}

}  // namespace

TEST_CASE("a call that comes to more than one commit takes is cut between its entries") {
  World world;
  make_wide_rules(world, 20);
  SECTION("what fits goes at once") {
    CHECK(world.ask("PutEvents", entries_of(10, 10'000)).at("FailedEntryCount") == 0);
    CHECK(world.host.commits == 1);
    CHECK(world.host.accepted == 1000);
  }
  SECTION("100 deliveries of 100 kB are half of what one takes: entries go by twos") {
    CHECK(world.ask("PutEvents", entries_of(9, 100'000)).at("FailedEntryCount") == 0);
    CHECK(world.host.commits == 5);
    CHECK(world.host.accepted == 900);
  }
  SECTION("what is refused behind what was kept is said of each entry, and of no other") {
    world.host.refusing_after = 1;
    const json answer = world.ask("PutEvents", entries_of(4, 100'000));
    CHECK(answer.at("FailedEntryCount") == 2);
    CHECK(answer.at("Entries").at(1).contains("EventId"));
    CHECK(answer.at("Entries").at(2).at("ErrorCode") == "InternalFailure");
    CHECK(answer.at("Entries").at(3).at("ErrorCode") == "InternalFailure");
    CHECK(world.host.accepted == 200);
  }
  SECTION("when nothing was kept the call failed") {
    world.host.refusing_after = 0;
    CHECK(world.refused("PutEvents", entries_of(4, 100'000)).starts_with("InternalException"));
    CHECK(world.host.accepted == 0);
  }
}

TEST_CASE("what all calls hold at once has a bound: further events wait for room") {
  World world;
  make_wide_rules(world, 20);
  world.host.forgetful = true;
  constexpr std::size_t kCalls = 30;
  world.host.commit_gate.close();
  std::vector<std::future<ServiceAnswer>> calls;
  for (std::size_t i = 0; i < kCalls; ++i) calls.push_back(world.begin("PutEvents", entries_of(1, 100'000).dump()));
  world.settle();
  CHECK(world.host.held > eventbridge::kMaxHeldBytes - 20'000'000);
  CHECK(world.host.held < eventbridge::kMaxHeldBytes + 20'000'000);
  world.host.commit_gate.open();
  for (std::size_t i = 0; i < kCalls; ++i) world.settle();
  for (auto& call : calls) {
    REQUIRE(call.wait_for(std::chrono::seconds(0)) == std::future_status::ready);
    CHECK(call.get().status == 200);
  }
  CHECK(world.host.accepted == kCalls * 100);
  CHECK(world.host.most_held < eventbridge::kMaxHeldBytes + 20'000'000);
}

TEST_CASE("an event whose deliveries are more than 64 MiB is refused whole, and spoils no other") {
  World world;
  make_wide_rules(world, 20);
  json entries = entries_of(2, 10);
  // What a delivery counts beside its detail: the rest of the event, and what is held for it.
  const std::size_t most = eventbridge::kMaxEventBytes / 100 - eventbridge::kDeliveryBytes - 188;
  SECTION("at the limit") {
    entries["Entries"][0]["Detail"] = json{{"x", std::string(most - 100, 'x')}}.dump();
    CHECK(world.ask("PutEvents", entries).at("FailedEntryCount") == 0);
    CHECK(world.host.accepted == 200);
  }
  SECTION("above") {
    entries["Entries"][0]["Detail"] = json{{"x", std::string(most + 100, 'x')}}.dump();
    const json answer = world.ask("PutEvents", entries);
    CHECK(answer.at("Entries").at(0) == json{{"ErrorCode", "InvalidArgument"},
                                             {"ErrorMessage", "The deliveries of the event are more than 64 MiB."}});
    CHECK(answer.at("Entries").at(1).contains("EventId"));
    CHECK(world.host.accepted == 100);
  }
}

namespace {

const std::string kArchive = "arn:aws:events:us-east-1:000000000000:archive/all";

void make_archive(World& world, int days = 0, const std::string& bus = "default") {
  world.ask("CreateArchive", {{"ArchiveName", "all"}, {"EventSourceArn", kBus + bus}, {"RetentionDays", days}});
}
json events_in(World& world) {
  return world.ask("DescribeArchive", {{"ArchiveName", "all"}}).at("EventCount");
}
json a_replay(World& world, const std::string& bus = "default") {
  const WallTime now = world.clock.now().wall;
  return {{"ReplayName", "again"},
          {"EventSourceArn", kArchive},
          {"EventStartTime", seconds(now - std::chrono::hours(1))},
          {"EventEndTime", seconds(now + std::chrono::hours(1))},
          {"Destination", {{"Arn", kBus + bus}}}};
}
/// Copies of the event that was archived last, a millisecond apart.
void fill_archive(World& world, int more) {
  KeptEvent event = world.host.events.back();
  for (int i = 0; i < more; ++i) {
    event.id = ++world.host.last_id;
    event.at += std::chrono::milliseconds(1);
    world.host.events.push_back(event);
  }
}

}  // namespace

TEST_CASE("a start reads nothing of archives; what they have is remembered") {
  World world;
  make_archive(world);
  world.put();
  world.put();
  world.restart();
  CHECK(world.host.read_events == 0);
  CHECK(events_in(world) == 2);
}

TEST_CASE("what an archive keeps no longer goes page by page, each counted off, with all of its millisecond") {
  World world;
  make_archive(world, 1);
  world.put();
  SECTION("one after the other") {
    fill_archive(world, 2500);
  }
  SECTION("all at once") {
    fill_archive(world, 2500);
    for (KeptEvent& event : world.host.events) event.at = world.host.events.front().at;
  }
  world.clock.advance(std::chrono::hours(25));
  world.put();
  const auto size = std::find_if(world.host.remembered.begin(), world.host.remembered.end(),
                                 [](const auto& note) { return note.first.starts_with("size/"); });
  REQUIRE(size != world.host.remembered.end());
  size->second = R"({"events":2502,"bytes":1000000})";
  world.restart();
  CHECK(world.host.events.size() == 1);
  CHECK(world.host.largest_page == 1000);
  CHECK(events_in(world) == 1);
}

TEST_CASE("a deleted archive takes its events with it, also when weir ends in between") {
  World world;
  world.rule("mails");
  make_archive(world);
  world.put();
  fill_archive(world, 3);
  world.host.forgetting = false;
  world.ask("DeleteArchive", {{"ArchiveName", "all"}});
  make_archive(world);
  CHECK(events_in(world) == 0);
  world.clock.advance(std::chrono::seconds(1));
  world.put();
  CHECK(events_in(world) == 1);
  world.host.deliveries.clear();
  world.restart();
  world.ask("StartReplay", a_replay(world));
  world.restart();
  CHECK(world.host.deliveries.size() == 1);  // what the new archive has, and nothing of the old one's
  world.host.forgetting = true;
  world.restart();
  CHECK(world.host.events.size() == 1);
  CHECK(events_in(world) == 1);
  for (const auto& [key, value] : world.host.remembered) CHECK_FALSE(key.starts_with("left-over/"));
}

TEST_CASE("an archive is counted by itself, whatever an earlier one of its name has left behind") {
  World world;
  make_archive(world);
  world.host.commit_gate.close();
  const auto deleted = world.begin("DeleteArchive", R"({"ArchiveName":"all"})");
  const auto put = world.begin("PutEvents", R"({"Entries":[{"Source":"shop","DetailType":"t","Detail":"{}"}]})");
  world.settle();
  world.host.commit_gate.open();
  world.settle();
  make_archive(world);
  CHECK(events_in(world) == 0);
  world.restart();
  CHECK(events_in(world) == 0);
  world.put();
  CHECK(events_in(world) == 1);
  CHECK(world.host.remembered.count("size/all") == 0);
}

TEST_CASE("the count of a weir that counted archives by name is taken over") {
  World world;
  make_archive(world);
  world.host.remembered["size/all"] = R"({"events":7,"bytes":700})";
  world.restart();
  CHECK(events_in(world) == 7);
  world.put();
  world.restart();
  CHECK(events_in(world) == 8);
}

TEST_CASE("who only reads waits for no change") {
  World world;
  world.host.commit_gate.close();
  const auto made = world.begin("CreateEventBus", R"({"Name":"orders"})");
  world.settle();
  CHECK(world.refused("DescribeEventBus", {{"Name", "orders"}}).starts_with("ResourceNotFoundException"));
  CHECK(world.ask("ListEventBuses", json::object()).at("EventBuses").size() == 1);
  world.host.commit_gate.open();
  world.settle();
  CHECK(world.ask("ListEventBuses", json::object()).at("EventBuses").size() == 2);
}

TEST_CASE("lengths are counted in characters") {
  World world;
  const auto archive = [](int euros) {
    std::string description;
    for (int i = 0; i < euros; ++i) description += "\u20ac";
    return json{{"ArchiveName", "all"}, {"EventSourceArn", kBus + "default"}, {"Description", description}};
  };
  const std::string refused = world.refused("CreateArchive", archive(513));
  CHECK(refused.ends_with(
      "...' at 'description' failed to satisfy constraint: Member must have length less than or equal to 512"));
  world.ask("CreateArchive", archive(512));
}

TEST_CASE("a replay whose bus or archive is deleted meanwhile has failed, and says why") {
  World world;
  world.ask("CreateEventBus", {{"Name", "orders"}});
  make_archive(world, 0, "orders");
  world.put("{}", "orders");
  const auto started = world.begin("StartReplay", a_replay(world, "orders").dump());
  std::string why;
  SECTION("its bus") {
    const auto deleted = world.begin("DeleteEventBus", R"({"Name":"orders"})");
    world.settle();
    why = "Event bus orders does not exist.";
  }
  SECTION("its archive") {
    const auto deleted = world.begin("DeleteArchive", R"({"ArchiveName":"all"})");
    world.settle();
    why = "Archive all does not exist.";
  }
  const json replay = world.ask("DescribeReplay", {{"ReplayName", "again"}});
  CHECK(replay.at("State") == "FAILED");
  CHECK(replay.at("StateReason") == why);
  CHECK(replay.contains("ReplayEndTime"));
  world.restart();
  CHECK(world.ask("ListReplays", {{"State", "FAILED"}}).at("Replays").at(0).at("StateReason") == why);
}

TEST_CASE("a replay goes on in steps that one commit takes") {
  World world;
  make_archive(world);
  world.put(json{{"x", std::string(100'000, 'x')}}.dump());
  fill_archive(world, 4);
  make_wide_rules(world, 20);
  world.ask("StartReplay", a_replay(world));
  world.settle();
  CHECK(world.host.accepted == 500);
  CHECK(world.host.commits == 1 + 3);  // its start; two events, two, and one
  CHECK(world.ask("DescribeReplay", {{"ReplayName", "again"}}).at("State") == "COMPLETED");
}

TEST_CASE("a function that the configuration has no more is gone: its deliveries are dead letters that say which") {
  World world;
  world.rule("mails", {{"Id", "t"}, {"Arn", kReal}, {"DeadLetterConfig", {{"Arn", kQueue}}}});
  world.put();
  CHECK(world.host.deliveries.at(0).target == "lambda:real");
  world.host.configured = false;
  world.put();
  const ServiceDelivery& lost = world.host.deliveries.at(1);
  CHECK(lost.target == "lambda:" + kReal);  // a name and qualifier that no function has
  CHECK(lost.dead_letter == "sqs:" + kQueue);
  CHECK(lost.dead_letter_attributes.at("TARGET_ARN").value == kReal);
}

TEST_CASE("what is read at a start waits for the calls of an earlier one") {
  World world;
  world.ask("CreateEventBus", {{"Name", "orders"}});
  world.host.commit_gate.close();
  const auto deleted = world.begin("DeleteEventBus", R"({"Name":"orders"})");
  world.settle();
  world.end_run();
  world.host.notes_gate.close();
  world.run();
  CHECK_FALSE(world.service->ready());
  world.host.commit_gate.open();
  world.settle();
  world.host.notes_gate.open();
  world.settle();
  REQUIRE(world.service->ready());
  CHECK(world.refused("DescribeEventBus", {{"Name", "orders"}}) ==
        "ResourceNotFoundException: Event bus orders does not exist.");
}

TEST_CASE("what a PutEvents of ten entries costs with a hundred rules, for perf", "[.bench]") {
  std::vector<ServiceSource> sources;
  for (int i = 0; i < 100; ++i) {
    auto config = std::make_shared<eventbridge::EventBridgeConfig>();
    config->bus = "default";
    config->pattern =
        json{{"source", {"shop." + std::to_string(i % 10)}}, {"detail-type", {"Kind " + std::to_string(i)}}}.dump();
    sources.push_back({"rule-" + std::to_string(i), "f", config});
  }
  World world(std::move(sources));
  world.host.forgetful = true;
  json entries = json::array();
  for (int i = 0; i < 10; ++i) {
    const json detail{
        {"orderId", "o-1"}, {"total", 12.5}, {"country", "SE"}, {"items", {{{"sku", "a"}, {"count", 1}}}}};
    entries.push_back({{"Source", "shop." + std::to_string(i)},
                       {"DetailType", "Kind " + std::to_string(11 * i)},
                       {"Detail", detail.dump()}});
  }
  const std::string body = json{{"Entries", entries}}.dump();
  constexpr int kCalls = 20'000;
  for (int i = 0; i < kCalls; ++i) REQUIRE(world.answer("PutEvents", body).status == 200);
  CHECK(world.host.accepted == 10 * kCalls);
}
