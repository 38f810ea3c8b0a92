// The state folder and the admin address: taken, read-only, full.
#include <csignal>
#include <fstream>

#include <arpa/inet.h>
#include <catch2/catch.hpp>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "program/program.h"

namespace {

using namespace weir::test;
using Catch::Matchers::Contains;
using nlohmann::json;

std::string configuration(const TemporaryFolder& folder, const std::string& state, const std::string& mapping = {},
                          int sleep_ms = 0) {
  return "state: " + state +
         "\nadmin: ${ADMIN}\nfunctions:\n  recorder: {command: [" RECORDER "], environment: {SEEN: " +
         (folder / "seen") + ", SLEEP_MS: \"" + std::to_string(sleep_ms) +
         "\"}}\nsources:\n  numbers: {type: file, path: numbers.txt, function: recorder" + mapping + "}\n";
}

/// A port of loopback that somebody listens on and who never answers, or answers with what no weir says.
class Squatter {
 public:
  Squatter() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    REQUIRE(::bind(socket_, reinterpret_cast<sockaddr*>(&address), length) == 0);
    REQUIRE(::listen(socket_, 8) == 0);
    REQUIRE(::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &length) == 0);
    address_ = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  }
  ~Squatter() {
    ::shutdown(socket_, SHUT_RDWR);
    if (answering_.joinable()) answering_.join();
    ::close(socket_);
  }
  Squatter(const Squatter&) = delete;
  Squatter& operator=(const Squatter&) = delete;

  const std::string& address() const { return address_; }

  /// Answers every connection with these bytes, from now on.
  void answers(std::string bytes) {
    answering_ = std::thread([this, answer = std::move(bytes)] {
      for (;;) {
        const int connection = ::accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC);
        if (connection < 0) return;
        char request[1024];
        if (::read(connection, request, sizeof request) > 0 && ::write(connection, answer.data(), answer.size()) < 0)
          return;
        ::close(connection);
      }
    });
  }

 private:
  int socket_;
  std::string address_;
  std::thread answering_;
};

/// What takes the room away that the state needs, and gives it back.
struct Room {
  std::string sentence;
  std::string state;
  std::string code;
  std::function<void(pid_t)> take;
  std::function<void(pid_t)> give_back;
};

void limit_file_size(pid_t process, rlim_t bytes) {
  const rlimit limit{bytes, RLIM_INFINITY};
  REQUIRE(::prlimit(process, RLIMIT_FSIZE, &limit, nullptr) == 0);
}

/// A tmpfs of two megabytes in mounts of our own; false where none may be made.
bool mount_small(const std::string& folder) {
  // Without root's rights a user namespace of our own is what permits it, where that is permitted.
  const bool root = ::geteuid() == 0;
  const std::string user = std::to_string(::geteuid());
  const std::string group = std::to_string(::getegid());
  if (::unshare(root ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWUSER) != 0) return false;
  if (!root) {
    std::ofstream("/proc/self/setgroups") << "deny";
    std::ofstream("/proc/self/uid_map") << user << " " << user << " 1";
    std::ofstream("/proc/self/gid_map") << group << " " << group << " 1";
  }
  return ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("weir-test", folder.c_str(), "tmpfs", 0, "size=2m") == 0;
}

void fill(const std::string& path) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  REQUIRE(file >= 0);
  const std::string block(4096, 'x');
  while (::write(file, block.data(), block.size()) > 0) {
  }
  ::close(file);
}

void goes_on_when_there_is_room(const TemporaryFolder& folder, const Room& room) {
  INFO(room.sentence);
  constexpr int kRecords = 600;
  folder.write("numbers.txt", lines(1, kRecords));
  const std::string config = folder.write("weir.yaml", configuration(folder, room.state, ", batch_size: 5", 5));
  Process::Options options;
  options.ignore_file_size_signal = true;
  Bridge bridge(config, {}, std::move(options));
  const std::string seen_file = folder / "seen";
  wait_until("records are seen", [&] { return seen(seen_file).size() >= 50; });
  room.take(bridge.process().pid());
  bridge.process().wait_for("store.refused");
  const auto refused = bridge.log("store.refused");
  CHECK(refused.front().at("code") == room.code);
  CHECK(refused.front().at("level") == "error");
  // It pauses: what was in flight ends, nothing more is invoked, and the source keeps its state.
  wait_until("nothing is in flight",
             [&] { return !bridge.source("numbers").at("shards").at(0).at("in_flight").get<bool>(); });
  const auto paused_at = seen(seen_file).size();
  wait_until("the store was tried again", [&] { return bridge.source("numbers").at("store_failures") >= 3; });
  CHECK(seen(seen_file).size() == paused_at);
  CHECK(bridge.source("numbers").at("state") == "running");
  CHECK(bridge.log("store.refused").size() == 1);

  room.give_back(bridge.process().pid());
  bridge.wait_for_state("numbers", "finished");
  CHECK(bridge.log("store.recovered").size() == 1);
  CHECK(seen(seen_file).size() == kRecords);
  CHECK(loss_or_disorder(seen(seen_file), 1, kRecords).empty());
  CHECK(bridge.process().terminate() == 0);
}

}  // namespace

