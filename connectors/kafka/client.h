#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "weir/base/error.h"

#include "connectors/kafka/config.h"

struct rd_kafka_s;

namespace weir::kafka {

/// Whether librdkafka takes a property with this value; says what is wrong, without the value.
std::optional<std::string> property_mistake(const std::string& property, const std::string& value);

/// A consumer or producer of librdkafka, made with a source's settings and not yet reading or writing anything. A
/// consumer is shared by the source and by the batches it gave out: their bytes live in its messages, which must go
/// before it does.
class Client {
 public:
  /// Connects in the background. The errors are those of the settings: a file that cannot be read, a mechanism this
  /// librdkafka was built without.
  static Result<std::shared_ptr<Client>> make(const KafkaConfig& config);
  /// The same for a producer, whose delivery reports and log lines are events of its main queue. A message that is not
  /// taken within `patience` has failed.
  static Result<std::shared_ptr<Client>> make_producer(const KafkaConfig& config, Duration patience);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  rd_kafka_s* get() const { return handle_; }

  /// A problem of one partition that came while its queue was read.
  struct Problem {
    int code = 0;  ///< an rd_kafka_resp_err_t
    std::string sentence;
  };
  /// Those since the last call. Only who reads queues may ask, in the same thread.
  std::vector<Problem> take_problems() { return std::exchange(problems_, {}); }

 private:
  Client() = default;
  rd_kafka_s* handle_ = nullptr;
  std::vector<Problem> problems_;
};

/// Which of weir's errors one of librdkafka is (an rd_kafka_resp_err_t).
ErrorCode code_of(int problem);

/// The error for what librdkafka says of a connection, its sentence without the time and state in which it happened:
/// these differ at each try.
Error connection_error(int problem, std::string_view sentence);

}  // namespace weir::kafka
