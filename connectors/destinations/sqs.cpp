#include <algorithm>
#include <array>
#include <optional>

#include <nlohmann/json.hpp>

#include "weir/base/json_writer.h"

#include "connectors/destinations/destinations.h"
#include "connectors/destinations/service.h"

namespace weir::destination {
namespace {

constexpr std::string_view kProtocolVersion = "1.0";
constexpr std::size_t kMaxNameLength = 80;
constexpr std::string_view kFifo = ".fifo";
/// A queue that was made anew has the same URL; one whose URL changed is found again after this answer.
constexpr std::string_view kNoSuchQueue = "QueueDoesNotExist";

bool is_url(std::string_view target) {
  return target.starts_with("http://") || target.starts_with("https://");
}

/// "arn:aws:sqs:REGION:ACCOUNT:NAME", with "aws-cn" and such, too.
struct Arn {
  std::string_view region;
  std::string_view account;
  std::string_view name;
};

std::optional<Arn> parse_arn(std::string_view target) {
  std::array<std::string_view, 6> parts;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::size_t colon = target.find(':');
    if ((colon == target.npos) != (i + 1 == parts.size())) return std::nullopt;
    parts[i] = target.substr(0, colon);
    target.remove_prefix(std::min(target.size(), parts[i].size() + 1));
  }
  if (parts[0] != "arn" || !parts[1].starts_with("aws") || parts[2] != "sqs") return std::nullopt;
  if (parts[3].empty() || parts[4].empty()) return std::nullopt;
  return Arn{parts[3], parts[4], parts[5]};
}

/// The last part of a queue's URL or ARN.
std::string_view name_of(std::string_view target) {
  if (const auto arn = parse_arn(target)) return arn->name;
  return is_url(target) ? target.substr(target.rfind('/') + 1) : target;
}

/// "eu-west-1" of an ARN and of https://sqs.eu-west-1.amazonaws.com/123456789012/q; "" of URLs that are not AWS's.
std::string region_of(std::string_view url) {
  if (const auto arn = parse_arn(url)) return std::string(arn->region);
  constexpr std::string_view kHost = "https://sqs.";
  if (!url.starts_with(kHost)) return "";
  url.remove_prefix(kHost.size());
  const std::size_t dot = url.find('.');
  return dot != url.npos && url.substr(dot).starts_with(".amazonaws.com") ? std::string(url.substr(0, dot)) : "";
}

/// A queue that gets AWS's records, or a service's messages, as the bodies of messages. One of a service may be FIFO.
class SqsDestination final : public Destination {
 public:
  SqsDestination(std::string target, std::unique_ptr<aws::Client> client)
      : target_(std::move(target)), url_(is_url(target_) ? target_ : ""), client_(std::move(client)) {}

  net::awaitable<Result<void>> deliver(DestinationRecord record) override {
    if (url_.empty()) {
      if (auto found = co_await find(); !found) co_return found;
    }
    std::string body;
    JsonWriter out(body);
    out.begin_object().member("QueueUrl", url_).member("MessageBody", record.record);
    const MessageDetails& details = record.details;
    if (!details.attributes.empty()) {
      out.key("MessageAttributes").begin_object();
      for (const auto& [name, attribute] : details.attributes) write_attribute(name, attribute, out);
      out.end_object();
    }
    if (!record.trace_header.empty()) {
      out.key("MessageSystemAttributes").begin_object();
      const MessageAttribute trace{"String", record.trace_header};
      write_attribute("AWSTraceHeader", trace, out);
      out.end_object();
    }
    // A queue that is not FIFO has groups too, for fairness, but no deduplication.
    if (!details.group.empty()) out.member("MessageGroupId", details.group);
    if (!details.deduplication.empty() && name_of(target_).ends_with(kFifo)) {
      out.member("MessageDeduplicationId", details.deduplication);
    }
    out.end_object();
    const auto sent = co_await call("AmazonSQS.SendMessage", std::move(body));
    if (sent) co_return Result<void>();
    if (!is_url(target_) && sent.error().code.find(kNoSuchQueue) != std::string::npos) url_.clear();
    co_return error_of(sent.error(), "sending a message to queue " + std::string(name_of(target_)));
  }

  net::awaitable<void> close() override { return client_->close(); }

 private:
  net::awaitable<Result<void>> find() {
    std::string body;
    JsonWriter out(body);
    out.begin_object().member("QueueName", name_of(target_));
    if (const auto arn = parse_arn(target_)) out.member("QueueOwnerAWSAccountId", arn->account);
    out.end_object();
    const auto found = co_await call("AmazonSQS.GetQueueUrl", std::move(body));
    const std::string doing = "asking for the URL of queue " + std::string(name_of(target_));
    if (!found) co_return error_of(found.error(), doing);
    const auto answer = nlohmann::json::parse(found->body, nullptr, false);
    const auto url = answer.is_object() ? answer.find("QueueUrl") : answer.end();
    if (!answer.is_object() || url == answer.end() || !url->is_string())
      co_return Error(ErrorCode::kDestinationFailed, "the answer has no QueueUrl").during(doing);
    url_ = url->get<std::string>();
    co_return Result<void>();
  }

  /// A queue that is given by its URL is asked there. One that was found by its name is asked where it was found: what
  /// stands in for SQS may call itself what it is not called from here.
  net::awaitable<aws::ServiceResult<http::Response>> call(std::string action, std::string body) {
    aws::ServiceRequest request;
    if (is_url(target_)) request.url = target_;
    request.headers.add("Content-Type", "application/x-amz-json-" + std::string(kProtocolVersion));
    request.headers.add("X-Amz-Target", action);
    request.body = std::move(body);
    auto answer = co_await client_->send(std::move(request));
    if (answer && answer->status != 200) co_return aws::read_service_error(*answer);
    co_return answer;
  }

  std::string target_;
  std::string url_;  ///< "": not known yet
  std::unique_ptr<aws::Client> client_;
};

}  // namespace

std::string check_sqs(std::string_view target, std::string_view) {
  const std::string_view name = name_of(target);
  // It would be shown with every failure.
  if (is_url(target) && target.find('@') != std::string_view::npos) return "a queue's URL has no user or password";
  if (name.ends_with(kFifo)) return "a FIFO queue cannot be a destination, only a standard one";
  if (!is_name(name, kMaxNameLength))
    return "a queue is given by its name (letters, digits, '-' and '_', at most 80), its URL or its ARN";
  return "";
}

Result<std::unique_ptr<Destination>> make_sqs(std::string target, DestinationContext context) {
  auto client = client_for("sqs", target, region_of(target), context);
  if (!client) return client.error();
  return std::make_unique<SqsDestination>(std::move(target), std::move(*client));
}

}  // namespace weir::destination
