#pragma once

#include <array>
#include <deque>
#include <list>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

namespace weir::test {

namespace net = boost::asio;

/// Answers requests over HTTP/1.1 with bodies that end as the test says. One that it has no answer for waits.
class SubscriptionServer {
 public:
  /// kCut: with the last byte, so that a client may see nothing of the answer.
  enum class End { kPolite, kCut, kNever };
  struct Answer {
    std::string body;
    End end = End::kPolite;
    int status = 200;
  };

  explicit SubscriptionServer(net::io_context& context)
      : acceptor_(context, net::ip::tcp::endpoint(net::ip::address_v4::loopback(), 0)),
        url_("http://127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port())) {
    net::co_spawn(context, listen(), net::detached);
  }

  const std::string& url() const { return url_; }
  void close() {
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    cut();
  }
  /// Ends every connection, whatever is under way.
  void cut() {
    boost::system::error_code ignored;
    for (net::ip::tcp::socket& socket : open_) socket.close(ignored);
  }

  std::deque<Answer> answers;
  std::vector<std::string> asked;  ///< the bodies of requests

 private:
  net::awaitable<void> listen() {
    for (;;) {
      boost::system::error_code error;
      net::ip::tcp::socket& socket = open_.emplace_back(acceptor_.get_executor());
      co_await acceptor_.async_accept(socket, net::redirect_error(net::use_awaitable, error));
      if (error) co_return;
      net::co_spawn(acceptor_.get_executor(), serve(socket), net::detached);
    }
  }

  /// `socket` is in the list of those that are open.
  net::awaitable<void> serve(net::ip::tcp::socket& socket) {
    std::string bytes;
    boost::system::error_code error;
    const auto done = [&] { return net::redirect_error(net::use_awaitable, error); };
    for (;;) {
      const std::size_t head = co_await net::async_read_until(socket, net::dynamic_buffer(bytes), "\r\n\r\n", done());
      if (error) co_return;
      constexpr std::string_view kLength = "Content-Length: ";
      const std::size_t length = std::stoul(bytes.substr(bytes.find(kLength) + kLength.size()));
      if (bytes.size() < head + length) {
        co_await net::async_read(socket, net::dynamic_buffer(bytes),
                                 net::transfer_exactly(head + length - bytes.size()), done());
        if (error) co_return;
      }
      asked.push_back(bytes.substr(head, length));
      bytes.erase(0, head + length);
      if (answers.empty()) continue;
      const Answer answer = std::move(answers.front());
      answers.pop_front();
      char size[32];
      std::snprintf(size, sizeof size, "%zx\r\n", answer.body.size());
      std::string sent = "HTTP/1.1 " + std::to_string(answer.status) + " Said\r\nTransfer-Encoding: chunked\r\n\r\n";
      if (!answer.body.empty()) sent += size + answer.body + "\r\n";
      if (answer.end == End::kPolite) sent += "0\r\n\r\n";
      co_await net::async_write(socket, net::buffer(sent), done());
      if (error) co_return;
      if (answer.end == End::kCut) {
        socket.close(error);
        co_return;
      }
    }
  }

  net::ip::tcp::acceptor acceptor_;
  std::string url_;
  std::list<net::ip::tcp::socket> open_;
};

/// Over TLS and HTTP/2, with no more of it than a client needs that is answered: every request gets the same bytes, and
/// its stream stays open.
class Http2Server {
 public:
  /// `certificate`: the file where the client finds whom to trust.
  Http2Server(net::io_context& context, const std::string& certificate, std::string body)
      : body_(std::move(body)),
        tls_(net::ssl::context::tls_server),
        acceptor_(context, net::ip::tcp::endpoint(net::ip::address_v4::loopback(), 0)),
        url_("https://127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port())) {
    make_certificate(certificate);
    SSL_CTX_set_alpn_select_cb(tls_.native_handle(), &Http2Server::choose, nullptr);
    net::co_spawn(context, listen(), net::detached);
  }

  const std::string& url() const { return url_; }
  void close() {
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    for (Connection& each : open_) each.lowest_layer().close(ignored);
  }

  int connections = 0;
  int requests = 0;

 private:
  using Connection = net::ssl::stream<net::ip::tcp::socket>;

