#include "connectors/sns/trusted_url.h"

#include <algorithm>
#include <optional>

#include "connectors/sns/certificate.h"

namespace weir::sns {
namespace {

struct Url {
  bool tls = false;
  std::string_view authority;
  std::string_view path;
  std::string_view query;  ///< with its question mark
};

/// Only what no two readers could read differently: printable, no backslash, no user, no fragment, a lower-case scheme.
std::optional<Url> take_apart(std::string_view text) {
  constexpr std::size_t kMax = 2048;
  const bool plain = text.size() <= kMax && std::all_of(text.begin(), text.end(), [](char c) {
                       return c > ' ' && c <= '~' && c != '\\' && c != '#' && c != '@';
                     });
  if (!plain) return std::nullopt;
  Url url;
  url.tls = text.starts_with("https://");
  if (!url.tls && !text.starts_with("http://")) return std::nullopt;
  text.remove_prefix(text.find("//") + 2);
  const std::size_t question = std::min(text.find('?'), text.size());
  url.query = text.substr(question);
  const std::string_view before = text.substr(0, question);
  const std::size_t slash = std::min(before.find('/'), before.size());
  url.authority = before.substr(0, slash);
  url.path = before.substr(slash);
  return url;
}

bool is_named(std::string_view authority, const std::vector<std::string>& hosts) {
  return std::find(hosts.begin(), hosts.end(), authority) != hosts.end();
}

bool is_trusted(const Url& url, const std::vector<std::string>& hosts) {
  return is_named(url.authority, hosts) || (url.tls && is_aws_host(url.authority));
}

/// "/SimpleNotificationService-00ff.pem": what AWS calls its certificates.
bool is_aws_certificate(std::string_view path) {
  constexpr std::string_view kBegin = "/SimpleNotificationService-";
  constexpr std::string_view kEnd = ".pem";
  constexpr std::size_t kDigitsMax = 64;
  if (!path.starts_with(kBegin) || !path.ends_with(kEnd) || path.size() <= kBegin.size() + kEnd.size()) return false;
  const std::string_view digits = path.substr(kBegin.size(), path.size() - kBegin.size() - kEnd.size());
  return digits.size() <= kDigitsMax && std::all_of(digits.begin(), digits.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

}  // namespace

bool may_fetch_certificate(std::string_view text, const std::vector<std::string>& hosts) {
  const auto url = take_apart(text);
  if (!url || !url->query.empty()) return false;
  if (is_named(url->authority, hosts)) return url->path.ends_with(".pem");
  return is_trusted(*url, hosts) && is_aws_certificate(url->path);
}

bool may_confirm_at(std::string_view text, const std::vector<std::string>& hosts) {
  const auto url = take_apart(text);
  return url && is_trusted(*url, hosts) && url->query.find("Action=ConfirmSubscription") != std::string_view::npos;
}

bool is_stand_in(std::string_view text, const std::vector<std::string>& hosts) {
  const auto url = take_apart(text);
  return url && is_named(url->authority, hosts);
}

}  // namespace weir::sns
