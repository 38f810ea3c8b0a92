#include "service/characters.h"

#include <algorithm>

namespace weir::service {
namespace {

constexpr std::size_t kShownMax = 256;

bool continues(char c) {
  return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U;
}

}  // namespace

std::size_t characters(std::string_view text) {
  return text.size() - static_cast<std::size_t>(std::ranges::count_if(text, continues));
}

std::string shown(std::string_view value) {
  if (value.size() <= kShownMax) return std::string(value);
  std::size_t end = kShownMax;
  while (end > 0 && continues(value[end])) --end;
  return std::string(value.substr(0, end)) + "...";
}

}  // namespace weir::service
