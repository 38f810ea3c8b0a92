#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pattern/log_pattern.h"

namespace weir::logs {

/// Turns the bytes of a file, as they come, into the messages that a filter wants. A line is a message; with a start
/// pattern a message goes from one line that has it to the next. Holds what is not yet complete: at most two messages.
/// Pure.
class LineCutter {
 public:
  /// A message, and where the file goes on behind it (of a part of a long one: where that began). Its text is gone
  /// after the call. Says whether more is wanted now.
  using Take = std::function<bool(std::string_view message, std::uint64_t end)>;

  /// `filter` and `start` outlive it. `message_bytes`: longer ones are cut, between characters, into several.
  /// `function_log`: lines begin with their time and stream (observe/function_log_lines.h), which are no part of
  /// messages; those that do not are taken as they are.
  LineCutter(const pattern::LogPattern& filter, const std::optional<pattern::LogPattern>& start,
             std::size_t message_bytes, std::uint64_t position, bool function_log = false);

  /// The next bytes of the file. All of them are used, or those up to the end of the line after which no more was
  /// wanted: the next ones begin at read_to().
  void feed(std::string_view bytes, const Take& take);
  /// What is complete is a message, though no next one has begun. `to_end`: nothing more will come, so the last line
  /// is complete, too.
  void flush(bool to_end, const Take& take);
  /// Forgets what is not complete, and goes on where that begins.
  void rewind();

  /// While a message is taken: its time in milliseconds since 1970, where its first line says it.
  std::optional<std::int64_t> time() const { return time_; }
  /// Where the bytes go on.
  std::uint64_t read_to() const { return read_to_; }
  /// All before it was taken, or is not wanted: reading may begin here another time.
  std::uint64_t done_to() const { return read_to_ - line_.size() - open_bytes_; }
  /// Whether complete lines wait for a next one to begin.
  bool waiting() const { return open_bytes_ > 0; }
  /// What rewind() would free.
  std::size_t memory() const { return line_.capacity() + open_.capacity(); }

 private:
  // Each says whether more is wanted.
  bool feed_searching(std::string_view bytes, const Take& take);
  bool line(std::string_view line, std::uint64_t begin, std::uint64_t end, const Take& take);
  bool message(std::string_view message, std::uint64_t end, const Take& take) const;
  bool cut(std::string_view text, std::uint64_t begin, std::uint64_t end, const Take& take) const;
  bool close(std::uint64_t end, const Take& take);
  std::size_t fitting(std::string_view text) const;
  /// How much of a line without end is waited for.
  std::size_t line_bytes() const;

  const pattern::LogPattern& filter_;
  const std::optional<pattern::LogPattern>& start_;
  const std::size_t message_bytes_;
  const bool function_log_;
  std::uint64_t read_to_;
  std::string line_;                       ///< the beginning of a line
  std::string open_;                       ///< complete lines of a message, their ends between them
  std::uint64_t open_bytes_ = 0;           ///< that they take in the file
  std::optional<std::int64_t> time_;       ///< of the message that is being made
  std::optional<std::int64_t> open_time_;  ///< of the first of the complete lines
  std::vector<std::size_t> hits_;          ///< of the search under way; kept for its memory
};

}  // namespace weir::logs
