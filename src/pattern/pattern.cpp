#include "pattern/pattern.h"

#include <algorithm>
#include <array>
#include <limits>
#include <map>
#include <optional>
#include <set>

#include "weir/base/bytes.h"
#include "weir/base/json_check.h"

#include "pattern/number.h"
#include "pattern/pattern_reader.h"
#include "pattern/wildcard.h"

namespace weir::pattern {
namespace {

using Token = PatternReader::Token;

/// What is wrong with a pattern, thrown through the compiler below and caught by Pattern::compile().
struct Refused {
  std::string reason;
};

/// Names that a field may not have inside of `$or`, because AWS keeps them for operators.
constexpr std::array<std::string_view, 24> kReserved{"exactly",
                                                     "equals-ignore-case",
                                                     "prefix",
                                                     "suffix",
                                                     "anything-but",
                                                     "exists",
                                                     "wildcard",
                                                     "numeric",
                                                     "cidr",
                                                     "=",
                                                     "<",
                                                     "<=",
                                                     ">",
                                                     ">=",
                                                     "regex",
                                                     "not-wildcard",
                                                     "not-equals-ignore-case",
                                                     "date-after",
                                                     "date-on-or-after",
                                                     "date-before",
                                                     "date-on-or-before",
                                                     "in-date-range",
                                                     "ip-address-in-range",
                                                     "ip-address-not-in-range"};

/// Reads a pattern in the order of AWS's JsonRuleCompiler, so that of several mistakes the same one is reported, with
/// the same words and the same place.
class Compiler {
 public:
  Compiler(std::string_view text, Dialect dialect) : in_(text), dialect_(dialect) {}

  std::vector<Branch> run() {
    if (in_.next() != Token::kBeginObject) refuse("Filter is not an object");
    Paths branches;
    object(branches, {}, 0, kPlain);
    in_.next();  // throws when something stands behind it
    if (is_policy()) check_policy(branches);
    std::vector<Branch> out;
    for (auto& fields : branches) {
      if (fields.size() > kMaxPatternFields)
        throw Refused{"Size of rule exceeds max value of " + std::to_string(kMaxPatternFields)};
      Branch branch;
      for (auto& [path, field] : fields) branch.push_back({path, field.tests});
      out.push_back(std::move(branch));
    }
    check_wildcards(out);
    return out;
  }

 private:
  struct Field {
    std::shared_ptr<const std::vector<Test>> tests;
    std::size_t depth = 1;  ///< how many objects it stands in, for the limits of SNS
  };
  using Paths = std::vector<std::map<std::string, Field>>;
  enum Place { kPlain, kInsideOr };

  bool is_policy() const { return dialect_ == Dialect::kSnsAttributes || dialect_ == Dialect::kSnsBody; }

  [[noreturn]] void refuse(const std::string& reason) const { throw Refused{reason + "\n at " + in_.place()}; }

  static std::string join(const std::string& base, const std::string& step) {
    return base.empty() ? step : base + "." + step;
  }

  void object(Paths& branches, const std::string& path, std::size_t depth, Place where) {
    bool any = false;
    while (in_.next() != Token::kEndObject) {
      any = true;
      const std::string step = in_.name();
      if (step == "$or") {
        either(branches, path, depth);
        continue;
      }
      if (where == kInsideOr && std::ranges::find(kReserved, step) != kReserved.end())
        refuse(step + " is Ruler reserved fieldName which cannot be used inside $or.");
      switch (in_.next()) {
        case Token::kBeginObject:
          if (dialect_ == Dialect::kSnsAttributes)
            throw Refused{"Filter policy scope MessageAttributes does not support nested filter policy"};
          object(branches, join(path, step), depth + 1, where);
          break;
        case Token::kBeginArray: {
          const Field field{std::make_shared<const std::vector<Test>>(tests()), depth + 1};
          // A policy may be long. With too many keys it is refused at its end, and not multiplied any more till then.
          if (policy_keys_.size() > kMaxSnsKeys) break;
          const std::string full = join(path, step);
          if (is_policy()) policy_keys_.insert(full);
          if (branches.empty()) branches.emplace_back();
          for (auto& branch : branches) branch[full] = field;
          break;
        }
        default:
          refuse("\"" + step + "\" must be an object or an array");
      }
    }
    if (!any) refuse("Empty objects are not allowed");
  }

