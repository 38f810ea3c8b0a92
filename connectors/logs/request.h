#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "service/answers.h"

namespace weir::logs {

using Json = nlohmann::json;

// What calls of the API may say, and AWS's words for what they may not. Source: the service's model in botocore (logs
// 2014-03-28), from where lengths and patterns are; "1 validation error detected: .." as recorded by moto's tests. All
// of these throw service::ApiError.

[[noreturn]] void refuse(std::string_view code, std::string message);
/// InvalidParameterException.
[[noreturn]] void invalid(std::string message);
/// `what`: "log group".
[[noreturn]] void not_found(std::string_view what);
/// "1 validation error detected: Value 'VALUE' at 'KEY' failed to satisfy constraint: SAYS". A long value is cut.
[[noreturn]] void unfit(std::string_view value, std::string_view key, std::string_view says);

/// Nothing when it is not there, or null. `at`: what it is called in errors, if not by its key.
std::optional<std::string> text_of(const Json& asked, const char* key, std::string_view at = "");
std::string required(const Json& asked, const char* key, std::string_view at = "");
std::optional<std::int64_t> number_of(const Json& asked, const char* key, std::string_view at = "");
/// Milliseconds, 0 at least.
std::optional<std::int64_t> time_of(const Json& asked, const char* key);
bool flag_of(const Json& asked, const char* key, bool otherwise);
/// The call's `limit`; `most` without one.
std::size_t limit_of(const Json& asked, std::size_t most);
/// An array of `most` items at most, and of one at least. Null when it is not there.
const Json* list_of(const Json& asked, const char* key, std::size_t most);

/// Names, checked: of a group, of a stream or of a filter.
std::string group_name(const Json& asked, const char* key = "logGroupName");
std::string plain_name(const Json& asked, const char* key);
/// What names are to begin with; "" when it is not there.
std::string group_prefix(const Json& asked, const char* key);
std::string plain_prefix(const Json& asked, const char* key);
void check_plain_name(std::string_view name, std::string_view key);
/// The group that a call means by its name, or by its logGroupIdentifier, which may be an ARN.
std::string group_or_identifier(const Json& asked);
/// The name of a group that is weir's own; nothing of any other ARN, or of what is none. Throws nothing.
std::optional<std::string> group_of_arn(std::string_view arn);

/// By what a list is in order.
using ListKey = std::pair<std::int64_t, std::string>;

/// Leaves of a list what this call gets: the items behind its nextToken, `most` at most. Returns the token of the next
/// page, or "".
std::string take_page(const Json& asked, std::size_t most, bool descending,
                      std::vector<std::pair<ListKey, const void*>>& items);

}  // namespace weir::logs
