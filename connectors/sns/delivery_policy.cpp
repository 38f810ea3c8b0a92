#include "connectors/sns/delivery_policy.h"

#include <array>

#include <nlohmann/json.hpp>

#include "weir/base/json_check.h"
#include "weir/base/json_writer.h"

namespace weir::sns {
namespace {

using nlohmann::json;
using std::chrono::seconds;

constexpr std::int64_t kDelayMax = 3600;
constexpr std::int64_t kRetriesMax = 100;
constexpr std::array<std::string_view, 4> kBackoffs{"linear", "arithmetic", "geometric", "exponential"};
/// All that a message waits for.
constexpr Duration kWaitsMax = seconds(3600);

enum Phase { kNoDelay, kMinDelay, kBackoff, kMaxDelay, kPhases };

Error refused(std::string sentence) {
  return {ErrorCode::kEventRefused, std::move(sentence)};
}

Result<std::int64_t> number(const json& from, const char* name, std::int64_t min, std::int64_t max,
                            std::int64_t fallback) {
  const auto found = from.find(name);
  if (found == from.end() || found->is_null()) return fallback;
  if (!found->is_number_integer()) return refused(std::string(name) + " must be an integer");
  const auto value = found->get<std::int64_t>();
  if (value < min || value > max) {
    return refused(std::string(name) + " must be between " + std::to_string(min) + " and " + std::to_string(max));
  }
  return value;
}

Result<void> read_retries(const json& from, DeliveryPolicy& policy) {
  if (!from.is_object()) return refused("healthyRetryPolicy must be an object");
  const auto& before = policy.rules.phases;
  const auto in_seconds = [](Duration d) { return std::chrono::duration_cast<seconds>(d).count(); };
  int all = 0;
  for (const RetryPhase& phase : before) all += phase.retries;
  const auto min = number(from, "minDelayTarget", 1, kDelayMax, in_seconds(before.at(kBackoff).first));
  if (!min) return min.error();
  const auto max =
      number(from, "maxDelayTarget", *min, kDelayMax, std::max(*min, in_seconds(before.at(kBackoff).last)));
  if (!max) return max.error();
  const auto total = number(from, "numRetries", 0, kRetriesMax, all);
  if (!total) return total.error();
  const auto none = number(from, "numNoDelayRetries", 0, *total, 0);
  if (!none) return none.error();
  const auto least = number(from, "numMinDelayRetries", 0, *total - *none, 0);
  if (!least) return least.error();
  const auto most = number(from, "numMaxDelayRetries", 0, *total - *none - *least, 0);
  if (!most) return most.error();
  auto backoff = before.at(kBackoff).backoff;
  if (const auto word = from.find("backoffFunction"); word != from.end() && !word->is_null()) {
    const auto found =
        word->is_string() ? std::find(kBackoffs.begin(), kBackoffs.end(), word->get<std::string>()) : kBackoffs.end();
    if (found == kBackoffs.end())
      return refused("backoffFunction must be linear, arithmetic, geometric or exponential");
    backoff = static_cast<Backoff>(found - kBackoffs.begin());
  }
  const seconds low(*min);
  const seconds high(*max);
  const std::int64_t between = *total - *none - *least - *most;
  // The sum of a growing row is at most that of its last waits; the least of them is the bound that AWS's rule means.
  if (*least * low + *most * high + between * low > kWaitsMax) {
    return refused("the total time of all retries must not exceed 3600 seconds");
  }
  policy.rules.phases = {{static_cast<int>(*none), Duration(0), Duration(0), Backoff::kLinear},
                         {static_cast<int>(*least), low, low, Backoff::kLinear},
                         {static_cast<int>(between), low, high, backoff},
                         {static_cast<int>(*most), high, high, Backoff::kLinear}};
  return {};
}

Result<DeliveryPolicy> read_members(const json& from, std::string_view prefix, DeliveryPolicy policy) {
  if (!from.is_object()) return refused("must be a JSON object");
  const auto member = [&](std::string name) {
    if (!prefix.empty()) name = std::string(prefix) + static_cast<char>(name[0] - 'a' + 'A') + name.substr(1);
    return from.value(name, json());
  };
  if (const json retries = member("healthyRetryPolicy"); !retries.is_null()) {
    if (auto read = read_retries(retries, policy); !read) return read.error();
  }
  if (const json throttle = member("throttlePolicy"); !throttle.is_null()) {
    if (!throttle.is_object()) return refused("throttlePolicy must be an object");
    const auto rate = number(throttle, "maxReceivesPerSecond", 1, 100'000, policy.rules.max_per_second);
    if (!rate) return rate.error();
    policy.rules.max_per_second = static_cast<int>(*rate);
  }
  if (const json request = member("requestPolicy"); !request.is_null()) {
    const json type = request.is_object() ? request.value("headerContentType", json()) : json(0);
    if (type.is_string()) {
      policy.content_type = type.get<std::string>();
      if (policy.content_type.find_first_of("\r\n") != std::string::npos) return refused("headerContentType has lines");
    } else if (!type.is_null()) {
      return refused("headerContentType must be a text");
    }
  }
  return policy;
}

Result<json> parse(std::string_view text) {
  if (!is_json(text)) return refused("failed to parse JSON");
  // A number that no double holds is JSON, and read by nobody.
  json read = json::parse(text, nullptr, false);
  if (read.is_discarded()) return refused("failed to parse JSON");
  return read;
}

std::string policy_json(const DeliveryPolicy& policy, std::string_view prefix) {
  const auto named = [&](std::string name) {
    if (prefix.empty()) return name;
    name[0] = static_cast<char>(name[0] - 'a' + 'A');
    return std::string(prefix) + name;
  };
  const auto& phases = policy.rules.phases;
  int all = 0;
  for (const RetryPhase& phase : phases) all += phase.retries;
  std::string text;
  JsonWriter out(text);
  out.begin_object().key(named("healthyRetryPolicy")).begin_object();
  const auto in_seconds = [](Duration d) { return std::int64_t{std::chrono::duration_cast<seconds>(d).count()}; };
  out.member("minDelayTarget", in_seconds(phases.at(kBackoff).first));
  out.member("maxDelayTarget", in_seconds(phases.at(kBackoff).last)).member("numRetries", all);
  out.member("numMaxDelayRetries", phases.at(kMaxDelay).retries);
  out.member("numNoDelayRetries", phases.at(kNoDelay).retries);
  out.member("numMinDelayRetries", phases.at(kMinDelay).retries);
  out.member("backoffFunction", kBackoffs.at(static_cast<std::size_t>(phases.at(kBackoff).backoff))).end_object();
  if (!prefix.empty()) out.member("disableSubscriptionOverrides", !policy.subscriptions_may_differ);
  if (policy.rules.max_per_second > 0) {
    out.key(named("throttlePolicy")).begin_object();
    out.member("maxReceivesPerSecond", policy.rules.max_per_second).end_object();
  }
  out.key(named("requestPolicy")).begin_object();
  out.member("headerContentType", policy.content_type.empty() ? "text/plain; charset=UTF-8" : policy.content_type);
  out.end_object().end_object();
  return text;
}

}  // namespace

DeliveryPolicy::DeliveryPolicy() {
  constexpr int kRetries = 3;
  constexpr seconds kDelay(20);
  constexpr double kJitter = 0.1;
  rules.phases.resize(kPhases);
  rules.phases[kMinDelay] = {0, kDelay, kDelay, Backoff::kLinear};
  rules.phases[kBackoff] = {kRetries, kDelay, kDelay, Backoff::kLinear};
  rules.phases[kMaxDelay] = {0, kDelay, kDelay, Backoff::kLinear};
  rules.jitter = kJitter;
}

Result<DeliveryPolicy> read_subscription_policy(std::string_view text, const DeliveryPolicy& defaults) {
  const auto read = parse(text);
  if (!read) return read.error();
  return read_members(*read, "", defaults);
}

Result<DeliveryPolicy> read_topic_policy(std::string_view text) {
  const auto read = parse(text);
  if (!read) return read.error();
  if (!read->is_object()) return refused("must be a JSON object");
  const json http = read->value("http", json());
  if (http.is_null()) return DeliveryPolicy();
  auto policy = read_members(http, "default", DeliveryPolicy());
  if (!policy) return policy;
  const json fixed = http.value("disableSubscriptionOverrides", json(false));
  if (!fixed.is_boolean()) return refused("disableSubscriptionOverrides must be true or false");
  policy->subscriptions_may_differ = !fixed.get<bool>();
  return policy;
}

std::string subscription_policy_json(const DeliveryPolicy& policy) {
  return policy_json(policy, "");
}

std::string topic_policy_json(const DeliveryPolicy& policy) {
  return "{\"http\":" + policy_json(policy, "default") + "}";
}

DeliveryRules service_rules() {
  constexpr double kJitter = 0.1;
  constexpr Duration kAge = std::chrono::hours(23 * 24);
  DeliveryRules rules;
  rules.phases = {{3, Duration(0), Duration(0), Backoff::kLinear},
                  {2, seconds(1), seconds(1), Backoff::kLinear},
                  {10, seconds(1), seconds(20), Backoff::kExponential},
                  {100'000, seconds(20), seconds(20), Backoff::kLinear}};
  rules.max_age = kAge;
  rules.jitter = kJitter;
  return rules;
}

}  // namespace weir::sns
