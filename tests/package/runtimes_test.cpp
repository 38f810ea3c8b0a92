#include "package/runtimes.h"

#include <filesystem>
#include <fstream>

#include <catch2/catch.hpp>

#include "support/temporary_folder.h"

namespace weir::package {
namespace {

namespace fs = std::filesystem;
using test::TemporaryFolder;
using Command = std::vector<std::string>;

void write(const TemporaryFolder& folder, const std::string& name, fs::perms more = fs::perms::none) {
  fs::create_directories(fs::path(folder / name).parent_path());
  folder.write(name, "x");
  fs::permissions(folder / name, more, fs::perm_options::add);
}

RuntimePlace place_of(const std::string& runtime, const std::string& directory) {
  RuntimePlace place;
  place.runtime = runtime;
  place.handler = "index.handler";
  place.directory = directory;
  return place;
}

}  // namespace

TEST_CASE("runtimes are known by the names that AWS gives them") {
  CHECK(family_of("nodejs20.x") == RuntimeFamily::kNode);
  CHECK(family_of("nodejs26.x") == RuntimeFamily::kNode);
  CHECK(family_of("python3.8") == RuntimeFamily::kPython);
  CHECK(family_of("python3.14") == RuntimeFamily::kPython);
  CHECK(family_of("ruby3.3") == RuntimeFamily::kRuby);
  CHECK(family_of("java8.al2") == RuntimeFamily::kJava);
  CHECK(family_of("java21") == RuntimeFamily::kJava);
  CHECK(family_of("java17.al2023") == RuntimeFamily::kJava);
  CHECK(family_of("ruby4.0") == RuntimeFamily::kRuby);
  CHECK(family_of("provided") == RuntimeFamily::kProvided);
  CHECK(family_of("provided.al2023") == RuntimeFamily::kProvided);
  for (const char* none : {"", "nodejs", "nodejs20", "nodejs.x", "node20.x", "python", "python3", "python3.", "java",
                           "java8.al1", "java.al2", "java17.al2023x", "provided.al3", "dotnet8", "go1.x"}) {
    CHECK_FALSE(family_of(none));
  }
}

TEST_CASE("Node's client is looked for as Node looks for modules, then in layers, then in NODE_PATH") {
  const TemporaryFolder folder;
  fs::create_directories(folder / "app/code");
  RuntimePlace place = place_of("nodejs20.x", folder / "app/code");
  place.opt = folder / "opt";
  place.environment["NODE_PATH"] = "/nonexistent:" + folder / "elsewhere";
  const std::string client = "aws-lambda-ric/bin/index.mjs";
  RuntimeStart start = find_runtime(place);
  CHECK(start.command.empty());
  CHECK(start.missing.find(folder / "app/code") != std::string::npos);
  CHECK(start.missing.find("npm install aws-lambda-ric") != std::string::npos);
  // From the last place to the first: each goes before those that are there already.
  for (const char* where : {"elsewhere", "opt/nodejs/node_modules", "opt/nodejs/node20/node_modules", "node_modules",
                            "app/node_modules", "app/code/node_modules"}) {
    const std::string path = std::string(where) + "/" + client;
    write(folder, path);
    CHECK(find_runtime(place).command == Command{"node", folder / path, "index.handler"});
  }
}

TEST_CASE("the bootstrap of `provided` has to be executable; the function's goes before the layers'") {
  const TemporaryFolder folder;
  RuntimePlace place = place_of("provided.al2023", folder / "code");
  place.opt = folder / "opt";
  write(folder, "code/bootstrap");
  CHECK(find_runtime(place).missing == "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]");
  write(folder, "opt/bootstrap", fs::perms::owner_exec);
  CHECK(find_runtime(place).command == Command{folder / "opt/bootstrap"});
  write(folder, "code/bootstrap", fs::perms::owner_exec);
  CHECK(find_runtime(place).command == Command{folder / "code/bootstrap"});
}

TEST_CASE("Java's client is a jar in lib, and its heap is a part of the function's memory") {
  const TemporaryFolder folder;
  RuntimePlace place = place_of("java17", folder.path());
  place.memory_size = 512;
  write(folder, "lib/gson.jar");
  CHECK(find_runtime(place).missing.find("mvn dependency:copy-dependencies") != std::string::npos);
  write(folder, "lib/aws-lambda-java-runtime-interface-client-2.8.0-linux-x86_64.jar");
  CHECK(find_runtime(place).command ==
        Command{"java", "-Xmx435m", "-XX:+UseSerialGC", "-cp", folder.path() + ":" + folder / "lib" + "/*",
                "com.amazonaws.services.lambda.runtime.api.client.AWSLambda", "index.handler"});
}

TEST_CASE("Python and Ruby are asked themselves, by the command") {
  const Command python = find_runtime(place_of("python3.12", "/code")).command;
  REQUIRE(python.size() == 4);
  CHECK(python[0] == "python3");
  CHECK(python[2].find("awslambdaric") != std::string::npos);
  CHECK(python[3] == "index.handler");
  const Command ruby = find_runtime(place_of("ruby3.3", "/code")).command;
  REQUIRE(ruby.size() == 4);
  CHECK(ruby[0] == "ruby");
  CHECK(ruby[3] == "index.handler");
}

TEST_CASE("the variables are Lambda's, with the places where code and layers are") {
  const auto node = runtime_variables("nodejs20.x", "/var/task", "/opt");
  CHECK(node.at("AWS_EXECUTION_ENV") == "AWS_Lambda_nodejs20.x");
  CHECK(node.at("NODE_PATH") ==
        "/opt/nodejs/node20/node_modules:/opt/nodejs/node_modules:/var/runtime/node_modules:/var/runtime:/var/task");
  const auto python = runtime_variables("python3.12", "/var/task", "/o");
  CHECK(python.at("AWS_EXECUTION_ENV") == "AWS_Lambda_python3.12");
  CHECK(python.at("PYTHONPATH") == "/o/python/lib/python3.12/site-packages:/o/python:/var/runtime");
  CHECK(runtime_variables("java21", "/var/task", "/opt").size() == 1);
  CHECK(runtime_variables("provided.al2023", "/var/task", "/opt").empty());
  CHECK(runtime_variables("", "/var/task", "/opt").empty());
}

}  // namespace weir::package
