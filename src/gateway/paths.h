#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace weir::gateway {

/// The path's pieces, as they were sent; a slash at the end makes no further one (old SDKs send it).
std::vector<std::string_view> path_segments(std::string_view path);

/// A segment's meaning; one with a percent sign out of place stays as it is, and no name has a percent sign.
std::string segment_meaning(std::string_view segment);

/// What Lambda's API has under its versions; a path beyond them is no operation anywhere.
bool is_api_resource(std::string_view segment);

/// "2015-03-31", with which every path of Lambda's API begins.
bool is_api_version(std::string_view segment);

/// Whether a Host header is "localhost", an IPv4 address or [an IPv6 address], with or without a port: no name that a
/// web page's owner could have pointed at this machine (DNS rebinding).
bool is_address_or_localhost(std::string_view host);
/// Whether it is a name that can only be of this network: one without a dot, as containers have, or one that nobody can
/// register (RFC 6762, RFC 8375 and ICANN's .internal).
bool is_local_name(std::string_view host);
/// Whether only this machine reaches what listens there: "127.0.0.1:4580", "[::1]:4580", "localhost:4580".
bool is_loopback(std::string_view address);

}  // namespace weir::gateway
