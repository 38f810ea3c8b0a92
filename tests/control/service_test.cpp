#include "control/service.h"

#include <filesystem>
#include <fstream>
#include <future>
#include <iterator>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "weir/base/bytes.h"

#include "connectors/table.h"
#include "control/code.h"
#include "fake_functions.h"
#include "fake_mappings.h"
#include "package/zip.h"
#include "support/fake_clock.h"
#include "support/temporary_folder.h"

using namespace weir;
using nlohmann::json;

namespace {

namespace fs = std::filesystem;

/// A bridge that keeps what it is given, or refuses.
class FakeHost final : public ServiceHost {
 public:
  net::awaitable<Result<void>> commit(ServiceCommit what) override {
    if (refusing) co_return Error(ErrorCode::kStoreFull, "no room");
    for (SourceNote& note : what.notes) {
      if (note.value) {
        remembered[note.key] = *note.value;
      } else {
        remembered.erase(note.key);
      }
    }
    co_return Result<void>();
  }
  net::awaitable<Result<std::map<std::string, std::string>>> notes() override { co_return remembered; }
  net::awaitable<Result<KeptPage>> kept(KeptRange) override { co_return KeptPage(); }
  net::awaitable<Result<void>> forget(std::string, WallTime) override { co_return Result<void>(); }
  std::string target_of(std::string_view) const override { return ""; }
  bool exists(std::string_view) const override { return true; }

  std::map<std::string, std::string> remembered;
  bool refusing = false;
};

std::string zip(const std::string& content) {
  return test::zip_of({{"app.py", content}, {"lib/more.py", "more"}});
}

std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct World {
  World() { start(); }
  ~World() { stop(); }

  void start() {
    // The pool is the context itself: what blocks does so in its turn.
    ServiceContext made{context.get_executor(), context.get_executor(), null_log(), clock, AwsAccess(), {}};
    service = control::make_service(std::move(made), functions, mappings, connectors(), folder.path());
    running = net::co_spawn(context, service->run(host), net::bind_cancellation_slot(ending.slot(), net::use_future));
    settle();
    REQUIRE(service->ready());
  }
  void stop() {
    ending.emit(net::cancellation_type::terminal);
    settle();
    service.reset();
  }
  void restart() {
    stop();
    functions.plans.clear();
    mappings.put.clear();
    mappings.ending.clear();
    mappings.states.clear();
    start();
  }
  void settle() {
    context.restart();
    context.poll();
  }

  ServiceAnswer call(const std::string& method, const std::string& path, const std::string& body = "",
                     const std::string& query = "") {
    ServiceCall asked;
    asked.method = method;
    asked.path = path;
    asked.query = query;
    asked.body = body;
    asked.address = "http://here";
    auto future = net::co_spawn(context, service->call(host, std::move(asked)), net::use_future);
    settle();
    REQUIRE(future.wait_for(std::chrono::seconds(0)) == std::future_status::ready);
    return future.get();
  }
  ServiceAnswer create(const std::string& bytes, const std::string& name = "hello") {
    std::string encoded;
    append_base64(encoded, bytes);
    return call("POST", "/2015-03-31/functions/",
                json{{"FunctionName", name},
                     {"Runtime", "python3.12"},
                     {"Handler", "app.handler"},
                     {"Role", "arn:aws:iam::000000000000:role/r"},
                     {"Code", {{"ZipFile", encoded}}}}
                    .dump());
  }
  ServiceAnswer update(const std::string& bytes) {
    std::string encoded;
    append_base64(encoded, bytes);
    return call("PUT", "/2015-03-31/functions/hello/code", json{{"ZipFile", encoded}}.dump());
  }
  std::string directory(const std::string& name = "hello") const {
    return functions.plans.at(name).versions.at("$LATEST").directory;
  }
  /// What is in the folder of code, but for what is in its folders.
  std::size_t codes() const {
    std::size_t count = 0;
    std::error_code none;
    for (const auto& each : fs::recursive_directory_iterator(folder / "code", none)) {
      if (each.path().extension() == ".zip") ++count;
    }
    return count;
  }

  net::io_context context;
  test::TemporaryFolder folder;
  test::FakeClock clock;
  test::FakeFunctionHost functions;
  test::FakeMappingHost mappings;
  FakeHost host;
  std::unique_ptr<Service> service;
  net::cancellation_signal ending;
  std::future<Result<void>> running;
};

std::string message(const ServiceAnswer& answer) {
  const json body = json::parse(answer.body);
  return std::to_string(answer.status) + " " + body.value("message", body.value("Message", ""));
}

}  // namespace

