// Functions that come, change and go while weir runs: versions, aliases, and what becomes of calls and events.
#include <algorithm>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "bridge/world.h"
#include "support/print.h"

using namespace weir;
using weir::test::World;

namespace {

config::CommandFunction code(const std::string& program) {
  config::CommandFunction function;
  function.command = {program};
  return function;
}

config::FunctionPlan plan(const std::string& name, std::map<std::string, config::CommandFunction> versions) {
  config::FunctionPlan made;
  made.name = name;
  made.versions = std::move(versions);
  return made;
}

Invocation call(const std::string& function, const std::string& qualifier) {
  Invocation made;
  made.function = function;
  made.qualifier = qualifier;
  made.request_id = "id";
  made.payload = "1";
  return made;
}

/// A bridge with the function "f" of its configuration, and calls of others that run beside the test.
class Functions : public World {
 public:
  /// Begins a call; its outcome comes later.
  void begin(const std::string& name, const std::string& qualifier) {
    net::co_spawn(context(), one(call(name, qualifier)), net::detached);
  }
  /// Begins calls, and runs the bridge until all calls so far have ended.
  void run_calls() {
    run_until([this] { return bridge().status().ready && outcomes.size() == begun; });
  }
  std::vector<Outcome> outcomes;
  std::size_t begun = 0;

 private:
  net::awaitable<void> one(Invocation what) {
    ++begun;
    outcomes.push_back(co_await bridge().invoke(std::move(what)));
  }
};

std::string executed(const Outcome& outcome) {
  if (std::holds_alternative<Succeeded>(outcome.what)) return outcome.executed_version;
  if (const auto* failed = std::get_if<ServiceFailed>(&outcome.what)) {
    return std::to_string(failed->status) + " " + failed->type + " " + failed->message;
  }
  return std::string(kind(outcome));
}

}  // namespace

TEST_CASE("a call goes to the version that its qualifier means, and says which it was") {
  struct Row {
    std::string qualifier;
    std::string made;      ///< which endpoint runs it
    std::string executed;  ///< what the answer says
  };
  const auto row = GENERATE(values<Row>({
      {"", "g:$LATEST", "$LATEST"},
      {"$LATEST", "g:$LATEST", "$LATEST"},
      {"1", "g:1", "1"},
      {"live", "g:1", "1"},
      {"next", "g:$LATEST", "$LATEST"},
      {"2", "", "404 ResourceNotFoundException Function not found: arn:aws:lambda:us-east-1:000000000000:function:g:2"},
      {"lost", "",
       "404 ResourceNotFoundException Function not found: arn:aws:lambda:us-east-1:000000000000:function:g:lost"},
  }));
  INFO(row.qualifier);
  Functions world;
  world.start();
  config::FunctionPlan g = plan("g", {{"$LATEST", code("b")}, {"1", code("a")}});
  g.aliases["live"] = {"1", "", 0};
  g.aliases["next"] = {"$LATEST", "", 0};
  world.bridge().put(g);
  CHECK(world.bridge().knows("g", row.qualifier) == !row.made.empty());
  world.begin("g", row.qualifier);
  world.run_calls();
  REQUIRE(world.outcomes.size() == 1);
  CHECK(executed(world.outcomes[0]) == row.executed);
  if (!row.made.empty()) {
    // The function sees the ARN as it was called.
    CHECK(world.versions.at(row.made)->qualifiers == std::vector<std::string>{row.qualifier});
  }
}

