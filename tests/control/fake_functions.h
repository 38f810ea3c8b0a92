#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/function_plan.h"

namespace weir::test {

/// The bridge as the Lambda API sees it: `fixed` is a function of the configuration.
class FakeFunctionHost final : public config::FunctionHost {
 public:
  FakeFunctionHost() {
    config::FunctionConfig fixed;
    fixed.name = "fixed";
    config::CommandFunction command;
    command.command = {"/bin/true"};
    command.directory = "/srv/fixed";
    command.handler = "app.handler";
    command.memory_size = 256;
    fixed.target = std::move(command);
    fixed.reserved_concurrent_executions = 7;
    fixed.async.on_failure = "file:/srv/lost";
    configured_.emplace("fixed", std::move(fixed));
  }

  /// The code of a function of the configuration.
  std::string give_folder(const std::string& name, const std::string& folder) {
    std::get<config::CommandFunction>(configured_.at(name).target).directory = folder;
    return folder;
  }
  /// From now on no plan can be.
  void refuse(const std::string& sentence) { refusal_ = sentence; }
  void allow() { refusal_.reset(); }
  void ready(int allocated, int available, const std::string& reason = "") {
    state_ = {0, allocated, available, reason};
  }

  const std::map<std::string, config::FunctionConfig>& configured() const override { return configured_; }
  Result<void> check(const config::FunctionPlan& plan) const override {
    checked = plan;
    if (refusal_) return Error(ErrorCode::kConfigInvalid, *refusal_);
    return {};
  }
  void put(config::FunctionPlan plan) override { plans[plan.name] = std::move(plan); }
  void extend(config::FunctionPlan plan) override { extended[plan.name] = std::move(plan); }
  void remove(const std::string& name) override {
    plans.erase(name);
    removed.push_back(name);
  }
  std::optional<config::ProvisionedState> provisioned(const std::string&, const std::string&) const override {
    return state_;
  }
  int unreserved() const override { return 993; }
  int account() const override { return 1000; }

  std::map<std::string, config::FunctionPlan> plans;
  std::map<std::string, config::FunctionPlan> extended;
  std::vector<std::string> removed;
  mutable config::FunctionPlan checked;

 private:
  std::map<std::string, config::FunctionConfig> configured_;
  std::optional<std::string> refusal_;
  std::optional<config::ProvisionedState> state_;
};

}  // namespace weir::test
