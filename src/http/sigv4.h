#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "weir/base/error.h"
#include "weir/base/time.h"

#include "http/message.h"

namespace weir::http {

/// What a request is signed with.
struct Credentials {
  Credentials() = default;

  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;           ///< "" for long-term credentials
  std::optional<WallTime> expires_at;  ///< when temporary ones end
};

/// What else a signature is made of.
struct SigningScope {
  std::string region;   ///< "eu-west-1"
  std::string service;  ///< "lambda"
  WallTime at;
};

/// Adds X-Amz-Date, X-Amz-Security-Token (where there is one) and Authorization (AWS4-HMAC-SHA256) to a request.
/// `host`: the Host header that will be sent. Signed are host, x-amz-*, content-type and whatever else is in `headers`
/// but what proxies change (user-agent, expect, connection, x-amzn-trace-id ...), as botocore does. The path is encoded
/// twice as every service but S3 wants it.
/// Source: AWS General Reference, "Signature Version 4"; compared with botocore's in tests/peers.
void sign(const std::string& method, std::string_view host, std::string_view target, std::string_view body,
          const Credentials& credentials, const SigningScope& scope, Headers& headers);

/// Why a request's signature is not accepted, as AWS's exception names: all answered with status 403.
struct SignatureRefusal {
  std::string type;     ///< "MissingAuthenticationTokenException", "UnrecognizedClientException",
                        ///< "InvalidSignatureException", "IncompleteSignatureException"
  std::string message;  ///< AWS's text; holds no secret
};

/// Gives the secret of an access key id; nothing when there is no such key.
using SecretLookup = std::function<std::optional<std::string>(std::string_view access_key_id)>;

/// Checks the Authorization header (or the presigned query) of a request against a known secret, in constant time,
/// within 5 minutes of `now` (or the presigned request's own X-Amz-Expires). Any region and service are accepted;
/// `service` of the scope is given back for routing. Nothing: the signature is right.
std::optional<SignatureRefusal> verify_signature(const Request& request, const SecretLookup& secrets, WallTime now);

}  // namespace weir::http
