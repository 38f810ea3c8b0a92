#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "weir/connector.h"
#include "weir/lambda_endpoint.h"

namespace weir::test {

/// A stream in memory that outlives the sources which read it: what a test scripts and looks at.
struct FakeStream final : SourceConfig {
  std::map<std::string, int> shards;  ///< how many records each shard has, numbered from 1
  bool ends = false;                  ///< whether the shards end with their records
  std::deque<Error> failures;         ///< each life of the source fails with the next one, after it opened its shards
  bool lies_about_sizes = false;      ///< breaks the promise of write_event(), with the last record of a shard
  bool latest = false;                ///< begins behind its last record, without a checkpoint
  bool remembers_ends = false;        ///< its ends are for good, as those of a Kinesis stream's shards
  std::map<std::string, std::vector<std::string>> children;  ///< opened when the shard was released as ended
  std::vector<std::string> starts;                           ///< of all lives: "SHARD from RESUME", with "(first run)"
  std::string identity;                                      ///< which stream it is
  bool keeps_checkpoints = false;  ///< as a consumer group does; taken only while the source runs
  std::map<std::string, std::uint64_t> committed;
  int lives = 0;
  std::string trouble;                          ///< what hinders it while it runs
  bool knows_shards = false;                    ///< says which shards there are
  std::optional<std::set<std::string>> listed;  ///< them, if not all
  bool keyed = false;                           ///< each record has a key of its own
  bool says_hello = false;                      ///< each life logs that it fetched its credentials

  // Of the life that runs.
  std::function<void(Error)> fail;
  std::function<void(const std::string&)> lose_and_regain;  ///< the shard comes back as soon as it was released
};

class FakeSource final : public PollSource {
 public:
  FakeSource(std::shared_ptr<FakeStream> stream, SourceContext context)
      : stream_(std::move(stream)),
        context_(std::move(context)),
        never_(context_.executor, net::steady_timer::time_point::max()) {}

  net::awaitable<Result<void>> run(ShardListener& listener) override {
    ++stream_->lives;
    listener_ = &listener;
    if (stream_->says_hello) context_.log.info("credentials.fetched", {{"source", "a file"}});
    stream_->fail = [this](Error error) {
      failure_ = std::move(error);
      never_.cancel();
    };
    stream_->lose_and_regain = [this](const std::string& name) {
      regained_ = name;
      listener_->shard_revoked({context_.name, name}, true);
    };
    std::set<std::string> later;
    for (const auto& [parent, names] : stream_->children) later.insert(names.begin(), names.end());
    for (const auto& [name, count] : stream_->shards) {
      if (!later.contains(name)) listener.shard_opened({context_.name, name});
    }
    open_ = stream_->shards.size();
    if (!stream_->failures.empty()) {
      Error failure = stream_->failures.front();
      stream_->failures.pop_front();
      co_return failure;
    }
    boost::system::error_code woken;
    co_await never_.async_wait(net::redirect_error(net::use_awaitable, woken));
    ended_ = true;
    if (failure_) co_return *failure_;
    const auto cancelled = (co_await net::this_coro::cancellation_state).cancelled();
    if (cancelled != net::cancellation_type::none) co_return Error(ErrorCode::kCancelled, "the source was stopped");
    co_return Result<void>();
  }

  bool keeps_checkpoints() const override { return stream_->keeps_checkpoints; }
  net::awaitable<Result<void>> commit(ShardId shard, Position upto) override {
    if (ended_) co_return Error(ErrorCode::kCancelled, "the source was stopped");
    stream_->committed[shard.name] = *upto.number();
    co_return Result<void>();
  }

  std::optional<Resume> start(const ShardId& shard, std::optional<Resume> from, bool first_run) override {
    stream_->starts.push_back(shard.name + " from " + (from ? from->text() : "nowhere") +
                              (first_run ? " (first run)" : ""));
    next_[shard.name] = (from ? *from->position().number() : stream_->committed[shard.name]) + 1;
    if (from || !stream_->latest) return std::nullopt;
    const Resume end = end_of(shard.name);
    next_[shard.name] = *end.position().number() + 1;
    return end;
  }

