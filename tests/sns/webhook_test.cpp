#include <atomic>
#include <thread>
#include <variant>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "connectors/sns/connector.h"
#include "connectors/sns/source.h"
#include "connectors/sns/trusted_url.h"
#include "s3/fake_sink.h"
#include "support/fake_clock.h"
#include "support/run_coroutine.h"

using namespace weir;
using nlohmann::json;
using sns::Notification;

namespace {

/// Keeps "EVENT REASON COUNT" of each line that has a count.
class CountingLog final : public Log {
 public:
  void write(LogLevel, std::string_view event, std::span<const LogField> fields) override {
    std::string line(event);
    bool counted = false;
    for (const LogField& field : fields) {
      if (field.key == "reason") line += " " + std::string(std::get<std::string_view>(field.value));
      if (field.key != "count") continue;
      counted = true;
      line += " " + std::to_string(std::get<std::int64_t>(field.value));
    }
    if (counted) lines.push_back(std::move(line));
  }
  std::vector<std::string> lines;
};

/// Answers every request with a 404, and counts them.
class NothingThere {
 public:
  NothingThere() : acceptor_(io_, {net::ip::address_v4::loopback(), 0}), thread_([this] { serve(); }) {}
  ~NothingThere() {
    ended_ = true;
    boost::system::error_code ignored;
    net::io_context io;
    net::ip::tcp::socket(io).connect(acceptor_.local_endpoint(), ignored);
    thread_.join();
  }

  std::string host() const { return "127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port()); }
  int requests() const { return requests_; }

 private:
  void serve() {
    for (;;) {
      net::ip::tcp::socket socket = acceptor_.accept();
      if (ended_) return;
      ++requests_;
      const std::string not_found = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
      std::string request;
      boost::system::error_code ignored;
      net::read_until(socket, net::dynamic_buffer(request), "\r\n\r\n", ignored);
      net::write(socket, net::buffer(not_found), ignored);
    }
  }

  net::io_context io_;
  net::ip::tcp::acceptor acceptor_;
  std::atomic<bool> ended_ = false;
  std::atomic<int> requests_ = 0;
  std::thread thread_;
};

const sns::SigningKey& own_key() {
  static const sns::SigningKey key = *sns::SigningKey::make(test::FakeClock().now().wall);
  return key;
}

constexpr std::string_view kTopic = "arn:aws:sns:eu-west-1:111122223333:orders";

struct Hook {
  explicit Hook(bool raw = false, bool confirm = false, std::string pinned = own_key().certificate_pem(),
                std::vector<std::string> hosts = {}) {
    auto config = std::make_shared<sns::SnsConfig>();
    config->name = "mail";
    config->topic_arns = {std::string(kTopic)};
    config->raw = raw;
    config->confirm = confirm;
    config->signing_certificate = std::move(pinned);
    config->certificate_hosts = std::move(hosts);
    source = std::make_unique<sns::Webhook>(
        config, SourceContext{"mail", context.get_executor(), context.get_executor(), log, clock});
  }

  Notification notification(const std::string& version = "1") const {
    Notification made;
    made.id = "m-1";
    made.topic_arn = kTopic;
    made.message = "line\n\"two\" \xc3\xa9";
    made.timestamp = iso_milliseconds(clock.now().wall);
    made.signature_version = version;
    made.certificate_url = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-00ff.pem";
    made.unsubscribe_url =
        "https://sns.eu-west-1.amazonaws.com/?Action=Unsubscribe&SubscriptionArn=" + std::string(kTopic) + ":0f1e";
    return made;
  }
  static Notification seal(Notification notification) {
    notification.signature = own_key().sign(sns::string_to_sign(notification), notification.signature_version);
    return notification;
  }
  int post(std::string body, std::vector<std::pair<std::string, std::string>> headers = {}) {
    WebhookRequest request;
    request.method = "POST";
    request.headers = std::move(headers);
    request.body = std::move(body);
    const auto response = test::run(context, source->receive(sink, std::move(request)));
    said = json::parse(response.body).at("message").get<std::string>();
    return response.status;
  }
  int post(const Notification& notification) { return post(sns::http_body(notification)); }

