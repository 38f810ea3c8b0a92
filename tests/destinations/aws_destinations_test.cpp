#include <cstdlib>
#include <regex>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "connectors/destinations/destinations.h"
#include "http/uri.h"
#include "remote/world.h"
#include "support/fake_clock.h"
#include "support/run_coroutine.h"

using namespace weir;
using test::FakeServer;

namespace {

/// What the SDKs would find.
const bool kCredentials = [] {
  ::setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
  ::setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
  return true;
}();

http::Response answer(int status, std::string body, const char* type = "application/x-amz-json-1.0") {
  return http::Response(status, type, std::move(body));
}

using Make = Result<std::unique_ptr<Destination>> (*)(std::string, DestinationContext);

/// One destination and the service that stands behind it.
struct World {
  explicit World(FakeServer::Answer answers) : server(context, std::move(answers)) {}

  /// Delivers the records one after the other; gives how each ended.
  std::vector<std::string> deliver(Make make, std::string target, std::vector<DestinationRecord> records) {
    std::vector<std::string> ends;
    test::run(context, scenario(make, std::move(target), std::move(records), ends));
    return ends;
  }

  net::io_context context{1};
  test::FakeClock clock;
  test::LoggedLines log;
  FakeServer server;

 private:
  net::awaitable<void> scenario(Make make, std::string target, std::vector<DestinationRecord> records,
                                std::vector<std::string>& ends) {
    AwsAccess access;
    access.region = "eu-west-1";
    access.endpoint_url = server.url();
    DestinationContext made_with{context.get_executor(), context.get_executor(), access, nullptr, log, clock};
    auto made = make(std::move(target), std::move(made_with));
    if (!made) {
      ends.push_back(made.error().describe());
    } else {
      for (DestinationRecord& record : records) {
        const Result<void> delivered = co_await (*made)->deliver(std::move(record));
        ends.push_back(delivered ? "kept" : delivered.error().describe());
      }
      co_await (*made)->close();
    }
    co_await server.close();
  }
};

DestinationRecord discard() {
  DestinationRecord record;
  record.record = R"({"requestContext":{"condition":"RetryAttemptsExhausted"},"version":"1.0"})";
  record.payload = R"({"Records":[{"data":"\"é"}]})";
  record.mapping = "7b2f4e0c-9f0a-4d0e-8f5e-0a4a52c9a111";
  record.shard = "shardId-000000000003";
  record.function = "f";
  record.at = *parse_iso("2025-11-25T16:35:32.123Z");
  return record;
}
DestinationRecord asynchronous() {
  DestinationRecord record = discard();
  record.mapping.clear();
  record.shard.clear();
  record.trace_header = "Root=1-5759e988-bd862e3fe1be46a994272793";
  return record;
}

std::string header(const http::Request& request, std::string_view name) {
  return std::string(request.headers.get(name).value_or(""));
}

}  // namespace

