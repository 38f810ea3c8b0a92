#include "connectors/logs/batch.h"

#include <cstdlib>
#include <fstream>
#include <iterator>

#include <catch2/catch.hpp>

#include "connectors/logs/connector.h"
#include "logs/unpack.h"

using namespace weir;
using logs::event_id;

TEST_CASE("ids have 56 digits and grow with the time, then with the number") {
  // Source: the ids of the user guide's example event begin so, for its timestamp.
  CHECK(event_id(1'432'826'855'000, 0, 0).substr(0, 10) == "3195310660");
  const std::vector<std::string> growing = {
      event_id(0, 5, 1), event_id(1'700'000'000'000, 9, 1), event_id(1'700'000'000'000, 9, 2),
      event_id(1'700'000'000'000, 9, ~std::uint64_t{0}), event_id(1'700'000'000'001, 0, 0)};
  for (std::size_t i = 0; i < growing.size(); ++i) {
    CHECK(growing[i].size() == 56);
    if (i > 0) CHECK(growing[i - 1] < growing[i]);
  }
}

TEST_CASE("what Lambda gets is the gzip of one stream's events") {
  logs::LogEvent plain;
  plain.id = event_id(1'772'600'767'089, 1, 1);
  plain.timestamp = 1'772'600'767'089;
  plain.message = "ERROR \"disk\" full \xFF";
  logs::LogEvent fields = plain;
  fields.fields = {{"level", "ERROR"}, {"2", "rest"}};
  const auto inside = test::unpack(logs::lambda_event({"/app/web", "host-1", "errors-only"}, {plain, fields}));
  CHECK(inside.at("messageType") == "DATA_MESSAGE");
  CHECK(inside.at("owner") == "000000000000");
  CHECK(inside.at("logGroup") == "/app/web");
  CHECK(inside.at("logStream") == "host-1");
  CHECK(inside.at("subscriptionFilters").dump() == R"(["errors-only"])");
  CHECK(inside.at("logEvents")[0].dump(-1, ' ', true) ==
        R"({"id":")" + plain.id + R"(","message":"ERROR \"disk\" full \ufffd","timestamp":1772600767089})");
  CHECK(inside.at("logEvents")[1].at("extractedFields").dump() == R"({"2":"rest","level":"ERROR"})");
}

TEST_CASE("the sample is the event that weir prints") {
  if (std::getenv("WEIR_UPDATE_GOLDEN") != nullptr) std::ofstream(WEIR_LOGS_SAMPLE) << logs::sample_event() << "\n";
  std::ifstream file(WEIR_LOGS_SAMPLE);
  const std::string sample(std::istreambuf_iterator<char>(file), {});
  CHECK(nlohmann::json::parse(sample) == nlohmann::json::parse(logs::sample_event()));
  CHECK(test::unpack(logs::sample_event()).at("logEvents").size() == 2);
}
