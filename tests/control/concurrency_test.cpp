#include <catch2/catch.hpp>

#include "api_driver.h"

using namespace weir;
using test::json;
using test::kArn;
using test::Lambda;

namespace {

const std::string kHello = "2015-03-31/functions/hello";
const std::string kReserved = "2017-10-31/functions/hello/concurrency";
const std::string kProvisioned = "2019-09-30/functions/hello/provisioned-concurrency";
const std::string kEvents = "2019-09-25/functions/hello/event-invoke-config";

json reserve(int amount) {
  return {{"ReservedConcurrentExecutions", amount}};
}
json provision(int amount) {
  return {{"ProvisionedConcurrentExecutions", amount}};
}
Lambda::Query of(const std::string& qualifier) {
  return {{"Qualifier", qualifier}};
}

/// `hello` with version 1, to which `live` leads.
struct Published : Lambda {
  Published() {
    create();
    publish("one");
    ask("POST", kHello + "/aliases", {{"Name", "live"}, {"FunctionVersion", "1"}});
  }
};

}  // namespace

TEST_CASE("a reservation is kept, told to the bridge and taken back") {
  Lambda lambda;
  lambda.create();
  CHECK(lambda.said("GET", "2019-09-30/functions/hello/concurrency") == "200 {}");
  CHECK(lambda.said("PUT", kReserved, reserve(0)) == R"(200 {"ReservedConcurrentExecutions":0})");
  CHECK(lambda.functions.checked.reserved_concurrent_executions == 0);
  CHECK(lambda.ask("GET", kHello).at("Concurrency") == reserve(0));
  CHECK(lambda.said("DELETE", kReserved) == "204");
  CHECK(lambda.said("GET", "2019-09-30/functions/hello/concurrency") == "200 {}");
}

TEST_CASE("reservations that cannot be") {
  Published lambda;
  lambda.ask("PUT", kProvisioned, provision(2), of("1"));
  // Source: reference invoke.md 4.3 (recorded); the leading and the double space are real.
  CHECK(
      lambda.said("PUT", kReserved, reserve(1)) ==
      "400 InvalidParameterValueException:  ReservedConcurrentExecutions  1 should not be lower than function's total "
      "provisioned concurrency [2].");
  CHECK(lambda.said("PUT", kReserved, reserve(2)).starts_with("200"));
  CHECK(
      lambda.said("PUT", kReserved, reserve(3), of("1")) ==
      "400 InvalidParameterValueException: This operation is permitted on Lambda functions only. Aliases and versions "
      "do not support this operation. Please specify either a function name or an unqualified function ARN.");
  lambda.functions.refuse("too much");
  CHECK(lambda.said("PUT", kReserved, reserve(950)) == "400 InvalidParameterValueException: too much");
  CHECK(lambda.ask("GET", "2019-09-30/functions/hello/concurrency") == reserve(2));
}

TEST_CASE("provisioned environments: what is asked for and what is there") {
  Published lambda;
  json shown = lambda.ask("PUT", kProvisioned, provision(2), of("live"));
  CHECK(shown == json({{"RequestedProvisionedConcurrentExecutions", 2},
                       {"AllocatedProvisionedConcurrentExecutions", 0},
                       {"AvailableProvisionedConcurrentExecutions", 0},
                       {"Status", "IN_PROGRESS"},
                       {"LastModified", "2026-09-12T08:00:00.000+0000"}}));
  CHECK(lambda.functions.checked.provisioned == std::map<std::string, int>{{"live", 2}});
  lambda.functions.ready(2, 1);
  CHECK(lambda.ask("GET", kProvisioned, nullptr, of("live")).at("Status") == "IN_PROGRESS");
  lambda.functions.ready(2, 2);
  CHECK(lambda.ask("GET", kProvisioned, nullptr, of("live")).at("Status") == "READY");
  lambda.functions.ready(1, 0, "it does not start");
  shown = lambda.ask("GET", kProvisioned, nullptr, of("live"));
  CHECK(shown.at("Status") == "FAILED");
  CHECK(shown.at("StatusReason") == "it does not start");
  const json all = lambda.ask("GET", kProvisioned, nullptr, {{"List", "ALL"}});
  REQUIRE(all.at("ProvisionedConcurrencyConfigs").size() == 1);
  CHECK(all.at("ProvisionedConcurrencyConfigs")[0].at("FunctionArn") == kArn + "hello:live");
  CHECK(lambda.said("DELETE", kProvisioned, nullptr, of("live")) == "204");
  CHECK(lambda.said("GET", kProvisioned, nullptr, of("live")) ==
        "404 ProvisionedConcurrencyConfigNotFoundException: No Provisioned Concurrency Config found for this function");
}

