#include "connectors/sqs/source.h"

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <list>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "connectors/sqs/connector.h"
#include "remote/world.h"
#include "support/print.h"
#include "support/run_coroutine.h"

using namespace weir;
using nlohmann::json;
using namespace std::chrono_literals;

namespace {

/// A queue that answers, and keeps what it was asked: "ReceiveMessage {...}".
struct World {
  explicit World(const std::string& queue = "orders")
      : server(context, [this](const http::Request& r) { return say(r); }) {
    ::setenv("AWS_ACCESS_KEY_ID", "test", 1);
    ::setenv("AWS_SECRET_ACCESS_KEY", "test", 1);
    auto config = std::make_shared<sqs::SqsConfig>();
    config->queue = sqs::parse_queue(queue.starts_with('/') ? server.url() + queue : queue).value();
    config->access.region = "eu-west-1";
    if (!queue.starts_with('/')) config->access.endpoint_url = server.url();
    source = sqs::make_source(config, {.name = "orders",
                                       .executor = context.get_executor(),
                                       .blocking = context.get_executor(),
                                       .log = log,
                                       .clock = clock});
  }
  ~World() { test::run(context, end()); }
  net::awaitable<void> end() {
    co_await source->close();
    co_await server.close();
  }

  /// `answer` outlives the work.
  template <typename T>
  void start(net::awaitable<T> work, std::optional<T>& answer) {
    net::co_spawn(context, std::move(work), [&](std::exception_ptr thrown, T given) {
      if (thrown) std::rethrow_exception(thrown);
      answer = std::move(given);
    });
  }
  /// Only so far: the server goes on.
  void run_until(const std::function<bool()>& done) {
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    context.restart();
    while (!done() && std::chrono::steady_clock::now() < deadline) context.run_one_for(50ms);
    REQUIRE(done());
  }
  template <typename T>
  T run(net::awaitable<T> work) {
    std::optional<T> answer;
    start(std::move(work), answer);
    run_until([&] { return answer.has_value(); });
    return std::move(*answer);
  }

  http::Response say(const http::Request& request) {
    CHECK(request.headers.get("Content-Type") == "application/x-amz-json-1.0");
    CHECK(request.headers.get("Authorization").value_or("").find("/eu-west-1/sqs/aws4_request") !=
          std::string_view::npos);
    const std::string operation(request.headers.get("X-Amz-Target").value().substr(10));
    const json body = json::parse(request.body);
    asked.push_back(operation + " " + body.dump());
    if (refuse == operation) {
      http::Response answer(400, "application/x-amz-json-1.0",
                            R"({"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"no"})");
      answer.headers.add("x-amzn-query-error", "AWS.SimpleQueueService.NonExistentQueue;Sender");
      return answer;
    }
    json reply = json::object();
    if (operation == "GetQueueUrl") reply["QueueUrl"] = "http://elsewhere/1/orders";
    if (operation == "GetQueueAttributes") {
      reply["Attributes"] = {{"QueueArn", "arn:aws:sqs:eu-west-1:000000000000:orders"},
                             {"VisibilityTimeout", "45"},
                             {"ApproximateNumberOfMessages", "7"}};
    }
    if (operation == "ReceiveMessage") {
      reply["Messages"] = {{{"MessageId", "1"}, {"ReceiptHandle", "r1"}, {"Body", "hello"}, {"MD5OfBody", "5d41"}}};
    }
    if (operation.ends_with("Batch")) {
      reply["Successful"] = json::array();
      for (const json& entry : body.at("Entries")) {
        if (entry.at("ReceiptHandle") != "bad") reply["Successful"].push_back({{"Id", entry.at("Id")}});
      }
    }
    return http::Response(200, "application/x-amz-json-1.0", reply.dump());
  }

  net::io_context context;
  test::LoggedLines log;
  SystemClock clock;
  test::FakeServer server;
  std::string refuse;
  std::vector<std::string> asked;
  std::unique_ptr<QueueSource> source;
};

}  // namespace