TEST_CASE("a function's zip is unpacked, and the bridge is told") {
  World world;
  const ServiceAnswer made = world.create(zip("print(1)"));
  REQUIRE(made.status == 201);
  CHECK(made.content_type == "application/json");
  CHECK(read(world.directory() + "/app.py") == "print(1)");
  CHECK(read(world.directory() + "/lib/more.py") == "more");
  CHECK(world.functions.plans.at("hello").versions.at("$LATEST").runtime == "python3.12");
  CHECK(world.call("DELETE", "/2015-03-31/functions/hello").status == 204);
  CHECK(world.functions.plans.empty());
}

TEST_CASE("what is no code") {
  World world;
  CHECK(message(world.create("no zip")) ==
        "400 Could not unzip uploaded file. Please check your file, then try to upload again.");
  CHECK(message(world.create(test::zip_of({}))).starts_with("400 "));
  CHECK(world.create(test::zip_of({{"../out.py", "x"}})).status == 400);
  CHECK(message(world.create(std::string(control::kMaxZipped + 1, 'x'))) ==
        "413 Zipped size must be smaller than 52428800 bytes");
  CHECK(message(world.call("POST", "/2015-03-31/functions", R"({"Code":{"ZipFile":"?"}})")) ==
        "400 Could not parse request body into json: ZipFile is not in base64.");
  CHECK(world.functions.plans.empty());
  CHECK(world.host.remembered.empty());
  CHECK_FALSE(fs::exists(world.folder / "out.py"));
  for (const auto& left : fs::directory_iterator(world.folder / "code")) CHECK(fs::is_empty(left.path()));
}

TEST_CASE("what the disk does not take is not made") {
  World world;
  world.host.refusing = true;
  const ServiceAnswer refused = world.create(zip("1"));
  CHECK(refused.status == 500);
  CHECK(world.functions.plans.empty());
  world.host.refusing = false;
  CHECK(world.create(zip("1")).status == 201);
}

TEST_CASE("functions survive a restart, and what somebody has removed of their code") {
  World world;
  world.create(zip("1"));
  const std::string directory = world.directory();
  fs::remove_all(directory);
  world.restart();
  CHECK(world.directory() == directory);
  CHECK(read(directory + "/app.py") == "1");
}

TEST_CASE("a function whose code is lost is Failed until it has other code") {
  World world;
  world.create(zip("1"));
  fs::remove_all(world.folder / "code");
  world.restart();
  const auto state = [&] {
    return json::parse(world.call("GET", "/2015-03-31/functions/hello/configuration").body).at("State");
  };
  CHECK(state() == "Failed");
  CHECK(world.update(zip("2")).status == 200);
  CHECK(state() == "Active");
}

TEST_CASE("code that no version has goes at the next start, or when all that could run it is over") {
  World world;
  world.create(zip("1"));
  world.update(zip("2"));
  CHECK(world.codes() == 2);
  world.restart();
  CHECK(world.codes() == 1);
  CHECK(read(world.directory() + "/app.py") == "2");
  world.folder.write("code/.new-half", "x");
  world.call("POST", "/2015-03-31/functions/hello/versions", "{}");
  world.update(zip("3"));
  world.restart();
  CHECK(world.codes() == 2);
  CHECK_FALSE(fs::exists(world.folder / "code/.new-half"));
}

TEST_CASE("GetFunction's link gives the zip back, for ten minutes, and only as it was made") {
  World world;
  const std::string bytes = zip("1");
  world.create(bytes);
  const std::string link =
      json::parse(world.call("GET", "/2015-03-31/functions/hello").body).at("Code").at("Location").get<std::string>();
  const std::string here = "http://here";
  REQUIRE(link.starts_with(here));
  const std::size_t mark = link.find('?');
  const std::string path = link.substr(here.size(), mark - here.size());
  const std::string query = link.substr(mark + 1);
  const ServiceAnswer got = world.call("GET", path, "", query);
  CHECK(got.status == 200);
  CHECK(got.content_type == "application/zip");
  CHECK(got.body == bytes);
  CHECK(world.call("GET", path, "", query + "0").status == 403);
  CHECK(world.call("GET", path).status == 403);
  CHECK(world.call("GET", path + "0", "", query).status == 403);
  world.clock.advance(std::chrono::minutes(10));
  CHECK(world.call("GET", path, "", query).status == 200);
  world.clock.advance(std::chrono::milliseconds(1));
  CHECK(world.call("GET", path, "", query).status == 403);
}

