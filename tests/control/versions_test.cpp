#include <catch2/catch.hpp>

#include "api_driver.h"

using namespace weir;
using test::json;
using test::kArn;
using test::Lambda;

namespace {

const std::string kHello = "2015-03-31/functions/hello";
const std::string kAliases = kHello + "/aliases";

/// `hello` with versions 1 and 2.
struct Published : Lambda {
  Published() {
    create();
    publish("one");
    publish("two");
  }
  std::string alias(const json& arguments) { return said("POST", kAliases, arguments); }
};

json weights(const std::string& version, double weight) {
  return {{"AdditionalVersionWeights", {{version, weight}}}};
}

}  // namespace

TEST_CASE("a version is a copy that nothing changes any more") {
  Lambda lambda;
  lambda.create("hello", {{"Description", "d"}});
  const json one = lambda.ask("POST", kHello + "/versions", {{"Description", "first"}});
  CHECK(one.at("Version") == "1");
  CHECK(one.at("FunctionArn") == kArn + "hello:1");
  CHECK(one.at("Description") == "first");
  CHECK(one.at("State") == "Active");
  CHECK_FALSE(one.contains("LatestDescription"));
  lambda.ask("PUT", kHello + "/configuration", {{"Timeout", 9}});
  CHECK(lambda.ask("GET", kHello + ":1/configuration") == one);
  CHECK(lambda.functions.checked.versions.at("1").timeout == std::chrono::seconds(3));
  CHECK(lambda.functions.checked.versions.at("$LATEST").timeout == std::chrono::seconds(9));
}

TEST_CASE("nothing new is no new version") {
  Lambda lambda;
  lambda.create();
  const auto publish = [&](const json& more = json::object()) {
    return lambda.ask("POST", kHello + "/versions", more).at("Version").get<std::string>();
  };
  CHECK(publish() == "1");
  CHECK(publish({{"Description", "another"}}) == "1");
  lambda.ask("PUT", kHello + "/configuration", {{"Timeout", 3}});
  CHECK(publish() == "1");
  lambda.ask("PUT", kHello + "/configuration", {{"Description", "said"}});
  CHECK(publish() == "2");
  lambda.ask("PUT", kHello + "/configuration", {{"Timeout", 4}});
  CHECK(publish() == "3");
  lambda.with_zip("new").ask("PUT", kHello + "/code", {{"ZipFile", "zip"}});
  CHECK(publish() == "4");
  lambda.ask("DELETE", kHello, nullptr, {{"Qualifier", "4"}});
  CHECK(publish() == "5");
}

TEST_CASE("what guards a publication") {
  Published lambda;
  const std::string sha = Lambda::sha256("two");
  CHECK(lambda.said("POST", kHello + "/versions", {{"CodeSha256", "X"}}) ==
        "400 InvalidParameterValueException: CodeSHA256 (X) is different from current CodeSHA256 in $LATEST (" + sha +
            "). Please try again with the CodeSHA256 in $LATEST.");
  CHECK(
      lambda.said("POST", kHello + "/versions", {{"RevisionId", "x"}}).starts_with("412 PreconditionFailedException"));
  CHECK(lambda.ask("POST", kHello + "/versions", {{"CodeSha256", sha}}).at("Version") == "2");
}

TEST_CASE("versions are listed by their numbers, behind $LATEST") {
  Lambda lambda;
  lambda.create();
  for (int i = 0; i < 10; ++i) lambda.publish(std::to_string(i));
  std::string all;
  const json list = lambda.ask("GET", kHello + "/versions");
  for (const json& each : list.at("Versions")) {
    all += each.at("Version").get<std::string>() + " ";
    CHECK(each.at("FunctionArn") == kArn + "hello:" + each.at("Version").get<std::string>());
  }
  CHECK(all == "$LATEST 1 2 3 4 5 6 7 8 9 10 ");
}

TEST_CASE("which versions can be deleted") {
  Published lambda;
  lambda.alias({{"Name", "live"}, {"FunctionVersion", "2"}, {"RoutingConfig", weights("1", 0.5)}});
  const auto removed = [&](const std::string& qualifier) {
    return lambda.said("DELETE", kHello, nullptr, {{"Qualifier", qualifier}});
  };
  const std::string used =
      "409 ResourceConflictException: Unable to delete version because the following aliases reference it: [live]";
  CHECK(removed("$LATEST") ==
        "400 InvalidParameterValueException: $LATEST version cannot be deleted without deleting the function.");
  CHECK(removed("live") == "400 InvalidParameterValueException: Deletion of aliases is not currently supported.");
  CHECK(removed("1") == used);
  CHECK(removed("2") == used);
  CHECK(removed("3") == "404 ResourceNotFoundException: Function not found: " + kArn + "hello:3");
  lambda.ask("PUT", kAliases + "/live", {{"RoutingConfig", {{"AdditionalVersionWeights", json::object()}}}});
  CHECK(removed("1") == "204");
}