  net::awaitable<RecordBatch> fetch(ShardId shard, FetchLimits limits) override {
    RecordBatch batch;
    std::uint64_t& next = next_[shard.name];
    const auto count = static_cast<std::uint64_t>(stream_->shards.at(shard.name));
    for (; next <= count && batch.records.size() < limits.max_records; ++next) {
      Record record;
      record.position = Position(next);
      record.arrival = context_.clock.now().wall;
      record.encoded_bytes = std::to_string(next).size() + (stream_->lies_about_sizes && next == count ? 1 : 0);
      if (stream_->keyed) {
        record.has_key = true;
        record.key = keys_.emplace_back(std::to_string(next));
      }
      batch.records.push_back(record);
    }
    if (batch.records.empty() && stream_->ends) batch.end_of_shard = true;
    if (batch.records.empty() && !stream_->ends) {
      net::steady_timer never(context_.executor, net::steady_timer::time_point::max());
      co_await never.async_wait(net::use_awaitable);
    }
    co_return batch;
  }

  std::map<std::string, Resume> later_starts() const override {
    std::map<std::string, Resume> starts;
    for (const auto& [parent, names] : stream_->children) {
      for (const std::string& name : names) {
        if (stream_->latest && stream_->shards.contains(name)) starts.emplace(name, end_of(name));
      }
    }
    return starts;
  }

  bool remembers_ends() const override { return stream_->remembers_ends; }
  std::string event_source_arn() const override { return "arn:fake"; }
  std::string stream_identity() const override { return stream_->identity; }
  std::string trouble() const override { return stream_->trouble; }
  std::optional<bool> has_shard(std::string_view shard) const override {
    if (!stream_->knows_shards) return std::nullopt;
    if (stream_->listed) return stream_->listed->contains(std::string(shard));
    return stream_->shards.contains(std::string(shard));
  }
  /// The body of record 7 is {"n":7}.
  void write_filter_view(const ShardId&, const Record& record, bool, FilterView& out) const override {
    body_ = "{\"n\":" + record.position.text() + "}";
    out.body = body_;
  }

  void release(const ShardId& shard, bool ended) override {
    if (const auto found = stream_->children.find(shard.name); ended && found != stream_->children.end()) {
      for (const std::string& child : found->second) listener_->shard_opened({context_.name, child});
    }
    if (std::exchange(regained_, "") == shard.name) {
      listener_->shard_opened(shard);
      return;
    }
    if (--open_ == 0 && stream_->ends) never_.cancel();
  }
  std::size_t envelope_bytes(const ShardId& shard) const override { return shard.name.size() + 5; }
  /// {"a":1,2,3} of shard "a".
  void write_event(const ShardId& shard, std::span<const Record> records, std::string& out) const override {
    out += "{\"" + shard.name + "\":";
    for (const Record& record : records) out += (&record == records.data() ? "" : ",") + record.position.text();
    out += "}";
  }
  void write_batch_info(const ShardId& shard, std::span<const Record> records, std::size_t,
                        JsonWriter& out) const override {
    out.key("FakeBatchInfo")
        .begin_object()
        .member("shardId", shard.name)
        .member("batchSize", static_cast<std::int64_t>(records.size()));
    out.end_object();
  }

 private:
  Resume end_of(const std::string& shard) const {
    return Resume::after(Position(static_cast<std::uint64_t>(stream_->shards.at(shard))));
  }

  std::shared_ptr<FakeStream> stream_;
  SourceContext context_;
  net::steady_timer never_;
  std::map<std::string, std::uint64_t> next_;
  mutable std::string body_;
  std::deque<std::string> keys_;
  std::size_t open_ = 0;
  ShardListener* listener_ = nullptr;
  std::optional<Error> failure_;
  std::string regained_;
  bool ended_ = false;
};

inline std::unique_ptr<PollSource> make_fake(std::shared_ptr<const SourceConfig> config, SourceContext context) {
  return std::make_unique<FakeSource>(
      std::const_pointer_cast<FakeStream>(std::static_pointer_cast<const FakeStream>(std::move(config))),
      std::move(context));
}

inline const ConnectorEntry kFake{"fake",  Delivery::kPoll, "A stream in memory.", nullptr, &make_fake, nullptr,
                                  nullptr, nullptr};

/// A push source that announces what a test tells it to; outlives the sources which are made of it.
struct FakeAnnouncer final : SourceConfig {
  std::vector<std::string> at_start;  ///< payloads that each life announces first, with a note of the same key
  std::vector<std::string> accepted;  ///< request ids
  std::vector<std::string> refused;
  std::map<std::string, std::string> notes_seen;
  int lives = 0;
  std::deque<Error> failures;  ///< each life fails with the next one, after it announced
};

class FakePush final : public PushSource {
 public:
  FakePush(std::shared_ptr<FakeAnnouncer> config, SourceContext context)
      : config_(std::move(config)), never_(context.executor, net::steady_timer::time_point::max()) {}

