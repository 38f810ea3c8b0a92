#pragma once

#include <cstddef>
#include <limits>
#include <string>
#include <string_view>

#include <boost/beast/http/basic_parser.hpp>

#include "http/message.h"

namespace weir::http {

/// Reads an answer's bytes as they come: Beast's parser, which writes into a Response, so that no field is kept twice.
/// Interim answers (100, 103) are passed over.
class AnswerParser {
 public:
  struct Limits {
    std::size_t headers_max = 0;
    std::size_t body_max = std::numeric_limits<std::size_t>::max();
    bool head_only = false;  ///< of a HEAD: it has no body, whatever its headers say
  };
  /// `into` outlives it. Of its body, what was taken out does not count for the limit.
  AnswerParser(Response& into, Limits limits);
  AnswerParser(const AnswerParser&) = delete;
  AnswerParser& operator=(const AnswerParser&) = delete;

  /// What came of the answer, in order.
  void take(std::string_view bytes);
  /// The connection ended.
  void end();

  bool got_some() const { return got_some_; }          ///< a byte of any answer
  bool headers_done() const { return headers_done_; }  ///< of the final answer
  bool done() const { return done_; }
  /// Whether the connection may be used again.
  bool keep_alive() const { return done_ && keep_alive_; }
  /// Why it is no answer, or none that is taken; "" while it may still be one.
  const std::string& refused() const { return refused_; }

 private:
  class Message final : public boost::beast::http::basic_parser<false> {
   public:
    Message(Response& into, const Limits& limits);

   private:
    using View = boost::beast::string_view;
    using Code = boost::beast::error_code;
    void on_request_impl(boost::beast::http::verb, View, View, int, Code& error) override;
    void on_response_impl(int status, View reason, int version, Code& error) override;
    void on_field_impl(boost::beast::http::field, View name, View value, Code& error) override;
    void on_header_impl(Code& error) override;
    void on_body_init_impl(const boost::optional<std::uint64_t>& length, Code& error) override;
    std::size_t on_body_impl(View bytes, Code& error) override;
    void on_chunk_header_impl(std::uint64_t, View, Code& error) override;
    std::size_t on_chunk_body_impl(std::uint64_t, View bytes, Code& error) override;
    void on_finish_impl(Code& error) override;

    Response& into_;
    const std::size_t body_max_;
  };

  void refuse(const boost::beast::error_code& error);

  Response& into_;
  const Limits limits_;
  boost::optional<Message> message_;
  std::string pending_;  ///< the part of a line that waits for its rest
  std::size_t header_bytes_ = 0;
  bool got_some_ = false;
  bool headers_done_ = false;
  bool done_ = false;
  bool keep_alive_ = false;
  std::string refused_;
};

}  // namespace weir::http