TEST_CASE("an alias leads to a version, and to two") {
  Published lambda;
  json alias = lambda.ask("POST", kAliases, {{"Name", "live"}, {"FunctionVersion", "1"}, {"Description", "d"}});
  const json revision = alias.at("RevisionId");
  alias.erase("RevisionId");
  CHECK(alias ==
        json({{"AliasArn", kArn + "hello:live"}, {"Name", "live"}, {"FunctionVersion", "1"}, {"Description", "d"}}));
  CHECK(lambda.ask("GET", kHello + ":live").at("Configuration").at("Version") == "1");
  CHECK(lambda.ask("GET", kHello + ":live").at("Configuration").at("FunctionArn") == kArn + "hello:live");
  lambda.ask("PUT", kAliases + "/live", {{"RoutingConfig", weights("2", 0.25)}, {"RevisionId", revision}});
  CHECK(lambda.ask("GET", kAliases + "/live").at("RoutingConfig") == weights("2", 0.25));
  const config::AliasRoute& route = lambda.functions.checked.aliases.at("live");
  CHECK((route == config::AliasRoute{"1", "2", 0.25}));
  // Omitted is unchanged; an empty one clears.
  lambda.ask("PUT", kAliases + "/live", {{"Description", "e"}});
  CHECK(lambda.ask("GET", kAliases + "/live").at("RoutingConfig") == weights("2", 0.25));
  lambda.ask("PUT", kAliases + "/live", {{"RoutingConfig", {{"AdditionalVersionWeights", json::object()}}}});
  CHECK_FALSE(lambda.ask("GET", kAliases + "/live").contains("RoutingConfig"));
  CHECK((lambda.functions.checked.aliases.at("live") == config::AliasRoute{"1", "", 0}));
  CHECK(lambda.said("DELETE", kAliases + "/live") == "204");
  CHECK(lambda.said("DELETE", kAliases + "/live") == "204");
}

TEST_CASE("what an alias cannot be") {
  // Source: reference invoke.md 5 (recorded).
  struct Row {
    std::string sentence;
    json arguments;
    std::string answer;
  };
  const std::string invalid = "400 InvalidParameterValueException: ";
  const std::string one = "400 ValidationException: 1 validation error detected: Value ";
  json two = {{"AdditionalVersionWeights", {{"1", 0.1}, {"2", 0.1}}}};
  const auto row = GENERATE_COPY(values<Row>({
      {"two further versions",
       {{"FunctionVersion", "1"}, {"RoutingConfig", two}},
       invalid + "Number of items in AdditionalVersionWeights cannot be greater than 1"},
      {"the same version twice",
       {{"FunctionVersion", "1"}, {"RoutingConfig", weights("1", 0.5)}},
       invalid + "Invalid function version 1. Function version 1 is already included in routing configuration."},
      {"$LATEST and another",
       {{"FunctionVersion", "$LATEST"}, {"RoutingConfig", weights("1", 0.5)}},
       invalid + "$LATEST is not supported for an alias pointing to more than 1 version"},
      {"a version that is not there",
       {{"FunctionVersion", "10"}},
       "404 ResourceNotFoundException: Function not found: " + kArn + "hello:10"},
      {"another that is not there",
       {{"FunctionVersion", "1"}, {"RoutingConfig", weights("10", 0.5)}},
       "404 ResourceNotFoundException: Function not found: " + kArn + "hello:10"},
      {"an alias",
       {{"FunctionVersion", "other"}},
       one + R"('other' at 'functionVersion' failed to satisfy constraint: Member must satisfy regular expression )" +
           R"(pattern: (\$LATEST(\.PUBLISHED)?|[0-9]+))"},
      {"a number for a name",
       {{"Name", "7"}, {"FunctionVersion", "1"}},
       one + "'7' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: "
             "(?!^[0-9]+$)([a-zA-Z0-9-_]+)"},
      {"a name that is there",
       {{"Name", "there"}, {"FunctionVersion", "1"}},
       "409 ResourceConflictException: Alias already exists: " + kArn + "hello:there"},
      {"no version", json::object(),
       one + "null at 'functionVersion' failed to satisfy constraint: Member must not be null"},
  }));
  DYNAMIC_SECTION(row.sentence) {
    Published lambda;
    lambda.alias({{"Name", "there"}, {"FunctionVersion", "1"}});
    json arguments = {{"Name", "live"}};
    arguments.update(row.arguments);
    CHECK(lambda.alias(arguments) == row.answer);
    CHECK(lambda.model.function("hello")->aliases.size() == 1);
  }
}

TEST_CASE("weights are from 0 to 1, of numbers") {
  Published lambda;
  const auto with = [&](const std::string& name, const json& routing) {
    return lambda.alias({{"Name", name}, {"FunctionVersion", "1"}, {"RoutingConfig", routing}});
  };
  CHECK(with("a", weights("2", 1.01)).starts_with("400 ValidationException"));
  CHECK(with("a", weights("2", -0.01)).starts_with("400 ValidationException"));
  CHECK(with("a", weights("$LATEST", 0.5)).starts_with("400 ValidationException"));
  CHECK(with("a", weights("2", 1)).starts_with("201"));
  CHECK(with("b", weights("2", 0)).starts_with("201"));
}

