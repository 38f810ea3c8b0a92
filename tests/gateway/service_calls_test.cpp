#include "gateway/service_calls.h"

#include <array>

#include <catch2/catch.hpp>

using namespace weir;
using gateway::find_service;
using http::Request;

namespace {

constexpr std::array<std::string_view, 1> kPaths{"/schedules"};
constexpr std::array<std::string_view, 1> kOpen{"ConfirmSubscription"};
const std::array kServices{
    ServiceEntry{"events", "eventbridge", "eventbridge", "AWSEvents", "", {}, {}, "JSON.", nullptr},
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