TEST_CASE("an admin port that somebody else has") {
  const TemporaryFolder folder;
  folder.write("numbers.txt", lines(1, 5));
  const std::string config = folder.write("weir.yaml", configuration(folder, "state"));
  const Squatter squatter;
  Process::Options options;
  options.environment.emplace("ADMIN", squatter.address());
  const Finished ended = run_weir({"run", config}, std::move(options));
  CHECK(ended.ending == 1);
  CHECK_THAT(ended.err, Contains("weir: address.in_use: ") && Contains(squatter.address()) && Contains("admin"));
  CHECK(seen(folder / "seen").empty());
}

TEST_CASE("status, where something else listens") {
  Squatter squatter;
  struct Row {
    const char* sentence;
    std::string bytes;
    std::string reason;
  };
  const auto row = GENERATE(values<Row>({
      {"no HTTP", "220 mail.example.com ESMTP\r\n", "http.failed"},
      {"another server", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "answered 404"},
      {"another server that says yes", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", "is no weir"},
      {"another server that speaks JSON", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", "is no weir"},
  }));
  DYNAMIC_SECTION(row.sentence) {
    squatter.answers(row.bytes);
    const auto flags = GENERATE(values<std::vector<std::string>>({{}, {"--json"}}));
    std::vector<std::string> arguments{"status", "--admin", squatter.address()};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    const Finished ended = run_weir(arguments);
    CAPTURE(flags);
    CHECK(ended.ending == 1);
    CHECK(ended.out.empty());
    CHECK_THAT(ended.err, Contains(row.reason) && Contains(squatter.address()));
  }
}

TEST_CASE("a state folder that another weir holds") {
  const TemporaryFolder folder;
  folder.write("numbers.txt", lines(1, 5));
  const std::string config = folder.write("weir.yaml", configuration(folder, "state", ", follow: true"));
  Bridge first(config);
  wait_until("it works", [&] { return seen(folder / "seen").size() == 5; });
  Process::Options options;
  options.environment.emplace("ADMIN", "127.0.0.1:0");
  const Finished second = run_weir({"run", config}, std::move(options));
  CHECK(second.ending == 1);
  CHECK_THAT(second.err, Contains("weir: store.locked: ") && Contains(folder / "state"));
  CHECK(first.source("numbers").at("state") == "running");

  const Finished table = first.command({"status", "--config", config});
  CHECK(table.ending == 0);
  CHECK_THAT(table.out, Contains("source numbers (file -> recorder): running, 5 records settled"));
  const Finished machine = first.command({"status", "--json", "--admin", first.admin()});
  CHECK(machine.ending == 0);
  CHECK(json::parse(machine.out).at("ready") == true);
  CHECK(first.process().terminate() == 0);
  CHECK(seen(folder / "seen").size() == 5);
}

TEST_CASE("a state folder that cannot be made") {
  const TemporaryFolder folder;
  folder.write("numbers.txt", lines(1, 5));
  // In /sys not even root can make a folder.
  const bool read_only = GENERATE(true, false);
  const std::string state = read_only ? "/sys/weir-state" : folder.write("taken", "a file");
  const std::string config = folder.write("weir.yaml", configuration(folder, state));
  Process::Options options;
  options.environment.emplace("ADMIN", "127.0.0.1:0");
  const Finished ended = run_weir({"run", config}, std::move(options));
  CHECK(ended.ending == 1);
  CHECK_THAT(ended.err, Contains("weir: store.") && Contains(state) && Contains("opening the state folder"));
  CHECK(seen(folder / "seen").empty());
}

TEST_CASE("a state that may not grow is waited for") {
  const TemporaryFolder folder;
  Room room;
  room.sentence = "a limit on the size of files";
  room.state = folder / "state";
  room.code = "store.failed";
  room.take = [](pid_t process) { limit_file_size(process, 4096); };
  room.give_back = [](pid_t process) { limit_file_size(process, RLIM_INFINITY); };
  goes_on_when_there_is_room(folder, room);
}

// The last test: the mounts that it makes stay with this process.
TEST_CASE("a full state folder is waited for") {
  const TemporaryFolder folder;
  const TemporaryFolder small;
  if (!mount_small(small.path())) {
    WARN(
        "A small file system may not be mounted here, so a full disk is not tried. The limit on files above stands in "
        "for it.");
    return;
  }
  Room room;
  room.sentence = "a full file system";
  room.state = small / "state";
  room.code = "store.full";
  room.take = [&](pid_t) { fill(small / "filler"); };
  room.give_back = [&](pid_t) { ::unlink((small / "filler").c_str()); };
  goes_on_when_there_is_room(folder, room);
  CHECK(::umount2(small.path().c_str(), MNT_DETACH) == 0);
}
