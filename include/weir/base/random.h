#pragma once

#include <cstdint>
#include <string>

namespace weir {

/// Small seeded generator (SplitMix64). Equal seeds give equal sequences on every machine, which is what makes a
/// simulated world repeatable; never for secrets.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next();
  /// Uniform in [0, bound); 0 when bound is 0.
  std::uint64_t below(std::uint64_t bound);
  /// Uniform in [0, 1).
  double unit();
  bool chance(double probability) { return unit() < probability; }
  /// A version 4 UUID, lower case, 36 characters.
  std::string uuid();

 private:
  std::uint64_t state_;
};

/// A seed from the operating system, different at every call.
std::uint64_t seed_from_system();

}  // namespace weir