TEST_CASE("both versions of an alias have one role and one dead-letter queue") {
  Lambda lambda;
  lambda.create();
  lambda.publish("one");
  lambda.ask("PUT", kHello + "/configuration", {{"Role", "arn:aws:iam::000000000000:role/other"}});
  lambda.publish("two");
  const auto both = [&](const std::string& first, const std::string& second) {
    return lambda.said(
        "POST", kAliases,
        {{"Name", "a" + first + second}, {"FunctionVersion", first}, {"RoutingConfig", weights(second, 0.5)}});
  };
  CHECK(both("1", "2").starts_with("400 InvalidParameterValueException"));
  lambda.ask("PUT", kHello + "/configuration", {{"DeadLetterConfig", {{"TargetArn", test::kQueue}}}});
  lambda.publish("three");
  CHECK(both("2", "3").starts_with("400 InvalidParameterValueException"));
  lambda.publish("four");
  CHECK(both("3", "4").starts_with("201"));
}

TEST_CASE("aliases that are not there, and those of a version") {
  Published lambda;
  CHECK(lambda.said("GET", kAliases + "/live") ==
        "404 ResourceNotFoundException: Cannot find alias arn: " + kArn + "hello:live");
  CHECK(lambda.said("PUT", kAliases + "/live", json::object()) ==
        "404 ResourceNotFoundException: Alias not found: " + kArn + "hello:live");
  lambda.alias({{"Name", "a"}, {"FunctionVersion", "1"}});
  lambda.alias({{"Name", "b"}, {"FunctionVersion", "2"}});
  CHECK(lambda.ask("GET", kAliases).at("Aliases").size() == 2);
  const json of_two = lambda.ask("GET", kAliases, nullptr, {{"FunctionVersion", "2"}});
  REQUIRE(of_two.at("Aliases").size() == 1);
  CHECK(of_two.at("Aliases")[0].at("Name") == "b");
  CHECK(lambda.said("PUT", kAliases + "/a", {{"RevisionId", "x"}}).starts_with("412 PreconditionFailedException"));
}

TEST_CASE("a function of the configuration has versions and aliases of the API, and stays the configuration's") {
  Lambda lambda;
  const std::string fixed = "2015-03-31/functions/fixed";
  const auto publish = [&](const std::string& content) {
    return lambda.with_zip(content).ask("POST", fixed + "/versions", json::object());
  };
  const json first = publish("one");
  CHECK(first.at("Version") == "1");
  CHECK(first.at("FunctionArn") == kArn + "fixed:1");
  CHECK(first.at("CodeSha256") == Lambda::sha256("one"));
  CHECK(first.at("MemorySize") == 256);
  CHECK_FALSE(first.contains("Command"));
  CHECK(publish("one").at("Version") == "1");
  CHECK(publish("two").at("Version") == "2");
  lambda.ask("POST", fixed + "/aliases", {{"Name", "live"}, {"FunctionVersion", "1"}});
  lambda.ask("PUT", "2019-09-30/functions/fixed/provisioned-concurrency", {{"ProvisionedConcurrentExecutions", 3}},
             {{"Qualifier", "live"}});
  lambda.restart();
  // What the bridge is told to run: the command, on the copy of the folder.
  const config::CommandFunction version = lambda.functions.checked.versions.at("1");
  CHECK(version.command == std::vector<std::string>{"/bin/true"});
  CHECK(version.directory.starts_with("/state/code/fixed/"));
  CHECK(version.handler == "app.handler");
  CHECK(lambda.functions.checked.provisioned == std::map<std::string, int>{{"live", 3}});
  CHECK(lambda.ask("GET", fixed + "/versions").at("Versions").size() == 3);
  CHECK(lambda.ask("GET", fixed + "/aliases").at("Aliases").size() == 1);
  CHECK(lambda.ask("GET", fixed, nullptr, {{"Qualifier", "live"}})
            .at("Code")
            .at("Location")
            .get<std::string>()
            .starts_with("file:///state/code/fixed/"));
  CHECK(
      lambda.said("DELETE", fixed, nullptr, {{"Qualifier", "1"}}).starts_with("409 ResourceConflictException: Unable"));
  CHECK(lambda.said("DELETE", fixed, nullptr, {{"Qualifier", "2"}}) == "204");
  CHECK(lambda.said("PUT", fixed + "/aliases/live", {{"FunctionVersion", "$LATEST"}}).starts_with("400"));
  CHECK(lambda.said("DELETE", fixed + "/aliases/live") == "204");
  for (const auto& [method, path] : std::vector<std::pair<std::string, std::string>>{
           {"DELETE", fixed}, {"PUT", fixed + "/configuration"}, {"PUT", "2017-10-31/functions/fixed/concurrency"}}) {
    CHECK(
        lambda.said(method, path, {{"ReservedConcurrentExecutions", 3}}).starts_with("409 ResourceConflictException"));
  }
  CHECK(publish("three").at("Version") == "3");
}