  void either(Paths& branches, const std::string& path, std::size_t depth) {
    const Paths before = std::move(branches);
    branches.clear();
    if (in_.next() != Token::kBeginArray) refuse("It must be an Array followed with $or.");
    std::size_t count = 0;
    while (in_.next() != Token::kEndArray) {
      ++count;
      if (in_.token() != Token::kBeginObject) refuse("Only JSON object is allowed in array of $or relationship.");
      Paths with = before;
      if (with.empty()) with.emplace_back();
      object(with, path, depth, kInsideOr);
      std::ranges::move(with, std::back_inserter(branches));
      // Each branch is a combination at least.
      if (is_policy() && branches.size() > kMaxSnsCombinations) refuse_policy();
      if (branches.size() > kMaxOrCombinations) {
        throw Refused{"Too many combinations of $or: more than " + std::to_string(kMaxOrCombinations)};
      }
    }
    if (count < 2) refuse("There must have at least 2 Objects in $or relationship.");
  }

  std::vector<Test> tests() {
    std::vector<Test> out;
    while (in_.next() != Token::kEndArray) {
      switch (in_.token()) {
        case Token::kBeginObject:
          out.push_back(expression());
          break;
        case Token::kString: {
          const std::string& text = in_.text();
          if (const auto address = parse_address(text)) {
            out.push_back({.kind = Test::Kind::kAddress, .block = AddressBlock::of(*address)});
          } else {
            out.push_back({.kind = Test::Kind::kText, .texts = {text}});
          }
          break;
        }
        case Token::kNumber:
          if (const auto number = comparable_number(in_.text())) {
            out.push_back({.kind = Test::Kind::kNumber, .numbers = {*number}});
          } else {
            out.push_back({.kind = Test::Kind::kSpelling, .texts = {in_.text()}});
          }
          break;
        case Token::kTrue:
        case Token::kFalse:
        case Token::kNull:
          out.push_back({.kind = Test::Kind::kWord, .texts = {in_.text()}});
          break;
        default:
          refuse("Match value must be String, number, true, false, or null");
      }
    }
    if (out.empty()) refuse("Empty arrays are not allowed");
    return out;
  }

  std::string operand(const std::string& complaint) {
    if (in_.token() != Token::kString) refuse(complaint);
    return in_.text();
  }

  void end_of_expression(std::string_view complaint = "Only one key allowed in match expression") {
    if (in_.next() != Token::kEndObject) refuse(std::string(complaint));
  }

  Test expression() {
    if (in_.next() != Token::kName) refuse("Match expression name not found");
    const std::string name = in_.name();
    if (name == "numeric") return numeric();
    if (name == "anything-but") return anything_but();
    if (name == "exists") {
      const Token truth = in_.next();
      if (truth != Token::kTrue && truth != Token::kFalse) refuse("exists match pattern must be either true or false.");
      end_of_expression();
      return {.kind = truth == Token::kTrue ? Test::Kind::kExists : Test::Kind::kAbsent};
    }
    if (name == "prefix" || name == "suffix") return affix(name);
    if (name == "exactly") return texts(Test::Kind::kText, "exact");
    if (name == "equals-ignore-case") return texts(Test::Kind::kIgnoreCase, name);
    if (name == "wildcard") {
      in_.next();
      Test test{.kind = Test::Kind::kWildcard, .texts = {operand("wildcard match pattern must be a string")}};
      check_wildcard(test.texts[0]);
      end_of_expression();
      return test;
    }
    if (name == "cidr") {
      in_.next();
      // AWS says "prefix" here too.
      const std::string text = operand("prefix match pattern must be a string");
      std::string reason;
      const auto block = parse_block(text, reason);
      if (!block) throw Refused{reason};
      end_of_expression();
      return {.kind = Test::Kind::kBlock, .block = *block};
    }
    refuse("Unrecognized match type " + name);
  }