TEST_CASE("a weighted alias divides its calls by chance, each call anew") {
  Functions world;
  world.start();
  config::FunctionPlan g = plan("g", {{"$LATEST", code("c")}, {"1", code("a")}, {"2", code("b")}});
  g.aliases["live"] = {"1", "2", GENERATE(0.0, 0.25, 1.0)};
  world.bridge().put(g);
  constexpr int kCalls = 400;
  for (int i = 0; i < kCalls; ++i) world.begin("g", "live");
  world.run_calls();
  const auto second = std::count_if(world.outcomes.begin(), world.outcomes.end(),
                                    [](const Outcome& outcome) { return executed(outcome) == "2"; });
  const double share = static_cast<double>(second) / kCalls;
  const double weight = g.aliases["live"].weight;
  CHECK(share == Approx(weight).margin(weight == 0.25 ? 0.12 : 0.0));
  CHECK(world.versions.at("g:1")->calls.size() + world.versions.at("g:2")->calls.size() == kCalls);
  // The figures tell the versions that ran apart (monitoring-metrics-view: Resource and ExecutedVersion).
  const auto functions = world.bridge().status().functions;
  const auto of_g = std::find_if(functions.begin(), functions.end(), [](const auto& each) { return each.name == "g"; });
  REQUIRE(of_g != functions.end());
  REQUIRE(of_g->resources.size() == 1);
  const engine::ResourceFigures& live = of_g->resources.at("live");
  const auto ran = [&](const std::string& version) {
    const auto found = live.by_version.find(version);
    return found == live.by_version.end() ? 0 : static_cast<int>(found->second.invocations());
  };
  CHECK(ran("1") == static_cast<int>(world.versions.at("g:1")->calls.size()));
  CHECK(ran("2") == static_cast<int>(second));
  CHECK(live.executing == 0);
  CHECK(live.executing_max > 0);
}

TEST_CASE("what changes in a plan gets new environments at once, what runs ends on the old ones, the rest is kept") {
  Functions world;
  world.start();
  world.bridge().put(plan("g", {{"$LATEST", code("old")}, {"1", code("one")}}));
  test::FakeEndpoint* old = world.versions.at("g:$LATEST");
  old->hang_next();
  world.begin("g", "");
  bool changed = false;
  world.run_until([&] {
    if (!changed && old->calls.size() == 1) {
      changed = true;
      world.bridge().put(plan("g", {{"$LATEST", code("new")}, {"1", code("one")}}));
      CHECK(world.closed.empty());  // it runs a call
      world.begin("g", "");
    }
    // The new one has answered before the old one does.
    if (changed && world.outcomes.size() == 1 && !old->closed) old->finish();
    return world.outcomes.size() == 2 && world.closed.size() == 1;
  });
  CHECK(world.endpoints == std::vector<std::string>{"f:$LATEST", "g:$LATEST", "g:1", "g:$LATEST"});
  CHECK(world.versions.at("g:$LATEST")->calls.size() == 1);
  CHECK(executed(world.outcomes[0]) == "$LATEST");
  CHECK(executed(world.outcomes[1]) == "$LATEST");
  CHECK(world.closed.front() == "g:$LATEST");
  // At the end all of them are, each once.
  CHECK(world.closed.size() == 4);
}

TEST_CASE("code that is another replaces the environments of $LATEST, with equal settings") {
  Functions world;
  world.start();
  world.bridge().put(plan("g", {{"$LATEST", code("a")}, {"1", code("a")}}));
  world.bridge().renew("g");
  world.bridge().renew("nobody");
  CHECK(world.endpoints == std::vector<std::string>{"f:$LATEST", "g:$LATEST", "g:1", "g:$LATEST"});
  world.begin("g", "");
  world.run_calls();
  CHECK(executed(world.outcomes[0]) == "$LATEST");
  CHECK(std::count(world.closed.begin(), world.closed.end(), "g:$LATEST") == 2);
}