  net::awaitable<Result<void>> run(EventSink& sink) override {
    ++config_->lives;
    auto notes = co_await sink.notes();
    if (!notes) co_return std::move(notes.error());
    config_->notes_seen = std::move(*notes);
    for (const std::string& payload : config_->at_start) {
      SourceNote note;
      note.key = payload;
      note.value = "seen";
      if (config_->notes_seen.contains(payload)) continue;
      auto accepted = co_await sink.accept(payload, std::move(note));
      if (!accepted) co_return std::move(accepted.error());
      config_->accepted.push_back(*accepted);
    }
    if (!config_->failures.empty()) {
      Error failure = config_->failures.front();
      config_->failures.pop_front();
      co_return failure;
    }
    boost::system::error_code woken;
    co_await never_.async_wait(net::redirect_error(net::use_awaitable, woken));
    co_return Result<void>();
  }

  net::awaitable<WebhookResponse> receive(EventSink& sink, WebhookRequest request) override {
    auto accepted = co_await sink.accept(std::move(request.body), std::nullopt);
    if (!accepted) {
      config_->refused.push_back(accepted.error().describe());
      co_return WebhookResponse(500, "{}");
    }
    config_->accepted.push_back(*accepted);
    co_return WebhookResponse(200, "{}");
  }

 private:
  std::shared_ptr<FakeAnnouncer> config_;
  net::steady_timer never_;
};

inline std::unique_ptr<PushSource> make_fake_push(std::shared_ptr<const SourceConfig> config, SourceContext context) {
  return std::make_unique<FakePush>(
      std::const_pointer_cast<FakeAnnouncer>(std::static_pointer_cast<const FakeAnnouncer>(std::move(config))),
      std::move(context));
}

inline const ConnectorEntry kFakePush{"announce", Delivery::kPush, "Events in memory.", nullptr, nullptr, nullptr,
                                      nullptr,    nullptr,         &make_fake_push};

/// A function that answers as it was told to, success by default.
class FakeEndpoint final : public LambdaEndpoint {
 public:
  explicit FakeEndpoint(net::any_io_executor executor) : executor_(std::move(executor)) {}

  void answer_next(Outcome outcome) { answers_.push_back(std::move(outcome)); }
  /// The next call does not return until it is called off or finish() is called.
  void hang_next() { hang_ = true; }
  void finish() { hanging_->cancel(); }

  net::awaitable<Outcome> invoke(Invocation call, Instant) override {
    calls.push_back(call.payload);
    request_ids.push_back(call.request_id);
    qualifiers.push_back(call.qualifier);
    provisioned_calls += call.provisioned ? 1 : 0;
    if (on_call) on_call(calls.size());
    if (hang_) {
      hang_ = false;
      hanging_.emplace(executor_, net::steady_timer::time_point::max());
      boost::system::error_code woken;
      co_await hanging_->async_wait(net::redirect_error(net::use_awaitable, woken));
      if ((co_await net::this_coro::cancellation_state).cancelled() != net::cancellation_type::none) {
        ++called_off;
        co_return Outcome(Cancelled{});
      }
    }
    if (answers_.empty()) co_return Outcome(Succeeded{"null"});
    Outcome outcome = std::move(answers_.front());
    answers_.pop_front();
    co_return outcome;
  }

  void provision(int environments) override { kept_ready = environments; }
  ProvisionedEnvironments provisioned() const override { return {initialized, initialized, failing}; }

  net::awaitable<void> close() override {
    closed = true;
    if (on_close) on_close();
    co_return;
  }

  std::vector<std::string> calls;  ///< the events, in order
  std::vector<std::string> request_ids;
  std::vector<std::string> qualifiers;
  std::function<void(std::size_t)> on_call;
  std::function<void()> on_close;
  int called_off = 0;
  bool closed = false;
  int kept_ready = 0;   ///< so many environments it was told to
  int initialized = 0;  ///< so many of them calls can use
  bool failing = false;
  int provisioned_calls = 0;

 private:
  net::any_io_executor executor_;
  std::deque<Outcome> answers_;
  std::optional<net::steady_timer> hanging_;
  bool hang_ = false;
};

}  // namespace weir::test
