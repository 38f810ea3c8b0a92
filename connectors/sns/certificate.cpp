#include "connectors/sns/certificate.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <ctime>
#include <stdexcept>
#include <vector>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include "weir/base/bytes.h"

namespace weir::sns {
namespace {

template <typename T, void (*Free)(T*)>
struct Freer {
  void operator()(T* thing) const { Free(thing); }
};
void free_bio(BIO* bio) {
  BIO_free(bio);
}
void free_stack(STACK_OF(X509) * stack) {
  sk_X509_pop_free(stack, X509_free);
}
using Bio = std::unique_ptr<BIO, Freer<BIO, free_bio>>;
using X509Ptr = std::unique_ptr<X509, Freer<X509, X509_free>>;
using Stack = std::unique_ptr<STACK_OF(X509), Freer<STACK_OF(X509), free_stack>>;
using Store = std::unique_ptr<X509_STORE, Freer<X509_STORE, X509_STORE_free>>;
using StoreContext = std::unique_ptr<X509_STORE_CTX, Freer<X509_STORE_CTX, X509_STORE_CTX_free>>;
using Digest = std::unique_ptr<EVP_MD_CTX, Freer<EVP_MD_CTX, EVP_MD_CTX_free>>;

constexpr int kChainMax = 8;
constexpr long kYears = 10L * 365 * 24 * 3600;

Error refused(std::string sentence) {
  return {ErrorCode::kEventRefused, std::move(sentence)};
}

Bio reading(std::string_view text) {
  return Bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string written(const Bio& bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

WallTime time_of(const ASN1_TIME* time) {
  std::tm fields{};
  if (ASN1_TIME_to_tm(time, &fields) != 1) return WallTime();
  return from_epoch_milliseconds(static_cast<std::int64_t>(timegm(&fields)) * 1000);
}

const EVP_MD* digest_of(std::string_view version) {
  if (version == "1") return EVP_sha1();
  return version == "2" ? EVP_sha256() : nullptr;
}

EVP_PKEY* pkey(const std::shared_ptr<void>& key) {
  return static_cast<EVP_PKEY*>(key.get());
}

std::shared_ptr<void> owned(EVP_PKEY* key) {
  return {key, [](void* thing) { EVP_PKEY_free(static_cast<EVP_PKEY*>(thing)); }};
}

/// Whether the certificate is SNS's, by its alternative names, else its common name.
bool is_of_sns(X509* certificate) {
  const auto fits = [](std::string_view name) { return name == "sns.amazonaws.com" || is_aws_host(name); };
  auto* const names =
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  if (names != nullptr) {
    bool found = false;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
      const GENERAL_NAME* const name = sk_GENERAL_NAME_value(names, i);
      if (name->type != GEN_DNS) continue;
      const auto* const text = reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName));
      found = found || fits({text, static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName))});
    }
    GENERAL_NAMES_free(names);
    return found;
  }
  std::array<char, 256> common{};
  const int length = X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, common.data(),
                                               static_cast<int>(common.size()));
  return length > 0 && fits({common.data(), static_cast<std::size_t>(length)});
}

/// "" when the chain holds, or cannot be followed because its issuer was not sent.
std::string chain_mistake(X509* leaf, STACK_OF(X509) * rest) {
  const Store roots(X509_STORE_new());
  X509_STORE_set_default_paths(roots.get());
  const StoreContext context(X509_STORE_CTX_new());
  if (X509_STORE_CTX_init(context.get(), roots.get(), leaf, rest) != 1) return "the chain cannot be checked";
  if (X509_verify_cert(context.get()) == 1) return "";
  const int error = X509_STORE_CTX_get_error(context.get());
  const bool alone = sk_X509_num(rest) == 0;
  if (alone &&
      (error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY || error == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE)) {
    return "";
  }
  return X509_verify_cert_error_string(error);
}

}  // namespace

Result<Certificate> Certificate::read(std::string_view pem, Trust trust, WallTime now) {
  const Bio bio = reading(pem);
  const X509Ptr leaf(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  if (!leaf) return refused("the certificate is no PEM");
  const Stack rest(sk_X509_new_null());
  while (sk_X509_num(rest.get()) < kChainMax) {
    X509* const next = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr);
    if (next == nullptr) break;
    sk_X509_push(rest.get(), next);
  }
  Certificate certificate;
  certificate.begins_ = time_of(X509_get0_notBefore(leaf.get()));
  certificate.ends_ = time_of(X509_get0_notAfter(leaf.get()));
  if (!certificate.valid_at(now)) return refused("the certificate is not valid at this time");
  if (trust == Trust::kAws) {
    if (!is_of_sns(leaf.get())) return refused("the certificate is not SNS's");
    if (const std::string wrong = chain_mistake(leaf.get(), rest.get()); !wrong.empty())
      return refused("the certificate's chain does not hold: " + wrong);
  }
  certificate.key_ = owned(X509_get_pubkey(leaf.get()));
  if (!certificate.key_ || EVP_PKEY_base_id(pkey(certificate.key_)) != EVP_PKEY_RSA)
    return refused("the certificate has no RSA key");
  return certificate;
}

