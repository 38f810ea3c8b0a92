// The Extensions API. Sources: runtimes-extensions-api, lambda-runtime-environment, reference invoke.md 1.6, 2.3, 2.5;
// texts of refusals from AWS's runtime interface emulator.
#include <filesystem>
#include <fstream>
#include <regex>
#include <string>

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/stat.h>
#include <unistd.h>

#include "emulator/world.h"
#include "lambda/emulator/extension_set.h"
#include "lambda/emulator/memory_use.h"

using namespace weir;
using namespace weir::test;
using namespace std::chrono_literals;
using emulator::EmulatorSettings;
using emulator::ExtensionSet;
using nlohmann::json;

namespace {

/// A folder with extensions of these names.
class Extensions {
 public:
  Extensions() {
    if (::mkfifo(gate().c_str(), 0600) == 0) pipe_ = ::open(gate().c_str(), O_RDWR | O_CLOEXEC);
  }
  ~Extensions() { ::close(pipe_); }
  Extensions(const Extensions&) = delete;
  Extensions& operator=(const Extensions&) = delete;
  std::string add(const std::string& name) {
    const std::filesystem::path path(folder_ / name);
    std::filesystem::create_symlink(EXTENSION, path);
    return path.string();
  }
  std::string add_nonsense(const std::string& name) {
    const std::filesystem::path path(folder_ / name);
    std::ofstream(path) << "no program";
    std::filesystem::permissions(path, std::filesystem::perms::owner_read);
    return path.string();
  }
  std::string gate() const { return folder_ / "gate"; }
  void open_gate() { CHECK(::write(pipe_, "x", 1) == 1); }

 private:
  TemporaryFolder folder_;
  int pipe_ = -1;
};

/// What variables name is there also for a function with a /tmp of its own.
void show(EmulatorSettings& settings) {
  settings.environment["EXTENSION"] = EXTENSION;
}

/// What the log says behind a text, to the end of that line; "" when it does not.
std::string after(const std::string& log, const std::string& text) {
  const std::size_t at = log.find(text);
  if (at == std::string::npos) return "";
  return log.substr(at + text.size(), log.find('\n', at) - at - text.size());
}

http::Request asking(const std::string& body, std::vector<std::pair<std::string, std::string>> headers) {
  http::Request request;
  request.body = body;
  for (const auto& [name, value] : headers) request.headers.add(name, value);
  return request;
}

}  // namespace

TEST_CASE("an external extension is started before the runtime, hears of each invocation and of the end") {
  Extensions extensions;
  World world([&](EmulatorSettings& settings) {
    show(settings);
    settings.extensions = {extensions.add("watcher")};
    settings.environment["MINE"] = "yes";
    settings.handler = "index.handler";
  });
  Invocation invocation;
  invocation.request_id = "3f0f6f1c-0000-4000-8000-00000000000a";
  invocation.qualifier = "live";
  invocation.trace_header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
  invocation.payload = R"({"n":1})";
  CHECK(text_of(world.wait(world.begin(std::move(invocation)))) == R"({"n":1})");
  world.wait_for_log("watcher got ");
  world.run_until([&] { return world.counts().idle == 1; });
  world.close();
  const std::string log = world.log();
  // It has the function's variables without those of the runtime.
  CHECK(
      after(log, "watcher registered ") ==
      R"({"functionName":"misbehave","functionVersion":"$LATEST","handler":"index.handler","accountId":"000000000000"})"
      " with handler (none), mine yes, root (none)");
  CHECK(log.find("EXTENSION\tName: watcher\tState: Ready\tEvents: [INVOKE, SHUTDOWN]\n") != std::string::npos);
  json event = json::parse(after(log, "watcher got "));
  CHECK(event["eventType"] == "INVOKE");
  CHECK(event["requestId"] == "3f0f6f1c-0000-4000-8000-00000000000a");
  CHECK(event["invokedFunctionArn"] == "arn:aws:lambda:us-east-1:000000000000:function:misbehave:live");
  CHECK(event["deadlineMs"].get<std::int64_t>() > 1'700'000'000'000);
  CHECK(event["tracing"]["type"] == "X-Amzn-Trace-Id");
  CHECK(event["tracing"]["value"] == "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1");
  const std::string rest = log.substr(log.find("watcher got ") + 1);
  event = json::parse(after(rest, "watcher got "));
  CHECK(event["eventType"] == "SHUTDOWN");
  CHECK(event["shutdownReason"] == "spindown");
  CHECK(event["deadlineMs"].get<std::int64_t>() > 1'700'000'000'000);
}

TEST_CASE("the caller has its answer at once, the environment is free when its extensions are done") {
  Extensions extensions;
  World world([&](EmulatorSettings& settings) {
    show(settings);
    settings.extensions = {extensions.add("slow")};
    settings.environment["GATE"] = extensions.gate();
  });
  SECTION("the report waits") {
    CHECK(text_of(world.invoke(R"({"n":1})")) == R"({"n":1})");
    CHECK(world.counts().busy == 1);
    CHECK(world.log().find("REPORT") == std::string::npos);
    extensions.open_gate();
    world.run_until([&] { return world.counts().idle == 1; });
    world.wait_for_log("REPORT");
  }
  SECTION("and who wants the log's tail waits for it") {
    const std::size_t call = world.begin(R"({"n":1})", true);
    world.run_until([&] { return world.counts().busy == 1; });
    extensions.open_gate();
    const Outcome outcome = world.wait(call);
    CHECK(text_of(outcome) == R"({"n":1})");
    CHECK(outcome.log_tail.find("REPORT") != std::string::npos);
  }
}

