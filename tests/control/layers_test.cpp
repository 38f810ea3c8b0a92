// Source of texts: LocalStack's test_lambda_api (TestLambdaLayer; recordings of AWS).
#include <catch2/catch.hpp>

#include "api_driver.h"

using namespace weir;
using test::json;
using test::Lambda;

namespace {

const std::string kLayer = "2018-10-31/layers/tools/versions";
const std::string kArnOfLayer = "arn:aws:lambda:us-east-1:000000000000:layer:tools";
const std::string kInvalid = "400 InvalidParameterValueException: ";

struct Layers : Lambda {
  /// Publishes a version with this content.
  json publish_layer(const std::string& content, const json& more = json::object(), const std::string& path = kLayer) {
    json all = {{"Content", {{"ZipFile", "zip"}}}};
    all.update(more);
    return with_zip(content).ask("POST", path, all);
  }
  std::string layers(const json& arns) { return said("PUT", "2015-03-31/functions/hello/configuration", arns); }
};

}  // namespace

TEST_CASE("a layer's versions are numbered, shown, listed and deleted") {
  Layers lambda;
  const json first = lambda.publish_layer("one", {{"Description", "tools"},
                                                  {"CompatibleRuntimes", {"python3.12", "nodejs20.x"}},
                                                  {"CompatibleArchitectures", {"x86_64"}},
                                                  {"LicenseInfo", "MIT"}});
  CHECK(first == json({{"LayerArn", kArnOfLayer},
                       {"LayerVersionArn", kArnOfLayer + ":1"},
                       {"Version", 1},
                       {"Description", "tools"},
                       {"CreatedDate", first.at("CreatedDate")},
                       {"CompatibleRuntimes", {"python3.12", "nodejs20.x"}},
                       {"CompatibleArchitectures", {"x86_64"}},
                       {"LicenseInfo", "MIT"},
                       {"Content",
                        {{"Location", "link:layer.tools"}, {"CodeSha256", Lambda::sha256("one")}, {"CodeSize", 3}}}}));
  CHECK(lambda.publish_layer("two").at("Version") == 2);
  CHECK(lambda.ask("GET", kLayer + "/1") == first);
  CHECK(lambda.ask("GET", "2018-10-31/layers", nullptr, {{"find", "LayerVersion"}, {"Arn", kArnOfLayer + ":1"}}) ==
        first);
  json listed = lambda.ask("GET", kLayer);
  REQUIRE(listed.at("LayerVersions").size() == 2);
  CHECK(listed.at("LayerVersions")[0].at("Version") == 2);  // the newest first
  CHECK_FALSE(listed.at("LayerVersions")[1].contains("Content"));
  listed = lambda.ask("GET", kLayer, nullptr, {{"MaxItems", "1"}});
  CHECK(listed.at("NextMarker") == "2");
  listed = lambda.ask("GET", kLayer, nullptr, {{"MaxItems", "1"}, {"Marker", "2"}});
  CHECK(listed.at("LayerVersions")[0].at("Version") == 1);
  CHECK_FALSE(listed.contains("NextMarker"));
  const json all = lambda.ask("GET", "2018-10-31/layers");
  REQUIRE(all.at("Layers").size() == 1);
  CHECK(all.at("Layers")[0].at("LayerName") == "tools");
  CHECK(all.at("Layers")[0].at("LatestMatchingVersion").at("Version") == 2);
  // Of those that are compatible, the latest.
  const json python = lambda.ask("GET", "2018-10-31/layers", nullptr, {{"CompatibleRuntime", "python3.12"}});
  CHECK(python.at("Layers")[0].at("LatestMatchingVersion").at("Version") == 1);
  CHECK(lambda.ask("GET", kLayer, nullptr, {{"CompatibleArchitecture", "arm64"}}).at("LayerVersions").empty());

  lambda.restart();
  CHECK(lambda.ask("GET", kLayer + "/1") == first);
  CHECK(lambda.said("DELETE", kLayer + "/2") == "204");
  CHECK(lambda.said("DELETE", kLayer + "/2") == "204");
  CHECK(lambda.said("GET", kLayer + "/2") ==
        "404 ResourceNotFoundException: The resource you requested does not exist.");
  // No number comes again.
  CHECK(lambda.publish_layer("three").at("Version") == 3);
}

