#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "streams/listed_shard.h"

namespace weir::streams {

/// Which shards of a stream may be read: a child only after all of its parents, as the stream still lists them, were
/// done. Pure: told what the stream lists and what ended. One owner, not thread-safe.
/// Source: with-kinesis; KCL's lease lifecycle (reference stream-sources.md, sections 4 and 9.1).
class ShardLineage {
 public:
  /// Everything that the stream lists now. A shard that is not listed any more is forgotten, unless it is being read:
  /// that one is until it has ended.
  void on_listing(const std::vector<ListedShard>& listing);
  /// `ended`: every record of it is done. Otherwise it was given back: it is not opened again, nor are its children.
  void on_released(std::string_view shard, bool ended);

  /// The shards that may be opened now, in the order in which they are listed; each is given once.
  std::vector<std::string> take_openable();

  /// Whether every shard was read to its end; also when there is none.
  bool all_ended() const;
  /// Whether the last listing had it.
  bool lists(std::string_view shard) const;
  /// Whether a shard of the last listing has it as a parent.
  bool is_parent(std::string_view shard) const { return parents_.contains(shard); }
  /// Whether it came with the first listing.
  bool is_original(std::string_view shard) const;
  /// The shards that wait for their parents to be done.
  std::vector<std::string> waiting() const;

 private:
  enum class State { kWaiting, kOpen, kEnded, kGivenBack };
  struct Known {
    std::vector<std::string> parents;
    State state = State::kWaiting;
    bool listed = true;
    bool original = false;
    std::size_t place = 0;  ///< in the last listing
  };
  bool may_open(const Known& shard) const;

  std::map<std::string, Known, std::less<>> known_;
  std::set<std::string, std::less<>> parents_;  ///< of the last listing's shards
  bool listed_before_ = false;
};

}  // namespace weir::streams
