#include <algorithm>

#include "weir/base/json_writer.h"
#include "weir/base/random.h"

#include "connectors/destinations/destinations.h"
#include "connectors/destinations/service.h"
#include "http/uri.h"

namespace weir::destination {
namespace {

constexpr Duration kTimeout = std::chrono::seconds(60);

/// A bucket's name and what keys begin with, "" or with a slash at its end.
struct Place {
  std::string bucket;
  std::string prefix;
};
Place read_place(std::string_view target) {
  const std::size_t slash = std::min(target.find('/'), target.size());
  Place place{.bucket = std::string(target.substr(0, slash)), .prefix = ""};
  if (slash + 1 < target.size()) place.prefix = target.substr(slash + 1);
  if (!place.prefix.empty() && !place.prefix.ends_with('/')) place.prefix += '/';
  return place;
}

bool is_bucket(std::string_view name) {
  const auto is_edge = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  return name.size() >= 3 && name.size() <= 63 && is_edge(name.front()) && is_edge(name.back()) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return is_edge(c) || c == '-' || c == '.'; });
}

/// "2025/11/25/2025-11-25T16.35.32".
std::string dated(WallTime at) {
  const std::string iso = iso_milliseconds(at);
  std::string day = iso.substr(0, 10);
  std::string second = iso.substr(0, 19);
  std::replace(day.begin(), day.end(), '-', '/');
  std::replace(second.begin(), second.end(), ':', '.');
  return day + "/" + second;
}

/// A bucket in which each of AWS's records is an object, together with the event that it is about.
class S3Destination final : public Destination {
 public:
  S3Destination(Place place, std::unique_ptr<aws::Client> client)
      : place_(std::move(place)), client_(std::move(client)), random_(seed_from_system()) {}

  net::awaitable<Result<void>> deliver(DestinationRecord record) override {
    // Source: kinesis-on-failure-destination, invocation-async-retain-records.
    const std::string owner = record.mapping.empty() ? "async/" + record.function : record.mapping + "/" + record.shard;
    const std::string key = place_.prefix + "aws/lambda/" + owner + "/" + dated(record.at) + "-" + random_.uuid();

    aws::ServiceRequest request;
    request.method = "PUT";
    address(key, request);
    request.headers.add("Content-Type", "application/octet-stream");
    request.body = std::move(record.record);
    // An asynchronous invocation's record has its event in it, as requestPayload.
    if (!record.mapping.empty()) {
      request.body.reserve(request.body.size() + json_escaped_size(record.payload) + 16);
      request.body.back() = ',';
      request.body += "\"payload\":\"";
      append_json_escaped(request.body, record.payload);
      request.body += "\"}";
    }
    request.timeout = kTimeout;
    const auto answer = co_await client_->send(std::move(request));
    const std::string doing = "putting an object into bucket " + place_.bucket;
    if (!answer) co_return error_of(answer.error(), doing);
    if (answer->status != 200) co_return error_of(aws::read_service_error(*answer), doing);
    co_return Result<void>();
  }

  net::awaitable<void> close() override { return client_->close(); }

 private:
  /// AWS names the bucket in the host; what stands in for it, and buckets with dots, whose names no certificate fits,
  /// have it in the path.
  void address(const std::string& key, aws::ServiceRequest& request) const {
    constexpr std::string_view kAws = "https://s3.";
    const std::string& url = client_->url();
    const std::string path = "/" + http::percent_encode_path(key);
    if (url.starts_with(kAws) && url.find(".amazonaws.com") != url.npos &&
        place_.bucket.find('.') == std::string::npos) {
      std::string_view rest = std::string_view(url).substr(std::string_view("https://").size());
      if (rest.ends_with('/')) rest.remove_suffix(1);
      request.url = "https://" + place_.bucket + "." + std::string(rest) + path;
    } else {
      request.target = "/" + place_.bucket + path;
    }
  }

  Place place_;
  std::unique_ptr<aws::Client> client_;
  Random random_;
};

}  // namespace

std::string check_s3(std::string_view target, std::string_view) {
  if (!is_bucket(read_place(target).bucket))
    return "a bucket's name has 3 to 63 characters: lower-case letters, digits, '-' and '.'";
  return "";
}

Result<std::unique_ptr<Destination>> make_s3(std::string target, DestinationContext context) {
  auto client = client_for("s3", target, "", context);
  if (!client) return client.error();
  return std::make_unique<S3Destination>(read_place(target), std::move(*client));
}

}  // namespace weir::destination
