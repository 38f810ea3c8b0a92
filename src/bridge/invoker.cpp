#include "bridge/invoker.h"

#include <algorithm>
#include <utility>

namespace weir::bridge {
namespace {

constexpr const char* kLatest = "$LATEST";

/// A permit goes back however the call ends.
class Permit {
 public:
  /// `version`: of a permit for what is provisioned for it; "" of any other.
  Permit(engine::ConcurrencyLedger& ledger, std::string function, std::string version)
      : ledger_(ledger), function_(std::move(function)), version_(std::move(version)) {}
  ~Permit() {
    if (version_.empty()) {
      ledger_.release(function_);
    } else {
      ledger_.release_provisioned(function_, version_);
    }
  }
  Permit(const Permit&) = delete;
  Permit& operator=(const Permit&) = delete;

 private:
  engine::ConcurrencyLedger& ledger_;
  std::string function_;
  std::string version_;
};

/// A call that was let in, and its end, by what it named.
class Counted {
 public:
  /// `meter` outlives it.
  Counted(engine::ResourceMeter& meter, std::string qualifier) : meter_(meter), qualifier_(std::move(qualifier)) {
    meter_.on_begin(qualifier_);
  }
  ~Counted() {
    if (!ended_) meter_.on_end(qualifier_, Outcome(ServiceFailed()));
  }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  void end(const Outcome& outcome) {
    ended_ = true;
    meter_.on_end(qualifier_, outcome);
  }

 private:
  engine::ResourceMeter& meter_;
  std::string qualifier_;
  bool ended_ = false;
};

/// How many environments are kept ready for each version. An alias that has some leads to one version.
std::map<std::string, int> by_version(const config::FunctionPlan& plan) {
  std::map<std::string, int> versions;
  for (const auto& [qualifier, environments] : plan.provisioned) {
    const auto alias = plan.aliases.find(qualifier);
    versions[alias == plan.aliases.end() ? qualifier : alias->second.version] += environments;
  }
  return versions;
}

/// Once a reservation that shrinks must not come before what was provisioned of it, once one that grows not after.
Result<void> claim(engine::ConcurrencyLedger& ledger, const config::FunctionPlan& plan) {
  const auto use = ledger.functions().find(plan.name);
  const std::map<std::string, int> versions = by_version(plan);
  int total = 0;
  for (const auto& [version, environments] : versions) total += environments;
  if (use != ledger.functions().end() && total < use->second.provisioned_total) {
    if (auto done = ledger.provision(plan.name, versions); !done) return done;
  }
  if (auto done = ledger.reserve(plan.name, plan.reserved_concurrent_executions); !done) return done;
  return ledger.provision(plan.name, versions);
}

}  // namespace

/// A call that an endpoint runs: it is not retired under it.
class Invoker::Use {
 public:
  Use(Invoker& invoker, std::shared_ptr<Runner> runner) : invoker_(invoker), runner_(std::move(runner)) {
    ++runner_->calls;
  }
  ~Use() {
    --runner_->calls;
    if (runner_->retired) invoker_.retire(runner_);
  }
  Use(const Use&) = delete;
  Use& operator=(const Use&) = delete;