TEST_CASE("provisioned environments that cannot be") {
  Published lambda;
  lambda.ask("POST", kHello + "/aliases", {{"Name", "draft"}, {"FunctionVersion", "$LATEST"}});
  lambda.ask("POST", kHello + "/aliases", {{"Name", "also"}, {"FunctionVersion", "1"}});
  const auto put = [&](const std::string& qualifier, int amount = 1) {
    return lambda.said("PUT", kProvisioned, provision(amount), of(qualifier));
  };
  const std::string unpublished =
      "400 InvalidParameterValueException: Provisioned Concurrency Configs cannot be applied to unpublished function "
      "versions.";
  CHECK(put("$LATEST") == unpublished);
  CHECK(put("draft") == unpublished);
  CHECK(put("7") == "404 ResourceNotFoundException: Function not found: " + kArn + "hello:7");
  CHECK(put("gone") == "404 ResourceNotFoundException: Cannot find alias arn: " + kArn + "hello:gone");
  CHECK(put("live", 0).starts_with("400 ValidationException"));
  CHECK(lambda.said("GET", kProvisioned, nullptr, of("$LATEST")) ==
        "400 InvalidParameterValueException: The function resource provided must be an alias or a published version.");
  lambda.ask("PUT", kReserved, reserve(3));
  CHECK(put("live", 4) ==
        "400 InvalidParameterValueException: Requested Provisioned Concurrency should not be greater than the "
        "reservedConcurrentExecution for function");
  CHECK(put("live", 3).starts_with("202"));
  CHECK(put("1") == "409 ResourceConflictException: Version is pointed by a Provisioned Concurrency alias");
  CHECK(put("also") ==
        "409 ResourceConflictException: Alias can't be used for Provisioned Concurrency configuration on an already "
        "Provisioned version");
}

