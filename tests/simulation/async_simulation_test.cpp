#include <iostream>

#include <catch2/catch.hpp>

#include "async_world.h"
#include "seeds.h"

/// WEIR_SIM_SEED=n runs that world alone; WEIR_SIM_RUNS=n runs the worlds 1 to n.
TEST_CASE("events of the asynchronous queue reach their end through faults, stops and crashes", "[simulation][async]") {
  const weir::simulation::Seeds seeds(20'000);
  weir::simulation::AsyncMet met;
  weir::simulation::run_worlds<weir::simulation::AsyncWorld>(seeds, met);

  // A world that never meets a fault proves nothing about it.
  if (seeds.few()) return;
  CHECK(met.events > 10 * met.worlds);
  CHECK(met.invocations > met.events);
  CHECK(met.refused_at_the_door > met.worlds / 10);
  CHECK(met.succeeded > met.worlds);
  CHECK(met.exhausted > met.worlds);
  CHECK(met.too_old > met.worlds);
  CHECK(met.too_old_untried > met.worlds / 10);
  CHECK(met.too_old_ahead > met.worlds / 10);
  CHECK(met.zero_reserved > met.worlds / 10);
  CHECK(met.failed > met.worlds);
  CHECK(met.throttled_by_ledger > met.worlds);
  CHECK(met.throttled > met.worlds);
  CHECK(met.system_errors > met.worlds);
  CHECK(met.gone > met.worlds / 4);
  CHECK(met.cancelled > met.worlds / 10);
  CHECK(met.never_answered > met.worlds / 20);
  CHECK(met.pauses > met.worlds);
  CHECK(met.careful > met.worlds);
  CHECK(met.full_windows > met.worlds);
  CHECK(met.full_endings > met.worlds);
  CHECK(met.refused > met.worlds);
  CHECK(met.lies > met.worlds / 10);
  CHECK(met.probes > met.worlds / 4);
  CHECK(met.remember_lost > met.worlds / 4);
  CHECK(met.crashes > met.worlds / 4);
  CHECK(met.crashes_between_actions > met.worlds / 20);
  CHECK(met.stored_untold > met.worlds / 50);
  CHECK(met.ran_after_a_crash > met.worlds / 10);
  CHECK(met.stops > met.worlds / 4);
  CHECK(met.given_up > met.worlds / 20);
  CHECK(met.restored > met.worlds);
  CHECK(met.restored_tried > met.worlds / 4);
  CHECK(met.wall_jumps > met.worlds / 10);
  CHECK(met.reconfigured > met.worlds / 4);
  std::cout << met.worlds << " asynchronous worlds, " << met.events << " events, " << met.steps << " steps, "
            << met.invocations << " invocations, " << met.crashes << " crashes: every promise kept\n";
}
