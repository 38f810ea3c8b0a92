#pragma once

#include <map>
#include <memory>
#include <string>

#include "aws/client.h"
#include "aws/event_stream.h"
#include "connectors/kinesis/api.h"
#include "streams/stream_api.h"

namespace weir::kinesis {

/// What a message of SubscribeToShard says.
struct SubscriptionEvent {
  SubscriptionEvent() = default;

  std::string records;  ///< the JSON of a SubscribeToShardEvent; "": the message says nothing of the shard
  std::optional<aws::ServiceError> error;
};
SubscriptionEvent read_subscription_message(aws::StreamMessage message);

std::string subscribe_body(const std::string& consumer_arn, const std::string& shard, const Resume& from);

/// Kinesis with enhanced fan-out: shards are subscribed to, and their records pushed. As reading looks like GetRecords
/// that wait: an iterator is the text of a Resume, and behind a subscription's end, whatever ended it, the next one
/// begins behind the continuation sequence number that came last.
class FanOutApi final : public streams::StreamApi {
 public:
  /// `client` and `shards`, which lists them, outlive it.
  FanOutApi(aws::Client& client, KinesisApi& shards, std::string consumer_arn, KinesisStream event)
      : client_(client), shards_(shards), consumer_arn_(std::move(consumer_arn)), event_(std::move(event)) {}

  net::awaitable<streams::ReadResult<std::vector<streams::ListedShard>>> list_shards() override;
  net::awaitable<streams::ReadResult<std::string>> shard_iterator(std::string shard, Resume from) override;
  net::awaitable<streams::ReadResult<streams::ReadPage>> get_records(std::string shard, std::string iterator,
                                                                     std::size_t max_records) override;

 private:
  struct Subscription {
    Subscription() = default;

    std::unique_ptr<http::ResponseStream> stream;
    aws::StreamMessages messages;
    std::string at;  ///< the iterator that goes on with it
    bool gave_records = false;
    int still = 0;  ///< messages in a row without records whose continuation is the one before
  };
  net::awaitable<aws::ServiceResult<std::shared_ptr<Subscription>>> subscribe(std::string shard, Resume from);

  net::awaitable<bool> has_ended(std::string shard, std::string iterator);

  aws::Client& client_;
  KinesisApi& shards_;
  std::string consumer_arn_;
  KinesisStream event_;
  RecordsReader records_;
  std::map<std::string, std::shared_ptr<Subscription>, std::less<>> subscriptions_;  ///< shared with a read under way
};

}  // namespace weir::kinesis
