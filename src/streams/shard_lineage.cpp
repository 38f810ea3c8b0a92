#include "streams/shard_lineage.h"

#include <algorithm>
#include <utility>

namespace weir::streams {

void ShardLineage::on_listing(const std::vector<ListedShard>& listing) {
  for (auto& [id, shard] : known_) shard.listed = false;
  parents_.clear();
  std::size_t place = 0;
  for (const ListedShard& listed : listing) {
    parents_.insert(listed.parents.begin(), listed.parents.end());
    const auto [known, is_new] = known_.try_emplace(listed.id);
    known->second.parents = listed.parents;
    known->second.listed = true;
    known->second.place = place++;
    if (is_new) known->second.original = !listed_before_;
  }
  std::erase_if(known_, [](const auto& entry) {
    const Known& shard = entry.second;
    return !shard.listed && shard.state != State::kOpen && shard.state != State::kGivenBack;
  });
  listed_before_ = true;
}

void ShardLineage::on_released(std::string_view shard, bool ended) {
  const auto found = known_.find(shard);
  if (found == known_.end()) return;
  if (ended && !found->second.listed) {
    known_.erase(found);
  } else {
    found->second.state = ended ? State::kEnded : State::kGivenBack;
  }
}

bool ShardLineage::may_open(const Known& shard) const {
  return shard.state == State::kWaiting &&
         std::all_of(shard.parents.begin(), shard.parents.end(), [&](const std::string& id) {
           const auto parent = known_.find(id);
           return parent == known_.end() || parent->second.state == State::kEnded;
         });
}

std::vector<std::string> ShardLineage::take_openable() {
  std::vector<std::pair<std::size_t, std::string>> found;
  for (auto& [id, shard] : known_) {
    if (may_open(shard)) found.emplace_back(shard.place, id);
  }
  std::sort(found.begin(), found.end());
  std::vector<std::string> openable;
  openable.reserve(found.size());
  for (auto& [place, id] : found) {
    known_.find(id)->second.state = State::kOpen;
    openable.push_back(std::move(id));
  }
  return openable;
}

std::vector<std::string> ShardLineage::waiting() const {
  std::vector<std::string> found;
  for (const auto& [id, shard] : known_) {
    if (shard.state == State::kWaiting) found.push_back(id);
  }
  return found;
}

bool ShardLineage::all_ended() const {
  return std::all_of(known_.begin(), known_.end(), [](const auto& each) { return each.second.state == State::kEnded; });
}

bool ShardLineage::lists(std::string_view shard) const {
  const auto found = known_.find(shard);
  return found != known_.end() && found->second.listed;
}

bool ShardLineage::is_original(std::string_view shard) const {
  const auto found = known_.find(shard);
  return found != known_.end() && found->second.original;
}

}  // namespace weir::streams