TEST_CASE("a queue by its name is looked up once, and gets the record as a message's body") {
  World world([](const http::Request& request) {
    if (header(request, "x-amz-target") == "AmazonSQS.GetQueueUrl")
      return answer(200, R"({"QueueUrl":"http://elsewhere:9324/000000000000/lost"})");
    return answer(200, R"({"MessageId":"1"})");
  });
  CHECK(world.deliver(&destination::make_sqs, "lost", {discard(), asynchronous()}) ==
        std::vector<std::string>{"kept", "kept"});
  REQUIRE(world.server.requests.size() == 3);
  CHECK(world.server.requests[0].body == R"({"QueueName":"lost"})");
  const http::Request& sent = world.server.requests[1];
  CHECK(sent.method == "POST");
  CHECK(header(sent, "x-amz-target") == "AmazonSQS.SendMessage");
  CHECK(header(sent, "content-type") == "application/x-amz-json-1.0");
  CHECK(header(sent, "authorization").find("/eu-west-1/sqs/aws4_request") != std::string::npos);
  const auto body = nlohmann::json::parse(sent.body);
  CHECK(body.at("QueueUrl") == "http://elsewhere:9324/000000000000/lost");
  CHECK(body.at("MessageBody") == discard().record);
  CHECK_FALSE(body.contains("MessageSystemAttributes"));
  CHECK(nlohmann::json::parse(world.server.requests[2].body).at("MessageSystemAttributes").dump() ==
        R"({"AWSTraceHeader":{"DataType":"String","StringValue":"Root=1-5759e988-bd862e3fe1be46a994272793"}})");
}

TEST_CASE("a queue by its ARN is looked up in its account, and asked in its region") {
  World world([](const http::Request& request) {
    if (header(request, "x-amz-target") == "AmazonSQS.GetQueueUrl")
      return answer(200, R"({"QueueUrl":"http://elsewhere:9324/123456789012/lost"})");
    return answer(200, R"({"MessageId":"1"})");
  });
  CHECK(world.deliver(&destination::make_sqs, "arn:aws:sqs:us-west-2:123456789012:lost", {discard()}) ==
        std::vector<std::string>{"kept"});
  REQUIRE(world.server.requests.size() == 2);
  CHECK(world.server.requests[0].body == R"({"QueueName":"lost","QueueOwnerAWSAccountId":"123456789012"})");
  CHECK(nlohmann::json::parse(world.server.requests[1].body).at("QueueUrl") ==
        "http://elsewhere:9324/123456789012/lost");
}

TEST_CASE("a queue by its URL is asked there") {
  World world([](const http::Request&) { return answer(200, R"({"MessageId":"1"})"); });
  const std::string url = world.server.url() + "/000000000000/lost";
  CHECK(world.deliver(&destination::make_sqs, url, {discard()}) == std::vector<std::string>{"kept"});
  REQUIRE(world.server.requests.size() == 1);
  CHECK(world.server.requests[0].target == "/000000000000/lost");
  CHECK(nlohmann::json::parse(world.server.requests[0].body).at("QueueUrl") == url);
}

TEST_CASE("what the service refuses is not kept, with its own words, and asked for once") {
  World world([](const http::Request&) {
    return answer(400, R"({"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"The queue does not exist."})");
  });
  const auto ends = world.deliver(&destination::make_sqs, "lost", {discard()});
  CHECK(ends == std::vector<std::string>{"destination.gone: QueueDoesNotExist: The queue does not exist. (status "
                                         "400); while asking for the URL of queue lost"});
  CHECK(world.server.requests.size() == 1);
}

TEST_CASE("a queue that is gone is looked up again by the next record") {
  bool gone = false;
  World world([&](const http::Request& request) {
    if (header(request, "x-amz-target") == "AmazonSQS.GetQueueUrl")
      return answer(200, R"({"QueueUrl":"http://q/1/l"})");
    gone = !gone;
    return gone ? answer(400, R"({"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"no"})") : answer(200, "{}");
  });
  const auto ends = world.deliver(&destination::make_sqs, "lost", {discard(), discard()});
  REQUIRE(ends.size() == 2);
  CHECK(ends[0].starts_with("destination.gone: QueueDoesNotExist"));
  CHECK(ends[1] == "kept");
  CHECK(world.server.requests.size() == 4);
}

TEST_CASE("a topic by its ARN gets the record as a message") {
  World world([](const http::Request&) {
    return answer(200, "<PublishResponse><PublishResult><MessageId>1</MessageId></PublishResult></PublishResponse>",
                  "text/xml");
  });
  const std::string arn = "arn:aws:sns:eu-west-1:000000000000:lost";
  CHECK(world.deliver(&destination::make_sns, arn, {discard()}) == std::vector<std::string>{"kept"});
  REQUIRE(world.server.requests.size() == 1);
  const auto fields = http::parse_query(world.server.requests[0].body, http::Plus::kSpace);
  REQUIRE(fields);
  CHECK(*fields ==
        http::QueryFields{
            {"Action", "Publish"}, {"Version", "2010-03-31"}, {"TopicArn", arn}, {"Message", discard().record}});
}

TEST_CASE("a topic by its name is looked for page by page, once") {
  World world([](const http::Request& request) {
    const auto fields = *http::parse_query(request.body, http::Plus::kSpace);
    if (fields[0].second == "Publish") return answer(200, "<PublishResponse/>", "text/xml");
    const bool second = fields.size() > 2 && fields[2] == std::pair<std::string, std::string>("NextToken", "more&");
    return answer(200,
                  second ? "<R><TopicArn>arn:aws:sns:eu-west-1:000000000000:lost</TopicArn></R>"
                         : "<R><TopicArn>arn:aws:sns:eu-west-1:000000000000:not-lost</TopicArn>"
                           "<TopicArn>arn:aws:sns:eu-west-1:000000000000:lost2</TopicArn>"
                           "<NextToken>more&amp;</NextToken></R>",
                  "text/xml");
  });
  CHECK(world.deliver(&destination::make_sns, "lost", {discard(), discard()}) ==
        std::vector<std::string>{"kept", "kept"});
  REQUIRE(world.server.requests.size() == 4);
  CHECK(world.server.requests[2].body.find("lost&") != std::string::npos);
}

TEST_CASE("a topic that is not there") {
  World world([](const http::Request&) { return answer(200, "<R></R>", "text/xml"); });
  CHECK(world.deliver(&destination::make_sns, "lost", {discard()}) ==
        std::vector<std::string>{"destination.gone: there is no such topic; while looking for topic lost"});
}

TEST_CASE("a mapping's record is an object of its own, with the whole event as an escaped text") {
  World world([](const http::Request&) { return answer(200, ""); });
  CHECK(world.deliver(&destination::make_s3, "lost/of-mine", {discard(), discard()}) ==
        std::vector<std::string>{"kept", "kept"});
  REQUIRE(world.server.requests.size() == 2);
  const http::Request& put = world.server.requests[0];
  CHECK(put.method == "PUT");
  CHECK(header(put, "content-type") == "application/octet-stream");
  CHECK_FALSE(header(put, "x-amz-content-sha256").empty());
  // Source: kinesis-on-failure-destination.
  const std::regex key(
      "/lost/of-mine/aws/lambda/7b2f4e0c-9f0a-4d0e-8f5e-0a4a52c9a111/shardId-000000000003/2025/11/25/"
      "2025-11-25T16\\.35\\.32-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}");
  CHECK(std::regex_match(put.target, key));
  CHECK(put.target != world.server.requests[1].target);
  CHECK(put.body == R"({"requestContext":{"condition":"RetryAttemptsExhausted"},"version":"1.0",)"
                    R"("payload":"{\"Records\":[{\"data\":\"\\\"é\"}]}"})");
  CHECK(nlohmann::json::parse(put.body).at("payload") == discard().payload);
}

TEST_CASE("an asynchronous invocation's record is an object with its own key, as it is") {
  World world([](const http::Request&) { return answer(200, ""); });
  CHECK(world.deliver(&destination::make_s3, "lost", {asynchronous()}) == std::vector<std::string>{"kept"});
  REQUIRE(world.server.requests.size() == 1);
  CHECK(world.server.requests[0].target.starts_with("/lost/aws/lambda/async/f/2025/11/25/2025-11-25T16.35.32-"));
  CHECK(world.server.requests[0].body == asynchronous().record);
}

TEST_CASE("a bucket that is not there") {
  World world([](const http::Request&) {
    return answer(404, "<Error><Code>NoSuchBucket</Code><Message>The specified bucket does not exist</Message></Error>",
                  "application/xml");
  });
  CHECK(world.deliver(&destination::make_s3, "lost", {discard()}) ==
        std::vector<std::string>{"destination.gone: NoSuchBucket: The specified bucket does not exist (status 404); "
                                 "while putting an object into bucket lost"});
}

TEST_CASE("a message of a service has attributes, and in a FIFO queue its group and its deduplication") {
  DestinationRecord message;
  message.record = "any text";
  message.details.attributes = {{"bytes", {"Binary.png", "AAEC"}}, {"price", {"Number", "12.5"}}};
  message.details.group = "g";
  message.details.deduplication = "d";
  message.details.subject = "not of a queue";
  const auto sent_to = [&](const std::string& name) {
    World world([](const http::Request&) { return answer(200, R"({"MessageId":"1"})"); });
    const std::string url = world.server.url() + "/000000000000/" + name;
    CHECK(world.deliver(&destination::make_sqs, url, {message}) == std::vector<std::string>{"kept"});
    auto body = nlohmann::json::parse(world.server.requests.at(0).body);
    body.erase("QueueUrl");
    return body;
  };
  const auto expected = nlohmann::json::parse(R"({"MessageBody":"any text","MessageGroupId":"g","MessageAttributes":{
      "bytes":{"DataType":"Binary.png","BinaryValue":"AAEC"},"price":{"DataType":"Number","StringValue":"12.5"}}})");
  CHECK(sent_to("orders") == expected);
  auto fifo = expected;
  fifo["MessageDeduplicationId"] = "d";
  CHECK(sent_to("orders.fifo") == fifo);
}

