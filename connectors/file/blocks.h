#pragma once

#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "weir/base/error.h"

#include "connectors/file/parser.h"

namespace weir::file {

/// The records whose lines begin in one stretch of the file, sorted by shard. All shards read along the same stretches,
/// so a stretch is read and parsed once for all of them.
struct Block {
  std::uint64_t index = 0;
  std::deque<std::string> buffers;  ///< what the records refer to; only ever appended to
  std::deque<std::string> arena;
  std::vector<std::deque<ParsedLine>> by_shard;  ///< deques: growing leaves what batches refer to in place
  std::uint64_t parsed_upto = 0;                 ///< byte behind the last whole line
  bool complete = false;                         ///< every line that begins in this stretch is here
  std::optional<Error> damage;  ///< what stands behind the last record here cannot be read, and why (source.data)
};

/// Reads a file in stretches of fixed size; keeps the last few of them.
class BlockReader {
 public:
  static constexpr std::uint64_t kBlockBytes = 256 * 1024;
  /// A line longer than this is a mistake, not a record: twice what an event can carry.
  static constexpr std::uint64_t kMaxLineBytes = 2 * 6'291'456;

  /// Errors: source.not_found, source.refused, source.failed.
  static Result<std::unique_ptr<BlockReader>> open(const FileConfig& config);
  ~BlockReader();
  BlockReader(const BlockReader&) = delete;
  BlockReader& operator=(const BlockReader&) = delete;

  /// How far the shards of a file have been counted.
  struct ShardCount {
    std::size_t shards = 1;  ///< as configured, or as a recording names; right when it is done
    bool done = false;
    std::uint64_t at = 0;
    std::string rest;  ///< a line that goes on behind `at`
  };
  /// Counts on over one more stretch of the file.
  Result<void> count_shards(ShardCount& count);
  void use_shards(std::size_t shards) { shards_ = shards; }

  /// The stretch with that index, with what the file has of it by now. The returned block may grow at a later call.
  /// Errors: source.failed. What is wrong with the file's content is told by the block.
  Result<std::shared_ptr<const Block>> block(std::uint64_t index);

  Result<std::uint64_t> size() const;

 private:
  BlockReader(const FileConfig& config, int descriptor) : config_(config), descriptor_(descriptor) {}
  Result<std::uint64_t> first_line_of(std::uint64_t index) const;
  Result<void> extend(Block& block);
  Result<std::string> read(std::uint64_t from, std::uint64_t bytes) const;

  const FileConfig& config_;
  int descriptor_;
  std::size_t shards_ = 1;
  std::list<std::shared_ptr<Block>> kept_;  ///< most recently used first
};

}  // namespace weir::file
