#include "connectors/eventbridge/delivering.h"

#include <algorithm>

#include "weir/base/json_check.h"

namespace weir::eventbridge {
namespace {

constexpr int kQuickRetries = 20;
constexpr double kJitter = 0.25;
constexpr std::string_view kFunction = "lambda:";
constexpr std::string_view kBus = "eventbridge:";

}  // namespace

DeliveryRules delivery_rules(int retries, Duration max_age) {
  using std::chrono::seconds;
  DeliveryRules rules;
  rules.phases.reserve(2);
  const int quick = std::min(retries, kQuickRetries);
  if (quick > 0) rules.phases.push_back({quick, seconds(1), seconds(60), Backoff::kGeometric});
  if (retries > quick) rules.phases.push_back({retries - quick, seconds(60), seconds(900), Backoff::kGeometric});
  rules.max_age = max_age;
  rules.jitter = kJitter;
  return rules;
}

Delivering::Mark Delivering::mark() const {
  return {commit_.deliveries.size(), commit_.kept.size(), dropped_.size(), bytes_};
}

Delivering::Put Delivering::settle(const Mark& mark, Put ended) {
  if (ended == Put::kDone) return ended;
  commit_.deliveries.resize(mark.deliveries);
  commit_.kept.resize(mark.kept);
  archived_.resize(mark.kept);
  dropped_.resize(mark.dropped);
  held_.give_back(bytes_ - mark.bytes);
  bytes_ = mark.bytes;
  return ended;
}

Delivering::Put Delivering::hold(std::size_t bytes) {
  bytes_ += bytes + kDeliveryBytes;
  held_.take(bytes + kDeliveryBytes);
  return bytes_ - begun_at_ > kMaxEventBytes ? Put::kTooLarge : Put::kDone;
}

bool Delivering::fit_for_function(const Target& target, const std::string& payload) {
  if (!target.input.whole()) return is_json(payload);
  // A detail may be as deep as JSON may be, and the event around it is a level more: each takes two bytes. Found out
  // once for all targets.
  if (!whole_is_json_) whole_is_json_ = payload.size() < 2 * kMaxJsonDepth || is_json(payload);
  return *whole_is_json_;
}

Delivering::Put Delivering::put(std::string_view bus, const Event& event, const std::set<std::string>& only) {
  const Mark before = mark();
  begun_at_ = before.bytes;
  whole_is_json_.reset();
  return settle(before, put(bus, event, only, Hop::kFirst));
}

Delivering::Put Delivering::fire(const Rule& rule, const Event& event) {
  const Mark before = mark();
  begun_at_ = before.bytes;
  whole_is_json_.reset();
  std::string text = envelope(event, frame_);
  return settle(before, deliver(rule, event, text, Text::kKept, Hop::kFirst));
}

Delivering::Put Delivering::put(std::string_view bus, const Event& event, const std::set<std::string>& only, Hop hop) {
  const auto matched = model_.match(bus, event);
  if (!matched) return Put::kMalformed;
  if (matched->rules.empty() && matched->archives.empty()) return Put::kDone;
  std::string text = envelope(event, frame_);
  for (const Archive* archive : matched->archives) {
    KeptEvent kept;
    kept.log = archive->log();
    kept.at = event.time;
    kept.event = text;
    archived_.emplace_back(kept.log, text.size());
    commit_.kept.push_back(std::move(kept));
    if (hold(text.size()) != Put::kDone) return Put::kTooLarge;
  }
  for (const Rule* rule : matched->rules) {
    if (!only.empty() && only.count(rule->arn()) == 0) continue;
    const Text after = rule == matched->rules.back() ? Text::kSpent : Text::kKept;
    if (deliver(*rule, event, text, after, hop) != Put::kDone) return Put::kTooLarge;
  }
  return Put::kDone;
}

Delivering::Put Delivering::deliver(const Rule& rule, const Event& event, std::string& text, Text after, Hop hop) {
  for (const Target& target : rule.targets) {
    const Text behind = &target == &rule.targets.back() ? after : Text::kKept;
    if (deliver_to(target, rule, event, text, behind, hop) != Put::kDone) return Put::kTooLarge;
  }
  return Put::kDone;
}

Delivering::Put Delivering::deliver_to(const Target& target, const Rule& rule, const Event& event, std::string& text,
                                       Text after, Hop hop) {
  std::string called;
  if (!rule.source.empty()) {
    called.append(kFunction).append(rule.function);
  } else {
    called = target_of_(target.arn);
    // A function that the configuration has no more: it is gone, and the dead letter says which.
    if (called.empty()) called.append(kFunction).append(target.arn);
    if (called.starts_with(kBus)) {
      if (const std::string next = bus_name(target.arn); model_.bus(next) != nullptr) {
        // From bus to bus an event goes once: AWS passes it on no further.
        return hop == Hop::kFirst ? put(next, event, {}, Hop::kLast) : Put::kDone;
      }
    }
  }
  std::optional<std::string> payload;
  if (target.input.whole()) {
    payload = after == Text::kSpent ? std::move(text) : text;
  } else {
    const std::string arn = rule.arn();
    InputContext context;
    context.rule_arn = arn;
    context.rule_name = rule.name;
    context.ingested = now_;
    payload = target.input.apply(text, event, context);
  }
  if (!payload || (called.starts_with(kFunction) && !fit_for_function(target, *payload))) {
    dropped_.push_back({rule.arn(), target.id});
    return Put::kDone;
  }
  if (hold(payload->size()) != Put::kDone) return Put::kTooLarge;
  ServiceDelivery& delivery = commit_.deliveries.emplace_back();
  delivery.target = std::move(called);
  delivery.payload = std::move(*payload);
  delivery.source = rule.source;
  delivery.trace_header = event.trace_header;
  delivery.details.group = target.group;
  delivery.rules = delivery_rules(target.retries, target.max_age);
  if (!target.dead_letter.empty()) {
    delivery.dead_letter = target_of_(target.dead_letter);
    delivery.dead_letter_attributes["RULE_ARN"] = {"String", rule.arn()};
    delivery.dead_letter_attributes["TARGET_ARN"] = {"String", target.arn};
    delivery.dead_letter_tells_why = true;
  }
  return Put::kDone;
}

}  // namespace weir::eventbridge