TEST_CASE("a message of a service is published with its subject and attributes") {
  World world([](const http::Request&) { return answer(200, "<PublishResponse/>", "text/xml"); });
  DestinationRecord message;
  message.record = "any text";
  message.details.attributes = {{"bytes", {"Binary", "AAEC"}}, {"price", {"Number", "12.5"}}};
  message.details.subject = "News";
  message.details.deduplication = "d";
  const std::string arn = "arn:aws:sns:eu-west-1:000000000000:lost";
  CHECK(world.deliver(&destination::make_sns, arn, {message}) == std::vector<std::string>{"kept"});
  const auto fields = http::parse_query(world.server.requests.at(0).body, http::Plus::kSpace);
  REQUIRE(fields);
  CHECK(*fields == http::QueryFields{{"Action", "Publish"},
                                     {"Version", "2010-03-31"},
                                     {"TopicArn", arn},
                                     {"Message", "any text"},
                                     {"Subject", "News"},
                                     {"MessageAttributes.entry.1.Name", "bytes"},
                                     {"MessageAttributes.entry.1.Value.DataType", "Binary"},
                                     {"MessageAttributes.entry.1.Value.BinaryValue", "AAEC"},
                                     {"MessageAttributes.entry.2.Name", "price"},
                                     {"MessageAttributes.entry.2.Value.DataType", "Number"},
                                     {"MessageAttributes.entry.2.Value.StringValue", "12.5"}});
}

