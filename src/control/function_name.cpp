#include "control/function_name.h"

#include <algorithm>
#include <vector>

namespace weir::control {
namespace {

bool lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool letter(char c) {
  return lower(c) || (c >= 'A' && c <= 'Z');
}
bool digit(char c) {
  return c >= '0' && c <= '9';
}

bool all(std::string_view text, bool (*allowed)(char)) {
  return !text.empty() && std::all_of(text.begin(), text.end(), allowed);
}

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t end = text.find(at);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

/// "us-east-1", "us-gov-west-1", "us-isob-east-1".
bool is_region(std::string_view text) {
  auto words = split(text, '-');
  if (words.size() == 4) {
    const std::string_view kind = words[1];
    if (kind != "gov" && !(kind.starts_with("iso") && kind.size() <= 4 && (kind.size() == 3 || lower(kind[3]))))
      return false;
    words.erase(words.begin() + 1);
  }
  return words.size() == 3 && words[0].size() == 2 && all(words[0], lower) && all(words[1], lower) &&
         words[2].size() == 1 && digit(words[2][0]);
}

bool is_partition(std::string_view text) {
  return text.empty() || (text.starts_with("aws") &&
                          std::all_of(text.begin() + 3, text.end(), [](char c) { return letter(c) || c == '-'; }));
}

bool in_name(char c) {
  return letter(c) || digit(c) || c == '-' || c == '_' || c == '.';
}

bool in_alias(char c) {
  return letter(c) || digit(c) || c == '-' || c == '_';
}

}  // namespace

std::optional<FunctionName> parse_function_name(std::string_view text) {
  FunctionName out;
  auto parts = split(text, ':');
  // Each optional part is taken where it fits, as long as something is left to be the name.
  const auto drop = [&](std::size_t count) { parts.erase(parts.begin(), parts.begin() + static_cast<long>(count)); };
  if (parts.size() > 3 && parts[0] == "arn" && is_partition(parts[1]) && parts[2] == "lambda") drop(3);
  if (parts.size() > 1 && is_region(parts[0])) {
    out.region = parts[0];
    drop(1);
  }
  if (parts.size() > 1 && parts[0].size() == 12 && all(parts[0], digit)) {
    out.account = parts[0];
    drop(1);
  }
  if (parts.size() > 1 && parts[0] == "function") drop(1);
  if (parts.size() > 2 || !all(parts[0], in_name)) return std::nullopt;
  out.name = parts[0];
  if (parts.size() == 2) {
    if (parts[1] != "$LATEST" && parts[1] != "$LATEST.PUBLISHED" && !all(parts[1], in_alias)) return std::nullopt;
    out.qualifier = parts[1];
  }
  return out;
}

bool is_qualifier(std::string_view text) {
  return all(text, [](char c) { return in_alias(c) || c == '$'; });
}

}  // namespace weir::control
