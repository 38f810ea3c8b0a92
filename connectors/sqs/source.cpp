#include "connectors/sqs/source.h"

#include <algorithm>
#include <utility>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "connectors/sqs/connector.h"
#include "connectors/sqs/envelope.h"

namespace weir::sqs {
namespace {

constexpr std::size_t kBatchMost = 10;  // of DeleteMessageBatch and its like
/// Requests of one change at once, and of all: a batch of 10,000 messages is deleted by a thousand of them.
constexpr std::size_t kRequestsOfChange = 8;
constexpr int kChangesMost = 64;
/// For an answer, beside the time that it was asked to wait.
constexpr Duration kPatience = std::chrono::seconds(20);

}  // namespace

struct SqsSource::Change {
  Change(const net::any_io_executor& executor, std::vector<std::string> which, std::optional<Duration> time)
      : receipts(std::move(which)), timeout(time), done(receipts.size(), false), finished(executor) {
    finished.expires_at(net::steady_timer::time_point::max());
  }

  std::vector<std::string> receipts;
  std::optional<Duration> timeout;  ///< none: they are deleted
  std::vector<bool> done;
  std::size_t next = 0;  ///< the first that no request has
  std::size_t answered = 0;
  std::size_t under_way = 0;
  std::optional<Error> error;  ///< the last
  net::steady_timer finished;
};

SqsSource::SqsSource(std::shared_ptr<const SqsConfig> config, SourceContext context)
    : config_(std::move(config)),
      context_(std::move(context)),
      url_(config_->queue.url),
      changes_(context_.executor),
      changes_free_(kChangesMost),
      change_freed_(context_.executor, net::steady_timer::time_point::max()) {}

SqsSource::~SqsSource() = default;

Result<void> SqsSource::connect() {
  if (client_) return {};
  aws::ClientSettings settings;
  settings.name = context_.name;
  settings.service = "sqs";
  AwsAccess own = config_->access;
  // A queue's URL says where it is; only what is said of the source itself says it better.
  if (own.endpoint_url.empty() && !url_.empty()) own.endpoint_url = config_->queue.origin();
  settings.access = own.or_else(context_.aws);
  settings.arn_region = config_->queue.region;
  auto client =
      aws::Client::make(context_.executor, context_.blocking, std::move(settings), context_.log, context_.clock);
  if (!client) return Error(ErrorCode::kSourceFailed, client.error().message());
  client_ = std::move(*client);
  return {};
}

net::awaitable<Result<std::string>> SqsSource::call(std::string operation, std::string body, Duration wait) {
  std::string doing = "asking for " + operation + " of " + config_->queue.name;
  aws::ServiceResult<std::string> answer =
      co_await client_->call("AmazonSQS." + operation, "1.0", std::move(body), wait + kPatience);
  if (!answer) co_return answer.error().as_source_error(doing);
  co_return std::move(*answer);
}

net::awaitable<Result<void>> SqsSource::find_url() {
  if (!url_.empty()) co_return Result<void>();
  auto answer = co_await call("GetQueueUrl", queue_url_body(config_->queue.name, config_->queue.account));
  if (!answer) co_return std::move(answer.error());
  auto url = read_queue_url(*answer);
  if (!url) co_return std::move(url.error());
  url_ = std::move(*url);
  co_return Result<void>();
}

net::awaitable<Result<QueueTraits>> SqsSource::describe() {
  auto connected = connect();
  if (!connected) co_return std::move(connected.error());
  auto found = co_await find_url();
  if (!found) co_return std::move(found.error());
  auto answer = co_await call("GetQueueAttributes", queue_attributes_body(url_));
  if (!answer) co_return std::move(answer.error());
  auto attributes = read_queue_attributes(*answer);
  if (!attributes) co_return std::move(attributes.error());
  arn_ = std::move(attributes->arn);
  backlog_ = attributes->messages;
  QueueTraits traits;
  traits.fifo = config_->queue.fifo();
  traits.visibility_timeout = attributes->visibility_timeout;
  co_return traits;
}

net::awaitable<Result<std::vector<QueueMessage>>> SqsSource::receive(ReceiveLimits limits) {
  auto answer = co_await call("ReceiveMessage", receive_body(url_, limits), limits.wait);
  if (!answer) co_return std::move(answer.error());
  auto received = reader_.read(*answer);
  if (!received) co_return std::move(received.error());
  std::vector<QueueMessage> messages;
  messages.reserve(received->size());
  for (const ReceivedMessage& each : *received) messages.push_back(make_message(each, arn_));
  co_return std::move(messages);
}

net::awaitable<Result<std::vector<bool>>> SqsSource::remove(std::vector<std::string> receipts) {
  return change(std::move(receipts), std::nullopt);
}

net::awaitable<Result<std::vector<bool>>> SqsSource::change_visibility(std::vector<std::string> receipts,
                                                                       Duration timeout) {
  return change(std::move(receipts), timeout);
}

/// Called off, it leaves to themselves the requests that were sent; close() ends them.
net::awaitable<Result<std::vector<bool>>> SqsSource::change(std::vector<std::string> receipts,
                                                            std::optional<Duration> timeout) {
  auto all = std::make_shared<Change>(context_.executor, std::move(receipts), timeout);
  const std::size_t requests = (all->receipts.size() + kBatchMost - 1) / kBatchMost;
  all->under_way = std::min(requests, kRequestsOfChange);
  for (std::size_t i = 0; i < all->under_way; ++i) changes_.spawn(change_some(all));
  while (all->under_way > 0) {
    boost::system::error_code ignored;
    co_await all->finished.async_wait(net::redirect_error(net::use_awaitable, ignored));
  }
  if (all->error && all->answered == 0) co_return std::move(*all->error);
  co_return std::move(all->done);
}

net::awaitable<void> SqsSource::change_some(std::shared_ptr<Change> all) {
  // However it ends.
  struct End {
    Change& change;
    ~End() {
      --change.under_way;
      change.finished.cancel();
    }
  } const end{*all};
  struct Turn {
    SqsSource& source;
    ~Turn() {
      ++source.changes_free_;
      source.change_freed_.cancel_one();
    }
  };
  while (all->next < all->receipts.size()) {
    while (changes_free_ == 0) {
      boost::system::error_code ignored;
      co_await change_freed_.async_wait(net::redirect_error(net::use_awaitable, ignored));
    }
    if (all->next >= all->receipts.size()) {
      change_freed_.cancel_one();  // somebody else's turn
      break;
    }
    --changes_free_;
    const Turn turn{*this};
    co_await change_ten(*all);
  }
}

net::awaitable<void> SqsSource::change_ten(Change& all) {
  const std::size_t first = all.next;
  const std::size_t count = std::min(kBatchMost, all.receipts.size() - first);
  all.next += count;
  const std::string operation = all.timeout ? "ChangeMessageVisibilityBatch" : "DeleteMessageBatch";
  std::string body = batch_body(url_, std::span(all.receipts).subspan(first, count), all.timeout);
  auto answer = co_await call(operation, std::move(body));
  Result<std::vector<bool>> done = std::vector<bool>();
  if (answer) {
    done = read_batch(*answer, count);
  } else {
    done = std::move(answer.error());
  }
  if (!done) {
    all.error = std::move(done.error());
    co_return;
  }
  ++all.answered;
  std::copy(done->begin(), done->end(), all.done.begin() + static_cast<std::ptrdiff_t>(first));
}

void SqsSource::write_event(std::span<const QueueMessage* const> messages, std::string& out) const {
  sqs::write_event(messages, out);
}

void SqsSource::write_filter_view(const QueueMessage& message, bool with_metadata, FilterView& out) const {
  if (with_metadata) out.metadata = message_metadata(message);
  out.body = message.body;
  out.has_body = true;
}

net::awaitable<void> SqsSource::close() {
  changes_.cancel();
  if (client_) co_await client_->close();
  co_await changes_.join();
}

std::unique_ptr<QueueSource> make_source(std::shared_ptr<const SourceConfig> config, SourceContext context) {
  return std::make_unique<SqsSource>(std::static_pointer_cast<const SqsConfig>(std::move(config)), std::move(context));
}

}  // namespace weir::sqs
