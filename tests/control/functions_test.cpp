#include <catch2/catch.hpp>

#include "api_driver.h"

using namespace weir;
using test::json;
using test::kArn;
using test::Lambda;

namespace {

const std::string kFunctions = "2015-03-31/functions";
const std::string kHello = kFunctions + "/hello";

}  // namespace

TEST_CASE("a function that was created is Pending in the answer and Active ever after") {
  Lambda lambda;
  const json made = lambda.create("hello", {{"Tags", {{"team", "a"}}}});
  CHECK(made.at("State") == "Pending");
  CHECK(made.at("StateReason") == "The function is being created.");
  CHECK(made.at("StateReasonCode") == "Creating");
  CHECK_FALSE(made.contains("LastUpdateStatus"));
  json shown = lambda.ask("GET", kHello + "/configuration");
  CHECK(shown.at("State") == "Active");
  CHECK(shown.at("LastUpdateStatus") == "Successful");
  const std::string revision = shown.at("RevisionId");
  CHECK(revision.size() == 36);
  shown.erase("RevisionId");
  shown.erase("RuntimeVersionConfig");
  // Defaults: reference invoke.md 6.3.
  CHECK(shown == json({{"FunctionName", "hello"},
                       {"FunctionArn", kArn + "hello"},
                       {"Runtime", "python3.12"},
                       {"Role", "arn:aws:iam::000000000000:role/r"},
                       {"Handler", "app.handler"},
                       {"CodeSize", 3},
                       {"CodeSha256", Lambda::sha256("zip")},
                       {"Description", ""},
                       {"Timeout", 3},
                       {"MemorySize", 128},
                       {"LastModified", "2026-09-12T08:00:00.000+0000"},
                       {"Version", "$LATEST"},
                       {"TracingConfig", {{"Mode", "PassThrough"}}},
                       {"State", "Active"},
                       {"LastUpdateStatus", "Successful"},
                       {"PackageType", "Zip"},
                       {"Architectures", {"x86_64"}},
                       {"EphemeralStorage", {{"Size", 512}}},
                       {"SnapStart", {{"ApplyOn", "None"}, {"OptimizationStatus", "Off"}}},
                       {"LoggingConfig", {{"LogFormat", "Text"}, {"LogGroup", "/aws/lambda/hello"}}}}));
  const json whole = lambda.ask("GET", kHello);
  CHECK(whole.at("Tags") == json({{"team", "a"}}));
  CHECK(whole.at("Code") == json({{"RepositoryType", "S3"}, {"Location", "link:hello"}}));
  CHECK_FALSE(whole.contains("Concurrency"));
}

