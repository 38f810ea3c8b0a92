#include "http/sigv4.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>
#include <vector>

// SHA256_Init() and its like are called old, for OpenSSL would rather be asked by an algorithm's name. Being asked so,
// it first loads its providers, configuration and error texts: 2 MB of memory for a process that hashes and nothing
// else.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "http/uri.h"

namespace weir::http {

namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";
constexpr std::string_view kTerminator = "aws4_request";
constexpr std::string_view kContentHash = "x-amz-content-sha256";
constexpr std::string_view kUnsigned = "UNSIGNED-PAYLOAD";
constexpr std::size_t kToSignBytes = 192;  // room for what is signed in the end, and for a scope, as they mostly are
constexpr Duration kTolerance = std::chrono::minutes(5);
constexpr int kExpiresMax = 604'800;  // a week, of a presigned request

std::string hex(const unsigned char* bytes, std::size_t size) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out(2 * size, '0');
  for (std::size_t i = 0; i < size; ++i) {
    out[2 * i] = kDigits[bytes[i] >> 4U];
    out[2 * i + 1] = kDigits[bytes[i] & 15U];
  }
  return out;
}

using Key = std::array<unsigned char, SHA256_DIGEST_LENGTH>;

Key sha256(std::string_view first, std::string_view second = {}) {
  SHA256_CTX context;
  Key out{};
  SHA256_Init(&context);
  SHA256_Update(&context, first.data(), first.size());
  SHA256_Update(&context, second.data(), second.size());
  SHA256_Final(out.data(), &context);
  return out;
}

std::string_view text_of(const Key& bytes) {
  return {static_cast<const char*>(static_cast<const void*>(bytes.data())), bytes.size()};
}

std::string sha256_hex(std::string_view text) {
  const Key digest = sha256(text);
  return hex(digest.data(), digest.size());
}

/// RFC 2104.
Key hmac(std::string_view key, std::string_view text) {
  constexpr std::size_t kBlock = 64;
  constexpr unsigned kInner = 0x36, kOuter = 0x5c;
  const Key short_key = key.size() > kBlock ? sha256(key) : Key{};
  if (key.size() > kBlock) key = text_of(short_key);
  const auto padded = [&](unsigned pad) {
    std::array<char, kBlock> block{};
    block.fill(static_cast<char>(pad));
    for (std::size_t i = 0; i < key.size(); ++i)
      block.at(i) = static_cast<char>(static_cast<unsigned char>(key[i]) ^ pad);
    return block;
  };
  const auto inner = padded(kInner);
  const auto outer = padded(kOuter);
  const auto whole = [](const std::array<char, kBlock>& block) { return std::string_view(block.data(), block.size()); };
  return sha256(whole(outer), text_of(sha256(whole(inner), text)));
}