TEST_CASE("a refusal says whether trying again may help") {
  const auto code_of = [](int status, const std::string& type) {
    World world([&](const http::Request&) { return answer(status, R"({"__type":")" + type + R"(","message":"no"})"); });
    const auto ends = world.deliver(&destination::make_sqs, world.server.url() + "/000000000000/lost", {discard()});
    return ends.at(0).substr(0, ends.at(0).find(':'));
  };
  for (const char* gone : {"AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist", "NotFound",
                           "ResourceNotFoundException", "NotFoundException"}) {
    CHECK(code_of(400, gone) == "destination.gone");
  }
  for (const char* forbidden : {"AccessDenied", "AccessDeniedException", "InvalidClientTokenId",
                                "UnrecognizedClientException", "SignatureDoesNotMatch", "KMSAccessDeniedException"}) {
    CHECK(code_of(400, forbidden) == "destination.forbidden");
  }
  CHECK(code_of(403, "Anything") == "destination.forbidden");
  CHECK(code_of(400, "InvalidMessageContents") == "event.refused");
  CHECK(code_of(400, "MissingParameter") == "event.refused");
  CHECK(code_of(400, "ThrottlingException") == "destination.failed");
  CHECK(code_of(503, "AccessDenied") == "destination.failed");
  CHECK(code_of(400, "Anything") == "destination.failed");
}

