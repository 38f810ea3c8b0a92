#pragma once

#include <string_view>

#include "weir/base/error.h"

namespace weir::pattern {

/// What a subscription's filter policy looks at.
enum class PolicyScope { kMessageAttributes, kMessageBody };

/// Whether a subscription with this FilterPolicy gets the message. `message`: of scope kMessageBody the message's text,
/// which is not delivered unless it is a JSON object; of scope kMessageAttributes a JSON object of the attributes, each
/// `{"Type": "String"|"String.Array"|"Number"|"Binary", "Value": ".."}` as SNS delivers them (or `DataType` and
/// `StringValue`, as they are published), or just a value, which then is its own attribute.
/// Errors: pattern.invalid, SNS's sentence first; event.refused where the attributes are no JSON object.
Result<bool> sns_policy_matches(std::string_view policy, PolicyScope scope, std::string_view message);

}  // namespace weir::pattern
