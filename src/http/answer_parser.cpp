#include "http/answer_parser.h"

#include <algorithm>

#include <boost/asio/buffer.hpp>

#include "http/exchange.h"

namespace weir::http {

namespace beast = boost::beast;

namespace {

/// What is set aside for a body whose length was announced; one that is larger grows as it comes.
constexpr std::size_t kReserveMax = 1U << 20U;
/// Behind it, for readers that look ahead, as simdjson does: they would copy the whole body to have that.
constexpr std::size_t kReservePadding = 64;

bool is_interim(int status) {
  return status < 200;
}

std::string_view text_of(beast::string_view text) {
  return {text.data(), text.size()};
}

}  // namespace

AnswerParser::Message::Message(Response& into, const Limits& limits) : into_(into), body_max_(limits.body_max) {
  header_limit(static_cast<std::uint32_t>(limits.headers_max));
  body_limit(boost::none);  // body_max_ is, of which an error says more
  skip(limits.head_only);
}

void AnswerParser::Message::on_request_impl(beast::http::verb, View, View, int, Code&) {}

void AnswerParser::Message::on_response_impl(int status, View, int, Code& error) {
  error = {};
  into_.status = status;
  into_.headers = Headers();
  into_.headers.reserve(8);
}

void AnswerParser::Message::on_field_impl(beast::http::field, View name, View value, Code& error) {
  error = {};
  into_.headers.add(text_of(name), text_of(value));
}

void AnswerParser::Message::on_header_impl(Code& error) {
  error = {};
}

void AnswerParser::Message::on_body_init_impl(const boost::optional<std::uint64_t>& length, Code& error) {
  error = {};
  if (!length) return;
  if (*length > body_max_) {
    error = beast::http::error::body_limit;
  } else {
    into_.body.reserve(std::min(static_cast<std::size_t>(*length), kReserveMax) + kReservePadding);
  }
}

std::size_t AnswerParser::Message::on_body_impl(View bytes, Code& error) {
  error = {};
  if (bytes.size() > body_max_ - into_.body.size()) {
    error = beast::http::error::body_limit;
    return 0;
  }
  into_.body.append(bytes.data(), bytes.size());
  return bytes.size();
}

void AnswerParser::Message::on_chunk_header_impl(std::uint64_t, View, Code& error) {
  error = {};
}

std::size_t AnswerParser::Message::on_chunk_body_impl(std::uint64_t, View bytes, Code& error) {
  return on_body_impl(bytes, error);
}

void AnswerParser::Message::on_finish_impl(Code& error) {
  error = {};
}

AnswerParser::AnswerParser(Response& into, Limits limits) : into_(into), limits_(limits) {
  message_.emplace(into_, limits_);
}

void AnswerParser::take(std::string_view bytes) {
  std::string joined;
  got_some_ = got_some_ || !bytes.empty();
  if (!pending_.empty()) {
    pending_ += bytes;
    joined.swap(pending_);
    bytes = joined;
  }
  while (!bytes.empty() && refused_.empty()) {
    if (done_) {
      keep_alive_ = false;  // it says more than it was asked: nobody knows what of
      return;
    }
    beast::error_code error;
    const std::size_t used = message_->put(boost::asio::const_buffer(bytes.data(), bytes.size()), error);
    bytes.remove_prefix(used);
    if (!headers_done_) header_bytes_ += used;
    if (error == beast::http::error::need_more) {
      pending_ = bytes;
      bytes = {};
    } else if (error) {
      return refuse(error);
    }
    if (header_bytes_ + pending_.size() > limits_.headers_max) return refuse(beast::http::error::header_limit);
    if (!message_->is_header_done()) continue;
    if (is_interim(into_.status)) {
      message_.emplace(into_, limits_);
      continue;
    }
    if (!headers_done_) {
      headers_done_ = true;
      header_bytes_ = 0;  // from here on pending_ is the line of a chunk
      message_->eager(true);
    }
    done_ = message_->is_done();
    keep_alive_ = done_ && message_->keep_alive();
  }
}

void AnswerParser::end() {
  keep_alive_ = false;
  if (done_ || !refused_.empty()) return;
  if (!headers_done_) {
    refused_ = got_some_ ? kEndedWithinHeaders : kEndedUnanswered;
    return;
  }
  beast::error_code error;
  message_->put_eof(error);
  done_ = !error;
  if (error) refused_ = "the connection ended within the answer's body";
}

void AnswerParser::refuse(const beast::error_code& error) {
  if (error == beast::http::error::body_limit) {
    refused_ = too_large(into_.status, limits_.body_max);
  } else if (error == beast::http::error::header_limit) {
    refused_ = headers_too_large();
  } else {
    refused_ = "the answer is no HTTP: " + error.message();
  }
}

}  // namespace weir::http
