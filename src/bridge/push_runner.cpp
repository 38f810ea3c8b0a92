#include "bridge/push_runner.h"

#include <boost/asio/error.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

namespace weir::bridge {

PushRunner::PushRunner(Deps deps)
    : deps_(std::move(deps)),
      watching_(deps_.executor),
      changed_(deps_.executor, net::steady_timer::time_point::max()) {}

PushRunner::~PushRunner() = default;

net::awaitable<Result<void>> PushRunner::run() {
  watching_.spawn(watch());
  // Webhook requests under way refer to the source: they are answered first.
  while (!result_ || receiving_ > 0) {
    boost::system::error_code woken;
    co_await changed_.async_wait(net::redirect_error(net::use_awaitable, woken));
  }
  co_await watching_.join();
  if (failure_) std::rethrow_exception(failure_);
  co_return std::move(*result_);
}

void PushRunner::request_stop() {
  watching_.cancel();
  // A source that was never begun has no end of its own.
  if (!result_) result_ = Result<void>();
  changed_.cancel();
}

net::awaitable<void> PushRunner::watch() {
  Result<void> result;
  try {
    result = co_await deps_.source.run(*this);
  } catch (const boost::system::system_error& error) {
    if (error.code() != net::error::operation_aborted) failure_ = std::current_exception();
  } catch (const std::exception&) {
    failure_ = std::current_exception();
  }
  if (!result && result.error().code() == ErrorCode::kCancelled) result = Result<void>();
  if (!result_) result_ = std::move(result);
  changed_.cancel();
}

net::awaitable<WebhookResponse> PushRunner::receive(WebhookRequest request) {
  if (result_) co_return WebhookResponse(503, "{\"message\":\"the source is stopping\"}\n");
  struct Under {
    PushRunner& runner;
    ~Under() {
      --runner.receiving_;
      runner.changed_.cancel();
    }
  };
  ++receiving_;
  const Under way{*this};
  ++deps_.counters.webhooks;
  co_return co_await deps_.source.receive(*this, std::move(request));
}

net::awaitable<Result<std::string>> PushRunner::accept(std::string payload, std::optional<SourceNote> note) {
  NewEvent event;
  event.function = deps_.function;
  event.source = deps_.name;
  event.payload = std::move(payload);
  std::optional<store::StoredNote> stored;
  if (note) {
    stored.emplace();
    stored->source = deps_.name;
    stored->key = std::move(note->key);
    stored->value = std::move(note->value);
  }
  auto accepted = co_await deps_.queue.accept(std::move(event), std::move(stored));
  ++(accepted ? deps_.counters.accepted : deps_.counters.refused);
  co_return accepted;
}

net::awaitable<Result<void>> PushRunner::remember(std::vector<SourceNote> notes) {
  std::vector<store::StoredNote> stored;
  stored.reserve(notes.size());
  for (SourceNote& note : notes) {
    store::StoredNote each;
    each.source = deps_.name;
    each.key = std::move(note.key);
    each.value = std::move(note.value);
    stored.push_back(std::move(each));
  }
  co_return co_await deps_.events.remember(std::move(stored));
}

net::awaitable<Result<std::map<std::string, std::string>>> PushRunner::notes() {
  co_return co_await deps_.events.notes(deps_.name);
}

}  // namespace weir::bridge
