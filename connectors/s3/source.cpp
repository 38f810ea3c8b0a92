#include "connectors/s3/source.h"

#include <algorithm>
#include <exception>
#include <utility>

#include <boost/asio/error.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <openssl/crypto.h>

#include "connectors/s3/connector.h"
#include "connectors/s3/rules.h"
#include "runtime/task_scope.h"

namespace weir::s3 {
namespace {

constexpr int kOk = 200;
constexpr int kBadRequest = 400;
constexpr int kForbidden = 403;
constexpr int kMethodNotAllowed = 405;
constexpr int kContentTooLarge = 413;
constexpr int kServiceUnavailable = 503;

/// A thousand records of Amazon's; MinIO sends them one by one. Reading more would hold up the engine's thread.
constexpr std::size_t kBodyBytesMax = 1 << 20;

/// Of one receive, which a stop waits for: what it brings would be out of sight for a while otherwise.
constexpr Duration kLongPoll = std::chrono::seconds(5);
constexpr std::size_t kMessagesAtOnce = 10;
/// A message that nobody understands comes again and again.
constexpr Duration kLeftLoggedEvery = std::chrono::minutes(1);

WebhookResponse answer(int status, std::string_view message) {
  std::string body;
  JsonWriter(body).begin_object().member("message", message).end_object();
  return WebhookResponse(status, std::move(body));
}

/// Takes as long for a wrong token as for a right one of that length.
bool same_secret(std::string_view given, std::string_view expected) {
  return given.size() == expected.size() && CRYPTO_memcmp(given.data(), expected.data(), expected.size()) == 0;
}

}  // namespace

struct S3Source::Polling {
  Polling(std::unique_ptr<QueueSource> which, const net::any_io_executor& executor)
      : queue(std::move(which)), over(executor, net::steady_timer::time_point::max()) {}

