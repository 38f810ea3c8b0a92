#include "connectors/kinesis/api.h"

#include <algorithm>
#include <utility>

namespace weir::kinesis {
namespace {

using streams::ReadError;
using streams::ReadFailure;
using streams::ReadResult;

/// kinesalite never answers when it is asked for an iterator at a time since which nothing came (its issue 84).
constexpr Duration kAtTimestampPatience = std::chrono::seconds(3);
/// Of 1,000 shards each, or of fewer from a stand-in: more than any stream has.
constexpr int kMaxPages = 1000;

bool is_of_aws(std::string_view url) {
  return url.find(".amazonaws.com") != std::string_view::npos;
}

ReadError wrong_answer(const Error& error, std::string_view doing) {
  return {ReadFailure::kOther, Error(error).during(std::string(doing))};
}

}  // namespace

ReadError read_error(const aws::ServiceError& error, std::string_view doing) {
  ReadFailure failure = ReadFailure::kOther;
  Error shown = error.as_source_error(doing);
  if (error.code == "ExpiredIteratorException") {
    failure = ReadFailure::kExpiredIterator;
  } else if (error.is_throttle() ||
             error.code == "ResourceInUseException") {  // a consumer's former subscription ends only after a while
    failure = ReadFailure::kThrottled;
  } else if (shown.code() == ErrorCode::kSourceNotFound) {
    failure = ReadFailure::kGone;
  } else if (shown.code() == ErrorCode::kSourceRefused) {
    failure = ReadFailure::kRefused;
  } else if (error.is_transient()) {
    failure = ReadFailure::kUnreachable;
  }
  return {failure, std::move(shown)};
}

ReadError position_error(const aws::ServiceError& error, const Resume& from, std::string_view doing) {
  ReadError problem = read_error(error, doing);
  // kinesis-local says of a record what it says of streams and shards.
  const bool is_of_position =
      error.code == "InvalidArgumentException" ||
      (problem.failure == ReadFailure::kGone && error.message.find("SequenceNumber") != std::string::npos);
  if (from.kind() == Resume::Kind::kAfter && is_of_position) problem.failure = ReadFailure::kWrongPosition;
  return problem;
}

bool KinesisApi::is_amazons() const {
  return is_of_aws(client_.url());
}

net::awaitable<aws::ServiceResult<std::string>> KinesisApi::call(std::string_view operation, std::string body,
                                                                 Duration timeout) {
  return client_.call("Kinesis_20131202." + std::string(operation), "1.1", std::move(body), timeout);
}

net::awaitable<ReadResult<StreamSummary>> KinesisApi::describe() {
  constexpr std::string_view kDoing = "looking for the stream";
  auto answer = co_await call("DescribeStreamSummary", describe_summary_body(stream_));
  if (!answer) co_return read_error(answer.error(), kDoing);
  auto summary = read_stream_summary(*answer);
  if (!summary) co_return wrong_answer(summary.error(), kDoing);
  co_return std::move(*summary);
}

net::awaitable<ReadResult<std::vector<streams::ListedShard>>> KinesisApi::list_shards() {
  constexpr std::string_view kDoing = "listing the shards";
  std::vector<streams::ListedShard> all;
  std::map<std::string, HashRange, std::less<>> ranges;
  std::string token;
  int pages = 0;
  do {
    if (++pages > kMaxPages) {
      co_return wrong_answer(
          Error(ErrorCode::kSourceFailed, "the service gives pages without end: " + std::to_string(kMaxPages) +
                                              " came, with " + std::to_string(all.size()) + " shards"),
          kDoing);
    }
    auto answer = co_await call("ListShards", list_shards_body(stream_, token));
    if (!answer) co_return read_error(answer.error(), kDoing);
    auto page = read_shards(*answer);
    if (!page) co_return wrong_answer(page.error(), kDoing);
    for (std::size_t i = 0; i < page->shards.size(); ++i) {
      ranges.insert_or_assign(page->shards[i].id, std::move(page->ranges[i]));
    }
    std::move(page->shards.begin(), page->shards.end(), std::back_inserter(all));
    if (!page->next_token.empty() && page->next_token == token) {
      co_return wrong_answer(Error(ErrorCode::kSourceFailed, "a page names itself as the next one"), kDoing);
    }
    token = std::move(page->next_token);
  } while (!token.empty());
  ranges_ = std::move(ranges);
  co_return std::move(all);
}

HashRange KinesisApi::hash_range(std::string_view shard) const {
  const auto found = ranges_.find(shard);
  return found == ranges_.end() ? HashRange() : found->second;
}

net::awaitable<ReadResult<std::string>> KinesisApi::shard_iterator(std::string shard, Resume from) {
  const std::string doing = "asking where to read " + shard;
  not_before_.erase(shard);
  const bool stand_in_by_time = from.kind() == Resume::Kind::kAtTimestamp && !is_amazons();
  const Duration timeout = stand_in_by_time ? kAtTimestampPatience : Duration(std::chrono::seconds(30));
  auto answer = co_await call("GetShardIterator", shard_iterator_body(stream_, shard, from), timeout);
  if (!answer && stand_in_by_time && answer.error().code == aws::kNoAnswer) {
    // All of it is read, and what came before that time left out.
    not_before_.insert_or_assign(shard, from.time());
    answer = co_await call("GetShardIterator", shard_iterator_body(stream_, shard, Resume::trim_horizon()));
  }
  if (!answer) co_return position_error(answer.error(), from, doing);
  auto iterator = read_shard_iterator(*answer);
  if (!iterator) co_return wrong_answer(iterator.error(), doing);
  co_return std::move(*iterator);
}

net::awaitable<ReadResult<streams::ReadPage>> KinesisApi::get_records(std::string shard, std::string iterator,
                                                                      std::size_t max_records) {
  const std::string doing = "reading " + shard;
  auto answer = co_await call("GetRecords", get_records_body(stream_, iterator, max_records));
  if (!answer) co_return read_error(answer.error(), doing);
  KinesisStream stream = event_;
  stream.shard_id = shard;
  auto page = records_.read_page(std::move(*answer), stream);
  if (!page) co_return wrong_answer(page.error(), doing);
  if (const auto late = not_before_.find(shard); late != not_before_.end()) {
    const auto left_out =
        std::erase_if(page->records.records, [&](const Record& record) { return record.arrival < late->second; });
    if (left_out > 0 && page->next) page->behind = std::chrono::milliseconds(1);  // there is more: go on at once
  }
  co_return std::move(*page);
}

}  // namespace weir::kinesis
