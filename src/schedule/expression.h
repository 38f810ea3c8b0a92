#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "weir/base/error.h"

#include "schedule/cron.h"
#include "schedule/time_zone.h"

namespace weir::schedule {

/// Which expressions are allowed: those of EventBridge's rules, or of EventBridge Scheduler, which has at() too.
enum class Grammar { kRule, kScheduler };

/// AWS's words for an expression that is none: a ValidationException of PutRule, and of CreateSchedule.
inline constexpr std::string_view kRuleRefusal = "Parameter ScheduleExpression is not valid.";
std::string scheduler_refusal(std::string_view expression);

/// "rate(5 minutes)", "cron(0 12 * * ? *)", "at(2026-11-20T13:00:00)": when something happens. Pure, immutable.
/// Source: reference push-sources.md 4.6 and 5.
class Expression {
 public:
  /// config.invalid; its sentence is weir's and says what is wrong. AWS's own words are kRuleRefusal and
  /// scheduler_refusal().
  static Result<Expression> parse(std::string_view text, Grammar grammar);

  const std::string& text() const { return text_; }
  bool rate() const { return std::holds_alternative<std::chrono::seconds>(when_); }
  /// Happens once, whatever its schedule's start and end.
  bool once() const { return std::holds_alternative<LocalSeconds>(when_); }

  /// The first occurrence at `from` or later; nothing when there is none (any more). Years end with 2199.
  /// `anchor`: of a rate(), its first occurrence, from which it is counted in elapsed time; of no matter otherwise.
  /// A rule's rate begins one period after its creation: ask from behind the anchor. Scheduler's begins at the anchor.
  std::optional<UtcSeconds> next(UtcSeconds from, const TimeZone& zone, UtcSeconds anchor) const;
  /// The latest occurrence after `after` and not after `to`.
  std::optional<UtcSeconds> previous(UtcSeconds to, UtcSeconds after, const TimeZone& zone, UtcSeconds anchor) const;

 private:
  using When = std::variant<std::chrono::seconds, Cron, LocalSeconds>;
  Expression(std::string text, When when) : text_(std::move(text)), when_(std::move(when)) {}

  std::string text_;
  When when_;
};

}  // namespace weir::schedule
