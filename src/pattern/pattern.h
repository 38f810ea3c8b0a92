#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "weir/base/error.h"

#include "pattern/ip_address.h"

namespace weir::pattern {

/// Whose pattern it is: one language, with its own limits and its own beginning of every error.
enum class Dialect {
  kEventBridge,    ///< "Event pattern is not valid. Reason: ..."
  kMappingFilter,  ///< "Invalid filter pattern definition. ..."
  kSnsAttributes,  ///< a subscription's FilterPolicy, scope MessageAttributes: "Invalid parameter: FilterPolicy: ..."
  kSnsBody,        ///< the same, scope MessageBody
};

/// Limits of AWS, per pattern.
inline constexpr std::size_t kMaxPatternLength = 4096;   ///< characters; not of SNS
inline constexpr std::size_t kMaxOrCombinations = 1000;  ///< branches that all `$or` multiply to
inline constexpr std::size_t kMaxPatternFields = 256;    ///< fields of one branch
inline constexpr std::size_t kMaxWildcardWays = 10;      ///< see wildcard.h; AWS publishes none, takes 7 and refuses 11
inline constexpr std::size_t kMaxSnsKeys = 5;
inline constexpr std::size_t kMaxSnsCombinations = 150;
inline constexpr std::size_t kMaxSnsBytes = 256 * 1024;

/// One test of a field; `texts`, `numbers` and `block` as the kind needs them.
struct Test {
  enum class Kind {
    kText,      ///< the string texts[0]
    kWord,      ///< true, false or null, in texts[0]
    kNumber,    ///< the number numbers[0]
    kSpelling,  ///< a number that no double is: the spelling texts[0]
    kAddress,   ///< the address of block, however it is written
    kPrefix,
    kSuffix,
    kIgnoreCase,
    kPrefixIgnoreCase,
    kSuffixIgnoreCase,
    kWildcard,
    kRange,  ///< numbers[0] to numbers[1]; the bounds themselves where `bottom_open`, `top_open` are false
    kBlock,
    kExists,
    kAbsent,
    kButTexts,    ///< anything but one of texts
    kButNumbers,  ///< anything but one of numbers
    kButPrefix,
    kButSuffix,
    kButIgnoreCase,
    kButWildcard,
  };

  Kind kind = Kind::kText;
  std::vector<std::string> texts;
  std::vector<double> numbers;
  bool bottom_open = false;
  bool top_open = false;
  AddressBlock block;

  bool operator==(const Test&) const = default;
};

/// A field and its tests, of which one is enough.
struct Condition {
  std::string path;  ///< steps joined by dots, as `{"a":{"b":..}}` and `{"a.b":..}` are one
  /// Shared by the branches of a pattern: `$or` may multiply them by a thousand.
  std::shared_ptr<const std::vector<Test>> tests;
};

/// What has to hold all at once; sorted by path, which is the order of evaluation.
using Branch = std::vector<Condition>;

/// An event pattern, read and checked. Immutable.
/// Source: reference patterns.md (a), that is AWS's event-ruler 2.0.1 and recordings of TestEventPattern.
class Pattern {
 public:
  /// `text`: the JSON. Error: pattern.invalid, AWS's sentence first.
  static Result<Pattern> compile(std::string_view text, Dialect dialect);

  /// One of them has to hold: what `$or` leads to.
  const std::vector<Branch>& branches() const { return branches_; }

 private:
  explicit Pattern(std::vector<Branch> branches) : branches_(std::move(branches)) {}

  std::vector<Branch> branches_;
};

}  // namespace weir::pattern
