#include "pattern/sns_policy.h"

#include <string>

#include "weir/base/json_check.h"
#include "weir/base/json_writer.h"

#include "pattern/pattern_reader.h"
#include "pattern/pattern_set.h"

namespace weir::pattern {
namespace {

using Token = PatternReader::Token;

/// Passes over the value whose first token was read.
void skip_value(PatternReader& in) {
  std::size_t open = 0;
  for (;; in.next()) {
    if (in.token() == Token::kBeginObject || in.token() == Token::kBeginArray) ++open;
    if (in.token() == Token::kEndObject || in.token() == Token::kEndArray) --open;
    if (open == 0) return;
  }
}

/// Behind the brace of an attribute: gives it to the set, if it is of a type that policies look at.
void read_attribute(PatternReader& in, const std::string& name, PatternSet& set) {
  std::string type;
  std::string value;
  bool has_value = false;
  while (in.next() != Token::kEndObject) {
    const std::string key = in.name();
    if (in.next() != Token::kString) {
      skip_value(in);
    } else if (key == "Type" || key == "DataType") {
      type = in.text();
    } else if (key == "Value" || key == "StringValue") {
      value = in.text();
      has_value = true;
    }
  }
  // A type may have a label behind it ("Number.int"); String.Array is one of its own.
  const std::string_view base = std::string_view(type).substr(0, type.find('.'));
  if (!has_value || base == "Binary") return;
  if (type == "String.Array") {
    // Text that is no JSON array never passes, but it is there no more than an attribute that is missing.
    if (value.find_first_not_of(" \t\r\n") != std::string::npos && value[value.find_first_not_of(" \t\r\n")] == '[' &&
        is_json(value))
      set.member(name, value);
  } else if (base == "Number") {
    if (is_json(value)) set.member(name, value);
  } else {
    set.text(name, value);
  }
}

void read_attributes(std::string_view message, PatternSet& set) {
  PatternReader in(message);
  in.next();
  while (in.next() != Token::kEndObject) {
    const std::string name = in.name();
    switch (in.next()) {
      case Token::kBeginObject:
        read_attribute(in, name, set);
        break;
      case Token::kBeginArray: {
        std::string array = "[";
        while (in.next() != Token::kEndArray) {
          if (in.token() == Token::kBeginObject || in.token() == Token::kBeginArray) {
            skip_value(in);
            continue;
          }
          const bool text = in.token() == Token::kString;
          if (array.size() > 1) array += ',';
          if (text) array += '"';
          text ? append_json_escaped(array, in.text()) : static_cast<void>(array += in.text());
          if (text) array += '"';
        }
        set.member(name, array + "]");
        break;
      }
      case Token::kString:
        set.text(name, in.text());
        break;
      default:
        set.member(name, in.text());
    }
  }
}

bool is_object(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && text[first] == '{' && is_json(text);
}

}  // namespace

Result<bool> sns_policy_matches(std::string_view policy, PolicyScope scope, std::string_view message) {
  const bool attributes = scope == PolicyScope::kMessageAttributes;
  PatternSet set;
  if (auto added = set.add(0, policy, attributes ? Dialect::kSnsAttributes : Dialect::kSnsBody); !added)
    return added.error();
  if (!attributes) {
    const auto matched = set.match(message);
    return matched && !matched->empty();
  }
  if (!is_object(message))
    return Error(ErrorCode::kEventRefused, "Invalid parameter: MessageAttributes: not a JSON object of attributes");
  set.begin();
  read_attributes(message, set);
  return !set.finish().empty();
}

}  // namespace weir::pattern
