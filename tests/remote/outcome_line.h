#pragma once

#include <string>
#include <variant>

#include "weir/event/invocation.h"

namespace weir::test {

/// An outcome in one line: "success 1", "function_error Type {...}", "throttle Reason", "service_error 404 Type text".
inline std::string line(const Outcome& outcome) {
  struct Writer {
    std::string operator()(const Succeeded& what) const { return " " + what.payload; }
    std::string operator()(const FunctionFailed& what) const { return " " + what.error_type + " " + what.payload; }
    std::string operator()(const Throttled& what) const { return " " + std::string(text(what.reason)); }
    std::string operator()(const ServiceFailed& what) const {
      return " " + std::to_string(what.status) + " " + what.type + " " + what.message;
    }
    std::string operator()(const Cancelled&) const { return ""; }
  };
  return std::string(kind(outcome)) + std::visit(Writer{}, outcome.what);
}

}  // namespace weir::test
