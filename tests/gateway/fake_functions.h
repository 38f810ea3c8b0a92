#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gateway/gateway.h"

namespace weir::test {

/// The functions behind a gateway: `hello` with the alias `live` and version 7, and what else add() names.
class FakeFunctions : public gateway::Functions {
 public:
  void add(const std::string& function) { known_[function] = {"", "$LATEST"}; }
  void answer_next(Outcome outcome) { outcomes_.push_back(std::move(outcome)); }
  void refuse_next(Error error) { refusal_ = std::move(error); }
  /// The next call ends in an exception: a bug.
  void throw_next(const std::string& what) { thrown_ = what; }

  bool knows(const std::string& function, const std::string& qualifier) const override {
    const auto found = known_.find(function);
    return found != known_.end() && found->second.contains(qualifier);
  }

  bool known_are_all() const override { return !starting; }
  bool starting = false;

  net::awaitable<Outcome> invoke(Invocation call) override {
    calls.push_back(std::move(call));
    if (thrown_) throw std::runtime_error(*std::exchange(thrown_, std::nullopt));
    if (outcomes_.empty()) co_return Outcome(Succeeded{"null"});
    Outcome outcome = std::move(outcomes_.front());
    outcomes_.pop_front();
    co_return outcome;
  }

  net::awaitable<Result<std::string>> accept(bridge::NewEvent event) override {
    if (refusal_) co_return *std::exchange(refusal_, std::nullopt);
    events.push_back(std::move(event));
    co_return events.back().request_id;
  }

  net::awaitable<WebhookResponse> webhook(std::string type, std::string source, WebhookRequest request) override {
    webhooks.emplace_back(type, source);
    last_webhook = std::move(request);
    if (source != "uploads") co_return WebhookResponse(404, "{}");
    co_return WebhookResponse(200, "{\"ok\":true}");
  }
  net::awaitable<ServiceAnswer> call(const ServiceEntry& service, ServiceCall call) override {
    service_calls.emplace_back(service.name, std::move(call));
    ServiceAnswer answer(201, "application/x-amz-json-1.1", "{\"answered\":true}");
    answer.headers.emplace_back("x-amzn-ErrorType", "None");
    co_return answer;
  }

  std::vector<std::pair<std::string, ServiceCall>> service_calls;
  std::vector<Invocation> calls;
  std::vector<bridge::NewEvent> events;
  std::vector<std::pair<std::string, std::string>> webhooks;
  WebhookRequest last_webhook;

 private:
  std::map<std::string, std::set<std::string>> known_{{"hello", {"", "$LATEST", "live", "7"}}};
  std::deque<Outcome> outcomes_;
  std::optional<Error> refusal_;
  std::optional<std::string> thrown_;
};

}  // namespace weir::test
