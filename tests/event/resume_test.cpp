#include "weir/event/resume.h"

#include <catch2/catch.hpp>

#include "support/print.h"

using weir::Resume;

TEST_CASE("a resume reads what it prints, and prints what it read in one form") {
  struct Row {
    std::string text;
    Resume::Kind kind;
    std::string prints;
  };
  const auto row = GENERATE(values<Row>({
      {"0", Resume::Kind::kAfter, "0"},
      {"1041", Resume::Kind::kAfter, "1041"},
      {"001041", Resume::Kind::kAfter, "1041"},
      {std::string(129, '9'), Resume::Kind::kAfter, std::string(129, '9')},
      {"TRIM_HORIZON", Resume::Kind::kTrimHorizon, "TRIM_HORIZON"},
      {"LATEST", Resume::Kind::kLatest, "LATEST"},
      {"SHARD_END", Resume::Kind::kShardEnd, "SHARD_END"},
      {"AT_TIMESTAMP 2026-09-12T07:00:00.123Z", Resume::Kind::kAtTimestamp, "AT_TIMESTAMP 2026-09-12T07:00:00.123Z"},
      {"AT_TIMESTAMP 2026-09-12T07:00:00Z", Resume::Kind::kAtTimestamp, "AT_TIMESTAMP 2026-09-12T07:00:00.000Z"},
      {"AT_TIMESTAMP 2026-09-12T09:00:00+02:00", Resume::Kind::kAtTimestamp, "AT_TIMESTAMP 2026-09-12T07:00:00.000Z"},
      {"AT_TIMESTAMP 0", Resume::Kind::kAtTimestamp, "AT_TIMESTAMP 1970-01-01T00:00:00.000Z"},
      {"AT_TIMESTAMP 1760000000", Resume::Kind::kAtTimestamp, "AT_TIMESTAMP 2025-10-09T08:53:20.000Z"},
      {"AT_TIMESTAMP 1760000000.5", Resume::Kind::kAtTimestamp, "AT_TIMESTAMP 2025-10-09T08:53:20.500Z"},
      {"AT_TIMESTAMP 1760000000.0004", Resume::Kind::kAtTimestamp, "AT_TIMESTAMP 2025-10-09T08:53:20.000Z"},
      {"AT_TIMESTAMP 4611686018", Resume::Kind::kAtTimestamp, "AT_TIMESTAMP 2116-02-20T23:53:38.000Z"},
      // The last time there is here: later ones are taken for it.
      {"AT_TIMESTAMP 9000000000", Resume::Kind::kAtTimestamp, "AT_TIMESTAMP 2116-02-20T23:53:38.427Z"},
  }));
  DYNAMIC_SECTION(row.text) {
    const auto resume = Resume::parse(row.text);
    REQUIRE(resume);
    CHECK(resume->kind() == row.kind);
    CHECK(resume->text() == row.prints);
    CHECK(Resume::parse(resume->text()) == resume);
  }
}

TEST_CASE("anything else is no resume") {
  for (const std::string text :
       {"", " ", "-1", "1 ", "1.0", "trim_horizon", "TRIM_HORIZON ", "LATEST 1", "AT_TIMESTAMP", "AT_TIMESTAMP ",
        "AT_TIMESTAMP  0", "AT_TIMESTAMP -0.001", "AT_TIMESTAMP 9000000001", "AT_TIMESTAMP inf", "AT_TIMESTAMP nan",
        "AT_TIMESTAMP tomorrow", "AT_TIMESTAMP 2026-13-01T00:00:00Z", "SHARD_END 1", "2026-09-12T07:00:00Z"}) {
    INFO(text);
    CHECK_FALSE(Resume::parse(text));
  }
  CHECK_FALSE(Resume::parse(std::string(130, '9')));
}

TEST_CASE("resumes are equal when they mean the same place") {
  const auto time = weir::from_epoch_milliseconds(1'760'000'000'000);
  CHECK(Resume::after(weir::Position(7)) == Resume::parse("007"));
  CHECK(Resume::after(weir::Position(7)) != Resume::after(weir::Position(8)));
  CHECK(Resume::at_timestamp(time) == Resume::parse("AT_TIMESTAMP 1760000000"));
  CHECK(Resume::at_timestamp(time) != Resume::at_timestamp(time + std::chrono::milliseconds(1)));
  CHECK(Resume::trim_horizon() != Resume::latest());
  CHECK(Resume::at_timestamp(time).time() == time);
  CHECK(Resume::after(weir::Position(7)).position() == weir::Position(7));
}
