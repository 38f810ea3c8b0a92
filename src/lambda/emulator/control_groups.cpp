#include "lambda/emulator/control_groups.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <set>
#include <sstream>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

namespace weir::emulator {

namespace {

namespace fs = std::filesystem;

/// In microseconds. The kernel's own 100 ms would stop a small function for nine tenths of each.
constexpr std::int64_t kPeriod = 20'000;
/// The kernel takes no less.
constexpr std::int64_t kQuotaMin = 1000;
constexpr const char* kOwnLeaf = "weir";
constexpr const char* kEnvironmentPrefix = "environment.";

std::string read_text(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::set<std::string> words_of(const std::string& text) {
  std::istringstream stream(text);
  return {std::istream_iterator<std::string>(stream), std::istream_iterator<std::string>()};
}

/// One write, as these files want it. 0 or an errno.
int write_text(const std::string& path, const std::string& text) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) return errno;
  const ssize_t written = ::write(file, text.data(), text.size());
  const int failure = written == static_cast<ssize_t>(text.size()) ? 0 : written < 0 ? errno : EIO;
  ::close(file);
  return failure;
}

std::string words(int error) {
  return std::generic_category().message(error);
}

/// The group of this process in the v2 hierarchy: "0::/user.slice/..." says it.
std::optional<std::string> own_group(const std::string& text) {
  constexpr std::string_view kUnified = "0::";
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(kUnified)) return line.substr(kUnified.size());
  }
  return std::nullopt;
}

/// A part of a mountinfo line: a blank is "\040" in it.
std::string unescaped(const std::string& text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      plain += static_cast<char>(std::stoi(text.substr(i + 1, 3), nullptr, 8));
      i += 3;
    } else {
      plain += text[i];
    }
  }
  return plain;
}

struct Mount {
  std::string root;  ///< what of the hierarchy it shows
  std::string at;
};

/// "36 35 0:28 /root /mounted/at rw,nosuid shared:9 - cgroup2 cgroup2 rw"
std::optional<Mount> unified_mount(const std::string& text) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream stream(line);
    const std::vector<std::string> fields{std::istream_iterator<std::string>(stream), {}};
    const auto dash = std::find(fields.begin(), fields.end(), "-");
    if (fields.size() < 5 || fields.end() - dash < 2 || dash[1] != "cgroup2") continue;
    return Mount{unescaped(fields[3]), unescaped(fields[4])};
  }
  return std::nullopt;
}

/// Where a group is in the file system; nothing when the mount does not show it.
std::optional<std::string> folder_of(const std::string& group, const Mount& mount) {
  const std::string root = mount.root == "/" ? "" : mount.root;
  if (!group.starts_with(root)) return std::nullopt;
  std::string folder = mount.at + group.substr(root.size());
  while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
  return folder;
}

std::string listed(const std::set<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : " ") + name;
  return text.empty() ? "none" : text;
}

/// "environment.PID.NUMBER"; nothing of another name.
std::optional<pid_t> maker_of(const std::string& name) {
  const std::string_view prefix = kEnvironmentPrefix;
  if (!name.starts_with(prefix)) return std::nullopt;
  pid_t maker = 0;
  const char* begin = name.data() + prefix.size();
  const auto read = std::from_chars(begin, name.data() + name.size(), maker);
  if (read.ec != std::errc() || read.ptr == name.data() + name.size() || *read.ptr != '.' || maker <= 0)
    return std::nullopt;
  return maker;
}

/// Groups that a weir made which is gone; the supervisors have killed what was in them.
void remove_leftovers(const std::string& folder) {
  std::error_code error;
  std::vector<std::string> left;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const auto maker = maker_of(entry.path().filename().string());
    const bool lives = maker && *maker != ::getpid() && (::kill(*maker, 0) == 0 || errno == EPERM);
    if (maker && !lives) left.push_back(entry.path().string());
  }
  for (const std::string& group : left) ::rmdir(group.c_str());
}

/// Whether nobody but this process is in a group.
bool alone_in(const std::string& folder) {
  const std::set<std::string> processes = words_of(read_text(folder + "/cgroup.procs"));
  return processes.empty() || processes == std::set<std::string>{std::to_string(::getpid())};
}

/// Makes a group divisible: this process leaves it for one below, the controllers are handed down. "" or why not.
std::string divide(const std::string& folder) {
  if (!alone_in(folder)) {
    return "other processes are in weir's control group (" + folder +
           "); one of its own has `systemd-run --user --scope -p Delegate=yes weir run ...`, or a unit with "
           "Delegate=yes";
  }
  const std::string leaf = folder + "/" + kOwnLeaf;
  if (::mkdir(leaf.c_str(), 0755) != 0 && errno != EEXIST) return "cannot make " + leaf + ": " + words(errno);
  if (const int error = write_text(leaf + "/cgroup.procs", std::to_string(::getpid())); error != 0) {
    return "cannot move to " + leaf + ": " + words(error);
  }
  if (const int error = write_text(folder + "/cgroup.subtree_control", "+memory +cpu"); error != 0) {
    // Nothing has changed for anybody, then.
    write_text(folder + "/cgroup.procs", std::to_string(::getpid()));
    ::rmdir(leaf.c_str());
    return "cannot hand down the controllers memory and cpu of " + folder + ": " + words(error);
  }
  return "";
}

}  // namespace

