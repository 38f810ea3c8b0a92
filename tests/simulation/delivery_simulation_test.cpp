#include <iostream>

#include <catch2/catch.hpp>

#include "delivery_world.h"
#include "seeds.h"

/// WEIR_SIM_SEED=n runs that world alone; WEIR_SIM_RUNS=n runs the worlds 1 to n.
TEST_CASE("deliveries reach their end through faults, stops and crashes, groups in order", "[simulation][delivery]") {
  const weir::simulation::Seeds seeds(20'000);
  weir::simulation::DeliveryMet met;
  weir::simulation::run_worlds<weir::simulation::DeliveryWorld>(seeds, met);

  // A world that never meets a fault proves nothing about it.
  if (seeds.few()) return;
  CHECK(met.deliveries > 10 * met.worlds);
  CHECK(met.attempts > met.deliveries);
  CHECK(met.retries > met.worlds);
  CHECK(met.refused_at_the_door > met.worlds / 10);
  CHECK(met.delivered > met.worlds);
  CHECK(met.exhausted > met.worlds);
  CHECK(met.expired > met.worlds);
  CHECK(met.expired_untried > met.worlds / 10);
  CHECK(met.expired_behind > met.worlds / 10);
  CHECK(met.expired_ahead > met.worlds / 10);
  CHECK(met.refused > met.worlds / 10);
  CHECK(met.hints > met.worlds / 10);
  CHECK(met.cancelled > met.worlds / 10);
  CHECK(met.hindered > met.worlds);
  CHECK(met.rests > met.worlds / 2);
  CHECK(met.dropped > met.worlds);
  CHECK(met.never_answered > met.worlds / 20);
  CHECK(met.full_targets > met.worlds);
  CHECK(met.empty_buckets > met.worlds);
  CHECK(met.full_endings > met.worlds);
  CHECK(met.held_back > met.worlds);
  CHECK(met.store_refused > met.worlds);
  CHECK(met.lies > met.worlds / 20);
  CHECK(met.probes > met.worlds / 4);
  CHECK(met.remember_lost > met.worlds / 4);
  CHECK(met.crashes > met.worlds / 4);
  CHECK(met.stops > met.worlds / 4);
  CHECK(met.given_up > met.worlds / 20);
  CHECK(met.restored > met.worlds);
  CHECK(met.restored_tried > met.worlds / 4);
  CHECK(met.wall_jumps > met.worlds / 10);
  std::cout << met.worlds << " worlds of deliveries, " << met.deliveries << " deliveries, " << met.steps << " steps, "
            << met.attempts << " attempts, " << met.crashes << " crashes: every promise kept\n";
}
