#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "weir/base/log.h"
#include "weir/base/random.h"
#include "weir/lambda_endpoint.h"

#include "config/function_plan.h"
#include "engine/concurrency_ledger.h"
#include "engine/invocation_meter.h"

namespace weir::bridge {

/// The one way to a function, whatever its endpoint: where the call goes by its qualifier, a permit of the ledger, the
/// call, the figures. Functions come, change and go while calls run. Lives on one thread.
class Invoker {
 public:
  /// `account`: the account's concurrency. `clock` outlives the invoker. `seed`: of the choice between the two versions
  /// of a weighted alias.
  Invoker(int account, const Clock& clock, std::uint64_t seed) : clock_(clock), ledger_(account), random_(seed) {}

  /// What takes an endpoint that gets no calls any more and runs none, and closes it.
  using Retire = std::function<void(std::unique_ptr<LambdaEndpoint>)>;
  /// Before anything is put.
  void set_retire(Retire retire) { retire_ = std::move(retire); }

  /// A function with one endpoint and no versions of its own; one that is there is changed, as put() does it.
  /// `endpoint`: null when it could not be made, why: `trouble`. `arn`: of a function of real Lambda, with the
  /// qualifier that it has in the configuration; "" for one in weir's own region and account. Refused when the
  /// reservation leaves too little to the others.
  Result<void> put(const std::string& function, std::unique_ptr<LambdaEndpoint> endpoint, std::optional<int> reserved,
                   std::string arn = "", std::string trouble = "");
  /// The same with an endpoint that outlives the invoker's calls, and is closed by its owner.
  Result<void> add(const std::string& function, LambdaEndpoint& endpoint, std::optional<int> reserved,
                   std::string arn = "");

  /// Makes the endpoint of a version.
  using MakeVersion = std::function<Result<std::unique_ptr<LambdaEndpoint>>(const std::string& version,
                                                                            const config::CommandFunction& settings)>;
  /// Why the plan's reservation and provisioned environments cannot be, in AWS's words.
  Result<void> check(const config::FunctionPlan& plan) const;
  /// A function that weir runs itself is so from now on. A version with other settings than before gets an endpoint of
  /// its own at once; the former one ends what it runs and is retired. The first error says why an endpoint could not
  /// be made, or the reservation not be granted: calls of that version fail with it until the next put(), the rest of
  /// the plan holds.
  Result<void> put(const config::FunctionPlan& plan, const MakeVersion& make);
  /// How far the environments that are kept ready for a version or alias are; nothing when there are to be none.
  std::optional<config::ProvisionedState> provisioned(const std::string& function, const std::string& qualifier) const;
  /// Replaces the endpoint of $LATEST by one of the same settings: its code is another.
  Result<void> renew(const std::string& function, const MakeVersion& make);
  /// The function is no more: what runs ends.
  void remove(const std::string& function);
  /// Closes every endpoint that it owns. Nothing is put after it.
  net::awaitable<void> close();

  bool knows(const std::string& function) const { return functions_.contains(function); }
  /// Whether there is such a version or alias, as far as weir can know: of a function that runs elsewhere every one may
  /// be there.
  bool knows(const std::string& function, const std::string& qualifier) const;
  /// Their names, in order.
  std::vector<std::string> functions() const;
  /// Whether versions and aliases of the function are weir's; it need not be there.
  bool runs(const std::string& function) const;
  /// How long an invocation may take, where weir decides it; of a weighted alias, one of its main version.
  std::optional<Duration> timeout(const std::string& function, const std::string& qualifier = "") const;
  /// The function whose ARN in the configuration is this one; "" when there is none.
  std::string with_arn(std::string_view arn) const;

  /// Never throws but for a broken belief; a function, version or alias that is not known is a ServiceFailed with
  /// status 404.
  net::awaitable<Outcome> invoke(Invocation call, Instant deadline, engine::CallKind kind);

  /// The function's unqualified ARN; also of one that is not known.
  std::string arn(const std::string& function) const;
  /// The same with the qualifier that the configuration gives, if it gives one.
  std::string configured_arn(const std::string& function) const;
  /// The same with the qualifier of a call: "" is the one of the configuration, or $LATEST.
  std::string qualified_arn(const std::string& function, const std::string& qualifier) const;

  void set_account(int account) { ledger_.set_account(account); }
  const engine::ConcurrencyLedger& ledger() const { return ledger_; }
  /// With what its environments have told since.
  const engine::InvocationMeter& meter(const std::string& function) const;
  const engine::ResourceMeter& resources(const std::string& function) const {
    return functions_.at(function)->resources;
  }

 private:
  /// What runs a version, or the whole of a function that has none here. Shared with the calls that it runs, which
  /// outlive its place in the table.
  struct Runner {
    std::unique_ptr<LambdaEndpoint> owned;
    LambdaEndpoint* endpoint = nullptr;
    std::string trouble;  ///< why there is no endpoint
    config::CommandFunction settings;
    int calls = 0;
    bool retired = false;
    bool replaces = false;  ///< it took another one's place, and has not been started since
  };
  struct Function {
    std::string arn;                                          ///< unqualified
    std::string qualifier;                                    ///< of a call without one
    bool has_qualifier = false;                               ///< it is the configuration's
    bool own = false;                                         ///< weir runs it: it has versions and aliases
    std::map<std::string, std::shared_ptr<Runner>> versions;  ///< of one that weir does not run: the only one, by ""
    std::map<std::string, config::AliasRoute> aliases;
    std::map<std::string, int> provisioned;  ///< by version or alias
    std::string refusal;                     ///< why the ledger does not grant them
    engine::InvocationMeter meter;
    engine::ResourceMeter resources;
  };
  class Use;

  Function& function(const std::string& name);
  Function& elsewhere(const std::string& name, std::string arn);
  Result<void> install(Function& function, const std::string& version, const config::CommandFunction& settings,
                       const MakeVersion& make);
  void retire(const std::shared_ptr<Runner>& runner);
  static void take_cold_starts(Function& function, Runner& runner);
  std::string version_of(const Function& function, const std::string& qualifier);

  const Clock& clock_;
  engine::ConcurrencyLedger ledger_;
  Random random_;
  Retire retire_;
  std::map<std::string, std::shared_ptr<Function>> functions_;  ///< shared with the calls under way
  std::set<std::shared_ptr<Runner>> retiring_;                  ///< those that still run calls
};

/// "arn:aws:lambda:us-east-1:000000000000:function:NAME": weir's own functions live in this region and account.
std::string function_arn(std::string_view function);

}  // namespace weir::bridge
