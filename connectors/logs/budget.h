#pragma once

#include <cstddef>
#include <deque>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

namespace weir::logs {

namespace net = boost::asio;

/// Memory that the coroutines of one executor have together. Who cannot have what he asks for waits; the first that
/// came is the first that gets it. One thread; it outlives its shares.
class ByteBudget {
 public:
  /// What one coroutine holds. It is given back with it.
  class Share {
   public:
    explicit Share(ByteBudget& budget) : budget_(budget) {}
    ~Share() { set(0); }
    Share(const Share&) = delete;
    Share& operator=(const Share&) = delete;

    std::size_t bytes() const { return bytes_; }
    /// Grows to `bytes` if so much is there, and nobody waits for it. True also when it has so much already.
    bool grow_now(std::size_t bytes);
    /// Grows from nothing, in its turn. More than the whole budget is there when nobody holds anything. Whoever waits
    /// may hold nothing: else all could wait for what the others hold. Returns with nothing when it is cancelled.
    net::awaitable<void> wait_for(std::size_t bytes);
    /// What is held now, be it more than was asked for.
    void set(std::size_t bytes);

   private:
    friend class ByteBudget;

    ByteBudget& budget_;
    std::size_t bytes_ = 0;
  };

  ByteBudget(net::any_io_executor executor, std::size_t bytes);

  std::size_t held() const { return held_; }
  std::size_t waiting() const { return waiting_.size(); }

 private:
  struct Waiter;

  bool has(std::size_t bytes) const { return held_ == 0 || held_ + bytes <= bytes_; }
  void serve();

  net::any_io_executor executor_;
  const std::size_t bytes_;
  std::size_t held_ = 0;
  std::deque<Waiter*> waiting_;  ///< each on its coroutine's frame
};

}  // namespace weir::logs
