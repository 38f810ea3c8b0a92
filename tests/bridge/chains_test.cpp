// Functions that lead to each other, round in a circle: Lambda's recursive loop detection. With topics and buses in the
// circle it is tested in tests/peers/test_loops.py.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "bridge/lineage.h"
#include "bridge/world.h"

using namespace weir;
using weir::test::World;

namespace {

FunctionFailed boom() {
  FunctionFailed failed;
  failed.error_type = "Error";
  return failed;
}

std::vector<store::DeadLetter> letters(World& world) {
  return world.store().list_dead_letters({}, 100, true).value();
}

std::string condition(const store::DeadLetter& letter) {
  return nlohmann::json::parse(letter.record).at("requestContext").at("condition").get<std::string>();
}

}  // namespace

TEST_CASE("passes are counted in the trace header, beside what else is in it") {
  CHECK(bridge::pass_on("") == "Lineage=1:weir:1");
  CHECK(bridge::pass_on("Root=1-a;Lineage=1:weir:4;Sampled=1") == "Root=1-a;Sampled=1;Lineage=1:weir:5");
  CHECK(bridge::pass_on("Root=1-a;Lineage=1:weir:4") == "Root=1-a;Lineage=1:weir:5");
  CHECK(bridge::pass_on("Lineage=1:c82228f9:9") == "Lineage=1:c82228f9:9;Lineage=1:weir:1");
  CHECK(bridge::pass_on("Lineage=1:weir:-7") == "Lineage=1:weir:1");
  CHECK(bridge::pass_on("Lineage=1:weir:x") == "Lineage=1:weir:1");
  CHECK(bridge::pass_on("Lineage=1:weir:16") == "Lineage=1:weir:17");
  CHECK_FALSE(bridge::pass_on("Lineage=1:weir:17").has_value());
  CHECK_FALSE(bridge::pass_on("Lineage=1:weir:99999").has_value());
  CHECK_FALSE(bridge::is_recursive("Root=1-a;Lineage=1:weir:16"));
  CHECK(bridge::is_recursive("Root=1-a;Lineage=1:weir:17"));
  CHECK_FALSE(bridge::is_recursive(""));
}

TEST_CASE("a function that is its own destination is invoked 16 times by itself; then its event is a dead letter") {
  World world;
  auto& settings = world.config().functions.at("f").async;
  const bool fails = GENERATE(false, true);
  INFO((fails ? "on_failure" : "on_success"));
  settings.maximum_retry_attempts = 0;
  (fails ? settings.on_failure : settings.on_success) = "lambda:f";
  world.start();
  for (int i = 0; fails && i < 100; ++i) world.function->answer_next(Outcome(boom()));
  world.send("f", "1");
  world.run_until([&] {
    const engine::AsyncFigures now = world.queue().figures;
    return now.recursive == 1 && now.ending == 0 && now.waiting == 0 && now.in_flight == 0;
  });
  CHECK(world.function->calls.size() == 17);  // the first was nobody's pass
  CHECK(world.queue().figures.dropped == (fails ? 18 : 1));
  REQUIRE(letters(world).size() == 1);
  CHECK(condition(letters(world).front()) == "RecursiveInvocation");
  CHECK(nlohmann::json::parse(letters(world).front().record).at("responseContext").at("statusCode") == 400);
  CHECK(world.log.count("event.dropped") >= 1);
}

TEST_CASE("what ends as recursive goes to the function's destination for failures") {
  World world;
  auto& settings = world.config().functions.at("f").async;
  settings.on_success = "lambda:f";
  settings.on_failure = "file:" + world.path("failures");
  world.start();
  world.send("f", "1");
  world.run_until([&] { return world.queue().figures.dropped == 1; });
  CHECK(letters(world).empty());
  CHECK(world.queue().figures.recursive == 1);
}
