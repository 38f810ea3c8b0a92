// Services in a running bridge: what they send is kept with what they remember, and comes to its target or to an end
// that somebody can see. When it is tried again is tested in tests/engine and tests/simulation.
#include <deque>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <boost/asio/detached.hpp>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "bridge/world.h"
#include "http/server.h"
#include "service/answers.h"
#include "service/fed_source.h"
#include "support/print.h"

using namespace weir;
using namespace std::chrono_literals;
using weir::test::World;

namespace {

/// What a test wants of the services and destinations of the next lives; and what happened to them.
struct Script {
  std::deque<Error> run_failures;   ///< each life of the service fails with the next one, before it is ready
  bool slow = false;                ///< it does not become ready
  std::deque<Error> take_failures;  ///< each message is answered with the next one
  bool hangs = false;               ///< messages are taken by nobody, until they are called off
  int hanging = 0;
  std::vector<std::string> left;             ///< what left the process: "TARGET: MESSAGE"
  std::map<std::string, int> away_failures;  ///< how many times a destination fails for now
  int clients = 0;                           ///< of destinations, that are there
};
Script script;

/// A service with one resource, "fake:box", whose messages go where `onward` says. Its API commits what a test gave.
class FakeService final : public Service {
 public:
  explicit FakeService(ServiceContext context) : context_(std::move(context)) { latest = this; }

  net::awaitable<Result<void>> run(ServiceHost& host) override {
    if (!script.run_failures.empty()) {
      const Error failure = script.run_failures.front();
      script.run_failures.pop_front();
      co_return failure;
    }
    while (script.slow) co_await net::post(net::use_awaitable);
    auto notes = co_await host.notes();
    if (!notes) co_return std::move(notes.error());
    remembered = std::move(*notes);
    host_ = &host;
    ready_ = true;
    struct Away {
      bool& ready;
      ~Away() { ready = false; }
    } away{ready_};
    co_await service::wait_for_ever(context_.executor);
    co_return Result<void>();
  }
  net::awaitable<ServiceAnswer> call(ServiceHost& host, ServiceCall asked) override {
    auto kept = co_await host.commit(std::move(next));
    if (!kept) co_return service::json_error(service::not_kept(kept.error(), "InternalException"));
    co_return service::json_answer("{\"operation\":\"" + asked.operation + "\"}");
  }
  bool ready() const override { return ready_; }
  bool owns(std::string_view target) const override { return ready_ && (target == "fake:box" || target == kMade); }
  net::awaitable<Result<void>> take(ServiceHost& host, std::string, DestinationRecord message) override {
    if (!script.take_failures.empty()) {
      const Error failure = script.take_failures.front();
      script.take_failures.pop_front();
      co_return failure;
    }
    if (script.hangs) {
      ++script.hanging;
      co_await service::wait_for_ever(context_.executor);
    }
    taken.push_back(message.record);
    ServiceCommit what;
    if (!onward.empty()) {
      ServiceDelivery delivery;
      delivery.target = onward;
      delivery.payload = message.record;
      delivery.trace_header = message.trace_header;
      what.deliveries.push_back(std::move(delivery));
    }
    co_return co_await host.commit(std::move(what));
  }

  static constexpr std::string_view kMade = "fake:arn:aws:fakes:us-east-1:000000000000:made-by-the-API";
  static FakeService* latest;
  ServiceCommit next;
  std::map<std::string, std::string> remembered;
  std::vector<std::string> taken;
  std::string onward;
  ServiceHost& host() { return *host_; }
  const std::vector<ServiceSource>& sources() const { return context_.sources; }

