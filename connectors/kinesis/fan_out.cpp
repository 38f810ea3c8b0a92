#include "connectors/kinesis/fan_out.h"

#include <utility>

#include "weir/base/json_writer.h"

namespace weir::kinesis {
namespace {

using streams::ReadError;
using streams::ReadFailure;
using streams::ReadResult;

/// A subscription lasts five minutes.
constexpr Duration kSubscriptionTimeout = std::chrono::minutes(6);
/// Messages, about one a second, that say nothing new before the shard is looked at otherwise.
constexpr int kStillMax = 5;

}  // namespace

std::string subscribe_body(const std::string& consumer_arn, const std::string& shard, const Resume& from) {
  std::string body;
  JsonWriter out(body);
  out.begin_object().member("ConsumerARN", consumer_arn).member("ShardId", shard);
  out.key("StartingPosition").begin_object();
  write_position(out, from, "Type", "SequenceNumber");
  out.end_object().end_object();
  return body;
}

SubscriptionEvent read_subscription_message(aws::StreamMessage message) {
  SubscriptionEvent event;
  const std::string_view type = message.header(":message-type");
  if (type == "exception") {
    http::Response like;
    like.status = 400;
    like.body = std::move(message.payload);
    aws::ServiceError error = aws::read_service_error(like);
    error.code = message.header(":exception-type");
    if (error.code.starts_with("Internal")) error.status = 500;
    event.error = std::move(error);
  } else if (type == "error") {
    aws::ServiceError error;
    error.status = 500;
    error.code = message.header(":error-code");
    error.message = message.header(":error-message");
    event.error = std::move(error);
  } else if (message.header(":event-type") == "SubscribeToShardEvent") {
    event.records = std::move(message.payload);
  }
  return event;
}

namespace {

bool is_latest(std::string_view iterator) {
  return iterator == Resume::latest().text();
}

/// The end of the stream moves: who begins there a second time skips what came between. As after an iterator that has
/// ended the reader then goes on at the time when it began.
ReadError pinned(ReadError error, std::string_view iterator) {
  const bool lasts = error.failure == ReadFailure::kRefused || error.failure == ReadFailure::kGone;
  if (is_latest(iterator) && !lasts) error.failure = ReadFailure::kExpiredIterator;
  return error;
}

}  // namespace

net::awaitable<ReadResult<std::vector<streams::ListedShard>>> FanOutApi::list_shards() {
  return shards_.list_shards();
}

net::awaitable<ReadResult<std::string>> FanOutApi::shard_iterator(std::string shard, Resume from) {
  subscriptions_.erase(shard);
  co_return from.text();
}

net::awaitable<aws::ServiceResult<std::shared_ptr<FanOutApi::Subscription>>> FanOutApi::subscribe(std::string shard,
                                                                                                  Resume from) {
  aws::ServiceRequest request;
  request.headers.add("Content-Type", "application/x-amz-json-1.1");
  request.headers.add("X-Amz-Target", "Kinesis_20131202.SubscribeToShard");
  request.body = subscribe_body(consumer_arn_, shard, from);
  request.timeout = kSubscriptionTimeout;
  auto opened = co_await client_.open(std::move(request));
  if (!opened) co_return opened.error();
  auto subscription = std::make_shared<Subscription>();
  subscription->stream = std::move(*opened);
  co_return subscription;
}

/// kinesis-local never says in a subscription that its shard was closed; GetRecords behind the last record does.
net::awaitable<bool> FanOutApi::has_ended(std::string shard, std::string iterator) {
  const auto from = Resume::parse(iterator);
  if (!from) co_return false;
  const auto read_at = co_await shards_.shard_iterator(shard, *from);
  if (!read_at) co_return false;
  const auto page = co_await shards_.get_records(shard, *read_at, 1);
  co_return page.has_value() && page->records.records.empty() && !page->next;
}

net::awaitable<ReadResult<streams::ReadPage>> FanOutApi::get_records(std::string shard, std::string iterator,
                                                                     std::size_t) {
  const std::string doing = "reading " + shard + " as " + consumer_arn_;
  const auto known = subscriptions_.find(shard);
  std::shared_ptr<Subscription> subscription = known == subscriptions_.end() ? nullptr : known->second;
  if (!subscription || subscription->at != iterator) {
    const auto from = Resume::parse(iterator);
    WEIR_ASSERT(from.has_value());
    auto made = co_await subscribe(shard, *from);
    if (!made) co_return pinned(position_error(made.error(), *from, doing), iterator);
    subscription = std::move(*made);
    subscription->at = iterator;
    subscriptions_.insert_or_assign(shard, subscription);
  }
  // Whatever ends it: the next one begins where this one stood.
  const auto end = [&](ReadError error) {
    subscriptions_.erase(shard);
    return pinned(std::move(error), subscription->at);
  };
  for (;;) {
    auto message = subscription->messages.next();
    if (!message) co_return end(ReadError(ReadFailure::kUnreachable, Error(message.error()).during(doing)));
    if (!*message) {
      const Result<std::string> more = co_await subscription->stream->read();
      if (!more) {
        if (more.error().code() == ErrorCode::kCancelled) co_return ReadError(ReadFailure::kOther, more.error());
        const Error lost(ErrorCode::kSourceUnreachable, more.error().message());
        co_return end(ReadError(ReadFailure::kUnreachable, Error(lost).during(doing)));
      }
      if (more->empty()) {
        // After five minutes, or when the service is busy: a page without records, and then the next subscription. One
        // that gave nothing is not followed at once: a server that ends each as it begins would be asked without a
        // pause.
        ReadError over(ReadFailure::kThrottled,
                       Error(ErrorCode::kSourceFailed, "the subscription ended").during(doing));
        if (is_latest(subscription->at) || !subscription->gave_records) co_return end(std::move(over));
        subscriptions_.erase(shard);
        streams::ReadPage page;
        page.next = subscription->at;
        co_return page;
      }
      subscription->messages.add(*more);
      continue;
    }
    SubscriptionEvent event = read_subscription_message(std::move(**message));
    if (event.error) co_return end(read_error(*event.error, doing));
    if (event.records.empty()) continue;
    KinesisStream stream = event_;
    stream.shard_id = shard;
    const HashRange range = shards_.hash_range(shard);
    auto page = records_.read_page(std::move(event.records), stream, &range);
    if (!page) co_return end(ReadError(ReadFailure::kOther, Error(page.error()).during(doing)));
    if (page->next && !Position::parse(*page->next)) {
      const Error wrong(ErrorCode::kSourceFailed,
                        "the answer is none of Kinesis: \"" + *page->next + "\" is no sequence number");
      co_return end(ReadError(ReadFailure::kOther, Error(wrong).during(doing)));
    }
    if (!page->records.records.empty()) subscription->gave_records = true;
    const bool stands_still = page->next == subscription->at && page->records.records.empty();
    subscription->still = stands_still ? subscription->still + 1 : 0;
    if (subscription->still > 0 && subscription->still % kStillMax == 0 && !shards_.is_amazons()) {
      const bool ended = co_await has_ended(shard, subscription->at);
      if (ended) {
        page->next.reset();
        page->records.end_of_shard = true;
      }
    }
    if (page->next) {
      subscription->at = *page->next;
    } else {
      subscriptions_.erase(shard);
    }
    co_return std::move(*page);
  }
}

}  // namespace weir::kinesis
