// Parents before children (with-kinesis; KCL's lease lifecycle).
#include "streams/shard_lineage.h"

#include <catch2/catch.hpp>

using namespace weir;
using streams::ListedShard;
using streams::ShardLineage;

namespace {

/// "a b<a c<a d<b,c": a shard, and behind < its parents.
std::vector<ListedShard> listing(std::string_view text) {
  std::vector<ListedShard> shards;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    ListedShard shard;
    shard.id = word.substr(0, word.find('<'));
    word.remove_prefix(shard.id.size());
    while (!word.empty()) {
      word.remove_prefix(1);
      const std::size_t comma = std::min(word.find(','), word.size());
      shard.parents.emplace_back(word.substr(0, comma));
      word.remove_prefix(comma);
    }
    shards.push_back(std::move(shard));
  }
  return shards;
}

std::string opened(ShardLineage& lineage) {
  std::string text;
  for (const std::string& shard : lineage.take_openable()) text += (text.empty() ? "" : " ") + shard;
  return text;
}

}  // namespace

TEST_CASE("shards without parents are opened at once, each once, in the listing's order") {
  ShardLineage lineage;
  lineage.on_listing(listing("b a c"));
  CHECK(opened(lineage) == "b a c");
  CHECK(opened(lineage) == "");
  lineage.on_listing(listing("b a c"));
  CHECK(opened(lineage) == "");
}

TEST_CASE("the children of a split wait for their parent's end") {
  ShardLineage lineage;
  lineage.on_listing(listing("a b<a c<a"));
  CHECK(opened(lineage) == "a");
  lineage.on_released("a", true);
  CHECK(opened(lineage) == "b c");
}

TEST_CASE("a merged shard waits for both of its parents") {
  ShardLineage lineage;
  lineage.on_listing(listing("a b c<a,b"));
  CHECK(opened(lineage) == "a b");
  lineage.on_released("b", true);
  CHECK(opened(lineage) == "");
  lineage.on_released("a", true);
  CHECK(opened(lineage) == "c");
}

TEST_CASE("a parent that is not listed any more counts as done, but not while it is read") {
  ShardLineage lineage;
  lineage.on_listing(listing("b<a c<a"));
  CHECK(opened(lineage) == "b c");
  lineage.on_listing(listing("d<b e<b,c"));
  CHECK_FALSE(lineage.lists("b"));
  CHECK(opened(lineage) == "");
  lineage.on_released("b", true);
  CHECK(opened(lineage) == "d");
  lineage.on_released("c", true);
  CHECK(opened(lineage) == "e");
}

TEST_CASE("the children of a shard that was given back are not opened") {
  ShardLineage lineage;
  lineage.on_listing(listing("a b<a"));
  CHECK(opened(lineage) == "a");
  lineage.on_released("a", false);
  CHECK(opened(lineage) == "");
  lineage.on_listing(listing("a b<a"));
  CHECK(opened(lineage) == "");
}

TEST_CASE("a shard that is given back when the stream no longer lists it keeps its children waiting all the same") {
  ShardLineage lineage;
  lineage.on_listing(listing("a b<a"));
  CHECK(opened(lineage) == "a");
  lineage.on_listing(listing("b<a"));
  lineage.on_released("a", false);
  CHECK(opened(lineage) == "");
  lineage.on_listing(listing("b<a"));
  CHECK(opened(lineage) == "");
}

TEST_CASE("generations are walked one after the other; an ended shard is forgotten with its listing") {
  ShardLineage lineage;
  lineage.on_listing(listing("a b<a c<b d<c"));
  std::string walked;
  for (std::string shard = opened(lineage); !shard.empty(); shard = opened(lineage)) {
    walked += shard;
    lineage.on_released(shard, true);
  }
  CHECK(walked == "abcd");
  lineage.on_listing(listing("e<d"));
  CHECK_FALSE(lineage.lists("d"));
  CHECK(opened(lineage) == "e");
}

TEST_CASE("what came with the first listing is told from what came later") {
  ShardLineage lineage;
  lineage.on_listing(listing("a b<a"));
  lineage.on_listing(listing("a b<a c"));
  CHECK(lineage.is_original("a"));
  CHECK(lineage.is_original("b"));
  CHECK_FALSE(lineage.is_original("c"));
  CHECK_FALSE(lineage.is_original("x"));
}

TEST_CASE("a shard that is listed as a parent only is known to be that, as long as it is") {
  ShardLineage lineage;
  lineage.on_listing(listing("b<a c<a,z"));
  CHECK(lineage.is_parent("a"));
  CHECK(lineage.is_parent("z"));
  CHECK_FALSE(lineage.is_parent("b"));
  CHECK_FALSE(lineage.lists("a"));
  lineage.on_listing(listing("d<b"));
  CHECK_FALSE(lineage.is_parent("a"));
  CHECK(lineage.is_parent("b"));
}
