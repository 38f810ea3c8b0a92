#include "pattern/ip_address.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <vector>

namespace weir::pattern {
namespace {

constexpr std::size_t kIpv4Length = 15;  ///< the longest text that Java takes for IPv4

bool digit(char c) {
  return c >= '0' && c <= '9';
}

int hex_value(char c) {
  if (digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool looks_like_ipv4(std::string_view text) {
  int parts = 0;
  bool open = false;
  for (const char c : text) {
    if (digit(c)) {
      if (!open) ++parts;
      open = true;
    } else if (c == '.' && open) {
      open = false;
    } else {
      return false;
    }
  }
  return open && parts == 4;
}

bool looks_like_ipv6(std::string_view text) {
  return text.find(':') != std::string_view::npos &&
         std::ranges::all_of(text, [](char c) { return c == ':' || hex_value(c) >= 0; });
}

std::optional<std::string> parse_ipv4(std::string_view text) {
  if (text.size() > kIpv4Length) return std::nullopt;
  std::string bytes;
  int value = 0;
  for (const char c : text) {
    if (c == '.') {
      bytes += static_cast<char>(value);
      value = 0;
      continue;
    }
    value = value * 10 + (c - '0');
    if (value > 255) return std::nullopt;
  }
  bytes += static_cast<char>(value);
  return bytes;
}

std::optional<std::string> parse_ipv6(std::string_view text) {
  if (text.size() < 2 || (text[0] == ':' && text[1] != ':')) return std::nullopt;
  if (text[0] == ':') text.remove_prefix(1);
  std::string bytes;
  std::optional<std::size_t> gap;
  bool digits = false;
  int value = 0;
  const auto keep = [&] {
    bytes += static_cast<char>(value >> 8);
    bytes += static_cast<char>(value & 0xFF);
    value = 0;
    digits = false;
    return bytes.size() <= 16;
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    const int nibble = hex_value(text[i]);
    if (nibble >= 0) {
      value = value << 4 | nibble;
      if (value > 0xFFFF) return std::nullopt;
      digits = true;
    } else if (!digits) {
      if (gap) return std::nullopt;
      gap = bytes.size();
    } else if (i + 1 == text.size() || !keep()) {
      return std::nullopt;
    }
  }
  if (digits && !keep()) return std::nullopt;
  if (gap) {
    if (bytes.size() == 16) return std::nullopt;
    bytes.insert(*gap, 16 - bytes.size(), '\0');
  }
  if (bytes.size() != 16) return std::nullopt;
  static const std::string mapped = std::string(10, '\0') + "\xFF\xFF";
  if (bytes.starts_with(mapped)) bytes.erase(0, mapped.size());
  return bytes;
}

}  // namespace

bool looks_like_address(std::string_view text) {
  if (text.empty() || (hex_value(text[0]) < 0 && text[0] != ':')) return false;
  return looks_like_ipv4(text) || looks_like_ipv6(text);
}

std::optional<std::string> parse_address(std::string_view text) {
  if (text.empty() || (hex_value(text[0]) < 0 && text[0] != ':')) return std::nullopt;
  if (looks_like_ipv4(text)) return parse_ipv4(text);
  if (looks_like_ipv6(text)) return parse_ipv6(text);
  return std::nullopt;
}

bool AddressBlock::holds(std::string_view address) const {
  if (address.size() >= bottom.size()) {
    const std::string_view front = address.substr(0, bottom.size());
    return front >= bottom && front <= top;
  }
  // Too short to be compared to the end: it has to lie strictly between the fronts.
  return address > std::string_view(bottom).substr(0, address.size()) &&
         address < std::string_view(top).substr(0, address.size());
}

std::optional<AddressBlock> parse_block(std::string_view text, std::string& reason) {
  // Java's split() drops empty parts at the end, so "10.0.0.0/8/" is fine and "10.0.0.0/" is not.
  std::vector<std::string_view> parts;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('/', begin), text.size());
    parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  while (parts.size() > 1 && parts.back().empty()) parts.pop_back();
  if (parts.size() != 2) {
    reason = "Malformed CIDR, one '/' required";
    return std::nullopt;
  }
  std::string_view number = parts[1];
  const bool plus = number.size() > 1 && number[0] == '+' && number[1] != '-';
  if (plus) number.remove_prefix(1);
  std::int32_t bits = 0;
  const auto [end, problem] = std::from_chars(number.data(), number.data() + number.size(), bits);
  if (problem != std::errc() || end != number.data() + number.size()) {
    reason = "Malformed CIDR, mask bits must be an integer";
    return std::nullopt;
  }
  if (bits < 0) {
    reason = "Malformed CIDR, mask bits must not be negative";
    return std::nullopt;
  }
  const std::string literal(parts[0]);
  if (!looks_like_address(literal)) {
    reason = "Nonstandard IP address: " + literal;
    return std::nullopt;
  }
  const std::optional<std::string> address = parse_address(literal);
  if (!address) {
    reason = "Invalid IP address: " + literal;
    return std::nullopt;
  }
  const std::int32_t all = static_cast<std::int32_t>(address->size()) * 8;
  if (bits >= all) {
    reason = all == 32 ? "IPv4 mask bits must be < 32" : "IPv6 mask bits must be < 128";
    return std::nullopt;
  }
  AddressBlock block = AddressBlock::of(*address);
  for (std::size_t i = 0; i < address->size(); ++i) {
    const std::int32_t fixed = std::clamp(bits - static_cast<std::int32_t>(i) * 8, 0, 8);
    const auto open = static_cast<unsigned char>(0xFFU >> static_cast<unsigned>(fixed));
    const auto byte = static_cast<unsigned char>((*address)[i]);
    block.bottom[i] = static_cast<char>(byte & static_cast<unsigned char>(~open));
    block.top[i] = static_cast<char>(byte | open);
  }
  return block;
}

}  // namespace weir::pattern
