#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>

#include <catch2/catch.hpp>

namespace weir::simulation {

/// Which worlds a test runs: WEIR_SIM_SEED=n one alone, WEIR_SIM_RUNS=n the worlds 1 to n, else as many as it says.
struct Seeds {
  explicit Seeds(std::uint64_t worlds) {
    const std::uint64_t one = number("WEIR_SIM_SEED", 0);
    first = one > 0 ? one : 1;
    last = one > 0 ? one : number("WEIR_SIM_RUNS", worlds);
  }

  /// Too few worlds to say anything of what they met.
  bool few() const { return last - first < 1000; }

  std::uint64_t first, last;

 private:
  static std::uint64_t number(const char* name, std::uint64_t fallback) {
    const char* text = std::getenv(name);
    return text == nullptr || *text == '\0' ? fallback : std::stoull(text);
  }
};

/// Each world to its end, or to the first broken promise.
template <typename World, typename Figures>
void run_worlds(const Seeds& seeds, Figures& met) {
  for (std::uint64_t seed = seeds.first; seed <= seeds.last; ++seed) {
    World world(seed, met);
    while (world.step()) {
    }
    if (!world.broken_promise().empty()) {
      FAIL("replay: WEIR_SIM_SEED=" << seed << "\n" << world.broken_promise() << "\n" << world.summary());
    }
  }
}

}  // namespace weir::simulation
