#include "gateway/bridge_functions.h"

#include <utility>

namespace weir::gateway {
namespace {

class BridgeFunctions final : public Functions {
 public:
  explicit BridgeFunctions(bridge::Bridge& bridge) : bridge_(bridge) {}

  bool knows(const std::string& function, const std::string& qualifier) const override {
    return bridge_.knows(function, qualifier);
  }
  bool known_are_all() const override { return bridge_.began(); }
  net::awaitable<Outcome> invoke(Invocation call) override { return bridge_.invoke(std::move(call)); }
  net::awaitable<Result<std::string>> accept(bridge::NewEvent event) override {
    return bridge_.accept(std::move(event));
  }
  net::awaitable<WebhookResponse> webhook(std::string type, std::string source, WebhookRequest request) override {
    return bridge_.webhook(std::move(type), std::move(source), std::move(request));
  }
  net::awaitable<ServiceAnswer> call(const ServiceEntry& service, ServiceCall call) override {
    return bridge_.call(service, std::move(call));
  }

 private:
  bridge::Bridge& bridge_;
};

}  // namespace

std::unique_ptr<Functions> functions_of(bridge::Bridge& bridge) {
  return std::make_unique<BridgeFunctions>(bridge);
}

}  // namespace weir::gateway
