#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace weir::control {

/// What callers may write for a function's name, in the words of the API's model.
inline constexpr std::string_view kFunctionNamePattern =
    R"((arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?)"
    R"(([a-zA-Z0-9-_\.]+)(:(\$LATEST(\.PUBLISHED)?|[a-zA-Z0-9-_]+))?)";

/// The same where functions are made: their names have no dot.
inline constexpr std::string_view kManagedNamePattern =
    R"((arn:(aws[a-zA-Z-]*)?:lambda:)?([a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?)"
    R"(([a-zA-Z0-9-_]+)(:(\$LATEST|[a-zA-Z0-9-_]+))?)";

/// A function as a caller names it: NAME, NAME:QUALIFIER, ACCOUNT:function:NAME, or a whole ARN. Parts that were not
/// given are empty.
struct FunctionName {
  std::string region;
  std::string account;
  std::string name;
  std::string qualifier;
};

/// Takes a name apart as kFunctionNamePattern does; nothing when it does not match.
std::optional<FunctionName> parse_function_name(std::string_view text);

/// Whether it is made of what versions and aliases are made of: [a-zA-Z0-9$_-]+
bool is_qualifier(std::string_view text);

}  // namespace weir::control
