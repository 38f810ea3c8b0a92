#include "connectors/sns/source.h"

#include <algorithm>
#include <utility>

#include "connectors/sns/connector.h"
#include "connectors/sns/trusted_url.h"
#include "service/fed_source.h"

namespace weir::sns {
namespace {

constexpr int kOk = 200;
constexpr int kBadRequest = 400;
constexpr int kForbidden = 403;
constexpr int kMethodNotAllowed = 405;
constexpr int kContentTooLarge = 413;
constexpr int kServiceUnavailable = 503;

/// SNS has at most 256 KiB, or 1 MiB where a topic was raised to it; JSON may write a character in six.
constexpr std::size_t kBodyBytesMax = 2U << 20U;
/// A certificate with its chain has some KB.
constexpr std::size_t kCertificateBytesMax = 64U << 10U;
constexpr Duration kFetchPatience = std::chrono::seconds(10);
/// SNS has one certificate a region at a time; a sender of other names of certificates gets no further than this.
constexpr std::size_t kCertificatesMax = 32;
constexpr int kFetchesMax = 4;
/// Less than the 20 s after which SNS sends a message again: a certificate that is there by then is fetched.
constexpr Duration kFailedFor = std::chrono::seconds(15);
constexpr std::size_t kFailedMax = 1'000;
constexpr Duration kToldEvery = std::chrono::minutes(1);
/// SNS tries for at most an hour (sns-message-delivery-retries), so an older message is a replay.
constexpr Duration kAgeMax = std::chrono::hours(1);
/// A replay may come until its time is over, so ids are known as long on either side of it.
constexpr Duration kSeenFor = 2 * kAgeMax;
constexpr std::size_t kSeenMax = 200'000;

WebhookResponse answer(int status, std::string_view message) {
  std::string body;
  JsonWriter(body).begin_object().member("message", message).end_object();
  return {status, std::move(body)};
}

/// The subscription that an unsubscribe URL names, for senders that leave the header out.
std::string subscription_of(const WebhookRequest& request, const Notification& notification) {
  if (const auto header = request.header("x-amz-sns-subscription-arn")) return std::string(*header);
  constexpr std::string_view kName = "SubscriptionArn=";
  const std::size_t at = notification.unsubscribe_url.find(kName);
  if (at == std::string::npos) return notification.topic_arn;
  const std::string rest = notification.unsubscribe_url.substr(at + kName.size());
  return rest.substr(0, rest.find('&'));
}

}  // namespace

Webhook::Webhook(std::shared_ptr<const SnsConfig> config, SourceContext context)
    : config_(std::move(config)),
      context_(std::move(context)),
      client_(context_.executor),
      failed_(kFailedFor, kFailedMax),
      seen_(kSeenFor, kSeenMax),
      refusals_(kToldEvery) {}

net::awaitable<Result<void>> Webhook::run(EventSink&) {
  co_await service::wait_for_ever(context_.executor);
  co_return Result<void>();
}

bool Webhook::is_allowed(std::string_view topic_arn) const {
  return std::find(config_->topic_arns.begin(), config_->topic_arns.end(), topic_arn) != config_->topic_arns.end();
}

net::awaitable<WebhookResponse> Webhook::receive(EventSink& sink, WebhookRequest request) {
  if (request.method != "POST") co_return answer(kMethodNotAllowed, "notifications are sent with POST");
  if (request.body.size() > kBodyBytesMax) co_return answer(kContentTooLarge, "a notification has at most 2 MiB");
  if (request.header("x-amz-sns-rawdelivery") == "true") {
    if (!config_->raw) {
      log_refused("raw delivery");
      co_return answer(kForbidden, "raw delivery is not signed; this source takes it only with raw: true");
    }
    Notification bare;
    bare.id = request.header("x-amz-sns-message-id").value_or("");
    bare.topic_arn = request.header("x-amz-sns-topic-arn").value_or("");
    if (bare.id.empty()) co_return answer(kBadRequest, "the header x-amz-sns-message-id is missing");
    if (!is_allowed(bare.topic_arn)) {
      log_refused("topic");
      co_return answer(kForbidden, "this source does not take messages of that topic");
    }
    bare.timestamp = iso_milliseconds(context_.clock.now().wall);
    bare.signature_version = "1";
    std::string subscription = subscription_of(request, bare);
    bare.message = std::move(request.body);
    co_return co_await deliver(sink, std::move(bare), std::move(subscription));
  }
  auto read = read_notification(request.body);
  if (!read) co_return answer(kBadRequest, read.error().message());
  if (auto wrong = co_await check(*read)) co_return std::move(*wrong);
  if (read->is_notification()) {
    std::string subscription = subscription_of(request, *read);
    co_return co_await deliver(sink, std::move(*read), std::move(subscription));
  }
  if (read->type == "SubscriptionConfirmation") co_return co_await confirm(std::move(*read));
  context_.log.warn("subscription.ended", {{"source", context_.name}, {"topic", read->topic_arn}});
  co_return answer(kOk, "the subscription has ended");
}

net::awaitable<std::optional<WebhookResponse>> Webhook::check(const Notification& notification) {
  const auto refuse = [this](std::string_view reason, std::string_view message) {
    log_refused(reason);
    return answer(kForbidden, message);
  };
  if (!is_allowed(notification.topic_arn))
    co_return refuse("topic", "this source does not take messages of that topic");
  if (notification.signature_version != "1" && notification.signature_version != "2")
    co_return answer(kBadRequest, "SignatureVersion is neither 1 nor 2");
  const WallTime now = context_.clock.now().wall;
  const auto sent = parse_iso(notification.timestamp);
  if (!sent) co_return answer(kBadRequest, "Timestamp is no time");
  if (now - *sent > kAgeMax || *sent - now > kAgeMax)
    co_return refuse("age", "the message is more than an hour from now: it is a replay, or a clock is wrong");
  // What is opened later has to be right before anything is fetched.
  if (config_->signing_certificate.empty() &&
      !may_fetch_certificate(notification.certificate_url, config_->certificate_hosts))
    co_return refuse("certificate_url", "SigningCertURL is not one of SNS; it was not fetched");
  if (!notification.is_notification() && !may_confirm_at(notification.subscribe_url, config_->certificate_hosts))
    co_return refuse("subscribe_url", "SubscribeURL is not one of SNS; it was not opened");
  const auto found = co_await certificate(notification.certificate_url);
  if (!found) {
    if (found.error().code() == ErrorCode::kEventRefused) co_return refuse("certificate", found.error().message());
    log_seldom("certificate.unreachable", found.error().message());
    co_return answer(kServiceUnavailable, "the certificate could not be fetched; send the message again");
  }
  if (!found->signed_this(string_to_sign(notification), notification.signature, notification.signature_version))
    co_return refuse("signature", "the signature is not of this message");
  co_return std::nullopt;
}

net::awaitable<Result<Certificate>> Webhook::certificate(std::string url) {
  const WallTime now = context_.clock.now().wall;
  if (!config_->signing_certificate.empty()) url.clear();
  const auto known = certificates_.find(url);
  if (known != certificates_.end() && known->second.valid_at(now)) co_return known->second;
  std::string pem = config_->signing_certificate;
  Trust trust = Trust::kPinned;
  if (pem.empty()) {
    // What failed just now is not worth one of the few fetches: a forged message names what it likes.
    if (auto failed = failed_.why(url, context_.clock.now().instant)) co_return std::move(*failed);
    trust = is_stand_in(url, config_->certificate_hosts) ? Trust::kPinned : Trust::kAws;
    auto fetched = co_await fetch(url);
    if (!fetched) co_return std::move(fetched.error());
    pem = std::move(*fetched);
  }
  auto read = Certificate::read(pem, trust, now);
  if (!read) {
    if (!url.empty()) failed_.add(url, read.error(), context_.clock.now().instant);
    co_return std::move(read.error());
  }
  if (certificates_.size() >= kCertificatesMax) certificates_.erase(certificates_.begin());
  certificates_.insert_or_assign(url, *read);
  co_return std::move(*read);
}

net::awaitable<Result<std::string>> Webhook::fetch(const std::string& url) {
  if (fetches_ >= kFetchesMax) co_return Error(ErrorCode::kHttpFailed, "too many certificates are asked for");
  http::ClientRequest request;
  request.url = url;
  request.timeout = kFetchPatience;
  request.response_max_bytes = kCertificateBytesMax;
  struct Fetching {
    int& count;
    ~Fetching() { --count; }
  };
  ++fetches_;
  const Fetching under_way{fetches_};
  auto response = co_await client_.send(std::move(request));
  if (response && response->status == kOk) co_return std::move(response->body);
  Error failed =
      response ? Error(ErrorCode::kHttpFailed, "the certificate's server answers " + std::to_string(response->status))
               : std::move(response.error());
  if (failed.code() != ErrorCode::kCancelled) failed_.add(url, failed, context_.clock.now().instant);
  co_return failed;
}

net::awaitable<WebhookResponse> Webhook::confirm(Notification notification) {
  if (!config_->confirm) {
    context_.log.warn(
        "subscription.waits",
        {{"source", context_.name}, {"topic", notification.topic_arn}, {"message", "confirm: true would confirm it"}});
    co_return answer(kForbidden, "this source does not confirm subscriptions by itself (confirm: true)");
  }
  http::ClientRequest request;
  request.url = notification.subscribe_url;
  request.timeout = kFetchPatience;
  const auto response = co_await client_.send(std::move(request));
  if (!response || response->status != kOk) {
    context_.log.warn("subscription.not_confirmed", {{"source", context_.name},
                                                     {"topic", notification.topic_arn},
                                                     {"message", response ? "status " + std::to_string(response->status)
                                                                          : response.error().message()}});
    co_return answer(kServiceUnavailable, "the subscription could not be confirmed; send it again");
  }
  context_.log.info("subscription.confirmed", {{"source", context_.name}, {"topic", notification.topic_arn}});
  co_return answer(kOk, "the subscription is confirmed");
}

net::awaitable<WebhookResponse> Webhook::deliver(EventSink& sink, Notification notification, std::string subscription) {
  const std::string id = notification.topic_arn + " " + notification.id;
  switch (seen_.begin(id, context_.clock.now().instant)) {
    case SeenMessages::Kind::kDone:
      co_return answer(kOk, "the message came before; it is delivered once");
    case SeenMessages::Kind::kUnderWay:
      co_return answer(kServiceUnavailable, "the message is being taken; send it again");
    case SeenMessages::Kind::kNew:
      break;
  }
  struct Taking {
    SeenMessages& seen;
    const std::string& id;
    bool done = false;
    ~Taking() {
      if (!done) seen.failed(id);
    }
  };
  Taking taking{seen_, id};
  const auto accepted = co_await sink.accept(lambda_event(notification, subscription), std::nullopt);
  if (!accepted && accepted.error().code() != ErrorCode::kEventRefused)
    co_return answer(kServiceUnavailable, "the message could not be kept; send it again");
  taking.done = true;
  seen_.done(id, context_.clock.now().instant);
  if (!accepted) {
    // Sent again it would be refused again.
    log_seldom("notification.left_out", accepted.error().message());
    co_return answer(kContentTooLarge, accepted.error().message());
  }
  co_return answer(kOk, "accepted");
}

void Webhook::log_refused(std::string_view reason) {
  const auto count = refusals_.count(reason, context_.clock.now().instant);
  if (!count) return;
  context_.log.warn("notification.refused", {{"source", context_.name}, {"reason", reason}, {"count", *count}});
}

void Webhook::log_seldom(std::string_view event, std::string_view message) {
  const auto count = refusals_.count(event, context_.clock.now().instant);
  if (count) context_.log.warn(event, {{"source", context_.name}, {"count", *count}, {"message", message}});
}

std::unique_ptr<PushSource> make_source(std::shared_ptr<const SourceConfig> config, SourceContext context) {
  auto own = std::dynamic_pointer_cast<const SnsConfig>(std::move(config));
  if (!own->topic.empty()) return std::make_unique<service::FedSource>(context.executor);
  return std::make_unique<Webhook>(std::move(own), std::move(context));
}

}  // namespace weir::sns
