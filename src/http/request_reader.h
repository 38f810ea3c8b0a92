#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/optional/optional.hpp>

#include "http/message.h"

namespace weir::http {

/// Reads one request. Its body is kept up to a limit; more is dropped as it comes in, so that the client, which reads
/// no answer before it has sent everything, still gets one, and no memory is spent on it.
class RequestReader final : public boost::beast::http::basic_parser<true> {
 public:
  using Error = boost::beast::error_code;

  explicit RequestReader(std::size_t body_max_bytes) : body_max_bytes_(body_max_bytes) {
    constexpr std::size_t kMostHave = 8;
    request_.headers.reserve(kMostHave);
  }

  /// Reads what lies in the buffer: up to the end of the headers, or of the request once it is eager. That there must
  /// come more is no error.
  void take(boost::beast::flat_buffer& from, Error& error) {
    if (from.size() == 0 || is_done()) return;
    from.consume(put(boost::asio::const_buffer(from.data()), error));
    if (error == boost::beast::http::error::need_more) error = {};
  }

  const Request& request() const { return request_; }
  /// For the handler. What comes of a body behind it is next().
  Request release() { return std::exchange(request_, Request()); }
  std::string next() { return std::exchange(request_.body, {}); }
  bool has_next() const { return !request_.body.empty(); }

  int version() const { return version_; }
  std::size_t body_max_bytes() const { return body_max_bytes_; }
  void set_body_max_bytes(std::size_t most) { body_max_bytes_ = most; }
  bool expects_leave() const { return same_word(request_.headers.get("Expect").value_or(""), "100-continue"); }

  /// The body has no limit, and goes to the handler piece by piece; what stands behind it is no header.
  void hand_on_body() {
    body_limit(boost::none);
    body_max_bytes_ = std::numeric_limits<std::size_t>::max();
    hands_on_ = true;
  }
  const Headers& trailers() const { return trailers_; }

 private:
  using View = boost::beast::string_view;
  static std::string_view view(View text) { return {text.data(), text.size()}; }

  void on_request_impl(boost::beast::http::verb, View method, View target, int version, Error& error) override {
    error = {};
    request_.method = view(method);
    request_.target = view(target);
    version_ = version;
  }
  void on_response_impl(int, View, int, Error&) override {}
  void on_field_impl(boost::beast::http::field, View name, View value, Error& error) override {
    error = {};
    Headers& to = hands_on_ ? trailers_ : request_.headers;
    to.add(view(name), view(value));
  }
  void on_header_impl(Error& error) override { error = {}; }
  void on_body_init_impl(const boost::optional<std::uint64_t>& length, Error& error) override {
    error = {};
    if (!hands_on_ && length && *length <= body_max_bytes_) request_.body.reserve(static_cast<std::size_t>(*length));
  }
  std::size_t on_body_impl(View bytes, Error& error) override {
    error = {};
    request_.body_bytes += bytes.size();
    if (request_.body_bytes > body_max_bytes_) {
      request_.body_too_large = true;
      request_.body = std::string();
    } else {
      request_.body += view(bytes);
    }
    return bytes.size();
  }
  void on_chunk_header_impl(std::uint64_t, View, Error& error) override { error = {}; }
  std::size_t on_chunk_body_impl(std::uint64_t, View bytes, Error& error) override {
    return on_body_impl(bytes, error);
  }
  void on_finish_impl(Error& error) override { error = {}; }

  Request request_;
  Headers trailers_;
  std::size_t body_max_bytes_;
  int version_ = 11;
  bool hands_on_ = false;
};

}  // namespace weir::http