bool Certificate::signed_this(std::string_view text, std::string_view signature, std::string_view version) const {
  const EVP_MD* const digest = digest_of(version);
  const auto bytes = decode_base64(signature);
  if (digest == nullptr || !bytes) return false;
  const Digest context(EVP_MD_CTX_new());
  return EVP_DigestVerifyInit(context.get(), nullptr, digest, nullptr, pkey(key_)) == 1 &&
         EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char*>(bytes->data()), bytes->size(),
                          reinterpret_cast<const unsigned char*>(text.data()), text.size()) == 1;
}

Result<SigningKey> SigningKey::make(WallTime now) {
  constexpr unsigned kBits = 2048;
  const std::shared_ptr<void> key = owned(EVP_RSA_gen(kBits));
  const X509Ptr certificate(X509_new());
  if (!key || !certificate) return Error(ErrorCode::kInternal, "no RSA key could be made");
  X509_set_version(certificate.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
  // An hour before: the clocks of those who check may be behind.
  const auto begins = static_cast<std::time_t>(epoch_milliseconds(now) / 1000 - 3600);
  ASN1_TIME_set(X509_getm_notBefore(certificate.get()), begins);
  ASN1_TIME_set(X509_getm_notAfter(certificate.get()), begins + kYears);
  X509_NAME* const name = X509_get_subject_name(certificate.get());
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("sns.weir.internal"), -1,
                             -1, 0);
  X509_set_issuer_name(certificate.get(), name);
  X509_set_pubkey(certificate.get(), pkey(key));
  if (X509_sign(certificate.get(), pkey(key), EVP_sha256()) == 0)
    return Error(ErrorCode::kInternal, "no certificate could be made");
  const Bio key_text(BIO_new(BIO_s_mem()));
  const Bio certificate_text(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_PrivateKey(key_text.get(), pkey(key), nullptr, nullptr, 0, nullptr, nullptr) != 1 ||
      PEM_write_bio_X509(certificate_text.get(), certificate.get()) != 1)
    return Error(ErrorCode::kInternal, "the key cannot be written");
  return read(written(key_text), written(certificate_text));
}

Result<SigningKey> SigningKey::read(std::string_view key_pem, std::string_view certificate_pem) {
  SigningKey made;
  const Bio bio = reading(key_pem);
  made.key_ = owned(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
  if (!made.key_) return Error(ErrorCode::kStoreCorrupt, "the remembered key of SNS cannot be read");
  made.key_pem_ = key_pem;
  made.certificate_pem_ = certificate_pem;
  made.path_ = "/SimpleNotificationService-" + sha256_hex(certificate_pem).substr(0, 32) + ".pem";
  return made;
}

std::string SigningKey::sign(std::string_view text, std::string_view version) const {
  const EVP_MD* const digest = digest_of(version);
  WEIR_ASSERT(digest != nullptr);
  const Digest context(EVP_MD_CTX_new());
  std::size_t size = 0;
  const auto* const bytes = reinterpret_cast<const unsigned char*>(text.data());
  std::string signature;
  if (EVP_DigestSignInit(context.get(), nullptr, digest, nullptr, pkey(key_)) != 1 ||
      EVP_DigestSign(context.get(), nullptr, &size, bytes, text.size()) != 1)
    throw std::runtime_error("OpenSSL does not sign");
  std::string raw(size, '\0');
  if (EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(raw.data()), &size, bytes, text.size()) != 1)
    throw std::runtime_error("OpenSSL does not sign");
  append_base64(signature, std::string_view(raw).substr(0, size));
  return signature;
}

bool is_aws_host(std::string_view host) {
  constexpr std::string_view kBegin = "sns.";
  if (!host.starts_with(kBegin)) return false;
  host.remove_prefix(kBegin.size());
  if (host.ends_with(".cn")) host.remove_suffix(3);
  constexpr std::string_view kEnd = ".amazonaws.com";
  if (!host.ends_with(kEnd)) return false;
  host.remove_suffix(kEnd.size());
  // A region: "eu-west-1", "us-gov-east-1". Anything of that length would let in S3's hosts ("sns.s3-us-west-2"), whose
  // content is anybody's.
  int words = 0;
  for (;;) {
    const std::size_t dash = host.find('-');
    const std::string_view part = host.substr(0, dash);
    if (part.empty()) return false;
    if (dash == std::string_view::npos) {
      return words >= 2 && std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; });
    }
    if (!std::all_of(part.begin(), part.end(), [](char c) { return c >= 'a' && c <= 'z'; })) return false;
    ++words;
    host.remove_prefix(dash + 1);
  }
}

namespace {

std::string hex(const unsigned char* bytes, std::size_t size) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  text.reserve(size * 2);
  for (std::size_t i = 0; i < size; ++i) {
    text += kDigits[bytes[i] >> 4U];
    text += kDigits[bytes[i] & 15U];
  }
  return text;
}

}  // namespace

std::string sha256_hex(std::string_view text) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  return hex(digest.data(), digest.size());
}

std::string random_hex(std::size_t bytes) {
  std::vector<unsigned char> random(bytes);
  if (RAND_bytes(random.data(), static_cast<int>(bytes)) != 1) throw std::runtime_error("OpenSSL has no random bytes");
  return hex(random.data(), bytes);
}

}  // namespace weir::sns
