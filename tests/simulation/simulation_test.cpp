#include <iostream>

#include <catch2/catch.hpp>

#include "seeds.h"
#include "world.h"

/// WEIR_SIM_SEED=n runs that world alone; WEIR_SIM_RUNS=n runs the worlds 1 to n.
TEST_CASE("shards reach their end through faults, stops and crashes", "[simulation]") {
  const weir::simulation::Seeds seeds(12'000);
  weir::simulation::Figures met;
  weir::simulation::run_worlds<weir::simulation::World>(seeds, met);

  // A world that never meets a fault proves nothing about it.
  if (seeds.few()) return;
  CHECK(met.records > 10 * met.worlds);
  CHECK(met.crashes > met.worlds / 4);
  CHECK(met.crashes_between_actions > met.worlds / 100);
  CHECK(met.stops > met.worlds / 4);
  CHECK(met.retries > met.worlds);
  CHECK(met.throttled_by_ledger > met.worlds / 4);
  CHECK(met.throttled > met.worlds / 4);
  CHECK(met.service_errors > met.worlds / 4);
  CHECK(met.cancelled > met.worlds / 10);
  CHECK(met.never_answered > met.worlds / 10);
  CHECK(met.ran_after_a_crash > met.worlds / 10);
  CHECK(met.discards_attempts > met.worlds / 10);
  CHECK(met.discards_age > met.worlds / 10);
  CHECK(met.discards_size > met.worlds / 10);
  CHECK(met.age_cut_a_batch > met.worlds / 100);
  CHECK(met.checkpoints_coalesced > met.worlds / 10);
  CHECK(met.refused > met.worlds / 4);
  CHECK(met.lies > met.worlds / 100);
  CHECK(met.reads_called_off > met.worlds / 10);
  CHECK(met.reads_too_late > met.worlds / 100);
  CHECK(met.windows_waited_for > met.worlds / 10);
  CHECK(met.full_buffers > met.worlds / 10);
  CHECK(met.wall_jumps > met.worlds / 10);
  CHECK(met.ended > met.worlds / 10);

  CHECK(met.lanes_together > met.worlds / 2);
  CHECK(met.all_lanes_together > met.worlds / 10);
  CHECK(met.settled_behind_a_gap > met.worlds / 4);
  CHECK(met.filtered > met.worlds);
  CHECK(met.checkpoints_over_filtered > met.worlds / 4);
  CHECK(met.aggregates_cut > met.worlds / 4);
  CHECK(met.partial_answers > met.worlds / 10);
  CHECK(met.whole_reports > met.worlds / 10);
  CHECK(met.unasked_reports > met.worlds / 4);
  CHECK(met.halved > met.worlds / 4);
  CHECK(met.discards_reported > met.worlds / 20);
  CHECK(met.discards_size_by_attempts > met.worlds / 20);
  CHECK(met.destination_kept > met.worlds / 10);
  CHECK(met.destination_refused > met.worlds / 20);
  CHECK(met.windows_since_the_end_before > met.worlds / 10);
  CHECK(met.final_calls > met.worlds / 4);
  CHECK(met.final_calls_idle > met.worlds / 10);
  CHECK(met.final_calls_failed > met.worlds / 10);
  CHECK(met.final_calls_given_up > met.worlds / 50);
  CHECK(met.early_ends > met.worlds / 10);
  CHECK(met.states_missing > met.worlds / 10);
  CHECK(met.late_records > met.worlds / 10);
  std::cout << met.worlds << " worlds, " << met.records << " records, " << met.steps << " steps, " << met.invocations
            << " invocations, " << met.crashes << " crashes: every promise kept\n";
}
