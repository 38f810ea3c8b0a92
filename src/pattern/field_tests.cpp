#include "pattern/field_tests.h"

#include <algorithm>

#include "pattern/number.h"

namespace weir::pattern {
namespace {

using Kind = Test::Kind;

std::string in_lower_case(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), ascii_lower);
  return out;
}

std::string backwards(std::string_view text) {
  return {text.rbegin(), text.rend()};
}

void append(std::vector<std::uint32_t>& out, const std::vector<std::uint32_t>& more) {
  for (const std::uint32_t each : more) out.push_back(each);  // mostly one, or none
}

/// The first four bytes as a number: addresses are compared from the left.
std::uint32_t front_of(std::string_view address) {
  std::uint32_t out = 0;
  for (std::size_t i = 0; i < 4; ++i) out = out << 8U | static_cast<unsigned char>(address[i]);
  return out;
}

}  // namespace

void FieldTests::ByText::add(std::string_view text, std::uint32_t condition) {
  const std::uint32_t number = table_.add(text, static_cast<std::uint32_t>(conditions_.size()));
  if (number == conditions_.size()) conditions_.emplace_back();
  conditions_[number].push_back(condition);
}

void FieldTests::ByText::match(std::string_view text, std::vector<std::uint32_t>& passed) const {
  const std::uint32_t number = table_.find(text);
  if (number != TextTable::kNone) append(passed, conditions_[number]);
}

void FieldTests::add(const Test& test, std::uint32_t condition) {
  read_for(test);
  switch (test.kind) {
    case Kind::kText:
      texts_.add(test.texts[0], condition);
      return;
    case Kind::kWord:
      words_[test.texts[0] == "true" ? 0 : test.texts[0] == "false" ? 1 : 2].push_back(condition);
      return;
    case Kind::kNumber:
      numbers_[test.numbers[0]].push_back(condition);
      return;
    case Kind::kSpelling:
      spellings_.add(test.texts[0], condition);
      return;
    case Kind::kExists:
      present_.push_back(condition);
      return;
    case Kind::kAbsent:
      return;  // no value passes it
    case Kind::kPrefix:
      fronts_.add(test.texts[0], condition);
      return;
    case Kind::kSuffix:
      backs_.add(backwards(test.texts[0]), condition);
      return;
    case Kind::kWildcard: {
      std::string reason;
      wildcards_.emplace_back(*Wildcard::parse(test.texts[0], reason), condition);
      wildcards_indexed_ = false;
      return;
    }
    case Kind::kRange:
      ranges_.emplace_back(NumberRange::of(test), condition);
      return;
    case Kind::kAddress:
    case Kind::kBlock: {
      const std::uint32_t bottom = front_of(test.block.bottom);
      block_fronts_.push_back({bottom, front_of(test.block.top) - bottom});
      blocks_.push_back({test.block, condition});
      return;
    }
    default:
      break;
  }
  if (SingleTest::is_one(test)) {
    singles_.emplace_back(SingleTest(test), condition);
  } else if (test.kind == Kind::kIgnoreCase) {
    folded_texts_.add(in_lower_case(test.texts[0]), condition);
  } else if (test.kind == Kind::kPrefixIgnoreCase) {
    folded_fronts_.add(in_lower_case(test.texts[0]), condition);
  } else {
    WEIR_ASSERT(test.kind == Kind::kSuffixIgnoreCase);
    folded_backs_.add(backwards(in_lower_case(test.texts[0])), condition);
  }
}

void FieldTests::read_for(const Test& test) {
  reads_numbers_ =
      reads_numbers_ || test.kind == Kind::kNumber || test.kind == Kind::kRange || test.kind == Kind::kButNumbers;
  reads_addresses_ = reads_addresses_ || test.kind == Kind::kAddress || test.kind == Kind::kBlock;
}

Scalar FieldTests::read(Scalar::Kind kind, std::string_view text) const {
  Scalar out{.kind = kind, .text = text};
  if (reads_numbers_ && kind == Scalar::Kind::kNumber) out.number = comparable_number(text);
  if (reads_addresses_ && kind == Scalar::Kind::kString) out.address = parse_address(text);
  return out;
}

/// A wildcard is looked for by that part of it which the fewest others have: what they begin and end with is often the
/// same ("arn:aws:s3:::*.csv").
void FieldTests::index_wildcards() {
  std::unordered_map<std::string_view, std::uint32_t> users;
  for (const auto& [wildcard, condition] : wildcards_) {
    for (const std::string& part : wildcard.parts()) ++users[part];
  }
  wildcard_parts_ = {};
  for (std::uint32_t i = 0; i < wildcards_.size(); ++i) {
    std::string_view best;
    for (const std::string& part : wildcards_[i].first.parts()) {
      if (part.empty()) continue;
      if (best.empty() || users[part] < users[best] || (users[part] == users[best] && part.size() > best.size()))
        best = part;
    }
    wildcard_parts_.add(best, i);
  }
  wildcards_indexed_ = true;
}

void FieldTests::match_string(const Scalar& value, std::vector<std::uint32_t>& passed) {
  const std::string_view text = value.text;
  const auto passes = [&](std::uint32_t condition) { passed.push_back(condition); };
  if (!texts_.empty()) texts_.match(text, passed);
  if (!fronts_.empty()) fronts_.each_front(text.begin(), text.end(), passes);
  if (!backs_.empty()) backs_.each_front(text.rbegin(), text.rend(), passes);
  if (!folded_texts_.empty() || !folded_fronts_.empty() || !folded_backs_.empty()) {
    lower_.assign(text);
    std::ranges::transform(lower_, lower_.begin(), ascii_lower);
    folded_texts_.match(lower_, passed);
    folded_fronts_.each_front(lower_.begin(), lower_.end(), passes);
    folded_backs_.each_front(lower_.rbegin(), lower_.rend(), passes);
  }
  if (!wildcards_.empty()) {
    if (!wildcards_indexed_) index_wildcards();
    wildcard_parts_.each_inside(text, [&](std::uint32_t number) {
      if (wildcards_[number].first.matches(text)) passed.push_back(wildcards_[number].second);
    });
  }
  if (value.address && !blocks_.empty()) {
    const std::uint32_t front = front_of(*value.address);
    for (std::size_t i = 0; i < blocks_.size(); ++i) {
      if (front - block_fronts_[i].bottom <= block_fronts_[i].span && blocks_[i].addresses.holds(*value.address))
        passed.push_back(blocks_[i].condition);
    }
  }
}

void FieldTests::match(const Scalar& value, std::vector<std::uint32_t>& passed) {
  append(passed, present_);
  switch (value.kind) {
    case Scalar::Kind::kString:
      match_string(value, passed);
      break;
    case Scalar::Kind::kNumber:
      if (value.number) {
        if (const auto found = numbers_.find(*value.number); found != numbers_.end()) append(passed, found->second);
        for (const auto& [range, condition] : ranges_) {
          if (range.holds(*value.number)) passed.push_back(condition);
        }
      }
      if (!spellings_.empty()) spellings_.match(value.text, passed);
      break;
    default:
      append(passed, words_[static_cast<int>(value.kind) - static_cast<int>(Scalar::Kind::kTrue)]);
  }
  for (const auto& [test, condition] : singles_) {
    if (test.passes(value)) passed.push_back(condition);
  }
}

}  // namespace weir::pattern
