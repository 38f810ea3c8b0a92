#pragma once

#include <memory>
#include <string>

#include <boost/asio/awaitable.hpp>

#include "weir/event/invocation.h"

#include "gateway/response_pipe.h"
#include "http/streaming.h"

namespace weir::gateway {

/// The answer of InvokeWithResponseStream: AWS's event stream, a PayloadChunk for whatever comes and an InvokeComplete
/// at the end (the model of Lambda's API: InvokeWithResponseStreamResponseEvent).
class StreamedAnswer {
 public:
  /// `answer` outlives it.
  StreamedAnswer(http::AnswerStream& answer, std::string request_id, std::string trace, std::string date);

  /// Sends what the function streams as it comes, until there is no more. A caller that goes away ends no invocation:
  /// the rest is dropped.
  net::awaitable<void> pass_on(std::shared_ptr<ResponsePipe> pipe);

  /// Sends the end of the stream, and before it what the function answered in one piece. Behind pass_on().
  net::awaitable<void> end(Outcome outcome, bool log_tail);

 private:
  void begin(ResponseStart start);

  http::AnswerStream& answer_;
  std::string request_id_;
  std::string trace_;
  std::string date_;
};

}  // namespace weir::gateway