TEST_CASE("a function of the configuration hides one of an earlier life") {
  World world;
  world.create(zip("1"), "fixed2");
  for (const char* kind : {"version/", "setting/"}) {
    for (const auto& [key, value] : std::map(world.host.remembered)) {
      if (key.starts_with(kind + std::string("fixed2/"))) {
        world.host.remembered[kind + std::string("fixed/") + key.substr(key.rfind('/') + 1)] = value;
      }
    }
  }
  world.restart();
  CHECK(world.functions.plans.contains("fixed2"));
  CHECK_FALSE(world.functions.plans.contains("fixed"));
}

namespace {

const std::string kMappings = "/2015-03-31/event-source-mappings";

std::string map(World& world) {
  const json asked = {{"FunctionName", "hello"},
                      {"EventSourceArn", "arn:aws:kinesis:us-east-1:000000000000:stream/clicks"},
                      {"StartingPosition", "LATEST"}};
  const ServiceAnswer made = world.call("POST", kMappings, asked.dump());
  REQUIRE(made.status == 202);
  return json::parse(made.body).at("UUID");
}
std::string state(World& world, const std::string& uuid) {
  const ServiceAnswer got = world.call("GET", kMappings + "/" + uuid);
  return got.status == 200 ? json::parse(got.body).at("State").get<std::string>() : std::to_string(got.status);
}

}  // namespace

TEST_CASE("a mapping is Creating until it is read, and Enabled from then on, also while it begins anew") {
  World world;
  const std::string uuid = map(world);
  CHECK(world.mappings.probed == std::vector<std::string>{uuid});
  CHECK(world.mappings.put.at(uuid).function == "hello");
  CHECK(state(world, uuid) == "Creating");
  CHECK(message(world.call("PUT", kMappings + "/" + uuid, "{}")) ==
        "400 Cannot update the event source mapping because it is in use.");
  CHECK(message(world.call("DELETE", kMappings + "/" + uuid)) ==
        "400 Cannot delete the event source mapping because it is in use.");
  world.mappings.settle();
  CHECK(state(world, uuid) == "Enabled");
  world.mappings.states.at(uuid).settled = false;
  CHECK(state(world, uuid) == "Enabled");
  CHECK(world.call("PUT", kMappings + "/" + uuid, R"({"BatchSize":7})").status == 202);
  CHECK(world.mappings.put.at(uuid).settings->mapping.batch_size == 7);
  CHECK(world.mappings.probed.size() == 1);
  CHECK(state(world, uuid) == "Updating");
}

TEST_CASE("a mapping survives a restart") {
  World world;
  const std::string uuid = map(world);
  world.mappings.settle();
  world.call("PUT", kMappings + "/" + uuid, R"({"Enabled":false,"BatchSize":7})");
  CHECK(state(world, uuid) == "Disabling");
  world.restart();
  CHECK(state(world, uuid) == "Disabled");
  CHECK_FALSE(world.mappings.put.at(uuid).enabled);
  CHECK(world.mappings.put.at(uuid).settings->mapping.batch_size == 7);
}

TEST_CASE("a deleted mapping is Deleting until it has ended, in the next life when it did not in this one") {
  const bool restarts = GENERATE(false, true);
  World world;
  const std::string uuid = map(world);
  world.mappings.settle();
  const ServiceAnswer deleted = world.call("DELETE", kMappings + "/" + uuid);
  CHECK(deleted.status == 202);
  CHECK(json::parse(deleted.body).at("State") == "Deleting");
  CHECK(state(world, uuid) == "Deleting");
  if (restarts) {
    world.restart();
    CHECK(state(world, uuid) == "Deleting");
  }
  CHECK(world.mappings.put.empty());
  world.mappings.settle();
  world.settle();
  CHECK(state(world, uuid) == "404");
  CHECK(world.host.remembered.empty());
}

TEST_CASE("a source that is not there is no mapping") {
  World world;
  world.mappings.unreadable = Error(ErrorCode::kSourceNotFound, "gone");
  json asked = {{"FunctionName", "hello"},
                {"EventSourceArn", "arn:aws:kinesis:us-east-1:000000000000:stream/clicks"},
                {"StartingPosition", "LATEST"}};
  CHECK(message(world.call("POST", kMappings, asked.dump())) ==
        "400 Stream not found: arn:aws:kinesis:us-east-1:000000000000:stream/clicks");
  asked = {{"FunctionName", "hello"}, {"EventSourceArn", "arn:aws:sqs:us-east-1:000000000000:jobs"}};
  CHECK(message(world.call("POST", kMappings, asked.dump())) ==
        "400 Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. SQS Error "
        "Message: The specified queue does not exist.");
  const std::string visibility = "Queue visibility timeout: 30 seconds is less than Function timeout: 60 seconds";
  world.mappings.unreadable = Error(ErrorCode::kSourceFailed, visibility);
  CHECK(message(world.call("POST", kMappings, asked.dump())) == "400 " + visibility);
  CHECK(world.mappings.put.empty());
  CHECK(world.host.remembered.empty());
}

