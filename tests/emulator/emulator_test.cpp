#include <algorithm>
#include <regex>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <sys/wait.h>
#include <unistd.h>

#include "emulator/fake_control_groups.h"
#include "emulator/world.h"
#include "http/server.h"
#include "lambda/emulator/supervised_process.h"

using namespace weir;
using namespace std::chrono_literals;
using emulator::EmulatorSettings;
using nlohmann::json;
using test::text_of;
using test::World;

namespace {

/// The error document of Lambda's own errors.
std::string platform_error(const std::string& type, const std::string& request_id, const std::string& message) {
  return type + R"( {"errorType":")" + type + R"(","errorMessage":"RequestId: )" + request_id + " Error: " + message +
         "\"}";
}

int count_descriptors() {
  const std::filesystem::directory_iterator entries("/proc/self/fd");
  return static_cast<int>(std::distance(begin(entries), end(entries)));
}

/// Whether a process of ours is left, running or not yet waited for. The waiting is the emulator's: this takes nothing.
bool has_children() {
  siginfo_t ignored;
  return ::waitid(P_ALL, 0, &ignored, WEXITED | WNOHANG | WNOWAIT) == 0;
}

/// Until no process is left and all that their ends brought about is done: what a dead process held is closed before
/// it can be waited for, so that the news of it are there to be read by now.
void run_until_cleared(World& world) {
  world.run_until([] { return !has_children(); });
  world.io().restart();
  while (world.io().poll() > 0) {
  }
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

}  // namespace

TEST_CASE("a function is started for its first call and used again for the next") {
  World world;
  const Outcome first = world.invoke(R"({"n":1})");
  CHECK(text_of(first) == R"({"n":1})");
  CHECK(first.init_duration.has_value());
  CHECK(first.duration.has_value());
  CHECK(first.executed_version == "$LATEST");
  const std::vector<ColdStart> starts = world.endpoint().take_cold_starts();
  REQUIRE(starts.size() == 1);
  CHECK(starts[0].reason == StartReason::kFirst);
  CHECK(starts[0].initialized);
  CHECK(starts[0].init == first.init_duration);
  const Outcome second = world.invoke(R"({"n":2})");
  CHECK(text_of(second) == R"({"n":2})");
  CHECK(world.endpoint().take_cold_starts().empty());
  CHECK_FALSE(second.init_duration.has_value());
  CHECK(world.counts().cold_starts == 1);
  world.run_until([&] { return world.counts().idle == 1; });
  world.close();
  CHECK_FALSE(has_children());
  CHECK(std::filesystem::is_empty(world.folder() / "environments"));
}

TEST_CASE("calls at the same time run in environments of their own") {
  World world;
  std::vector<std::size_t> calls;
  for (int n = 0; n < 4; ++n) calls.push_back(world.begin(R"({"n":)" + std::to_string(n) + "}"));
  for (int n = 0; n < 4; ++n) {
    CHECK(text_of(world.wait(calls[static_cast<std::size_t>(n)])) == R"({"n":)" + std::to_string(n) + "}");
  }
  CHECK(world.counts().cold_starts == 4);
}

TEST_CASE("a published version says so everywhere; the ARN is as it was invoked") {
  World world([](EmulatorSettings& settings) { settings.version = "7"; });
  const auto variable = [&](const std::string& name) {
    return json::parse(text_of(world.invoke(json{{"do", "env"}, {"name", name}}.dump()))).get<std::string>();
  };
  CHECK(variable("AWS_LAMBDA_FUNCTION_VERSION") == "7");
  CHECK(std::regex_match(variable("AWS_LAMBDA_LOG_STREAM_NAME"), std::regex(R"(\d{4}/\d\d/\d\d/\[7\][0-9a-f]{32})")));
  Invocation invocation;
  invocation.request_id = "3f0f6f1c-0000-4000-8000-000000000003";
  invocation.qualifier = "live";
  invocation.payload = R"({"do":"context"})";
  const Outcome outcome = world.wait(world.begin(std::move(invocation)));
  CHECK(outcome.executed_version == "7");
  CHECK(json::parse(text_of(outcome))["arn"] == "arn:aws:lambda:us-east-1:000000000000:function:misbehave:live");
  world.wait_for_log("START RequestId: 3f0f6f1c-0000-4000-8000-000000000003 Version: 7\n");
}

