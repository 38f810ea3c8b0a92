#include "connectors/destinations/service.h"

#include <algorithm>

namespace weir::destination {

bool is_name(std::string_view name, std::size_t most) {
  return !name.empty() && name.size() <= most && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

Result<std::unique_ptr<aws::Client>> client_for(const std::string& service, const std::string& target,
                                                const std::string& arn_region, const DestinationContext& context) {
  aws::ClientSettings settings;
  settings.name = service + ":" + target;
  settings.service = service;
  settings.arn_region = arn_region;
  settings.access = context.aws;
  auto client = aws::Client::make(context.executor, context.blocking, std::move(settings), context.log, context.clock);
  // What the configuration leaves open is no failure of a function's.
  if (!client) return Error(ErrorCode::kDestinationFailed, client.error().message());
  return client;
}

Error error_of(const aws::ServiceError& error, std::string_view doing) {
  if (error.code == aws::kCancelled) return Error(ErrorCode::kCancelled, "the delivery was called off");
  std::string sentence = error.code;
  if (!error.message.empty()) sentence += (sentence.empty() ? "" : ": ") + error.message;
  if (error.status != 0) sentence += " (status " + std::to_string(error.status) + ")";
  return Error(ErrorCode::kDestinationFailed, std::move(sentence)).during(std::string(doing));
}

}  // namespace weir::destination