TEST_CASE("a function that is gone ends what it runs, and is not found any more") {
  Functions world;
  world.start();
  world.bridge().put(plan("g", {{"$LATEST", code("a")}}));
  test::FakeEndpoint* endpoint = world.versions.at("g:$LATEST");
  endpoint->hang_next();
  world.begin("g", "");
  bool gone = false;
  world.run_until([&] {
    if (!gone && endpoint->calls.size() == 1) {
      gone = true;
      world.bridge().remove("g");
      CHECK_FALSE(world.bridge().knows("g", ""));
      world.begin("g", "");
      endpoint->finish();
    }
    return world.outcomes.size() == 2 && world.closed.size() == 1;
  });
  std::vector<std::string> ends{executed(world.outcomes[0]), executed(world.outcomes[1])};
  std::sort(ends.begin(), ends.end());
  CHECK(ends == std::vector<std::string>{"$LATEST",
                                         "404 ResourceNotFoundException Function not found: "
                                         "arn:aws:lambda:us-east-1:000000000000:function:g:$LATEST"});
  for (const bridge::FunctionStatus& each : world.bridge().status().functions) CHECK(each.name == "f");
  CHECK(world.bridge().status().executing == 0);
}

TEST_CASE("a version whose environments cannot be prepared fails its calls, until it can; the others go on") {
  Functions world;
  world.start();
  world.no_endpoint = Error(ErrorCode::kEndpointFailed, "no folder");
  world.bridge().put(plan("g", {{"$LATEST", code("a")}, {"1", code("a")}}));
  CHECK(world.log.count("function.unusable") == 1);
  world.begin("g", "");
  world.begin("g", "1");
  bool again = false;
  world.run_until([&] {
    if (!again && world.outcomes.size() == 2) {
      again = true;
      world.bridge().put(plan("g", {{"$LATEST", code("a")}, {"1", code("a")}}));
      world.begin("g", "");
    }
    return world.outcomes.size() == 3;
  });
  CHECK(executed(world.outcomes[0]).starts_with("500 ServiceException"));
  CHECK(executed(world.outcomes[0]).find("no folder") != std::string::npos);
  CHECK(executed(world.outcomes[1]) == "1");
  CHECK(executed(world.outcomes[2]) == "$LATEST");
}

TEST_CASE("a function of the configuration that cannot be prepared keeps weir from starting") {
  World world;
  world.no_endpoint = Error(ErrorCode::kEndpointFailed, "no folder");
  world.add_function("g");
  world.start();
  CHECK_THROWS_WITH(world.run_until([] { return true; }, [] {}), Catch::Contains("no folder"));
}

TEST_CASE("events of an alias go by the configuration of the alias, and each attempt by what is there then") {
  World world;
  world.start();
  config::FunctionPlan g = plan("g", {{"$LATEST", code("a")}, {"1", code("a")}});
  g.aliases["live"] = {"1", "", 0};
  g.async["$LATEST"].maximum_retry_attempts = 2;
  g.async["live"].maximum_retry_attempts = 0;
  world.bridge().put(g);
  FunctionFailed boom;
  boom.error_type = "Error";
  world.versions.at("g:1")->answer_next(Outcome(boom));
  world.send("g", "live", "1");
  const auto figures = [&](const std::string& qualifier) {
    for (const bridge::AsyncStatus& each : world.bridge().status().queue) {
      if (each.function == "g" && each.qualifier == qualifier) return each.figures;
    }
    return engine::AsyncFigures();
  };
  world.run_until([&] { return figures("live").dropped == 1; });
  CHECK(figures("live").retries == 0);
  CHECK(figures("").received == 0);
  const auto letters = world.store().list_dead_letters({}, 10, true).value();
  REQUIRE(letters.size() == 1);
  const auto record = nlohmann::json::parse(letters[0].record);
  CHECK(record.at("requestContext").at("functionArn") == "arn:aws:lambda:us-east-1:000000000000:function:g:live");
  CHECK(record.at("responseContext").at("executedVersion") == "1");
}

