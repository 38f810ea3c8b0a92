#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weir::http {

/// Percent-encodes everything but A-Z a-z 0-9 - . _ ~, with capital hex digits, as AWS's signatures and ARNs in paths
/// want it: "a/b c" is "a%2Fb%20c". For one segment of a path, and for names and values of a query.
std::string percent_encode(std::string_view text);

/// The same, but "/" stays: for a whole path.
std::string percent_encode_path(std::string_view path);

/// What a plus sign means: itself in a path, a space in the body of a form and in the query that a browser makes.
enum class Plus { kLiteral, kSpace };

/// Undoes percent-encoding. Nothing, when a percent sign is not followed by two hex digits. What comes out may hold any
/// byte, also zero, "/" and what is no UTF-8.
std::optional<std::string> percent_decode(std::string_view text, Plus plus = Plus::kLiteral);

/// Names and values, decoded, in the order they came.
using QueryFields = std::vector<std::pair<std::string, std::string>>;

/// Takes a query ("a=1&b=&c") apart; a name without "=" has the value "", an empty piece is left out. Nothing, when a
/// percent sign stands wrong.
std::optional<QueryFields> parse_query(std::string_view query, Plus plus = Plus::kLiteral);

/// A URL taken apart, as a connection and a signature need it.
struct UrlParts {
  UrlParts() = default;

  std::string scheme;     ///< "http" or "https"
  std::string user_info;  ///< what stands before "@", as it is written; mostly ""
  std::string name;       ///< the host without port and brackets
  std::uint16_t port = 0;
  std::string host;    ///< as the Host header has it: with the port unless it is the scheme's own
  std::string target;  ///< path and query, at least "/"
};

/// Nothing: it is no http or https URL, or holds a space or a control character.
std::optional<UrlParts> split_url(std::string_view url);

/// The URL without credentials, query and fragment, which may hold secrets: for errors and logs.
std::string without_secrets(std::string_view url);

}  // namespace weir::http