 private:
  ServiceContext context_;
  ServiceHost* host_ = nullptr;
  bool ready_ = false;
};

FakeService* FakeService::latest = nullptr;

std::unique_ptr<Service> make_fake(ServiceContext context) {
  return std::make_unique<FakeService>(std::move(context));
}

const std::array kServices{
    ServiceEntry{"fakes", "fake", test::kFakePush.type, "Fakes", "", {}, {}, "For tests.", &make_fake}};

/// Stands for AWS.
class Away final : public Destination {
 public:
  explicit Away(std::string target) : target_(std::move(target)) { ++script.clients; }
  ~Away() override { --script.clients; }
  net::awaitable<Result<void>> deliver(DestinationRecord record) override {
    if (int& failures = script.away_failures[target_]; failures > 0) {
      --failures;
      co_return Error(ErrorCode::kDestinationFailed, "try again");
    }
    script.left.push_back(target_ + ": " + record.record);
    co_return Result<void>();
  }
  net::awaitable<void> close() override { co_return; }

 private:
  std::string target_;
};

Result<std::unique_ptr<Destination>> make_away(std::string target, DestinationContext) {
  return std::make_unique<Away>(std::move(target));
}

constexpr std::array kDestinations{DestinationEntry{"away", "what is elsewhere", nullptr, &make_away},
                                   DestinationEntry{"fake", "what is elsewhere", nullptr, &make_away}};

ServiceDelivery delivery(const std::string& target, const std::string& payload = "{}") {
  ServiceDelivery made;
  made.target = target;
  made.payload = payload;
  return made;
}

std::string contents(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// A bridge with the service; what a test wants sent is sent as soon as it runs.
class ServiceWorld : public World {
 public:
  ServiceWorld() {
    World::services = kServices;
    config().destinations = kDestinations;
    script = Script();
  }

  FakeService& service() { return *FakeService::latest; }
  bool began() { return service().ready() && bridge().status().ready; }
  /// Commits as a call of the API does, once the service has begun.
  void send(std::vector<ServiceDelivery> deliveries, std::vector<SourceNote> notes = {}) {
    net::co_spawn(context(), put(std::move(deliveries), std::move(notes)), net::detached);
  }
  std::vector<int> statuses;

  bridge::DeliveryStatus deliveries(const std::string& target) {
    for (bridge::DeliveryStatus& each : bridge().status().deliveries) {
      if (each.target == target) return each;
    }
    return {};
  }
  int attempts(const std::string& target) { return static_cast<int>(deliveries(target).figures.attempts); }
  std::vector<store::DeadLetter> letters() { return store().list_dead_letters({}, 100, true).value(); }

 private:
  net::awaitable<void> put(std::vector<ServiceDelivery> deliveries, std::vector<SourceNote> notes) {
    while (!began()) co_await net::post(net::use_awaitable);
    service().next = ServiceCommit();
    service().next.deliveries = std::move(deliveries);
    service().next.notes = std::move(notes);
    ServiceCall call;
    call.operation = "Send";
    const ServiceAnswer answer = co_await bridge().call(kServices[0], std::move(call));
    statuses.push_back(answer.status);
  }
};

/// A server whose next answers a test says; without one it says 200.
class Endpoint {
 public:
  explicit Endpoint(net::io_context& context) : context_(context) {
    auto listening = http::Server::listen(context.get_executor(), "127.0.0.1:0",
                                          [this](http::Request request) -> net::awaitable<http::Response> {
                                            requests.push_back(std::move(request));
                                            while (waits) {
                                              net::steady_timer turn(context_.get_executor(), 1ms);
                                              co_await turn.async_wait(net::use_awaitable);
                                            }
                                            int status = 200;
                                            if (!statuses.empty()) {
                                              status = statuses.front();
                                              statuses.erase(statuses.begin());
                                            }
                                            co_return http::Response(status, "text/plain", "said");
                                          },
                                          {});
    server_ = std::move(*listening);
    address_ = server_->address();
  }
  std::string url() const { return "http://" + address_ + "/in?token=secret"; }
  std::string shown() const { return "http:http://" + address_ + "/in"; }
  net::awaitable<void> close() { return server_->close(); }
  void answer() { waits = false; }
  bool waits = false;  ///< requests get no answer
  std::vector<int> statuses;
  std::vector<http::Request> requests;

 private:
  net::io_context& context_;
  std::unique_ptr<http::Server> server_;
  std::string address_;
};

}  // namespace

TEST_CASE("what a service sends to functions are asynchronous invocations, counted for their source") {
  ServiceWorld world;
  world.announcer("fed");
  world.start();
  ServiceDelivery first = delivery("lambda:f", R"({"n":1})");
  first.source = "fed";
  world.send({first, delivery("lambda:f:$LATEST", R"({"n":2})")});
  world.run_until([&] { return world.queue().figures.succeeded == 2; });
  CHECK(world.statuses == std::vector<int>{200});
  CHECK(world.source("fed").pushed->accepted == 1);
  REQUIRE(world.service().sources().size() == 1);
  CHECK(world.service().sources()[0].function == "f");
  CHECK(world.letters().empty());
}

TEST_CASE("what a service remembers is kept with what it sends, and is there in its next life") {
  ServiceWorld world;
  world.start();
  world.send({delivery("lambda:f")}, {{"topic/orders", "{}"}, {"topic/gone", std::nullopt}});
  world.run_until([&] { return world.queue().figures.succeeded == 1; });
  world.stop();
  world.start();
  world.run_until([&] { return world.service().ready(); });
  CHECK(world.service().remembered == std::map<std::string, std::string>{{"topic/orders", "{}"}});
}

TEST_CASE("what a service sends elsewhere comes to its destination") {
  ServiceWorld world;
  world.start();
  world.send({delivery("file:" + world.path("out.jsonl"), R"({"n":1})")});
  world.run_until([&] { return world.deliveries("file:" + world.path("out.jsonl")).figures.delivered == 1; });
  CHECK(contents(world.path("out.jsonl")) == "{\"n\":1}\n");
}

TEST_CASE("a function that is not there takes nothing: the delivery ends at once where its rules say") {
  ServiceWorld world;
  world.start();
  ServiceDelivery gone = delivery("lambda:nobody", R"({"n":1})");
  SECTION("as a dead letter, which says why") {
    gone.rules.phases = {{3, 1h, 1h, Backoff::kLinear}};
    world.send({gone});
    world.run_until([&] { return world.deliveries("lambda:nobody").figures.refused == 1; });
    const auto kept = world.letters();
    REQUIRE(kept.size() == 1);
    CHECK(kept[0].function == "lambda:nobody");
    const auto record = nlohmann::json::parse(kept[0].record);
    CHECK(record["target"] == "lambda:nobody");
    CHECK(record["condition"] == "Refused");
    CHECK(record["attempts"] == 1);
    CHECK(record["errorCode"] == "NO_RESOURCE");
  }
  SECTION("at its dead-letter destination, with a body of its own") {
    gone.dead_letter = "file:" + world.path("dead.jsonl");
    gone.dead_letter_body = R"({"about":1})";
    world.send({gone});
    world.run_until([&] { return world.deliveries("lambda:nobody").figures.refused == 1; });
    CHECK(contents(world.path("dead.jsonl")) == "{\"about\":1}\n");
    CHECK(world.letters().empty());
  }
  SECTION("as a dead letter after all, when that destination takes nothing") {
    gone.dead_letter = "file:" + world.path("no-such-folder/dead.jsonl");
    world.send({gone});
    world.run_until([&] { return world.deliveries("lambda:nobody").figures.refused == 1; });
    CHECK(world.deliveries("lambda:nobody").dead_letter_errors == 1);
    CHECK(world.letters().size() == 1);
  }
}

TEST_CASE("a delivery that fails is tried again by its rules, and a dead letter can be sent again") {
  ServiceWorld world;
  world.start();
  const std::string target = "file:" + world.path("folder/out.jsonl");
  ServiceDelivery failing = delivery(target, R"({"n":1})");
  failing.rules.phases = {{2, 1ms, 1ms, Backoff::kLinear}};
  world.send({failing});
  world.run_until([&] { return world.deliveries(target).figures.exhausted == 1; });
  const auto record = nlohmann::json::parse(world.letters().at(0).record);
  CHECK(record["condition"] == "MaximumRetryAttempts");
  CHECK(record["attempts"] == 3);
  world.stop();

  std::filesystem::create_directory(world.path("folder"));
  world.start();
  std::size_t count = 0;
  net::co_spawn(
      world.context(),
      [](ServiceWorld& here, std::size_t& redriven) -> net::awaitable<void> {
        while (!here.began()) co_await net::post(net::use_awaitable);
        redriven = (co_await here.bridge().redrive({})).value().count;
      }(world, count),
      net::detached);
  world.run_until([&] { return world.deliveries(target).figures.delivered == 1; });
  CHECK(count == 1);
  CHECK(contents(world.path("folder/out.jsonl")) == "{\"n\":1}\n");
  CHECK(world.letters().empty());
}

TEST_CASE("a delivery that waits outlives weir, with its rules") {
  ServiceWorld world;
  world.start();
  const std::string target = "file:" + world.path("folder/out.jsonl");
  ServiceDelivery failing = delivery(target, R"({"n":1})");
  failing.rules.phases = {{1, 200ms, 200ms, Backoff::kLinear}};
  world.send({failing});
  world.run_until([&] { return world.deliveries(target).figures.attempts == 1; });
  world.stop();
  std::filesystem::create_directory(world.path("folder"));
  world.start();
  world.run_until([&] { return world.deliveries(target).figures.delivered == 1; });
  CHECK(world.deliveries(target).figures.restored == 1);
  CHECK(contents(world.path("folder/out.jsonl")) == "{\"n\":1}\n");
}

TEST_CASE("HTTP endpoints: what they say decides") {
  ServiceWorld world;
  Endpoint endpoint(world.context());
  world.start();
  ServiceDelivery post = delivery("http:" + endpoint.url(), "hello");
  post.details.headers = {{"x-amz-sns-message-type", "Notification"}, {"Content-Type", "text/plain"}};
  post.rules.phases = {{2, 1ms, 1ms, Backoff::kLinear}};
  const auto figures = [&] { return world.deliveries(endpoint.shown()).figures; };
  const auto close = [&] {
    world.bridge().request_stop();
    net::co_spawn(world.context(), endpoint.close(), net::detached);
  };
  SECTION("200 after a 500 and a 429") {
    endpoint.statuses = {500, 429};
    world.send({post});
    world.run_until([&] { return figures().delivered == 1; }, close);
    REQUIRE(endpoint.requests.size() == 3);
    CHECK(endpoint.requests[2].method == "POST");
    CHECK(endpoint.requests[2].target == "/in?token=secret");
    CHECK(endpoint.requests[2].body == "hello");
    CHECK(endpoint.requests[2].headers.get("x-amz-sns-message-type") == "Notification");
    CHECK(figures().attempts == 3);
  }
  SECTION("404 is for good") {
    endpoint.statuses = {404};
    world.send({post});
    world.run_until([&] { return figures().refused == 1; }, close);
    CHECK(endpoint.requests.size() == 1);
    CHECK(nlohmann::json::parse(world.letters().at(0).record)["errorMessage"] == "status 404: said");
  }
  SECTION("503 to the end") {
    endpoint.statuses = {503, 503, 503};
    world.send({post});
    world.run_until([&] { return figures().exhausted == 1; }, close);
    CHECK(endpoint.requests.size() == 3);
  }
}

TEST_CASE("a destination that a service of weir's own has stays in the process") {
  ServiceWorld world;
  world.config().functions.at("f").async.on_success = "fake:box";
  world.start();
  world.send({delivery("lambda:f", "1")});
  world.run_until([&] { return world.service().taken.size() == 1 && world.queue().figures.succeeded == 1; });
  CHECK(nlohmann::json::parse(world.service().taken[0])["requestPayload"] == 1);
}

TEST_CASE("a function and a service that hand on to each other for ever are stopped as Lambda stops a loop") {
  ServiceWorld world;
  world.config().functions.at("f").async.on_success = "fake:box";
  world.start();
  world.service().onward = "lambda:f";
  world.send({delivery("lambda:f", "1")});
  world.run_until([&] { return world.queue().figures.recursive == 1 && world.queue().figures.ending == 0; });
  CHECK(world.function->calls.size() <= 17);
  CHECK(world.function->calls.size() >= 8);
  CHECK(nlohmann::json::parse(world.letters().at(0).record)["requestContext"]["condition"] == "RecursiveInvocation");
}

// ---- Begin and end ----

namespace {

/// What an earlier life has left: a message to a target of the service that only its API made.
void leave_a_delivery(ServiceWorld& world, const std::string& target) {
  script.take_failures = {Error(ErrorCode::kStoreFull, "no room")};
  world.start();
  world.send({delivery(target, "1")});
  world.run_until([&] { return world.attempts(target) == 1 && world.deliveries(target).figures.in_flight == 0; });
  world.stop();
}

}  // namespace

TEST_CASE("what an earlier life left for a service waits until the service has read what it remembers") {
  ServiceWorld world;
  const std::string target = GENERATE(as<std::string>(), std::string(FakeService::kMade), "fake:box");
  leave_a_delivery(world, target);
  script.slow = true;
  world.start();
  int turns = 0;
  world.run_until([&] { return world.bridge().status().ready && ++turns == 1000; },
                  [&] {
                    CHECK(world.attempts(target) == 0);
                    script.slow = false;
                    net::co_spawn(
                        world.context(),
                        [](ServiceWorld& here) -> net::awaitable<void> {
                          while (here.service().taken.empty()) co_await net::post(net::use_awaitable);
                          here.bridge().request_stop();
                        }(world),
                        net::detached);
                  });
  CHECK(world.service().taken == std::vector<std::string>{"1"});
  CHECK(world.attempts(target) == 1);
  CHECK(script.left.empty());
  CHECK(world.letters().empty());
}

TEST_CASE("an event that ends before the service has begun does not end at another one's") {
  ServiceWorld world;
  world.config().functions.at("f").async.on_success = GENERATE(as<std::string>(), "fake:box", FakeService::kMade);
  script.slow = true;
  world.start();
  world.World::send("f", "1");
  int turns = 0;
  world.run_until([&] {
    if (world.function->calls.size() == 1 && ++turns == 1000) script.slow = false;
    return world.queue().figures.succeeded == 1;
  });
  CHECK(world.service().taken.size() == 1);
  CHECK(script.left.empty());
}

TEST_CASE("a service that cannot begin holds up nobody, and what is its own waits without using up an attempt") {
  ServiceWorld world;
  leave_a_delivery(world, std::string(FakeService::kMade));
  script.run_failures = {Error(ErrorCode::kStoreFailed, "unreadable"), Error(ErrorCode::kStoreFailed, "unreadable")};
  world.start();
  const std::string out = "file:" + world.path("out.jsonl");
  const bridge::ServiceStatus failed = [&] {
    bridge::ServiceStatus seen;
    world.World::send("f", "1");
    world.run_until([&] {
      const bridge::BridgeStatus now = world.bridge().status();
      if (!now.services[0].error.empty()) seen = now.services[0];
      return !world.service().taken.empty();
    });
    return seen;
  }();
  CHECK_FALSE(failed.ready);
  CHECK(failed.error == "store.failed: unreadable");
  CHECK(world.function->calls.size() == 1);
  CHECK(world.service().taken == std::vector<std::string>{"1"});
  CHECK(world.attempts(std::string(FakeService::kMade)) > 1);
  CHECK(world.letters().empty());
}

TEST_CASE("what is of weir's own account and not there is refused, not looked for elsewhere") {
  ServiceWorld world;
  world.start();
  const std::string nowhere = "fake:arn:aws:fakes:us-east-1:000000000000:nothing";
  const std::string elsewhere = "fake:arn:aws:fakes:eu-west-1:123456789012:made";
  script.take_failures = {Error(ErrorCode::kDestinationGone, "there is no such thing")};
  world.send({delivery(nowhere, "1"), delivery(elsewhere, "2"), delivery("fake:unknown", "3")});
  world.run_until([&] {
    return world.deliveries(nowhere).figures.refused == 1 && world.deliveries(elsewhere).figures.delivered == 1 &&
           world.deliveries("fake:unknown").figures.delivered == 1;
  });
  CHECK(script.left == std::vector<std::string>{"arn:aws:fakes:eu-west-1:123456789012:made: 2", "unknown: 3"});
}

TEST_CASE("where something stands in for AWS, what is not weir's own is looked for there, with whatever ARN") {
  ServiceWorld world;
  world.config().aws.endpoint_url = "http://127.0.0.1:4566";
  world.start();
  const std::string there = "fake:arn:aws:fakes:us-east-1:000000000000:there";
  world.send({delivery(there, "1"), delivery(std::string(FakeService::kMade), "2")});
  world.run_until([&] {
    return world.deliveries(there).figures.delivered == 1 &&
           world.deliveries(std::string(FakeService::kMade)).figures.delivered == 1;
  });
  CHECK(script.left == std::vector<std::string>{"arn:aws:fakes:us-east-1:000000000000:there: 1"});
}

TEST_CASE("weir's own trouble uses up no attempt") {
  ServiceWorld world;
  world.start();
  script.take_failures = {Error(ErrorCode::kStoreFull, "no room")};
  world.send({delivery("fake:box", "1")});  // its rules have one attempt
  world.run_until([&] { return world.deliveries("fake:box").figures.delivered == 1; });
  CHECK(world.attempts("fake:box") == 2);
  CHECK(world.letters().empty());
}

TEST_CASE("an invocation that ends while weir stops comes to the service that its destination is") {
  ServiceWorld world;
  world.config().functions.at("f").async.on_success = "fake:box";
  world.start();
  world.function->hang_next();
  world.World::send("f", "1");
  std::vector<int> refused;
  world.run_until([&] { return world.function->calls.size() == 1 && world.began(); },
                  [&] {
                    world.bridge().request_stop();
                    net::co_spawn(
                        world.context(),
                        [](ServiceWorld& here, std::vector<int>& statuses) -> net::awaitable<void> {
                          for (int turn = 0; turn < 100; ++turn) co_await net::post(net::use_awaitable);
                          ServiceCall call;
                          const ServiceAnswer answer = co_await here.bridge().call(kServices[0], std::move(call));
                          statuses.push_back(answer.status);
                          here.function->finish();
                        }(world, refused),
                        net::detached);
                  });
  CHECK(refused == std::vector<int>{503});  // what is new
  CHECK(world.service().taken.size() == 1);
  world.stop();
  world.start();
  world.run_until([&] { return world.began(); });
  CHECK(world.queue().figures.restored == 0);
  CHECK(world.function->calls.empty());
}

TEST_CASE("a service that takes nothing and does not end cannot hold up the end") {
  ServiceWorld world;
  world.config().functions.at("f").async.on_success = "fake:box";
  script.hangs = true;
  const bool again = GENERATE(true, false);
  if (!again) world.config().shutdown_grace = 50ms;
  world.start();
  world.World::send("f", "1");
  world.send({delivery("fake:box", "2")});
  world.run_until([&] { return script.hanging == 2; },
                  [&] {
                    world.bridge().request_stop();
                    if (again) world.bridge().request_stop();
                  });
  CHECK(world.log.count("bridge.cancelled") == 1);
  world.stop();
  script.hangs = false;
  world.start();  // both are there, and end now
  world.run_until([&] { return world.service().taken.size() == 2; });
  CHECK(world.queue().figures.restored == 1);
  CHECK(world.deliveries("fake:box").figures.restored == 1);
}

TEST_CASE("a call under way has the patience of a stop") {
  ServiceWorld world;
  Endpoint endpoint(world.context());
  world.start();
  world.send({delivery("http:" + endpoint.url(), "1")});
  const auto begun = [&] { return endpoint.requests.size() == 1; };
  const auto end = [&](int stops) {
    for (int i = 0; i < stops; ++i) world.bridge().request_stop();
    net::co_spawn(
        world.context(),
        [](ServiceWorld& here, Endpoint& there, bool answers) -> net::awaitable<void> {
          for (int turn = 0; turn < 100; ++turn) co_await net::post(net::use_awaitable);
          if (answers) there.answer();
          while (here.deliveries(there.shown()).figures.in_flight > 0) co_await net::post(net::use_awaitable);
          there.answer();
          co_await there.close();
        }(world, endpoint, stops == 1),
        net::detached);
  };
  endpoint.waits = true;
  SECTION("it is answered in time: delivered") {
    world.run_until(begun, [&] { end(1); });
    CHECK(world.deliveries(endpoint.shown()).figures.delivered == 1);
  }
  SECTION("weir is stopped again: called off, and there in the next life") {
    world.run_until(begun, [&] { end(2); });
    CHECK(world.deliveries(endpoint.shown()).figures.waiting == 1);
  }
}

TEST_CASE("a dead-letter destination that fails for now is tried again") {
  ServiceWorld world;
  script.away_failures["dead"] = 1;
  world.start();
  ServiceDelivery gone = delivery("lambda:nobody", "1");
  gone.dead_letter = "away:dead";
  world.send({gone});
  world.run_until([&] { return world.deliveries("lambda:nobody").figures.refused == 1; });
  CHECK(script.left == std::vector<std::string>{"dead: 1"});
  CHECK(world.deliveries("lambda:nobody").dead_letter_errors == 0);
  CHECK(world.letters().empty());
}

TEST_CASE("of many targets those that were used least recently are forgotten, with their clients") {
  ServiceWorld world;
  world.start();
  const auto some = [](int from, int to) {
    std::vector<ServiceDelivery> deliveries;
    for (int i = from; i < to; ++i) deliveries.push_back(delivery("away:" + std::to_string(i), "1"));
    return deliveries;
  };
  world.send(some(0, 1000));
  bool more = true;
  const auto delivered = [&] {
    std::uint64_t sum = 0;
    for (const bridge::DeliveryStatus& each : world.bridge().status().deliveries) sum += each.figures.delivered;
    return sum;
  };
  world.run_until([&] {
    if (more && script.left.size() == 1000 && delivered() == 1000) {
      more = false;
      CHECK(world.bridge().status().deliveries.size() == 1000);
      world.send(some(1000, 1003));
    }
    if (script.left.size() < 1003 || world.deliveries("away:1002").figures.delivered == 0) return false;
    CHECK(world.bridge().status().deliveries.size() == 1000);
    CHECK(script.clients == 1000);
    return true;
  });
}

TEST_CASE("targets by their ARNs") {
  const std::string arn = "arn:aws:lambda:eu-west-1:123456789012:function:billing:live";
  const SystemClock clock;
  bridge::Invoker invoker(10, clock, 1);
  REQUIRE(invoker.put("billing", nullptr, std::nullopt, arn));
  const auto target_of = [&](std::string_view text) {
    return bridge::target_of(text, [&](std::string_view wanted) { return invoker.with_arn(wanted); });
  };
  CHECK(target_of("arn:aws:lambda:us-east-1:000000000000:function:f") == "lambda:f");
  CHECK(target_of("arn:aws:lambda:us-east-1:000000000000:function:f:live") == "lambda:f:live");
  CHECK(target_of(arn) == "lambda:billing");
  CHECK(target_of("arn:aws:lambda:eu-west-1:123456789012:function:other").empty());
  CHECK(target_of("arn:aws:sqs:eu-west-1:1:q") == "sqs:arn:aws:sqs:eu-west-1:1:q");
  CHECK(target_of("arn:aws:events:us-east-1:000000000000:event-bus/b") ==
        "eventbridge:arn:aws:events:us-east-1:000000000000:event-bus/b");
  CHECK(target_of("arn:aws:states:us-east-1:000000000000:stateMachine:m").empty());
  CHECK(target_of("rubbish").empty());
}
