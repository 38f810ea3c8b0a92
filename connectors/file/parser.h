#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "weir/base/error.h"
#include "weir/event/record.h"

#include "connectors/file/config.h"

namespace weir::file {

/// One line of the file as a record, and the shard it belongs to.
struct ParsedLine {
  Record record;
  std::size_t shard = 0;
  std::optional<WallTime> recorded;  ///< when a recording says that it arrived
};

/// Turns lines into records. Pure.
class LineParser {
 public:
  /// `config` outlives the parser; `shards`: how many there are.
  LineParser(const FileConfig& config, std::size_t shards) : config_(config), shards_(shards) {}

  /// `line`: without its newline; `begin`, `end`: its bytes in the file, newline included. What the record refers to is
  /// `line` itself or is added to `arena`, which never moves what it holds. Nothing for an empty line. Error
  /// source.data: no record of a recording.
  Result<std::optional<ParsedLine>> parse(std::string_view line, std::uint64_t begin, std::uint64_t end,
                                          std::deque<std::string>& arena) const;

 private:
  Result<std::optional<ParsedLine>> parse_recorded(std::string_view line, std::uint64_t begin, ParsedLine parsed,
                                                   std::deque<std::string>& arena) const;
  const FileConfig& config_;
  std::size_t shards_;
};

/// Which of `shards` a partition key belongs to: the same for ever, evenly spread.
std::size_t shard_of_key(std::string_view key, std::size_t shards);

/// The number in "shardId-000000000007".
std::optional<std::size_t> shard_number(std::string_view shard_id);
/// "shardId-000000000007".
std::string shard_id(std::size_t number);

}  // namespace weir::file