TEST_CASE("a waiting event meets the code of its next attempt, or finds that the function is gone") {
  const bool gone = GENERATE(false, true);
  INFO((gone ? "gone" : "changed"));
  World world;
  world.start();
  config::FunctionPlan g = plan("g", {{"$LATEST", code("old")}});
  g.reserved_concurrent_executions = 1;
  world.bridge().put(g);
  test::FakeEndpoint* old = world.versions.at("g:$LATEST");
  old->hang_next();
  std::size_t calls = 0;
  old->on_call = [&](std::size_t number) { calls = number; };
  world.send("g", "1");
  world.send("g", "2");  // throttled while the other one runs
  bool changed = false;
  world.run_until([&] {
    if (!changed && world.queue("g").figures.throttles > 0) {
      changed = true;
      if (gone) {
        world.bridge().remove("g");
      } else {
        g.versions["$LATEST"] = code("new");
        g.async["$LATEST"].maximum_retry_attempts = 0;
        world.bridge().put(g);
      }
      old->finish();
    }
    const engine::AsyncFigures now = world.queue("g").figures;
    // An attempt that finds no function is a failed one, and is tried again after a minute.
    return now.succeeded == (gone ? 1U : 2U) && (!gone || now.retries + now.waiting >= 1);
  });
  CHECK(calls == 1);
  if (!gone) CHECK(world.versions.at("g:$LATEST")->calls.size() == 1);
}

TEST_CASE("reservations of plans are checked, and given back with their function") {
  World world;
  world.config().concurrency = 110;
  world.start();
  config::FunctionPlan g = plan("g", {{"$LATEST", code("a")}});
  g.reserved_concurrent_executions = 11;
  const auto refused = world.bridge().check(g);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().message() ==
        "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below "
        "its minimum value of [100].");
  g.reserved_concurrent_executions = 10;
  CHECK(world.bridge().check(g).has_value());
  CHECK(world.bridge().unreserved() == 110);
  world.bridge().put(g);
  CHECK(world.bridge().unreserved() == 100);
  CHECK(world.bridge().account() == 110);
  world.bridge().remove("g");
  CHECK(world.bridge().unreserved() == 110);
}

TEST_CASE("environments are kept ready for a version, or for where an alias leads, and move with it") {
  Functions world;
  world.start();
  config::FunctionPlan g = plan("g", {{"$LATEST", code("c")}, {"1", code("a")}, {"2", code("b")}, {"3", code("d")}});
  g.aliases["live"] = {"1", "", 0};
  g.provisioned = {{"live", 5}, {"3", 2}};
  REQUIRE(world.bridge().check(g).has_value());
  world.bridge().put(g);
  const auto ready = [&](const char* version) { return world.versions.at(version)->kept_ready; };
  CHECK(ready("g:$LATEST") == 0);
  CHECK(ready("g:1") == 5);
  CHECK(ready("g:2") == 0);
  CHECK(ready("g:3") == 2);
  const auto state = [&](const std::string& qualifier) {
    const auto found = world.bridge().provisioned("g", qualifier);
    if (!found) return std::string("none");
    return std::to_string(found->requested) + " " + std::to_string(found->allocated) + " " +
           std::to_string(found->available) + " " + found->reason;
  };
  CHECK(state("live") == "5 0 0 ");
  CHECK(state("1") == "none");
  world.versions.at("g:1")->initialized = 5;
  CHECK(state("live") == "5 5 5 ");
  world.versions.at("g:3")->failing = true;
  CHECK(state("3") == "2 0 0 FUNCTION_ERROR_INIT_FAILURE");
  g.aliases["live"].version = "2";
  g.provisioned.erase("3");
  world.bridge().put(g);
  CHECK(ready("g:1") == 0);
  CHECK(ready("g:2") == 5);
  CHECK(ready("g:3") == 0);
  CHECK(state("live") == "5 0 0 ");
  CHECK(world.bridge().unreserved() == 995);
  world.run_until([&] { return world.bridge().status().ready; });
}

