#pragma once

#include <string>
#include <vector>

#include "weir/base/error.h"

namespace weir::package {

constexpr std::size_t kLayersMax = 5;

/// One folder with what all layers hold, which is to be /opt; later layers win. A layer is a folder or a .zip, which is
/// unpacked into `cache` under its content's hash, once. A single layer is used where it lies; several are copied
/// together into `merged`, which is emptied before. Blocks. endpoint.failed when a layer is not there or no zip, or
/// when they are larger than Lambda allows.
Result<std::string> prepare_layers(const std::vector<std::string>& layers, const std::string& cache,
                                   const std::string& merged);

/// The names of the external extensions that layers bring: what is executable in `opt`/extensions, sorted.
std::vector<std::string> extensions_in(const std::string& opt);

}  // namespace weir::package
