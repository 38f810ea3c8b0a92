#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace weir::service {

// Looks into JSON texts that are known to be well-formed, with no tree: what is found keeps its spelling.

/// Passes over an object's members, or an array's elements, once and in their order. Nothing is told of anything else.
void each_member(std::string_view json,
                 const std::function<void(std::string_view name, std::string_view value)>& member);
void each_element(std::string_view json, const std::function<void(std::string_view value)>& element);

/// The value of an object's member, of one that comes twice the last; nothing when it has none, or is no object.
std::optional<std::string_view> member_of(std::string_view json, std::string_view name);
/// The element of an array; nothing when it has none, or is no array.
std::optional<std::string_view> element_of(std::string_view json, std::size_t index);

/// The characters of a JSON string, which stands in its quotes; "" of any other value.
std::string decoded(std::string_view json_string);
/// The same of what is between the quotes, as it is written.
std::string unescaped(std::string_view inside);
/// The same of a member that is a string; "" of any other.
std::string text_of(std::string_view json, std::string_view name);

/// The value without white space and without any quotes: {a:1,b:[x]}.
std::string without_quotes(std::string_view json);

}  // namespace weir::service
