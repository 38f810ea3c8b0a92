#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>

#include "bridge/destinations.h"
#include "support/fake_clock.h"
#include "support/run_coroutine.h"

using namespace weir;

namespace {

/// What was made and delivered, in order: "made bell:door for clicks", "door: {...}".
std::vector<std::string> happened;

class Bell final : public Destination {
 public:
  explicit Bell(std::string target) : target_(std::move(target)) {}
  net::awaitable<Result<void>> deliver(DestinationRecord record) override {
    if (target_ == "broken") co_return Error(ErrorCode::kDestinationFailed, "it does not ring");
    happened.push_back(target_ + ": " + record.record);
    co_return Result<void>();
  }
  net::awaitable<void> close() override {
    happened.push_back("closed " + target_);
    co_return;
  }

 private:
  std::string target_;
};

Result<std::unique_ptr<Destination>> make_bell(std::string target, DestinationContext context) {
  if (target == "missing") {
    happened.emplace_back("not made");
    return Error(ErrorCode::kDestinationFailed, "no bell");
  }
  happened.push_back("made " + target + " for " + (context.source ? context.source->name : "nobody"));
  return std::make_unique<Bell>(std::move(target));
}

constexpr std::array kBells{DestinationEntry{"bell", "a bell", nullptr, &make_bell}};

struct World {
  World() { happened.clear(); }

  std::string deliver(const std::string& destination, const std::string& record,
                      std::shared_ptr<const SourceConfig> source) {
    DestinationRecord given;
    given.record = record;
    const auto delivered = test::run(context, destinations.deliver(destination, std::move(given), std::move(source)));
    return delivered ? "kept" : delivered.error().describe();
  }

  net::io_context context{1};
  test::FakeClock clock;
  bridge::Destinations destinations{
      bridge::Destinations::Deps{context.get_executor(), context.get_executor(), {}, kBells, null_log(), clock},
      nullptr};
};

std::shared_ptr<SourceConfig> source(const std::string& name) {
  auto made = std::make_shared<SourceConfig>();
  made->name = name;
  return made;
}

}  // namespace

TEST_CASE("a destination is made on its first use, once for each source") {
  World world;
  CHECK(world.deliver("bell:door", "1", source("clicks")) == "kept");
  CHECK(world.deliver("bell:door", "2", source("clicks")) == "kept");
  CHECK(world.deliver("bell:door", "3", source("orders")) == "kept");
  CHECK(world.deliver("bell:door", "4", nullptr) == "kept");
  CHECK(happened == std::vector<std::string>{"made door for clicks", "door: 1", "door: 2", "made door for orders",
                                             "door: 3", "made door for nobody", "door: 4"});
}

TEST_CASE("one that fails says what was being done; one that could not be made is tried again") {
  World world;
  CHECK(world.deliver("bell:broken", "1", nullptr) ==
        "destination.failed: it does not ring; while delivering a record to bell:broken");
  CHECK(world.deliver("bell:missing", "1", nullptr) ==
        "destination.failed: no bell; while delivering a record to bell:missing");
  world.deliver("bell:missing", "1", nullptr);
  CHECK(std::count(happened.begin(), happened.end(), "not made") == 2);
}

TEST_CASE("when weir stops they are closed, and nothing is delivered any more") {
  World world;
  world.deliver("bell:door", "1", nullptr);
  test::run(world.context, world.destinations.close());
  CHECK(happened.back() == "closed door");
  CHECK(world.deliver("bell:door", "2", nullptr) == "cancelled: weir stops; while delivering a record to bell:door");
}