 private:
  Invoker& invoker_;
  std::shared_ptr<Runner> runner_;
};

std::string function_arn(std::string_view function) {
  return "arn:aws:lambda:us-east-1:000000000000:function:" + std::string(function);
}

// ---- What there is ----

Invoker::Function& Invoker::function(const std::string& name) {
  std::shared_ptr<Function>& found = functions_[name];
  if (!found) found = std::make_shared<Function>();
  return *found;
}

/// A function with one endpoint, of which nothing is left of an earlier one.
Invoker::Function& Invoker::elsewhere(const std::string& name, std::string arn) {
  Function& added = function(name);
  for (const auto& [version, runner] : added.versions) retire(runner);
  added.versions.clear();
  added.aliases.clear();
  added.provisioned.clear();
  added.own = false;
  added.arn = arn.empty() ? function_arn(name) : std::move(arn);
  added.qualifier = kLatest;
  added.has_qualifier = false;
  // arn:PARTITION:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER]
  std::size_t end = 0;
  for (int colons = 0; end < added.arn.size(); ++end) {
    if (added.arn[end] == ':' && ++colons == 7) break;
  }
  if (end < added.arn.size()) {
    added.qualifier = added.arn.substr(end + 1);
    added.has_qualifier = true;
    added.arn.resize(end);
  }
  return added;
}

Result<void> Invoker::put(const std::string& function, std::unique_ptr<LambdaEndpoint> endpoint,
                          std::optional<int> reserved, std::string arn, std::string trouble) {
  if (auto done = ledger_.reserve(function, reserved); !done) return done;
  auto runner = std::make_shared<Runner>();
  runner->endpoint = endpoint.get();
  runner->owned = std::move(endpoint);
  runner->trouble = std::move(trouble);
  elsewhere(function, std::move(arn)).versions.emplace("", std::move(runner));
  return {};
}

Result<void> Invoker::add(const std::string& function, LambdaEndpoint& endpoint, std::optional<int> reserved,
                          std::string arn) {
  if (auto done = ledger_.reserve(function, reserved); !done) return done;
  auto runner = std::make_shared<Runner>();
  runner->endpoint = &endpoint;
  elsewhere(function, std::move(arn)).versions.emplace("", std::move(runner));
  return {};
}

Result<void> Invoker::install(Function& function, const std::string& version, const config::CommandFunction& settings,
                              const MakeVersion& make) {
  auto runner = std::make_shared<Runner>();
  runner->settings = settings;
  Result<void> done;
  auto made = make(version, settings);
  if (made) {
    runner->owned = std::move(*made);
    runner->endpoint = runner->owned.get();
  } else {
    runner->trouble = made.error().describe();
    done = std::move(made.error());
  }
  std::shared_ptr<Runner>& place = function.versions[version];
  runner->replaces = place != nullptr;
  if (place) retire(place);
  place = std::move(runner);
  return done;
}

Result<void> Invoker::check(const config::FunctionPlan& plan) const {
  engine::ConcurrencyLedger ledger = ledger_;
  return claim(ledger, plan);
}

Result<void> Invoker::put(const config::FunctionPlan& plan, const MakeVersion& make) {
  const Result<void> claimed = claim(ledger_, plan);
  Result<void> done = claimed;
  Function& changed = function(plan.name);
  if (!changed.own) {
    elsewhere(plan.name, "");
    changed.own = true;
  }
  changed.aliases = plan.aliases;
  for (auto each = changed.versions.begin(); each != changed.versions.end();) {
    if (plan.versions.contains(each->first)) {
      ++each;
    } else {
      retire(each->second);
      each = changed.versions.erase(each);
    }
  }
  for (const auto& [version, settings] : plan.versions) {
    const auto there = changed.versions.find(version);
    if (there != changed.versions.end() && there->second->endpoint != nullptr && there->second->settings == settings) {
      continue;
    }
    auto installed = install(changed, version, settings, make);
    if (!installed && done) done = std::move(installed);
  }
  changed.provisioned = plan.provisioned;
  changed.refusal = claimed ? "" : claimed.error().message();
  const auto use = ledger_.functions().find(plan.name);
  for (const auto& [version, runner] : changed.versions) {
    if (runner->endpoint == nullptr) continue;
    const auto granted = use->second.provisioned.find(version);
    runner->endpoint->provision(granted == use->second.provisioned.end() ? 0 : granted->second.configured);
  }
  return done;
}

std::optional<config::ProvisionedState> Invoker::provisioned(const std::string& function,
                                                             const std::string& qualifier) const {
  const auto found = functions_.find(function);
  if (found == functions_.end()) return std::nullopt;
  const auto asked = found->second->provisioned.find(qualifier);
  if (asked == found->second->provisioned.end()) return std::nullopt;
  config::ProvisionedState state;
  state.requested = asked->second;
  state.reason = found->second->refusal;
  const auto alias = found->second->aliases.find(qualifier);
  const auto runner =
      found->second->versions.find(alias == found->second->aliases.end() ? qualifier : alias->second.version);
  if (!state.reason.empty() || runner == found->second->versions.end()) return state;
  if (runner->second->endpoint == nullptr) {
    state.reason = runner->second->trouble;
    return state;
  }
  const ProvisionedEnvironments there = runner->second->endpoint->provisioned();
  state.allocated = std::min(there.allocated, state.requested);
  state.available = std::min(there.available, state.requested);
  // Lambda's word for it.
  if (there.failing) state.reason = "FUNCTION_ERROR_INIT_FAILURE";
  return state;
}

Result<void> Invoker::renew(const std::string& function, const MakeVersion& make) {
  const auto found = functions_.find(function);
  if (found == functions_.end() || !found->second->own) return {};
  const auto latest = found->second->versions.find(kLatest);
  if (latest == found->second->versions.end()) return {};
  const config::CommandFunction settings = latest->second->settings;
  return install(*found->second, kLatest, settings, make);
}

void Invoker::remove(const std::string& function) {
  const auto found = functions_.find(function);
  if (found == functions_.end()) return;
  for (const auto& [version, runner] : found->second->versions) retire(runner);
  functions_.erase(found);
  ledger_.forget(function);
}

/// Nothing is called there any more; once nothing runs, it is closed.
void Invoker::retire(const std::shared_ptr<Runner>& runner) {
  runner->retired = true;
  if (!runner->owned) return;
  if (runner->calls > 0) {
    retiring_.insert(runner);
    return;
  }
  retiring_.erase(runner);
  if (retire_) retire_(std::move(runner->owned));
}

net::awaitable<void> Invoker::close() {
  std::vector<std::shared_ptr<Runner>> all(retiring_.begin(), retiring_.end());
  retiring_.clear();
  for (const auto& [name, function] : functions_) {
    for (const auto& [version, runner] : function->versions) all.push_back(runner);
  }
  for (const std::shared_ptr<Runner>& runner : all) {
    runner->retired = false;  // closed here, not when its last call ends
    if (runner->owned) co_await runner->owned->close();
  }
}

bool Invoker::knows(const std::string& function, const std::string& qualifier) const {
  const auto found = functions_.find(function);
  if (found == functions_.end()) return false;
  // What versions and aliases a function has that weir does not run itself is its server's business.
  if (!found->second->own || qualifier.empty()) return true;
  return found->second->versions.contains(qualifier) || found->second->aliases.contains(qualifier);
}

std::vector<std::string> Invoker::functions() const {
  std::vector<std::string> names;
  for (const auto& [name, function] : functions_) names.push_back(name);
  return names;
}

bool Invoker::runs(const std::string& function) const {
  const auto found = functions_.find(function);
  return found == functions_.end() || found->second->own;
}

std::optional<Duration> Invoker::timeout(const std::string& function, const std::string& qualifier) const {
  const auto found = functions_.find(function);
  if (found == functions_.end() || !found->second->own) return std::nullopt;
  const auto alias = found->second->aliases.find(qualifier);
  const std::string name = alias != found->second->aliases.end() ? alias->second.version : qualifier;
  const auto version = found->second->versions.find(name.empty() ? kLatest : name);
  if (version == found->second->versions.end()) return std::nullopt;
  return version->second->settings.timeout;
}

std::string Invoker::with_arn(std::string_view arn) const {
  for (const auto& [name, function] : functions_) {
    if (function->own) continue;
    if ((function->has_qualifier ? function->arn + ":" + function->qualifier : function->arn) == arn) return name;
  }
  return "";
}

std::string Invoker::arn(const std::string& function) const {
  const auto found = functions_.find(function);
  return found == functions_.end() ? function_arn(function) : found->second->arn;
}

std::string Invoker::configured_arn(const std::string& function) const {
  const auto found = functions_.find(function);
  return found != functions_.end() && found->second->has_qualifier ? qualified_arn(function, "") : arn(function);
}

std::string Invoker::qualified_arn(const std::string& function, const std::string& qualifier) const {
  const auto found = functions_.find(function);
  const std::string otherwise = found == functions_.end() ? kLatest : found->second->qualifier;
  return arn(function) + ":" + (qualifier.empty() ? otherwise : qualifier);
}

// ---- Calls ----

/// The version that a call goes to; an alias with two decides anew at each call. What is neither is not there.
/// Source: configuring-alias-routing.
std::string Invoker::version_of(const Function& function, const std::string& qualifier) {
  if (!function.own) return "";
  if (qualifier.empty()) return kLatest;
  const auto alias = function.aliases.find(qualifier);
  if (alias == function.aliases.end()) return qualifier;
  const config::AliasRoute& route = alias->second;
  return !route.other.empty() && random_.chance(route.weight) ? route.other : route.version;
}

void Invoker::take_cold_starts(Function& function, Runner& runner) {
  if (runner.endpoint == nullptr) return;
  for (ColdStart& start : runner.endpoint->take_cold_starts()) {
    if (start.reason == StartReason::kFirst && std::exchange(runner.replaces, false)) {
      start.reason = StartReason::kAfterUpdate;
    }
    function.meter.on_cold_start(start);
  }
}

const engine::InvocationMeter& Invoker::meter(const std::string& function) const {
  Function& asked = *functions_.at(function);
  // Those that are kept ready start without a call.
  for (const auto& [version, runner] : asked.versions) take_cold_starts(asked, *runner);
  return asked.meter;
}

net::awaitable<Outcome> Invoker::invoke(Invocation call, Instant deadline, engine::CallKind kind) {
  const auto found = functions_.find(call.function);
  const std::shared_ptr<Function> function = found == functions_.end() ? nullptr : found->second;
  std::shared_ptr<Runner> runner;
  std::string version;
  if (function) {
    version = version_of(*function, call.qualifier);
    const auto place = function->versions.find(version);
    if (place != function->versions.end()) runner = place->second;
  }
  if (!runner) {
    co_return Outcome(ServiceFailed{404, "Function not found: " + qualified_arn(call.function, call.qualifier),
                                    "ResourceNotFoundException"});
  }
  const Instant now = clock_.now().instant;
  if (!function->provisioned.empty() && runner->endpoint != nullptr) {
    const int available = runner->endpoint->provisioned().available;
    call.provisioned = ledger_.acquire_provisioned(now, call.function, version, available, kind);
  }
  if (!call.provisioned) {
    const auto refused = ledger_.acquire(now, call.function, kind);
    if (refused) {
      function->resources.on_throttle(call.qualifier);
      co_return Outcome(Throttled{*refused});
    }
    if (!function->provisioned.empty()) ledger_.on_spillover(call.function, version);
  }
  const Permit permit(ledger_, call.function, call.provisioned ? version : "");
  if (runner->endpoint == nullptr) co_return Outcome(ServiceFailed{500, runner->trouble});
  const Use use(*this, runner);
  Counted counted(function->resources, call.qualifier);
  Outcome outcome = co_await runner->endpoint->invoke(std::move(call), deadline);
  take_cold_starts(*function, *runner);
  if (function->own) outcome.executed_version = std::move(version);
  function->meter.on_outcome(outcome);
  counted.end(outcome);
  co_return outcome;
}

}  // namespace weir::bridge