Key hmac(const Key& key, std::string_view text) {
  return hmac(text_of(key), text);
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

/// "20150830T123600Z".
std::string basic_time(WallTime at) {
  std::string out;
  for (const char c : iso_milliseconds(at)) {
    if (c == '.') break;
    if (c != '-' && c != ':') out += c;
  }
  return out + 'Z';
}

std::optional<WallTime> parse_basic_time(std::string_view text) {
  if (text.size() != 16 || text[8] != 'T' || text[15] != 'Z') return std::nullopt;
  for (std::size_t i = 0; i < 15; ++i) {
    if (i != 8 && (text[i] < '0' || text[i] > '9')) return std::nullopt;
  }
  const auto part = [&](std::size_t from, std::size_t size) { return std::string(text.substr(from, size)); };
  return parse_iso(part(0, 4) + "-" + part(4, 2) + "-" + part(6, 2) + "T" + part(9, 2) + ":" + part(11, 2) + ":" +
                   part(13, 2) + "Z");
}

/// Without dot segments and empty ones.
std::string normal_path(std::string_view path) {
  std::vector<std::string_view> kept;
  const bool directory = path.ends_with('/');
  while (!path.empty()) {
    const std::size_t slash = path.find('/');
    const std::string_view segment = path.substr(0, slash);
    path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
    if (segment == "..") {
      if (!kept.empty()) kept.pop_back();
    } else if (!segment.empty() && segment != ".") {
      kept.push_back(segment);
    }
  }
  std::string out;
  for (const std::string_view segment : kept) (out += '/') += segment;
  if (out.empty() || directory) out += '/';
  return out;
}

std::string canonical_path(std::string_view path, std::string_view service) {
  // What is sent is encoded once; the second time is the signature's own. S3 takes the path as it is.
  if (service == "s3") return path.empty() ? "/" : std::string(path);
  if (path == "/") return "/";  // of every JSON protocol
  return percent_encode_path(normal_path(path));
}

/// Decodes and encodes again, so that two ways to write one character do not matter.
std::string encoded_once(std::string_view text) {
  const auto decoded = percent_decode(text);
  return percent_encode(decoded ? std::string_view(*decoded) : text);
}

/// Sorted by name, then value; without one field: a presigned query's signature.
std::string canonical_query(std::string_view query, std::string_view left_out = {}) {
  std::vector<std::pair<std::string, std::string>> fields;
  while (!query.empty()) {
    const std::size_t end = query.find('&');
    const std::string_view piece = query.substr(0, end);
    query.remove_prefix(end == std::string_view::npos ? query.size() : end + 1);
    if (piece.empty()) continue;
    const std::size_t equals = piece.find('=');
    std::string name = encoded_once(piece.substr(0, equals));
    if (!left_out.empty() && name == left_out) continue;
    fields.emplace_back(std::move(name),
                        equals == std::string_view::npos ? std::string() : encoded_once(piece.substr(equals + 1)));
  }
  std::sort(fields.begin(), fields.end());
  std::string out;
  for (const auto& [name, value] : fields) {
    if (!out.empty()) out += '&';
    ((out += name) += '=') += value;
  }
  return out;
}

/// Trimmed, and every run of white space one space.
void append_collapsed(std::string& out, std::string_view value) {
  out.reserve(out.size() + value.size());
  bool pending = false;
  bool begun = false;
  for (const char c : value) {
    if (c == ' ' || (c >= '\t' && c <= '\r')) {
      pending = begun;
    } else {
      if (pending) out += ' ';
      out += c;
      pending = false;
      begun = true;
    }
  }
}

struct SignedHeader {
  std::string name;  ///< lower case
  std::string value;
};

/// Everything that a signature is made of, in its final form.
struct Canonical {
  std::string_view method;
  std::string path;
  std::string query;
  std::vector<SignedHeader> headers;
  std::string signed_names;  ///< "host;x-amz-date"
  std::string payload_hash;
};

/// "20150830/us-east-1/service/aws4_request".
std::string scope_text(std::string_view date, std::string_view region, std::string_view service) {
  std::string out;
  out.reserve(kToSignBytes);
  out += date;
  ((out += '/') += region) += '/';
  ((out += service) += '/') += kTerminator;
  return out;
}

/// A day's key for one service. Four of the five HMACs of a signature make it, and most requests of a process need the
/// same few: the last ones are kept.
Key signing_key(std::string_view secret, std::string_view date, std::string_view region, std::string_view service) {
  struct Derived {
    std::string secret, date, region, service;
    Key key{};
  };
  thread_local std::array<Derived, 8> kept;
  thread_local std::size_t oldest = 0;
  for (const Derived& each : kept) {
    if (each.date == date && each.region == region && each.service == service && each.secret == secret &&
        !each.date.empty())
      return each.key;
  }
  const std::string first = "AWS4" + std::string(secret);
  Derived& made = kept.at(oldest);
  oldest = (oldest + 1) % kept.size();
  made.secret = secret;
  made.date = date;
  made.region = region;
  made.service = service;
  made.key = hmac(hmac(hmac(hmac(first, date), region), service), kTerminator);
  return made.key;
}

std::string signature(const Canonical& request, std::string_view secret, std::string_view time, std::string_view region,
                      std::string_view service) {
  std::size_t bytes = request.method.size() + request.path.size() + request.query.size() + request.signed_names.size() +
                      request.payload_hash.size() + 8;
  for (const auto& [name, value] : request.headers) bytes += name.size() + value.size() + 2;
  std::string text;
  text.reserve(bytes);
  text += request.method;
  ((text += '\n') += request.path) += '\n';
  (text += request.query) += '\n';
  for (const auto& [name, value] : request.headers) (((text += name) += ':') += value) += '\n';
  ((text += '\n') += request.signed_names) += '\n';
  text += request.payload_hash;

  const std::string_view date = time.substr(0, 8);
  std::string to_sign;
  to_sign.reserve(kToSignBytes);
  to_sign += kAlgorithm;
  ((to_sign += '\n') += time) += '\n';
  (to_sign += scope_text(date, region, service)) += '\n';
  to_sign += sha256_hex(text);

  const Key signed_key = hmac(signing_key(secret, date, region, service), to_sign);
  return hex(signed_key.data(), signed_key.size());
}

/// What proxies and HTTP itself change on the way; botocore leaves out the same.
bool is_never_signed(std::string_view name) {
  static constexpr std::array<std::string_view, 6> kNever{"authorization",     "connection", "expect",
                                                          "transfer-encoding", "user-agent", "x-amzn-trace-id"};
  return std::find(kNever.begin(), kNever.end(), name) != kNever.end();
}

/// Headers of one name are one, in the order they came.
void put(std::vector<SignedHeader>& headers, std::string name, std::string_view value) {
  for (SignedHeader& header : headers) {
    if (header.name != name) continue;
    header.value += ',';
    append_collapsed(header.value, value);
    return;
  }
  SignedHeader header;
  header.name = std::move(name);
  append_collapsed(header.value, value);
  headers.push_back(std::move(header));
}

std::string joined_names(const std::vector<SignedHeader>& headers) {
  std::string out;
  std::size_t bytes = 0;
  for (const SignedHeader& header : headers) bytes += header.name.size() + 1;
  out.reserve(bytes);
  for (const SignedHeader& header : headers) {
    if (!out.empty()) out += ';';
    out += header.name;
  }
  return out;
}

SignatureRefusal incomplete(std::string message) {
  return {"IncompleteSignatureException", std::move(message)};
}

SignatureRefusal invalid(std::string message) {
  return {"InvalidSignatureException", std::move(message)};
}

/// What a request says about its own signature, from either place.
struct Claim {
  std::string credential;
  std::string signed_names;
  std::string signature;
  std::string time;
  std::optional<std::string> expires;  ///< of a presigned request, and only there
};

std::optional<SignatureRefusal> read_header(std::string_view authorization, const Headers& headers, Claim& claim) {
  std::optional<std::string_view> credential;
  std::optional<std::string_view> names;
  std::optional<std::string_view> given;
  std::string_view rest = authorization;
  if (rest.starts_with(kAlgorithm) && rest.substr(kAlgorithm.size(), 1) == " ") {
    rest.remove_prefix(kAlgorithm.size() + 1);
    while (!rest.empty()) {
      const std::size_t comma = rest.find(',');
      std::string_view piece = rest.substr(0, comma);
      rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
      while (piece.starts_with(' ')) piece.remove_prefix(1);
      while (piece.ends_with(' ')) piece.remove_suffix(1);
      const std::size_t equals = piece.find('=');
      if (equals == std::string_view::npos) continue;
      const std::string_view name = piece.substr(0, equals);
      const std::string_view value = piece.substr(equals + 1);
      if (name == "Credential") credential = value;
      if (name == "SignedHeaders") names = value;
      if (name == "Signature") given = value;
    }
  }
  const auto time = headers.get("X-Amz-Date");
  std::string missing;
  const auto need = [&](bool there, std::string_view what) {
    if (there) return;
    if (!missing.empty()) missing += ' ';
    (missing += "Authorization header requires ") += what;
  };
  need(credential.has_value(), "'Credential' parameter.");
  need(given.has_value(), "'Signature' parameter.");
  need(names.has_value(), "'SignedHeaders' parameter.");
  need(time.has_value(), "existence of either a 'X-Amz-Date' or a 'Date' header.");
  if (!missing.empty()) return incomplete(std::move(missing));
  claim.credential = *credential;
  claim.signed_names = *names;
  claim.signature = *given;
  claim.time = *time;
  return std::nullopt;
}

std::optional<SignatureRefusal> read_query(const QueryFields& fields, Claim& claim) {
  std::string missing;
  const auto take = [&](std::string_view name, std::string& into) {
    const auto found =
        std::find_if(fields.begin(), fields.end(), [&](const auto& field) { return field.first == name; });
    if (found != fields.end()) {
      into = found->second;
    } else {
      if (!missing.empty()) missing += ' ';
      ((missing += "AWS query-string parameters must include '") += name) += "'.";
    }
  };
  std::string algorithm;
  std::string expires;
  take("X-Amz-Algorithm", algorithm);
  take("X-Amz-Credential", claim.credential);
  take("X-Amz-Signature", claim.signature);
  take("X-Amz-SignedHeaders", claim.signed_names);
  take("X-Amz-Date", claim.time);
  take("X-Amz-Expires", expires);
  if (!missing.empty()) return incomplete(std::move(missing));
  if (algorithm != kAlgorithm) return incomplete("Unsupported AWS 'algorithm': '" + algorithm + "'.");
  claim.expires = std::move(expires);
  return std::nullopt;
}

/// AKID/20150830/us-east-1/service/aws4_request
struct Scope {
  std::string_view key_id, date, region, service, terminator;
};

std::optional<Scope> parse_scope(std::string_view credential) {
  if (std::count(credential.begin(), credential.end(), '/') != 4) return std::nullopt;
  Scope scope;
  for (std::string_view* part : {&scope.key_id, &scope.date, &scope.region, &scope.service, &scope.terminator}) {
    const std::size_t slash = credential.find('/');
    *part = credential.substr(0, slash);
    credential.remove_prefix(slash == std::string_view::npos ? credential.size() : slash + 1);
  }
  return scope;
}

std::optional<SignatureRefusal> check_time(const Claim& claim, WallTime at, WallTime now) {
  Duration valid_for = kTolerance;
  std::string allowance = "5 min.";
  if (claim.expires) {
    int seconds = 0;
    const char* end = claim.expires->data() + claim.expires->size();
    const auto [stop, error] = std::from_chars(claim.expires->data(), end, seconds);
    if (error != std::errc() || stop != end) return incomplete("X-Amz-Expires should be a number");
    if (seconds < 0) return incomplete("X-Amz-Expires must be non-negative");
    if (seconds > kExpiresMax) {
      return incomplete(
          "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than "
          "604800 seconds");
    }
    valid_for = std::chrono::seconds(seconds);
    allowance = std::to_string(seconds) + " sec.";
  }
  if (at < now - valid_for) {
    return invalid("Signature expired: " + claim.time + " is now earlier than " + basic_time(now - valid_for) + " (" +
                   basic_time(now) + " - " + allowance + ")");
  }
  if (at > now + kTolerance) {
    return invalid("Signature not yet current: " + claim.time + " is still later than " + basic_time(now + kTolerance) +
                   " (" + basic_time(now) + " + 5 min.)");
  }
  return std::nullopt;
}

/// Takes what the signature covers from the request. Nothing in between may be left unsigned.
std::optional<SignatureRefusal> collect_headers(const Request& request, const Claim& claim, Canonical& canonical) {
  std::string_view names = claim.signed_names;
  while (!names.empty()) {
    const std::size_t end = names.find(';');
    SignedHeader header;
    header.name = names.substr(0, end);
    names.remove_prefix(end == std::string_view::npos ? names.size() : end + 1);
    bool found = false;
    for (const auto& [name, value] : request.headers.all()) {
      if (lower(name) != header.name) continue;
      if (found) header.value += ',';
      append_collapsed(header.value, value);
      found = true;
    }
    canonical.headers.push_back(std::move(header));
  }
  const auto is_signed = [&](std::string_view name) {
    return std::any_of(canonical.headers.begin(), canonical.headers.end(),
                       [&](const SignedHeader& header) { return header.name == name; });
  };
  if (!is_signed("host")) {
    return invalid("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.");
  }
  for (const auto& [name, value] : request.headers.all()) {
    const std::string key = lower(name);
    // CloudFront adds one of its own on the way.
    if (key.starts_with("x-amz-") && key != "x-amz-cf-id" && !is_signed(key)) {
      return invalid("'" + key + "' must be a 'SignedHeader' in the AWS Authorization.");
    }
  }
  return std::nullopt;
}

}  // namespace

