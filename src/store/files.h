#pragma once

#include <string>

#include "weir/base/error.h"

namespace weir::store {

/// The store's error for a system call that failed on `path`; `number` is its errno.
Error system_error(const std::string& path, int number);

/// Returns when what was made, renamed and removed in the folder is on the disk.
Result<void> sync_folder(const std::string& folder);

}  // namespace weir::store
