#include <functional>

#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "connectors/s3/source.h"
#include "s3/fake_sink.h"
#include "support/fake_clock.h"
#include "support/run_coroutine.h"

using namespace weir;
using nlohmann::json;

namespace {

/// Remembers what was logged, by name.
class Notebook final : public Log {
 public:
  void write(LogLevel, std::string_view event, std::span<const LogField> fields) override {
    events.emplace_back(event);
    for (const LogField& field : fields) {
      if (field.key == "key") keys.emplace_back(std::get<std::string_view>(field.value));
    }
  }
  std::vector<std::string> events;
  std::vector<std::string> keys;
};

struct Webhook {
  explicit Webhook(
      std::vector<std::string> events = {"s3:ObjectCreated:*"}, std::string prefix = "", std::string authorization = "",
      const std::function<void(s3::S3Config&)>& more = [](s3::S3Config&) {}) {
    auto config = std::make_shared<s3::S3Config>();
    config->name = "up";
    config->bucket = "photos";
    config->region = "eu-west-1";
    config->rules = s3::EventRules(std::move(events), std::move(prefix), "");
    config->authorization = std::move(authorization);
    more(*config);
    source = std::make_unique<s3::S3Source>(
        config, SourceContext{"up", context.get_executor(), context.get_executor(), log, clock}, s3::FolderTuning());
  }

  WebhookResponse ask(std::string method, std::string body, std::string authorization = "") {
    WebhookRequest request;
    request.method = std::move(method);
    request.body = std::move(body);
    if (!authorization.empty()) request.headers.emplace_back("authorization", std::move(authorization));
    auto response = test::run(context, source->receive(sink, std::move(request)));
    CHECK(json::parse(response.body).at("message").is_string());
    CHECK(response.content_type == "application/json");
    return response;
  }
  WebhookResponse post(std::string body) { return ask("POST", std::move(body)); }

  net::io_context context;
  test::FakeClock clock;
  Notebook log;
  test::FakeSink sink;
  std::unique_ptr<s3::S3Source> source;
};

std::string record(std::string_view event, std::string_view bucket, std::string_view key) {
  return R"({"eventName":")" + std::string(event) + R"(","s3":{"bucket":{"name":")" + std::string(bucket) +
         R"("},"object":{"key":")" + std::string(key) + R"(","size":1}}})";
}
std::string notification(std::string_view event, std::string_view key, std::string_view bucket = "photos") {
  return R"({"Records":[)" + record(event, bucket, key) + "]}";
}

}  // namespace

TEST_CASE("a notification is accepted, in the region that was configured") {
  Webhook hook;
  const auto response = hook.post(notification("s3:ObjectCreated:Put", "a.txt"));
  CHECK(response.status == 200);
  CHECK(response.body == R"({"message":"accepted 1 of 1 event"})");
  CHECK(hook.sink.told() == "Put a.txt");
  CHECK(hook.sink.record(0).at("awsRegion") == "eu-west-1");
  CHECK(hook.sink.record(0).at("s3").at("configurationId") == "up");
}

TEST_CASE("a notification of several records is one invocation each") {
  Webhook hook;
  CHECK(hook.post(R"({"Records":[)" + record("ObjectCreated:Put", "photos", "a") + "," +
                  record("ObjectCreated:Copy", "photos", "b") + "]}")
            .status == 200);
  CHECK(hook.sink.told() == "Put a, Copy b");
}

TEST_CASE("what is not asked for is answered well and not delivered") {
  Webhook hook({"s3:ObjectCreated:Put"}, "in/");
  CHECK(hook.post(notification("s3:ObjectCreated:Copy", "in/a")).body == R"({"message":"accepted 0 of 1 event"})");
  CHECK(hook.post(notification("s3:ObjectCreated:Put", "out/a")).status == 200);
  CHECK(hook.sink.payloads.empty());
  CHECK(hook.post(notification("s3:ObjectCreated:Put", "in%2Fa")).status == 200);
  CHECK(hook.sink.told() == "Put in/a");
}

TEST_CASE("another bucket's events are not delivered, not repeated by their sender, and told of once") {
  Webhook hook;
  for (int i = 0; i < 3; ++i) {
    const auto response = hook.post(notification("s3:ObjectCreated:Put", "a", "films"));
    CHECK(response.status == 200);
    CHECK_THAT(response.body, Catch::Contains("this source is for bucket photos"));
  }
  CHECK(hook.sink.payloads.empty());
  CHECK(hook.log.events == std::vector<std::string>{"notification.left_out"});
}

TEST_CASE("Amazon's test event is answered well and not delivered") {
  Webhook hook;
  CHECK(hook.post(R"({"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"photos"})").status == 200);
  CHECK(hook.sink.payloads.empty());
}

TEST_CASE("in EventBridge's form, and only what S3 sends there") {
  Webhook hook({"s3:ObjectCreated:*", "s3:Replication:*"}, "", "",
               [](s3::S3Config& config) { config.form = s3::EventForm::kEventBridge; });
  CHECK(hook.post(notification("s3:ObjectCreated:Put", "a%2Bb")).status == 200);
  CHECK(hook.post(notification("s3:ObjectCreated:Invented", "a")).status == 200);
  CHECK(hook.post(notification("s3:Replication:OperationNotTracked", "a")).status == 200);
  REQUIRE(hook.sink.payloads.size() == 1);
  CHECK(json::parse(hook.sink.payloads[0]).at("detail").at("object").at("key") == "a+b");
  CHECK(json::parse(hook.sink.payloads[0]).at("region") == "eu-west-1");
}

