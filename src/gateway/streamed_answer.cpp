#include "gateway/streamed_answer.h"

#include <utility>
#include <variant>

#include "weir/base/bytes.h"
#include "weir/base/json_writer.h"

#include "aws/event_stream.h"

namespace weir::gateway {
namespace {

std::string event(std::string_view type, std::string_view content_type, std::string_view payload) {
  std::string bytes;
  aws::append_stream_message(
      bytes, {{":event-type", type}, {":content-type", content_type}, {":message-type", "event"}}, payload);
  return bytes;
}

std::string payload_chunk(std::string_view payload) {
  return event("PayloadChunk", "application/octet-stream", payload);
}

/// What the error of an outcome is called, and what there is to say of it.
std::pair<std::string, std::string> error_of(const Outcome& outcome) {
  if (const auto* failed = std::get_if<FunctionFailed>(&outcome.what)) {
    // What the runtime said behind its stream is passed on as it is (runtimes-custom); the rest goes by the name that
    // Invoke has for it.
    return {failed->in_stream ? failed->error_type : "Unhandled", failed->payload};
  }
  if (const auto* service = std::get_if<ServiceFailed>(&outcome.what)) return {service->type, service->message};
  if (std::holds_alternative<Cancelled>(outcome.what)) {
    return {"ServiceException", "weir is stopping and called the invocation off"};
  }
  if (const auto* throttled = std::get_if<Throttled>(&outcome.what)) {
    return {"TooManyRequestsException", std::string(text(throttled->reason))};
  }
  return {};
}

std::string invoke_complete(const Outcome& outcome, bool log_tail) {
  std::string json;
  JsonWriter out(json);
  out.begin_object();
  const auto [code, details] = error_of(outcome);
  if (!code.empty()) out.member("ErrorCode", code).member("ErrorDetails", details);
  if (log_tail) {
    std::string tail;
    append_base64(tail, outcome.log_tail);
    out.member("LogResult", tail);
  }
  out.end_object();
  return event("InvokeComplete", "application/json", json);
}

}  // namespace

StreamedAnswer::StreamedAnswer(http::AnswerStream& answer, std::string request_id, std::string trace, std::string date)
    : answer_(answer), request_id_(std::move(request_id)), trace_(std::move(trace)), date_(std::move(date)) {}

void StreamedAnswer::begin(ResponseStart start) {
  http::Response head;
  head.headers.add("Content-Type", "application/vnd.amazon.eventstream");
  head.headers.add("x-amzn-RequestId", start.request_id.empty() ? request_id_ : start.request_id);
  head.headers.add("X-Amz-Executed-Version", start.executed_version);
  head.headers.add("X-Amzn-Trace-Id", trace_);
  head.headers.add("Date", date_);
  answer_.begin(std::move(head));
}

net::awaitable<void> StreamedAnswer::pass_on(std::shared_ptr<ResponsePipe> pipe) {
  std::optional<ResponseStart> start = co_await pipe->started();
  if (!start) co_return;
  begin(std::move(*start));
  for (;;) {
    const std::string bytes = co_await pipe->read();
    if (bytes.empty()) co_return;
    const std::string chunk = payload_chunk(bytes);
    const bool taken = co_await answer_.write(chunk);
    if (!taken) {
      pipe->abandon();
      co_return;
    }
  }
}

net::awaitable<void> StreamedAnswer::end(Outcome outcome, bool log_tail) {
  if (!answer_.begun()) {
    ResponseStart start;
    start.executed_version = outcome.executed_version;
    start.request_id = outcome.request_id;
    begin(std::move(start));
  }
  std::string last;
  const auto* succeeded = std::get_if<Succeeded>(&outcome.what);
  if (succeeded != nullptr && !succeeded->payload.empty()) last = payload_chunk(succeeded->payload);
  last += invoke_complete(outcome, log_tail);
  const bool taken = co_await answer_.write(last);
  if (taken) co_await answer_.end();
}

}  // namespace weir::gateway
