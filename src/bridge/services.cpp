#include "bridge/services.h"

#include <algorithm>
#include <unordered_map>
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
/// How long a service may take to begin, and others wait for it.
constexpr Duration kBeginPatience = std::chrono::seconds(10);
/// A service does not say when it has begun: it is looked at so often.
constexpr Duration kLookAgain = std::chrono::milliseconds(2);

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

/// What a service says that does not run; `service` outlives the answer.
net::awaitable<ServiceAnswer> answer_away(const ServiceEntry& service, std::string request_id) {
  const service::ApiError away(503, "ServiceUnavailable", "weir is starting or stopping; try again.");
  co_return service.form_version.empty() ? service::json_error(away) : service::form_error(away, "", request_id);
}

}  // namespace

struct Services::Running {
  explicit Running(const ServiceEntry& service_entry) : entry(service_entry) {}

  const ServiceEntry& entry;
  std::unique_ptr<Service> service;
  std::unique_ptr<Host> host;
  bool beginning = true;  ///< others wait for it
  std::string error;
  std::uint64_t calls = 0;
  std::unordered_map<std::string, std::uint64_t> accepted;  ///< whose counts stay where they are
};

/// A message that a service takes.
struct Services::Taking {
  explicit Taking(const net::any_io_executor& executor) : done(executor, net::steady_timer::time_point::max()) {}

  net::steady_timer done;  ///< never expires; cancelling it wakes who gave the message
  bool ended = false;
  Result<void> result = Error(ErrorCode::kCancelled, "weir stops");
};

/// Ends it also when its coroutine is called off, before it begins even.
class Services::TakingEnds {
 public:
  explicit TakingEnds(std::shared_ptr<Taking> taking) : taking_(std::move(taking)) {}
  TakingEnds(TakingEnds&&) = default;
  TakingEnds& operator=(TakingEnds&&) = delete;
  ~TakingEnds() {
    if (!taking_) return;
    taking_->ended = true;
    taking_->done.cancel();
  }
  void with(Result<void> result) { taking_->result = std::move(result); }

 private:
  std::shared_ptr<Taking> taking_;  ///< shared with who gave the message
};

/// What one service sees of the bridge.
class Services::Host final : public ServiceHost {
 public:
  Host(Services& services, Running& running) : services_(services), running_(running) {}

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
  std::string target_of(std::string_view arn) const override {
    return bridge::target_of(arn, services_.deps_.with_arn);
  }
  bool exists(std::string_view target) const override { return services_.exists(target); }

  std::string log_of(std::string_view log) const { return std::string(running_.entry.name) + "/" + std::string(log); }

 private:
  Services& services_;
  Running& running_;
};

Services::Services(Deps deps, const config::Config& config, std::span<const ServiceEntry> table)
    : deps_(std::move(deps)),
      running_(deps_.executor),
      takes_(deps_.executor),
      stand_in_(!config.aws.endpoint_url.empty()),
      ended_(deps_.executor, net::steady_timer::time_point::max()) {
  for (const ServiceEntry& entry : table) {
    ServiceContext context{deps_.executor, deps_.blocking, deps_.log, deps_.clock, config.aws, {}};
    for (const config::SourceEntry& source : config.sources) {
      if (source.enabled && source.connector->type == entry.source_type) {
        context.sources.push_back({source.name, source.function, source.settings});
      }
    }
    add(entry, entry.make(std::move(context)));
  }
}

void Services::add(const ServiceEntry& entry, std::unique_ptr<Service> service) {
  auto running = std::make_unique<Running>(entry);
  running->service = std::move(service);
  running->host = std::make_unique<Host>(*this, *running);
  services_.push_back(std::move(running));
}

Services::~Services() = default;

net::awaitable<void> Services::run() {
  begin_by_ = deps_.clock.now().instant + kBeginPatience;
  for (auto& each : services_) running_.spawn(live(*each));
  while (!ending_) {
    boost::system::error_code woken;
    co_await ended_.async_wait(net::redirect_error(net::use_awaitable, woken));
  }
  cancel();
  co_await takes_.join();
  co_await running_.join();
}

net::awaitable<void> Services::begun(std::string only) {
  const auto begins = [&only](const auto& each) {
    return each->beginning && !each->service->ready() && (only.empty() || each->entry.name == only);
  };
  while (!stopping_ && std::any_of(services_.begin(), services_.end(), begins)) {
    if (begin_by_ && deps_.clock.now().instant >= *begin_by_) {
      for (auto& each : services_) {
        if (!begins(each)) continue;
        each->beginning = false;
        deps_.log.warn("service.slow", {{"service", each->entry.name}, {"waited_s", as_seconds(kBeginPatience)}});
      }
    }
    net::steady_timer timer(deps_.executor, kLookAgain);
    co_await timer.async_wait(net::use_awaitable);
  }
}

void Services::request_stop() {
  stopping_ = true;
}

void Services::cancel() {
  takes_.cancel();
  running_.cancel();
}

void Services::end() {
  ending_ = true;
  ended_.cancel();
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
    running.beginning = false;
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
  if (stopping_ || !running.service->ready()) return answer_away(service, std::move(call.request_id));
  ++running.calls;
  return running.service->call(*running.host, std::move(call));
}

bool Services::exists(std::string_view target) const {
  if (const auto function = function_of(target)) return deps_.knows(function->function, function->qualifier);
  const Running* running = of_scheme(target);
  return running == nullptr || running->service->owns(target);
}