TEST_CASE("an invocation whose extensions are not done in the function's time is a reset") {
  Extensions extensions;
  World world([&](EmulatorSettings& settings) {
    show(settings);
    settings.extensions = {extensions.add("slow"), extensions.add("watcher")};
    settings.environment["GATE"] = extensions.gate();
    settings.timeout = 500ms;
  });
  CHECK(text_of(world.invoke(R"({"n":1})")) == R"({"n":1})");
  world.wait_for_log("Status: timeout");
  world.wait_for_log(R"("shutdownReason":"timeout")");
}

TEST_CASE("an extension that fails fails the invocation, and everything starts again") {
  struct Row {
    const char* name;
    const char* type;
    const char* why;
  };
  const auto row = GENERATE(values<Row>({
      {"crash", "Extension.Crash", "exit status 3"},
      {"reports", "Extension.ExitError", "exit status 4"},
      {"broken", "Extension.InitError", "exit status 1"},
      {"nonsense", "Extension.LaunchError", ""},
  }));
  DYNAMIC_SECTION(row.name) {
    Extensions extensions;
    World world([&](EmulatorSettings& settings) {
      show(settings);
      const bool nonsense = std::string(row.name) == "nonsense";
      settings.extensions = {nonsense ? extensions.add_nonsense(row.name) : extensions.add(row.name)};
    });
    // The runtime would go on for ever: that the extension has gone is what ends the invocation.
    const Outcome outcome = world.invoke(R"({"do":"sleep"})");
    const auto* failed = std::get_if<FunctionFailed>(&outcome.what);
    REQUIRE(failed != nullptr);
    CHECK(failed->error_type == row.type);
    const json document = json::parse(failed->payload);
    CHECK(document["errorType"] == row.type);
    CHECK_THAT(document["errorMessage"].get<std::string>(),
               Catch::StartsWith("RequestId: " + world.last_request_id() + " Error: " + row.why));
    world.wait_for_log(std::string("Status: error\tError Type: ") + row.type);
    CHECK(text_of(world.invoke(R"({"do":"sleep"})")).starts_with(row.type));
  }
}

TEST_CASE("an extension that never registers uses up the init phase, and the function's time") {
  Extensions extensions;
  World world([&](EmulatorSettings& settings) {
    show(settings);
    settings.extensions = {extensions.add("silent")};
    settings.init_timeout = 100ms;
    settings.timeout = 200ms;
  });
  CHECK(text_of(world.invoke("{}")).starts_with("Sandbox.Timedout"));
  CHECK(world.log().find("EXTENSION\tName: silent\tState: Started\tEvents: []\n") != std::string::npos);
}

TEST_CASE("extensions take part in the end of an environment") {
  Extensions extensions;
  SECTION("when the function exits") {
    World world([&](EmulatorSettings& settings) {
      show(settings);
      settings.extensions = {extensions.add("watcher")};
    });
    CHECK(text_of(world.invoke(R"({"do":"exit","code":1})")).starts_with("Runtime.ExitError"));
    world.wait_for_log(R"("shutdownReason":"failure")");
    CHECK(text_of(world.invoke(R"({"n":2})")) == R"({"n":2})");
  }
  SECTION("when it is too slow") {
    World world([&](EmulatorSettings& settings) {
      show(settings);
      settings.extensions = {extensions.add("watcher")};
      settings.timeout = 300ms;
    });
    CHECK(text_of(world.invoke(R"({"do":"sleep"})")).starts_with("Sandbox.Timedout"));
    world.wait_for_log(R"("shutdownReason":"timeout")");
  }
  SECTION("and what is killed with it is not what is started next") {
    World world([&](EmulatorSettings& settings) {
      show(settings);
      settings.extensions = {extensions.add("stubborn")};
    });
    CHECK(text_of(world.invoke(R"({"do":"exit","code":1})")).starts_with("Runtime.ExitError"));
    world.run_until([] { return emulator::processes_below(::getpid()).empty(); });
    CHECK(text_of(world.invoke(R"({"n":2})")) == R"({"n":2})");
  }
  SECTION("and are killed after two seconds") {
    World world([&](EmulatorSettings& settings) {
      show(settings);
      settings.extensions = {extensions.add("stubborn")};
    });
    CHECK(text_of(world.invoke(R"({"n":1})")) == R"({"n":1})");
    world.run_until([&] { return world.counts().idle == 1; });
    const auto before = std::chrono::steady_clock::now();
    world.close();
    CHECK(std::chrono::steady_clock::now() - before >= 1900ms);
  }
}

