#include <algorithm>
#include <array>

#include "weir/service.h"

#include "control/api_call.h"
#include "control/code.h"
#include "service/arn.h"

namespace weir::control {
namespace {

constexpr Range kRetries{0, 2};
constexpr Range kAge{60, 21'600};
constexpr std::int64_t kMostListed = 50;
constexpr std::int64_t kMostEnvironments = 1'000'000;
constexpr std::size_t kMaxDestination = 350;
/// Source: Lambda quotas.
constexpr std::int64_t kTotalCodeSize = 322'122'547'200;
constexpr std::string_view kReserved = "reserved";
constexpr std::string_view kAmount = "ReservedConcurrentExecutions";
constexpr std::string_view kRequested = "RequestedProvisionedConcurrentExecutions";

// Reserved concurrency and the account

Reply put_concurrency(Call& call) {
  const Named named = call.named();
  Arguments settings = call.body();
  const auto amount = settings.integer(kAmount, {0, kMostEnvironments});
  if (!settings.has(kAmount)) call.validation.missing("reservedConcurrentExecutions");
  if (!call.wrong() && !named.qualifier.empty()) {
    return call.refused(
        invalid("This operation is permitted on Lambda functions only. Aliases and versions do not support this "
                "operation. Please specify either a function name or an unqualified function ARN."));
  }
  Function* const function = call.change(named);
  if (function == nullptr) return call.refused();
  std::int64_t provisioned = 0;
  for (const auto& [qualifier, each] : function->provisioned) provisioned += each.at(kRequested).get<std::int64_t>();
  if (*amount < provisioned) {
    return call.refused(invalid(" ReservedConcurrentExecutions  " + std::to_string(*amount) +
                                " should not be lower than function's total provisioned concurrency [" +
                                std::to_string(provisioned) + "]."));
  }
  const json reserved = {{kAmount, *amount}};
  call.put(Kind::kSetting, kReserved, reserved);
  if (!call.possible()) return call.refused();
  return call.changed(kOk, reserved);
}

Reply get_concurrency(Call& call) {
  const Function* const function = call.look_up(call.named());
  if (function == nullptr) return call.refused();
  const json* const reserved = find(function->settings, kReserved);
  return answered(kOk, reserved == nullptr ? json::object() : *reserved);
}

Reply delete_concurrency(Call& call) {
  Function* const function = call.change(call.named());
  if (function == nullptr) return call.refused();
  if (function->settings.contains(kReserved)) call.remove(Kind::kSetting, kReserved);
  return call.changed(kNoContent, {});
}

Reply account_settings(Call& call) {
  const auto& functions = call.world.functions;
  std::int64_t bytes = 0;
  auto count = static_cast<std::int64_t>(functions.configured().size());
  for (const auto& [name, function] : call.world.model.functions()) {
    if (!functions.configured().contains(name)) ++count;
    for (const auto& [version, document] : function.versions) bytes += document.at("CodeSize").get<std::int64_t>();
  }
  for (const auto& [name, layer] : call.world.model.layers()) {
    for (const auto& [version, document] : layer.versions) bytes += document.at("CodeSize").get<std::int64_t>();
  }
  return answered(kOk, {{"AccountLimit",
                         {{"TotalCodeSize", kTotalCodeSize},
                          {"CodeSizeUnzipped", kMaxUnzipped},
                          {"CodeSizeZipped", kMaxZipped},
                          {"ConcurrentExecutions", functions.account()},
                          {"UnreservedConcurrentExecutions", functions.unreserved()}}},
                        {"AccountUsage", {{"TotalCodeSize", bytes}, {"FunctionCount", count}}}});
}

// Provisioned concurrency

json progress(const Call& call, const Function& function, const std::string& qualifier, bool new_one) {
  json shown = *find(function.provisioned, qualifier);
  const int requested = shown.at(kRequested).get<int>();
  config::ProvisionedState state;
  if (!new_one) state = call.world.functions.provisioned(function.name, qualifier).value_or(state);
  shown["AllocatedProvisionedConcurrentExecutions"] = state.allocated;
  shown["AvailableProvisionedConcurrentExecutions"] = state.available;
  shown["Status"] = state.available >= requested ? "READY" : state.reason.empty() ? "IN_PROGRESS" : "FAILED";
  if (shown["Status"] == "FAILED") shown["StatusReason"] = state.reason;
  return shown;
}

Reply put_provisioned(Call& call) {
  const Named named = call.named();
  Arguments settings = call.body();
  constexpr std::string_view kAsked = "ProvisionedConcurrentExecutions";
  const auto amount = settings.integer(kAsked, {1, kMostEnvironments});
  if (!settings.has(kAsked)) call.validation.missing("provisionedConcurrentExecutions");
  if (!call.wrong() && (named.qualifier.empty() || named.qualifier == kLatest)) {
    return call.refused(invalid(std::string(kUnpublished)));
  }
  Function* const function = call.extend({named.name, ""});
  if (function == nullptr || !qualifier_exists(call, *function, named.qualifier)) return call.refused();
  const json* const alias = find(function->aliases, named.qualifier);
  const std::string version = alias != nullptr ? alias->at("FunctionVersion").get<std::string>() : named.qualifier;
  if (version == kLatest) {
    return call.refused(invalid(std::string(kUnpublished)));
  }
  if (alias != nullptr && alias->contains("RoutingConfig")) {
    return call.refused(invalid(std::string(kWeightedAndProvisioned)));
  }
  std::int64_t total = *amount;
  for (const auto& [other, config] : function->provisioned) {
    if (other == named.qualifier) continue;
    total += config.at(kRequested).get<std::int64_t>();
    const json* const other_alias = find(function->aliases, other);
    const std::string where = other_alias != nullptr ? other_alias->at("FunctionVersion").get<std::string>() : other;
    if (where != version) continue;
    return call.refused(conflict(alias != nullptr ? std::string(kAlreadyProvisioned)
                                                  : "Version is pointed by a Provisioned Concurrency alias"));
  }
  if (const json* reserved = find(function->settings, kReserved);
      reserved != nullptr && total > reserved->at(kAmount).get<std::int64_t>()) {
    return call.refused(invalid(
        "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function"));
  }
  call.put(Kind::kProvisioned, named.qualifier, {{kRequested, *amount}, {"LastModified", call.now_text()}});
  if (!call.possible()) return call.refused();
  return call.changed(kAccepted, progress(call, *function, named.qualifier, true));
}

/// Says what is wrong with a qualifier that is asked for its environments.
bool provisioned_there(Call& call, const Function& function, const std::string& qualifier) {
  if (qualifier.empty() || qualifier == kLatest) {
    call.refuse(invalid("The function resource provided must be an alias or a published version."));
  } else if (qualifier_exists(call, function, qualifier) && !function.provisioned.contains(qualifier)) {
    call.refuse({404, "ProvisionedConcurrencyConfigNotFoundException",
                 "No Provisioned Concurrency Config found for this function"});
  }
  return !call.wrong();
}

Reply list_provisioned(Call& call, const Named& named) {
  const Function* const function = call.look_up({named.name, ""});
  if (function == nullptr) return call.refused();
  std::vector<std::pair<std::string, json>> items;
  for (const auto& [qualifier, config] : function->provisioned) {
    json shown = progress(call, *function, qualifier, false);
    shown["FunctionArn"] = function_arn(named.name, qualifier);
    items.emplace_back(qualifier, std::move(shown));
  }
  return list_reply(call, "ProvisionedConcurrencyConfigs", std::move(items), kMostListed);
}

Reply get_provisioned(Call& call) {
  const Named named = call.named();
  if (call.in_query("List")) return list_provisioned(call, named);
  const Function* const function = call.look_up({named.name, ""});
  if (function == nullptr || !provisioned_there(call, *function, named.qualifier)) return call.refused();
  return answered(kOk, progress(call, *function, named.qualifier, false));
}

Reply delete_provisioned(Call& call) {
  const Named named = call.named();
  Function* const function = call.extend({named.name, ""});
  if (function == nullptr) return call.refused();
  if (named.qualifier.empty() || named.qualifier == kLatest) {
    return call.refused(invalid("The function resource provided must be an alias or a published version."));
  }
  if (!qualifier_exists(call, *function, named.qualifier)) return call.refused();
  if (function->provisioned.contains(named.qualifier)) call.remove(Kind::kProvisioned, named.qualifier);
  return call.changed(kNoContent, {});
}

// Event-invoke configurations

std::string destination_text(const std::string& success, const std::string& failure) {
  const auto half = [](const char* name, const char* type, const std::string& arn) {
    return name + (arn.empty() ? std::string("null") : std::string(type) + "(destination=" + arn + ")");
  };
  return "The provided destination config DestinationConfig(" + half("onSuccess=", "OnSuccess", success) + ", " +
         half("onFailure=", "OnFailure", failure) + ") is invalid.";
}

/// Says what is wrong with a destination, if so.
void check_destination(Call& call, const std::string& function, const std::string& text, bool success) {
  if (text.empty()) return;
  const auto arn = service::parse_arn(text);
  if (!arn) {
    return call.validation.mistake(
        text, std::string("destinationConfig.") + (success ? "onSuccess" : "onFailure") + ".destination",
        R"(Member must satisfy regular expression pattern: $|kafka://([^.]([a-zA-Z0-9\-_.]{0,248}))|)"
        R"(arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9\-])+:((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1})?:(\d{12})?:(.*))");
  }
  constexpr std::array<std::string_view, 5> kServices{"lambda", "sqs", "sns", "events", "s3"};
  if (std::find(kServices.begin(), kServices.end(), arn->service) == kServices.end() ||
      (success && arn->service == "s3")) {
    return call.refuse(invalid(success ? destination_text(text, "") : destination_text("", text)));
  }
  if (text == function_arn(function) || text.starts_with(function_arn(function) + ":")) {
    return call.refuse(invalid("You can't specify the function as a destination for itself."));
  }
  if (arn->service != "s3" && call.world.target_of(text).empty()) {
    call.refuse(invalid("The destination ARN " + text + " is invalid."));
  }
}

void read_event_invoke(Call& call, const std::string& function, json& into) {
  Arguments settings = call.body();
  if (const auto retries = settings.integer("MaximumRetryAttempts", kRetries)) into["MaximumRetryAttempts"] = *retries;
  if (const auto age = settings.integer("MaximumEventAgeInSeconds", kAge)) into["MaximumEventAgeInSeconds"] = *age;
  auto destinations = settings.object("DestinationConfig");
  if (destinations) {
    for (const char* which : {"OnSuccess", "OnFailure"}) {
      auto half = destinations->object(which);
      if (!half) continue;
      const std::string arn = half->text("Destination", kMaxDestination);
      check_destination(call, function, arn, which == std::string_view("OnSuccess"));
      into["DestinationConfig"][which] = arn.empty() ? json::object() : json{{"Destination", arn}};
    }
  }
  if (!settings.has("MaximumRetryAttempts") && !settings.has("MaximumEventAgeInSeconds") && !destinations) {
    call.refuse(invalid("You must specify at least one of error handling or destination setting."));
  }
  constexpr double kMilliseconds = 1000;
  into["LastModified"] = static_cast<double>(epoch_milliseconds(call.world.now)) / kMilliseconds;
}

json event_invoke(const Function& function, const std::string& qualifier) {
  json shown = *find(function.async, qualifier);
  shown["FunctionArn"] = function_arn(function.name, qualifier);
  return shown;
}

json no_destinations() {
  return {{"OnSuccess", json::object()}, {"OnFailure", json::object()}};
}

std::string async_key(const Named& named) {
  return named.qualifier.empty() ? std::string(kLatest) : named.qualifier;
}

LambdaError no_event_invoke(const Named& named) {
  return not_found("The function " + function_arn(named.name, async_key(named)) + " doesn't have an EventInvokeConfig");
}

/// The function whose configuration for events is changed; null, and refused, when there is none.
Function* change_events(Call& call, const Named& named) {
  Function* const function = call.change(named.name);
  if (function == nullptr) {
    call.refuse(not_found("The function doesn't exist."));
    return nullptr;
  }
  const std::string key = async_key(named);
  if (function->versions.contains(key) || function->aliases.contains(key)) return function;
  call.refuse(not_found("The function doesn't exist."));
  return nullptr;
}

Reply put_event_invoke(Call& call) {
  const Named named = call.named();
  json config = {{"DestinationConfig", no_destinations()}};
  Function* const function = change_events(call, named);
  if (function == nullptr) return call.refused();
  read_event_invoke(call, named.name, config);
  if (call.wrong()) return call.refused();
  call.put(Kind::kAsync, async_key(named), config);
  return call.changed(kOk, event_invoke(*function, async_key(named)));
}

Reply update_event_invoke(Call& call) {
  const Named named = call.named();
  Function* const function = change_events(call, named);
  if (function == nullptr) return call.refused();
  const json* const found = find(function->async, async_key(named));
  if (found == nullptr) return call.refused(no_event_invoke(named));
  json config = *found;
  read_event_invoke(call, named.name, config);
  if (call.wrong()) return call.refused();
  call.put(Kind::kAsync, async_key(named), config);
  return call.changed(kOk, event_invoke(*function, async_key(named)));
}

/// What the configuration file says of the events of its functions.
json configured_events(const config::AsyncConfig& from) {
  const auto half = [](const std::string& target) {
    return target.empty() ? json::object() : json{{"Destination", target}};
  };
  return {
      {"MaximumRetryAttempts", from.maximum_retry_attempts},
      {"MaximumEventAgeInSeconds", std::chrono::duration_cast<std::chrono::seconds>(from.maximum_event_age).count()},
      {"DestinationConfig", {{"OnSuccess", half(from.on_success)}, {"OnFailure", half(from.on_failure)}}}};
}

/// As Call::look_up(), with what the configuration says of events.
std::optional<Function> with_events(Call& call, const Named& named) {
  const Function* const found = call.look_up({named.name, ""});
  if (found == nullptr) return std::nullopt;
  Function function = *found;
  const auto& configured = call.world.functions.configured();
  if (const auto entry = configured.find(named.name); entry != configured.end()) {
    json events = configured_events(entry->second.async);
    events["LastModified"] = static_cast<double>(epoch_milliseconds(call.world.started)) / 1000;
    function.async.emplace(kLatest, std::move(events));
  }
  return function;
}

Reply get_event_invoke(Call& call) {
  const Named named = call.named();
  const auto function = with_events(call, named);
  if (!function) return call.refused();
  if (find(function->async, async_key(named)) == nullptr) return call.refused(no_event_invoke(named));
  return answered(kOk, event_invoke(*function, async_key(named)));
}

Reply delete_event_invoke(Call& call) {
  const Named named = call.named();
  Function* const function = change_events(call, named);
  if (function == nullptr) return call.refused();
  if (find(function->async, async_key(named)) == nullptr) return call.refused(no_event_invoke(named));
  call.remove(Kind::kAsync, async_key(named));
  return call.changed(kNoContent, {});
}

Reply list_event_invoke(Call& call) {
  const Named named = call.named();
  const auto function = with_events(call, named);
  if (!function) return call.refused();
  std::vector<std::pair<std::string, json>> items;
  for (const auto& [qualifier, config] : function->async)
    items.emplace_back(qualifier, event_invoke(*function, qualifier));
  return list_reply(call, "FunctionEventInvokeConfigs", std::move(items), kMostListed);
}

constexpr std::string_view kProvisioned = "2019-09-30/functions/*/provisioned-concurrency";
constexpr std::string_view kEvents = "2019-09-25/functions/*/event-invoke-config";
constexpr std::array kOperations{
    Operation{"PutFunctionConcurrency", "PUT", "2017-10-31/functions/*/concurrency", &put_concurrency},
    Operation{"DeleteFunctionConcurrency", "DELETE", "2017-10-31/functions/*/concurrency", &delete_concurrency},
    Operation{"GetFunctionConcurrency", "GET", "2019-09-30/functions/*/concurrency", &get_concurrency},
    Operation{"GetAccountSettings", "GET", "2016-08-19/account-settings", &account_settings},
    Operation{"PutProvisionedConcurrencyConfig", "PUT", kProvisioned, &put_provisioned},
    Operation{"GetProvisionedConcurrencyConfig", "GET", kProvisioned, &get_provisioned},
    Operation{"DeleteProvisionedConcurrencyConfig", "DELETE", kProvisioned, &delete_provisioned},
    Operation{"PutFunctionEventInvokeConfig", "PUT", kEvents, &put_event_invoke},
    Operation{"UpdateFunctionEventInvokeConfig", "POST", kEvents, &update_event_invoke},
    Operation{"GetFunctionEventInvokeConfig", "GET", kEvents, &get_event_invoke},
    Operation{"DeleteFunctionEventInvokeConfig", "DELETE", kEvents, &delete_event_invoke},
    Operation{"ListFunctionEventInvokeConfigs", "GET", "2019-09-25/functions/*/event-invoke-config/list",
              &list_event_invoke},
};

}  // namespace

std::span<const Operation> concurrency_operations() {
  return kOperations;
}

}  // namespace weir::control
