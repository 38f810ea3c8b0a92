#include <catch2/catch.hpp>

#include "api_driver.h"

using namespace weir;
using test::json;
using test::kArn;
using test::Lambda;

namespace {

const std::string kPolicy = "2015-03-31/functions/hello/policy";
const std::string kUrl = "2021-10-31/functions/hello/url";
const std::string kTags = "2017-03-31/tags/" + kArn + "hello";

json statement(const std::string& id, const std::string& principal = "s3.amazonaws.com") {
  return {{"StatementId", id}, {"Action", "lambda:InvokeFunction"}, {"Principal", principal}};
}

}  // namespace

TEST_CASE("tags") {
  Lambda lambda;
  lambda.create("hello", {{"Tags", {{"a", "1"}}}});
  CHECK(lambda.said("POST", kTags, {{"Tags", {{"b", "2"}, {"a", "3"}}}}) == "204");
  CHECK(lambda.said("GET", kTags) == R"(200 {"Tags":{"a":"3","b":"2"}})");
  CHECK(lambda.said("DELETE", kTags, nullptr, {{"tagKeys", "a"}, {"tagKeys", "b"}}) == "204");
  CHECK(lambda.said("GET", kTags) == R"(200 {"Tags":{}})");
  json many = json::object();
  for (int i = 0; i < 50; ++i) many["k" + std::to_string(i)] = "";
  CHECK(lambda.said("POST", kTags, {{"Tags", many}}) == "204");
  CHECK(lambda.said("POST", kTags, {{"Tags", {{"one more", ""}}}}) ==
        "400 InvalidParameterValueException: Number of tags exceeds resource tag limit.");
  CHECK(lambda.said("GET", kTags + ":live") ==
        "400 InvalidParameterValueException: Tags on function aliases and versions are not supported. Please specify a "
        "function ARN.");
  CHECK(lambda.said("GET", "2017-03-31/tags/" + kArn + "gone") ==
        "404 ResourceNotFoundException: Function not found: " + kArn + "gone");
}

TEST_CASE("a permission is kept and shown as a policy") {
  Lambda lambda;
  lambda.create();
  json arguments = statement("s1");
  arguments["SourceArn"] = "arn:aws:s3:::b";
  arguments["SourceAccount"] = "000000000000";
  const json added = lambda.ask("POST", kPolicy, arguments);
  const json expected = {{"Sid", "s1"},
                         {"Effect", "Allow"},
                         {"Principal", {{"Service", "s3.amazonaws.com"}}},
                         {"Action", "lambda:InvokeFunction"},
                         {"Resource", kArn + "hello"},
                         {"Condition",
                          {{"ArnLike", {{"AWS:SourceArn", "arn:aws:s3:::b"}}},
                           {"StringEquals", {{"AWS:SourceAccount", "000000000000"}}}}}};
  CHECK(json::parse(added.at("Statement").get<std::string>()) == expected);
  const json policy = lambda.ask("GET", kPolicy);
  CHECK(json::parse(policy.at("Policy").get<std::string>()) ==
        json({{"Version", "2012-10-17"}, {"Id", "default"}, {"Statement", {expected}}}));
  json next = statement("s2", "111122223333");
  next["RevisionId"] = "x";
  CHECK(lambda.said("POST", kPolicy, next).starts_with("412 PreconditionFailedException"));
  next["RevisionId"] = policy.at("RevisionId");
  lambda.ask("POST", kPolicy, next);
  CHECK(lambda.said("DELETE", kPolicy + "/s1") == "204");
  CHECK(lambda.said("DELETE", kPolicy + "/s1") ==
        "404 ResourceNotFoundException: Statement s1 is not found in resource policy.");
  CHECK(lambda.said("DELETE", kPolicy + "/s2") == "204");
  CHECK(lambda.said("DELETE", kPolicy + "/s2") ==
        "404 ResourceNotFoundException: No policy is associated with the given resource.");
  CHECK(lambda.said("GET", kPolicy) == "404 ResourceNotFoundException: The resource you requested does not exist.");
}