  /// Of 127.0.0.1, its own authority.
  void make_certificate(const std::string& path) {
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* certificate = X509_new();
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    X509_NAME* name = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("127.0.0.1"), -1, -1,
                               0);
    X509_set_issuer_name(certificate, name);
    X509_EXTENSION* address = X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "IP:127.0.0.1");
    X509_add_ext(certificate, address, -1);
    X509_sign(certificate, key, EVP_sha256());
    BIO* file = BIO_new_file(path.c_str(), "w");
    PEM_write_bio_X509(file, certificate);
    BIO_free(file);
    SSL_CTX_use_certificate(tls_.native_handle(), certificate);
    SSL_CTX_use_PrivateKey(tls_.native_handle(), key);
    X509_EXTENSION_free(address);
    X509_free(certificate);
    EVP_PKEY_free(key);
  }

  static int choose(SSL*, const unsigned char** chosen, unsigned char* size, const unsigned char* offered,
                    unsigned int offered_size, void*) {
    static constexpr unsigned char kHttp2[] = {2, 'h', '2'};
    unsigned char* found = nullptr;
    const int said = SSL_select_next_proto(&found, size, kHttp2, sizeof kHttp2, offered, offered_size);
    *chosen = found;
    return said == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
  }

  net::awaitable<void> listen() {
    for (;;) {
      boost::system::error_code error;
      Connection& connection = open_.emplace_back(acceptor_.get_executor(), tls_);
      co_await acceptor_.async_accept(connection.lowest_layer(), net::redirect_error(net::use_awaitable, error));
      if (error) co_return;
      ++connections;
      net::co_spawn(acceptor_.get_executor(), serve(connection), net::detached);
    }
  }

  static std::string frame(unsigned type, unsigned flags, std::size_t stream, std::string_view payload) {
    std::string bytes;
    for (const std::size_t byte : {payload.size() >> 16U, payload.size() >> 8U, payload.size(), std::size_t{type},
                                   std::size_t{flags}, stream >> 24U, stream >> 16U, stream >> 8U, stream}) {
      bytes += static_cast<char>(byte & 0xFFU);
    }
    return bytes.append(payload);
  }

  /// `connection` is in the list of those that are open.
  net::awaitable<void> serve(Connection& connection) {
    constexpr unsigned kData = 0, kHeaders = 1, kSettings = 4, kPing = 6, kEndOfStream = 1, kAck = 1, kEndOfHeaders = 4;
    constexpr std::string_view kStatus200 = "\x88";
    constexpr std::size_t kPreface = 24, kFrameHead = 9, kFrameMax = 16'384;
    boost::system::error_code error;
    const auto done = [&] { return net::redirect_error(net::use_awaitable, error); };
    co_await connection.async_handshake(net::ssl::stream_base::server, done());
    std::array<char, kPreface> preface{};
    if (!error) co_await net::async_read(connection, net::buffer(preface), done());
    std::string sent = frame(kSettings, 0, 0, "");
    while (!error) {
      co_await net::async_write(connection, net::buffer(sent), done());
      sent.clear();
      std::array<unsigned char, kFrameHead> head{};
      if (!error) co_await net::async_read(connection, net::buffer(head), done());
      if (error) co_return;
      std::string payload(std::size_t{head[0]} << 16U | std::size_t{head[1]} << 8U | head[2], '\0');
      co_await net::async_read(connection, net::buffer(payload), done());
      const unsigned type = head[3];
      const unsigned flags = head[4];
      const std::size_t stream =
          std::size_t{head[5]} << 24U | std::size_t{head[6]} << 16U | std::size_t{head[7]} << 8U | std::size_t{head[8]};
      if (type == kSettings && (flags & kAck) == 0) sent = frame(kSettings, kAck, 0, "");
      if (type == kPing && (flags & kAck) == 0) sent = frame(kPing, kAck, 0, payload);
      if ((type == kData || type == kHeaders) && (flags & kEndOfStream) != 0) {
        ++requests;
        sent = frame(kHeaders, kEndOfHeaders, stream, kStatus200);
        for (std::size_t at = 0; at < body_.size(); at += kFrameMax) {
          sent += frame(kData, 0, stream, std::string_view(body_).substr(at, kFrameMax));
        }
      }
    }
  }

  std::string body_;
  net::ssl::context tls_;
  net::ip::tcp::acceptor acceptor_;
  std::string url_;
  std::list<Connection> open_;
};

}  // namespace weir::test