TEST_CASE("layers that cannot be published or found") {
  Layers lambda;
  lambda.publish_layer("one");
  CHECK(lambda.said("GET", kLayer + "/0") == kInvalid + "Layer Version Cannot be less than 1.");
  CHECK(lambda.said("GET", "2018-10-31/layers/none/versions/1") ==
        "404 ResourceNotFoundException: The resource you requested does not exist.");
  CHECK(lambda.said("GET", "2018-10-31/layers/none/versions") == "200 {\"LayerVersions\":[]}");
  CHECK(lambda.said("GET", "2018-10-31/layers", nullptr, {{"find", "LayerVersion"}, {"Arn", kArnOfLayer}})
            .starts_with("400 ValidationException: 1 validation error detected: Value '" + kArnOfLayer +
                         "' at 'arn' failed to satisfy constraint: Member must satisfy regular expression pattern: "));
  CHECK(lambda.said("POST", "2018-10-31/layers/a b/versions", {{"Content", json::object()}})
            .starts_with("400 ValidationException: 1 validation error detected: Value 'a b' at 'layerName'"));
  CHECK(lambda.said("POST", kLayer, {{"Content", {{"S3Bucket", "b"}, {"S3Key", "k"}}}}) ==
        kInvalid + "weir fetches no code from S3: give it as ZipFile.");
  CHECK(lambda.with_zip()
            .said("POST", kLayer, {{"Content", {{"ZipFile", "zip"}}}, {"CompatibleRuntimes", {"cobol"}}})
            .starts_with("400 ValidationException: 1 validation error detected: Value '[cobol]' at "
                         "'compatibleRuntimes' failed to satisfy constraint: Member must satisfy constraint: [Member "
                         "must satisfy enum value set: ["));
  CHECK(lambda.said("POST", kLayer, json::object()) ==
        "400 ValidationException: 1 validation error detected: Value null at 'content' failed to satisfy constraint: "
        "Member must not be null");
}

TEST_CASE("a function has layers, also those that were deleted since, and its versions have them for good") {
  Layers lambda;
  lambda.publish_layer("one");
  lambda.publish_layer("two", json::object(), "2018-10-31/layers/more/versions");
  const std::string more = "arn:aws:lambda:us-east-1:000000000000:layer:more:1";
  const json both = {{"Layers", {kArnOfLayer + ":1", more}}};
  const json made = lambda.create("hello", both);
  CHECK(made.at("Layers") ==
        json::array({{{"Arn", kArnOfLayer + ":1"}, {"CodeSize", 3}}, {{"Arn", more}, {"CodeSize", 3}}}));
  CHECK_FALSE(made.contains("LayerCode"));
  const auto folders = [&](const char* version) { return lambda.functions.checked.versions.at(version).layers; };
  REQUIRE(folders("$LATEST").size() == 2);
  CHECK(folders("$LATEST")[0].starts_with("/state/code/layer.tools/"));
  CHECK(folders("$LATEST")[1].starts_with("/state/code/layer.more/"));
  lambda.publish("code");
  lambda.said("DELETE", kLayer + "/1");
  lambda.restart();
  CHECK(lambda.layers({{"Layers", {more, kArnOfLayer + ":1"}}}).substr(0, 3) == "200");
  CHECK(folders("1").size() == 2);
  CHECK(lambda.layers({{"Layers", json::array()}}).substr(0, 3) == "200");
  CHECK(folders("$LATEST").empty());
  CHECK(folders("1").size() == 2);
  CHECK(lambda.layers(both) == kInvalid + "Layer version " + kArnOfLayer + ":1 does not exist.");
}

