// Control groups, on a folder of plain files that looks like the kernel's; and on the machine's own, where there are
// some.
#include "lambda/emulator/control_groups.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "emulator/fake_control_groups.h"
#include "lambda/emulator/supervised_process.h"
#include "support/temporary_folder.h"

using namespace weir;
using emulator::ControlGroup;
using emulator::ControlGroupPlace;
using emulator::ControlGroups;
using emulator::GroupLimits;
using emulator::SharedControlGroups;
using test::text_of;
using Machine = test::FakeControlGroups;
namespace fs = std::filesystem;

namespace {

class Lines final : public Log {
 public:
  void write(LogLevel level, std::string_view event, std::span<const LogField>) override {
    lines.push_back(std::string(text(level)) + " " + std::string(event));
  }
  std::vector<std::string> lines;
};

}  // namespace

TEST_CASE("weir divides a group that it is alone in, and moves out of it") {
  const Machine machine;
  ControlGroups groups = ControlGroups::find(machine.place());
  REQUIRE(groups.reason().empty());
  CHECK(groups.folder() == machine.own);
  CHECK(text_of(machine.own + "/weir/cgroup.procs") == std::to_string(::getpid()));
  CHECK(text_of(machine.own + "/cgroup.subtree_control") == "+memory +cpu");

  const std::string folder = machine.own + "/environment." + std::to_string(::getpid()) + ".1";
  {
    auto made = groups.make({128U << 20U, emulator::processors_of(1769)});
    REQUIRE(made.has_value());
    const std::shared_ptr<ControlGroup> group = *made;
    CHECK(text_of(folder + "/memory.max") == "134217728");
    CHECK(text_of(folder + "/memory.swap.max") == "0");
    CHECK(text_of(folder + "/memory.oom.group") == "1");
    CHECK(text_of(folder + "/cpu.max") == "20000 20000");
    group->limit_processors(emulator::processors_of(128));
    CHECK(text_of(folder + "/cpu.max") == "1447 20000");
    group->limit_processors(emulator::processors_of(10240));
    CHECK(text_of(folder + "/cpu.max") == "115771 20000");
    group->limit_processors(0.01);  // the kernel takes no less than a millisecond
    CHECK(text_of(folder + "/cpu.max") == "1000 20000");
    CHECK(group->memory_kills() == 0);
    std::ofstream(folder + "/memory.events") << "low 0\nhigh 0\nmax 12\noom 1\noom_kill 2\noom_group_kill 1\n";
    CHECK(group->memory_kills() == 2);
    CHECK(::write(group->processes(), "0", 1) == 1);
    CHECK(text_of(folder + "/cgroup.procs") == "0");
    Machine::empty(folder);
  }
  CHECK_FALSE(fs::exists(folder));
  auto second = groups.make({128U << 20U, 1});
  REQUIRE(second.has_value());
  CHECK(fs::exists(machine.own + "/environment." + std::to_string(::getpid()) + ".2"));
}

TEST_CASE("a group that is divided already is taken as it is") {
  const Machine machine;
  machine.say("cgroup.subtree_control", "cpu memory pids\n");
  machine.say("cgroup.procs", "");
  CHECK(machine.reason().empty());
  CHECK_FALSE(fs::exists(machine.own + "/weir"));
}

TEST_CASE("what a weir left behind that is gone is removed; what another one has is not") {
  const Machine machine;
  // A process that is over, and whose number nobody else has while it was not waited for.
  const pid_t gone = ::fork();
  if (gone == 0) ::_exit(0);
  int status = 0;
  REQUIRE(::waitpid(gone, &status, 0) == gone);
  const auto group = [&](const std::string& name) {
    fs::create_directory(machine.own + "/" + name);
    return machine.own + "/" + name;
  };
  const std::string left = group("environment." + std::to_string(gone) + ".7");
  const std::string of_this_number = group("environment." + std::to_string(::getpid()) + ".7");
  const std::string of_another = group("environment." + std::to_string(::getppid()) + ".7");
  const std::string foreign = group("environment.of.somebody");
  const std::string other = group("database");
  CHECK(machine.reason().empty());
  CHECK_FALSE(fs::exists(left));
  CHECK_FALSE(fs::exists(of_this_number));
  CHECK(fs::exists(of_another));
  CHECK(fs::exists(foreign));
  CHECK(fs::exists(other));
}

TEST_CASE("where no groups can be made, it is said why, and nothing is changed") {
  const Machine machine;
  std::string expected;
  SECTION("the controllers belong to cgroup v1, or were not handed down") {
    machine.say("cgroup.controllers", "hugetlb\n");
    expected = "has not the controllers memory and cpu of cgroup v2, but hugetlb";
  }
  SECTION("one of the two is missing") {
    machine.say("cgroup.controllers", "cpu pids\n");
    expected = "but cpu pids";
  }
  SECTION("there are none") {
    machine.say("cgroup.controllers", "");
    expected = "but none";
  }
  SECTION("others are in the group") {
    machine.say("cgroup.procs", "1\n" + std::to_string(::getpid()) + "\n");
    expected = "other processes are in weir's control group (" + machine.own + "); one of its own has";
  }
  SECTION("it may not be written to") {
    fs::remove(machine.own + "/cgroup.subtree_control");
    fs::create_symlink("/proc/version", machine.own + "/cgroup.subtree_control");
    // Root may write to it by its rights, and is refused by the kernel all the same.
    expected = ::geteuid() == 0 ? "cannot hand down the controllers" : "weir may not write to its control group";
  }
  CHECK(machine.reason().find(expected) != std::string::npos);
  CHECK_FALSE(fs::exists(machine.own + "/environment.1.1"));
}