  Test texts(Test::Kind kind, const std::string& name) {
    in_.next();
    Test test{.kind = kind, .texts = {operand(name + " match pattern must be a string")}};
    end_of_expression();
    return test;
  }

  Test affix(const std::string& name) {
    const bool prefix = name == "prefix";
    if (in_.next() != Token::kBeginObject) {
      Test test{.kind = prefix ? Test::Kind::kPrefix : Test::Kind::kSuffix,
                .texts = {operand(name + " match pattern must be a string")}};
      end_of_expression();
      return test;
    }
    if (in_.next() != Token::kName)
      refuse(prefix ? "Prefix expression name not found" : "Suffix expression name not found");
    if (in_.name() != "equals-ignore-case") refuse("Unsupported " + name + " pattern: " + in_.name());
    Test test = texts(prefix ? Test::Kind::kPrefixIgnoreCase : Test::Kind::kSuffixIgnoreCase, "equals-ignore-case");
    end_of_expression();
    return test;
  }

  void check_wildcard(const std::string& text) {
    std::string reason;
    if (!Wildcard::parse(text, reason)) refuse(reason);
  }

  Test numeric() {
    constexpr double kMost = std::numeric_limits<double>::max();
    if (in_.next() != Token::kBeginArray) refuse("Value of numeric must be an array.");
    if (in_.next() != Token::kString) refuse("Invalid member in numeric match: " + in_.text());
    const std::string operation = in_.text();
    in_.next();
    // AWS's compiler compares when it has seen the end of the array, and so do we: its complaints come in that order.
    const auto bound = [this](const std::string& name) {
      if (in_.token() != Token::kNumber) refuse("Value of " + name + " must be numeric");
      return in_.text();
    };
    const auto last = [this] {
      if (in_.next() != Token::kEndArray) refuse("Too many elements in numeric expression");
    };
    Test test{.kind = Test::Kind::kRange};
    if (operation == "=") {
      const std::string number = bound("equals");
      last();
      test = {.kind = Test::Kind::kNumber, .numbers = {comparable(number)}};
    } else if (operation == "<" || operation == "<=") {
      const std::string top = bound(operation);
      last();
      test.numbers = {-kMost, comparable(top)};
      test.top_open = operation == "<";
    } else if (operation == ">" || operation == ">=") {
      const std::string bottom = bound(operation);
      test.bottom_open = operation == ">";
      if (in_.next() == Token::kEndArray) {
        test.numbers = {comparable(bottom), kMost};
      } else {
        if (in_.token() != Token::kString) refuse("Bad value in numeric range: " + in_.text());
        const std::string other = in_.text();
        if (other != "<" && other != "<=") refuse("Bad numeric range operator: " + other);
        test.top_open = other == "<";
        in_.next();
        const std::string top = bound(other);
        if (in_.next() != Token::kEndArray) refuse("Too many terms in numeric range expression");
        test.numbers = {comparable(bottom), comparable(top)};
        if (!(test.numbers[0] < test.numbers[1])) refuse("Bottom must be less than top");
      }
    } else {
      refuse("Unrecognized numeric range operator: " + operation);
    }
    end_of_expression("Too many elements in numeric expression");
    return test;
  }

  double comparable(const std::string& text) const {
    const auto number = comparable_number(text);
    if (!number) refuse("Cannot compare number : " + text);
    return *number;
  }

