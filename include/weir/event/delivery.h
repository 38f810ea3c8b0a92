#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "weir/base/time.h"

namespace weir {

/// How the n waits of a phase grow from `first` to `last`, both ends exact (SNS's four functions; their formulas are
/// ours). The wait k is first + (last - first) * part, where part is
///   linear       (k - 1) / (n - 1)                    by the same amount every time
///   arithmetic   k(k - 1) / n(n - 1)                  by amounts that grow evenly: 1, 2, 3 ...
///   exponential  (2^(k-1) - 1) / (2^(n-1) - 1)        by amounts that double: near `first` for most of a long phase
/// or, geometric, by the same factor every time: first * (last / first)^((k - 1) / (n - 1)); where `first` is 0, the
/// waits behind it double up to `last`.
enum class Backoff { kLinear, kArithmetic, kGeometric, kExponential };

/// Some retries in a row: their number, and the waits before the first and the last of them. One retry waits `first`.
struct RetryPhase {
  int retries = 0;
  Duration first{0};
  Duration last{0};
  Backoff backoff = Backoff::kLinear;

  bool operator==(const RetryPhase&) const = default;
};

/// When a delivery is tried again. Whichever ends first ends it: the phases, one after the other, or the age.
/// Deliveries with equal rules share them: do not put into a rule what differs from message to message.
struct DeliveryRules {
  std::vector<RetryPhase> phases;      ///< none: one attempt
  Duration max_age = Duration::max();  ///< counted from its acceptance; at this age it is too old
  double jitter = 0;                   ///< up to this share of a wait is added; 0 to 1
  /// Attempts at its target, on average, after a burst of as many; 0: no limit. A target has the strictest limit of
  /// the deliveries that it still has, whichever they are of.
  int max_per_second = 0;

  bool operator==(const DeliveryRules&) const = default;
};

/// An attribute of an SQS or SNS message. Binary values are base64.
struct MessageAttribute {
  std::string type;  ///< "String", "Number", "Binary", "String.Array", with AWS's custom suffixes
  std::string value;

  bool operator==(const MessageAttribute&) const = default;
};

/// What goes to a target of a service, other than the text itself. What a target does not have is left out.
struct MessageDetails {
  std::map<std::string, MessageAttribute> attributes;
  std::vector<std::pair<std::string, std::string>> headers;  ///< of an HTTP request
  std::string subject;
  /// MessageGroupId: messages of one group and target are delivered one after the other, in the order of their
  /// acceptance; one that fails holds back those behind it until it is delivered or given up. "": no order.
  std::string group;
  std::string deduplication;  ///< MessageDeduplicationId

  bool operator==(const MessageDetails&) const = default;
};

/// One message on its way from a service to one target.
struct ServiceDelivery {
  ServiceDelivery() = default;

  /// "lambda:NAME" or "lambda:NAME:QUALIFIER"; "http:URL" (an HTTP POST); else what a destination is called in the
  /// configuration: "sqs:NAME", "sns:ARN", "eventbridge:BUS", "file:PATH" ...
  std::string target;
  std::string source;   ///< of the configuration, or ""
  std::string payload;  ///< what the target gets
  std::string trace_header;

  // What follows is not for functions: their events have Lambda's own retries.
  MessageDetails details;
  DeliveryRules rules;
  /// A destination for what could not be delivered; "": weir's dead letters.
  std::string dead_letter;
  std::string dead_letter_body;  ///< "": the payload
  std::map<std::string, MessageAttribute> dead_letter_attributes;
  /// Whether EventBridge's ERROR_CODE, ERROR_MESSAGE, EXHAUSTED_RETRY_CONDITION and RETRY_ATTEMPTS are added to these.
  /// A target that is gone, or refuses the message for good, exhausts no retries: it has no condition.
  bool dead_letter_tells_why = false;
};

}  // namespace weir
