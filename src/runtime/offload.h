#pragma once

#include <functional>
#include <memory>
#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace weir::runtime {

namespace net = boost::asio;

/// The other end of an awaitable: whoever has it says, once and from any thread, how the work ended. As long as it is
/// there the executor's context has work and its run() does not return.
template <typename T>
class Completion {
 public:
  template <typename Handler>
  explicit Completion(Handler handler) : waiting_(std::make_unique<Waiting<Handler>>(std::move(handler))) {}

  /// Where the waiting coroutine lives.
  const net::any_io_executor& executor() const { return waiting_->executor; }
  /// Resumes the coroutine here and now; only on its executor.
  void operator()(T result) { std::exchange(waiting_, nullptr)->resume(std::move(result)); }
  /// Resumes it on its executor.
  void post(T result) {
    auto executor = waiting_->executor;
    net::post(executor, [done = std::move(*this), result = std::move(result)]() mutable { done(std::move(result)); });
  }

 private:
  struct Base {
    explicit Base(net::any_io_executor where) : executor(std::move(where)) {}
    virtual ~Base() = default;
    virtual void resume(T result) = 0;
    net::any_io_executor executor;
  };
  template <typename Handler>
  struct Waiting final : Base {
    explicit Waiting(Handler what)
        : Base(net::prefer(net::get_associated_executor(what), net::execution::outstanding_work.tracked)),
          handler(std::move(what)) {}
    void resume(T result) override { std::move(handler)(std::move(result)); }
    Handler handler;
  };
  std::unique_ptr<Base> waiting_;
};

/// Waits until the Completion that `start` is given was called. It is not called off: work under way elsewhere has an
/// outcome, and whoever waits is told which.
template <typename T, typename Start>
net::awaitable<T> completed_by(Start start) {
  auto initiate = [](auto handler, Start begin) { begin(Completion<T>(std::move(handler))); };
  co_return co_await net::async_initiate<const net::use_awaitable_t<>&, void(T)>(initiate, net::use_awaitable,
                                                                                 std::move(start));
}

/// Runs `work`, which may block, on `blocking` (the executor of a thread pool), and comes back to the caller's executor
/// with what it returned. `work` must not throw.
template <typename T>
net::awaitable<T> offload(net::any_io_executor blocking, std::function<T()> work) {
  auto start = [blocking, work = std::move(work)](Completion<T> done) mutable {
    net::post(blocking, [done = std::move(done), work = std::move(work)]() mutable { done.post(work()); });
  };
  co_return co_await completed_by<T>(std::move(start));
}

}  // namespace weir::runtime