  Test anything_but() {
    constexpr std::string_view kTooMany = "Too many elements in numeric expression";
    Token value = in_.next();
    Test test{.kind = Test::Kind::kButTexts};
    const bool nested = value == Token::kBeginObject;
    if (nested) {
      if (in_.next() != Token::kName) refuse("Anything-But expression name not found");
      const std::string& name = in_.name();
      if (name == "equals-ignore-case") {
        test.kind = Test::Kind::kButIgnoreCase;
      } else if (name == "prefix") {
        test.kind = Test::Kind::kButPrefix;
      } else if (name == "suffix" && !is_policy()) {
        test.kind = Test::Kind::kButSuffix;
      } else if (name == "wildcard") {
        test.kind = Test::Kind::kButWildcard;
      } else {
        refuse("Unsupported anything-but pattern: " + name);
      }
      value = in_.next();
    }
    if (value != Token::kBeginArray && value != Token::kString && value != Token::kNumber)
      refuse("Value of anything-but must be an array or single string/number value.");
    if (value != Token::kBeginArray) {
      nested ? add_nested(test) : add_excluded(test);
    } else {
      while (in_.next() != Token::kEndArray) {
        // AWS's compiler catches what is wrong in the list and complains of it anew: such a sentence has its place
        // twice, and that of a number its only one.
        try {
          nested ? add_nested(test) : add_excluded(test);
        } catch (const Refused& wrong) {
          refuse(wrong.reason);
        }
      }
      if (!nested && test.texts.empty() == test.numbers.empty()) {
        refuse("Inside anything but list, either all values are number or string, mixed type is not supported");
      }
    }
    if (!nested && !test.numbers.empty()) test.kind = Test::Kind::kButNumbers;
    if (test.kind == Test::Kind::kButWildcard) {
      for (const std::string& text : test.texts) check_wildcard(text);
    }
    end_of_expression(kTooMany);
    if (nested) end_of_expression(kTooMany);
    return test;
  }

  void add_excluded(Test& test) {
    if (in_.token() == Token::kString) {
      test.texts.push_back(in_.text());
    } else if (in_.token() == Token::kNumber) {
      const auto number = comparable_number(in_.text());
      if (!number) throw Refused{"Cannot compare number : " + in_.text()};
      test.numbers.push_back(*number);
    } else {
      refuse("Inside anything but list, start|null|boolean is not supported.");
    }
  }

  void add_nested(Test& test) {
    const bool affixed = test.kind == Test::Kind::kButPrefix || test.kind == Test::Kind::kButSuffix;
    if (in_.token() != Token::kString) {
      if (test.kind == Test::Kind::kButIgnoreCase)
        refuse("Inside anything-but/equals-ignore-case list, number|start|null|boolean is not supported.");
      refuse(affixed ? "prefix/suffix match pattern must be a string" : "wildcard match pattern must be a string");
    }
    const std::string& text = in_.text();
    if (affixed && text.empty()) refuse("Null prefix/suffix not allowed");
    test.texts.push_back(text);
  }

  /// The wildcards of one field are weighed together, as event-ruler does with those of a rule.
  static void check_wildcards(const std::vector<Branch>& branches) {
    std::set<const void*> seen;
    for (const Branch& branch : branches) {
      for (const Condition& condition : branch) {
        if (seen.insert(condition.tests.get()).second) check_wildcards(*condition.tests);
      }
    }
  }

  static void check_wildcards(const std::vector<Test>& tests) {
    std::vector<Wildcard> wildcards;
    for (const Test& test : tests) {
      if (test.kind != Test::Kind::kWildcard && test.kind != Test::Kind::kButWildcard) continue;
      std::string reason;
      for (const std::string& text : test.texts) wildcards.push_back(*Wildcard::parse(text, reason));
    }
    if (wildcard_ways(wildcards, kMaxWildcardWays) > kMaxWildcardWays) {
      throw Refused{
          "Rule is too complex - try using fewer wildcard characters or fewer repeating character sequences after a "
          "wildcard character"};
    }
  }

  /// The limits of a subscription. Combinations: the fields' numbers of values multiplied, each by how deep it stands;
  /// the branches of `$or` are added.
  void check_policy(const Paths& branches) const {
    std::size_t combinations = 0;
    for (const auto& fields : branches) {
      std::size_t product = 1;
      for (const auto& [path, field] : fields)
        product = std::min(product * field.tests->size() * field.depth, kMaxSnsCombinations + 1);
      combinations += product;
    }
    if (policy_keys_.size() > kMaxSnsKeys || combinations > kMaxSnsCombinations) refuse_policy();
  }

