#include "bridge/services.h"

#include <algorithm>
#include <utility>
#include <variant>

#include <boost/asio/error.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

#include "bridge/delivery_document.h"
#include "bridge/lineage.h"
#include "service/answers.h"
#include "service/arn.h"

namespace weir::bridge {
namespace {

constexpr std::string_view kLambda = "lambda:";
constexpr Duration kPauseMin = std::chrono::milliseconds(500);
constexpr Duration kPauseMax = std::chrono::seconds(30);

struct FunctionTarget {
  std::string function;
  std::string qualifier;
};

/// "lambda:NAME" or "lambda:NAME:QUALIFIER".
std::optional<FunctionTarget> function_of(std::string_view target) {
  if (!target.starts_with(kLambda)) return std::nullopt;
  target.remove_prefix(kLambda.size());
  const std::size_t colon = target.find(':');
  FunctionTarget found;
  found.function = target.substr(0, colon);
  if (colon != std::string_view::npos) found.qualifier = target.substr(colon + 1);
  return found;
}

/// The key of what a service remembers, beside the notes of sources: no source has such a name.
std::string notes_of(std::string_view service) {
  return "service:" + std::string(service);
}

}  // namespace

struct Services::Running {
  explicit Running(const ServiceEntry& service_entry) : entry(service_entry) {}

  const ServiceEntry& entry;
  std::unique_ptr<Service> service;
  std::unique_ptr<Host> host;
  std::string error;
  std::uint64_t calls = 0;
  std::map<std::string, std::uint64_t> accepted;
};

/// What one service sees of the bridge.
class Services::Host final : public ServiceHost {
 public:
  Host(Services& services, Running& running, const config::Config& config)
      : services_(services), running_(running), config_(config) {}

  net::awaitable<Result<void>> commit(ServiceCommit what) override {
    return services_.commit(running_, std::move(what));
  }
  net::awaitable<Result<std::map<std::string, std::string>>> notes() override {
    return services_.deps_.events.notes(notes_of(running_.entry.name));
  }
  net::awaitable<Result<KeptPage>> kept(KeptRange range) override {
    const std::string log = range.log;
    range.log = log_of(log);
    auto page = co_await services_.deps_.events.kept(std::move(range));
    if (page) {
      for (KeptEvent& each : page->events) each.log = log;
    }
    co_return page;
  }
  net::awaitable<Result<void>> forget(std::string log, WallTime before) override {
    return services_.deps_.events.forget(log_of(log), before);
  }
  std::string target_of(std::string_view arn) const override { return bridge::target_of(arn, config_); }
  bool exists(std::string_view target) const override { return services_.exists(target); }

  std::string log_of(std::string_view log) const { return std::string(running_.entry.name) + "/" + std::string(log); }