void sign(const std::string& method, std::string_view host, std::string_view target, std::string_view body,
          const Credentials& credentials, const SigningScope& scope, Headers& headers) {
  const std::string time = basic_time(scope.at);
  // What an earlier signature left is replaced, so that a request can be signed again for another try.
  Headers fresh;
  fresh.reserve(headers.all().size() + 4);
  for (const auto& [name, value] : headers.all()) {
    if (!same_word(name, "X-Amz-Date") && !same_word(name, "X-Amz-Security-Token") && !same_word(name, "Authorization"))
      fresh.add(name, value);
  }
  fresh.add("X-Amz-Date", time);
  if (!credentials.session_token.empty()) fresh.add("X-Amz-Security-Token", credentials.session_token);
  // S3 alone wants to be told the hash.
  if (scope.service == "s3" && !fresh.get(kContentHash)) fresh.add(kContentHash, sha256_hex(body));

  Canonical canonical;
  canonical.method = method;
  const std::size_t mark = target.find('?');
  canonical.path = canonical_path(target.substr(0, mark), scope.service);
  if (mark != std::string_view::npos) canonical.query = canonical_query(target.substr(mark + 1));
  canonical.headers.reserve(fresh.all().size() + 1);
  put(canonical.headers, "host", host);
  for (const auto& [name, value] : fresh.all()) {
    std::string key = lower(name);
    if (key != "host" && !is_never_signed(key)) put(canonical.headers, std::move(key), value);
  }
  std::sort(canonical.headers.begin(), canonical.headers.end(),
            [](const SignedHeader& a, const SignedHeader& b) { return a.name < b.name; });
  canonical.signed_names = joined_names(canonical.headers);
  const auto given_hash = fresh.get(kContentHash);
  canonical.payload_hash = given_hash ? std::string(*given_hash) : sha256_hex(body);

  std::string authorization;
  authorization.reserve(2 * kToSignBytes);
  authorization += kAlgorithm;
  ((authorization += " Credential=") += credentials.access_key_id) += '/';
  authorization += scope_text(std::string_view(time).substr(0, 8), scope.region, scope.service);
  (authorization += ", SignedHeaders=") += canonical.signed_names;
  authorization += ", Signature=";
  authorization += signature(canonical, credentials.secret_access_key, time, scope.region, scope.service);
  fresh.add("Authorization", authorization);
  headers = std::move(fresh);
}

