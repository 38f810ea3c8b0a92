#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "connectors/eventbridge/model.h"

namespace weir::eventbridge {

/// How a target is tried again: exponential with jitter, most of 185 retries some minutes apart, so that they last
/// about as long as AWS's day.
/// Source: reference push-sources.md 4.4; AWS publishes no waits, these are ours.
DeliveryRules delivery_rules(int retries, Duration max_age);

/// Puts events on buses: what their rules and archives make of them.
class Delivering {
 public:
  /// What a target is called, by its ARN.
  using TargetOf = std::function<std::string(std::string_view arn)>;
  /// A template that came to no valid JSON, which AWS drops in silence.
  struct Dropped {
    std::string rule_arn;
    std::string target;
  };

  Delivering(Model& model, TargetOf target_of, WallTime now)
      : model_(model), target_of_(std::move(target_of)), now_(now) {}

  /// False when the event's detail is no JSON: nothing was put then. `only`: the ARNs of the rules that it may meet;
  /// none: all.
  bool put(std::string_view bus, const Event& event, const std::set<std::string>& only = {});

  /// Gives an event to one rule alone, which its schedule has made.
  void fire(const Rule& rule, const Event& event) { deliver(rule, event, envelope(event), Hop::kFirst); }

  ServiceCommit& commit() { return commit_; }
  /// Into which archives how many bytes went.
  const std::vector<std::pair<std::string, std::size_t>>& archived() const { return archived_; }
  const std::vector<Dropped>& dropped() const { return dropped_; }

 private:
  enum class Hop { kFirst, kLast };
  bool put(std::string_view bus, const Event& event, const std::set<std::string>& only, Hop hop);
  void deliver(const Rule& rule, const Event& event, const std::string& text, Hop hop);
  void deliver_to(const Target& target, const Rule& rule, const Event& event, const std::string& text, Hop hop);

  Model& model_;
  TargetOf target_of_;
  WallTime now_;
  ServiceCommit commit_;
  std::vector<std::pair<std::string, std::size_t>> archived_;
  std::vector<Dropped> dropped_;
};

}  // namespace weir::eventbridge
