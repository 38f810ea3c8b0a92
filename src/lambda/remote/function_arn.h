#pragma once

#include <string>
#include <string_view>

#include "weir/base/error.h"

namespace weir::remote {

/// A function as a caller of Lambda names it.
struct FunctionName {
  std::string region;     ///< "" when only a name was given
  std::string function;   ///< the ARN without its qualifier, or the name
  std::string qualifier;  ///< "" when there is none
};

/// Takes "arn:aws:lambda:eu-west-1:123456789012:function:NAME:QUALIFIER" or "NAME:QUALIFIER" apart. endpoint.failed
/// says what is wrong with it.
Result<FunctionName> parse_function_name(std::string_view text);

}  // namespace weir::remote
