#include <iostream>

#include <catch2/catch.hpp>

#include "seeds.h"
#include "world.h"

/// WEIR_SIM_SEED=n runs that world alone; WEIR_SIM_RUNS=n runs the worlds 1 to n.
TEST_CASE("a stream's shards split and merge under load, through faults, stops and crashes", "[simulation][stream]") {
  const weir::simulation::Seeds seeds(2000);
  weir::simulation::Figures met;
  weir::simulation::run_worlds<weir::simulation::StreamWorld>(seeds, met);

  // A world that never meets a fault proves nothing about it.
  if (seeds.few()) return;
  CHECK(met.records > 10 * met.worlds);
  CHECK(met.splits > met.worlds / 2);
  CHECK(met.merges > met.worlds / 2);
  CHECK(met.replaced > met.worlds / 4);
  CHECK(met.children_waited > met.worlds);
  CHECK(met.keys_moved > met.worlds);
  CHECK(met.filtered > met.worlds);
  CHECK(met.crashes > met.worlds / 4);
  CHECK(met.mappings_stopped > met.worlds / 4);
  CHECK(met.given_back > met.worlds / 4);
  CHECK(met.ends_remembered > met.worlds);
  CHECK(met.ends_refused > met.worlds / 10);
  CHECK(met.ends_lost > met.worlds / 200);
  CHECK(met.ended_before > met.worlds / 4);
  CHECK(met.trimmed > met.worlds / 4);
  CHECK(met.trimmed_while_read > met.worlds / 10);
  std::cout << met.worlds << " streams, " << met.records << " records, " << met.splits << " splits, " << met.merges
            << " merges, " << met.crashes << " crashes: every promise kept\n";
}
