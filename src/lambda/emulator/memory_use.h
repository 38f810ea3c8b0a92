#pragma once

#include <cstdint>
#include <vector>

#include <sys/types.h>

namespace weir::emulator {

struct MemoryUse {
  std::uint64_t now = 0;   ///< resident bytes of a process's descendants, its own not counted
  std::uint64_t peak = 0;  ///< the most so far, as far as the kernel remembers it: of each process that still lives
};

/// What the descendants of `supervisor` hold in memory. Reads a few files of /proc: tens of microseconds.
MemoryUse memory_below(pid_t supervisor);

/// The descendants of `supervisor`, parents before their children; at most 1,024.
std::vector<pid_t> processes_below(pid_t supervisor);

}  // namespace weir::emulator
