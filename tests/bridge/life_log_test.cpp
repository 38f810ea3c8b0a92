#include "bridge/life_log.h"

#include <vector>

#include <catch2/catch.hpp>

using namespace weir;
using weir::bridge::LifeLog;

namespace {

/// The events above debug, with the first field's word.
class Said final : public Log {
 public:
  void write(LogLevel level, std::string_view event, std::span<const LogField> fields) override {
    if (level == LogLevel::kDebug) return;
    lines += std::string(event);
    if (!fields.empty()) lines += ":" + std::string(std::get<std::string_view>(fields.front().value));
    lines += " ";
  }
  std::string lines;
};

}  // namespace

TEST_CASE("what the life before said too is no news, what is said twice in one life is") {
  Said said;
  LifeLog log(said);
  log.info("fetched", {{"source", "a file"}, {"expires", "at one"}});
  log.next_life();
  log.info("fetched", {{"source", "a file"}, {"expires", "at two"}});
  CHECK(said.lines == "fetched:a file ");
  log.info("fetched", {{"source", "a file"}, {"expires", "at three"}});
  CHECK(said.lines == "fetched:a file fetched:a file ");
}

TEST_CASE("it is once until it changes: a third life repeats the second") {
  Said said;
  LifeLog log(said);
  for (int life = 0; life < 3; ++life) {
    log.warn("failed", {{"reason", "nobody answers"}, {"after", life == 1 ? "12 ms" : "3 ms"}});
    log.next_life();
  }
  CHECK(said.lines == "failed:nobody answers ");
  log.warn("failed", {{"reason", "refused"}, {"after", "3 ms"}});
  log.next_life();
  log.warn("failed", {{"reason", "nobody answers"}, {"after", "3 ms"}});
  CHECK(said.lines == "failed:nobody answers failed:refused failed:nobody answers ");
}

TEST_CASE("after something new nothing is a repetition") {
  Said said;
  LifeLog log(said);
  log.warn("failed");
  log.next_life();
  log.info("fetched");
  log.warn("failed");
  CHECK(said.lines == "failed fetched failed ");
}

TEST_CASE("what was forgotten is news") {
  Said said;
  LifeLog log(said);
  log.warn("failed");
  log.forget();
  log.next_life();
  log.warn("failed");
  CHECK(said.lines == "failed failed ");
}
