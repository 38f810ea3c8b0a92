#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weir/service.h"

#include "connectors/eventbridge/event.h"
#include "connectors/eventbridge/model.h"
#include "service/answers.h"

namespace weir::eventbridge {

/// What a call comes to: its answer, and what has to be remembered before it is given.
struct Reply {
  Reply() = default;
  explicit Reply(service::ApiError refused) : error(std::move(refused)) {}

  std::optional<service::ApiError> error;
  std::string body = "{}";
  std::vector<SourceNote> notes;
};

/// Answers calls of EventBridge's API but PutEvents, from a model that it does not change. Pure.
/// Source of texts: recordings of AWS (reference push-sources.md 4, patterns.md (a)); where none is known they are
/// ours.
class Api {
 public:
  Api(const Model& model, const ServiceHost& host, WallTime now) : model_(model), host_(host), now_(now) {}

  /// Nothing when there is no such operation.
  std::optional<Reply> handle(std::string_view operation, std::string_view body) const;

 private:
  const Model& model_;
  const ServiceHost& host_;
  WallTime now_;
};

/// The entries of a PutEvents. Error: what the whole call is refused with.
struct PutRequest {
  std::optional<service::ApiError> error;
  std::vector<PutEntry> entries;
};
PutRequest read_put_events(std::string_view body);

service::ApiError unknown_operation();

}  // namespace weir::eventbridge
