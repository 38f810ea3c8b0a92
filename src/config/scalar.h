#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace weir::config {

/// What an unquoted scalar is by YAML 1.2's core schema: `yes` is a text, and so is a date.
enum class Shape { kText, kWholeNumber, kNumber, kTruth };

Shape shape_of(std::string_view scalar);

/// The whole number of a scalar (decimal, 0x, 0o); nothing when it is none or does not fit.
std::optional<std::int64_t> whole_number(std::string_view scalar);

/// true, True or TRUE, and the same of false.
std::optional<bool> truth(std::string_view scalar);

}  // namespace weir::config