TEST_CASE("a bus gets how an asynchronous invocation ended as an event of Lambda's") {
  World world(
      [](const http::Request&) { return answer(200, R"({"FailedEntryCount":0,"Entries":[{"EventId":"1"}]})"); });
  const auto ended = [](const std::string& condition) {
    DestinationRecord record = asynchronous();
    record.record =
        R"({"version":"1.0","requestContext":{"functionArn":"arn:aws:lambda:eu-west-1:123456789012:function)"
        R"(:f:$LATEST","condition":")" +
        condition + R"("},"requestPayload":{"requestContext":{"condition":"Success"}}})";
    return record;
  };
  CHECK(world.deliver(&destination::make_eventbridge, "orders", {ended("Success"), ended("RetriesExhausted")}) ==
        std::vector<std::string>{"kept", "kept"});
  REQUIRE(world.server.requests.size() == 2);
  const http::Request& put = world.server.requests[0];
  CHECK(header(put, "x-amz-target") == "AWSEvents.PutEvents");
  CHECK(header(put, "content-type") == "application/x-amz-json-1.1");
  CHECK(header(put, "authorization").find("/eu-west-1/events/aws4_request") != std::string::npos);
  // Source: reference invoke.md, 3.4.
  nlohmann::json entry = nlohmann::json::parse(put.body).at("Entries").at(0);
  CHECK(nlohmann::json::parse(entry.at("Detail").get<std::string>()) == nlohmann::json::parse(ended("Success").record));
  entry.erase("Detail");
  CHECK(entry == nlohmann::json::parse(R"({"Source":"lambda","EventBusName":"orders",
      "DetailType":"Lambda Function Invocation Result - Success",
      "Resources":["arn:aws:events:eu-west-1:123456789012:event-bus/orders",
                   "arn:aws:lambda:eu-west-1:123456789012:function:f:$LATEST"],
      "TraceHeader":"Root=1-5759e988-bd862e3fe1be46a994272793"})"));
  entry = nlohmann::json::parse(world.server.requests[1].body).at("Entries").at(0);
  CHECK(entry.at("DetailType") == "Lambda Function Invocation Result - Failure");
}

