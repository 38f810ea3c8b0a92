#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <unistd.h>

#include "lambda/emulator/control_groups.h"
#include "support/temporary_folder.h"

namespace weir::test {

namespace fs = std::filesystem;

inline std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// A hierarchy as a user's session has one with Delegate=yes, of plain files.
struct FakeControlGroups {
  TemporaryFolder folder;
  std::string group = "/user.slice/weir.scope";
  std::string root = folder / "cgroup root";
  std::string own = root + group;

  FakeControlGroups() {
    fs::create_directories(own);
    say("cgroup.controllers", "cpuset cpu io memory pids\n");
    say("cgroup.subtree_control", "");
    say("cgroup.procs", std::to_string(::getpid()) + "\n");
  }
  void say(const std::string& file, const std::string& text) const { std::ofstream(own + "/" + file) << text; }
  emulator::ControlGroupPlace place() const {
    emulator::ControlGroupPlace place;
    place.own = folder.write("self", "4:memory:/elsewhere\n0::" + group + "\n");
    std::string escaped = root;
    escaped.replace(escaped.find(' '), 1, "\\040");
    place.mounts = folder.write("mountinfo", "22 1 0:20 / /sys rw - sysfs sysfs rw\n36 22 0:28 / " + escaped +
                                                 " rw,nosuid shared:9 - cgroup2 cgroup2 rw\n");
    return place;
  }
  /// Of the environment that was started so many times after the first.
  std::string environment(int number = 1) const {
    return own + "/environment." + std::to_string(::getpid()) + "." + std::to_string(number);
  }
  std::string reason() const { return emulator::ControlGroups::find(place()).reason(); }
  /// The kernel's files go with their folder; plain ones have to be taken away.
  static void empty(const std::string& folder) {
    for (const auto& entry : fs::directory_iterator(folder)) fs::remove(entry.path());
  }
};

}  // namespace weir::test