  std::unique_ptr<QueueSource> queue;
  bool stopping = false;
  bool ended = false;
  net::steady_timer over;
  std::vector<std::string> done;  ///< receipts of messages that may be deleted
  std::optional<Error> failure;
  std::size_t left = 0;  ///< messages since the last line about them
  std::optional<Instant> left_logged;
};

S3Source::S3Source(std::shared_ptr<const S3Config> config, SourceContext context, FolderTuning tuning,
                   PollTuning polling)
    : config_(std::move(config)), context_(std::move(context)), tuning_(tuning), poll_tuning_(polling) {}

net::awaitable<Result<void>> S3Source::run(EventSink& sink) {
  if (config_->queue != nullptr) co_return co_await poll(sink);
  if (config_->folder.empty()) {
    net::steady_timer for_ever(context_.executor, net::steady_timer::time_point::max());
    boost::system::error_code woken;
    co_await for_ever.async_wait(net::redirect_error(net::use_awaitable, woken));
    co_return Result<void>();
  }
  FolderWatch folder(*config_, context_, sink, tuning_);
  co_return co_await folder.run();
}

net::awaitable<WebhookResponse> S3Source::receive(EventSink& sink, WebhookRequest request) {
  const bool probe = request.method == "GET" || request.method == "HEAD";
  if (request.method != "POST" && !probe) co_return answer(kMethodNotAllowed, "notifications are sent with POST");
  if (!config_->authorization.empty() &&
      !same_secret(request.header("authorization").value_or(""), config_->authorization))
    co_return answer(kForbidden, "the header Authorization is missing or not the one of auth_token");
  if (probe) co_return answer(kOk, "this source takes S3 notifications with POST");

  if (request.body.size() > kBodyBytesMax) co_return answer(kContentTooLarge, "a notification has at most 1 MiB");
  auto notification =
      read_notification(request.body, context_.clock.now().wall, config_->unwrap ? Wrapping::kAny : Wrapping::kNone);
  if (!notification) co_return answer(kBadRequest, notification.error().message());
  const std::size_t all = notification->events.size() + notification->left_out.size();
  if (notification->test && all == 0)
    co_return answer(kOk, "the test event was understood; there is nothing to deliver in it");

  Taking taking = wanted_of(std::move(*notification));
  co_await take_all(sink, taking);
  // The sender tries again, with all of them: at least once.
  if (taking.refusal)
    co_return answer(kServiceUnavailable, "not every event could be kept; send the notification again");
  std::string message =
      "accepted " + std::to_string(taking.accepted) + " of " + std::to_string(all) + (all == 1 ? " event" : " events");
  if (taking.other_buckets > 0) message += "; this source is for bucket " + config_->bucket;
  co_return answer(kOk, message);
}

/// Of the queue's messages those that hold an event are deleted when all that is wanted of them is kept, those that
/// hold nothing of S3 are left to it, and go where it sends what was received too often.
net::awaitable<Result<void>> S3Source::poll(EventSink& sink) {
  // Being cancelled is a stop, which waits for what is under way.
  const bool throws = co_await net::this_coro::throw_if_cancelled();
  co_await net::this_coro::throw_if_cancelled(false);
  Polling polling(config_->queues.make(config_->queue, context_), context_.executor);
  runtime::TaskScope work(context_.executor);
  work.spawn(poll_on(sink, polling));
  boost::system::error_code woken;
  co_await polling.over.async_wait(net::redirect_error(net::use_awaitable, woken));
  polling.stopping = true;
  if (!polling.ended) polling.over.expires_after(poll_tuning_.stop_patience);
  woken = net::error::operation_aborted;
  while (!polling.ended && woken) co_await polling.over.async_wait(net::redirect_error(net::use_awaitable, woken));
  co_await polling.queue->close();
  std::exception_ptr failure;
  try {
    co_await work.join();
  } catch (const std::exception&) {
    failure = std::current_exception();
  }
  co_await net::this_coro::throw_if_cancelled(throws);
  if (failure) std::rethrow_exception(failure);
  if (polling.failure && polling.failure->code() != ErrorCode::kCancelled) co_return std::move(*polling.failure);
  co_return Result<void>();
}

/// Until the source stops, or the queue or the store refuses: then a supervisor makes another source after a while.
net::awaitable<void> S3Source::poll_on(EventSink& sink, Polling& polling) {
  struct End {
    Polling& polling;
    ~End() {
      polling.ended = true;
      polling.over.cancel();
    }
  } const end{polling};
  const auto traits = co_await polling.queue->describe();
  if (!traits) {
    polling.failure = traits.error();
    co_return;
  }
  ReceiveLimits limits;
  limits.max_messages = kMessagesAtOnce;
  limits.wait = kLongPoll;
  while (!polling.stopping && !polling.failure) {
    const auto received = co_await polling.queue->receive(limits);
    if (!received) {
      polling.failure = received.error();
      co_return;
    }
    runtime::TaskScope messages(context_.executor);
    for (const QueueMessage& message : *received) messages.spawn(take_message(sink, message, polling));
    co_await messages.join();
    if (polling.done.empty()) {
      // A server may answer at once, and what nobody understands may come again at once.
      net::steady_timer pause(context_.executor, poll_tuning_.pause);
      co_await pause.async_wait(net::use_awaitable);
      continue;
    }
    const std::size_t count = polling.done.size();
    std::vector<std::string> receipts = std::exchange(polling.done, {});
    const auto removed = co_await polling.queue->remove(std::move(receipts));
    if (!removed) {
      polling.failure = removed.error();
      co_return;
    }
    // They come again, and so do their events.
    const auto gone = static_cast<std::size_t>(std::count(removed->begin(), removed->end(), true));
    if (gone < count) context_.log.warn("message.not_deleted", {{"source", context_.name}, {"messages", count - gone}});
  }
}

net::awaitable<void> S3Source::take_message(EventSink& sink, const QueueMessage& message, Polling& polling) {
  auto notification = read_notification(message.body, context_.clock.now().wall, Wrapping::kAny);
  if (!notification) {
    log_left(notification.error().message(), polling);
    co_return;
  }
  if (notification->test) {
    context_.log.info("notification.test", {{"source", context_.name}});
  } else if (notification->events.empty() && !notification->left_out.empty()) {
    log_left(notification->left_out.front().reason, polling);
    co_return;
  }
  Taking taking = wanted_of(std::move(*notification));
  co_await take_all(sink, taking);
  if (taking.refusal) {
    polling.failure = std::move(taking.refusal);
  } else {
    polling.done.push_back(message.receipt);
  }
}

void S3Source::log_left(std::string_view reason, Polling& polling) {
  ++polling.left;
  const Instant now = context_.clock.now().instant;
  if (polling.left_logged && now - *polling.left_logged < kLeftLoggedEvery) return;
  polling.left_logged = now;
  context_.log.warn("message.left",
                    {{"source", context_.name}, {"messages", std::exchange(polling.left, 0)}, {"reason", reason}});
}

/// What will never be taken is left out. If it were refused, its sender would repeat it, and all behind it wait.
S3Source::Taking S3Source::wanted_of(Notification notification) {
  for (const Notification::LeftOut& record : notification.left_out)
    log_left_out(record.bucket, record.key, record.reason);
  Taking taking;
  for (ObjectEvent& event : notification.events) {
    if (event.bucket != config_->bucket) {
      ++taking.other_buckets;
      log_other_bucket(event.bucket);
      continue;
    }
    if (!config_->wants(event)) continue;
    if (event.region.empty()) event.region = config_->region;
    taking.events.push_back(std::move(event));
  }
  return taking;
}

/// Gives all events to the sink, some at once, for the store writes them together.
net::awaitable<void> S3Source::take_all(EventSink& sink, Taking& taking) {
  constexpr std::size_t kLanes = 128;
  // Being cancelled must not throw meanwhile: what was begun refers to what is here.
  const bool throws = co_await net::this_coro::throw_if_cancelled();
  co_await net::this_coro::throw_if_cancelled(false);
  runtime::TaskScope lanes(context_.executor);
  for (std::size_t i = 0; i < std::min(kLanes, taking.events.size()); ++i) lanes.spawn(take_some(sink, taking));
  std::exception_ptr failure;
  try {
    co_await lanes.join();
  } catch (const std::exception&) {
    failure = std::current_exception();
  }
  co_await net::this_coro::throw_if_cancelled(throws);
  if (failure) std::rethrow_exception(failure);
}

net::awaitable<void> S3Source::take_some(EventSink& sink, Taking& taking) {
  while (taking.next < taking.events.size() && !taking.refusal) {
    const ObjectEvent& event = taking.events[taking.next++];
    auto taken = co_await sink.accept(config_->event_text(event), std::nullopt);
    if (taken) {
      ++taking.accepted;
    } else if (taken.error().code() == ErrorCode::kEventRefused) {
      log_left_out(event.bucket, event.key, "the event is too large");
    } else {
      taking.refusal = std::move(taken.error());
    }
  }
}

/// Of each reason once, for every request may hold thousands.
void S3Source::log_left_out(std::string_view bucket, std::string_view key, std::string_view reason) {
  constexpr std::size_t kShown = 1024;  // bytes of what anybody may have sent
  if (!left_out_.insert(reason).second) return;
  context_.log.warn("notification.left_out", {{"source", context_.name},
                                              {"bucket", encode_key(bucket.substr(0, kShown))},
                                              {"key", encode_key(key.substr(0, kShown))},
                                              {"reason", reason}});
}

void S3Source::log_other_bucket(const std::string& bucket) {
  constexpr std::size_t kNamesMax = 16;  // of those that are told apart; whoever sends more has been told of enough
  if (other_buckets_.size() >= kNamesMax || !other_buckets_.insert(bucket).second) return;
  context_.log.warn("notification.left_out",
                    {{"source", context_.name}, {"bucket", bucket}, {"reason", "this source is for another bucket"}});
}

std::unique_ptr<PushSource> make_source(std::shared_ptr<const SourceConfig> config, SourceContext context) {
  return std::make_unique<S3Source>(std::static_pointer_cast<const S3Config>(std::move(config)), std::move(context),
                                    FolderTuning());
}

}  // namespace weir::s3
