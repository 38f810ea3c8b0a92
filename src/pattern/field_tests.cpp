#include "pattern/field_tests.h"

#include "pattern/number.h"

namespace weir::pattern {
namespace {

std::string in_lower_case(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), ascii_lower);
  return out;
}

std::string backwards(std::string_view text) {
  return {text.rbegin(), text.rend()};
}

void append(std::vector<std::uint32_t>& out, const std::vector<std::uint32_t>& more) {
  out.insert(out.end(), more.begin(), more.end());
}

}  // namespace

void FieldTests::Trie::add(std::string_view key, Entry entry) {
  std::uint32_t at = 0;
  for (const char c : key) {
    const auto next = std::ranges::find(nodes_[at].next, c, &Node::Step::first);
    if (next != nodes_[at].next.end()) {
      at = next->second;
      continue;
    }
    const auto made = static_cast<std::uint32_t>(nodes_.size());
    nodes_[at].next.emplace_back(c, made);
    nodes_.emplace_back();
    at = made;
  }
  nodes_[at].entries.push_back(entry);
}

void FieldTests::add(const Test& test, std::uint32_t condition) {
  using Kind = Test::Kind;
  const auto text = [&]() -> const std::string& { return test.texts[0]; };
  const bool ascii = !test.texts.empty() && is_ascii(text());
  switch (test.kind) {
    case Kind::kText:
      texts_[text()].push_back(condition);
      return;
    case Kind::kWord:
      words_[text() == "true" ? 0 : text() == "false" ? 1 : 2].push_back(condition);
      return;
    case Kind::kNumber:
      numbers_[test.numbers[0]].push_back(condition);
      numeric_ = true;
      return;
    case Kind::kSpelling:
      spellings_[text()].push_back(condition);
      return;
    case Kind::kAddress:
    case Kind::kBlock:
      blocks_.emplace_back(test.block, condition);
      return;
    case Kind::kPrefix:
      fronts_.add(text(), {condition, -1});
      return;
    case Kind::kSuffix:
      backs_.add(backwards(text()), {condition, -1});
      return;
    case Kind::kIgnoreCase:
      if (ascii) {
        folded_texts_[in_lower_case(text())].push_back(condition);
      } else {
        folded_.push_back({FoldedText(text()), test.kind, condition});
      }
      return;
    case Kind::kPrefixIgnoreCase:
      if (ascii) {
        folded_fronts_.add(in_lower_case(text()), {condition, -1});
      } else {
        folded_.push_back({FoldedText(text()), test.kind, condition});
      }
      return;
    case Kind::kSuffixIgnoreCase:
      if (ascii) {
        folded_backs_.add(backwards(in_lower_case(text())), {condition, -1});
      } else {
        folded_.push_back({FoldedText(text()), test.kind, condition});
      }
      return;
    case Kind::kWildcard: {
      std::string reason;
      wildcards_.push_back(*Wildcard::parse(text(), reason));
      fronts_.add(wildcards_.back().front(), {condition, static_cast<std::int32_t>(wildcards_.size()) - 1});
      return;
    }
    case Kind::kRange:
      ranges_.push_back({test.numbers[0], test.numbers[1], test.bottom_open, test.top_open, condition});
      numeric_ = true;
      return;
    case Kind::kExists:
      present_.push_back(condition);
      return;
    case Kind::kAbsent:
      return;  // no value passes it
    case Kind::kButTexts:
    case Kind::kButNumbers:
    case Kind::kButPrefix:
    case Kind::kButSuffix:
    case Kind::kButIgnoreCase:
    case Kind::kButWildcard: {
      Exclusion exclusion{.kind = test.kind, .texts = test.texts, .numbers = test.numbers, .condition = condition};
      std::ranges::sort(exclusion.texts);
      std::ranges::sort(exclusion.numbers);
      if (test.kind == Kind::kButIgnoreCase) {
        for (const std::string& each : test.texts) exclusion.folded.emplace_back(each);
      } else if (test.kind == Kind::kButWildcard) {
        std::string reason;
        for (const std::string& each : test.texts) exclusion.wildcards.push_back(*Wildcard::parse(each, reason));
      }
      numeric_ = numeric_ || test.kind == Kind::kButNumbers;
      exclusions_.push_back(std::move(exclusion));
      return;
    }
  }
}