TEST_CASE("where there is no cgroup v2, that is said") {
  const Machine machine;
  ControlGroupPlace place = machine.place();
  CHECK(ControlGroups::find({"/nowhere", place.mounts}).reason() == "there is no cgroup v2 here");
  CHECK(ControlGroups::find({place.own, "/nowhere"}).reason() == "cgroup v2 is not mounted here");
  machine.folder.write("mountinfo", "36 22 0:28 /system.slice /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
  CHECK(ControlGroups::find(place).reason() ==
        "weir's control group /user.slice/weir.scope is not below what is mounted at /sys/fs/cgroup");
  machine.folder.write("self", "1:cpu:/\n2:memory:/\n");
  CHECK(ControlGroups::find(place).reason() == "there is no cgroup v2 here");
}

TEST_CASE("a mount that shows a part of the hierarchy") {
  const Machine machine;
  ControlGroupPlace place = machine.place();
  machine.folder.write("mountinfo", "36 22 0:28 /user.slice " + (machine.folder / "shown") + " rw - cgroup2 none rw\n");
  fs::create_directory_symlink(machine.root + "/user.slice", machine.folder / "shown");
  CHECK(ControlGroups::find(place).folder() == (machine.folder / "shown/weir.scope"));
}

TEST_CASE("what was found is said once, however many environments there are") {
  const Machine machine;
  Lines log;
  SECTION("groups") {
    SharedControlGroups shared(log, true, machine.place());
    CHECK_FALSE(shared.found());
    CHECK(shared.make({1U << 20U, 1}) != nullptr);
    CHECK(shared.make({1U << 20U, 1}) != nullptr);
    CHECK(shared.found()->available());
    CHECK(log.lines == std::vector<std::string>{"info environments.control_groups"});
  }
  SECTION("none") {
    machine.say("cgroup.controllers", "");
    SharedControlGroups shared(log, true, machine.place());
    CHECK(shared.make({1U << 20U, 1}) == nullptr);
    CHECK(shared.make({1U << 20U, 1}) == nullptr);
    CHECK_FALSE(shared.found()->available());
    CHECK(log.lines == std::vector<std::string>{"warn environments.no_control_groups"});
  }
  SECTION("none that is made, until one is") {
    SharedControlGroups shared(log, true, machine.place());
    CHECK(shared.make({1U << 20U, 1}) != nullptr);
    fs::create_directory(machine.own + "/environment." + std::to_string(::getpid()) + ".2");
    fs::create_directory(machine.own + "/environment." + std::to_string(::getpid()) + ".3");
    CHECK(shared.make({1U << 20U, 1}) == nullptr);
    CHECK(shared.make({1U << 20U, 1}) == nullptr);
    CHECK(shared.make({1U << 20U, 1}) != nullptr);
    CHECK(log.lines ==
          std::vector<std::string>{"info environments.control_groups", "warn environments.no_control_groups"});
  }
  SECTION("not wanted") {
    SharedControlGroups shared(log, false, machine.place());
    CHECK(shared.make({1U << 20U, 1}) == nullptr);
    CHECK(shared.found()->reason() == "control_groups is false");
    CHECK(log.lines.empty());
    CHECK_FALSE(fs::exists(machine.own + "/weir"));
  }
}

TEST_CASE("a process and what it forks are in the group, its supervisor is not") {
  const Machine machine;
  ControlGroups groups = ControlGroups::find(machine.place());
  REQUIRE(groups.available());
  const auto start = [](std::shared_ptr<ControlGroup> group) {
    emulator::ProcessPlan plan;
    plan.command = {"/bin/true"};
    plan.directory = "/";
    plan.title = "test";
    plan.group = std::move(group);
    const int output = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    auto process = emulator::SupervisedProcess::start(plan, output);
    ::close(output);
    REQUIRE(process.has_value());
    std::vector<emulator::ProcessNews::Kind> news;
    while (!process->gone()) {
      if (const auto each = process->news()) news.push_back(each->kind);
    }
    return news;
  };
  auto made = groups.make({128U << 20U, 1});
  REQUIRE(made.has_value());
  using Kind = emulator::ProcessNews::Kind;
  CHECK(start(*made) == std::vector<Kind>{Kind::kStarted, Kind::kExited});
  const std::string folder = machine.own + "/environment." + std::to_string(::getpid()) + ".1";
  CHECK(text_of(folder + "/cgroup.procs") == "0");  // by the child of the supervisor, once

  const int unwritable = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  const auto news = start(std::make_shared<ControlGroup>(machine.folder / "none", unwritable));
  CHECK(std::find(news.begin(), news.end(), Kind::kNoGroup) != news.end());
}

TEST_CASE("the machine's own control groups", "[machine]") {
  // In a child, for who divides a group is in another one from then on.
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    std::string said;
    ControlGroups groups = ControlGroups::find();
    if (!groups.available()) {
      said = "left out: " + groups.reason();
    } else {
      auto made = groups.make({64U << 20U, 0.5});
      said = made
                 ? "limits " + text_of(groups.folder() + "/environment." + std::to_string(::getpid()) + ".1/memory.max")
                 : made.error().describe();
    }
    ::_exit(::write(ends[1], said.data(), said.size()) > 0 ? 0 : 1);
  }
  ::close(ends[1]);
  std::string said(4096, '\0');
  const ssize_t size = ::read(ends[0], said.data(), said.size());
  said.resize(static_cast<std::size_t>(std::max<ssize_t>(0, size)));
  ::close(ends[0]);
  ::waitpid(child, nullptr, 0);
  if (said.starts_with("left out: ")) {
    WARN(said);
  } else {
    CHECK(said == "limits 67108864\n");
  }
}
