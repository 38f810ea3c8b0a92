#include "lambda/remote/exchange_failure.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string_view>
#include <utility>

#include "lambda/remote/invoke_answer.h"

namespace weir::remote {
namespace {

constexpr std::array<std::pair<std::string_view, ExchangeFailure>, 20> kWords{{
    {"Failed to connect to ", ExchangeFailure::kUnreachable},
    {"Couldn't connect to server", ExchangeFailure::kUnreachable},
    {"Could not connect to server", ExchangeFailure::kUnreachable},
    {"Could not resolve host", ExchangeFailure::kUnreachable},
    {"Resolving timed out", ExchangeFailure::kUnreachable},
    {"Connection timed out after ", ExchangeFailure::kUnreachable},
    {"the answer, of status 200, is larger than ", ExchangeFailure::kTooLarge},
    {"the answer, of status ", ExchangeFailure::kErrorTooLarge},
    {"Operation timed out after ", ExchangeFailure::kTimedOut},
    {"Timeout was reached", ExchangeFailure::kTimedOut},
    {"transfer closed with ", ExchangeFailure::kCutOff},
    {"the connection ended within the answer", ExchangeFailure::kCutOff},
    {"the connection ended before an answer began", ExchangeFailure::kCutOff},
    {"Empty reply from server", ExchangeFailure::kCutOff},
    {"Recv failure", ExchangeFailure::kCutOff},
    {"Send failure", ExchangeFailure::kCutOff},
    {"the answer is no HTTP", ExchangeFailure::kNotHttp},
    {"Received HTTP/0.9 when not allowed", ExchangeFailure::kNotHttp},
    {"Unsupported HTTP version", ExchangeFailure::kNotHttp},
    {"Weird server reply", ExchangeFailure::kNotHttp},
}};

}  // namespace

ExchangeFailure kind_of(const Error& error) {
  const auto found = std::find_if(kWords.begin(), kWords.end(), [&](const auto& entry) {
    return error.message().find(entry.first) != std::string::npos;
  });
  return found == kWords.end() ? ExchangeFailure::kOther : found->second;
}

std::string in_seconds(Duration duration) {
  char text[48];
  std::snprintf(text, sizeof(text), "%g s", as_seconds(duration));
  return text;
}

Outcome no_answer(const Error& error, const std::string& url, Duration waited) {
  if (error.code() == ErrorCode::kCancelled) return Outcome(Cancelled{});
  const std::string why = " (" + error.message() + ")";
  ServiceFailed failed;
  failed.status = 502;
  switch (kind_of(error)) {
    case ExchangeFailure::kTooLarge:
      return Outcome(response_too_large());
    case ExchangeFailure::kErrorTooLarge:
      failed.message = url + " answered more than a failure of Lambda's has to say" + why;
      break;
    case ExchangeFailure::kUnreachable:
      failed.status = 503;
      failed.message = url + " cannot be reached" + why;
      break;
    case ExchangeFailure::kTimedOut:
      failed.status = 504;
      failed.message = url + " took the call and did not answer within " + in_seconds(waited);
      break;
    case ExchangeFailure::kCutOff:
      failed.message = url + " closed the connection before its answer was whole" + why;
      break;
    case ExchangeFailure::kNotHttp:
      failed.message = url + " does not speak HTTP" + why;
      break;
    case ExchangeFailure::kOther:
      failed.message = url + " could not be asked" + why;
      break;
  }
  return Outcome(std::move(failed));
}

}  // namespace weir::remote
