#pragma once

#include <exception>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

#include "runtime/inbox.h"

namespace weir::runtime {

/// Puts its message into the inbox when it goes: every action of an engine gets exactly one answer, also one whose work
/// threw, was called off or never began.
template <typename Message>
class Answer {
 public:
  Answer(Inbox<Message>& inbox, Message otherwise) : inbox_(&inbox), message_(std::move(otherwise)) {}
  Answer(Answer&& other) noexcept : inbox_(std::exchange(other.inbox_, nullptr)), message_(std::move(other.message_)) {}
  Answer& operator=(Answer&&) = delete;
  ~Answer() {
    if (inbox_ != nullptr) inbox_->put(std::move(message_));
  }
  void is(Message message) { message_ = std::move(message); }

 private:
  Inbox<Message>* inbox_;
  Message message_;
};

/// Does the work and makes its result the answer. Called off is how a leaf ends when its owner stops, and no failure;
/// what is thrown otherwise goes to `failure`, which outlives the work.
template <typename Message>
net::awaitable<void> answer(net::awaitable<Message> work, Answer<Message> answer, std::exception_ptr& failure) {
  try {
    answer.is(co_await std::move(work));
  } catch (const boost::system::system_error& error) {
    if (error.code() != net::error::operation_aborted) failure = std::current_exception();
  } catch (const std::exception&) {
    failure = std::current_exception();
  }
}

}  // namespace weir::runtime
