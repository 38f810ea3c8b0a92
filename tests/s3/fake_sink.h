#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <nlohmann/json.hpp>

#include "weir/connector.h"

namespace weir::test {

/// An asynchronous queue that keeps what it is given and can refuse. Its notes outlive a source, as the store's do.
class FakeSink final : public EventSink {
 public:
  net::awaitable<Result<std::string>> accept(std::string payload, std::optional<SourceNote> note) override {
    most_at_once = std::max(most_at_once, ++at_once_);
    co_await net::post(net::use_awaitable);
    --at_once_;
    if (auto refusal = next_refusal()) co_return std::move(*refusal);
    if (note) apply(*note);
    payloads.push_back(std::move(payload));
    co_return "request-" + std::to_string(payloads.size());
  }
  net::awaitable<Result<void>> remember(std::vector<SourceNote> all) override {
    co_await net::post(net::use_awaitable);
    if (auto refusal = next_refusal()) co_return std::move(*refusal);
    for (const SourceNote& note : all) apply(note);
    co_return Result<void>();
  }
  net::awaitable<Result<std::map<std::string, std::string>>> notes() override { co_return kept; }

  void refuse_next(int count, ErrorCode code) { refuse_.assign(static_cast<std::size_t>(count), code); }
  /// And refuses all that follow.
  void take_next(int count) {
    refuse_next(1'000'000, ErrorCode::kStoreFull);
    take_ = count;
  }

  /// "Put in/a.txt, Delete b" in order of acceptance; keys as they stand in the events.
  std::string told() const {
    std::string text;
    for (const std::string& payload : payloads) {
      const nlohmann::json record = nlohmann::json::parse(payload).at("Records").at(0);
      const std::string name = record.at("eventName").get<std::string>();
      text += (text.empty() ? "" : ", ") + name.substr(name.find(':') + 1) + " " +
              record.at("s3").at("object").at("key").get<std::string>();
    }
    return text;
  }
  nlohmann::json record(std::size_t index) const {
    return nlohmann::json::parse(payloads.at(index)).at("Records").at(0);
  }

  std::vector<std::string> payloads;
  std::map<std::string, std::string> kept;
  int most_at_once = 0;  ///< events that were being accepted

 private:
  std::optional<Error> next_refusal() {
    if (refuse_.empty() || take_-- > 0) return std::nullopt;
    const ErrorCode code = refuse_.back();
    refuse_.pop_back();
    return Error(code, "the test refuses this");
  }
  void apply(const SourceNote& note) {
    if (note.value)
      kept[note.key] = *note.value;
    else
      kept.erase(note.key);
  }

  std::vector<ErrorCode> refuse_;
  int take_ = 0;
  int at_once_ = 0;
};

}  // namespace weir::test
