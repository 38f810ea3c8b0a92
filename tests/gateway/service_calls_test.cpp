#include "gateway/service_calls.h"

#include <array>
#include <optional>
#include <span>

#include <catch2/catch.hpp>

using namespace weir;
using gateway::find_service;
using http::Request;

namespace {

constexpr std::array<std::string_view, 1> kPaths{"/schedules"};
constexpr std::array<std::string_view, 1> kOpen{"ConfirmSubscription"};
constexpr std::array<std::string_view, 1> kCode{"GetCode"};
const std::array kServices{
    ServiceEntry{"events", "eventbridge", "eventbridge", "AWSEvents", "", {}, {}, "JSON.", nullptr},
    ServiceEntry{"lambda", "", "", "", "", {}, kCode, "Lambda.", nullptr},
    ServiceEntry{"scheduler", "", "", "", "", kPaths, {}, "Paths.", nullptr},
    ServiceEntry{"sns", "sns", "sns", "", "2010-03-31", {}, kOpen, "Forms.", nullptr},
};

Request request(const std::string& method, const std::string& target,
                const std::vector<std::pair<std::string, std::string>>& headers = {}, const std::string& body = "") {
  Request made;
  made.method = method;
  made.target = target;
  for (const auto& [name, value] : headers) made.headers.add(name, value);
  made.body = body;
  return made;
}

const std::pair<std::string, std::string> kForm{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"};

/// "sns Publish"; "nobody Publish" of a service that is not there, "" of no call.
std::string found(const Request& asked) {
  const auto route = find_service(asked, kServices);
  if (!route) return "";
  return std::string(route->service == nullptr ? "nobody" : route->service->name) + " " + route->operation;
}

}  // namespace

TEST_CASE("a call finds its service by what its protocol says") {
  CHECK(found(request("POST", "/", {{"X-Amz-Target", "AWSEvents.PutEvents"}}, "{}")) == "events PutEvents");
  CHECK(found(request("POST", "/", {{"X-Amz-Target", "AmazonSQS.SendMessage"}}, "{}")) == "nobody SendMessage");
  CHECK(found(request("POST", "/", {{"X-Amz-Target", "nonsense"}}, "{}")) == "nobody ");
  CHECK(found(request("POST", "/schedules/nightly")) == "scheduler ");
  CHECK(found(request("POST", "/", {kForm}, "Action=Publish&Version=2010-03-31&Message=a")) == "sns Publish");
  CHECK(found(request("POST", "/", {kForm}, "Action=SendEmail&Version=2010-12-01")) == "nobody SendEmail");
  CHECK(found(request("GET", "/?Action=ConfirmSubscription&Version=2010-03-31&Token=t")) == "sns ConfirmSubscription");
}

TEST_CASE("without a version the scope of the signature tells") {
  const std::string signed_by =
      "AWS4-HMAC-SHA256 Credential=AKID/20261123/us-east-1/sns/aws4_request, SignedHeaders=host";
  CHECK(found(request("POST", "/", {kForm, {"Authorization", signed_by}}, "Action=Publish")) == "sns Publish");
  CHECK(found(request("POST", "/", {kForm}, "Action=Publish")) == "nobody Publish");
}

TEST_CASE("what is no call of a service is left to others") {
  CHECK(found(request("GET", "/")).empty());
  CHECK(found(request("POST", "/", {kForm}, "a=b")).empty());
  CHECK(found(request("POST", "/", {kForm}, "Action=%zz")).empty());
  CHECK(found(request("POST", "/", {{"Content-Type", "application/json"}}, "Action=Publish")).empty());
  CHECK(found(request("POST", "/s3/uploads", {kForm}, "Action=Publish&Version=2010-03-31")).empty());
  CHECK(found(request("POST", "/2015-03-31/functions/f/invocations", {}, "{}")).empty());
}

TEST_CASE("only what a service says goes unsigned") {
  const auto confirm = find_service(request("GET", "/?Action=ConfirmSubscription&Version=2010-03-31"), kServices);
  CHECK(gateway::goes_unsigned(*confirm));
  const auto publish = find_service(request("GET", "/?Action=Publish&Version=2010-03-31"), kServices);
  CHECK_FALSE(gateway::goes_unsigned(*publish));
  const auto nobody = find_service(request("POST", "/", {{"X-Amz-Target", "X.ConfirmSubscription"}}), kServices);
  CHECK_FALSE(gateway::goes_unsigned(*nobody));
}

TEST_CASE("a call carries what was asked, and the way back") {
  Request asked = request("GET", "/?Action=Unsubscribe&Version=2010-03-31&A=b", {{"Host", "weir.local:4580"}});
  const auto route = *find_service(asked, kServices);
  const ServiceCall call = gateway::service_call(asked, route, "id-1", "Root=1", "127.0.0.1:4580");
  CHECK(call.operation == "Unsubscribe");
  CHECK(call.path == "/");
  CHECK(call.query == "Action=Unsubscribe&Version=2010-03-31&A=b");
  CHECK(call.header("host") == "weir.local:4580");
  CHECK(call.address == "http://weir.local:4580");
  CHECK(call.request_id == "id-1");
  CHECK(call.trace_header == "Root=1");
  CHECK(gateway::service_call(request("POST", "/"), route, "", "", "127.0.0.1:4580").address ==
        "http://127.0.0.1:4580");
}

TEST_CASE("all paths of Lambda's API are its service's, but those that invoke") {
  for (const char* path :
       {"/2015-03-31/functions", "/2015-03-31/functions/", "/2015-03-31/functions/a", "/2015-03-31/functions/a/code",
        "/2019-09-30/functions/a/provisioned-concurrency", "/2017-03-31/tags/arn%3Aaws", "/2016-08-19/account-settings",
        "/2015-03-31/event-source-mappings", "/2021-10-31/function-urls/x/"}) {
    CHECK(found(request("GET", path)) == "lambda ");
  }
  for (const char* path : {"/2015-03-31/functions/a/invocations", "/2014-11-13/functions/a/invoke-async",
                           "/2021-11-15/functions/a/response-streaming-invocations", "/2015-03-31/nonsense/a",
                           "/2015-03-31", "/s3/uploads"}) {
    CHECK(found(request("POST", path)).empty());
  }
  CHECK(find_service(request("GET", "/2015-03-31/functions/a"), std::span(kServices).first(1)) == std::nullopt);
}

TEST_CASE("a link to a function's code goes unsigned, and nothing else of Lambda's") {
  const auto unsigned_call = [](const std::string& path) {
    return gateway::goes_unsigned(*find_service(request("GET", path), kServices));
  };
  CHECK(unsigned_call("/2015-03-31/lambda-code/a/0123"));
  CHECK_FALSE(unsigned_call("/2015-03-31/functions/a"));
}

TEST_CASE("only code may be large") {
  CHECK(gateway::brings_code("POST", "/2015-03-31/functions"));
  CHECK(gateway::brings_code("POST", "/2015-03-31/functions/"));
  CHECK(gateway::brings_code("PUT", "/2015-03-31/functions/a/code"));
  CHECK_FALSE(gateway::brings_code("PUT", "/2015-03-31/functions/a/configuration"));
  CHECK_FALSE(gateway::brings_code("POST", "/2015-03-31/functions/a/invocations"));
  CHECK_FALSE(gateway::brings_code("POST", "/s3/uploads"));
}
