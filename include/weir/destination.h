#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "weir/aws_access.h"
#include "weir/base/error.h"
#include "weir/base/log.h"
#include "weir/base/time.h"
#include "weir/event/delivery.h"

namespace weir {

namespace net = boost::asio;

struct SourceConfig;

/// What is given to a destination: AWS's record of how an invocation ended, or a message of a service.
struct DestinationRecord {
  DestinationRecord() = default;

  std::string record;        ///< AWS's record, a JSON object; of a service any text
  std::string payload;       ///< the event that it is about, JSON; S3 and Kafka get it too. "" when there is none
  std::string mapping;       ///< the mapping's UUID; "" of an asynchronous invocation
  std::string shard;         ///< "" of an asynchronous invocation
  std::string function;      ///< its name in the configuration
  WallTime at;               ///< the record's `timestamp`
  std::string trace_header;  ///< of the invocation that the record is about, or ""
  MessageDetails details;    ///< of a service's message; what a destination does not have is left out
};

/// Where AWS's records go. Calls come on its executor.
class Destination {
 public:
  virtual ~Destination() = default;
  /// Kept by the destination when it returns. Errors: destination.failed, event.refused, those of the store, tried
  /// again or not as the caller likes; destination.gone and destination.forbidden, which trying again does not mend.
  virtual net::awaitable<Result<void>> deliver(DestinationRecord record) = 0;
  /// Ends what is under way; after it nothing is delivered any more.
  virtual net::awaitable<void> close() = 0;
};

/// What a destination is made with. All references outlive it.
struct DestinationContext {
  net::any_io_executor executor;
  net::any_io_executor blocking;
  AwsAccess aws;  ///< the configuration's `aws` section
  /// Of the source whose mapping delivers there: a Kafka topic is one of the source's own cluster; null else.
  std::shared_ptr<const SourceConfig> source;
  Log& log;
  const Clock& clock;
};

/// One line of the table of destinations (connectors/table.cpp): SCHEME:TARGET in the configuration.
struct DestinationEntry {
  std::string_view scheme;  ///< "sqs"
  std::string_view about;   ///< what TARGET is: "a queue's NAME or URL"
  /// Why TARGET cannot be right; "" when it can. `source_type`: of the mapping, "" of an asynchronous invocation.
  std::string (*check)(std::string_view target, std::string_view source_type);
  Result<std::unique_ptr<Destination>> (*make)(std::string target, DestinationContext context);
};

}  // namespace weir
