#include "weir/base/random.h"

#include <array>
#include <cstring>
#include <random>

namespace weir {
namespace {

constexpr char kHex[] = "0123456789abcdef";

using Digits = std::array<char, 16>;

/// The hex digits of a number, the lowest first.
Digits hex_of(std::uint64_t number) {
  static constexpr auto kPairs = [] {
    std::array<std::array<char, 2>, 256> pairs{};
    for (std::size_t byte = 0; byte < pairs.size(); ++byte) pairs[byte] = {kHex[byte & 15U], kHex[byte >> 4U]};
    return pairs;
  }();
  Digits digits;
  for (std::size_t at = 0; at < digits.size(); at += 2, number >>= 8U) {
    std::memcpy(&digits[at], kPairs[number & 255U].data(), 2);
  }
  return digits;
}

}  // namespace

std::uint64_t Random::next() {
  state_ += 0x9E3779B97F4A7C15U;
  std::uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
  return z ^ (z >> 31);
}

std::uint64_t Random::below(std::uint64_t bound) {
  // The bias of the remainder is below 2^-32 for every bound used here.
  return bound == 0 ? 0 : next() % bound;
}

double Random::unit() {
  return static_cast<double>(next() >> 11) * 0x1.0p-53;
}

std::string Random::uuid() {
  constexpr std::size_t kVariant = 19;
  std::string text = "xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx";
  const std::uint64_t first = next();
  const Digits digits = hex_of(first);
  std::memcpy(&text[0], &digits[0], 8);
  std::memcpy(&text[9], &digits[8], 4);
  std::memcpy(&text[15], &digits[12], 3);
  text[kVariant] = kHex[(first >> 60U & 3U) | 8U];
  const Digits more = hex_of(next());
  std::memcpy(&text[kVariant + 1], &more[0], 3);
  std::memcpy(&text[24], &more[3], 12);
  return text;
}

std::uint64_t seed_from_system() {
  std::random_device device;
  return (static_cast<std::uint64_t>(device()) << 32) | device();
}

}  // namespace weir
