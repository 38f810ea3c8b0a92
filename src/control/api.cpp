#include "control/api.h"

#include <algorithm>

#include "control/api_call.h"

namespace weir::control {
namespace {

/// Whether a path is one of a pattern's, in which a star stands for one segment.
bool fits(std::string_view pattern, const std::vector<std::string>& path) {
  std::size_t at = 0;
  for (;;) {
    const std::size_t slash = pattern.find('/');
    const std::string_view piece = pattern.substr(0, slash);
    if (at == path.size() || path[at].empty() || (piece != "*" && piece != path[at])) return false;
    ++at;
    if (slash == std::string_view::npos) return at == path.size();
    pattern.remove_prefix(slash + 1);
  }
}

}  // namespace

Reply answer(const World& world, const Asked& asked) {
  for (const auto operations : {function_operations(), version_operations(), concurrency_operations(),
                                mapping_operations(), layer_operations(), other_operations()}) {
    const auto found = std::find_if(operations.begin(), operations.end(), [&](const Operation& each) {
      return each.method == asked.method && fits(each.path, asked.path);
    });
    if (found == operations.end()) continue;
    Call call(world, asked, found->name);
    return found->handle(call);
  }
  std::string path;
  for (const std::string& segment : asked.path) path.append("/").append(segment);
  return Reply(not_served(asked.method, path));
}

LambdaError not_served(std::string_view method, std::string_view path) {
  constexpr std::size_t kShown = 256;
  return {501, "NotImplementedException",
          "weir does not serve " + std::string(method) + " " + std::string(path.substr(0, kShown)) + "."};
}

}  // namespace weir::control