  net::io_context context;
  test::FakeClock clock;
  CountingLog log;
  test::FakeSink sink;
  std::unique_ptr<sns::Webhook> source;
  std::string said;
};

}  // namespace

TEST_CASE("a signed notification becomes Lambda's event, by either signature version") {
  const auto version = GENERATE(as<std::string>(), "1", "2");
  Hook hook;
  Notification sent = hook.notification(version);
  sent.attributes["tier"] = {"String", "gold"};
  CHECK(hook.post(Hook::seal(sent)) == 200);
  REQUIRE(hook.sink.payloads.size() == 1);
  const json record = hook.sink.record(0);
  CHECK(record.at("EventSource") == "aws:sns");
  CHECK(record.at("EventSubscriptionArn") == std::string(kTopic) + ":0f1e");
  const json& got = record.at("Sns");
  CHECK(got.at("Subject").is_null());
  CHECK(got.at("Message") == sent.message);
  CHECK(got.at("SigningCertUrl") == sent.certificate_url);
  CHECK(got.at("MessageAttributes").at("tier") == json({{"Type", "String"}, {"Value", "gold"}}));
}

TEST_CASE("the subject is signed where there is one, attributes never are") {
  Hook hook;
  Notification sent = hook.notification();
  sent.subject = "hello";
  sent = Hook::seal(sent);
  sent.attributes["later"] = {"String", "added"};
  CHECK(hook.post(sent) == 200);
  sent.id = "m-2";
  sent = Hook::seal(sent);
  sent.subject = "another";
  CHECK(hook.post(sent) == 403);
}

TEST_CASE("what is forged is refused") {
  Hook hook;
  Notification sent = Hook::seal(hook.notification());
  SECTION("another message") {
    sent.message = "changed";
  }
  SECTION("another id") {
    sent.id = "m-9";
  }
  SECTION("signed as another version") {
    sent.signature_version = "2";
  }
  SECTION("no base64") {
    sent.signature = "?";
  }
  SECTION("another topic") {
    sent.topic_arn += "x";
    sent = Hook::seal(sent);
  }
  CHECK(hook.post(sent) == 403);
  CHECK(hook.sink.payloads.empty());
}

TEST_CASE("a message of more than an hour is a replay") {
  Hook hook;
  const Notification sent = Hook::seal(hook.notification());
  hook.clock.advance(std::chrono::hours(1));
  CHECK(hook.post(sent) == 200);
  Notification old = hook.notification();
  old.id = "m-2";
  old = Hook::seal(old);
  hook.clock.advance(std::chrono::hours(1) + std::chrono::milliseconds(1));
  CHECK(hook.post(old) == 403);
}

TEST_CASE("a message that came already is answered 200 and delivered once") {
  Hook hook;
  const Notification sent = Hook::seal(hook.notification());
  hook.sink.refuse_next(1, ErrorCode::kStoreFull);
  CHECK(hook.post(sent) == 503);
  CHECK(hook.post(sent) == 200);
  CHECK(hook.post(sent) == 200);
  CHECK(hook.sink.payloads.size() == 1);
}

TEST_CASE("what is malformed is a 400, what is too large a 413") {
  Hook hook;
  CHECK(hook.post(std::string("{")) == 400);
  CHECK(hook.post(std::string("[]")) == 400);
  CHECK(hook.post(std::string("{\"Type\":\"Else\"}")) == 400);
  CHECK(hook.post(std::string("{\"Type\":\"Notification\",\"MessageId\":7}")) == 400);
  json sent = json::parse(sns::http_body(Hook::seal(hook.notification())));
  sent["SignatureVersion"] = "3";
  CHECK(hook.post(sent.dump()) == 400);
  CHECK(hook.post(std::string((2U << 20U) + 1, ' ')) == 413);
  CHECK(hook.sink.payloads.empty());
}

TEST_CASE("raw delivery is taken only when it is allowed") {
  const std::vector<std::pair<std::string, std::string>> headers{
      {"x-amz-sns-rawdelivery", "true"}, {"x-amz-sns-message-id", "m-1"}, {"x-amz-sns-topic-arn", std::string(kTopic)}};
  Hook closed;
  CHECK(closed.post("bare", headers) == 403);
  Hook open(true);
  CHECK(open.post("bare", headers) == 200);
  CHECK(open.sink.record(0).at("Sns").at("Message") == "bare");
  auto other = headers;
  other[2].second = "arn:aws:sns:eu-west-1:111122223333:other";
  CHECK(open.post("bare", other) == 403);
}

TEST_CASE("a subscription confirms itself only when it may") {
  Hook hook;
  Notification sent = hook.notification();
  sent.type = "SubscriptionConfirmation";
  sent.token = "t";
  sent.subscribe_url = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=t";
  CHECK(hook.post(Hook::seal(sent)) == 403);
  CHECK(hook.said.find("confirm: true") != std::string::npos);
  Hook willing(false, true);
  sent.subscribe_url = "https://169.254.169.254/?Action=ConfirmSubscription&Token=t";
  CHECK(willing.post(Hook::seal(sent)) == 403);
  CHECK(willing.said == "SubscribeURL is not one of SNS; it was not opened");
}

TEST_CASE("a member that could pass for two lines of what is signed makes no notification") {
  const auto notification = [](const std::string& id, const std::string& subject) {
    return json{{"Type", "Notification"},
                {"MessageId", id},
                {"TopicArn", "arn:aws:sns:eu-west-1:111122223333:orders"},
                {"Subject", subject},
                {"Message", "two\nlines"},
                {"Timestamp", "2026-03-04T05:06:07.089Z"},
                {"SignatureVersion", "1"},
                {"Signature", "bWFkZS11cA=="},
                {"SigningCertURL", "https://sns.eu-west-1.amazonaws.com/a.pem"}}
        .dump();
  };
  CHECK(sns::read_notification(notification("id-1", "subject")).has_value());
  CHECK_FALSE(sns::read_notification(notification("id-1\nSubject\nsubject", "x")).has_value());
  CHECK_FALSE(sns::read_notification(notification("id-1", "a\nTimestamp")).has_value());
}

TEST_CASE("a certificate is fetched from SNS alone") {
  using sns::may_fetch_certificate;
  const std::vector<std::string> none;
  CHECK(may_fetch_certificate("https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-00.pem", none));
  CHECK(may_fetch_certificate("https://sns.cn-north-1.amazonaws.com.cn/SimpleNotificationService-9d.pem", none));
  for (const std::string_view url : {"http://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a.pem",
                                     "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a.der",
                                     "https://sns.eu-west-1.amazonaws.com.evil.org/SimpleNotificationService-0a.pem",
                                     "https://evil.org/sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a.pem",
                                     "https://sns.eu-west-1.amazonaws.com@evil.org/SimpleNotificationService-0a.pem",
                                     "https://evil.org#sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a.pem",
                                     "https://sns.eu-west-1.amazonaws.com:444/SimpleNotificationService-0a.pem",
                                     "https://sns.eu-west-1.amazonaws.com/?SimpleNotificationService-0a.pem",
                                     "https://sns.s3-us-west-2.amazonaws.com/SimpleNotificationService-0a.pem",
                                     "https://sns.s3-accelerate.amazonaws.com/SimpleNotificationService-0a.pem",
                                     "https://sns.EU-WEST-1.amazonaws.com/SimpleNotificationService-0a.pem",
                                     "https://sns.eu-west.amazonaws.com/SimpleNotificationService-0a.pem",
                                     "https://sns.eu--1.amazonaws.com/SimpleNotificationService-0a.pem",
                                     "https://sns.a.b.amazonaws.com/SimpleNotificationService-0a.pem",
                                     "https://sns..amazonaws.com/SimpleNotificationService-0a.pem",
                                     "https://s3.amazonaws.com/b/SimpleNotificationService-0a.pem",
                                     "https://evil\\sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a.pem",
                                     "https://sns.eu-west-1.amazonaws.com/a.pem",
                                     "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-.pem",
                                     "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0g.pem",
                                     "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0A.pem",
                                     "https://sns.eu-west-1.amazonaws.com/x/SimpleNotificationService-0a.pem",
                                     "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0a/../b.pem",
                                     "file:///etc/a.pem",
                                     "https://127.0.0.1/a.pem",
                                     ""}) {
    INFO(url);
    CHECK_FALSE(may_fetch_certificate(url, none));
  }
  const std::string aws = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-";
  CHECK(may_fetch_certificate(aws + std::string(64, 'f') + ".pem", none));
  CHECK_FALSE(may_fetch_certificate(aws + std::string(65, 'f') + ".pem", none));
  CHECK(may_fetch_certificate("http://127.0.0.1:4580/a.pem", {"127.0.0.1:4580"}));
  CHECK_FALSE(may_fetch_certificate("http://127.0.0.1:4581/a.pem", {"127.0.0.1:4580"}));
}

TEST_CASE("a URL that is not SNS's is refused before anything is fetched") {
  Hook hook(false, false, "");
  Notification sent = hook.notification();
  sent.certificate_url = "https://10.0.0.1/a.pem";
  CHECK(hook.post(Hook::seal(sent)) == 403);
  CHECK(hook.said == "SigningCertURL is not one of SNS; it was not fetched");
}

TEST_CASE("a certificate that could not be fetched is asked for again after a while, before SNS comes again") {
  const NothingThere server;
  Hook hook(false, false, "", {server.host()});
  Notification sent = hook.notification();
  sent.certificate_url = "http://" + server.host() + "/a.pem";
  sent = Hook::seal(sent);
  for (int i = 0; i < 100; ++i) CHECK(hook.post(sent) == 503);
  CHECK(server.requests() == 1);
  hook.clock.advance(std::chrono::seconds(15) - std::chrono::milliseconds(1));
  CHECK(hook.post(sent) == 503);
  CHECK(server.requests() == 1);
  hook.clock.advance(std::chrono::milliseconds(1));
  CHECK(hook.post(sent) == 503);
  CHECK(server.requests() == 2);
  // Another one does not wait for it.
  sent.certificate_url = "http://" + server.host() + "/b.pem";
  CHECK(hook.post(sent) == 503);
  CHECK(server.requests() == 3);
  CHECK(hook.log.lines == std::vector<std::string>{"certificate.unreachable 1"});
}

TEST_CASE("messages that are refused are told of once a minute, with how many they were") {
  Hook hook;
  Notification forged = Hook::seal(hook.notification());
  forged.message = "changed";
  for (int i = 0; i < 1'000; ++i) CHECK(hook.post(forged) == 403);
  Notification elsewhere = Hook::seal(hook.notification());
  elsewhere.topic_arn += "x";
  CHECK(hook.post(elsewhere) == 403);
  CHECK(hook.log.lines == std::vector<std::string>{"notification.refused signature 1", "notification.refused topic 1"});
  hook.clock.advance(std::chrono::minutes(1) - std::chrono::milliseconds(1));
  hook.post(forged);
  CHECK(hook.log.lines.size() == 2);
  hook.clock.advance(std::chrono::milliseconds(1));
  hook.post(forged);
  REQUIRE(hook.log.lines.size() == 3);
  CHECK(hook.log.lines.back() == "notification.refused signature 1001");
}

TEST_CASE("what is remembered of URLs that failed takes bounded memory") {
  sns::FailedUrls failed(std::chrono::seconds(15), 3);
  const Instant now;
  for (const char* url : {"a", "b", "b", "c", "d"}) failed.add(url, Error(ErrorCode::kHttpFailed, url), now);
  CHECK(failed.size() == 3);
  CHECK_FALSE(failed.why("a", now));
  CHECK(failed.why("b", now)->message() == "b");
  CHECK(failed.why("d", now + std::chrono::milliseconds(14'999)));
  CHECK_FALSE(failed.why("d", now + std::chrono::seconds(15)));
  CHECK(failed.size() == 0);
}

TEST_CASE("a certificate has to be valid, and SNS's where AWS is meant") {
  const WallTime now = test::FakeClock().now().wall;
  using sns::Certificate;
  using sns::Trust;
  const std::string& pem = own_key().certificate_pem();
  CHECK(Certificate::read(pem, Trust::kPinned, now).has_value());
  CHECK_FALSE(Certificate::read(pem, Trust::kPinned, now - std::chrono::hours(2)).has_value());
  CHECK_FALSE(Certificate::read(pem, Trust::kPinned, now + std::chrono::hours(24 * 366 * 10)).has_value());
  CHECK_FALSE(Certificate::read(pem, Trust::kAws, now).has_value());
  CHECK_FALSE(Certificate::read("-----BEGIN CERTIFICATE-----\nAAAA\n", Trust::kPinned, now).has_value());
}

TEST_CASE("the ids of messages take bounded memory") {
  using Kind = sns::SeenMessages::Kind;
  sns::SeenMessages seen(std::chrono::hours(2), 3);
  const Instant now;
  for (const char* id : {"a", "b", "c", "d"}) {
    CHECK(seen.begin(id, now) == Kind::kNew);
    seen.done(id, now);
  }
  CHECK(seen.size() == 3);
  CHECK(seen.begin("d", now) == Kind::kDone);
  CHECK(seen.begin("a", now) == Kind::kNew);
  CHECK(seen.begin("a", now) == Kind::kUnderWay);
}
