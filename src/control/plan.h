#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "config/function_plan.h"
#include "control/code.h"
#include "control/model.h"

namespace weir::control {

/// What the bridge is to make of a function. `target_of`: what something of AWS's is called as a destination, by its
/// ARN.
config::FunctionPlan plan_of(const Function& function, const CodeFolder& code,
                             const std::function<std::string(std::string_view arn)>& target_of);

}  // namespace weir::control
