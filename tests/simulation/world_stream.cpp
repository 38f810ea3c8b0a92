#include <algorithm>
#include <array>
#include <utility>

#include "mapping.h"
#include "world.h"

namespace weir::simulation {

using namespace std::chrono_literals;

namespace {

constexpr std::size_t kKeys = 16;  // a stream's shards share them out among themselves
constexpr std::size_t kMostShards = 16;
constexpr Duration kDiscovery = 10s;

std::string name_of(std::size_t shard) {
  return std::to_string(shard);
}

}  // namespace

/// The keys that an open shard of a stream takes: from `first` to before `end`.
struct World::Range {
  std::size_t shard = 0, first = 0, end = 0;
};

/// All that is ever written to the stream, and when its shards split and merge under it. Ranges of keys that lie beside
/// each other stand beside each other in `open`.
void World::make_stream() {
  std::vector<Range> open;
  const std::size_t first_shards = 1 + random_.below(3);
  for (std::size_t i = 0; i < first_shards; ++i) {
    add_shard(open, i, Duration(0), {0, kKeys * i / first_shards, kKeys * (i + 1) / first_shards}, {});
  }
  struct Last {
    std::size_t shard = 0;
    const Stored* record = nullptr;
  };
  std::array<Last, kKeys> last_of_key;
  Duration after{0};
  for (std::size_t i = 0; i < features_.records; ++i) {
    after += pause_before_record();
    if (random_.chance(features_.reshards)) reshard(open, after);
    Stored record = make_record(after);
    const auto range = std::find_if(open.begin(), open.end(), [&](const Range& each) { return record.key < each.end; });
    Last& last = last_of_key.at(record.key);
    if (last.record != nullptr && last.shard != range->shard) record.before = last.record;
    std::vector<Stored>& records = shards_[range->shard].records;
    records.push_back(record);
    if (!record.filtered) last = {range->shard, &records.back()};
  }
  if (features_.ends) {
    for (const Range& range : open) shards_[range.shard].descent->closed = now_.instant + after;
  }
  later(upto(1s), of_mapping(Kind::kMappingStarts));
}

void World::add_shard(std::vector<Range>& open, std::size_t at, Duration after, Range keys,
                      std::vector<std::size_t> parents) {
  keys.shard = shards_.size();
  Shard& shard = shards_.emplace_back();
  shard.index = keys.shard;
  shard.function = "function-0";
  shard.records.reserve(features_.records);  // records are pointed to
  shard.descent = Descent{.parents = std::move(parents), .created = now_.instant + after};
  open.insert(open.begin() + static_cast<std::ptrdiff_t>(at), keys);
}

/// A shard splits, two that lie beside each other merge, or one is replaced by another, as DynamoDB does it.
void World::reshard(std::vector<Range>& open, Duration after) {
  if (shards_.size() + 2 > kMostShards) return;
  std::size_t at = random_.below(open.size());
  const bool splits = random_.chance(0.5) && open[at].end - open[at].first > 1;
  const bool merges = !splits && open.size() > 1 && random_.chance(0.7);
  if (merges) at = std::min(at, open.size() - 2);
  const auto begin = open.begin() + static_cast<std::ptrdiff_t>(at);
  const auto end = begin + (merges ? 2 : 1);
  const Range keys{0, begin->first, std::prev(end)->end};
  std::vector<std::size_t> parents;
  for (auto range = begin; range != end; ++range) {
    parents.push_back(range->shard);
    shards_[range->shard].descent->closed = now_.instant + after;
  }
  open.erase(begin, end);
  if (splits) {
    const std::size_t middle = keys.first + 1 + random_.below(keys.end - keys.first - 1);
    add_shard(open, at, after, {0, keys.first, middle}, parents);
    add_shard(open, at + 1, after, {0, middle, keys.end}, std::move(parents));
  } else {
    add_shard(open, at, after, keys, std::move(parents));
  }
  ++(splits ? figures_.splits : merges ? figures_.merges : figures_.replaced);
}

void World::happen_to_mapping(const Happening& happening) {
  switch (happening.kind) {
    case Kind::kMappingStarts:
      mapping_ = std::make_unique<Mapping>();
      list_shards();
      if (mapping_) later(upto(kDiscovery), of_mapping(Kind::kListing));
      return;
    case Kind::kListing:
      list_shards();
      // A listing that was asked for beside the others is followed by none.
      if (mapping_ && happening.serial == 0) later(upto(kDiscovery), of_mapping(Kind::kListing));
      return;
    case Kind::kMappingStops:
      stop_mapping();
      return;
    default:
      open_shards();
      if (!mapping_ || !mapping_->stopping) return;
      if (std::none_of(shards_.begin(), shards_.end(), [](const Shard& each) { return each.engine || each.end; })) {
        leave_mapping();
      }
      return;
  }
}

/// The stream says what shards it has, perhaps as it was a moment ago.
void World::list_shards() {
  const Instant as_of = now_.instant - (random_.chance(0.3) ? upto(2s) : Duration(0));
  std::vector<streams::ListedShard> listing;
  for (Shard& shard : shards_) {
    Descent& descent = *shard.descent;
    if (descent.created > as_of && !descent.parents.empty()) continue;
    if (features_.trims && shard.finished && descent.closed && !descent.trimmed && random_.chance(0.3)) {
      descent.trimmed = true;
      ++figures_.trimmed;
    }
    // All that the stream no longer keeps was read, but is not done. After a crash it is listed again: a stream that
    // loses what was not done is no promise of weir's.
    const bool trimmed_while_read = features_.trims && shard.end_told && random_.chance(0.3);
    if (trimmed_while_read) ++figures_.trimmed_while_read;
    if (descent.trimmed || trimmed_while_read) continue;
    streams::ListedShard& listed = listing.emplace_back();
    listed.id = name_of(shard.index);
    listed.closed = descent.closed && *descent.closed <= as_of;
    for (const std::size_t parent : descent.parents) {
      listed.parents.push_back(name_of(parent));
      if (!shards_[parent].finished) ++figures_.children_waited;
    }
  }
  if (listing.size() > 1 && random_.chance(0.3)) std::swap(listing.front(), listing.back());
  mapping_->lineage.on_listing(listing);
  open_shards();
}

void World::open_shards() {
  const std::uint64_t life = mapping_life_;
  for (;;) {
    const std::vector<std::string> openable = mapping_->lineage.take_openable();
    if (openable.empty()) return;
    for (const std::string& name : openable) {
      open(shards_.at(std::stoul(name)));
      if (mapping_life_ != life || !broken_.empty()) return;  // it crashed
    }
  }
}

void World::open(Shard& shard) {
  promise(shard, mapping_->open.insert(shard.index).second && !shard.engine, "a shard is opened twice");
  if (!broken_.empty()) return;
  if (shard.finished && ends(shard)) {
    ++figures_.ended_before;
    release(shard, true);
  } else if (mapping_->stopping) {
    release(shard, false);
  } else if (!shard.finished) {
    start(shard);
  }
  // Else all its records are done, and none will ever come: it stays open.
}

/// Nobody reads the shard any more: it ended, or it was given back, and then only another life of the mapping takes it.
void World::release(Shard& shard, bool ended) {
  mapping_->open.erase(shard.index);
  mapping_->lineage.on_released(name_of(shard.index), ended);
  later(Duration(0), of_mapping(Kind::kReleased));
  if (!ended && !shard.finished && !mapping_->stopping) {
    ++figures_.given_back;
    later(upto(30s), of_mapping(Kind::kMappingStops));
  }
}

/// The shard's engine is gone. Its end is stored before anybody is told.
void World::drained(Shard& shard, bool remember_end) {
  if (!remember_end) {
    release(shard, false);
    return;
  }
  shard.end = WriteUnderWay{.serial = ++last_order_};
  later(store_latency(), of(shard, Kind::kEndWrite, shard.end->serial));
}

void World::answer_end(Shard& shard) {
  if (shard.end->kept) {
    ++figures_.ends_remembered;
    shard.end.reset();
    release(shard, true);
    later(upto(200ms), of_mapping(Kind::kListing, 1));  // for its children
    return;
  }
  ++figures_.ends_refused;
  if (mapping_->stopping) {
    shard.end.reset();
    release(shard, false);
    return;
  }
  later(upto(5s), of(shard, Kind::kEndWrite, shard.end->serial));
}

void World::stop_mapping() {
  if (mapping_->stopping) return;
  ++figures_.mappings_stopped;
  mapping_->stopping = true;
  later(Duration(0), of_mapping(Kind::kReleased));
  const std::uint64_t life = mapping_life_;
  for (Shard& shard : shards_) {
    if (shard.engine && !shard.stopping) stop(shard);
    if (mapping_life_ != life || !broken_.empty()) return;  // it crashed
  }
}

/// Its life is over, by a crash or because all of it stopped. Another one follows.
void World::leave_mapping() {
  mapping_.reset();
  ++mapping_life_;
  later(upto(5s), of_mapping(Kind::kMappingStarts));
}

}  // namespace weir::simulation
