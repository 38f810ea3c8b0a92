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

/// How much is held and committed at once: behind it a call goes on with the next commit. One event may come to more,
/// because its deliveries are kept all together or not at all, up to the second limit: the event is refused then.
inline constexpr std::size_t kCommitBytes = std::size_t{16} << 20U;
inline constexpr std::size_t kMaxEventBytes = std::size_t{64} << 20U;
/// What a delivery or an archived event is counted as beside its text.
inline constexpr std::size_t kDeliveryBytes = 1024;

/// What all that are under way hold together, each until it goes. Behind the limit nobody begins with another event.
inline constexpr std::size_t kMaxHeldBytes = std::size_t{64} << 20U;
class Held {
 public:
  /// `freed` is told whenever something was given back.
  explicit Held(std::function<void()> freed) : freed_(std::move(freed)) {}
  bool full() const { return bytes_ >= kMaxHeldBytes; }
  void take(std::size_t bytes) { bytes_ += bytes; }
  void give_back(std::size_t bytes) {
    bytes_ -= bytes;
    if (bytes > 0) freed_();
  }

 private:
  std::function<void()> freed_;
  std::size_t bytes_ = 0;
};

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
  enum class Put {
    kDone,
    kMalformed,  ///< the event's detail is no JSON
    kTooLarge,   ///< what it comes to is more than kMaxEventBytes
  };

  /// `model` and `held` outlive it.
  Delivering(Model& model, TargetOf target_of, WallTime now, Held& held)
      : model_(model), target_of_(std::move(target_of)), now_(now), held_(held) {}
  ~Delivering() { held_.give_back(bytes_); }
  Delivering(const Delivering&) = delete;
  Delivering& operator=(const Delivering&) = delete;

  /// An event that is not put leaves nothing behind. `only`: the ARNs of the rules that it may meet; none: all.
  Put put(std::string_view bus, const Event& event, const std::set<std::string>& only = {});

  /// Gives an event to one rule alone, which its schedule has made.
  Put fire(const Rule& rule, const Event& event);

  ServiceCommit& commit() { return commit_; }
  /// Whether it is time to commit.
  bool full() const { return bytes_ >= kCommitBytes || held_.full(); }
  /// Into which archives' logs how many bytes went, by event.
  const std::vector<std::pair<std::string, std::size_t>>& archived() const { return archived_; }
  const std::vector<Dropped>& dropped() const { return dropped_; }

 private:
  enum class Hop { kFirst, kLast };
  /// How much there was before an event.
  struct Mark {
    std::size_t deliveries = 0;
    std::size_t kept = 0;
    std::size_t dropped = 0;
    std::size_t bytes = 0;
  };
  Mark mark() const;
  /// Takes back what came behind the mark, of an event that is not put.
  Put settle(const Mark& mark, Put ended);
  Put put(std::string_view bus, const Event& event, const std::set<std::string>& only, Hop hop);
  /// Whether the event's text is needed behind a delivery.
  enum class Text { kKept, kSpent };
  Put deliver(const Rule& rule, const Event& event, std::string& text, Text after, Hop hop);
  Put deliver_to(const Target& target, const Rule& rule, const Event& event, std::string& text, Text after, Hop hop);
  /// Whether a function can be given it.
  bool fit_for_function(const Target& target, const std::string& payload);
  /// Counts what is held. kTooLarge when the event has too much of it.
  Put hold(std::size_t bytes);

  Model& model_;
  TargetOf target_of_;
  WallTime now_;
  Held& held_;
  ServiceCommit commit_;
  std::vector<std::pair<std::string, std::size_t>> archived_;
  std::vector<Dropped> dropped_;
  std::size_t bytes_ = 0;
  std::size_t begun_at_ = 0;  ///< how many of them were there before the event
  EnvelopeFrame frame_;
  std::optional<bool> whole_is_json_;  ///< of the event that is put; nothing before it was asked
};

}  // namespace weir::eventbridge
