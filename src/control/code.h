#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "weir/base/error.h"

#include "control/api.h"

namespace weir::control {

/// Lambda quotas.
inline constexpr std::uint64_t kMaxZipped = 52'428'800;
inline constexpr std::uint64_t kMaxUnzipped = 262'144'000;

/// The digest's bytes.
std::string sha256_of(std::string_view bytes);
std::string hex_of(std::string_view bytes);

/// The body of CreateFunction, UpdateFunctionCode or PublishLayerVersion, whose zip is taken out of it.
struct Upload {
  std::string body;  ///< where the zip was there is a word
  std::string zip;
  std::optional<Code> code;          ///< nothing: there is no zip
  std::optional<LambdaError> error;  ///< it is too large, or no base64
};
Upload take_zip(std::string body);

/// Where the code of the functions lies that the API made: STATE/code/NAME/HASH, and the zip beside it; layers
/// likewise, under names of their own. All of it blocks. A code is there whole or not at all.
class CodeFolder {
 public:
  explicit CodeFolder(std::string root) : root_(std::move(root)) {}

  /// `sha256`: base64, as AWS shows it.
  std::string folder(std::string_view function, std::string_view sha256) const;
  std::string zip(std::string_view function, std::string_view sha256) const { return file(key(function, sha256)); }
  /// The zip of "NAME/HASH".
  std::string file(const std::string& name_and_hash) const { return root_ + "/" + name_and_hash + ".zip"; }

  /// Unpacks the zip, unless it is there already. Errors: why its sender is to blame, in AWS's words
  /// (endpoint.failed), and store.*
  Result<void> add(const std::string& function, const Code& code, std::string_view zip) const;
  /// Whether the zip could be added: the same errors, and nothing changes. Returns how large it is, unpacked.
  Result<std::uint64_t> try_out(std::string_view zip) const;
  /// How many bytes all of it has, unpacked; of each one whose it is, and its hash.
  std::uint64_t bytes_of(const std::vector<std::pair<std::string, std::string>>& codes) const;
  /// Makes what is in a folder now the code of a function; there is no zip of it. Errors: why that cannot be
  /// (endpoint.failed), and store.*
  Result<Code> take_over(const std::string& function, const std::string& folder) const;
  /// Unpacks it again, should somebody have removed it. Whether it is there.
  bool restore(const std::string& function, const std::string& sha256) const;
  /// Removes what is not among "NAME/HASH" of `wanted`, in hex.
  void keep_only(const std::set<std::string>& wanted) const;
  void remove(const std::string& name_and_hash) const;

  /// "NAME/HASH", in hex.
  static std::string key(std::string_view function, std::string_view sha256);

 private:
  std::string root_;
};

}  // namespace weir::control
