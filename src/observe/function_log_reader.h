#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "weir/base/time.h"

namespace weir::observe {

/// Reads a function's log from its oldest file to the end of the one that is written, and goes on from there whenever
/// it is asked again: behind rotations, and when weir was started anew. What was rotated away and removed in between is
/// not read. Blocks; one owner.
class FunctionLogReader {
 public:
  /// Files that were not written since `since` are passed over.
  FunctionLogReader(std::string path, WallTime since);
  ~FunctionLogReader();
  FunctionLogReader(const FunctionLogReader&) = delete;
  FunctionLogReader& operator=(const FunctionLogReader&) = delete;

  /// Gives the lines that have come, without their ends; each is gone after the call. False ends the reading.
  using Take = std::function<bool(std::string_view line)>;
  void read(const Take& take);
  /// What is behind the last line's end, when no more of it is waited for.
  void read_rest(const Take& take);

 private:
  bool open_oldest();
  bool open_next(const Take& take);
  bool has_the_name() const;
  bool read_to_end(const Take& take);
  bool take_file(const std::string& path);

  const std::string path_;
  const WallTime since_;
  int file_ = -1;
  std::uint64_t position_ = 0;
  std::string begun_;  ///< a line whose end has not come
};

}  // namespace weir::observe
