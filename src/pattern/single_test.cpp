#include "pattern/single_test.h"

#include <algorithm>
#include <functional>

namespace weir::pattern {

using Kind = Test::Kind;

bool SingleTest::is_one(const Test& test) {
  switch (test.kind) {
    case Kind::kIgnoreCase:
    case Kind::kPrefixIgnoreCase:
    case Kind::kSuffixIgnoreCase:
      return !is_ascii(test.texts[0]);
    case Kind::kAddress:
    case Kind::kBlock:
    case Kind::kWildcard:
    case Kind::kRange:
    case Kind::kButTexts:
    case Kind::kButNumbers:
    case Kind::kButPrefix:
    case Kind::kButSuffix:
    case Kind::kButIgnoreCase:
    case Kind::kButWildcard:
      return true;
    default:
      return false;
  }
}

SingleTest::SingleTest(const Test& test)
    : kind_(test.kind), texts_(test.texts), numbers_(test.numbers), block_(test.block) {
  WEIR_ASSERT(is_one(test));
  switch (kind_) {
    case Kind::kIgnoreCase:
    case Kind::kPrefixIgnoreCase:
    case Kind::kSuffixIgnoreCase:
    case Kind::kButIgnoreCase:
      for (const std::string& each : texts_) folded_.emplace_back(each);
      break;
    case Kind::kWildcard:
    case Kind::kButWildcard: {
      std::string reason;
      for (const std::string& each : texts_) wildcards_.push_back(*Wildcard::parse(each, reason));
      break;
    }
    case Kind::kRange:
      range_ = NumberRange::of(test);
      break;
    default:
      std::ranges::sort(texts_);
      std::ranges::sort(numbers_);
  }
}

bool SingleTest::passes(const Scalar& value) const {
  const bool string = value.kind == Scalar::Kind::kString;
  switch (kind_) {
    case Kind::kIgnoreCase:
      return string && folded_[0].equals(value.text);
    case Kind::kPrefixIgnoreCase:
      return string && folded_[0].begins(value.text);
    case Kind::kSuffixIgnoreCase:
      return string && folded_[0].ends(value.text);
    case Kind::kAddress:
    case Kind::kBlock:
      return value.address && block_.holds(*value.address);
    case Kind::kWildcard:
      return string && wildcards_[0].matches(value.text);
    case Kind::kRange:
      return value.number && range_.holds(*value.number);
    default:
      return !excludes(value);
  }
}

bool SingleTest::excludes(const Scalar& value) const {
  if (kind_ == Kind::kButNumbers) return value.number && std::ranges::binary_search(numbers_, *value.number);
  if (value.kind != Scalar::Kind::kString) return false;
  const std::string_view text = value.text;
  switch (kind_) {
    case Kind::kButTexts:
      return std::ranges::binary_search(texts_, text, std::less<>());
    case Kind::kButPrefix:
      return std::ranges::any_of(texts_, [&](const std::string& each) { return text.starts_with(each); });
    case Kind::kButSuffix:
      return std::ranges::any_of(texts_, [&](const std::string& each) { return text.ends_with(each); });
    case Kind::kButIgnoreCase:
      return std::ranges::any_of(folded_, [&](const FoldedText& each) { return each.equals(text); });
    default:
      return std::ranges::any_of(wildcards_, [&](const Wildcard& each) { return each.matches(text); });
  }
}

}  // namespace weir::pattern
