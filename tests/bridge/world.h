#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "bridge/bridge.h"
#include "bridge/fakes.h"
#include "runtime/task_scope.h"
#include "store/database.h"
#include "support/run_coroutine.h"
#include "support/temporary_folder.h"

namespace weir::test {

/// The names of the events that were logged.
class EventNames final : public Log {
 public:
  void write(LogLevel level, std::string_view event, std::span<const LogField>) override {
    names.emplace_back(event);
    if (level != LogLevel::kDebug) ++said[names.back()];
  }
  std::size_t count(std::string_view name) const {
    return static_cast<std::size_t>(std::count(names.begin(), names.end(), name));
  }
  std::vector<std::string> names;
  std::map<std::string, int> said;  ///< how often each was logged above debug
};

/// A bridge over streams in memory and one function. A test says what it is, runs it until something is true, and
/// looks.
class World {
 public:
  World() {
    config::FunctionConfig settings;
    settings.name = "f";
    config_.functions.emplace("f", settings);
    config_.shutdown_grace = std::chrono::seconds(20);
  }

  test::FakeStream& stream(const std::string& name, std::map<std::string, int> shards) {
    auto made = std::make_shared<test::FakeStream>();
    made->shards = std::move(shards);
    config::SourceEntry entry;
    entry.name = name;
    entry.connector = &test::kFake;
    entry.function = "f";
    entry.settings = made;
    config_.sources.push_back(std::move(entry));
    return *made;
  }

  config::FunctionConfig& add_function(const std::string& name) {
    config::FunctionConfig settings;
    settings.name = name;
    return config_.functions[name] = settings;
  }
  std::shared_ptr<test::FakeAnnouncer> announcer(const std::string& name) {
    auto made = std::make_shared<test::FakeAnnouncer>();
    config::SourceEntry entry;
    entry.name = name;
    entry.connector = &test::kFakePush;
    entry.function = "f";
    entry.settings = made;
    config_.sources.push_back(std::move(entry));
    return made;
  }

  /// Opens the state folder and the bridge, as a start of the program does.
  void start() {
    store_ = std::move(*store::StateFolder::open(folder_ / "state"));
    bridge::EndpointFactory make = [this](const config::FunctionConfig& settings, const std::string& version) {
      return make_endpoint(settings, version);
    };
    bridge_ = std::make_unique<bridge::Bridge>(context_.get_executor(), context_.get_executor(), config_, *store_,
                                               std::move(make), log, clock_, services);
    function = functions.begin()->second;
  }
  std::span<const ServiceEntry> services;  ///< before start()

  /// Runs until `enough`, then `then` (a stop, if not told otherwise) and on to the end.
  void run_until(std::function<bool()> enough, std::function<void()> then = nullptr) {
    test::run(context_, watched(std::move(enough), std::move(then)));
  }
  void stop() {
    bridge_.reset();
    store_.reset();
  }

  bridge::AsyncStatus queue(const std::string& name = "f") const {
    for (bridge::AsyncStatus& each : bridge_->status().queue) {
      if (each.function == name) return each;
    }
    throw std::runtime_error("no function " + name);
  }
  /// Puts an event in front of a function, as the gateway does, while the bridge runs; its request id comes later.
  void send(const std::string& function_name, const std::string& payload) { send(function_name, "", payload); }
  void send(const std::string& function_name, const std::string& qualifier, const std::string& payload) {
    net::co_spawn(context_, put(function_name, qualifier, payload), net::detached);
  }
  std::vector<std::string> request_ids;
  std::vector<std::string> refusals;

  bridge::SourceStatus source(const std::string& name) const {
    for (bridge::SourceStatus& each : bridge_->status().sources) {
      if (each.name == name) return each;
    }
    throw std::runtime_error("no source " + name);
  }
  std::string checkpoints() {
    std::string text;
    for (const store::StoredCheckpoint& each : store_->list_checkpoints().value()) {
      text += (text.empty() ? "" : " ") + each.shard.text() + "@" + each.resume.text();
    }
    return text;
  }

  /// As a hand that knows SQLite and not weir.
  void damage_checkpoint(const std::string& source, const std::string& shard) {
    auto file = store::Database::open(folder_ / "state/checkpoints.sqlite", store::Database::Synchronous::kNormal, "");
    const std::string row = "VALUES ('" + source + "', '" + shard + "', 'rubbish', 0)";
    if (!file->execute("INSERT INTO checkpoints (source, shard, upto, saved_at_ms) " + row))
      throw std::runtime_error(row);
  }

  bridge::Bridge& bridge() { return *bridge_; }
  store::StateFolder& store() { return *store_; }
  config::Config& config() { return config_; }
  std::string path(const std::string& name) const { return folder_ / name; }
  net::io_context& context() { return context_; }
  test::FakeEndpoint* function = nullptr;                ///< of "f", where there is one
  std::map<std::string, test::FakeEndpoint*> functions;  ///< the newest of each function, by its name
  std::vector<std::string> endpoints;                    ///< in the order of their making: "f:$LATEST", "f:1"
  std::vector<std::string> closed;
  std::map<std::string, test::FakeEndpoint*> versions;  ///< the newest of each, as `endpoints` calls them
  std::optional<Error> no_endpoint;                     ///< why the next one cannot be made
  EventNames log;

 private:
  Result<std::unique_ptr<LambdaEndpoint>> make_endpoint(const config::FunctionConfig& settings,
                                                        const std::string& version) {
    if (no_endpoint) return *std::exchange(no_endpoint, std::nullopt);
    auto endpoint = std::make_unique<test::FakeEndpoint>(context_.get_executor());
    const std::string what = settings.name + (version.empty() ? "" : ":" + version);
    endpoint->on_close = [this, what] { closed.push_back(what); };
    if (version.empty() || version == "$LATEST") functions[settings.name] = endpoint.get();
    versions[what] = endpoint.get();
    endpoints.push_back(what);
    return std::unique_ptr<LambdaEndpoint>(std::move(endpoint));
  }

  net::awaitable<void> put(std::string function_name, std::string qualifier, std::string payload) {
    for (bridge::BridgeStatus now = bridge_->status(); !now.ready && !now.stopping; now = bridge_->status()) {
      co_await net::post(net::use_awaitable);
    }
    bridge::NewEvent event;
    event.function = std::move(function_name);
    event.qualifier = std::move(qualifier);
    event.payload = std::move(payload);
    auto accepted = co_await bridge_->accept(std::move(event));
    if (accepted) {
      request_ids.push_back(*accepted);
    } else {
      refusals.push_back(accepted.error().describe());
    }
  }
  net::awaitable<void> run_bridge() {
    const Result<void> ran = co_await bridge_->run();
    if (!ran) throw std::runtime_error(ran.error().describe());
  }
  net::awaitable<void> watched(std::function<bool()> enough, std::function<void()> then) {
    runtime::TaskScope scope(context_.get_executor());
    scope.spawn(run_bridge());
    // A turn of the executor at a time: what is waited for is decided by events, not by the clock. The bound only ends
    // a hang.
    const Instant patience = clock_.now().instant + std::chrono::seconds(60);
    while (!enough()) {
      if (clock_.now().instant > patience) throw std::runtime_error("it did not come to that in a minute");
      co_await net::post(net::use_awaitable);
    }
    if (then) {
      then();
    } else {
      bridge_->request_stop();
    }
    co_await scope.join();
  }

  test::TemporaryFolder folder_;
  config::Config config_;
  SystemClock clock_;
  net::io_context context_;
  std::unique_ptr<store::StateFolder> store_;
  std::unique_ptr<bridge::Bridge> bridge_;
};

}  // namespace weir::test
