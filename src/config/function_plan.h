#pragma once

#include <map>
#include <optional>
#include <string>

#include "weir/base/error.h"

#include "config/config.h"

namespace weir::config {

/// Where an alias leads.
struct AliasRoute {
  std::string version;  ///< "$LATEST" or a number
  std::string other;    ///< a second version, or ""
  double weight = 0;    ///< the part of the calls that go to `other`, 0 to 1

  bool operator==(const AliasRoute&) const = default;
};

/// One function that weir runs itself, as it is to be from now on: what the configuration says of it, and what the
/// Lambda API has made of it.
struct FunctionPlan {
  std::string name;
  std::map<std::string, CommandFunction> versions;  ///< by "$LATEST" and the numbers of those that are published
  std::map<std::string, AliasRoute> aliases;
  std::optional<int> reserved_concurrent_executions;
  std::map<std::string, int> provisioned;    ///< environments that are kept ready, by alias or version
  std::map<std::string, AsyncConfig> async;  ///< by qualifier; "$LATEST" is that of the function itself
};

/// How far the environments of a provisioned alias or version are.
struct ProvisionedState {
  int requested = 0;
  int allocated = 0;   ///< started
  int available = 0;   ///< initialized
  std::string reason;  ///< why no more of them start; "" when nothing hinders them
};

/// What the Lambda API asks of the bridge. Calls come on the executor and are cheap.
class FunctionHost {
 public:
  virtual ~FunctionHost() = default;

  /// The functions of the configuration file, which are not the API's to change.
  virtual const std::map<std::string, FunctionConfig>& configured() const = 0;
  /// Why a plan cannot be, in AWS's words where they are known: reservations that leave too little to the others,
  /// provisioned environments beyond them. Whatever else is wrong with a plan was its maker's to find.
  virtual Result<void> check(const FunctionPlan& plan) const = 0;
  /// Makes the function so, or changes it. A version whose settings are equal keeps its environments; those of one that
  /// changed, or that is gone, end what they are doing and are taken down. Events that wait are attempted at what is
  /// there when their time comes.
  virtual void put(FunctionPlan plan) = 0;
  /// What the Lambda API has added to a function of the configuration: published versions, aliases and what belongs to
  /// them; $LATEST and the reservation are the configuration's. It is remembered while the configuration has no such
  /// function.
  virtual void extend(FunctionPlan plan) = 0;
  /// The function is no more: its calls end, its waiting events find that it is gone.
  virtual void remove(const std::string& name) = 0;
  virtual std::optional<ProvisionedState> provisioned(const std::string& name, const std::string& qualifier) const = 0;
  /// What is left of the account's concurrency for functions without a reservation, and the account's limit.
  virtual int unreserved() const = 0;
  virtual int account() const = 0;
};

}  // namespace weir::config