  [[noreturn]] void refuse_policy() const {
    if (policy_keys_.size() > kMaxSnsKeys)
      throw Refused{"Filter policy can not have more than " + std::to_string(kMaxSnsKeys) + " keys"};
    throw Refused{"Filter policy is too complex"};
  }

  PatternReader in_;
  Dialect dialect_;
  std::set<std::string> policy_keys_;  ///< of an SNS policy, one more than the limit at most
};

std::string_view beginning(Dialect dialect) {
  switch (dialect) {
    case Dialect::kEventBridge:
      return "Event pattern is not valid. Reason: ";
    case Dialect::kMappingFilter:
      return "Invalid filter pattern definition. ";
    default:
      return "Invalid parameter: FilterPolicy: ";
  }
}

/// How many UTF-16 units the text has, which is how AWS counts characters.
std::size_t length_of(std::string_view text) {
  return static_cast<std::size_t>(
             std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80; })) +
         static_cast<std::size_t>(
             std::ranges::count_if(text, [](char c) { return static_cast<unsigned char>(c) >= 0xF0; }));
}

void replace_all(std::string& text, std::string_view what, std::string_view with) {
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size()))
    text.replace(at, what.size(), with);
}

/// Turns the place at the end of `words`, whose column counts bytes, into one that counts characters; `back` less.
void count_characters(std::string& words, std::string_view text, std::size_t back) {
  const std::size_t mark = words.rfind("; line: ");
  const std::size_t comma = words.find(", column: ", mark);
  if (mark == std::string::npos || comma == std::string::npos) return;
  std::size_t line = std::stoul(words.substr(mark + 8));
  std::size_t column = std::stoul(words.substr(comma + 10));
  std::size_t begin = 0;
  for (; line > 1; --line) begin = std::min(text.find('\n', begin), text.size() - 1) + 1;
  column = std::max<std::size_t>(1, length_of(text.substr(begin, column - 1)) + 1 - std::min(back, column));
  words.replace(comma, std::string::npos, ", column: " + std::to_string(column) + "]");
}

/// Jackson's words, as its reader of characters says them, with the source that AWS shows. json_complaint() speaks as
/// the reader of bytes, by which Lambda reads payloads.
std::string complaint(std::string_view text) {
  std::string words = json_complaint(text);
  if (!is_utf8(text) || text.empty()) return words;
  const bool at_character = words.starts_with("Unexpected character") || words.starts_with("Unexpected close marker");
  count_characters(words, text, at_character ? 1 : 0);
  replace_all(words, "Unexpected end-of-input: was expecting closing '\"' for name",
              "Unexpected end-of-input in field name");
  replace_all(words, "Unexpected end-of-input in VALUE_STRING",
              "Unexpected end-of-input: was expecting closing quote for a string value");
  replace_all(words, "REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled)", PatternReader::source(text));
  return words;
}

}  // namespace

Result<Pattern> Pattern::compile(std::string_view text, Dialect dialect) {
  const bool sns = dialect == Dialect::kSnsAttributes || dialect == Dialect::kSnsBody;
  const auto refused = [&](const std::string& reason) {
    return Error(ErrorCode::kPatternInvalid, std::string(beginning(dialect)) + reason);
  };
  if (sns && text.size() > kMaxSnsBytes) return refused("Filter policy is too large");
  if (!sns && length_of(text) > kMaxPatternLength) {
    const std::string sentence =
        "1 validation error detected: Value at 'eventPattern' failed to satisfy constraint: Member "
        "must have length less than or equal to " +
        std::to_string(kMaxPatternLength);
    if (dialect == Dialect::kEventBridge) return Error(ErrorCode::kPatternInvalid, sentence);
    return refused("longer than " + std::to_string(kMaxPatternLength) + " characters");
  }
  try {
    return Pattern(Compiler(text, dialect).run());
  } catch (const Refused& wrong) {
    return refused(wrong.reason);
  } catch (const PatternReader::NotJson&) {
    return refused(complaint(text));
  }
}

}  // namespace weir::pattern
