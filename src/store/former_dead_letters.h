#pragma once

#include <string>

#include "weir/base/error.h"

#include "store/database.h"

namespace weir::store {

/// Dead letters had a file of their own, `deadletters.sqlite`, before there was a queue. Moves what is in it to `queue`
/// and ends the file. A crash at any point loses no letter and keeps none twice: the next call goes on. Without the
/// file it does nothing. Errors name the file; it is then as it was.
Result<void> take_over_dead_letters(const std::string& folder, Database& queue);

}  // namespace weir::store
