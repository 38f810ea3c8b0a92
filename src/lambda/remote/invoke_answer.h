#pragma once

#include <string>

#include "weir/base/error.h"
#include "weir/event/invocation.h"

#include "http/message.h"

namespace weir::remote {

/// Who answers. What RIE does otherwise than Lambda is understood of a compatible server only: real Lambda's answer
/// never has to be guessed at.
enum class Dialect { kLambda, kCompatible };

/// What an answer is read with.
struct AnswerContext {
  std::string url;         ///< as a person may see it (http::without_secrets), for sentences
  std::string request_id;  ///< the invocation's, for the error documents that are made here
  Dialect dialect = Dialect::kCompatible;
};

/// What an HTTP answer to Invoke (RequestResponse) means. Pure. Never Cancelled.
/// Source: Lambda's Invoke API; for RIE its handlers.go (docs/endpoints.md, "What RIE does otherwise").
Outcome read_invoke_answer(http::Response response, const AnswerContext& context);

/// The outcome of an answer that was larger than the client takes.
FunctionFailed response_too_large();

}  // namespace weir::remote