TEST_CASE("the account") {
  Lambda lambda;
  lambda.create();
  CHECK(lambda.ask("GET", "2016-08-19/account-settings") ==
        json({{"AccountLimit",
               {{"TotalCodeSize", 322'122'547'200},
                {"CodeSizeUnzipped", 262'144'000},
                {"CodeSizeZipped", 52'428'800},
                {"ConcurrentExecutions", 1000},
                {"UnreservedConcurrentExecutions", 993}}},
              {"AccountUsage", {{"TotalCodeSize", 3}, {"FunctionCount", 2}}}}));
}

TEST_CASE("what happens to events: put replaces, update merges, each qualifier has its own") {
  Published lambda;
  json config = lambda.ask(
      "PUT", kEvents,
      {{"MaximumRetryAttempts", 0}, {"DestinationConfig", {{"OnFailure", {{"Destination", test::kQueue}}}}}});
  CHECK(config ==
        json({{"LastModified", 1'789'200'000.0},
              {"FunctionArn", kArn + "hello:$LATEST"},
              {"MaximumRetryAttempts", 0},
              {"DestinationConfig", {{"OnSuccess", json::object()}, {"OnFailure", {{"Destination", test::kQueue}}}}}}));
  config = lambda.ask("POST", kEvents, {{"MaximumEventAgeInSeconds", 60}});
  CHECK(config.at("MaximumRetryAttempts") == 0);
  CHECK(config.at("MaximumEventAgeInSeconds") == 60);
  lambda.ask("PUT", "2017-10-31/functions/hello/concurrency", reserve(1));  // the next plan has it
  const config::AsyncConfig& async = lambda.functions.checked.async.at("$LATEST");
  CHECK(async.maximum_retry_attempts == 0);
  CHECK(async.maximum_event_age == std::chrono::seconds(60));
  CHECK(async.on_failure == "sqs:" + test::kQueue);
  config = lambda.ask("PUT", kEvents, {{"MaximumEventAgeInSeconds", 61}});
  CHECK_FALSE(config.contains("MaximumRetryAttempts"));
  CHECK(lambda.said("GET", kEvents, nullptr, of("live")) ==
        "404 ResourceNotFoundException: The function " + kArn + "hello:live doesn't have an EventInvokeConfig");
  lambda.ask("PUT", kEvents, {{"MaximumRetryAttempts", 1}}, of("live"));
  CHECK(lambda.ask("GET", kEvents + "/list").at("FunctionEventInvokeConfigs").size() == 2);
  CHECK(lambda.said("DELETE", kEvents) == "204");
  CHECK(lambda.said("DELETE", kEvents).starts_with("404"));
}

TEST_CASE("what happens to events: what is refused") {
  // Source: reference invoke.md 3.6 (recorded).
  struct Row {
    json arguments;
    std::string answer;
  };
  const std::string invalid = "400 InvalidParameterValueException: ";
  const std::string function = kArn + "other";
  const std::string table = "arn:aws:dynamodb:us-east-1:000000000000:table/t";
  const auto to = [](const std::string& which, const std::string& arn) {
    return json{{"DestinationConfig", {{which, {{"Destination", arn}}}}}};
  };
  const auto row = GENERATE_COPY(values<Row>({
      {json::object(), invalid + "You must specify at least one of error handling or destination setting."},
      {to("OnSuccess", kArn + "hello"), invalid + "You can't specify the function as a destination for itself."},
      {to("OnSuccess", table),
       invalid + "The provided destination config DestinationConfig(onSuccess=OnSuccess(destination=" + table +
           "), onFailure=null) is invalid."},
      {to("OnSuccess", "arn:aws:s3:::b"),
       invalid + "The provided destination config DestinationConfig(onSuccess=OnSuccess(destination=arn:aws:s3:::b), "
                 "onFailure=null) is invalid."},
      {to("OnFailure", "arn:aws:lambda:eu-west-1:111122223333:function:f"),
       invalid + "The destination ARN arn:aws:lambda:eu-west-1:111122223333:function:f is invalid."},
      {{{"MaximumRetryAttempts", 3}},
       "400 ValidationException: 1 validation error detected: Value '3' at 'maximumRetryAttempts' failed to satisfy "
       "constraint: Member must have value less than or equal to 2"},
      {{{"MaximumEventAgeInSeconds", 59}},
       "400 ValidationException: 1 validation error detected: Value '59' at 'maximumEventAgeInSeconds' failed to "
       "satisfy "
       "constraint: Member must have value greater than or equal to 60"},
  }));
  Lambda lambda;
  lambda.create();
  CHECK(lambda.said("PUT", kEvents, row.arguments) == row.answer);
  CHECK(lambda.said("PUT", "2019-09-25/functions/gone/event-invoke-config", {{"MaximumRetryAttempts", 1}}) ==
        "404 ResourceNotFoundException: The function doesn't exist.");
}

TEST_CASE("a bucket takes failures") {
  Lambda lambda;
  lambda.create();
  lambda.ask("PUT", kEvents, {{"DestinationConfig", {{"OnFailure", {{"Destination", "arn:aws:s3:::lost"}}}}}});
  lambda.ask("PUT", kReserved, reserve(1));
  CHECK(lambda.functions.checked.async.at("$LATEST").on_failure == "s3:lost");
}

TEST_CASE("an alias whose environments are kept ready leads to one published version, which has no others") {
  Lambda lambda;
  lambda.create();
  for (const char* content : {"one", "two", "three"}) lambda.publish(content);
  const std::string aliases = "2015-03-31/functions/hello/aliases";
  lambda.ask("POST", aliases, {{"Name", "live"}, {"FunctionVersion", "1"}});
  lambda.ask("POST", aliases, {{"Name", "beta"}, {"FunctionVersion", "2"}});
  const json weights = {{"RoutingConfig", {{"AdditionalVersionWeights", {{"3", 0.5}}}}}};
  lambda.ask("PUT", kProvisioned, provision(1), of("live"));
  lambda.ask("PUT", kProvisioned, provision(1), of("3"));
  const auto move = [&](const json& to) { return lambda.said("PUT", aliases + "/live", to); };
  CHECK(move(weights) == "400 InvalidParameterValueException: Invalid alias configuration for Provisioned Concurrency");
  CHECK(move({{"FunctionVersion", "$LATEST"}}) ==
        "400 InvalidParameterValueException: Provisioned Concurrency Configs cannot be applied to unpublished function "
        "versions.");
  CHECK(move({{"FunctionVersion", "3"}}) ==
        "409 ResourceConflictException: Alias can't be used for Provisioned Concurrency configuration on an already "
        "Provisioned version");
  CHECK(move({{"FunctionVersion", "2"}}).substr(0, 3) == "200");
  CHECK(lambda.functions.checked.aliases.at("live").version == "2");
  CHECK(lambda.functions.checked.provisioned == std::map<std::string, int>{{"3", 1}, {"live", 1}});
  SECTION("nor may one that leads to two get some") {
    lambda.ask("DELETE", kProvisioned, nullptr, of("live"));
    lambda.ask("PUT", aliases + "/live", weights);
    CHECK(lambda.said("PUT", kProvisioned, provision(1), of("live")) ==
          "400 InvalidParameterValueException: Invalid alias configuration for Provisioned Concurrency");
  }
}