// Records of the Telemetry API's schema (telemetry-schema-reference); what the function prints stays as it is, its
// runtime makes JSON of it when AWS_LAMBDA_LOG_FORMAT says so (monitoring-cloudwatchlogs-logformat).
TEST_CASE("in the JSON format the platform's own lines are records") {
  World world([](EmulatorSettings& settings) {
    settings.log_format = emulator::LogFormat::kJson;
    settings.timeout = 1s;
  });
  CHECK(text_of(world.invoke(R"({"do":"env","name":"AWS_LAMBDA_LOG_FORMAT"})")) == "\"JSON\"");
  world.invoke(R"({"do":"print","text":"mine\n"})");
  const std::string id = world.last_request_id();
  world.invoke(R"({"do":"exit","code":1})");
  world.wait_for_log("Runtime.ExitError");
  std::vector<json> records;
  std::istringstream lines(world.log());
  for (std::string line; std::getline(lines, line);) {
    records.push_back(line == "mine" ? json(line) : json::parse(line));
  }
  REQUIRE(records.size() == 7);
  CHECK(records[2]["type"] == "platform.start");
  CHECK(records[2]["record"] == json{{"requestId", id}, {"version", "$LATEST"}});
  CHECK(
      std::regex_match(records[2]["time"].get<std::string>(), std::regex(R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)")));
  CHECK(records[3] == "mine");
  CHECK(records[1]["record"]["metrics"].contains("initDurationMs"));
  CHECK(records[4]["type"] == "platform.report");
  CHECK(records[4]["record"]["status"] == "success");
  CHECK(records[4]["record"]["metrics"]["memorySizeMB"] == 1024);
  CHECK_FALSE(records[4]["record"]["metrics"].contains("initDurationMs"));
  CHECK(records[6]["record"]["status"] == "error");
  CHECK(records[6]["record"]["errorType"] == "Runtime.ExitError");
}

// Lambda's words for it: reference invoke.md 1.6, out of memory.
TEST_CASE(
    "an environment has a control group: a whole processor to begin with, then its share; the kernel's kill is told") {
  const test::FakeControlGroups machine;
  World world([&](EmulatorSettings& settings) {
    settings.memory_size = 1024;
    settings.control_groups = std::make_shared<emulator::SharedControlGroups>(null_log(), true, machine.place());
  });
  const std::size_t call = world.begin(R"({"n":1})");
  world.run_until([&] { return std::filesystem::exists(machine.environment() + "/memory.oom.group"); });
  CHECK(test::text_of(machine.environment() + "/cpu.max") == "20000 20000");
  CHECK(text_of(world.wait(call)) == R"({"n":1})");
  CHECK(test::text_of(machine.environment() + "/cpu.max") == "11577 20000");  // 1024 / 1769 of a processor
  CHECK(test::text_of(machine.environment() + "/cgroup.procs") == "0");
  const std::uint64_t tmp = emulator::private_mounts_available() ? 512 : 0;
  CHECK(test::text_of(machine.environment() + "/memory.max") == std::to_string((1024 + tmp) << 20U));

  std::ofstream(machine.environment() + "/memory.events") << "oom 1\noom_kill 1\n";
  const Outcome killed = world.invoke(R"({"do":"raise","signal":9})", true);
  CHECK(text_of(killed) ==
        platform_error("Runtime.OutOfMemory", world.last_request_id(), "Runtime exited with error: signal: killed"));
  CHECK(killed.log_tail.find("Max Memory Used: 1024 MB") != std::string::npos);
  CHECK(killed.log_tail.find("Status: error\tError Type: Runtime.OutOfMemory") != std::string::npos);
  // The next process has a group of its own, in which nothing was killed.
  CHECK(text_of(world.invoke(R"({"n":2})")) == R"({"n":2})");
  const Outcome again = world.invoke(R"({"do":"raise","signal":9})");
  CHECK(text_of(again).starts_with("Runtime.ExitError "));
}

TEST_CASE("all processes of an environment print to one log stream, which it is told") {
  World world;
  const std::string stream = json::parse(text_of(world.invoke(R"({"do":"env","name":"AWS_LAMBDA_LOG_STREAM_NAME"})")));
  world.invoke(R"({"do":"exit","code":1})");
  CHECK(json::parse(text_of(world.invoke(R"({"do":"env","name":"AWS_LAMBDA_LOG_STREAM_NAME"})"))) == stream);
  world.close();
  const std::vector<std::string> lines = lines_of(test::file_text(world.log_file()));
  CHECK(lines.size() == 9);
  for (const std::string& line : lines) CHECK(observe::read_function_log_line(line)->stream == stream);
}

TEST_CASE("the function is told what Lambda tells it") {
  World world([](EmulatorSettings& settings) {
    settings.name = "resize";
    settings.environment["MINE"] = "grüß dich";
    settings.environment["AWS_REGION"] = "mars-1";
    settings.environment["AWS_ACCESS_KEY_ID"] = "of-the-user";
    settings.handler = "index.handler";
    settings.timeout = 7s;
  });
  SECTION("in headers") {
    Invocation invocation;
    invocation.request_id = "3f0f6f1c-0000-4000-8000-000000000001";
    invocation.qualifier = "live";
    invocation.client_context = R"({"custom":{"a":"1"}})";
    invocation.payload = R"({"do":"context"})";
    const json context = json::parse(text_of(world.wait(world.begin(std::move(invocation)))));
    CHECK(context["arn"] == "arn:aws:lambda:us-east-1:000000000000:function:resize:live");
    CHECK(context["request_id"] == "3f0f6f1c-0000-4000-8000-000000000001");
    CHECK(context["client_context"] == R"({"custom":{"a":"1"}})");
    CHECK(context["remaining_ms"].get<int>() > 6000);
    CHECK(context["remaining_ms"].get<int>() <= 7000);
    CHECK(std::regex_match(context["trace_id"].get<std::string>(),
                           std::regex("Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=0")));
  }
  SECTION("in the trace of its caller, where there is one") {
    Invocation invocation;
    invocation.request_id = "3f0f6f1c-0000-4000-8000-000000000002";
    invocation.trace_header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
    invocation.payload = R"({"do":"context"})";
    const json context = json::parse(text_of(world.wait(world.begin(std::move(invocation)))));
    CHECK(context["trace_id"] == "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1");
  }
  SECTION("in variables") {
    const auto variable = [&](const std::string& name) {
      return json::parse(text_of(world.invoke(json{{"do", "env"}, {"name", name}}.dump()))).get<std::string>();
    };
    CHECK(variable("MINE") == "grüß dich");
    CHECK(variable("_HANDLER") == "index.handler");
    CHECK(variable("AWS_REGION") == "us-east-1");
    CHECK(variable("AWS_DEFAULT_REGION") == "us-east-1");
    CHECK(variable("AWS_LAMBDA_FUNCTION_NAME") == "resize");
    CHECK(variable("AWS_LAMBDA_FUNCTION_MEMORY_SIZE") == "1024");
    CHECK(variable("AWS_LAMBDA_FUNCTION_VERSION") == "$LATEST");
    CHECK(variable("AWS_LAMBDA_INITIALIZATION_TYPE") == "on-demand");
    CHECK(variable("AWS_LAMBDA_LOG_GROUP_NAME") == "/aws/lambda/resize");
    CHECK(std::regex_match(variable("AWS_LAMBDA_LOG_STREAM_NAME"),
                           std::regex(R"(\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32})")));
    CHECK(variable("AWS_ACCESS_KEY_ID") == "of-the-user");
    CHECK(variable("LAMBDA_TASK_ROOT") == "/");
    CHECK(variable("TZ") == ":UTC");
    CHECK(variable("AWS_EXECUTION_ENV") == "(none)");
  }
  SECTION("and nothing of the bridge's own") {
    ::setenv("WEIR_TEST_SECRET", "do not tell", 1);
    CHECK(text_of(world.invoke(R"({"do":"count env","prefix":"WEIR_TEST_SECRET"})")) == "0");
    // stdin, stdout, stderr, and the connection to the Runtime API.
    CHECK(text_of(world.invoke(R"({"do":"descriptors"})")) == "4");
    CHECK(text_of(world.invoke(R"({"do":"stdin"})")) == "-1");
  }
}

TEST_CASE("what a function fails with comes back as it is") {
  World world;
  const Outcome failed = world.invoke(R"({"do":"fail","type":"Sieve.Clogged","text":"naïve \" \u001f 東京"})");
  const auto& error = std::get<FunctionFailed>(failed.what);
  CHECK(error.error_type == "Sieve.Clogged");
  CHECK(json::parse(error.payload)["errorMessage"].get<std::string>() == "naïve \" \x1f 東京");
  SECTION("and the process goes on") {
    CHECK(text_of(world.invoke("{}")) == "{}");
    CHECK(world.counts().cold_starts == 1);
  }
  SECTION("an error that is not JSON becomes one") {
    CHECK(text_of(world.invoke(R"({"do":"raw error","text":"<html>"})")) ==
          R"(Function.Odd {"errorMessage":"<html>","errorType":"Function.Odd"})");
    CHECK(text_of(world.invoke(R"({"do":"raw error","text":""})")) ==
          R"(Function.Odd {"errorMessage":"","errorType":"Function.Odd"})");
  }
}

TEST_CASE("a process that ends in an invocation is Runtime.ExitError, and the next call starts anew") {
  struct Row {
    std::string event, message;
  };
  const auto row = GENERATE(values<Row>({
      {R"({"do":"exit","code":0})", "Runtime exited without providing a reason"},
      {R"({"do":"exit","code":1})", "Runtime exited with error: exit status 1"},
      {R"({"do":"exit","code":255})", "Runtime exited with error: exit status 255"},
      {R"({"do":"crash"})", "Runtime exited with error: signal: segmentation fault"},
      {R"({"do":"raise","signal":9})", "Runtime exited with error: signal: killed"},
      {R"({"do":"raise","signal":15})", "Runtime exited with error: signal: terminated"},
      {R"({"do":"raise","signal":6})", "Runtime exited with error: signal: aborted"},
      {R"({"do":"raise","signal":64})", "Runtime exited with error: signal: signal 64"},
  }));  // Source: reference invoke.md 1.6
  DYNAMIC_SECTION(row.event) {
    World world;
    CHECK(text_of(world.invoke("{}")) == "{}");
    const Outcome outcome = world.invoke(row.event);
    CHECK(text_of(outcome) == platform_error("Runtime.ExitError", world.last_request_id(), row.message));
    CHECK(outcome.duration.has_value());
    const Outcome next = world.invoke("{}");
    CHECK(text_of(next) == "{}");
    CHECK_FALSE(next.init_duration.has_value());  // a suppressed init is part of the duration
    CHECK(world.counts().cold_starts == 2);
    world.wait_for_log("Status: error\tError Type: Runtime.ExitError\n");
  }
}

TEST_CASE("a function that takes too long is Sandbox.Timedout, and its process is killed") {
  World world([](EmulatorSettings& settings) { settings.timeout = 300ms; });
  CHECK(text_of(world.invoke("{}")) == "{}");
  const Outcome outcome = world.invoke(R"({"do":"sleep"})");
  CHECK(text_of(outcome) ==
        platform_error("Sandbox.Timedout", world.last_request_id(), "Task timed out after 0.30 seconds"));
  CHECK(*outcome.duration == 300ms);
  world.wait_for_log("Duration: 300.00 ms\tBilled Duration: 300 ms");
  world.wait_for_log("Status: timeout\n");
  CHECK(text_of(world.invoke("{}")) == "{}");
}

TEST_CASE("more memory than memory_size is Runtime.OutOfMemory") {
  World world([](EmulatorSettings& settings) { settings.memory_size = 128; });
  CHECK(text_of(world.invoke(R"({"do":"allocate","mb":60,"then_sleep":false})")) == "1");
  const Outcome outcome = world.invoke(R"({"do":"allocate","mb":200})");
  CHECK(text_of(outcome) ==
        platform_error("Runtime.OutOfMemory", world.last_request_id(), "Runtime exited with error: signal: killed"));
  world.wait_for_log("Memory Size: 128 MB\tMax Memory Used: 128 MB\tStatus: error\tError Type: Runtime.OutOfMemory\n");
  CHECK(text_of(world.invoke("{}")) == "{}");
}

TEST_CASE("a response of 6,291,556 bytes passes, one more byte does not") {
  World world;
  // Two quotation marks belong to it.
  const Outcome most = world.invoke(R"({"do":"big","bytes":6291554})");
  CHECK(std::get<Succeeded>(most.what).payload.size() == kMaxResponseBytes);
  CHECK(text_of(world.invoke(R"({"do":"big","bytes":6291555})")) ==
        "Function.ResponseSizeTooLarge {\"errorMessage\":\"Response payload size exceeded maximum allowed payload size "
        "(6291556 bytes).\",\"errorType\":\"Function.ResponseSizeTooLarge\"}");
  world.wait_for_log(
      "413 then 403: {\"errorMessage\":\"Exceeded maximum allowed payload size (6291556 bytes).\","
      "\"errorType\":\"RequestEntityTooLarge\"}");
  CHECK(text_of(world.invoke("{}")) == "{}");
  CHECK(world.counts().cold_starts == 1);
}

TEST_CASE("a runtime that breaks the protocol is told so and harms nothing") {
  World world;
  SECTION("an unknown request id") {
    CHECK(json::parse(text_of(world.invoke(R"({"do":"wrong id"})"))) ==
          json::parse(R"({"status":400,"body":{"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"}})"));
  }
  SECTION("a response mode that is none") {
    const json answer = json::parse(text_of(world.invoke(R"({"do":"wrong mode"})")));
    CHECK(answer["status"] == 400);
    CHECK(answer["body"]["errorType"] == "InvalidFunctionResponseMode");
  }
  SECTION("next while it owes an answer") {
    const json answer = json::parse(text_of(world.invoke(R"({"do":"next while busy"})")));
    CHECK(answer["status"] == 403);
    CHECK(answer["body"]["errorType"] == "InvalidStateTransition");
  }
  SECTION("init/error after init") {
    CHECK(text_of(world.invoke(R"({"do":"init error while busy"})")) == "403");
  }
  SECTION("a path that is none") {
    CHECK(text_of(world.invoke(R"({"do":"nonsense path"})")) == "404");
  }
  SECTION("two answers") {
    CHECK(text_of(world.invoke(R"({"do":"answer twice"})")) == "\"first\"");
    world.wait_for_log("second answer: 403");
  }
  SECTION("answers that are not JSON pass through") {
    CHECK(text_of(world.invoke(R"({"do":"raw","text":"not json \u001f"})")) == "not json \x1f");
    CHECK(text_of(world.invoke(R"({"do":"raw","text":""})")).empty());
  }
  CHECK(text_of(world.invoke("{}")) == "{}");
  CHECK(world.counts().cold_starts == 1);
}

TEST_CASE("a runtime that answers and does not come back costs its caller nothing") {
  World world([](EmulatorSettings& settings) { settings.timeout = 1s; });
  SECTION("it exits") {
    CHECK(text_of(world.invoke(R"({"do":"answer and exit"})")) == "\"bye\"");
  }
  SECTION("it hangs") {
    CHECK(text_of(world.invoke(R"({"do":"answer and hang"})")) == "\"later\"");
  }
  CHECK(text_of(world.invoke("{}")) == "{}");
  CHECK(world.counts().cold_starts == 2);
}

TEST_CASE("a failed init is tried once more, then it is the invocation's error") {
  struct Row {
    std::string sentence, init, code, type, payload_part;
    std::string report;
  };
  const auto row = GENERATE(values<Row>({
      {"reported", "error", "", "Mine.Init", "no luck", "Status: error\tError Type: Mine.Init\n"},
      {"exit code 0", "exit", "0", "Runtime.ExitError", "Runtime exited without providing a reason",
       "Status: error\tError Type: Runtime.ExitError\n"},
      {"exit code 3", "exit", "3", "Runtime.ExitError", "Runtime exited with error: exit status 3",
       "Status: error\tError Type: Runtime.ExitError\n"},
      {"a crash", "crash", "", "Runtime.ExitError", "Runtime exited with error: signal: segmentation fault",
       "Status: error\tError Type: Runtime.ExitError\n"},
      {"never asks for its first invocation", "hang", "", "Sandbox.Timedout", "Task timed out after 0.40 seconds",
       "Status: timeout\n"},
  }));
  DYNAMIC_SECTION(row.sentence) {
    World world([&](EmulatorSettings& settings) {
      settings.environment["INIT"] = row.init;
      settings.environment["INIT_CODE"] = row.code;
      settings.timeout = 400ms;
      settings.init_timeout = 300ms;
    });
    const Outcome outcome = world.invoke("{}");
    const auto& failed = std::get<FunctionFailed>(outcome.what);
    CHECK(failed.error_type == row.type);
    CHECK(failed.payload.find(row.payload_part) != std::string::npos);
    CHECK(outcome.duration.has_value());
    world.wait_for_log("REPORT RequestId");
    const std::string log = world.log();
    CHECK(std::regex_search(log, std::regex("INIT_REPORT Init Duration: [0-9.]+ ms\tPhase: init\tStatus: ")));
    CHECK(std::regex_search(log, std::regex("INIT_REPORT Init Duration: [0-9.]+ ms\tPhase: invoke\tStatus: ")));
    CHECK(log.find(row.report) != std::string::npos);
  }
}

TEST_CASE("a second init that succeeds serves the call; /tmp survived the reset") {
  World world([](EmulatorSettings& settings) {
    settings.environment["INIT"] = "exit";
    settings.environment["INIT_CODE"] = "1";
    settings.environment["INIT_ONLY_FIRST"] = "1";
    settings.environment["INIT_COUNTER"] = "/tmp/starts";
  });
  if (!emulator::private_mounts_available()) {
    WARN("this machine permits no mount namespace: functions share /tmp, so that they cannot count their starts there");
    return;
  }
  const Outcome outcome = world.invoke(R"({"do":"read","path":"/tmp/starts"})");
  CHECK(text_of(outcome) == "\"2\"");
  CHECK_FALSE(outcome.init_duration.has_value());
}

TEST_CASE("a command that cannot be executed fails at once") {
  struct Row {
    std::string sentence, program, directory, type, message;
  };
  const auto row = GENERATE(values<Row>({
      {"no such file", "/nonexistent/bootstrap", "/", "Runtime.InvalidEntrypoint",
       "fork/exec /nonexistent/bootstrap: no such file or directory"},
      {"not on the path", "no-such-program", "/", "Runtime.InvalidEntrypoint",
       "exec: \\\"no-such-program\\\": executable file not found in $PATH"},
      {"not executable", "/etc/passwd", "/", "Runtime.InvalidEntrypoint", "fork/exec /etc/passwd: permission denied"},
      {"no such directory", "/bin/true", "/nonexistent", "Runtime.InvalidWorkingDir",
       "chdir /nonexistent: no such file or directory"},
  }));
  DYNAMIC_SECTION(row.sentence) {
    World world([&](EmulatorSettings& settings) {
      settings.command = {row.program};
      settings.directory = row.directory;
    });
    const Outcome outcome = world.invoke("{}");
    CHECK(text_of(outcome) == platform_error(row.type, world.last_request_id(), row.message));
    world.wait_for_log("Status: error\tError Type: " + row.type + "\n");
    const Outcome again = world.invoke("{}");
    CHECK(text_of(again) == platform_error(row.type, world.last_request_id(), row.message));
    world.close();
    CHECK_FALSE(has_children());
  }
}

TEST_CASE("the log holds what the function prints between Lambda's own lines") {
  World world;
  SECTION("line by line, the open one ended") {
    const Outcome outcome = world.invoke(R"({"do":"print","text":"eins\nzwei ohne Ende"})", true);
    const std::string id = world.last_request_id();
    const std::vector<std::string> lines = lines_of(outcome.log_tail);
    REQUIRE(lines.size() == 5);
    CHECK(lines[0] == "START RequestId: " + id + " Version: $LATEST");
    CHECK(lines[1] == "eins");
    CHECK(lines[2] == "zwei ohne Ende");
    CHECK(lines[3] == "END RequestId: " + id);
    INFO(lines[4]);
    CHECK(std::regex_match(lines[4],
                           std::regex("REPORT RequestId: " + id +
                                      "\tDuration: [0-9]+\\.[0-9]{2} ms\tBilled Duration: [0-9]+ ms\tMemory Size: 1024 "
                                      "MB\tMax Memory Used: [1-9][0-9]* MB\tInit Duration: [0-9.]+ ms\t")));
    const Outcome warm = world.invoke("{}", true);
    CHECK(warm.log_tail.find("Init Duration") == std::string::npos);
    CHECK(warm.log_tail.find("eins") == std::string::npos);
    world.wait_for_log("END RequestId: " + world.last_request_id());
    CHECK(world.log() == outcome.log_tail + warm.log_tail);
  }
  SECTION("the tail is 4096 bytes at most") {
    const Outcome outcome = world.invoke(R"({"do":"long line","bytes":100000})", true);
    CHECK(outcome.log_tail.size() == 4096);
    CHECK(outcome.log_tail.find("REPORT") != std::string::npos);
  }
  SECTION("a line of a megabyte is cut: CloudWatch's 256 KB are 26 bytes less") {
    world.invoke(R"({"do":"long line","bytes":1048576})");
    world.wait_for_log("REPORT");
    const std::vector<std::string> lines = lines_of(world.log());
    CHECK(std::count_if(lines.begin(), lines.end(), [](const auto& line) { return line.size() == 262144 - 26; }) == 4);
  }
  SECTION("what a dying process printed last is there") {
    world.invoke("{}");
    world.invoke(R"({"do":"print","text":"last words"})");
    world.invoke(R"({"do":"exit","code":1})");
    world.wait_for_log("last words\n");
  }
}

TEST_CASE("each environment has a /tmp of its own") {
  if (!emulator::private_mounts_available()) {
    WARN("this machine permits no mount namespace: functions share /tmp and get TMPDIR");
    World world;
    CHECK(text_of(world.invoke(R"({"do":"env","name":"TMPDIR"})")).find("/environments/misbehave.") !=
          std::string::npos);
    return;
  }
  test::TemporaryFolder outside;
  std::ofstream(outside / "code") << "print(1)";
  World world([&](EmulatorSettings& settings) { settings.directory = outside.path(); });
  const std::string name = "/tmp/weir-test-" + std::to_string(::getpid());
  CHECK(text_of(world.invoke(json{{"do", "write"}, {"path", name}, {"text", "secret"}}.dump())) == "\"secret\"");
  CHECK_FALSE(std::filesystem::exists(name));
  world.run_until([&] { return world.counts().idle == 1; });
  SECTION("another environment does not see it") {
    const std::size_t first = world.begin(R"({"do":"sleep"})");
    const std::size_t second = world.begin(json{{"do", "exists"}, {"path", name}}.dump());
    CHECK(text_of(world.wait(second)) == "false");
    world.cancel(first);
    CHECK(text_of(world.wait(first)) == "cancelled");
  }
  SECTION("it survives the end of the process") {
    world.invoke(R"({"do":"exit"})");
    CHECK(text_of(world.invoke(json{{"do", "read"}, {"path", name}}.dump())) == "\"secret\"");
    CHECK(world.counts().cold_starts == 2);
  }
  SECTION("the function's directory stays reachable, though it lies under /tmp") {
    CHECK(text_of(world.invoke(json{{"do", "read"}, {"path", outside / "code"}}.dump())) == "\"print(1)\"");
  }
  SECTION("the code is in /var/task, which is where it starts, and nobody can write there") {
    CHECK(text_of(world.invoke(R"({"do":"cwd"})")) == "\"/var/task\"");
    CHECK(text_of(world.invoke(R"({"do":"env","name":"LAMBDA_TASK_ROOT"})")) == "\"/var/task\"");
    CHECK(text_of(world.invoke(R"({"do":"read","path":"/var/task/code"})")) == "\"print(1)\"");
    CHECK(text_of(world.invoke(R"({"do":"exists","path":"/var/lib"})")) == "true");
    world.invoke(R"({"do":"write","path":"/var/task/mine","text":"x"})");
    CHECK_FALSE(std::filesystem::exists(outside / "mine"));
  }
}

TEST_CASE("a cancelled call ends as cancelled and takes its process along") {
  World world;
  SECTION("while it runs") {
    world.invoke("{}");
    world.run_until([&] { return world.counts().idle == 1; });
    const std::size_t call = world.begin(R"({"do":"sleep"})");
    world.run_until([&] { return world.counts().busy == 1; });
    world.cancel(call);
    CHECK(text_of(world.wait(call)) == "cancelled");
  }
  SECTION("while its environment starts") {
    const std::size_t call = world.begin("{}");
    world.run_until([&] { return world.counts().starting == 1; });
    world.cancel(call);
    CHECK(text_of(world.wait(call)) == "cancelled");
  }
  world.run_until([] { return !has_children(); });
  CHECK(text_of(world.invoke("{}")) == "{}");
}

TEST_CASE("closing ends running calls and every process, daemons too") {
  World world;
  world.invoke(R"({"do":"daemon"})");
  world.run_until([&] { return world.counts().idle == 1; });
  const std::size_t call = world.begin(R"({"do":"sleep"})");
  world.run_until([&] { return world.counts().busy == 1; });
  world.close();
  CHECK(text_of(world.wait(call)) == "cancelled");
  CHECK_FALSE(has_children());
}

TEST_CASE("an environment that nobody uses is taken down") {
  World world([](EmulatorSettings& settings) { settings.idle_limit = 100ms; });
  world.invoke("{}");
  world.run_until([&] { return world.counts().idle == 1; });
  world.run_until([&] { return world.counts().idle == 0 && !has_children(); });
  CHECK(text_of(world.invoke("{}")) == "{}");
  CHECK(world.counts().cold_starts == 2);
}

TEST_CASE("200 cold starts leave no process and no descriptor behind") {
  World world([](EmulatorSettings& settings) { settings.timeout = 20s; });
  world.invoke(R"({"do":"exit"})");
  run_until_cleared(world);
  const int before = count_descriptors();
  for (int n = 0; n < 200; ++n) world.invoke(n % 2 == 0 ? R"({"do":"exit"})" : R"({"do":"crash"})");
  run_until_cleared(world);
  CHECK(world.counts().cold_starts == 201);
  CHECK(count_descriptors() == before);
}

TEST_CASE("what a killed bridge left behind is removed at the next start") {
  test::TemporaryFolder folder;
  const auto left = std::filesystem::path(folder.path()) / "misbehave.Kilied" / "tmp-1";
  std::filesystem::create_directories(left);
  std::ofstream(left / "file") << "x";
  const auto other = std::filesystem::path(folder.path()) / "another.Kilied";
  std::filesystem::create_directories(other);
  World world([&](EmulatorSettings& settings) { settings.folder = folder.path(); });
  CHECK_FALSE(std::filesystem::exists(left));
  CHECK(std::filesystem::exists(other));
  SECTION("but not what one in use has") {
    World second([&](EmulatorSettings& settings) { settings.folder = folder.path(); });
    CHECK(text_of(world.invoke("{}")) == "{}");
    CHECK(text_of(second.invoke("{}")) == "{}");
  }
}

TEST_CASE("environments that are kept ready: initialized before any call, and told so; a dead one is replaced") {
  World world([](auto& settings) { settings.version = "1"; });
  world.endpoint().provision(2);
  world.run_until([&] { return world.endpoint().provisioned().available == 2; });
  CHECK(world.counts().idle == 2);
  Invocation call;
  call.function = "misbehave";
  call.request_id = "12345678-1234-4234-8234-123456789012";
  call.payload = R"({"do":"env","name":"AWS_LAMBDA_INITIALIZATION_TYPE"})";
  call.provisioned = true;
  call.log_tail = true;
  const Outcome outcome = world.wait(world.begin(call));
  CHECK(text_of(outcome) == "\"provisioned-concurrency\"");
  CHECK_FALSE(outcome.init_duration);
  CHECK(outcome.log_tail.find("Init Duration") == std::string::npos);
  world.wait_for_log("Phase: init\tStatus: success");
  call.payload = R"({"do":"exit","code":3})";
  CHECK(std::holds_alternative<FunctionFailed>(world.wait(world.begin(call)).what));
  world.run_until([&] { return world.endpoint().provisioned().available == 2; });
  for (const ColdStart& start : world.endpoint().take_cold_starts()) CHECK(start.reason == StartReason::kProvisioned);
  world.endpoint().provision(0);
  world.run_until([&] { return world.counts().idle == 0; });
}
