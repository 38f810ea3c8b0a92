#include "lambda/remote/function_arn.h"

#include <algorithm>
#include <vector>

#include "aws/addresses.h"

namespace weir::remote {
namespace {

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t end = text.find(at);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

}  // namespace

Result<FunctionName> parse_function_name(std::string_view text) {
  const std::vector<std::string_view> parts = split(text, ':');
  const auto empty = [](std::string_view part) { return part.empty(); };
  FunctionName name;
  if (text.starts_with("arn:")) {
    const bool right = (parts.size() == 7 || parts.size() == 8) && parts[2] == "lambda" && parts[5] == "function" &&
                       std::none_of(parts.begin(), parts.end(), empty) && aws::is_region(parts[3]);
    if (!right) {
      return Error(ErrorCode::kEndpointFailed,
                   "\"" + std::string(text) +
                       "\" is no function's ARN; one is arn:aws:lambda:eu-west-1:123456789012:function:NAME");
    }
    name.region = parts[3];
    if (parts.size() == 8) name.qualifier = parts[7];
    name.function = text.substr(0, text.size() - (parts.size() == 8 ? parts[7].size() + 1 : 0));
    return name;
  }
  if (parts.size() > 2 || std::any_of(parts.begin(), parts.end(), empty))
    return Error(ErrorCode::kEndpointFailed, "\"" + std::string(text) + "\" is no function's name");
  name.function = parts[0];
  if (parts.size() == 2) name.qualifier = parts[1];
  return name;
}

}  // namespace weir::remote