TEST_CASE("a service's message to a bus is the event that it is") {
  World world(
      [](const http::Request&) { return answer(200, R"({"FailedEntryCount":0,"Entries":[{"EventId":"1"}]})"); });
  DestinationRecord message;
  message.record = R"({"version":"0","id":"i","detail-type":"Order","source":"shop","account":"1","region":"r",)"
                   R"("time":"2026-03-04T05:06:07Z","resources":["a"],"detail":{"n":1}})";
  DestinationRecord none;
  none.record = R"({"order":1})";
  const std::string arn = "arn:aws:events:us-west-2:123456789012:event-bus/default";
  const auto ends = world.deliver(&destination::make_eventbridge, arn, {message, none});
  CHECK(ends == std::vector<std::string>{
                    "kept", "event.refused: the message is no event; while putting an event on bus " + arn});
  REQUIRE(world.server.requests.size() == 1);
  CHECK(nlohmann::json::parse(world.server.requests[0].body).at("Entries").at(0) ==
        nlohmann::json::parse(R"({"Time":1772600767.0,"Source":"shop","DetailType":"Order","Detail":"{\"n\":1}",
            "Resources":["a"],"EventBusName":"arn:aws:events:us-west-2:123456789012:event-bus/default"})"));
}

TEST_CASE("an event that the bus does not take is an error, though the answer is none") {
  const auto end_of = [](std::string body) {
    World world([&](const http::Request&) { return answer(200, body); });
    return world.deliver(&destination::make_eventbridge, "orders", {asynchronous()}).at(0);
  };
  CHECK(end_of(R"({"FailedEntryCount":1,"Entries":[{"ErrorCode":"InternalFailure","ErrorMessage":"later"}]})") ==
        "destination.failed: InternalFailure: later (status 200); while putting an event on bus orders");
  CHECK(end_of(R"({"FailedEntryCount":1,"Entries":[{"ErrorCode":"MalformedDetail","ErrorMessage":"no"}]})")
            .starts_with("event.refused: "));
  CHECK(end_of(R"({"FailedEntryCount":1,"Entries":[{"ErrorCode":7}]})").starts_with("destination.failed: "));
  CHECK(end_of("{}").find("no FailedEntryCount") != std::string::npos);
}

TEST_CASE("nobody answers") {
  World world([](const http::Request&) { return answer(200, ""); });
  const std::string nobody = "http://" + test::closed_address(world.context) + "/000000000000/lost";
  const auto ends = world.deliver(&destination::make_sqs, nobody, {discard()});
  REQUIRE(ends.size() == 1);
  CHECK(ends[0].starts_with("destination.failed: "));
}

TEST_CASE("what a target may be") {
  const auto good = [](auto check, std::initializer_list<std::string> targets) {
    for (const std::string& target : targets) {
      INFO(target);
      CHECK(check(target, "kinesis") == "");
    }
  };
  const auto bad = [](auto check, std::initializer_list<std::string> targets) {
    for (const std::string& target : targets) {
      INFO(target);
      CHECK(check(target, "kinesis") != "");
    }
  };
  good(&destination::check_sqs,
       {"lost", "Lost_and-found1", std::string(80, 'q'), "http://127.0.0.1:9324/000000000000/q",
        "https://sqs.eu-west-1.amazonaws.com/123456789012/q", "arn:aws:sqs:eu-west-1:123456789012:lost",
        "arn:aws-cn:sqs:cn-north-1:123456789012:lost"});
  bad(&destination::check_sqs,
      {"lost.fifo", "https://sqs.eu-west-1.amazonaws.com/123456789012/q.fifo", "lo st", std::string(81, 'q'),
       "https://sqs.eu-west-1.amazonaws.com/", "arn:aws:sqs:eu-west-1:123456789012:lost.fifo",
       "arn:aws:sqs::123456789012:lost", "arn:aws:sns:eu-west-1:123456789012:lost",
       "arn:aws:sqs:eu-west-1:123456789012:", "arn:aws:sqs:eu-west-1:123456789012:a:b"});
  good(&destination::check_sns, {"lost", std::string(256, 't'), "arn:aws:sns:eu-west-1:123456789012:lost"});
  bad(&destination::check_sns, {"lost.fifo", "arn:aws:sns:eu-west-1:123456789012:lost.fifo", std::string(257, 't'),
                                "arn:aws:sqs:eu-west-1:123456789012:lost", "arn:aws:sns:eu-west-1:123456789012:"});
  good(&destination::check_s3, {"abc", std::string(63, 'b'), "my.bucket-1", "lost/", "lost/a/b c"});
  bad(&destination::check_s3, {"ab", std::string(64, 'b'), "Lost", "-lost", "lost.", "/lost"});
  const auto check_bus = [](std::string_view target, std::string_view) {
    return destination::check_eventbridge(target, "");
  };
  good(check_bus, {"default", "my.bus_1", "aws.partner/example.com/1",
                   "arn:aws:events:eu-west-1:123456789012:event-bus/b", std::string(256, 'b')});
  bad(check_bus, {"", "my bus", "/bus", std::string(257, 'b'), "arn:aws:events:eu-west-1:123456789012:rule/b",
                  "arn:aws:events:eu-west-1:123456789012:event-bus/", "arn:aws:events::123456789012:event-bus/b"});
  CHECK(destination::check_eventbridge("default", "kinesis") ==
        "an event bus can be the destination of a function, not of an event source mapping");
  // AWS's own sentence is not recorded.
  CHECK(destination::check_sqs("lost.fifo", "") == "a FIFO queue cannot be a destination, only a standard one");
  CHECK(destination::check_sns("lost.fifo", "") == "a FIFO topic cannot be a destination, only a standard one");
}
