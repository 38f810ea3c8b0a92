#pragma once

#include <ostream>

#include "weir/base/error.h"
#include "weir/event/position.h"

/// How Catch2 shows values of weir; without the first, CHECK(result) does not compile.
namespace weir {

inline std::ostream& operator<<(std::ostream& out, const Error& error) {
  return out << error.describe();
}
inline std::ostream& operator<<(std::ostream& out, const Position& position) {
  return out << position.text();
}

}  // namespace weir
