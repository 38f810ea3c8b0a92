#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "fake_connectors.h"

namespace weir::config {
namespace {

using Json = nlohmann::json;

Json schema() {
  return Json::parse(json_schema(fake_connectors()));
}

const std::filesystem::path kFolder = WEIR_CONFIG_TESTS;

TEST_CASE("the schema of the fake connectors is the golden one") {
  check_golden(kFolder / "schema.expected.json", json_schema(fake_connectors()));
}

TEST_CASE("the reference page of the fake connectors is the golden one") {
  check_golden(kFolder / "reference.expected.md", reference_page(fake_connectors()));
}

/// The objects of a schema that list their keys, wherever they stand.
void visit_objects(const Json& schema, const std::function<void(const Json&)>& visit) {
  if (schema.is_object() && schema.contains("properties") && schema.contains("type")) visit(schema);
  if (!schema.is_structured()) return;
  for (const Json& inner : schema) visit_objects(inner, visit);
}

TEST_CASE("every setting of the schema says what it does") {
  visit_objects(schema(), [](const Json& object) {
    for (const auto& [key, value] : object["properties"].items()) {
      INFO(key);
      CHECK((value.contains("const") || !value.value("description", "").empty()));
    }
  });
}

TEST_CASE("every reference of the schema has its definition") {
  const Json whole = schema();
  const std::function<void(const Json&)> follow = [&](const Json& part) {
    if (part.is_object() && part.contains("$ref")) {
      const std::string target = part["$ref"];
      INFO(target);
      REQUIRE(target.starts_with("#/$defs/"));
      CHECK(whole["$defs"].contains(target.substr(8)));
    }
    if (!part.is_structured()) return;
    for (const Json& inner : part) follow(inner);
  };
  follow(whole);
}

TEST_CASE("a source's schema is chosen by its type, and closed") {
  const Json whole = schema();
  const Json& source = whole["$defs"]["sources"];
  CHECK(source["required"] == Json{"type", "function"});
  CHECK_FALSE(source.contains("additionalProperties"));
  REQUIRE(source["allOf"].size() == 2);
  CHECK(source["allOf"][0]["if"]["properties"]["type"]["const"] == "clock");
  CHECK(source["allOf"][0]["then"]["$ref"] == "#/$defs/sources.clock");
  const Json& clock = whole["$defs"]["sources.clock"];
  CHECK(clock["additionalProperties"] == false);
  CHECK(clock["required"] == Json{"type", "function", "zone", "alarms"});
  CHECK(clock["properties"]["type"]["const"] == "clock");
  CHECK(whole["$defs"]["sources.nothing"]["properties"].size() == 3);
}

TEST_CASE("a secret's default is in neither schema nor page") {
  CHECK_FALSE(schema()["$defs"]["sources.clock"]["properties"]["login"]["properties"]["password"].contains("default"));
  CHECK(reference_page(fake_connectors()).find("swordfish") == std::string::npos);
}

TEST_CASE("each key of the schema is one that the parser asks for, and the other way round") {
  const Json clock = schema()["$defs"]["sources.clock"]["properties"];
  const std::string common =
      "functions:\n  f:\n    command: run\nsources:\n  tick:\n    type: clock\n    function: f\n";
  for (const auto& [key, value] : clock.items()) {
    if (key == "type" || key == "function") continue;
    INFO(key);
    const std::string printed = lines(read(common + "    " + key + ":\n"));
    CHECK(printed.find("unknown key") == std::string::npos);
  }
  CHECK(lines(read(common + "    not_there: 1\n")).find("sources.tick.not_there: unknown key") != std::string::npos);
  CHECK_FALSE(clock.contains("not_there"));
}

}  // namespace
}  // namespace weir::config