TEST_CASE("a dry run of new code looks at it as a real one does, and changes nothing") {
  World world;
  world.create(zip("one"));
  const std::string before = world.directory();
  const auto dry = [&](const std::string& bytes) {
    std::string encoded;
    append_base64(encoded, bytes);
    return world.call("PUT", "/2015-03-31/functions/hello/code", json{{"ZipFile", encoded}, {"DryRun", true}}.dump());
  };
  CHECK(dry(zip("two")).status == 200);
  const ServiceAnswer refused = dry("no zip");
  CHECK(refused.status == 400);
  CHECK(refused.body.find("Could not unzip uploaded file. Please check your file, then try to upload again.") !=
        std::string::npos);
  CHECK(world.directory() == before);
  CHECK(world.codes() == 1);
  CHECK(std::distance(fs::directory_iterator(world.folder / "code"), fs::directory_iterator()) == 1);
}

TEST_CASE("a layer's content is kept as long as a function has it, also when its version was deleted") {
  World world;
  std::string encoded;
  append_base64(encoded, test::zip_of({{"python/tool.py", "tool"}}));
  const std::string layers = "/2018-10-31/layers/tools/versions";
  CHECK(world.call("POST", layers, json{{"Content", {{"ZipFile", encoded}}}}.dump()).status == 201);
  CHECK(world.call("POST", layers, json{{"Content", {{"ZipFile", "bm8gemlw"}}}}.dump()).status == 400);
  world.create(zip("one"));
  const std::string arn = "arn:aws:lambda:us-east-1:000000000000:layer:tools:1";
  const std::string configuration = "/2015-03-31/functions/hello/configuration";
  CHECK(world.call("PUT", configuration, json{{"Layers", {arn}}}.dump()).status == 200);
  const auto folder = [&] { return world.functions.plans.at("hello").versions.at("$LATEST").layers.at(0); };
  CHECK(read(folder() + "/python/tool.py") == "tool");
  const json shown = json::parse(world.call("GET", layers + "/1").body);
  const std::string link = shown.at("Content").at("Location").get<std::string>().substr(11);
  CHECK(world.call("GET", link.substr(0, link.find('?')), "", link.substr(link.find('?') + 1)).status == 200);
  CHECK(world.call("DELETE", layers + "/1").status == 204);
  world.restart();
  CHECK(read(folder() + "/python/tool.py") == "tool");
  CHECK(world.codes() == 2);
  CHECK(world.call("PUT", configuration, json{{"Layers", json::array()}}.dump()).status == 200);
  world.restart();
  CHECK(world.codes() == 1);
}

TEST_CASE("a version of a configured function is a copy of its folder, kept over restarts") {
  World world;
  const std::string folder = world.functions.give_folder("fixed", world.folder / "src");
  fs::create_directories(folder);
  world.folder.write("src/app.py", "one");
  fs::create_symlink("app.py", folder + "/link.py");
  const std::string versions = "/2015-03-31/functions/fixed/versions";
  const auto publish = [&] { return json::parse(world.call("POST", versions, "{}").body).at("Version"); };
  CHECK(publish() == "1");
  CHECK(publish() == "1");
  const std::string copy = world.functions.extended.at("fixed").versions.at("1").directory;
  CHECK(read(copy + "/link.py") == "one");
  world.folder.write("src/app.py", "two");
  CHECK(publish() == "2");
  CHECK(read(copy + "/app.py") == "one");
  CHECK(world.call("POST", "/2015-03-31/functions/fixed/aliases", R"({"Name":"live","FunctionVersion":"1"})").status ==
        201);
  world.functions.extended.clear();
  world.restart();
  CHECK(world.functions.extended.at("fixed").versions.size() == 2);
  CHECK(world.functions.extended.at("fixed").aliases.at("live").version == "1");
  CHECK(read(copy + "/app.py") == "one");
  CHECK_FALSE(world.functions.plans.contains("fixed"));
  // Of a folder that is not the function's alone nothing is copied.
  world.functions.give_folder("fixed", world.folder.path());
  const ServiceAnswer refused = world.call("POST", versions, "{}");
  CHECK(refused.status == 400);
  CHECK(refused.body.find("The function has no code folder of its own") != std::string::npos);
}
