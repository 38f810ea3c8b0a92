#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "weir/base/error.h"
#include "weir/base/time.h"

namespace weir::sns {

/// Who has to have issued a certificate of signatures.
enum class Trust {
  kAws,     ///< AWS: its name is SNS's, and its chain ends at one of the machine's roots as far as it was sent
  kPinned,  ///< nobody: its owner was named in the configuration
};

/// The certificate that notifications are signed with. Immutable; copies share it.
class Certificate {
 public:
  /// Reads PEM; further certificates in it are the way to its issuer. event.refused when it is none, or not to be
  /// trusted: not valid at `now`, or not as `trust` wants it.
  ///
  /// AWS serves its certificate alone, without the intermediate that issued it. Such a chain cannot be followed; it
  /// is taken because TLS has vouched for the host that it came from. A chain that is there has to hold.
  static Result<Certificate> read(std::string_view pem, Trust trust, WallTime now);

  bool valid_at(WallTime now) const { return now >= begins_ && now < ends_; }
  /// `version`: "1" (SHA1) or "2" (SHA256), both RSA with PKCS#1 v1.5. `signature`: base64.
  bool signed_this(std::string_view text, std::string_view signature, std::string_view version) const;

 private:
  Certificate() = default;

  std::shared_ptr<void> key_;  ///< an EVP_PKEY
  WallTime begins_;
  WallTime ends_;
};

/// What weir signs its own topics' notifications with: made once, and remembered by its owner.
class SigningKey {
 public:
  /// RSA, 2048 bits, with a certificate signed by itself for ten years. Takes some hundred milliseconds: not for the
  /// engine's thread.
  static Result<SigningKey> make(WallTime now);
  static Result<SigningKey> read(std::string_view key_pem, std::string_view certificate_pem);

  const std::string& key_pem() const { return key_pem_; }
  const std::string& certificate_pem() const { return certificate_pem_; }
  /// "/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"
  const std::string& path() const { return path_; }
  /// Base64. `version` as above.
  std::string sign(std::string_view text, std::string_view version) const;

 private:
  SigningKey() = default;

  std::shared_ptr<void> key_;
  std::string key_pem_;
  std::string certificate_pem_;
  std::string path_;
};

/// Whether it is the host of an SNS of AWS: sns.REGION.amazonaws.com, or the same with .cn behind it.
bool is_aws_host(std::string_view host);

/// SHA-256, in lower-case hexadecimal.
std::string sha256_hex(std::string_view text);
/// `bytes` random bytes that nobody guesses, in lower-case hexadecimal.
std::string random_hex(std::size_t bytes);

}  // namespace weir::sns
