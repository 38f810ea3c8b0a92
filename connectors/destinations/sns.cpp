#include <array>

#include "aws/xml_text.h"
#include "connectors/destinations/destinations.h"
#include "connectors/destinations/service.h"
#include "http/uri.h"

namespace weir::destination {
namespace {

constexpr int kMaxPages = 1000;
constexpr std::string_view kVersion = "2010-03-31";
constexpr std::size_t kMaxNameLength = 256;
constexpr std::string_view kFifo = ".fifo";

/// The region and the name in arn:PARTITION:sns:REGION:ACCOUNT:NAME.
struct TopicArn {
  std::string_view region;
  std::string_view name;
};
std::optional<TopicArn> read_arn(std::string_view arn) {
  std::array<std::string_view, 6> parts;
  for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
    const std::size_t colon = arn.find(':');
    if (colon == arn.npos) return std::nullopt;
    parts[i] = arn.substr(0, colon);
    arn.remove_prefix(colon + 1);
  }
  parts.back() = arn;
  if (parts[0] != "arn" || parts[1].empty() || parts[2] != "sns" || parts[3].empty() || parts[4].empty())
    return std::nullopt;
  return TopicArn{parts[3], parts[5]};
}

/// A topic to which AWS's records, or a service's messages, are published.
class SnsDestination final : public Destination {
 public:
  SnsDestination(std::string target, std::unique_ptr<aws::Client> client)
      : target_(std::move(target)), arn_(read_arn(target_) ? target_ : ""), client_(std::move(client)) {}

  net::awaitable<Result<void>> deliver(DestinationRecord record) override {
    if (arn_.empty()) {
      if (auto found = co_await find(); !found) co_return found;
    }
    Fields fields;
    fields.emplace_back("TopicArn", arn_);
    fields.emplace_back("Message", std::move(record.record));
    const MessageDetails& details = record.details;
    if (!details.subject.empty()) fields.emplace_back("Subject", details.subject);
    int number = 0;
    for (const auto& [name, attribute] : details.attributes) {
      const std::string entry = "MessageAttributes.entry." + std::to_string(++number) + ".";
      fields.emplace_back(entry + "Name", name);
      fields.emplace_back(entry + "Value.DataType", attribute.type);
      fields.emplace_back(entry + (is_binary(attribute) ? "Value.BinaryValue" : "Value.StringValue"), attribute.value);
    }
    if (!details.group.empty()) fields.emplace_back("MessageGroupId", details.group);
    if (!details.deduplication.empty() && arn_.ends_with(kFifo)) {
      fields.emplace_back("MessageDeduplicationId", details.deduplication);
    }
    const auto sent = co_await call("Publish", std::move(fields));
    if (sent) co_return Result<void>();
    if (arn_ != target_ && sent.error().code == "NotFound") arn_.clear();
    co_return error_of(sent.error(), "publishing to topic " + target_);
  }

  net::awaitable<void> close() override { return client_->close(); }

 private:
  using Fields = std::vector<std::pair<std::string, std::string>>;

  /// Looks the name up among the topics of the account: nothing else says what its ARN is.
  net::awaitable<Result<void>> find() {
    const std::string doing = "looking for topic " + target_;
    std::optional<std::string> next;
    // AWS has a hundred topics on a page; a server whose pages never end is not followed.
    int pages = 0;
    do {
      Fields fields;
      if (next) fields.emplace_back("NextToken", *next);
      const auto page = co_await call("ListTopics", std::move(fields));
      if (!page) co_return error_of(page.error(), doing);
      std::string_view rest = page->body;
      while (const auto arn = aws::xml_text(rest, "TopicArn")) {
        const auto topic = read_arn(*arn);
        if (topic && topic->name == target_) {
          arn_ = *arn;
          co_return Result<void>();
        }
        rest.remove_prefix(rest.find("</TopicArn>") + 1);
      }
      next = aws::xml_text(page->body, "NextToken");
    } while (next && !next->empty() && ++pages < kMaxPages);
    co_return Error(ErrorCode::kDestinationGone, "there is no such topic").during(doing);
  }

  net::awaitable<aws::ServiceResult<http::Response>> call(std::string action, Fields fields) {
    aws::ServiceRequest request;
    request.headers.add("Content-Type", "application/x-www-form-urlencoded; charset=utf-8");
    request.body = "Action=" + action + "&Version=" + std::string(kVersion);
    for (const auto& [name, value] : fields) request.body += "&" + name + "=" + http::percent_encode(value);
    auto answer = co_await client_->send(std::move(request));
    if (answer && answer->status != 200) co_return aws::read_service_error(*answer);
    co_return answer;
  }

  std::string target_;
  std::string arn_;  ///< "": not known yet
  std::unique_ptr<aws::Client> client_;
};

}  // namespace

std::string check_sns(std::string_view target, std::string_view) {
  const auto arn = read_arn(target);
  const std::string_view name = arn ? arn->name : target;
  if (name.ends_with(kFifo)) return "a FIFO topic cannot be a destination, only a standard one";
  if (!is_name(name, kMaxNameLength))
    return "a topic is given by its name (letters, digits, '-' and '_', at most 256) or its ARN";
  return "";
}

Result<std::unique_ptr<Destination>> make_sns(std::string target, DestinationContext context) {
  const auto arn = read_arn(target);
  auto client = client_for("sns", target, arn ? std::string(arn->region) : "", context);
  if (!client) return client.error();
  return std::make_unique<SnsDestination>(std::move(target), std::move(*client));
}

}  // namespace weir::destination