TEST_CASE("a queue by its name is found, described and received from") {
  World world;
  const auto traits = world.run(world.source->describe());
  REQUIRE(traits.has_value());
  CHECK(traits->visibility_timeout == 45s);
  CHECK_FALSE(traits->fifo);
  CHECK(world.source->backlog() == 7);
  ReceiveLimits limits;
  limits.max_messages = 3;
  limits.wait = 20s;
  const auto messages = world.run(world.source->receive(limits));
  REQUIRE(messages.has_value());
  REQUIRE(messages->size() == 1);
  CHECK(messages->front().body == "hello");
  CHECK(messages->front().json.find(R"("eventSourceARN":"arn:aws:sqs:eu-west-1:000000000000:orders")") !=
        std::string::npos);
  CHECK(
      world.asked ==
      std::vector<std::string>{
          R"(GetQueueUrl {"QueueName":"orders"})",
          R"(GetQueueAttributes {"AttributeNames":["QueueArn","VisibilityTimeout","ApproximateNumberOfMessages"],"QueueUrl":"http://elsewhere/1/orders"})",
          R"(ReceiveMessage {"AttributeNames":["All"],"MaxNumberOfMessages":3,"MessageAttributeNames":["All"],"MessageSystemAttributeNames":["All"],"QueueUrl":"http://elsewhere/1/orders","WaitTimeSeconds":20})"});
}

TEST_CASE("a queue's URL says where it is; an ARN says whose") {
  World by_url("/000000000000/orders.fifo");
  const auto traits = by_url.run(by_url.source->describe());
  REQUIRE(traits.has_value());
  CHECK(traits->fifo);
  CHECK(by_url.asked.size() == 1);
  CHECK(by_url.asked.front().find(by_url.server.url() + "/000000000000/orders.fifo") != std::string::npos);
  World by_arn("arn:aws:sqs:eu-west-1:123456789012:orders");
  REQUIRE(by_arn.run(by_arn.source->describe()).has_value());
  CHECK(by_arn.asked.front() == R"(GetQueueUrl {"QueueName":"orders","QueueOwnerAWSAccountId":"123456789012"})");
}

TEST_CASE("a receive may ask for a visibility timeout of its own") {
  World world;
  REQUIRE(world.run(world.source->describe()).has_value());
  ReceiveLimits limits;
  limits.visibility_timeout = 61s;
  REQUIRE(world.run(world.source->receive(limits)).has_value());
  CHECK(world.asked.back().find(R"("VisibilityTimeout":61)") != std::string::npos);
  CHECK(world.asked.back().find(R"("WaitTimeSeconds":0)") != std::string::npos);
}

TEST_CASE("deletes go in tens, and tell which were done") {
  World world;
  REQUIRE(world.run(world.source->describe()).has_value());
  world.asked.clear();
  std::vector<std::string> receipts;
  for (int i = 0; i < 205; ++i) receipts.push_back("r" + std::to_string(i));
  receipts[13] = "bad";
  const auto gone = world.run(world.source->remove(receipts));
  REQUIRE(gone.has_value());
  CHECK(world.asked.size() == 21);
  CHECK(world.server.most_under_way <= 8);
  std::vector<bool> expected(205, true);
  expected[13] = false;
  CHECK(*gone == expected);
  world.asked.clear();
  CHECK(world.run(world.source->remove({"bad"})).value() == std::vector<bool>{false});
  CHECK(world.asked.front() ==
        R"(DeleteMessageBatch {"Entries":[{"Id":"0","ReceiptHandle":"bad"}],"QueueUrl":"http://elsewhere/1/orders"})");
}

TEST_CASE("a change that waited for its turn ends with its own requests, while others still have no answer") {
  World world;
  REQUIRE(world.run(world.source->describe()).has_value());
  world.server.on_request = [&](const http::Request& request) {
    world.server.held = request.body.find("held") != std::string::npos;
  };
  std::list<std::optional<Result<std::vector<bool>>>> answers;
  const auto remove = [&](const std::string& which, int count) -> const auto& {
    std::vector<std::string> receipts;
    for (int i = 0; i < count; ++i) receipts.push_back(which + std::to_string(i));
    auto& answer = answers.emplace_back();
    world.start(world.source->remove(std::move(receipts)), answer);
    return answer;
  };
  // Eight requests of each at once, and 64 of all: for the last two one turn is left. Whoever has it goes on with it,
  // and the others that wait are woken for nothing.
  for (int i = 0; i < 7; ++i) remove("held", 80);
  const auto& held = remove("held", 70);
  world.run_until([&] { return world.server.under_way == 63; });
  const auto& first = remove("a", 80);
  const auto& second = remove("b", 80);
  world.run_until([&] { return first && second; });
  CHECK(first->value() == std::vector<bool>(80, true));
  CHECK(second->value() == std::vector<bool>(80, true));
  CHECK(world.server.under_way == 63);
  CHECK(world.server.most_under_way == 64);
  CHECK_FALSE(held.has_value());
  world.server.release();
  world.run_until([&] { return std::ranges::all_of(answers, [](const auto& answer) { return answer.has_value(); }); });
}

TEST_CASE("visibility timeouts change in the same way") {
  World world;
  REQUIRE(world.run(world.source->describe()).has_value());
  CHECK(world.run(world.source->change_visibility({"a", "bad"}, 30s)).value() == std::vector<bool>{true, false});
  CHECK(world.asked.back() ==
        R"(ChangeMessageVisibilityBatch {"Entries":[{"Id":"0","ReceiptHandle":"a","VisibilityTimeout":30},)"
        R"({"Id":"1","ReceiptHandle":"bad","VisibilityTimeout":30}],"QueueUrl":"http://elsewhere/1/orders"})");
}

TEST_CASE("what the service refuses is an error of the source") {
  World world;
  world.refuse = "GetQueueUrl";
  const auto traits = world.run(world.source->describe());
  REQUIRE(traits.has_error());
  CHECK(traits.error().code() == ErrorCode::kSourceNotFound);
  CHECK(traits.error().describe().find("orders") != std::string::npos);
  world.refuse = "";
  REQUIRE(world.run(world.source->describe()).has_value());
  world.refuse = "DeleteMessageBatch";
  CHECK(world.run(world.source->remove({"a"})).has_error());
}