bool FieldTests::excludes(const Exclusion& exclusion, const Scalar& value, const std::optional<double>& number) {
  if (exclusion.kind == Test::Kind::kButNumbers)
    return number && std::ranges::binary_search(exclusion.numbers, *number);
  if (value.kind != Scalar::Kind::kString) return false;
  const std::string_view text = value.text;
  switch (exclusion.kind) {
    case Test::Kind::kButTexts:
      return std::ranges::binary_search(exclusion.texts, text, std::less<>());
    case Test::Kind::kButPrefix:
      return std::ranges::any_of(exclusion.texts, [&](const std::string& each) { return text.starts_with(each); });
    case Test::Kind::kButSuffix:
      return std::ranges::any_of(exclusion.texts, [&](const std::string& each) { return text.ends_with(each); });
    case Test::Kind::kButIgnoreCase:
      return std::ranges::any_of(exclusion.folded, [&](const FoldedText& each) { return each.equals(text); });
    default:
      return std::ranges::any_of(exclusion.wildcards, [&](const Wildcard& each) { return each.matches(text); });
  }
}

void FieldTests::match_string(std::string_view text, std::vector<std::uint32_t>& passed) {
  if (!texts_.empty()) {
    if (const auto found = texts_.find(text); found != texts_.end()) append(passed, found->second);
  }
  if (!fronts_.empty()) {
    fronts_.walk(text.begin(), text.end(), [&](const Entry& entry) {
      if (entry.wildcard < 0 || wildcards_[static_cast<std::size_t>(entry.wildcard)].matches(text))
        passed.push_back(entry.condition);
    });
  }
  const auto plainly = [&](const Entry& entry) { passed.push_back(entry.condition); };
  if (!backs_.empty()) backs_.walk(text.rbegin(), text.rend(), plainly);
  if (!folded_texts_.empty() || !folded_fronts_.empty() || !folded_backs_.empty()) {
    lower_.assign(text);
    std::ranges::transform(lower_, lower_.begin(), ascii_lower);
    if (const auto found = folded_texts_.find(std::string_view(lower_)); found != folded_texts_.end())
      append(passed, found->second);
    folded_fronts_.walk(lower_.begin(), lower_.end(), plainly);
    folded_backs_.walk(lower_.rbegin(), lower_.rend(), plainly);
  }
  for (const Folded& folded : folded_) {
    const bool passes = folded.kind == Test::Kind::kIgnoreCase         ? folded.text.equals(text)
                        : folded.kind == Test::Kind::kPrefixIgnoreCase ? folded.text.begins(text)
                                                                       : folded.text.ends(text);
    if (passes) passed.push_back(folded.condition);
  }
  if (!blocks_.empty()) {
    if (const auto address = parse_address(text)) {
      for (const auto& [block, condition] : blocks_) {
        if (block.holds(*address)) passed.push_back(condition);
      }
    }
  }
}

void FieldTests::match(const Scalar& value, std::vector<std::uint32_t>& passed) {
  append(passed, present_);
  std::optional<double> number;
  switch (value.kind) {
    case Scalar::Kind::kString:
      match_string(value.text, passed);
      break;
    case Scalar::Kind::kNumber:
      if (numeric_) number = comparable_number(value.text);
      if (number) {
        if (const auto found = numbers_.find(*number); found != numbers_.end()) append(passed, found->second);
        for (const Range& range : ranges_) {
          if ((range.bottom < *number || (range.bottom == *number && !range.bottom_open)) &&
              (*number < range.top || (*number == range.top && !range.top_open))) {
            passed.push_back(range.condition);
          }
        }
      }
      if (!spellings_.empty()) {
        if (const auto found = spellings_.find(value.text); found != spellings_.end()) append(passed, found->second);
      }
      break;
    default:
      append(passed, words_[static_cast<int>(value.kind) - static_cast<int>(Scalar::Kind::kTrue)]);
  }
  for (const Exclusion& exclusion : exclusions_) {
    if (!excludes(exclusion, value, number)) passed.push_back(exclusion.condition);
  }
}

}  // namespace weir::pattern
