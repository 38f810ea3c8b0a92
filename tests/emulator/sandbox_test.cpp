// What a function sees of the machine, and what it gets of it. Each test asks what is permitted here first.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "lambda/emulator/memory_use.h"
#include "lambda/emulator/mounts.h"
#include "support/temporary_folder.h"
#include "world.h"

namespace weir {
namespace {

namespace fs = std::filesystem;
using emulator::EmulatorSettings;
using nlohmann::json;
using test::TemporaryFolder;
using test::text_of;
using test::World;

bool mounts_permitted() {
  if (emulator::private_mounts_available()) return true;
  WARN("this machine permits no mount namespace: what functions see there is not tried");
  return false;
}

/// "T" for each stopped process among those below the supervisors, another letter for each that is not.
std::string states_of_functions() {
  std::string states;
  const std::vector<pid_t> all = emulator::processes_below(::getpid());
  for (const pid_t process : all) {
    const std::string stat = test::file_text("/proc/" + std::to_string(process) + "/stat");
    const std::size_t name_end = stat.rfind(')');
    if (name_end == std::string::npos || stat.find("(lambda-env)") != std::string::npos) continue;
    states += stat[name_end + 2];
  }
  return states;
}

void write(const std::string& path, const std::string& text, fs::perms more = fs::perms::none) {
  fs::create_directories(fs::path(path).parent_path());
  std::ofstream(path) << text;
  fs::permissions(path, more, fs::perm_options::add);
}

std::string read_in(World& world, const std::string& path) {
  return text_of(world.invoke(json{{"do", "read"}, {"path", path}}.dump()));
}

}  // namespace

TEST_CASE("an idle environment is frozen, all of it, and goes on where it was") {
  World world;
  world.invoke(R"({"do":"daemon"})");
  world.run_until([] { return states_of_functions() == "TT"; });
  CHECK(text_of(world.invoke(R"({"n":1})")) == R"({"n":1})");
  CHECK(world.counts().cold_starts == 1);
  world.run_until([] { return states_of_functions() == "TT"; });
  SECTION("it is not when it works") {
    const std::size_t call = world.begin(R"({"do":"sleep"})");
    world.run_until([&] { return world.counts().busy == 1; });
    CHECK(states_of_functions().find('T') == std::string::npos);
    world.cancel(call);
    CHECK(text_of(world.wait(call)) == "cancelled");
  }
  SECTION("it can be ended") {
    world.close();
    CHECK(states_of_functions().empty());
  }
}

TEST_CASE("a frozen environment that nobody uses is taken down") {
  World world([](EmulatorSettings& settings) { settings.idle_limit = std::chrono::milliseconds(300); });
  world.invoke("{}");
  world.run_until([] { return states_of_functions() == "T"; });
  world.run_until([&] { return world.counts().idle == 0 && states_of_functions().empty(); });
}

TEST_CASE("/tmp holds as much as is set, and not more") {
  if (!mounts_permitted()) return;
  World world([](EmulatorSettings& settings) { settings.ephemeral_storage = 1; });
  const std::string fits(900'000, 'a');
  CHECK(text_of(world.invoke(json{{"do", "write"}, {"path", "/tmp/one"}, {"text", fits}}.dump())) == json(fits).dump());
  CHECK(text_of(world.invoke(json{{"do", "write"}, {"path", "/tmp/two"}, {"text", fits}}.dump())) != json(fits).dump());
}

TEST_CASE("layers are /opt, later ones win, and nobody can write there") {
  if (!mounts_permitted() || !fs::is_directory("/opt")) return;
  const TemporaryFolder folder;
  write(folder / "one/name", "one");
  write(folder / "one/only", "of one");
  write(folder / "two/name", "two");
  World world([&](EmulatorSettings& settings) {
    settings.layers = {folder / "one", folder / "two"};
    settings.layer_cache = folder / "cache";
  });
  CHECK(read_in(world, "/opt/name") == "\"two\"");
  CHECK(read_in(world, "/opt/only") == "\"of one\"");
  world.invoke(R"({"do":"write","path":"/opt/mine","text":"x"})");
  CHECK(text_of(world.invoke(R"({"do":"exists","path":"/opt/mine"})")) == "false");
}

TEST_CASE("what beside the code is named in the command is found; so are modules of the folder above") {
  if (!mounts_permitted()) return;
  const TemporaryFolder folder;
  fs::create_directories(folder / "app/code");
  write(folder / "app/node_modules/m/index.js", "a module");
  fs::create_symlink(MISBEHAVE, folder / "app/program");
  World world([&](EmulatorSettings& settings) {
    settings.directory = folder / "app/code";
    settings.command = {"../program"};
    // What the settings name is there for the function, also below the machine's /tmp.
    settings.environment["PROGRAM"] = MISBEHAVE;
  });
  CHECK(text_of(world.invoke(R"({"do":"cwd"})")) == "\"/var/task\"");
  CHECK(read_in(world, "/var/node_modules/m/index.js") == "\"a module\"");
}

TEST_CASE("`provided` starts the bootstrap in the code's folder, else the layers'") {
  const TemporaryFolder folder;
  fs::create_directories(folder / "code");
  const std::string start = "#!/bin/sh\nexec $PROGRAM\n";
  write(folder / "layer/bootstrap", start, fs::perms::owner_exec);
  const auto provided = [&](EmulatorSettings& settings) {
    settings.command.clear();
    settings.runtime = "provided.al2023";
    settings.environment["PROGRAM"] = MISBEHAVE;
    settings.directory = folder / "code";
    settings.layer_cache = folder / "cache";
  };
  SECTION("in the layer") {
    World world([&](EmulatorSettings& settings) {
      provided(settings);
      settings.layers = {folder / "layer"};
    });
    CHECK(text_of(world.invoke(R"({"n":1})")) == R"({"n":1})");
  }
  SECTION("in the code") {
    write(folder / "code/bootstrap", start, fs::perms::owner_exec);
    World world(provided);
    CHECK(text_of(world.invoke(R"({"do":"env","name":"AWS_EXECUTION_ENV"})")) == "\"(none)\"");
  }
  SECTION("nowhere") {
    World world(provided);
    const Outcome outcome = world.invoke("{}");
    const auto& failed = std::get<FunctionFailed>(outcome.what);
    CHECK(failed.error_type == "Runtime.InvalidEntrypoint");
    CHECK(failed.payload.find("Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]") !=
          std::string::npos);
  }
}

TEST_CASE("a runtime whose client is not there says what it looked for and how to get it") {
  const TemporaryFolder folder;
  struct Row {
    std::string runtime, advice;
  };
  const auto row = GENERATE(values<Row>({{"nodejs20.x", "npm install aws-lambda-ric"},
                                         {"java21", "mvn dependency:copy-dependencies"},
                                         {"python3.12", "pip install awslambdaric"}}));
  if (row.runtime == "python3.12" && ::access("/usr/bin/python3", X_OK) != 0) return;
  World world([&](EmulatorSettings& settings) {
    settings.command.clear();
    settings.runtime = row.runtime;
    settings.handler = "index.handler";
    settings.directory = folder.path();
    // Debian's Python alone, whatever others this machine has.
    settings.environment["PATH"] = "/usr/bin:/bin";
  });
  const Outcome outcome = world.invoke("{}");
  const auto& failed = std::get<FunctionFailed>(outcome.what);
  INFO(failed.payload);
  CHECK(failed.error_type == "Runtime.InvalidEntrypoint");
  CHECK(failed.payload.find(row.advice) != std::string::npos);
}

TEST_CASE("what is wrong in a layer is what calls are told; a layer that is not there is told before") {
  World world([](auto& settings) {
    std::ofstream(settings.folder + ".zip") << "no zip";
    settings.layers = {settings.folder + ".zip"};
    settings.layer_cache = settings.folder + ".cache";
  });
  world.endpoint().provision(1);
  const Outcome outcome = world.invoke("{}");
  const auto* failed = std::get_if<ServiceFailed>(&outcome.what);
  REQUIRE(failed != nullptr);
  CHECK(failed->status == 500);
  CHECK(failed->message.find("Could not unzip uploaded file.") != std::string::npos);
  CHECK(world.endpoint().provisioned().failing);
  CHECK_THROWS_WITH(World([](auto& settings) { settings.layers = {"/nowhere"}; }),
                    Catch::Contains("there is no layer /nowhere"));
}

}  // namespace weir
