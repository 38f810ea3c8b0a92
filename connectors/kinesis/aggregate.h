#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::kinesis {

/// The hash keys of a shard: the decimal digits of 128-bit numbers, both included.
struct HashRange {
  HashRange() = default;

  std::string from = "0";
  std::string to = "340282366920938463463374607431768211455";
};

/// A record out of an aggregate; views into it.
struct SubRecord {
  std::string_view key;
  std::string_view data;
};

/// Takes apart what Kinesis's producer library (KPL) puts into one record. Nothing: it is an ordinary record (another
/// beginning, too short, a digest that does not fit, no such message). An empty list: a part of it belongs to another
/// shard, and all of it is dropped, as Amazon's own consumers do.
/// Source: AggregatorUtil.java and messages.proto of amazon-kinesis-client (reference stream-sources.md, 9.3).
std::optional<std::vector<SubRecord>> split_aggregate(std::string_view data, const HashRange& range);

}  // namespace weir::kinesis
