#include "connectors/file/parser.h"

#include <charconv>
#include <cmath>

#include <nlohmann/json.hpp>

#include "weir/base/bytes.h"

namespace weir::file {
namespace {

constexpr std::string_view kShardPrefix = "shardId-";
constexpr double kLastMilliseconds = 9.2e12;  // in the year 2261; what nanoseconds in 64 bits hold

Error bad_line(std::uint64_t begin, std::string_view what) {
  return Error(ErrorCode::kSourceData, "the line at byte " + std::to_string(begin) + " " + std::string(what));
}

/// Deeper than anybody's events. Writing a value takes stack for each level, which a line of brackets would use up.
constexpr std::size_t kMaxDepth = 1'000;

bool is_too_deep(std::string_view line) {
  std::size_t depth = 0;
  bool in_text = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (in_text && c == '\\') {
      ++i;
    } else if (c == '"') {
      in_text = !in_text;
    } else if (!in_text && (c == '[' || c == '{')) {
      if (++depth > kMaxDepth) return true;
    } else if (!in_text && (c == ']' || c == '}')) {
      --depth;
    }
  }
  return false;
}

/// The JSON of a value of that line; nothing when it is nested too deeply.
std::optional<std::string> json_text(const nlohmann::json& value, std::string_view line) {
  if (value.is_structured() && is_too_deep(line)) return std::nullopt;
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

/// A JSON value as a partition key: a text as it is, anything else as its JSON.
std::optional<std::string> key_text(const nlohmann::json& value, std::string_view line) {
  return value.is_string() ? value.get<std::string>() : json_text(value, line);
}

std::optional<WallTime> read_time(const nlohmann::json& value) {
  if (value.is_string()) return parse_iso(value.get_ref<const std::string&>());
  if (!value.is_number()) return std::nullopt;
  const double milliseconds = value.get<double>() * 1000.0;
  if (milliseconds < 0 || milliseconds > kLastMilliseconds) return std::nullopt;
  return from_epoch_milliseconds(std::llround(milliseconds));
}

}  // namespace

std::size_t shard_of_key(std::string_view key, std::size_t shards) {
  // FNV-1a: spread evenly and the same on every machine, which is all that is asked of it. Kinesis itself uses MD5
  // ranges.
  std::uint64_t hash = 14695981039346656037U;
  for (char c : key) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
  return static_cast<std::size_t>((hash ^ (hash >> 32)) % shards);
}

std::optional<std::size_t> shard_number(std::string_view id) {
  if (id.starts_with(kShardPrefix)) id.remove_prefix(kShardPrefix.size());
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), number);
  if (error != std::errc() || end != id.data() + id.size()) return std::nullopt;
  return number;
}

std::string shard_id(std::size_t number) {
  std::string digits = std::to_string(number);
  if (digits.size() < 12) digits.insert(0, 12 - digits.size(), '0');
  return std::string(kShardPrefix) + digits;
}

Result<std::optional<ParsedLine>> LineParser::parse(std::string_view line, std::uint64_t begin, std::uint64_t end,
                                                    std::deque<std::string>& arena) const {
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line.empty()) return std::optional<ParsedLine>();
  ParsedLine parsed;
  parsed.record.position = Position(end);
  parsed.record.data = line;
  if (config_.format == Format::kRecording) return parse_recorded(line, begin, std::move(parsed), arena);
  if (!config_.partition_key.empty()) {
    const auto tree = nlohmann::json::parse(line, nullptr, false);
    const nlohmann::json::json_pointer pointer(config_.partition_key);
    if (!tree.is_discarded() && tree.contains(pointer))
      parsed.record.key = arena.emplace_back(key_text(tree.at(pointer), line).value_or(""));
  }
  // A line that says no key gets one of its own, as a producer with nothing to keep in order would give it.
  if (parsed.record.key.empty()) parsed.record.key = arena.emplace_back(std::to_string(begin));
  parsed.shard = shard_of_key(parsed.record.key, shards_);
  return std::optional<ParsedLine>(std::move(parsed));
}

Result<std::optional<ParsedLine>> LineParser::parse_recorded(std::string_view line, std::uint64_t begin,
                                                             ParsedLine parsed, std::deque<std::string>& arena) const {
  const auto tree = nlohmann::json::parse(line, nullptr, false);
  if (tree.is_discarded()) return bad_line(begin, "is not JSON; the recording is damaged or was cut off");
  if (!tree.is_object()) return bad_line(begin, "is not a JSON object");
  if (const auto data = tree.find("data"); data != tree.end()) {
    auto bytes = data->is_string() ? decode_base64(data->get_ref<const std::string&>()) : std::nullopt;
    if (!bytes) return bad_line(begin, "has data that is not base64");
    parsed.record.data = arena.emplace_back(std::move(*bytes));
  } else if (const auto json = tree.find("json"); json != tree.end()) {
    auto text = json_text(*json, line);
    if (!text) return bad_line(begin, "has json that is nested too deeply");
    parsed.record.data = arena.emplace_back(std::move(*text));
  } else {
    return bad_line(begin, "has neither data nor json");
  }
  const auto key = tree.find("partitionKey");
  auto key_is = key != tree.end() ? key_text(*key, line) : std::to_string(begin);
  if (!key_is) return bad_line(begin, "has a partitionKey that is nested too deeply");
  parsed.record.key = arena.emplace_back(std::move(*key_is));
  if (const auto time = tree.find("approximateArrivalTimestamp"); time != tree.end()) {
    parsed.recorded = read_time(*time);
    if (!parsed.recorded) return bad_line(begin, "has an approximateArrivalTimestamp that is no time");
  }
  if (config_.speed && !parsed.recorded)
    return bad_line(begin, "has no approximateArrivalTimestamp, which `speed` goes by");
  parsed.shard = shard_of_key(parsed.record.key, shards_);
  if (const auto shard = tree.find("shardId"); shard != tree.end()) {
    const auto number = shard->is_string() ? shard_number(shard->get_ref<const std::string&>()) : std::nullopt;
    if (!number) return bad_line(begin, "has a shardId that is none, like shardId-000000000000");
    if (*number >= shards_) return bad_line(begin, "is of a shard that `shards` leaves out");
    parsed.shard = *number;
  }
  return std::optional<ParsedLine>(std::move(parsed));
}

}  // namespace weir::file
