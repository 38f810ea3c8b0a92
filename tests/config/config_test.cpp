#include "config/config.h"

#include <filesystem>

#include <catch2/catch.hpp>

#include "weir/base/random.h"

#include "fake_connectors.h"
#include "support/temporary_folder.h"

namespace weir::config {
namespace {

using namespace std::string_view_literals;

const std::string kFunction = "functions:\n  f:\n    command: run\n";

/// A source `tick` of the function f, with these lines of its own.
std::string clock_source(const std::string& settings) {
  return kFunction + "sources:\n  tick:\n    type: clock\n    function: f\n" + settings;
}

const ClockConfig& clock_of(const ConfigReport& report) {
  REQUIRE(lines(report).empty());
  REQUIRE(report.config.sources.size() == 1);
  return dynamic_cast<const ClockConfig&>(*report.config.sources.front().settings);
}

TEST_CASE("what is not said has its default") {
  const test::TemporaryFolder folder;
  const std::vector<std::string> files{folder.write("weir.yaml", kFunction)};
  const ConfigReport report = read_config(files, fake_connectors(), environment({}));
  REQUIRE(lines(report).empty());
  const Config& config = report.config;
  CHECK(config.state == folder.path() + "/weir-state");
  CHECK(config.admin == "127.0.0.1:4581");
  CHECK(config.concurrency == 1000);
  CHECK(config.shutdown_grace == std::chrono::seconds(30));
  CHECK(config.sources.empty());
  const FunctionConfig& function = config.functions.at("f");
  CHECK(function.name == "f");
  const CommandFunction& command = std::get<CommandFunction>(function.target);
  CHECK(command.command == std::vector<std::string>{"run"});
  CHECK(command.directory == folder.path());
  CHECK(command.handler.empty());
  CHECK(command.timeout == std::chrono::seconds(3));
  CHECK(command.memory_size == 128);
  CHECK(command.ephemeral_storage == 512);
  CHECK(command.environment.empty());
  CHECK_FALSE(function.reserved_concurrent_executions.has_value());
  CHECK(config.listen == "127.0.0.1:4580");
  CHECK(config.access_keys.empty());
  CHECK(function.async.maximum_retry_attempts == 2);
  CHECK(function.async.maximum_event_age == std::chrono::hours(6));
  CHECK(function.async.on_failure.empty());
  CHECK(function.async.on_success.empty());
}

TEST_CASE("a function may be somewhere else") {
  const ConfigReport report = read(R"(
listen: none
access_keys: {AKIDLOCAL: "secret"}
functions:
  audit:
    url: http://127.0.0.1:9000
    function_name: function
  many:
    url: [http://127.0.0.1:9001, "https://[::1]:9002/behind"]
    requests_per_url: 4
    timeout: 7
    maximum_retry_attempts: 0
    maximum_event_age_in_seconds: 60
    on_failure: file:lost.jsonl
    on_success: lambda:audit
  billing:
    arn: arn:aws:lambda:eu-west-1:123456789012:function:billing:live
    region: eu-west-2
    endpoint_url: http://127.0.0.1:4566
    profile: work
)");
  REQUIRE(lines(report).empty());
  CHECK(report.config.listen.empty());
  CHECK(report.config.access_keys == std::map<std::string, std::string>{{"AKIDLOCAL", "secret"}});
  const auto& audit = std::get<UrlFunction>(report.config.functions.at("audit").target);
  CHECK(audit.urls == std::vector<std::string>{"http://127.0.0.1:9000"});
  CHECK(audit.function_name == "function");
  CHECK(audit.requests_per_url == 1);
  const FunctionConfig& many = report.config.functions.at("many");
  CHECK(std::get<UrlFunction>(many.target).urls.size() == 2);
  CHECK(std::get<UrlFunction>(many.target).function_name == "many");
  CHECK(std::get<UrlFunction>(many.target).requests_per_url == 4);
  CHECK(std::get<UrlFunction>(many.target).timeout == std::chrono::seconds(7));
  CHECK(audit.timeout == std::chrono::seconds(900));
  CHECK(many.async.maximum_retry_attempts == 0);
  CHECK(many.async.maximum_event_age == std::chrono::seconds(60));
  // Paths are relative to the file, whatever folder weir is started in.
  CHECK(many.async.on_failure.starts_with("file:/"));
  CHECK(many.async.on_failure.ends_with("/lost.jsonl"));
  CHECK(many.async.on_success == "lambda:audit");
  const auto& billing = std::get<ArnFunction>(report.config.functions.at("billing").target);
  CHECK(billing.arn == "arn:aws:lambda:eu-west-1:123456789012:function:billing:live");
  CHECK(billing.region == "eu-west-2");
  CHECK(billing.endpoint_url == "http://127.0.0.1:4566");
  CHECK(billing.profile == "work");
}

TEST_CASE("everything that can be said is read") {
  const test::TemporaryFolder folder;
  std::filesystem::create_directory(folder.path() + "/code");
  const std::vector<std::string> files{folder.write("weir.yaml", R"(
state: ./data/
admin: "[::1]:0"
concurrency: 500
shutdown_grace: 0
functions:
  resize-1_a:
    command: [node, ./index.js, "a b"]
    directory: ./code
    handler: index.handler
    timeout: 900
    memory_size: 10240
    ephemeral_storage: 10240
    environment: {BUCKET: thumbnails, RATIO: 1.50, DEBUG: true}
    reserved_concurrent_executions: 400
sources:
  up.loads:
    type: nothing
    function: resize-1_a
    enabled: false
  another:
    type: nothing
    function: resize-1_a
)")};
  const ConfigReport report = read_config(files, fake_connectors(), environment({}));
  REQUIRE(lines(report).empty());
  const Config& config = report.config;
  CHECK(config.state == folder.path() + "/data");
  CHECK(config.admin == "[::1]:0");
  CHECK(config.concurrency == 500);
  CHECK(config.shutdown_grace == Duration{0});
  const FunctionConfig& function = config.functions.at("resize-1_a");
  const CommandFunction& command = std::get<CommandFunction>(function.target);
  CHECK(command.command == std::vector<std::string>{"node", "./index.js", "a b"});
  CHECK(command.directory == folder.path() + "/code");
  CHECK(command.handler == "index.handler");
  CHECK(command.timeout == std::chrono::seconds(900));
  CHECK(command.memory_size == 10'240);
  CHECK(command.ephemeral_storage == 10'240);
  CHECK(command.environment ==
        std::map<std::string, std::string>{{"BUCKET", "thumbnails"}, {"RATIO", "1.50"}, {"DEBUG", "true"}});
  CHECK(function.reserved_concurrent_executions == 400);
  REQUIRE(config.sources.size() == 2);
  CHECK(config.sources[0].name == "up.loads");
  CHECK(config.sources[0].connector == &fake_connectors()[1]);
  CHECK(config.sources[0].function == "resize-1_a");
  CHECK_FALSE(config.sources[0].enabled);
  CHECK(config.sources[0].settings->name == "up.loads");
  CHECK(config.sources[1].name == "another");
  CHECK(config.sources[1].enabled);
}

TEST_CASE("a connector's settings come as it asked for them") {
  const ConfigReport report = read(clock_source(R"(    zone: hall
    face: ARABIC
    start: 1.5e3
    hands: 2
    strikes: false
    alarms: noon
    hours: [I, III]
    extras: {a: 1, b: yes, c: "x"}
    login: {user: anna, password: "0815"}
    file: ../clock
    batch_size: 10000
    maximum_record_age_in_seconds: -1
)"));
  const ClockConfig& clock = clock_of(report);
  CHECK(clock.zone == "hall");
  CHECK(clock.face == "ARABIC");
  CHECK(clock.start == "1.5e3");
  CHECK(clock.hands == 2);
  CHECK_FALSE(clock.strikes);
  CHECK(clock.alarms == std::vector<std::string>{"noon"});
  CHECK(clock.hours == std::vector<std::string>{"I", "III"});
  CHECK(clock.extras == std::map<std::string, std::string>{{"a", "1"}, {"b", "yes"}, {"c", "x"}});
  CHECK(clock.user == "anna");
  CHECK(clock.password == "0815");
  CHECK(std::filesystem::path(clock.file).is_absolute());
  CHECK(std::filesystem::path(clock.file).filename() == "clock");
  CHECK(clock.mapping.batch_size == 10'000);
  CHECK_FALSE(clock.mapping.maximum_record_age.has_value());
}

TEST_CASE("JSON is YAML") {
  const ConfigReport report = read(
      R"({"functions": {"f": {"command": ["run"], "timeout": 7}}, "sources": {"s": {"type": "nothing", "function": "f"}}})");
  REQUIRE(lines(report).empty());
  CHECK(std::get<CommandFunction>(report.config.functions.at("f").target).timeout == std::chrono::seconds(7));
}

TEST_CASE("both sides of every limit of a function") {
  struct Row {
    std::string_view line;
    bool right;
  };
  const auto row = GENERATE(values<Row>({
      {"timeout: 1", true},
      {"timeout: 900", true},
      {"timeout: 0", false},
      {"timeout: 901", false},
      {"memory_size: 128", true},
      {"memory_size: 10240", true},
      {"memory_size: 127", false},
      {"memory_size: 10241", false},
      {"ephemeral_storage: 512", true},
      {"ephemeral_storage: 10240", true},
      {"ephemeral_storage: 511", false},
      {"ephemeral_storage: 10241", false},
      {"reserved_concurrent_executions: 0", true},
      {"reserved_concurrent_executions: 900", true},
      {"reserved_concurrent_executions: 901", false},
      {"reserved_concurrent_executions: -1", false},
  }));
  INFO(row.line);
  CHECK(read(kFunction + "    " + std::string(row.line) + "\n").mistakes.empty() == row.right);
}

TEST_CASE("names of functions and sources are 1 to 64 letters") {
  const auto length = GENERATE(1U, 64U, 65U);
  const std::string name(length, 'a');
  const ConfigReport report = read("functions:\n  " + name + ":\n    command: run\nsources:\n  " + name +
                                   ":\n    type: nothing\n    function: " + name + "\n");
  CHECK(report.mistakes.size() == (length > 64 ? 2 : 0));
}

TEST_CASE("a function's variables take 4096 bytes as JSON and not one more") {
  const auto size = GENERATE(4086U, 4087U);  // beside {"KEY":""}
  const ConfigReport report = read(kFunction + "    environment: {KEY: " + std::string(size, 'x') + "}\n");
  CHECK(report.mistakes.empty() == (size == 4086));
}

TEST_CASE("a reservation that is refused takes nothing from the next one") {
  const ConfigReport report = read(R"(concurrency: 110
functions:
  f: {command: run, reserved_concurrent_executions: 11}
  g: {command: run, reserved_concurrent_executions: 10}
  h: {command: run, reserved_concurrent_executions: 0}
)");
  REQUIRE(report.mistakes.size() == 1);
  CHECK(report.mistakes.front().path == "functions.f.reserved_concurrent_executions");
}

TEST_CASE("a small account may run functions that reserve nothing") {
  CHECK(read("concurrency: 1\n" + kFunction + "    reserved_concurrent_executions: 0\n").mistakes.empty());
}

TEST_CASE("addresses of the admin port") {
  struct Row {
    std::string_view address;
    bool right;
  };
  const auto row = GENERATE(values<Row>({
      {"127.0.0.1:0", true},
      {"localhost:65535", true},
      {"my-host.example:80", true},
      {"[::1]:4581", true},
      {"::1:4581", false},
      {"127.0.0.1", false},
      {":4581", false},
      {"127.0.0.1:", false},
      {"127.0.0.1:+1", false},
      {"127.0.0.1:65536", false},
      {"127.0.0.1:99999999999", false},
      {"a b:1", false},
      {"[]:1", false},
  }));
  INFO(row.address);
  CHECK(read("admin: \"" + std::string(row.address) + "\"\n").mistakes.empty() == row.right);
}

TEST_CASE("variables") {
  SECTION("serve as a number, a truth value or a text, quoted or not") {
    const ConfigReport report = read(clock_source(R"(    zone: "${ZONE}-${NUMBER}"
    alarms: [a, "${NUMBER}"]
    hands: ${NUMBER}
    strikes: ${TRUTH}
    batch_size: "${NUMBER}00"
    extras: {price: "$${NUMBER} $ ${NOBODY:-}"}
    login:
      user: ${NUMBER}
      password: ${NOBODY:-a:-b}
)"),
                                     {{"ZONE", "hall"}, {"NUMBER", "2"}, {"TRUTH", "false"}});
    const ClockConfig& clock = clock_of(report);
    CHECK(clock.zone == "hall-2");
    CHECK(clock.alarms == std::vector<std::string>{"a", "2"});
    CHECK(clock.hands == 2);
    CHECK_FALSE(clock.strikes);
    CHECK(clock.mapping.batch_size == 200);
    CHECK(clock.extras.at("price") == "${NUMBER} $ ");
    CHECK(clock.user == "2");
    CHECK(clock.password == "a:-b");
  }
  SECTION("an empty one takes its default, as in a shell") {
    CHECK(read("concurrency: ${EMPTY:-7}\n", {{"EMPTY", ""}}).config.concurrency == 7);
  }
  SECTION("their values are not replaced again") {
    const ConfigReport report = read("state: ${A}\n", {{"A", "/x/${B}"}, {"B", "y"}});
    CHECK(report.config.state == "/x/${B}");
  }
  SECTION("keys are left alone") {
    CHECK(lines(read("${A}: 1\n", {{"A", "concurrency"}})) == "weir.yaml:1:1: ${A}: unknown key\n");
  }
}

TEST_CASE("what came from a variable or is a secret is in no message") {
  const std::string sentences = lines(read(clock_source(R"(    zone: Atlantis
    alarms: a
    hands: ${SECRET}
    face: ${SECRET}
    login: {user: same, password: same}
)"),
                                           {{"SECRET", "hunter2"}}));
  CHECK(sentences ==
        "weir.yaml:8:11: sources.tick.zone: \"Atlantis\" has sunk\n"
        "weir.yaml:10:12: sources.tick.hands: expected a whole number, found the value of ${SECRET}\n"
        "weir.yaml:11:11: sources.tick.face: the value of ${SECRET} is not allowed, allowed is ROMAN or ARABIC\n"
        "weir.yaml:12:35: sources.tick.login.password: \"(not shown)\" is the user's name, too\n");
}

TEST_CASE("yaml-cpp's traps") {
  SECTION("a key given twice: the first one holds, and the second is reported") {
    const ConfigReport report = read("concurrency: 5\nconcurrency: 6\n");
    CHECK(lines(report) == "weir.yaml:2:1: concurrency: given twice, first on line 1\n");
    CHECK(report.config.concurrency == 5);
  }
  SECTION("a key given twice in different quotes is the same key") {
    CHECK(lines(read("concurrency: 5\n\"concurrency\": 6\n")) ==
          "weir.yaml:2:1: concurrency: given twice, first on line 1\n");
  }
  SECTION("a quoted number is a text, and an unquoted one is none") {
    CHECK(clock_of(read(clock_source("    zone: \"12\"\n    alarms: ['7']\n"))).zone == "12");
    CHECK(
        lines(read("concurrency: \"5\"\n")) ==
        "weir.yaml:1:14: concurrency: expected a whole number, found the text \"5\"; without quotes it is a number\n");
    CHECK(lines(read("state: 12\n")) ==
          "weir.yaml:1:8: state: expected a text, found the number 12; in quotes it is a text\n");
  }
  SECTION("a tagged text is a text") {
    CHECK(lines(read("state: !!str 12\n")).empty());
  }
  SECTION("a mistake in an aliased value is reported where the alias stands") {
    CHECK(lines(read("state: &word data\nconcurrency: *word\n")) ==
          "weir.yaml:2:14: concurrency: expected a whole number, found the text \"data\"\n");
  }
  SECTION("an alias of a whole mapping is read under its own name") {
    const ConfigReport report = read("functions:\n  f: &f\n    command: run\n  g: *f\n");
    REQUIRE(lines(report).empty());
    CHECK(report.config.functions.at("g").name == "g");
  }
  SECTION("a quoted << is a key like others") {
    CHECK(lines(read("\"<<\": 1\n")) == "weir.yaml:1:1: <<: unknown key\n");
  }
  SECTION("a text over several lines keeps its place") {
    CHECK(lines(read("admin: |\n  nowhere\n")) ==
          "weir.yaml:1:8: admin: \"nowhere \" is not HOST:PORT, for example 127.0.0.1:4581\n");
  }
  SECTION("a byte order mark and Windows line ends do not matter") {
    CHECK(lines(read("\xEF\xBB\xBF"
                     "state: data\r\nconcurrency: x\r\n")) ==
          "weir.yaml:2:14: concurrency: expected a whole number, found the text \"x\"\n");
  }
  SECTION("deep nesting is refused, not followed into the ground") {
    const ConfigReport report = read("functions: " + std::string(100'000, '[') + "\n");
    REQUIRE(report.mistakes.size() == 1);
    CHECK(report.mistakes.front().sentence == "this is nested too deeply");
  }
}

TEST_CASE("a file that cannot be read is one mistake without a line") {
  const test::TemporaryFolder folder;
  SECTION("it is not there") {
    const std::vector<std::string> files{folder.path() + "/weir.yaml"};
    CHECK(lines(read_config(files, fake_connectors(), environment({}))) == "weir.yaml: there is no such file\n");
  }
  SECTION("it is a folder") {
    std::filesystem::create_directory(folder.path() + "/weir.yaml");
    const std::vector<std::string> files{folder.path() + "/weir.yaml"};
    CHECK(lines(read_config(files, fake_connectors(), environment({}))) == "weir.yaml: this is a folder, not a file\n");
  }
  SECTION("it is larger than any configuration") {
    const std::vector<std::string> files{folder.write("weir.yaml", std::string(16 * 1024 * 1024 + 1, '#'))};
    CHECK(lines(read_config(files, fake_connectors(), environment({}))) ==
          "weir.yaml: the file is larger than 16 MB\n");
  }
}

TEST_CASE("several files") {
  const test::TemporaryFolder folder;
  const auto read_files = [](std::vector<std::string> files) {
    return read_config(files, fake_connectors(), environment({}));
  };

  SECTION("functions and sources add up, in the order of the files") {
    const ConfigReport report = read_files({
        folder.write("a.yaml", "sources:\n  one: {type: nothing, function: f}\n"),
        folder.write(
            "b.yaml",
            "concurrency: 7\nfunctions:\n  f: {command: run}\nsources:\n  two: {type: nothing, function: f}\n"),
    });
    REQUIRE(lines(report).empty());
    CHECK(report.config.concurrency == 7);
    CHECK(report.config.functions.contains("f"));
    REQUIRE(report.config.sources.size() == 2);
    CHECK(report.config.sources[0].name == "one");
    CHECK(report.config.sources[1].name == "two");
  }
  SECTION("the same name, or the same other key, is a mistake that names both places") {
    const ConfigReport report = read_files({
        folder.write("a.yaml",
                     "state: x\nfunctions:\n  f: {command: run}\nsources:\n  one: {type: nothing, function: f}\n"),
        folder.write("b.yaml",
                     "functions:\n  f: {command: run}\nsources:\n  one: {type: nothing, function: f}\nstate: x\n"),
    });
    std::string expected;
    for (const std::string line :
         {"2:3: functions.f: given twice, first in A on line 3", "4:3: sources.one: given twice, first in A on line 5",
          "5:1: state: given twice, first in A on line 1"}) {
      expected += "b.yaml:" + line + "\n";
    }
    for (std::size_t at = expected.find(" A "); at != std::string::npos; at = expected.find(" A ")) {
      expected.replace(at + 1, 1, folder.path() + "/a.yaml");
    }
    CHECK(lines(report) == expected);
  }
  SECTION("the state folder stands beside the first file, or where the file says that names it") {
    std::filesystem::create_directory(folder.path() + "/sub");
    const std::string first = folder.write("a.yaml", "functions: {}\n");
    CHECK(read_files({first, folder.write("sub/b.yaml", "concurrency: 7\n")}).config.state ==
          folder.path() + "/weir-state");
    CHECK(read_files({first, folder.write("sub/c.yaml", "state: data\n")}).config.state == folder.path() + "/sub/data");
  }
  SECTION("reservations of all files come from one account, wherever it stands") {
    const ConfigReport report = read_files({
        folder.write("a.yaml", "functions:\n  f: {command: run, reserved_concurrent_executions: 100}\n"),
        folder.write("b.yaml",
                     "concurrency: 201\nfunctions:\n  g: {command: run, reserved_concurrent_executions: 2}\n"),
    });
    REQUIRE(report.mistakes.size() == 1);
    CHECK(report.mistakes.front().path == "functions.g.reserved_concurrent_executions");
  }
  SECTION("while one cannot be read, nobody says that its functions are missing") {
    const ConfigReport report = read_files({
        folder.write("a.yaml", "sources:\n  one: {type: nothing, function: f}\n"),
        folder.write("b.yaml", "functions: [\n"),
    });
    REQUIRE(report.mistakes.size() == 1);
    CHECK(std::filesystem::path(report.mistakes.front().file).filename() == "b.yaml");
  }
}

// A file that is cut off or damaged anywhere gives mistakes or, with luck, a configuration; never anything worse.
TEST_CASE("damaged files do no harm") {
  const std::string text =
      "state: &a ./data\nfunctions:\n  f: {command: [run, \"x\\n\"], directory: *a}\nsources:\n  'tick': # c\n"
      "    type: clock\n    function: f\n    zone: ${A:-x}\n    alarms: |\n      y\n    extras: !!map {a: 1, ? b : "
      "~}\n";
  const auto harmless = [](const std::string& damaged) {
    for (const Mistake& mistake : read(damaged).mistakes) {
      CHECK_FALSE(mistake.sentence.empty());
      CHECK(mistake.describe().find('\n') == std::string::npos);
    }
  };
  SECTION("cut off") {
    for (std::size_t length = 0; length <= text.size(); ++length) harmless(text.substr(0, length));
  }
  SECTION("with other characters in it") {
    constexpr std::string_view kSpice = "{}[]:,-?&*!|>'\"%@`#<$~ \t\n\r\\\xC3\xFF\0a0"sv;
    Random random(7);
    for (int run = 0; run < 3000; ++run) {
      std::string damaged = text;
      for (std::uint64_t i = random.below(4) + 1; i > 0; --i) {
        damaged[random.below(damaged.size())] = kSpice[random.below(kSpice.size())];
      }
      harmless(damaged);
    }
  }
}

TEST_CASE("a mistake describes itself on one line") {
  CHECK(Mistake{"weir.yaml", 14, 17, "sources.clicks.batch_size", "0 is out of range"}.describe() ==
        "weir.yaml:14:17: sources.clicks.batch_size: 0 is out of range");
  CHECK(Mistake{"weir.yaml", 1, 1, "", "a list"}.describe() == "weir.yaml:1:1: a list");
  CHECK(Mistake{"weir.yaml", 0, 0, "", "the file is empty"}.describe() == "weir.yaml: the file is empty");
}

}  // namespace
}  // namespace weir::config