double processors_of(int memory_megabytes) {
  constexpr double kMegabytesPerProcessor = 1769;
  return memory_megabytes / kMegabytesPerProcessor;
}

ControlGroup::~ControlGroup() {
  ::close(processes_);
  // What is in it is killed by now. A group that is not empty yet is a leftover for the next weir.
  ::rmdir(folder_.c_str());
}

std::uint64_t ControlGroup::memory_kills() const {
  std::istringstream events(read_text(folder_ + "/memory.events"));
  std::string name;
  std::uint64_t number = 0;
  while (events >> name >> number) {
    if (name == "oom_kill") return number;
  }
  return 0;
}

void ControlGroup::limit_processors(double processors) const {
  const auto quota = std::max(kQuotaMin, static_cast<std::int64_t>(processors * static_cast<double>(kPeriod)));
  write_text(folder_ + "/cpu.max", std::to_string(quota) + " " + std::to_string(kPeriod));
}

ControlGroups ControlGroups::find(const ControlGroupPlace& place) {
  const auto group = own_group(read_text(place.own));
  if (!group) return none("there is no cgroup v2 here");
  const auto mount = unified_mount(read_text(place.mounts));
  if (!mount) return none("cgroup v2 is not mounted here");
  const auto folder = folder_of(*group, *mount);
  if (!folder) return none("weir's control group " + *group + " is not below what is mounted at " + mount->at);
  const std::set<std::string> controllers = words_of(read_text(*folder + "/cgroup.controllers"));
  if (!controllers.contains("memory") || !controllers.contains("cpu")) {
    return none("weir's control group (" + *folder + ") has not the controllers memory and cpu of cgroup v2, but " +
                listed(controllers));
  }
  for (const char* file : {"", "/cgroup.procs", "/cgroup.subtree_control"}) {
    if (::access((*folder + file).c_str(), W_OK) != 0) {
      return none("weir may not write to its control group (" + *folder + "): " + words(errno) +
                  "; it may with `systemd-run --user --scope -p Delegate=yes weir run ...`, or in a unit with "
                  "Delegate=yes");
    }
  }
  const std::set<std::string> handed_down = words_of(read_text(*folder + "/cgroup.subtree_control"));
  if (!handed_down.contains("memory") || !handed_down.contains("cpu")) {
    if (std::string trouble = divide(*folder); !trouble.empty()) return none(std::move(trouble));
  }
  remove_leftovers(*folder);
  return ControlGroups(*folder, "");
}

Result<std::shared_ptr<ControlGroup>> ControlGroups::make(const GroupLimits& limits) {
  WEIR_ASSERT(available());
  const std::string folder =
      folder_ + "/" + kEnvironmentPrefix + std::to_string(::getpid()) + "." + std::to_string(++made_);
  const auto failed = [](const std::string& what, int error) {
    return Error(ErrorCode::kEndpointFailed, "cannot make a control group: " + what + ": " + words(error));
  };
  if (::mkdir(folder.c_str(), 0755) != 0) return failed(folder, errno);
  const int processes = ::open((folder + "/cgroup.procs").c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  if (processes < 0) {
    const int error = errno;
    ::rmdir(folder.c_str());
    return failed(folder + "/cgroup.procs", error);
  }
  auto group = std::make_shared<ControlGroup>(folder, processes);
  if (const int error = write_text(folder + "/memory.max", std::to_string(limits.memory_bytes)); error != 0) {
    return failed(folder + "/memory.max", error);
  }
  // Without swap there is no such file; and a kernel that kills one process of several is asked for all of them.
  write_text(folder + "/memory.swap.max", "0");
  write_text(folder + "/memory.oom.group", "1");
  group->limit_processors(limits.processors);
  return group;
}

std::shared_ptr<ControlGroup> SharedControlGroups::make(const GroupLimits& limits) {
  constexpr const char* kInstead = "memory is looked at every 50 ms instead, and processors are not shared out";
  if (!found_) {
    found_ = wanted_ ? ControlGroups::find(place_) : ControlGroups::none("control_groups is false");
    if (found_->available()) {
      log_.info("environments.control_groups", {{"folder", found_->folder()}});
    } else if (wanted_) {
      log_.warn("environments.no_control_groups", {{"reason", found_->reason()}, {"message", kInstead}});
    }
  }
  if (!found_->available()) return nullptr;
  auto made = found_->make(limits);
  // The next environment is another try; what hinders it is said when it begins.
  const bool failed_before = std::exchange(failed_, !made);
  if (made) return std::move(*made);
  if (!failed_before) {
    log_.warn("environments.no_control_groups", {{"reason", made.error().describe()}, {"message", kInstead}});
  }
  return nullptr;
}

}  // namespace weir::emulator
