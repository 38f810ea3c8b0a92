#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace weir::config {

/// The word that was probably meant by `written`: a different spelling of the same letters (`BatchSize` for
/// `batch_size`) or the nearest one, when it is near. The first of equals.
std::optional<std::string> nearest(std::string_view written, std::span<const std::string> words);

/// "; did you mean batch_size?", or "" when nothing is near.
std::string suggestion(std::string_view written, std::span<const std::string> words);

/// "a, b or c".
std::string listed(std::span<const std::string> words);

}  // namespace weir::config
