#include "connectors/file/blocks.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace weir::file {
namespace {

constexpr std::size_t kKeptBlocks = 8;

Error failure(const std::string& path, int number) {
  const ErrorCode code = number == ENOENT                      ? ErrorCode::kSourceNotFound
                         : number == EACCES || number == EPERM ? ErrorCode::kSourceRefused
                                                               : ErrorCode::kSourceFailed;
  return Error(code, path + ": " + std::strerror(number));
}

}  // namespace

Result<std::unique_ptr<BlockReader>> BlockReader::open(const FileConfig& config) {
  const int descriptor = ::open(config.path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return failure(config.path, errno);
  std::unique_ptr<BlockReader> reader(new BlockReader(config, descriptor));
  struct stat about {};
  if (::fstat(descriptor, &about) != 0) return failure(config.path, errno);
  if (!S_ISREG(about.st_mode)) return Error(ErrorCode::kSourceRefused, config.path + ": is not a file");
  return reader;
}

BlockReader::~BlockReader() {
  ::close(descriptor_);
}

Result<std::uint64_t> BlockReader::size() const {
  struct stat about {};
  if (::fstat(descriptor_, &about) != 0) return failure(config_.path, errno);
  return static_cast<std::uint64_t>(about.st_size);
}

Result<std::string> BlockReader::read(std::uint64_t from, std::uint64_t bytes) const {
  std::string text(bytes, '\0');
  std::size_t got = 0;
  while (got < text.size()) {
    const auto more = ::pread(descriptor_, text.data() + got, text.size() - got, static_cast<off_t>(from + got));
    if (more < 0 && errno == EINTR) continue;
    if (more < 0) return failure(config_.path, errno);
    if (more == 0) break;
    got += static_cast<std::size_t>(more);
  }
  text.resize(got);
  return text;
}

Result<void> BlockReader::count_shards(ShardCount& count) {
  count.done = config_.shards.has_value() || config_.format == Format::kLines;
  if (config_.shards) count.shards = *config_.shards;
  if (count.done) return {};
  auto text = read(count.at, kBlockBytes);
  if (!text) return std::move(text.error());
  count.done = text->empty();
  count.at += text->size();
  count.rest += *text;
  const LineParser parser(config_, kMaxShards);
  std::size_t begin = 0;
  for (std::size_t end = count.rest.find('\n'); end != std::string::npos; end = count.rest.find('\n', begin)) {
    const std::string_view line = std::string_view(count.rest).substr(begin, end - begin);
    begin = end + 1;
    // Damage is reported when the line is read, with all that stands before it delivered.
    if (line.find("\"shardId\"") == std::string_view::npos) continue;
    std::deque<std::string> arena;
    auto parsed = parser.parse(line, 0, 1, arena);
    if (parsed && *parsed) count.shards = std::max(count.shards, (*parsed)->shard + 1);
  }
  count.rest.erase(0, begin);
  // A line that is longer than any may be is reported when it is read, too.
  if (count.rest.size() > kMaxLineBytes) count.rest.clear();
  return {};
}

/// Where the first line that begins in the stretch begins: behind the newline before it.
Result<std::uint64_t> BlockReader::first_line_of(std::uint64_t index) const {
  if (index == 0) return std::uint64_t{0};
  std::uint64_t at = index * kBlockBytes - 1;
  for (;;) {
    auto text = read(at, 4096);
    if (!text) return std::move(text.error());
    if (const auto newline = text->find('\n'); newline != std::string::npos) return at + newline + 1;
    at += text->size();
    if (text->size() < 4096) return at;
  }
}

Result<std::shared_ptr<const Block>> BlockReader::block(std::uint64_t index) {
  auto found = std::find_if(kept_.begin(), kept_.end(), [&](const auto& kept) { return kept->index == index; });
  if (found == kept_.end()) {
    auto begin = first_line_of(index);
    if (!begin) return std::move(begin.error());
    auto block = std::make_shared<Block>();
    block->index = index;
    block->by_shard.resize(shards_);
    block->parsed_upto = *begin;
    kept_.push_front(std::move(block));
    if (kept_.size() > kKeptBlocks) kept_.pop_back();
    found = kept_.begin();
  }
  kept_.splice(kept_.begin(), kept_, found);
  if (!(*found)->complete && !(*found)->damage) {
    if (auto extended = extend(**found); !extended) {
      if (is_transient(extended.error().code())) return std::move(extended.error());
      (*found)->damage = std::move(extended.error());
    }
  }
  return std::shared_ptr<const Block>(*found);
}

Result<void> BlockReader::extend(Block& block) {
  const auto length = size();
  if (!length) return std::move(length.error());
  if (*length < block.parsed_upto) {
    return Error(ErrorCode::kSourceData,
                 config_.path + ": became shorter than what was read of it; reset its checkpoints to read it anew");
  }
  const std::uint64_t limit = (block.index + 1) * kBlockBytes;
  const LineParser parser(config_, shards_);
  while (!block.complete && block.parsed_upto < *length) {
    if (block.parsed_upto >= limit) {
      block.complete = true;
      break;
    }
    // Up to the end of the stretch, and on to the end of the line that crosses it.
    std::uint64_t want = std::max<std::uint64_t>(std::min(limit, *length) - block.parsed_upto, 1);
    Result<std::string> text = read(block.parsed_upto, want);
    while (text && text->rfind('\n') == std::string::npos && block.parsed_upto + text->size() < *length &&
           want < kMaxLineBytes) {
      want = std::min(want * 2 + 4096, kMaxLineBytes);
      text = read(block.parsed_upto, want);
    }
    if (!text) return std::move(text.error());
    const auto newline = text->rfind('\n');
    const bool at_end = block.parsed_upto + text->size() >= *length;
    std::size_t whole = newline == std::string::npos ? 0 : newline + 1;
    if (whole == 0 && !at_end) {
      return Error(ErrorCode::kSourceData, config_.path + ": the line at byte " + std::to_string(block.parsed_upto) +
                                               " is longer than " + std::to_string(kMaxLineBytes) + " bytes");
    }
    // A last line without its newline counts when nothing will be added to it.
    if (at_end && !config_.follow) whole = text->size();
    if (whole == 0) return {};
    text->resize(whole);
    const std::string& buffer = block.buffers.emplace_back(std::move(*text));
    for (std::size_t begin = 0; begin < buffer.size() && block.parsed_upto < limit;) {
      const std::size_t end = std::min(buffer.find('\n', begin), buffer.size());
      const std::size_t next = std::min(end + 1, buffer.size());
      const std::uint64_t line_begin = block.parsed_upto;
      auto parsed = parser.parse(std::string_view(buffer).substr(begin, end - begin), line_begin,
                                 line_begin + (next - begin), block.arena);
      if (!parsed) return Error(parsed.error().code(), config_.path + ": " + parsed.error().message());
      if (*parsed) block.by_shard[(*parsed)->shard].push_back(std::move(**parsed));
      block.parsed_upto += next - begin;
      begin = next;
    }
  }
  if (block.parsed_upto >= limit) block.complete = true;
  return {};
}

}  // namespace weir::file
