#include "weir/base/random.h"

#include <random>

namespace weir {

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
  constexpr char kHex[] = "0123456789abcdef";
  constexpr std::size_t kVariant = 19;
  std::string text = "xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx";
  std::uint64_t bits = 0;
  const auto write = [&](std::size_t from, std::size_t end) {
    for (std::size_t at = from; at < end; ++at, bits >>= 4U) text[at] = kHex[bits & 15U];
  };
  bits = next();
  write(0, 8);
  write(9, 13);
  write(15, 18);
  text[kVariant] = kHex[(bits & 3U) | 8U];
  bits = next();
  write(kVariant + 1, 23);
  write(24, 36);
  return text;
}

std::uint64_t seed_from_system() {
  std::random_device device;
  return (static_cast<std::uint64_t>(device()) << 32) | device();
}

}  // namespace weir
