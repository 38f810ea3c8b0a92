#include <iostream>

#include <catch2/catch.hpp>

#include "queue_world.h"
#include "seeds.h"

/// WEIR_SIM_SEED=n runs that world alone; WEIR_SIM_RUNS=n runs the worlds 1 to n.
TEST_CASE("messages of a queue reach their end through faults, stops and crashes", "[simulation][queue]") {
  const weir::simulation::Seeds seeds(6000);
  weir::simulation::QueueFigures met;
  weir::simulation::run_worlds<weir::simulation::QueueWorld>(seeds, met);

  // A world that never meets a fault proves nothing about it.
  if (seeds.few()) return;
  CHECK(met.messages > 10 * met.worlds);
  CHECK(met.full_batches > met.worlds);
  CHECK(met.grown > met.worlds);
  CHECK(met.at_limit > met.worlds);
  CHECK(met.succeeded > met.worlds);
  CHECK(met.failed > met.worlds);
  CHECK(met.partial > met.worlds / 10);
  CHECK(met.whole_reports > met.worlds / 10);
  CHECK(met.throttled_by_ledger > met.worlds);
  CHECK(met.throttled > met.worlds);
  CHECK(met.service_errors > met.worlds);
  CHECK(met.cancelled > met.worlds / 10);
  CHECK(met.never_answered > met.worlds / 20);
  CHECK(met.tried_again > met.worlds);
  CHECK(met.received_again > met.worlds);
  CHECK(met.filtered > met.worlds);
  CHECK(met.dead > met.worlds / 2);
  CHECK(met.extended_in_flight > met.worlds);
  CHECK(met.extended > met.extended_in_flight + met.worlds / 2);
  CHECK(met.released > met.worlds / 4);
  CHECK(met.longer_timeouts > met.worlds);
  CHECK(met.receives_failed > met.worlds);
  CHECK(met.removes_failed > met.worlds);
  CHECK(met.lies > met.worlds / 4);
  CHECK(met.changes_failed > met.worlds / 2);
  CHECK(met.stale_receipts > met.worlds / 4);
  CHECK(met.mixed_groups > met.worlds / 2);
  CHECK(met.groups_left > met.worlds / 4);
  CHECK(met.crashes > met.worlds / 4);
  CHECK(met.crashes_between_actions > met.worlds / 100);
  CHECK(met.stops > met.worlds / 2);
  CHECK(met.came_while_stopping > met.worlds / 100);
  CHECK(met.ran_after_a_crash > met.worlds / 10);
  std::cout << met.worlds << " worlds, " << met.messages << " messages, " << met.steps << " steps, " << met.invocations
            << " invocations, " << met.crashes << " crashes: every promise kept\n";
}