std::optional<SignatureRefusal> verify_signature(const Request& request, const SecretLookup& secrets, WallTime now) {
  Claim claim;
  const auto authorization = request.headers.get("Authorization");
  if (authorization) {
    if (auto refused = read_header(*authorization, request.headers, claim)) return refused;
  } else {
    const auto fields = parse_query(request.query());
    const bool presigned = fields && std::any_of(fields->begin(), fields->end(), [](const auto& field) {
                             return field.first == "X-Amz-Algorithm" || field.first == "X-Amz-Signature";
                           });
    if (!presigned) {
      return SignatureRefusal{"MissingAuthenticationTokenException", "Missing Authentication Token"};
    }
    if (auto refused = read_query(*fields, claim)) return refused;
  }

  const auto scope = parse_scope(claim.credential);
  if (!scope) {
    return incomplete(
        "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '" +
        claim.credential + "'");
  }
  const auto at = parse_basic_time(claim.time);
  if (!at) {
    return incomplete("Date must be in ISO-8601 'basic format'. Got '" + claim.time +
                      "'. See http://en.wikipedia.org/wiki/ISO_8601");
  }
  if (scope->terminator != kTerminator) {
    return invalid("Credential should be scoped with a valid terminator: 'aws4_request', not '" +
                   std::string(scope->terminator) + "'.");
  }
  const std::string date = claim.time.substr(0, 8);
  if (scope->date != date) {
    return invalid("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '" +
                   std::string(scope->date) + "' != '" + date + "', from '" + claim.time + "'.");
  }
  if (auto refused = check_time(claim, *at, now)) return refused;
  const auto secret = secrets(scope->key_id);
  if (!secret) {
    return SignatureRefusal{"UnrecognizedClientException", "The security token included in the request is invalid."};
  }

  Canonical canonical;
  canonical.method = request.method;
  canonical.path = canonical_path(request.path(), scope->service);
  canonical.query = canonical_query(request.query(), claim.expires ? "X-Amz-Signature" : "");
  canonical.signed_names = claim.signed_names;
  if (auto refused = collect_headers(request, claim, canonical)) return refused;
  canonical.payload_hash = sha256_hex(request.body);
  if (const auto given = request.headers.get(kContentHash)) {
    if (*given != kUnsigned && *given != canonical.payload_hash) {
      return invalid("The provided 'x-amz-content-sha256' header does not match what was computed.");
    }
    canonical.payload_hash = *given;
  } else if (claim.expires && scope->service == "s3") {
    canonical.payload_hash = kUnsigned;  // a URL that S3's clients presign is for any body
  }
  const std::string expected = signature(canonical, *secret, claim.time, scope->region, scope->service);
  if (claim.signature.size() != expected.size() ||
      CRYPTO_memcmp(claim.signature.data(), expected.data(), expected.size()) != 0) {
    return invalid(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access "
        "Key and signing method. Consult the service documentation for details.");
  }
  return std::nullopt;
}

}  // namespace weir::http