 private:
  Services& services_;
  Running& running_;
  const config::Config& config_;
};

Services::Services(Deps deps, const config::Config& config, std::span<const ServiceEntry> table)
    : deps_(std::move(deps)), running_(deps_.executor), changed_(deps_.executor, net::steady_timer::time_point::max()) {
  for (const ServiceEntry& entry : table) {
    ServiceContext context{deps_.executor, deps_.blocking, deps_.log, deps_.clock, config.aws, {}};
    for (const config::SourceEntry& source : config.sources) {
      if (source.enabled && source.connector->type == entry.source_type) {
        context.sources.push_back({source.name, source.function, source.settings});
      }
    }
    auto running = std::make_unique<Running>(entry);
    running->service = entry.make(std::move(context));
    running->host = std::make_unique<Host>(*this, *running, config);
    services_.push_back(std::move(running));
  }
}

Services::~Services() = default;

net::awaitable<void> Services::run() {
  for (auto& each : services_) running_.spawn(live(*each));
  while (!stopping_ || calls_ > 0) {
    boost::system::error_code woken;
    co_await changed_.async_wait(net::redirect_error(net::use_awaitable, woken));
  }
  running_.cancel();
  co_await running_.join();
}

void Services::request_stop() {
  stopping_ = true;
  changed_.cancel();
}

net::awaitable<void> Services::live(Running& running) {
  Duration pause = kPauseMin;
  for (;;) {
    Result<void> ended;
    try {
      ended = co_await running.service->run(*running.host);
    } catch (const boost::system::system_error& error) {
      if (error.code() == net::error::operation_aborted) co_return;
      ended = Error(ErrorCode::kInternal, error.what());
    } catch (const std::exception& error) {
      ended = Error(ErrorCode::kInternal, error.what());
    }
    if (ended || ended.error().code() == ErrorCode::kCancelled) co_return;
    running.error = ended.error().describe();
    deps_.log.error("service.failed", {{"service", running.entry.name},
                                       {"code", text(ended.error().code())},
                                       {"message", running.error},
                                       {"retry_in_s", as_seconds(pause)}});
    net::steady_timer timer(deps_.executor, pause);
    co_await timer.async_wait(net::use_awaitable);
    pause = std::min(kPauseMax, pause * 2);
    running.error.clear();
  }
}

net::awaitable<ServiceAnswer> Services::call(const ServiceEntry& service, ServiceCall call) {
  const auto found = std::find_if(services_.begin(), services_.end(),
                                  [&](const auto& each) { return each->entry.name == service.name; });
  WEIR_ASSERT(found != services_.end());
  Running& running = **found;
  if (stopping_ || !running.service->ready()) {
    const service::ApiError away(503, "ServiceUnavailable", "weir is starting or stopping; try again.");
    co_return service.form_version.empty() ? service::json_error(away) : service::form_error(away, "", call.request_id);
  }
  struct Under {
    Services& services;
    ~Under() {
      --services.calls_;
      services.changed_.cancel();
    }
  };
  ++calls_;
  const Under way{*this};
  ++running.calls;
  co_return co_await running.service->call(*running.host, std::move(call));
}

bool Services::exists(std::string_view target) const {
  if (const auto function = function_of(target)) return deps_.knows(function->function, function->qualifier);
  const std::string_view scheme = target.substr(0, target.find(':'));
  for (const auto& each : services_) {
    if (each->entry.scheme == scheme) return each->service->owns(target);
  }
  return true;
}

bool Services::owns(std::string_view target) const {
  if (target.starts_with(kLambda)) return true;
  return std::any_of(services_.begin(), services_.end(), [&](const auto& each) { return each->service->owns(target); });
}

net::awaitable<Result<void>> Services::take(std::string target, DestinationRecord message) {
  if (const auto function = function_of(target)) {
    if (!deps_.knows(function->function, function->qualifier)) {
      co_return Error(ErrorCode::kDestinationGone, "there is no function " + target.substr(kLambda.size()));
    }
    const auto next = pass_on(message.trace_header);
    if (!next) co_return Error(ErrorCode::kEventRefused, too_many_passes());
    NewEvent event;
    event.function = function->function;
    event.qualifier = function->qualifier;
    event.trace_header = *next;
    event.payload = std::move(message.record);
    auto accepted = co_await deps_.queue.accept(std::move(event), std::nullopt);
    if (!accepted) co_return std::move(accepted.error());
    co_return Result<void>();
  }
  for (auto& each : services_) {
    if (!each->service->owns(target)) continue;
    if (!each->service->ready())
      co_return Error(stopping_ ? ErrorCode::kCancelled : ErrorCode::kDestinationFailed, "the service does not run");
    co_return co_await each->service->take(*each->host, std::move(target), std::move(message));
  }
  co_return Error(ErrorCode::kDestinationGone, "there is no " + target);
}

/// Whether a delivery can be an event of a function's at once. What cannot is given to the deliveries all the same, so
/// that its end is told where the ends of all others are.
bool Services::deliverable(const ServiceDelivery& delivery) const {
  const auto function = function_of(delivery.target);
  return function && delivery.payload.size() <= kMaxAsyncRequestBytes &&
         deps_.knows(function->function, function->qualifier) && pass_on(delivery.trace_header).has_value();
}

net::awaitable<Result<void>> Services::commit(Running& running, ServiceCommit what) {
  if (deps_.deliveries.full()) co_return Error(ErrorCode::kStoreFull, "too many deliveries wait");
  const WallTime now = deps_.clock.now().wall;
  QueueCommit batch;
  std::vector<ServiceDelivery> others;
  std::map<std::string, std::uint64_t> counts;
  for (ServiceDelivery& delivery : what.deliveries) {
    ++counts[delivery.source];
    if (deliverable(delivery)) {
      const auto function = function_of(delivery.target);
      NewEvent event;
      event.function = function->function;
      event.qualifier = function->qualifier;
      event.source = std::move(delivery.source);
      event.trace_header = *pass_on(delivery.trace_header);
      event.payload = std::move(delivery.payload);
      batch.events.push_back(std::move(event));
    } else {
      batch.deliveries.push_back(stored_delivery(delivery, now));
      others.push_back(std::move(delivery));
    }
  }
  for (SourceNote& note : what.notes) {
    batch.notes.push_back({notes_of(running.entry.name), std::move(note.key), std::move(note.value)});
  }
  for (KeptEvent& event : what.kept) {
    event.log = running.host->log_of(event.log);
    batch.kept.push_back(std::move(event));
  }
  auto kept = co_await deps_.queue.commit(std::move(batch));
  if (!kept) co_return std::move(kept.error());
  WEIR_ASSERT(kept->size() == others.size());
  for (std::size_t i = 0; i < others.size(); ++i) {
    deps_.deliveries.accepted((*kept)[i], std::move(others[i]), now);
  }
  for (const auto& [source, count] : counts) running.accepted[source] += count;
  co_return Result<void>();
}

std::vector<ServiceStatus> Services::status() const {
  std::vector<ServiceStatus> all;
  for (const auto& each : services_) {
    ServiceStatus status;
    status.name = each->entry.name;
    status.ready = each->service->ready();
    status.error = each->error;
    status.calls = each->calls;
    status.accepted = each->accepted;
    all.push_back(std::move(status));
  }
  return all;
}

std::string target_of(std::string_view text, const config::Config& config) {
  const auto arn = service::parse_arn(text);
  if (!arn) return "";
  constexpr std::string_view kFunction = "function:";
  if (arn->service == "lambda" && arn->resource.starts_with(kFunction)) {
    for (const auto& [name, function] : config.functions) {
      const auto* real = std::get_if<config::ArnFunction>(&function.target);
      if (real != nullptr && real->arn == text) return std::string(kLambda) + name;
    }
    if (arn->region != kLocalRegion || arn->account != kLocalAccount) return "";
    return std::string(kLambda) + arn->resource.substr(kFunction.size());
  }
  if (arn->service == "sqs" || arn->service == "sns") return arn->service + ":" + std::string(text);
  if (arn->service == "events" && arn->resource.starts_with("event-bus/")) return "eventbridge:" + std::string(text);
  return "";
}

}  // namespace weir::bridge