/// The service whose resource a target would be; null of any other target.
Services::Running* Services::of_scheme(std::string_view target) const {
  const std::string_view scheme = target.substr(0, target.find(':'));
  const auto found = std::find_if(services_.begin(), services_.end(), [&](const auto& each) {
    return !each->entry.scheme.empty() && each->entry.scheme == scheme;
  });
  return found == services_.end() ? nullptr : found->get();
}

net::awaitable<bool> Services::owns(std::string target) {
  if (target.starts_with(kLambda)) co_return true;
  const Running* running = of_scheme(target);
  if (running == nullptr) co_return false;
  if (const auto arn = service::parse_arn(std::string_view(target).substr(running->entry.scheme.size() + 1))) {
    if (arn->region != kLocalRegion || arn->account != kLocalAccount) co_return false;
    if (!stand_in_) co_return true;
  }
  // A name may be one of weir's own, or of an account at AWS. So may an ARN where something else stands in for AWS,
  // which may be in the same region and account (LocalStack is).
  if (!running->service->ready()) co_await begun();
  co_return !running->service->ready() || running->service->owns(target);
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
  Running* running = of_scheme(target);
  if (running == nullptr) co_return Error(ErrorCode::kDestinationGone, "there is no " + target);
  if (!running->service->ready()) co_await begun();
  if (!running->service->ready()) {
    if (stopping_) co_return Error(ErrorCode::kCancelled, "weir stops");
    co_return Error(ErrorCode::kDestinationFailed, "the service " + std::string(running->entry.name) + " does not run");
  }
  const auto taking = std::make_shared<Taking>(deps_.executor);
  takes_.spawn(take_into(*running, std::move(target), std::move(message), TakingEnds(taking)));
  while (!taking->ended) {
    boost::system::error_code woken;
    co_await taking->done.async_wait(net::redirect_error(net::use_awaitable, woken));
  }
  co_return std::move(taking->result);
}

net::awaitable<void> Services::take_into(Running& running, std::string target, DestinationRecord message,
                                         TakingEnds taking) {
  Result<void> taken;
  try {
    taken = co_await running.service->take(*running.host, std::move(target), std::move(message));
  } catch (const boost::system::system_error& error) {
    if (error.code() == net::error::operation_aborted) co_return;
    taken = Error(ErrorCode::kInternal, error.what());
  } catch (const std::exception& error) {
    taken = Error(ErrorCode::kInternal, error.what());
  }
  taking.with(std::move(taken));
}

net::awaitable<Result<void>> Services::commit(Running& running, ServiceCommit what) {
  if (deps_.deliveries.full()) co_return Error(ErrorCode::kStoreFull, "too many deliveries wait");
  const WallTime now = deps_.clock.now().wall;
  QueueCommit batch;
  std::vector<ServiceDelivery> others;
  // Deliveries in a row mostly have their target and trace in common: each is looked into once.
  std::optional<std::string> target;
  std::optional<FunctionTarget> function;
  const auto look_at_target = [&](const std::string& wanted) {
    if (target == wanted) return;
    target = wanted;
    function = function_of(wanted);
    if (function && !deps_.knows(function->function, function->qualifier)) function.reset();
  };
  std::optional<std::string> trace;
  std::optional<std::string> passed_on;
  const auto look_at_trace = [&](const std::string& header) {
    if (trace == header) return;
    trace = header;
    passed_on = pass_on(header);
  };
  std::vector<std::uint64_t*> counts;
  counts.reserve(what.deliveries.size());
  batch.events.reserve(what.deliveries.size());
  for (ServiceDelivery& delivery : what.deliveries) {
    counts.push_back(&running.accepted[delivery.source]);
    look_at_target(delivery.target);
    look_at_trace(delivery.trace_header);
    // What cannot be an event of a function's is given to the deliveries all the same, so that its end is told where
    // the ends of all others are.
    if (function && passed_on && delivery.payload.size() <= kMaxAsyncRequestBytes) {
      store::StoredEvent& event = batch.events.emplace_back();
      event.function = function->function;
      event.qualifier = function->qualifier;
      event.source = std::move(delivery.source);
      event.trace_header = *passed_on;
      event.payload = std::move(delivery.payload);
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
  what = ServiceCommit();  // what is left of it is not held until the disk has answered
  auto kept = co_await deps_.queue.commit(std::move(batch));
  if (!kept) co_return std::move(kept.error());
  WEIR_ASSERT(kept->size() == others.size());
  for (std::size_t i = 0; i < others.size(); ++i) {
    deps_.deliveries.accepted((*kept)[i], std::move(others[i]), now);
  }
  for (std::uint64_t* const count : counts) ++*count;
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
    status.accepted.insert(each->accepted.begin(), each->accepted.end());
    all.push_back(std::move(status));
  }
  return all;
}

std::string target_of(std::string_view text, const std::function<std::string(std::string_view arn)>& with_arn) {
  const auto arn = service::parse_arn(text);
  if (!arn) return "";
  constexpr std::string_view kFunction = "function:";
  if (arn->service == "lambda" && arn->resource.starts_with(kFunction)) {
    if (const std::string name = with_arn(text); !name.empty()) return std::string(kLambda) + name;
    if (arn->region != kLocalRegion || arn->account != kLocalAccount) return "";
    return std::string(kLambda) + arn->resource.substr(kFunction.size());
  }
  if (arn->service == "sqs" || arn->service == "sns") return arn->service + ":" + std::string(text);
  if (arn->service == "events" && arn->resource.starts_with("event-bus/")) return "eventbridge:" + std::string(text);
  if (arn->service == "logs" && arn->resource.starts_with("log-group:") && arn->region == kLocalRegion &&
      arn->account == kLocalAccount)
    return "logs:" + std::string(text);
  return "";
}

}  // namespace weir::bridge