TEST_CASE("what is wrapped is unwrapped only when asked") {
  const std::string wrapped =
      json({{"Type", "Notification"}, {"Message", notification("ObjectCreated:Put", "a")}}).dump();
  Webhook plain;
  CHECK(plain.post(wrapped).status == 400);
  Webhook hook({"s3:ObjectCreated:*"}, "", "", [](s3::S3Config& config) { config.unwrap = true; });
  CHECK(hook.post(wrapped).body == R"({"message":"accepted 1 of 1 event"})");
  CHECK(hook.sink.told() == "Put a");
  // It would come again and again if it were not answered well.
  CHECK(hook.post(R"({"Type":"SubscriptionConfirmation","Token":"t"})").status == 200);
  CHECK(hook.log.events == std::vector<std::string>{"notification.left_out"});
}

TEST_CASE("who does not know the token is refused") {
  Webhook hook({"s3:ObjectCreated:*"}, "", "Bearer secret");
  const std::string body = notification("s3:ObjectCreated:Put", "a");
  for (const std::string given : {"", "secret", "Bearer secre", "Bearer secrets", "bearer secret", "Basic secret"}) {
    INFO(given);
    const auto response = hook.ask("POST", body, given);
    CHECK(response.status == 403);
    CHECK_THAT(response.body, !Catch::Contains("secret"));
  }
  CHECK(hook.ask("HEAD", "").status == 403);
  CHECK(hook.sink.payloads.empty());
  CHECK(hook.ask("POST", body, "Bearer secret").status == 200);
  CHECK(hook.ask("HEAD", "", "Bearer secret").status == 200);
}

TEST_CASE("what cannot be a notification") {
  Webhook hook;
  CHECK(hook.post("{").status == 400);
  CHECK(hook.post(R"({"Records":[]})").status == 400);
  CHECK(hook.ask("PUT", notification("s3:ObjectCreated:Put", "a")).status == 405);
  CHECK(hook.ask("DELETE", "").status == 405);
  CHECK(hook.ask("GET", "").status == 200);
  CHECK(hook.sink.payloads.empty());
}

TEST_CASE("what the store refuses is not acknowledged, so that the sender repeats it") {
  Webhook hook;
  const std::string body = notification("s3:ObjectCreated:Put", "a");
  for (const ErrorCode code : {ErrorCode::kStoreFull, ErrorCode::kStoreFailed, ErrorCode::kStoreLocked,
                               ErrorCode::kStoreCorrupt, ErrorCode::kInternal, ErrorCode::kCancelled}) {
    INFO(text(code));
    hook.sink.refuse_next(1, code);
    const auto response = hook.post(body);
    CHECK(response.status == 503);
    // What the store said names its files.
    CHECK_THAT(response.body, !Catch::Contains("the test refuses this"));
  }
  CHECK(hook.sink.payloads.empty());
  CHECK(hook.post(body).status == 200);
  CHECK(hook.sink.told() == "Put a");
}

TEST_CASE("an event that would be refused for ever holds up no other, and is told of once") {
  Webhook hook;
  const std::string body = R"({"Records":[)" + record("ObjectCreated:Put", "photos", "a") + "," +
                           record("ObjectCreated:Put", "photos", "b") + "]}";
  for (int i = 0; i < 2; ++i) {
    hook.sink.refuse_next(1, ErrorCode::kEventRefused);
    const auto response = hook.post(body);
    CHECK(response.status == 200);
    CHECK(response.body == R"({"message":"accepted 1 of 2 events"})");
  }
  CHECK(hook.sink.told() == "Put b, Put b");
  CHECK(hook.log.events == std::vector<std::string>{"notification.left_out"});
  CHECK(hook.log.keys == std::vector<std::string>{"a"});
}

TEST_CASE("a record that is wrong holds up no other, and each way to be wrong is told of once") {
  Webhook hook;
  const std::string good = record("ObjectCreated:Put", "photos", "a");
  const std::string longest(1024, 'k');
  for (int i = 0; i < 2; ++i) {
    const auto response = hook.post(R"({"Records":[1,)" + record("ObjectCreated:Put", "photos", "100%") + "," + good +
                                    "," + record("ObjectCreated:Put", "photos", longest + "k") + "]}");
    CHECK(response.status == 200);
    CHECK(response.body == R"({"message":"accepted 1 of 4 events"})");
  }
  CHECK(hook.sink.told() == "Put a, Put a");
  CHECK(hook.log.keys == std::vector<std::string>{"", "100%25", longest});
  CHECK(hook.post(R"({"Records":[{}]})").status == 200);
}

TEST_CASE("a notification has at most 1 MiB") {
  Webhook hook;
  std::string body = notification("s3:ObjectCreated:Put", "a");
  body.resize(1 << 20, ' ');
  CHECK(hook.post(body).status == 200);
  CHECK(hook.post(body + " ").status == 413);
  CHECK(hook.sink.told() == "Put a");
}

TEST_CASE("the events of one notification are kept together, not one after the other") {
  constexpr std::size_t kRecords = 1000;
  std::string records;
  for (std::size_t i = 0; i < kRecords; ++i)
    records += (i == 0 ? "" : ",") + record("ObjectCreated:Put", "photos", std::to_string(i));
  Webhook hook;
  CHECK(hook.post(R"({"Records":[)" + records + "]}").body == R"({"message":"accepted 1000 of 1000 events"})");
  CHECK(hook.sink.payloads.size() == kRecords);
  CHECK(hook.sink.most_at_once == 128);
  // Of many, one is refused for now: then all are asked for again.
  hook.sink.refuse_next(1, ErrorCode::kStoreFull);
  CHECK(hook.post(R"({"Records":[)" + records + "]}").status == 503);
}