TEST_CASE("layers that a function cannot have") {
  Layers lambda;
  lambda.create();
  for (int n = 0; n < 6; ++n) {
    lambda.publish_layer("one", json::object(), "2018-10-31/layers/l" + std::to_string(n) + "/versions");
  }
  const auto arn = [](int n) { return "arn:aws:lambda:us-east-1:000000000000:layer:l" + std::to_string(n) + ":1"; };
  json arns = json::array();
  for (int n = 0; n < 5; ++n) arns.push_back(arn(n));
  CHECK(lambda.layers({{"Layers", arns}}).substr(0, 3) == "200");
  arns.push_back(arn(5));
  CHECK(lambda.layers({{"Layers", arns}}) == kInvalid + "Cannot reference more than 5 layers.");
  lambda.publish_layer("two", json::object(), "2018-10-31/layers/l0/versions");
  const std::string second = "arn:aws:lambda:us-east-1:000000000000:layer:l0:2";
  CHECK(lambda.layers({{"Layers", {arn(0), second}}}) ==
        kInvalid + "Two different versions of the same layer are not allowed to be referenced in the same function. " +
            second + " and " + arn(0) + ".");
  CHECK(lambda.layers({{"Layers", {"arn:aws:lambda:eu-west-1:000000000000:layer:l0:1"}}}) ==
        kInvalid + "Layers are not in the same region as the function. Layers are expected to be in region us-east-1.");
  CHECK(lambda.layers({{"Layers", {"tools"}}}).starts_with("400 ValidationException: "));
}

TEST_CASE("who may use a layer is kept and shown") {
  Layers lambda;
  lambda.publish_layer("one");
  const std::string policy = kLayer + "/1/policy";
  const json all = {{"StatementId", "s1"}, {"Action", "lambda:GetLayerVersion"}, {"Principal", "*"}};
  CHECK(lambda.said("GET", policy) ==
        "404 ResourceNotFoundException: No policy is associated with the given resource.");
  const json added = lambda.ask("POST", policy, all);
  CHECK(json::parse(added.at("Statement").get<std::string>()) == json({{"Sid", "s1"},
                                                                       {"Effect", "Allow"},
                                                                       {"Principal", "*"},
                                                                       {"Action", "lambda:GetLayerVersion"},
                                                                       {"Resource", kArnOfLayer + ":1"}}));
  CHECK(lambda.said("POST", policy, all) ==
        "409 ResourceConflictException: The statement id (s1) provided already exists. Please provide a new statement "
        "id, or remove the existing statement.");
  const json shown = lambda.ask("GET", policy);
  CHECK(shown.at("RevisionId") == added.at("RevisionId"));
  CHECK(json::parse(shown.at("Policy").get<std::string>()).at("Statement").size() == 1);
  json other = all;
  other["StatementId"] = "s2";
  CHECK(lambda.said("POST", policy, other, {{"RevisionId", "old"}}).starts_with("412 PreconditionFailedException: "));
  other["Action"] = "lambda:CreateFunction";
  CHECK(lambda.said("POST", policy, other) ==
        "400 ValidationException: 1 validation error detected: Value 'lambda:CreateFunction' at 'action' failed to "
        "satisfy constraint: Member must satisfy regular expression pattern: lambda:GetLayerVersion");
  CHECK(lambda.said("POST", kLayer + "/9/policy", all) ==
        "404 ResourceNotFoundException: Layer version " + kArnOfLayer + ":9 does not exist.");
  CHECK(lambda.said("DELETE", policy + "/s9") ==
        "404 ResourceNotFoundException: Statement s9 is not found in resource policy.");
  CHECK(lambda.said("DELETE", policy + "/s1") == "204");
  CHECK(lambda.said("GET", policy).starts_with("404 "));
}