TEST_CASE("what CreateFunction refuses") {
  struct Row {
    std::string sentence;
    json more;
    std::string answer;
  };
  const auto constraint = [](const std::string& value, const std::string& where, const std::string& rule) {
    return "400 ValidationException: 1 validation error detected: Value " + value + " at '" + where +
           "' failed to satisfy constraint: Member must " + rule;
  };
  const std::string invalid = "400 InvalidParameterValueException: ";
  json variables = json::object();
  variables["LONG"] = std::string(4096, 'x');
  json tags = json::object();
  for (int i = 0; i < 51; ++i) tags["k" + std::to_string(i)] = "v";
  const auto row = GENERATE_COPY(values<Row>({
      {"no role", {{"Role", nullptr}}, constraint("null", "role", "not be null")},
      {"a role that is none",
       {{"Role", "r1"}},
       constraint(
           "'r1'", "role",
           R"(satisfy regular expression pattern: arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+)")},
      {"a short timeout", {{"Timeout", 0}}, constraint("'0'", "timeout", "have value greater than or equal to 1")},
      {"a long timeout", {{"Timeout", 901}}, constraint("'901'", "timeout", "have value less than or equal to 900")},
      {"little memory",
       {{"MemorySize", 127}},
       constraint("'127'", "memorySize", "have value greater than or equal to 128")},
      {"much memory",
       {{"MemorySize", 10'241}},
       constraint("'10241'", "memorySize", "have value less than or equal to 10240")},
      {"little storage",
       {{"EphemeralStorage", {{"Size", 511}}}},
       constraint("'511'", "ephemeralStorage.size", "have value greater than or equal to 512")},
      {"a handler with a space",
       {{"Handler", "a b"}},
       constraint("'a b'", "handler", R"(satisfy regular expression pattern: [^\s]+)")},
      {"an architecture",
       {{"Architectures", {"sparc"}}},
       constraint("'[sparc]'", "architectures",
                  "satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64]]")},
      {"a text that is a number",
       {{"Handler", 1}},
       "400 SerializationException: The argument Handler has the wrong type."},
      {"no runtime",
       {{"Runtime", nullptr}},
       invalid + "Runtime and Handler are mandatory parameters for functions created with deployment packages."},
      {"a runtime that weir does not have",
       {{"Runtime", "dotnet8"}},
       invalid + "weir cannot start functions of the runtime dotnet8."},
      {"a bucket",
       {{"Code", {{"S3Bucket", "b"}}}},
       invalid + "Please do not provide other FunctionCode parameters when providing a ZipFile."},
      {"an image",
       {{"Code", {{"ImageUri", "i"}}}},
       invalid + "weir runs no container images: give the code as ZipFile."},
      {"six layers", {{"Layers", {"1", "2", "3", "4", "5", "6"}}}, invalid + "Cannot reference more than 5 layers."},
      {"a layer",
       {{"Layers", {"arn:aws:lambda:us-east-1:000000000000:layer:x:1"}}},
       invalid + "Layer version arn:aws:lambda:us-east-1:000000000000:layer:x:1 does not exist."},
      {"many tags", {{"Tags", tags}}, invalid + "Number of tags exceeds resource tag limit."},
      {"much environment",
       {{"Environment", {{"Variables", variables}}}},
       invalid +
           "Lambda was unable to configure your environment variables because the environment variables you have "
           "provided exceeded the 4KB limit. String measured: " +
           variables.dump()},
      {"a variable of Lambda's own",
       {{"Environment", {{"Variables", {{"AWS_REGION", "x"}}}}}},
       invalid +
           "Lambda was unable to configure your environment variables because the environment variables you have "
           "provided contains reserved keys that are currently not supported for modification. Reserved keys used "
           "in this request: AWS_REGION"},
      {"a dead-letter queue that is a function",
       {{"DeadLetterConfig", {{"TargetArn", kArn + "hello"}}}},
       invalid + "The dead-letter target " + kArn + "hello is neither a queue nor a topic."},
      {"a function of the configuration",
       {{"FunctionName", "fixed"}},
       "409 ResourceConflictException: Function already exist: fixed"},
      {"a name that is too long",
       {{"FunctionName", std::string(65, 'a')}},
       invalid + "1 validation error detected: Value '" + std::string(65, 'a') +
           "' at 'functionName' failed to satisfy constraint: Member must have length less than or equal to 64"},
  }));
  DYNAMIC_SECTION(row.sentence) {
    Lambda lambda;
    CHECK(lambda.create_refused(row.more) == row.answer);
    CHECK(lambda.model.functions().empty());
  }
}

TEST_CASE("both ends of each range are taken") {
  Lambda lambda;
  const json variables = {{"LONG", std::string(4096 - std::string(R"({"LONG":""})").size(), 'x')}};
  lambda.create("least", {{"Timeout", 1}, {"MemorySize", 128}, {"EphemeralStorage", {{"Size", 512}}}});
  lambda.create("most", {{"Timeout", 900},
                         {"MemorySize", 10'240},
                         {"EphemeralStorage", {{"Size", 10'240}}},
                         {"Environment", {{"Variables", variables}}},
                         {"Description", std::string(256, 'd')}});
  lambda.create(std::string(64, 'a'));
}

TEST_CASE("several mistakes of the model are told together") {
  Lambda lambda;
  CHECK(lambda.create_refused({{"Timeout", 0}, {"MemorySize", 1}}) ==
        "400 ValidationException: 2 validation errors detected: Value '0' at 'timeout' failed to satisfy constraint: "
        "Member must have value greater than or equal to 1; Value '1' at 'memorySize' failed to satisfy constraint: "
        "Member must have value greater than or equal to 128");
}

TEST_CASE("a name can be had once") {
  Lambda lambda;
  lambda.create();
  CHECK(lambda.create_refused(json::object()) == "409 ResourceConflictException: Function already exist: hello");
}

TEST_CASE("what is not there is not found, with the ARN that was asked for") {
  struct Row {
    std::string method, path, answer;
  };
  const std::string none = "404 ResourceNotFoundException: Function not found: " + kArn;
  const auto row = GENERATE_COPY(values<Row>({
      {"GET", kFunctions + "/gone", none + "gone"},
      {"GET", kFunctions + "/gone:1", none + "gone:1"},
      {"GET", kHello + ":1", none + "hello:1"},
      {"GET", kHello + ":live/configuration", none + "hello:live"},
      {"PUT", kFunctions + "/gone/configuration", none + "gone"},
      {"DELETE", kFunctions + "/gone", none + "gone"},
      {"POST", kFunctions + "/gone/versions", none + "gone"},
      {"GET", kFunctions + "/arn:aws:lambda:eu-west-1:000000000000:function:hello",
       "404 ResourceNotFoundException: Functions from 'eu-west-1' are not reachable in this region ('us-east-1')"},
      {"GET", kFunctions + "/111122223333:function:hello",
       "403 AccessDeniedException: User: arn:aws:iam::000000000000:root is not authorized to perform: "
       "lambda:GetFunction on resource: arn:aws:lambda:us-east-1:111122223333:function:hello because no resource-based "
       "policy allows the lambda:GetFunction action"},
      {"PATCH", kHello, "501 NotImplementedException: weir does not serve PATCH /2015-03-31/functions/hello."},
      {"GET", "2020-04-22/code-signing-configs",
       "501 NotImplementedException: weir does not serve GET /2020-04-22/code-signing-configs."},
  }));
  Lambda lambda;
  lambda.create();
  CHECK(lambda.said(row.method, row.path) == row.answer);
}

TEST_CASE("all ways to name a function mean the same") {
  Lambda lambda;
  lambda.create();
  for (const std::string& name : {std::string("hello"), std::string("function:hello"),
                                  std::string("000000000000:function:hello"), kArn + "hello"}) {
    CHECK(lambda.ask("GET", kFunctions + "/" + name + "/configuration").at("FunctionArn") == kArn + "hello");
  }
  CHECK(lambda.ask("GET", kHello + ":$LATEST").at("Configuration").at("FunctionArn") == kArn + "hello:$LATEST");
  CHECK(lambda.said("GET", kHello + ":1", nullptr, {{"Qualifier", "2"}}) ==
        "400 InvalidParameterValueException: The derived qualifier from the function name does not match the specified "
        "qualifier.");
}

TEST_CASE("an update changes what it names, and the revision") {
  Lambda lambda;
  const json made = lambda.create(
      "hello", {{"Environment", {{"Variables", {{"AA", "1"}}}}}, {"DeadLetterConfig", {{"TargetArn", test::kQueue}}}});
  const json updated =
      lambda.ask("PUT", kHello + "/configuration", {{"Timeout", 10}, {"DeadLetterConfig", json::object()}});
  CHECK(updated.at("LastUpdateStatus") == "InProgress");
  CHECK(updated.at("LastUpdateStatusReasonCode") == "Creating");
  CHECK(updated.at("Timeout") == 10);
  CHECK(updated.at("Environment") == made.at("Environment"));
  CHECK(updated.at("DeadLetterConfig").at("TargetArn") == test::kQueue);
  CHECK(updated.at("RevisionId") != made.at("RevisionId"));
  CHECK(lambda.ask("GET", kHello + "/configuration").at("LastUpdateStatus") == "Successful");

  const json cleared = lambda.ask("PUT", kHello + "/configuration",
                                  {{"Environment", {{"Variables", json::object()}}},
                                   {"DeadLetterConfig", {{"TargetArn", ""}}},
                                   {"LoggingConfig", {{"LogFormat", "JSON"}}}});
  CHECK_FALSE(cleared.contains("Environment"));
  CHECK_FALSE(cleared.contains("DeadLetterConfig"));
  CHECK(cleared.at("LoggingConfig") == json({{"LogFormat", "JSON"},
                                             {"ApplicationLogLevel", "INFO"},
                                             {"SystemLogLevel", "INFO"},
                                             {"LogGroup", "/aws/lambda/hello"}}));
  CHECK(lambda.said("PUT", kHello + "/configuration", {{"Timeout", 1}, {"RevisionId", made.at("RevisionId")}}) ==
        "412 PreconditionFailedException: The Revision Id provided does not match the latest Revision Id. Call the "
        "GetFunction/GetAlias API to retrieve the latest Revision Id");
  lambda.ask("PUT", kHello + "/configuration", {{"Timeout", 1}, {"RevisionId", cleared.at("RevisionId")}});

  lambda.ask("PUT", kHello + "/configuration",
             {{"LoggingConfig", {{"ApplicationLogLevel", "ERROR"}, {"SystemLogLevel", "WARN"}}}});
  const config::FunctionPlan plan =
      control::plan_of(lambda.model.functions().find("hello")->second, control::CodeFolder("/state/code"),
                       [](std::string_view) { return std::string(); });
  CHECK(plan.versions.at("$LATEST").log_format == "JSON");
  CHECK(plan.versions.at("$LATEST").application_log_level == "ERROR");
  CHECK(plan.versions.at("$LATEST").system_log_level == "WARN");
}

TEST_CASE("new code: at once, published, or only tried") {
  Lambda lambda;
  const json made = lambda.create();
  const json dry = lambda.with_zip("more").ask("PUT", kHello + "/code", {{"ZipFile", "zip"}, {"DryRun", true}});
  CHECK(dry.at("CodeSha256") == Lambda::sha256("more"));
  CHECK(lambda.ask("GET", kHello + "/configuration").at("CodeSha256") == made.at("CodeSha256"));
  const json published = lambda.with_zip("more").ask("PUT", kHello + "/code", {{"ZipFile", "zip"}, {"Publish", true}});
  CHECK(published.at("Version") == "1");
  CHECK(published.at("FunctionArn") == kArn + "hello:1");
  CHECK(lambda.ask("GET", kHello + "/configuration").at("CodeSha256") == Lambda::sha256("more"));
  CHECK(lambda.said("PUT", kHello + "/code", json::object()) ==
        "400 InvalidParameterValueException: Please provide a source for function code.");
  CHECK(lambda.said("PUT", kHello + "/code", {{"S3Bucket", "b"}, {"S3Key", "k"}}) ==
        "400 InvalidParameterValueException: weir fetches no code from S3: give it as ZipFile.");
}

TEST_CASE("functions are listed page by page, with their versions where all are asked for") {
  Lambda lambda;
  for (const char* name : {"b", "a", "c"}) lambda.create(name);
  lambda.publish("more", "b");
  json page = lambda.ask("GET", kFunctions, nullptr, {{"MaxItems", "2"}});
  REQUIRE(page.at("Functions").size() == 2);
  CHECK(page.at("Functions")[0].at("FunctionName") == "a");
  CHECK_FALSE(page.at("Functions")[0].contains("State"));
  page = lambda.ask("GET", kFunctions, nullptr, {{"MaxItems", "2"}, {"Marker", page.at("NextMarker")}});
  REQUIRE(page.at("Functions").size() == 2);
  CHECK(page.at("Functions")[1].at("FunctionName") == "fixed");
  CHECK_FALSE(page.contains("NextMarker"));
  std::string arns;
  page = lambda.ask("GET", kFunctions, nullptr, {{"FunctionVersion", "ALL"}});
  for (const json& each : page.at("Functions")) {
    arns += each.at("FunctionArn").get<std::string>().substr(kArn.size()) + " ";
  }
  CHECK(arns == "a:$LATEST b:$LATEST b:1 c:$LATEST fixed:$LATEST ");
  CHECK(lambda.said("GET", kFunctions, nullptr, {{"MaxItems", "0"}}) ==
        "400 ValidationException: 1 validation error detected: Value '0' at 'maxItems' failed to satisfy constraint: "
        "Member must have value greater than or equal to 1");
}

TEST_CASE("a page has at most 50") {
  Lambda lambda;
  for (int i = 0; i < 51; ++i) lambda.create("f" + std::to_string(i));
  CHECK(lambda.ask("GET", kFunctions, nullptr, {{"MaxItems", "10000"}}).at("Functions").size() == 50);
}

TEST_CASE("functions of the configuration are shown and not changed") {
  Lambda lambda;
  const json shown = lambda.ask("GET", kFunctions + "/fixed");
  CHECK(shown.at("Configuration").at("Handler") == "app.handler");
  CHECK(shown.at("Configuration").at("MemorySize") == 256);
  CHECK(shown.at("Concurrency") == json({{"ReservedConcurrentExecutions", 7}}));
  CHECK(shown.at("Code").at("Location") == "file:///srv/fixed");
  CHECK(lambda.ask("GET", kFunctions + "/fixed") == shown);
  const std::string refused =
      "409 ResourceConflictException: The function is defined in weir's configuration file, which alone can change "
      "it: " +
      kArn + "fixed";
  for (const auto& [method, path] :
       std::map<std::string, std::string>{{"DELETE", ""}, {"PUT", "/configuration"}, {"PUT", "/code"}}) {
    CHECK(lambda.said(method, kFunctions + "/fixed" + path, json::object()) == refused);
  }
  CHECK(lambda.said("PUT", "2017-10-31/functions/fixed/concurrency", {{"ReservedConcurrentExecutions", 1}}) == refused);
  const json events = lambda.ask("GET", "2019-09-25/functions/fixed/event-invoke-config");
  CHECK(events.at("DestinationConfig").at("OnFailure") == json({{"Destination", "file:/srv/lost"}}));
}

TEST_CASE("a function that is deleted is gone with all that was its") {
  Lambda lambda;
  lambda.create("hello", {{"Tags", {{"a", "b"}}}});
  lambda.publish("more");
  lambda.ask("POST", kHello + "/aliases", {{"Name", "live"}, {"FunctionVersion", "1"}});
  CHECK(lambda.said("DELETE", kHello) == "204");
  CHECK(lambda.said("GET", kHello) == "404 ResourceNotFoundException: Function not found: " + kArn + "hello");
  // Numbers are never used again.
  CHECK(lambda.remembered == std::map<std::string, std::string>{{"number/hello", "1"}});
  lambda.restart();
  lambda.create();
  CHECK(lambda.publish("more") == "2");
}

TEST_CASE("what was made is the same after a restart") {
  Lambda lambda;
  lambda.create("hello", {{"Environment", {{"Variables", {{"AA", "ä"}}}}}});
  lambda.publish("more");
  lambda.ask("POST", kHello + "/aliases", {{"Name", "live"}, {"FunctionVersion", "1"}});
  const json before = lambda.ask("GET", kHello + ":live");
  lambda.restart();
  CHECK(lambda.ask("GET", kHello + ":live") == before);
}

TEST_CASE("code that is lost makes a function Failed") {
  Lambda lambda;
  lambda.create();
  lambda.broken = true;
  const json shown = lambda.ask("GET", kHello + "/configuration");
  CHECK(shown.at("State") == "Failed");
  CHECK(shown.at("StateReasonCode") == "InternalError");
}

TEST_CASE("a body that is no JSON") {
  Lambda lambda;
  lambda.create();
  for (const char* body : {"[]", "{", "null", "\xff"}) {
    CHECK(lambda.said("PUT", kHello + "/configuration", body) ==
          "400 InvalidRequestContentException: Could not parse request body into json.");
  }
}

TEST_CASE("the bridge's plan of a function") {
  Lambda lambda;
  lambda.create("hello", {{"Environment", {{"Variables", {{"AA", "1"}}}}},
                          {"Timeout", 10},
                          {"MemorySize", 256},
                          {"DeadLetterConfig", {{"TargetArn", test::kQueue}}}});
  const config::CommandFunction& latest = lambda.functions.checked.versions.at("$LATEST");
  CHECK(latest.command.empty());
  CHECK(latest.runtime == "python3.12");
  CHECK(latest.handler == "app.handler");
  CHECK(latest.timeout == std::chrono::seconds(10));
  CHECK(latest.memory_size == 256);
  CHECK(latest.environment == std::map<std::string, std::string>{{"AA", "1"}});
  CHECK(latest.directory == "/state/code/hello/" + control::hex_of(control::sha256_of("zip")));
  CHECK(lambda.functions.checked.async.at("$LATEST").dead_letter == "sqs:" + test::kQueue);
}
