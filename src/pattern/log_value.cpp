#include "pattern/log_value.h"

#include <cstring>

namespace weir::pattern {

StarText::StarText(std::string_view text) {
  parts_.emplace_back();
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '*') {
      parts_.back() += text[i];
    } else if (i == 0 || text[i - 1] != '*') {
      parts_.emplace_back();
    }
  }
}

bool StarText::matches(std::string_view value) const {
  if (parts_.size() == 1) return value == parts_[0];
  if (!value.starts_with(parts_.front())) return false;
  value.remove_prefix(parts_.front().size());
  if (!value.ends_with(parts_.back())) return false;
  value.remove_suffix(parts_.back().size());
  for (std::size_t i = 1; i + 1 < parts_.size(); ++i) {
    const void* at = memmem(value.data(), value.size(), parts_[i].data(), parts_[i].size());
    if (at == nullptr) return false;
    value.remove_prefix(static_cast<std::size_t>(static_cast<const char*>(at) - value.data()) + parts_[i].size());
  }
  return true;
}

bool holds(std::string_view text, std::string_view word) {
  return memmem(text.data(), text.size(), word.data(), word.size()) != nullptr;
}

namespace {

bool compares(const Decimal& value, LogOperator op, const Decimal& with) {
  const auto order = value <=> with;
  switch (op) {
    case LogOperator::kEqual:
      return order == 0;
    case LogOperator::kNotEqual:
      return order != 0;
    case LogOperator::kLess:
      return order < 0;
    case LogOperator::kLessOrEqual:
      return order <= 0;
    case LogOperator::kGreater:
      return order > 0;
    case LogOperator::kGreaterOrEqual:
      return order >= 0;
  }
  return false;
}

/// Only = and != are left: an order is asked of numbers alone.
bool said(bool equal, LogOperator op) {
  return op == LogOperator::kEqual ? equal : op == LogOperator::kNotEqual && !equal;
}

}  // namespace

bool text_passes(const LogScalar& value, LogOperator op, const LogOperand& operand) {
  switch (operand.kind) {
    case LogOperand::Kind::kText:
      return said(operand.text->matches(value.text), op);
    case LogOperand::Kind::kRegex:
      return said(operand.regex->found_in(value.text), op);
    case LogOperand::Kind::kNumber:
      break;
  }
  // What no double holds is compared with no number, not even for being another.
  if (value.json_number) return value.finite && compares(*value.number, op, *operand.number);
  return said(value.text == operand.literal, op);
}

bool field_passes(std::string_view field, LogOperator op, const LogOperand& operand) {
  if (operand.kind != LogOperand::Kind::kNumber) return text_passes({.text = field}, op, operand);
  const auto number = Decimal::parse(field);
  return number ? compares(*number, op, *operand.number) : said(false, op);
}

}  // namespace weir::pattern