TEST_CASE("what permissions are refused") {
  Lambda lambda;
  lambda.create();
  lambda.ask("POST", kPolicy, statement("s"));
  CHECK(
      lambda.said("POST", kPolicy, statement("s")) ==
      "409 ResourceConflictException: The statement id (s) provided already exists. Please provide a new statement id, "
      "or remove the existing statement.");
  CHECK(lambda.said("POST", kPolicy, statement("t"), {{"Qualifier", "$LATEST"}}) ==
        "400 InvalidParameterValueException: We currently do not support adding policies for $LATEST.");
  CHECK(lambda.said("POST", kPolicy, statement("t"), {{"Qualifier", "live"}}) ==
        "404 ResourceNotFoundException: Cannot find alias arn: " + kArn + "hello:live");
  CHECK(lambda.said("POST", kPolicy, statement("t", "invalid.nonaws.com")) ==
        "400 InvalidParameterValueException: The provided principal was invalid. Please check the principal and try "
        "again.");
  CHECK(lambda.said("POST", kPolicy, json::object()).starts_with("400 ValidationException: 3 validation errors"));
}

TEST_CASE("a function's URL is kept and shown") {
  Lambda lambda;
  lambda.create();
  CHECK(lambda.said("GET", kUrl) == "404 ResourceNotFoundException: The resource you requested does not exist.");
  CHECK(lambda.said("POST", "2021-10-31/functions/gone/url", {{"AuthType", "NONE"}}) ==
        "404 ResourceNotFoundException: Function does not exist");
  const json made = lambda.ask("POST", kUrl, {{"AuthType", "NONE"}, {"Cors", {{"AllowOrigins", {"*"}}}}});
  CHECK(made.at("FunctionUrl").get<std::string>().starts_with("http://127.0.0.1:4580/2021-10-31/function-urls/"));
  CHECK(made.at("InvokeMode") == "BUFFERED");
  CHECK(lambda.said("POST", kUrl, {{"AuthType", "NONE"}}).starts_with("409 ResourceConflictException"));
  const json updated = lambda.ask("PUT", kUrl, {{"AuthType", "AWS_IAM"}});
  CHECK(updated.at("AuthType") == "AWS_IAM");
  CHECK(updated.at("FunctionUrl") == made.at("FunctionUrl"));
  CHECK(updated.at("Cors") == made.at("Cors"));
  CHECK(lambda.ask("GET", "2021-10-31/functions/hello/urls").at("FunctionUrlConfigs").size() == 1);
  CHECK(lambda.said("POST", kUrl, {{"AuthType", "NONE"}}, {{"Qualifier", "1"}}).starts_with("400 ValidationException"));
  CHECK(lambda.said("DELETE", kUrl) == "204");
  CHECK(lambda.said("DELETE", kUrl).starts_with("404"));
}

TEST_CASE("what is only kept") {
  Lambda lambda;
  lambda.create();
  const std::string recursion = "2024-08-31/functions/hello/recursion-config";
  CHECK(lambda.said("GET", recursion) == R"(200 {"RecursiveLoop":"Terminate"})");
  CHECK(lambda.said("PUT", recursion, {{"RecursiveLoop", "Terminate"}}).starts_with("200"));
  CHECK(lambda.said("PUT", recursion, {{"RecursiveLoop", "Allow"}}).starts_with("400 InvalidParameterValueException"));
  const std::string runtime = "2021-07-20/functions/hello/runtime-management-config";
  CHECK(lambda.ask("GET", runtime).at("UpdateRuntimeOn") == "Auto");
  lambda.ask("PUT", runtime, {{"UpdateRuntimeOn", "FunctionUpdate"}});
  CHECK(lambda.ask("GET", runtime).at("UpdateRuntimeOn") == "FunctionUpdate");
  CHECK(lambda.said("PUT", runtime, {{"UpdateRuntimeOn", "Manual"}}).starts_with("400"));
  CHECK(lambda.said("GET", "2020-06-30/functions/hello/code-signing-config") == "200 {}");
}
