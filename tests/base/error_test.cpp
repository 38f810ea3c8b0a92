#include "weir/base/error.h"

#include <set>

#include <catch2/catch.hpp>

#include "support/print.h"

using weir::Error;
using weir::ErrorCode;

TEST_CASE("an error says its code, what is wrong, and what was being done, the innermost first") {
  const Error error = Error(ErrorCode::kStoreFull, "no room left on the device")
                          .during("saving the checkpoint of clicks/3")
                          .during("settling a batch");
  CHECK(error.code() == ErrorCode::kStoreFull);
  CHECK(error.message() == "no room left on the device");
  CHECK(error.describe() ==
        "store.full: no room left on the device; while saving the checkpoint of clicks/3; while settling a batch");
}

TEST_CASE("every code has a text of its own: a word, a dot, a word") {
  std::set<std::string_view> seen;
  for (const ErrorCode code : weir::all_error_codes()) {
    CHECK(seen.insert(weir::text(code)).second);
    CHECK(weir::text(code).find_first_not_of("abcdefghijklmnopqrstuvwxyz_.") == std::string_view::npos);
  }
  CHECK(seen.size() == static_cast<std::size_t>(ErrorCode::kInternal) + 1);
}

TEST_CASE("only what may heal by itself is transient") {
  CHECK(weir::is_transient(ErrorCode::kStoreFull));
  CHECK(weir::is_transient(ErrorCode::kStoreLocked));
  CHECK(weir::is_transient(ErrorCode::kSourceUnreachable));
  CHECK_FALSE(weir::is_transient(ErrorCode::kConfigInvalid));
  CHECK_FALSE(weir::is_transient(ErrorCode::kStoreCorrupt));
  CHECK_FALSE(weir::is_transient(ErrorCode::kCancelled));
}

TEST_CASE("a broken belief names the file, not the path") {
  try {
    weir::broken_belief("settled <= fetched", "/a/long/path/shard.cpp", 7);
  } catch (const weir::BrokenBelief& broken) {
    CHECK(std::string(broken.what()) == "shard.cpp:7: believed settled <= fetched");
  }
  CHECK_THROWS_AS(WEIR_ASSERT(1 + 1 == 3), weir::BrokenBelief);
  CHECK_NOTHROW(WEIR_ASSERT(1 + 1 == 2));
}

TEST_CASE("taking the value of a failed result is a bug, and says what failed") {
  const weir::Result<int> failed = Error(ErrorCode::kStoreLocked, "held by another process");
  CHECK_THROWS_AS(failed.value(), weir::BrokenBelief);
}
