#include "lambda/emulator/memory_use.h"

#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

namespace weir::emulator {

namespace {

/// Bounds the walk when a function forks without end; its descendants are killed all the same.
constexpr std::size_t kProcessesMax = 1024;

std::string read_file(const std::string& path) {
  std::string text;
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return text;
  char piece[4096];
  ssize_t size = 0;
  while ((size = ::read(file, piece, sizeof(piece))) > 0) text.append(piece, static_cast<std::size_t>(size));
  ::close(file);
  return text;
}

std::uint64_t kilobytes(const std::string& status, const char* name) {
  const std::size_t at = status.find(name);
  if (at == std::string::npos) return 0;
  return std::strtoull(status.c_str() + at + std::string_view(name).size(), nullptr, 10);
}

void add_numbers(const std::string& text, std::vector<pid_t>& found) {
  for (const char* at = text.c_str(); *at != '\0' && found.size() < kProcessesMax;) {
    char* end = nullptr;
    const long child = std::strtol(at, &end, 10);
    if (end == at) break;
    found.push_back(static_cast<pid_t>(child));
    at = end;
    while (*at == ' ') ++at;
  }
}

/// A child belongs to the thread that forked it.
void add_children(pid_t process, std::vector<pid_t>& found) {
  const std::string tasks = "/proc/" + std::to_string(process) + "/task";
  DIR* folder = ::opendir(tasks.c_str());
  if (folder == nullptr) return;
  while (const dirent* thread = ::readdir(folder)) {
    if (thread->d_name[0] != '.') add_numbers(read_file(tasks + "/" + thread->d_name + "/children"), found);
  }
  ::closedir(folder);
}

}  // namespace

std::vector<pid_t> processes_below(pid_t supervisor) {
  std::vector<pid_t> found;
  add_children(supervisor, found);
  for (std::size_t i = 0; i < found.size(); ++i) add_children(found[i], found);
  return found;
}

MemoryUse memory_below(pid_t supervisor) {
  MemoryUse use;
  for (const pid_t process : processes_below(supervisor)) {
    const std::string status = read_file("/proc/" + std::to_string(process) + "/status");
    use.now += kilobytes(status, "\nVmRSS:") * 1024;
    use.peak += kilobytes(status, "\nVmHWM:") * 1024;
  }
  return use;
}

}  // namespace weir::emulator
