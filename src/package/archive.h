#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "weir/base/error.h"

namespace weir::package {

/// What a function and its layers may take together, unpacked (Lambda quotas: 250 MB).
constexpr std::uint64_t kUnzippedBytesMax = 262'144'000;

/// Unpacks a zip into `folder`, which exists and is empty, and says how many bytes its files have. endpoint.failed with
/// AWS's sentence when it is no zip or holds more than `bytes_max`; with weir's own when an entry would land outside of
/// the folder, is a link that leads out of it, or is neither file, folder nor link. What was unpacked so far stays: the
/// folder is the caller's to remove. Blocks.
Result<std::uint64_t> unzip(std::string_view zip, const std::string& folder, std::uint64_t bytes_max);
Result<std::uint64_t> unzip_file(const std::string& path, const std::string& folder, std::uint64_t bytes_max);

}  // namespace weir::package