TEST_CASE("an internal extension registers from the runtime, which then is told to end") {
  World world([&](EmulatorSettings& settings) {
    show(settings);
    settings.environment["INIT"] = "internal";
    settings.idle_limit = 50ms;
  });
  CHECK(text_of(world.invoke(R"({"n":1})")) == R"({"n":1})");
  world.wait_for_log("told to end");
  CHECK(world.log().find("EXTENSION\tName: inner\tState: Ready\tEvents: [INVOKE]\n") != std::string::npos);
}

// As AWS's runtime interface emulator answers, so that extensions go on without.
TEST_CASE("the Telemetry and the Logs API say that they are not there") {
  Extensions extensions;
  World world([&](EmulatorSettings& settings) {
    show(settings);
    settings.extensions = {extensions.add("subscriber")};
  });
  CHECK(text_of(world.invoke(R"({"n":1})")) == R"({"n":1})");
  world.wait_for_log(
      R"(2022-07-01/telemetry HTTP/1.1 202 Accepted {"errorMessage":"Telemetry API is not supported","errorType":"Telemetry.NotSupported"})");
  world.wait_for_log(
      R"(2020-08-15/logs HTTP/1.1 202 Accepted {"errorMessage":"Logs API is not supported","errorType":"Logs.NotSupported"})");
}

TEST_CASE("what the Extensions API refuses") {
  Random random(7);
  const ExtensionSet::Function function{"f", "$LATEST", "h", "000000000000"};
  ExtensionSet extensions;
  const auto enroll = [&](const std::string& body, const std::string& name) {
    const http::Response response = extensions.register_extension(
        asking(body, name.empty() ? std::vector<std::pair<std::string, std::string>>{}
                                  : std::vector<std::pair<std::string, std::string>>{{"Lambda-Extension-Name", name}}),
        function, random);
    if (response.status == 200) return std::string("200");
    const json document = json::parse(response.body);
    return std::to_string(response.status) + " " + document["errorType"].get<std::string>() + ": " +
           document["errorMessage"].get<std::string>();
  };
  CHECK(extensions.add_external("outer"));
  CHECK(enroll("{}", "") == "403 Extension.InvalidExtensionName: Empty extension name");
  CHECK(enroll("[", "inner") == "403 InvalidRequestFormat: the body is not a JSON object");
  CHECK(enroll(R"({"events":["SHUTDOWN"]})", "inner") ==
        "403 Extension.InvalidEventType: SHUTDOWN: ShutdownEventNotSupportedForInternalExtension");
  CHECK(enroll(R"({"events":["TEA"]})", "outer") == "403 Extension.InvalidEventType: TEA: ErrorInvalidEventType");
  CHECK_FALSE(extensions.external_registered());
  CHECK(enroll(R"({"events":["SHUTDOWN"]})", "outer") == "200");
  CHECK(extensions.external_registered());
  CHECK(enroll(R"({"events":[]})", "outer") ==
        "403 Extension.InvalidExtensionState: State transition from Registered to Registered failed for extension "
        "outer. Error: State transition is not allowed");
  CHECK(enroll(R"({"events":["INVOKE"]})", "inner") == "200");
  CHECK(enroll("{}", "inner") == "403 Extension.InvalidExtensionState: Extension with this name already registered");
  SECTION("ten extensions and no more") {
    for (int number = 3; number <= 10; ++number) CHECK(enroll("{}", "e" + std::to_string(number)) == "200");
    CHECK(enroll("{}", "e11") == "403 Extension.TooManyExtensions: Extension limit (10) reached");
    CHECK_FALSE(extensions.add_external("eleven"));
  }
  SECTION("none after the init phase") {
    extensions.close_registration();
    CHECK(enroll("{}", "late") == "403 Extension.RegistrationClosed: Extension registration closed already");
  }
  SECTION("nobody without its identifier") {
    http::Response refusal;
    const auto type = [&] { return json::parse(refusal.body)["errorType"].get<std::string>(); };
    CHECK(extensions.identify(asking("", {}), refusal) == nullptr);
    CHECK(type() == "Extension.MissingExtensionIdentifier");
    CHECK(extensions.identify(asking("", {{"Lambda-Extension-Identifier", "mine"}}), refusal) == nullptr);
    CHECK(type() == "Extension.InvalidExtensionIdentifier");
    CHECK(extensions.identify(asking("", {{"Lambda-Extension-Identifier", "3f0f6f1c-0000-4000-8000-00000000000a"}}),
                              refusal) == nullptr);
    CHECK(type() == "Extension.UnknownExtensionIdentifier");
  }
  SECTION("errors need a type, and the right moment") {
    emulator::Extension& outer = *extensions.find("outer");
    const http::Request untyped = asking("", {});
    const http::Request typed = asking("", {{"Lambda-Extension-Function-Error-Type", "Mine.Bad"}});
    CHECK(extensions.init_error(outer, untyped).status == 403);
    http::Response refusal;
    CHECK(extensions.may_wait(outer, refusal));
    CHECK(extensions.init_error(outer, typed).status == 403);
    CHECK(extensions.exit_error(outer, typed).status == 202);
    CHECK_FALSE(extensions.may_wait(outer, refusal));
    CHECK(refusal.status == 403);
  }
}