TEST_CASE("calls of a version use its provisioned environments first, then others") {
  Functions world;
  world.start();
  config::FunctionPlan g = plan("g", {{"$LATEST", code("c")}, {"1", code("a")}});
  g.aliases["live"] = {"1", "", 0};
  g.provisioned = {{"live", 1}};
  world.bridge().put(g);
  test::FakeEndpoint* endpoint = world.versions.at("g:1");
  bool later = false;
  world.begin("g", "live");  // nothing is ready
  world.run_until([&] {
    if (!later && world.outcomes.size() == 1) {
      later = true;
      CHECK(endpoint->provisioned_calls == 0);
      endpoint->initialized = 1;
      endpoint->hang_next();
      world.begin("g", "1");
      world.begin("g", "live");
      world.begin("g", "");
    }
    if (later && world.outcomes.size() == 3 && world.bridge().status().executing == 1) endpoint->finish();
    return world.outcomes.size() == 4;
  });
  CHECK(endpoint->calls.size() == 3);
  CHECK(endpoint->provisioned_calls == 1);
  CHECK(world.versions.at("g:$LATEST")->provisioned_calls == 0);
  for (const bridge::FunctionStatus& each : world.bridge().status().functions) {
    if (each.name != "g") continue;
    CHECK(each.provisioned.at("1").invocations == 1);
    CHECK(each.provisioned.at("1").spillovers == 2);
    CHECK(each.provisioned.at("1").executing == 0);
  }
}

TEST_CASE("a plan whose provisioned environments cannot be, and one whose reservation shrinks with them") {
  Functions world;
  world.start();
  config::FunctionPlan g = plan("g", {{"$LATEST", code("c")}, {"1", code("a")}});
  g.provisioned = {{"1", 901}};
  const auto refused = world.bridge().check(g);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().message() ==
        "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its "
        "minimum value of [100].");
  // As after a restart with a smaller account.
  world.bridge().put(g);
  CHECK(world.log.count("function.unusable") == 1);
  CHECK(world.versions.at("g:1")->kept_ready == 0);
  CHECK(world.bridge().provisioned("g", "1")->reason == refused.error().message());
  g.provisioned = {{"1", 10}};
  g.reserved_concurrent_executions = 10;
  world.bridge().put(g);
  CHECK(world.versions.at("g:1")->kept_ready == 10);
  CHECK(world.bridge().unreserved() == 990);
  g.provisioned = {{"1", 4}};
  g.reserved_concurrent_executions = 5;
  CHECK(world.bridge().check(g).has_value());
  world.bridge().put(g);
  CHECK(world.versions.at("g:1")->kept_ready == 4);
  CHECK(world.bridge().unreserved() == 995);
  world.run_until([&] { return world.bridge().status().ready; });
}

TEST_CASE("a function of the configuration keeps what was added to it, also when the configuration changes") {
  Functions world;
  world.start();
  config::FunctionPlan added = plan("f", {{"1", code("copy")}});
  added.aliases["live"] = {"1", "", 0};
  added.provisioned = {{"live", 2}};
  world.bridge().extend(added);
  CHECK(world.bridge().knows("f", "live"));
  CHECK(world.versions.at("f:1")->kept_ready == 2);
  bool reloaded = false;
  world.run_until([&] {
    if (!world.bridge().status().ready) return false;
    if (!reloaded) {
      reloaded = true;
      config::Config next = world.config();
      std::get<config::CommandFunction>(next.functions.at("f").target).memory_size = 512;
      REQUIRE(world.bridge().reload(next, {}).has_value());
      CHECK(std::count(world.endpoints.begin(), world.endpoints.end(), "f:1") == 1);
      CHECK(std::count(world.endpoints.begin(), world.endpoints.end(), "f:$LATEST") == 2);
      CHECK(world.bridge().unreserved() == 998);
      config::Config without = next;
      without.functions.clear();
      REQUIRE(world.bridge().reload(without, {}).has_value());
      CHECK_FALSE(world.bridge().knows("f", ""));
      CHECK(world.bridge().unreserved() == 1000);
      REQUIRE(world.bridge().reload(next, {}).has_value());
      world.begin("f", "live");
    }
    return world.outcomes.size() == 1;
  });
  CHECK(executed(world.outcomes[0]) == "1");
}
