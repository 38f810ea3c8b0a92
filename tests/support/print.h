#pragma once

#include <ostream>

#include "weir/base/error.h"
#include "weir/event/position.h"
#include "weir/event/resume.h"

/// How Catch2 shows values of weir; without the first, CHECK(result) does not compile.
namespace weir {

inline std::ostream& operator<<(std::ostream& out, const Error& error) {
  return out << error.describe();
}
inline std::ostream& operator<<(std::ostream& out, const Position& position) {
  return out << position.text();
}
inline std::ostream& operator<<(std::ostream& out, const Resume& resume) {
  return out << resume.text();
}

}  // namespace weir
