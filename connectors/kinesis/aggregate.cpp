#include "connectors/kinesis/aggregate.h"

#include <array>
#include <cstdint>

#include <openssl/evp.h>

namespace weir::kinesis {
namespace {

constexpr std::string_view kMagic = "\xF3\x89\x9A\xC2";
constexpr std::size_t kDigestBytes = 16;

/// An unsigned 128-bit number, its high half first: compares as it should.
using Hash = std::array<std::uint64_t, 2>;

std::array<unsigned char, kDigestBytes> md5(std::string_view bytes) {
  std::array<unsigned char, kDigestBytes> digest{};
  EVP_Digest(bytes.data(), bytes.size(), digest.data(), nullptr, EVP_md5(), nullptr);
  return digest;
}

Hash hash_of(std::string_view key) {
  Hash hash{};
  const auto digest = md5(key);
  for (std::size_t i = 0; i < digest.size(); ++i) hash[i / 8] = hash[i / 8] << 8U | digest[i];
  return hash;
}

/// Nothing: no decimal number of 128 bits.
std::optional<Hash> read_hash(std::string_view digits) {
  if (digits.empty()) return std::nullopt;
  std::array<std::uint32_t, 4> parts{};  // the lowest first
  for (const char c : digits) {
    if (c < '0' || c > '9') return std::nullopt;
    std::uint64_t carry = static_cast<std::uint64_t>(c - '0');
    for (std::uint32_t& part : parts) {
      carry += std::uint64_t{part} * 10;
      part = static_cast<std::uint32_t>(carry);
      carry >>= 32U;
    }
    if (carry != 0) return std::nullopt;
  }
  return Hash{std::uint64_t{parts[3]} << 32U | parts[2], std::uint64_t{parts[1]} << 32U | parts[0]};
}

/// A message of protobuf, field by field.
class Fields {
 public:
  explicit Fields(std::string_view bytes) : left_(bytes) {}

  /// Goes to the next field; false at the end, or where it is broken.
  bool next() {
    if (left_.empty()) return false;
    const auto tag = varint();
    if (!tag || *tag >> 3U == 0) return fail();
    number = *tag >> 3U;
    text = {};
    value = 0;
    switch (*tag & 7U) {
      case 0: {
        const auto read = varint();
        if (!read) return fail();
        value = *read;
        is_text = false;
        return true;
      }
      case 1:
        return skip(8);
      case 2: {
        const auto size = varint();
        if (!size || *size > left_.size()) return fail();
        text = left_.substr(0, *size);
        left_.remove_prefix(*size);
        is_text = true;
        return true;
      }
      case 5:
        return skip(4);
      default:
        return fail();
    }
  }

  std::uint64_t number = 0;
  bool is_text = false;
  std::string_view text;
  std::uint64_t value = 0;
  bool broken = false;

 private:
  bool fail() {
    broken = true;
    return false;
  }
  bool skip(std::size_t size) {
    if (left_.size() < size) return fail();
    left_.remove_prefix(size);
    is_text = false;
    number = 0;  // nobody asks for it
    return true;
  }
  std::optional<std::uint64_t> varint() {
    std::uint64_t result = 0;
    for (unsigned shift = 0; shift < 64 && !left_.empty(); shift += 7) {
      const auto byte = static_cast<unsigned char>(left_.front());
      left_.remove_prefix(1);
      result |= static_cast<std::uint64_t>(byte & 0x7FU) << shift;
      if ((byte & 0x80U) == 0) return result;
    }
    return std::nullopt;
  }

  std::string_view left_;
};

struct Entry {
  std::optional<std::uint64_t> key, hash_key;
  std::optional<std::string_view> data;
};

std::optional<Entry> read_entry(std::string_view bytes) {
  Entry entry;
  Fields fields(bytes);
  while (fields.next()) {
    if (fields.number == 1 && !fields.is_text) entry.key = fields.value;
    if (fields.number == 2 && !fields.is_text) entry.hash_key = fields.value;
    if (fields.number == 3 && fields.is_text) entry.data = fields.text;
  }
  if (fields.broken || !entry.key || !entry.data) return std::nullopt;
  return entry;
}

}  // namespace

std::optional<std::vector<SubRecord>> split_aggregate(std::string_view data, const HashRange& range) {
  if (data.size() < kMagic.size() + kDigestBytes || !data.starts_with(kMagic)) return std::nullopt;
  const std::string_view message = data.substr(kMagic.size(), data.size() - kMagic.size() - kDigestBytes);
  const std::string_view digest = data.substr(data.size() - kDigestBytes);
  const auto expected = md5(message);
  for (std::size_t i = 0; i < kDigestBytes; ++i) {
    if (static_cast<unsigned char>(digest[i]) != expected[i]) return std::nullopt;
  }
  std::vector<std::string_view> keys, hash_keys;
  std::vector<Entry> entries;
  Fields fields(message);
  while (fields.next()) {
    if (!fields.is_text) continue;
    if (fields.number == 1) keys.push_back(fields.text);
    if (fields.number == 2) hash_keys.push_back(fields.text);
    if (fields.number == 3) {
      const auto entry = read_entry(fields.text);
      if (!entry) return std::nullopt;
      entries.push_back(*entry);
    }
  }
  if (fields.broken) return std::nullopt;
  const auto from = read_hash(range.from);
  const auto to = read_hash(range.to);
  std::vector<SubRecord> records;
  records.reserve(entries.size());
  for (const Entry& entry : entries) {
    if (*entry.key >= keys.size() || (entry.hash_key && *entry.hash_key >= hash_keys.size())) return std::nullopt;
    const std::string_view key = keys[*entry.key];
    const auto hash = entry.hash_key ? read_hash(hash_keys[*entry.hash_key]) : std::optional<Hash>(hash_of(key));
    if (!hash) return std::nullopt;
    if ((from && *hash < *from) || (to && *hash > *to)) return std::vector<SubRecord>();
    records.push_back({key, *entry.data});
  }
  return records;
}

}  // namespace weir::kinesis
