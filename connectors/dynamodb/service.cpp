#include "connectors/dynamodb/service.h"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "weir/base/json_writer.h"

namespace weir::dynamodb {
namespace {

using nlohmann::json;
using streams::ListedShard;
using streams::ReadError;
using streams::ReadFailure;
using streams::ReadPage;
using streams::ReadResult;

constexpr std::size_t kMaxRecords = 1000;  ///< of one GetRecords
/// Of 100: a stream has a few hundred shards. A service that never says that there are no more has failed: a part of a
/// listing would be taken for all of it.
constexpr int kMaxPages = 1000;

std::string target(std::string_view operation) {
  return "DynamoDBStreams_20120810." + std::string(operation);
}

std::string text_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

/// The member of that name; null when it is not there.
const json& member(const json& object, const char* key) {
  static const json kNull;
  const auto found = object.find(key);
  return found != object.end() ? *found : kNull;
}

std::string doing(std::string_view operation, std::string_view stream) {
  return std::string(operation) + " of " + std::string(stream);
}

ReadError read_error(const aws::ServiceError& problem, std::string_view operation, std::string_view stream) {
  Error error = problem.as_source_error(doing(operation, stream));
  ReadFailure failure = ReadFailure::kOther;
  if (problem.code == "ExpiredIteratorException") {
    failure = ReadFailure::kExpiredIterator;
  } else if (problem.code == "TrimmedDataAccessException") {
    failure = ReadFailure::kTrimmed;
  } else if (problem.is_throttle()) {
    failure = ReadFailure::kThrottled;
  } else if (problem.code == "ResourceNotFoundException") {
    failure = ReadFailure::kGone;
  } else if (error.code() == ErrorCode::kSourceRefused) {
    failure = ReadFailure::kRefused;
  } else if (problem.is_transient()) {
    failure = ReadFailure::kUnreachable;
  }
  return ReadError(failure, std::move(error));
}

Error pages_without_end() {
  return Error(ErrorCode::kSourceFailed,
               "the service gives pages without end: " + std::to_string(kMaxPages) + " came, or one came twice");
}

/// An answer that is no answer to the question.
ReadError odd_answer(std::string_view operation, std::string_view stream) {
  return ReadError(
      ReadFailure::kOther,
      Error(ErrorCode::kSourceFailed, "the service's answer cannot be read").during(doing(operation, stream)));
}

WallTime minute_of(WallTime time) {
  return std::chrono::floor<std::chrono::minutes>(time);
}

}  // namespace

net::awaitable<Result<std::string>> find_stream(aws::Client& client, std::string table) {
  std::string newest, newest_label, from;
  for (int page = 0;; ++page) {
    std::string body;
    JsonWriter writer(body);
    writer.begin_object().member("TableName", table);
    if (!from.empty()) writer.member("ExclusiveStartStreamArn", from);
    writer.end_object();
    auto answer = co_await client.call(target("ListStreams"), "1.0", std::move(body));
    if (!answer) co_return answer.error().as_source_error("looking for the stream of table " + table);
    const json listed = json::parse(*answer, nullptr, false);
    for (const json& stream : member(listed, "Streams")) {
      // A label is the time of the stream's making, ISO 8601 of one length.
      const std::string label = text_of(stream, "StreamLabel");
      if (text_of(stream, "TableName") != table || label < newest_label) continue;
      newest_label = label;
      newest = text_of(stream, "StreamArn");
    }
    std::string next = text_of(listed, "LastEvaluatedStreamArn");
    if (next.empty()) break;
    if (next == from || page == kMaxPages)
      co_return pages_without_end().during("looking for the stream of table " + table);
    from = std::move(next);
  }
  if (newest.empty()) {
    co_return Error(
        ErrorCode::kSourceNotFound,
        "table " + table + " has no stream, or there is no such table; its StreamSpecification turns it on");
  }
  co_return newest;
}

DynamodbStreams::DynamodbStreams(aws::Client& client, std::string stream_arn)
    : client_(client), stream_arn_(std::move(stream_arn)) {}

net::awaitable<ReadResult<std::vector<ListedShard>>> DynamodbStreams::list_shards() {
  std::vector<ListedShard> shards;
  std::string from;
  for (int page = 0;; ++page) {
    std::string body;
    JsonWriter writer(body);
    writer.begin_object().member("StreamArn", stream_arn_);
    if (!from.empty()) writer.member("ExclusiveStartShardId", from);
    writer.end_object();
    auto answer = co_await client_.call(target("DescribeStream"), "1.0", std::move(body));
    if (!answer) co_return read_error(answer.error(), "DescribeStream", stream_arn_);
    const json document = json::parse(*answer, nullptr, false);
    const json& stream = member(document, "StreamDescription");
    if (!stream.is_object()) co_return odd_answer("DescribeStream", stream_arn_);
    const std::string status = text_of(stream, "StreamStatus");
    turned_off_ = status == "DISABLED" || status == "DISABLING";
    for (const json& listed : member(stream, "Shards")) {
      ListedShard shard;
      shard.id = text_of(listed, "ShardId");
      if (shard.id.empty()) co_return odd_answer("DescribeStream", stream_arn_);
      if (std::string parent = text_of(listed, "ParentShardId"); !parent.empty())
        shard.parents.push_back(std::move(parent));
      shard.closed = !text_of(member(listed, "SequenceNumberRange"), "EndingSequenceNumber").empty();
      shards.push_back(std::move(shard));
    }
    std::string next = text_of(stream, "LastEvaluatedShardId");
    if (next.empty()) break;
    if (next == from || page == kMaxPages) {
      co_return ReadError(ReadFailure::kOther, pages_without_end().during(doing("DescribeStream", stream_arn_)));
    }
    from = std::move(next);
  }
  co_return shards;
}

std::optional<Error> DynamodbStreams::closed_for_good() const {
  if (!turned_off_) return std::nullopt;
  return Error(ErrorCode::kSourceNotFound,
               stream_arn_ + " is turned off and was read to its end; the table's next stream has another ARN");
}

net::awaitable<ReadResult<std::string>> DynamodbStreams::shard_iterator(std::string shard, Resume from) {
  not_before_.erase(shard);
  std::string body;
  JsonWriter writer(body);
  writer.begin_object().member("StreamArn", stream_arn_).member("ShardId", shard);
  switch (from.kind()) {
    case Resume::Kind::kAfter:
      writer.member("ShardIteratorType", "AFTER_SEQUENCE_NUMBER");
      writer.member("SequenceNumber", sequence_text(from.position()));
      break;
    case Resume::Kind::kLatest:
      writer.member("ShardIteratorType", "LATEST");
      break;
    case Resume::Kind::kAtTimestamp:
      not_before_[shard] = minute_of(from.time());
      [[fallthrough]];
    case Resume::Kind::kTrimHorizon:
      writer.member("ShardIteratorType", "TRIM_HORIZON");
      break;
    case Resume::Kind::kShardEnd:
      throw BrokenBelief("an iterator at the end of " + shard);
  }
  writer.end_object();
  auto answer = co_await client_.call(target("GetShardIterator"), "1.0", std::move(body));
  if (!answer) {
    ReadError problem = read_error(answer.error(), "GetShardIterator", shard);
    if (from.kind() == Resume::Kind::kAfter && answer.error().code == "ValidationException") {
      problem.failure = ReadFailure::kWrongPosition;
    }
    co_return problem;
  }
  std::string iterator = text_of(json::parse(*answer, nullptr, false), "ShardIterator");
  if (iterator.empty()) co_return odd_answer("GetShardIterator", shard);
  co_return iterator;
}

net::awaitable<ReadResult<ReadPage>> DynamodbStreams::get_records(std::string shard, std::string iterator,
                                                                  std::size_t max_records) {
  std::string body;
  JsonWriter writer(body);
  writer.begin_object().member("ShardIterator", iterator);
  writer.member("Limit", static_cast<std::int64_t>(std::clamp<std::size_t>(max_records, 1, kMaxRecords)));
  writer.end_object();
  auto answer = co_await client_.call(target("GetRecords"), "1.0", std::move(body));
  if (!answer) co_return read_error(answer.error(), "GetRecords", shard);
  auto read = reader_.read(std::move(*answer), stream_arn_);
  if (!read) co_return ReadError(ReadFailure::kOther, std::move(read.error()).during(doing("GetRecords", shard)));
  ReadPage page;
  page.records = std::move(read->records);
  page.next = std::move(read->next);
  if (const auto bound = not_before_.find(shard); bound != not_before_.end()) {
    std::vector<Record>& records = page.records.records;
    const auto wanted = std::find_if(records.begin(), records.end(),
                                     [&](const Record& record) { return record.arrival >= bound->second; });
    // What comes behind the first one that is wanted came later, whatever its rounded time says.
    if (wanted != records.end()) not_before_.erase(bound);
    records.erase(records.begin(), wanted);
  }
  co_return page;
}

}  // namespace weir::dynamodb
