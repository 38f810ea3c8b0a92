#include "config/substitute.h"

#include <algorithm>

namespace weir::config {
namespace {

bool is_variable_name(std::string_view name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  return !name.empty() && !digit(name.front()) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return letter(c) || digit(c); });
}

/// Appends what `inside` (the text between the braces) stands for.
void replace_variable(std::string_view inside, const EnvironmentLookup& environment, Substitution& out) {
  const std::size_t mark = inside.find(":-");
  const std::string_view name = inside.substr(0, mark);
  if (!is_variable_name(name)) {
    out.mistake =
        "${" + std::string(inside) + "} is no variable; write ${NAME} or ${NAME:-default}, and $${ for a plain ${";
    return;
  }
  const std::optional<std::string> value = environment(name);
  const bool has_default = mark != std::string_view::npos;
  if (value && (!value->empty() || !has_default)) {
    out.text.append(*value);
    out.variables.emplace_back(name, *value);
  } else if (has_default) {
    out.text.append(inside.substr(mark + 2));
  } else {
    out.mistake = "the environment variable " + std::string(name) + " is not set; ${" + std::string(name) +
                  ":-default} would give a default";
  }
}

}  // namespace

Substitution substitute(std::string_view written, const EnvironmentLookup& environment) {
  Substitution out;
  std::size_t at = 0;
  while (!out.mistake) {
    const std::size_t dollar = written.find("${", at);
    if (dollar == std::string_view::npos) break;
    if (dollar > at && written[dollar - 1] == '$') {
      out.text.append(written.substr(at, dollar - 1 - at)).append("${");
      at = dollar + 2;
      continue;
    }
    out.text.append(written.substr(at, dollar - at));
    const std::size_t close = written.find('}', dollar);
    if (close == std::string_view::npos) {
      out.mistake = "${ has no closing }; write $${ for a plain ${";
      break;
    }
    out.replaced = true;
    replace_variable(written.substr(dollar + 2, close - dollar - 2), environment, out);
    at = close + 1;
  }
  if (!out.mistake) out.text.append(written.substr(at));
  return out;
}

}  // namespace weir::config
