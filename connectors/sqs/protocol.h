#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "weir/queue_source.h"

#include "connectors/sqs/envelope.h"

namespace weir::sqs {

/// Bodies of requests (reference stream-sources.md, 9.5).
std::string queue_url_body(const std::string& name, const std::string& account);
std::string queue_attributes_body(const std::string& url);
std::string receive_body(const std::string& url, const ReceiveLimits& limits);
/// Of DeleteMessageBatch, and with a timeout of ChangeMessageVisibilityBatch; entries are called by their place.
std::string batch_body(const std::string& url, std::span<const std::string> receipts,
                       std::optional<Duration> visibility_timeout);

struct QueueAttributes {
  QueueAttributes() = default;

  QueueArn arn;
  Duration visibility_timeout{0};
  std::optional<std::int64_t> messages;
};

/// Each of these reads the body of a success. source.data: it is none that SQS would send.
Result<std::string> read_queue_url(std::string_view answer);
Result<QueueAttributes> read_queue_attributes(std::string_view answer);
/// Which of `count` entries were done.
Result<std::vector<bool>> read_batch(const std::string& answer, std::size_t count);

/// Reads answers of ReceiveMessage. Keeps scratch memory, which the texts of messages are of: they live until the next
/// read. One thread.
class MessagesReader {
 public:
  MessagesReader();
  ~MessagesReader();
  MessagesReader(const MessagesReader&) = delete;
  MessagesReader& operator=(const MessagesReader&) = delete;

  Result<std::vector<ReceivedMessage>> read(const std::string& answer);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weir::sqs
