#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace weir::sns {

/// Whether a notification's SigningCertURL may be fetched: https, the host of an SNS of AWS, a path
/// /SimpleNotificationService-HEX.pem; no port, user, query or fragment. `hosts` (HOST or HOST:PORT) are trusted as
/// well, also with http and any path that ends with .pem.
bool may_fetch_certificate(std::string_view url, const std::vector<std::string>& hosts);

/// Whether a SubscribeURL may be opened: the same hosts, and Action=ConfirmSubscription in its query.
bool may_confirm_at(std::string_view url, const std::vector<std::string>& hosts);

/// Whether the URL's host is one of `hosts`.
bool is_stand_in(std::string_view url, const std::vector<std::string>& hosts);

}  // namespace weir::sns
