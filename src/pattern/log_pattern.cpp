#include "pattern/log_pattern.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <optional>
#include <set>
#include <variant>

#include "weir/base/bytes.h"
#include "weir/base/json_check.h"

#include "base/json_scanner.h"
#include "base/utf8.h"
#include "pattern/log_value.h"

namespace weir::pattern {
namespace {

constexpr std::string_view kInvalid = "Invalid metric filter pattern";

bool blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}
bool digit(char c) {
  return c >= '0' && c <= '9';
}
bool letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
/// Letters of any script; what is beyond ASCII is not told apart.
bool word_character(char c) {
  return letter(c) || digit(c) || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

/// Thrown within compile() alone.
struct Refusal {
  std::string sentence;
};

[[noreturn]] void refuse(std::string_view sentence = kInvalid) {
  throw Refusal{std::string(sentence)};
}
[[noreturn]] void refuse_term(std::string_view term) {
  throw Refusal{"Invalid character(s) in term '" + std::string(term) + "'"};
}

/// Conditions joined by && and ||. A leaf is a number that whoever has the conditions understands.
struct Node {
  enum class Kind { kLeaf, kAnd, kOr };
  Kind kind = Kind::kLeaf;
  std::size_t left = 0;  ///< a node's, or the leaf's number
  std::size_t right = 0;
};

class Tree {
 public:
  std::size_t add(Node node) {
    nodes_.push_back(node);
    return nodes_.size() - 1;
  }
  void set_root(std::size_t node) { root_ = node; }

  template <typename Leaf>
  bool holds(const Leaf& leaf) const {
    return holds(root_, leaf);
  }

 private:
  /// As deep as the pattern's 1024 characters go.
  template <typename Leaf>
  bool holds(std::size_t at, const Leaf& leaf) const {
    const Node& node = nodes_[at];
    if (node.kind == Node::Kind::kLeaf) return leaf(node.left);
    const bool left = holds(node.left, leaf);
    if (left == (node.kind == Node::Kind::kOr)) return left;
    return holds(node.right, leaf);
  }

  std::vector<Node> nodes_;
  std::size_t root_ = 0;
};

}  // namespace

/// Every message.
struct LogPattern::Any {};

class LogPattern::Terms {
 public:
  bool matches(std::string_view message) const {
    for (const std::string& term : required) {
      if (!holds(message, term)) return false;
    }
    for (const std::string& term : excluded) {
      if (holds(message, term)) return false;
    }
    // Beside any other term these have no effect.
    if (!required.empty() || !excluded.empty() || optional.empty()) return true;
    return std::ranges::any_of(optional, [&](const std::string& term) { return holds(message, term); });
  }

  std::vector<std::string> required;
  std::vector<std::string> excluded;
  std::vector<std::string> optional;
};

class LogPattern::Fields {
 public:
  struct Field {
    std::string name;  ///< "" of one without
    std::optional<Tree> conditions;
  };
  struct Condition {
    LogOperator op = LogOperator::kEqual;
    LogOperand operand;
  };

  std::vector<Field> fields;
  std::vector<Condition> conditions;  ///< of all fields
  std::optional<std::size_t> gap;     ///< how many fields stand in front of the three dots

  /// The message's fields, by name or number; nothing when it does not match.
  std::optional<std::vector<std::string_view>> split(std::string_view message) const {
    Splitter splitter(message);
    std::vector<std::string_view> found;
    if (gap) {
      while (auto field = splitter.next()) found.push_back(*field);
      if (found.size() < fields.size()) return std::nullopt;
    } else {
      while (found.size() + 1 < fields.size()) {
        const auto field = splitter.next();
        if (!field) return std::nullopt;
        found.push_back(*field);
      }
      splitter.skip_blanks();
      const std::string_view rest = splitter.rest();
      const auto field = splitter.next();
      if (!field) return std::nullopt;
      splitter.skip_blanks();
      found.push_back(splitter.rest().empty() ? *field : rest);
    }
    for (std::size_t i = 0; i < fields.size(); ++i) {
      if (!fields[i].conditions) continue;
      const std::string_view value = found[place(i, found.size())];
      const auto passes = [&](std::size_t leaf) {
        return field_passes(value, conditions[leaf].op, conditions[leaf].operand);
      };
      if (!fields[i].conditions->holds(passes)) return std::nullopt;
    }
    return found;
  }

  std::vector<std::pair<std::string, std::string>> named(std::string_view message) const {
    std::vector<std::pair<std::string, std::string>> out;
    const auto found = split(message);
    if (!found) return out;
    std::vector<const std::string*> names(found->size(), nullptr);
    for (std::size_t i = 0; i < fields.size(); ++i) names[place(i, found->size())] = &fields[i].name;
    for (std::size_t i = 0; i < found->size(); ++i) {
      const bool has_name = names[i] != nullptr && !names[i]->empty();
      out.emplace_back(has_name ? *names[i] : std::to_string(i + 1), (*found)[i]);
    }
    return out;
  }

 private:
  /// Takes a message apart at blanks, quotes and brackets.
  class Splitter {
   public:
    explicit Splitter(std::string_view text) : text_(text) {}

    void skip_blanks() {
      while (!text_.empty() && (text_[0] == ' ' || text_[0] == '\t')) text_.remove_prefix(1);
    }
    std::string_view rest() const { return text_; }

    std::optional<std::string_view> next() {
      skip_blanks();
      if (text_.empty()) return std::nullopt;
      if (text_[0] == '"') {
        if (auto field = enclosed('"', quotes_)) return field;
      } else if (text_[0] == '[') {
        if (auto field = enclosed(']', brackets_)) return field;
      }
      const std::string_view field = text_.substr(0, text_.find_first_of(" \t"));
      text_.remove_prefix(field.size());
      return field;
    }

   private:
    /// `more`: whether there may be another closing one. Without it each opening one would look for it to the end.
    std::optional<std::string_view> enclosed(char closing, bool& more) {
      if (!more) return std::nullopt;
      const std::size_t end = text_.find(closing, 1);
      if (end == std::string_view::npos) {
        more = false;
        return std::nullopt;
      }
      const std::string_view field = text_.substr(1, end - 1);
      text_.remove_prefix(end + 1);
      return field;
    }

    std::string_view text_;
    bool quotes_ = true;
    bool brackets_ = true;
  };

  /// Where a field of the pattern is among those of a message: behind the dots they count from the end.
  std::size_t place(std::size_t field, std::size_t found) const {
    return gap && field >= *gap ? found - (fields.size() - field) : field;
  }
};

class LogPattern::Json {
 public:
  struct Step {
    enum class Kind { kName, kIndex, kAll };
    Kind kind = Kind::kName;
    std::string name;
    std::size_t index = 0;

    auto operator<=>(const Step&) const = default;
  };
  using Path = std::vector<Step>;
  struct Condition {
    enum class Kind { kCompare, kIsNull, kIsTrue, kIsFalse, kNotExists };
    std::size_t path = 0;
    Kind kind = Kind::kCompare;
    LogOperator op = LogOperator::kEqual;
    LogOperand operand;
  };

  std::vector<Path> paths;
  std::vector<Condition> conditions;
  Tree tree;

  bool matches(std::string_view message) const {
    const std::string_view text = trimmed(message);
    if (text.empty() || text[0] != '{' || !is_json(text)) return false;
    return tree.holds([&](std::size_t leaf) { return passes(conditions[leaf], text); });
  }

 private:
  bool passes(const Condition& condition, std::string_view text) const {
    const Path& path = paths[condition.path];
    const auto all = std::ranges::find(path, Step::Kind::kAll, &Step::kind);
    const auto before = static_cast<std::size_t>(all - path.begin());
    const bool wildcard = all != path.end();
    const auto front = descend(text, path, 0, before);
    if (!wildcard) {
      if (condition.kind == Condition::Kind::kNotExists) return !front;
      if (!front) return false;
      return holds_for(condition, *front, true);
    }
    if (condition.kind == Condition::Kind::kCompare && condition.op == LogOperator::kNotEqual) {
      // None of them equals, and what is in front of the wildcard is there.
      if (!front) return false;
      Condition equal = condition;
      equal.op = LogOperator::kEqual;
      return !any_of(*front, path, before, [&](std::string_view value) { return holds_for(equal, value, false); });
    }
    if (condition.kind == Condition::Kind::kNotExists)
      return !front || !any_of(*front, path, before, [](std::string_view) { return true; });
    return front &&
           any_of(*front, path, before, [&](std::string_view value) { return holds_for(condition, value, false); });
  }

  /// Whether one of a container's values, each followed to the path's end, passes.
  template <typename Passes>
  static bool any_of(std::string_view container, const Path& path, std::size_t before, const Passes& passes) {
    return each(container, [&](const JsonScanner::Raw&, std::string_view value) {
      const auto found = descend(value, path, before + 1, path.size());
      return found && passes(*found);
    });
  }

  /// Calls `visit` with the members or elements of a value until it says true; false when it never did, or when the
  /// value has none. A member's name is "" of elements.
  template <typename Visit>
  static bool each(std::string_view value, const Visit& visit) {
    if (value[0] != '{' && value[0] != '[') return false;
    const bool object = value[0] == '{';
    JsonScanner scan(value);
    scan.take(value[0]);
    if (scan.peek() == (object ? '}' : ']')) return false;
    for (;;) {
      JsonScanner::Raw name;
      if (object) {
        scan.space();
        scan.string(name);
        scan.space();
        scan.take(':');
      }
      scan.space();
      const char* begin = scan.at();
      // It was checked as a whole, so it is known to be well-formed, and how deep it goes.
      if (!scan.skip(1)) return false;
      if (visit(name, std::string_view(begin, static_cast<std::size_t>(scan.at() - begin)))) return true;
      if (scan.peek() != ',') return false;
      scan.take(',');
    }
  }

  /// The value at the steps `from` to `to` of a path; of members that are there twice the last one.
  static std::optional<std::string_view> descend(std::string_view value, const Path& path, std::size_t from,
                                                 std::size_t to) {
    std::string decoded;
    for (std::size_t i = from; i < to; ++i) {
      const Step& step = path[i];
      if (value[0] != (step.kind == Step::Kind::kName ? '{' : '[')) return std::nullopt;
      std::optional<std::string_view> found;
      std::size_t index = 0;
      each(value, [&](const JsonScanner::Raw& name, std::string_view member) {
        if (step.kind == Step::Kind::kIndex) {
          if (index++ != step.index) return false;
          found = member;
          return true;
        }
        if (name.escapes) decode(name.text, decoded);
        if ((name.escapes ? std::string_view(decoded) : name.text) == step.name) found = member;
        return false;
      });
      if (!found) return std::nullopt;
      value = *found;
    }
    return value;
  }

  static bool holds_for(const Condition& condition, std::string_view value, bool lists) {
    switch (condition.kind) {
      case Condition::Kind::kIsTrue:
        return value == "true";
      case Condition::Kind::kIsFalse:
        return value == "false";
      case Condition::Kind::kIsNull:
        // A list that holds a null directly counts, unless a wildcard came upon it.
        return value == "null" || (lists && value[0] == '[' &&
                                   each(value, [](const auto&, std::string_view one) { return one == "null"; }));
      case Condition::Kind::kNotExists:
        return false;
      case Condition::Kind::kCompare:
        break;
    }
    if (value[0] == '"') {
      const std::string_view inside = value.substr(1, value.size() - 2);
      if (inside.find('\\') == std::string_view::npos)
        return text_passes({.text = inside}, condition.op, condition.operand);
      std::string decoded;
      decode(inside, decoded);
      return text_passes({.text = decoded}, condition.op, condition.operand);
    }
    if (value[0] != '-' && !digit(value[0])) return false;
    LogScalar number;
    number.json_number = true;
    std::string java;
    if (value.find_first_of(".eE") == std::string_view::npos) {
      java = value == "-0" ? "0" : value;
      number.number = Decimal::parse(value);
    } else {
      // As Jackson reads it: a fraction or an exponent makes it a double. Underflow is zero; from_chars says only that
      // it is out of range.
      double read = 0;
      const auto result = std::from_chars(value.data(), value.data() + value.size(), read);
      if (result.ec == std::errc::result_out_of_range) {
        const auto exact = Decimal::parse(value);
        const bool huge =
            exact ? exact->exponent > 0
                  : value.find("e-") == std::string_view::npos && value.find("E-") == std::string_view::npos;
        read = huge ? HUGE_VAL : 0.0;
        if (value[0] == '-') read = -read;
      }
      number.finite = std::isfinite(read);
      java = java_text(read);
      if (number.finite) number.number = Decimal::of(read);
    }
    number.text = java;
    return text_passes(number, condition.op, condition.operand);
  }

  static std::uint32_t hex4(std::string_view text) {
    std::uint32_t value = 0;
    std::from_chars(text.data(), text.data() + std::min<std::size_t>(4, text.size()), value, 16);
    return value;
  }

  /// The characters that a well-formed string's inside stands for.
  static void decode(std::string_view text, std::string& out) {
    out.clear();
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '\\') {
        out += text[i];
        continue;
      }
      const char c = text[++i];
      constexpr std::string_view kNames = "bfnrt";
      constexpr std::string_view kMeant = "\b\f\n\r\t";
      if (c != 'u') {
        const std::size_t named = kNames.find(c);
        out += named == std::string_view::npos ? c : kMeant[named];
        continue;
      }
      std::uint32_t unit = hex4(text.substr(i + 1));
      i += 4;
      if (unit >= 0xD800 && unit < 0xDC00 && text.substr(i + 1).starts_with("\\u")) {
        const std::uint32_t low = hex4(text.substr(i + 3));
        if (low >= 0xDC00 && low < 0xE000) {
          unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
          i += 6;
        }
      }
      append_utf8(out, unit);
    }
  }
};

struct LogPattern::Compiled {
  std::variant<Any, Terms, Fields, Json, LogRegex> what;
  std::size_t regexes = 0;
  std::vector<std::string> needles;
};

/// Reads a pattern; refuses by throwing, which ends in compile().
class LogPattern::Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  void read(Compiled& out) {
    if (text_.empty()) {
      out.what = Any();
      return;
    }
    switch (text_[0]) {
      case '{':
        read_json(out);
        break;
      case '[':
        read_fields(out);
        break;
      case '%':
        if (text_.back() != '%' || text_.size() < 2) refuse("If a filter pattern starts with '%' it must end with '%'");
        out.what = regex();
        if (!done()) refuse_term(character());
        break;
      default:
        read_terms(out);
    }
    out.regexes = regexes_;
  }

 private:
  bool done() const { return at_ == text_.size(); }
  char next() const { return done() ? '\0' : text_[at_]; }
  bool comes(std::string_view what) const { return text_.substr(at_).starts_with(what); }
  bool take(std::string_view what) {
    if (!comes(what)) return false;
    at_ += what.size();
    return true;
  }
  void blanks() {
    while (!done() && blank(text_[at_])) ++at_;
  }
  /// The whole character that is here.
  std::string_view character() const {
    return text_.substr(at_, std::max<std::size_t>(1, utf8_sequence_length(text_.substr(at_))));
  }

  /// From one percent sign to the next.
  LogRegex regex() {
    const std::size_t begin = at_++;
    for (;;) {
      if (done()) refuse();
      const char c = text_[at_];
      if (c == '%') break;
      constexpr std::string_view kAllowed = ":_#=@/;,- ^$?[]{}|\\*+.";
      if (!letter(c) && !digit(c) && kAllowed.find(c) == std::string_view::npos)
        refuse_term(text_.substr(begin, at_ - begin + character().size()));
      ++at_;
    }
    ++at_;
    if (at_ - begin == 2) refuse_term("%%");
    if (++regexes_ > kMaxLogRegexes)
      refuse("Your input has exceeded the maximum of 2 regular expressions per filter pattern.");
    auto compiled = LogRegex::compile(text_.substr(begin + 1, at_ - begin - 2));
    if (!compiled) refuse(compiled.error().message());
    return std::move(*compiled);
  }

  /// Behind an opening quote.
  std::string quoted() {
    std::string out;
    for (;; ++at_) {
      if (done()) refuse();
      if (text_[at_] == '"') break;
      const char following = at_ + 1 < text_.size() ? text_[at_ + 1] : '\0';
      if (text_[at_] == '\\' && (following == '"' || following == '\\')) ++at_;
      out += text_[at_];
    }
    ++at_;
    return out;
  }

  void read_terms(Compiled& out) {
    Terms terms;
    for (blanks(); !done(); blanks()) {
      auto* list = &terms.required;
      if (next() == '-' || next() == '?') {
        list = next() == '-' ? &terms.excluded : &terms.optional;
        const std::string_view sign = character();
        ++at_;
        if (done() || blank(next()) || next() == '-' || next() == '?') refuse_term(sign);
      }
      std::string term;
      if (take("\"")) {
        term = quoted();
        if (term.empty() || (!done() && !blank(next()))) refuse();
      } else {
        const std::size_t begin = at_;
        while (!done() && (word_character(next()) || next() == '.')) ++at_;
        if (!done() && !blank(next()) && next() != '-' && next() != '?') refuse_term(character());
        term = text_.substr(begin, at_ - begin);
      }
      list->push_back(std::move(term));
    }
    const auto longest = std::ranges::max_element(terms.required, {}, &std::string::size);
    if (longest != terms.required.end()) out.needles = {*longest};
    // Each is looked for by itself, so of many it is quicker to look at every message.
    constexpr std::size_t kFew = 4;
    if (terms.required.empty() && terms.excluded.empty() && terms.optional.size() <= kFew) out.needles = terms.optional;
    out.what = std::move(terms);
  }

  std::optional<LogOperator> comparison() {
    // The longer ones first.
    constexpr std::pair<std::string_view, LogOperator> kOperators[] = {
        {"!=", LogOperator::kNotEqual}, {"<=", LogOperator::kLessOrEqual}, {">=", LogOperator::kGreaterOrEqual},
        {"=", LogOperator::kEqual},     {"<", LogOperator::kLess},         {">", LogOperator::kGreater}};
    for (const auto& [text, op] : kOperators) {
      if (take(text)) return op;
    }
    return std::nullopt;
  }

  /// What stands behind an operator.
  LogOperand operand(LogOperator op, bool json) {
    blanks();
    LogOperand out;
    const bool order = op != LogOperator::kEqual && op != LogOperator::kNotEqual;
    const std::size_t begin = at_;
    if (next() == '%') {
      if (order) refuse();
      out.kind = LogOperand::Kind::kRegex;
      out.regex = regex();
      return out;
    }
    if (take("\"")) {
      const std::string text = quoted();
      if (order && json) refuse_term(text_.substr(begin, at_ - begin));
      if (order) refuse();
      out.text = StarText(text);
      return out;
    }
    const auto part_of_word = [](char c) { return word_character(c) || c == '*' || c == '.'; };
    const auto exponent_sign = [&] {
      return (next() == '+' || next() == '-') &&
             (at_ == begin || ((text_[at_ - 1] == 'e' || text_[at_ - 1] == 'E') && numeric(begin)));
    };
    while (!done() && (part_of_word(next()) || exponent_sign())) ++at_;
    out.literal = text_.substr(begin, at_ - begin);
    if (out.literal.empty()) {
      // A second operator, or nothing at all.
      constexpr std::string_view kSyntax = "=<>&|,()]}!";
      if (done() || kSyntax.find(next()) != std::string_view::npos) refuse();
      refuse_term(character());
    }
    if (out.literal.size() == 4 && word_is(out.literal, "NULL")) refuse();
    out.number = Decimal::parse(out.literal);
    if (out.number) {
      out.kind = LogOperand::Kind::kNumber;
      return out;
    }
    if (order || out.literal.find_first_of("+-") != std::string::npos || number_beyond(out.literal)) refuse();
    out.text = StarText(out.literal);
    return out;
  }

  /// Whether what was read since `begin` and in front of this character is a number up to its exponent.
  bool numeric(std::size_t begin) const { return Decimal::parse(text_.substr(begin, at_ - 1 - begin)).has_value(); }
  /// A number whose exponent is too large for one.
  static bool number_beyond(std::string_view word) {
    const std::size_t e = word.find_first_of("eE");
    return e != std::string_view::npos && e + 1 < word.size() && Decimal::parse(word.substr(0, e)) &&
           word.find_first_not_of("0123456789", e + 1) == std::string_view::npos;
  }

  static bool word_is(std::string_view word, std::string_view upper) {
    return std::ranges::equal(word, upper, [](char a, char b) { return (a >= 'a' && a <= 'z' ? a - 32 : a) == b; });
  }
  std::string_view word() {
    const std::size_t begin = at_;
    while (!done() && letter(next())) ++at_;
    return text_.substr(begin, at_ - begin);
  }

  /// Conditions and parentheses; `leaf` reads one condition and gives its number. && binds tighter.
  template <typename Leaf>
  std::size_t any_of(Tree& tree, const Leaf& leaf) {
    std::size_t left = all_of(tree, leaf);
    for (blanks(); take("||"); blanks()) left = tree.add({Node::Kind::kOr, left, all_of(tree, leaf)});
    return left;
  }
  template <typename Leaf>
  std::size_t all_of(Tree& tree, const Leaf& leaf) {
    std::size_t left = one_of(tree, leaf);
    for (blanks(); take("&&"); blanks()) left = tree.add({Node::Kind::kAnd, left, one_of(tree, leaf)});
    return left;
  }
  template <typename Leaf>
  std::size_t one_of(Tree& tree, const Leaf& leaf) {
    blanks();
    if (!take("(")) return tree.add({Node::Kind::kLeaf, leaf(), 0});
    const std::size_t inside = any_of(tree, leaf);
    blanks();
    if (!take(")")) refuse_what_follows();
    return inside;
  }

  /// Behind a condition stands something else than may.
  [[noreturn]] void refuse_what_follows() const {
    constexpr std::string_view kSyntax = "$&|()[]{}";
    if (done() || word_character(next()) || kSyntax.find(next()) != std::string_view::npos) refuse();
    refuse_term(character());
  }

  // ---- JSON

  void read_json(Compiled& out) {
    if (text_.back() != '}') refuse("If a filter pattern starts with '{' it must end with '}'");
    Json json;
    ++at_;
    json.tree.set_root(any_of(json.tree, [&] { return condition(json); }));
    blanks();
    if (next() != '}' || at_ + 1 != text_.size()) refuse_what_follows();
    out.what = std::move(json);
  }

  std::size_t condition(Json& json) {
    Json::Condition condition;
    condition.path = path(json);
    blanks();
    if (const auto op = comparison()) {
      condition.op = *op;
      condition.operand = operand(*op, true);
    } else {
      const std::string_view verb = word();
      blanks();
      const std::string_view object = word();
      if (word_is(verb, "NOT") && word_is(object, "EXISTS")) {
        condition.kind = Json::Condition::Kind::kNotExists;
      } else if (word_is(verb, "IS") && word_is(object, "NULL")) {
        condition.kind = Json::Condition::Kind::kIsNull;
      } else if (word_is(verb, "IS") && word_is(object, "TRUE")) {
        condition.kind = Json::Condition::Kind::kIsTrue;
      } else if (word_is(verb, "IS") && word_is(object, "FALSE")) {
        condition.kind = Json::Condition::Kind::kIsFalse;
      } else {
        if (word_is(verb, "IS") && !object.empty()) refuse_term(object);
        refuse();
      }
    }
    json.conditions.push_back(std::move(condition));
    return json.conditions.size() - 1;
  }

  std::size_t path(Json& json) {
    if (next() != '$') {
      if (done() || next() == '}' || word_character(next())) refuse();
      refuse_term(character());
    }
    const std::size_t begin = at_++;
    if (next() != '.') refuse_term(text_.substr(begin, done() ? 1 : 1 + character().size()));
    Json::Path path;
    bool all = false;
    while (next() == '.' || next() == '[') {
      Json::Step step;
      if (take("[")) {
        bracket(step);
      } else {
        ++at_;
        if (take("*")) {
          step.kind = Json::Step::Kind::kAll;
        } else if (take("[")) {
          if (!take("'")) refuse_term(text_.substr(begin, at_ - begin + character().size()));
          const std::size_t end = text_.find('\'', at_);
          if (end == std::string_view::npos || end == at_) refuse();
          step.name = text_.substr(at_, end - at_);
          at_ = end + 1;
          if (!take("]")) refuse();
        } else {
          const std::size_t name = at_;
          while (!done() && (word_character(next()) || next() == '-')) ++at_;
          step.name = text_.substr(name, at_ - name);
          if (step.name.empty()) refuse_term(text_.substr(begin, at_ - begin + (done() ? 0 : character().size())));
        }
      }
      if (step.kind == Json::Step::Kind::kAll) {
        if (all) {
          refuse(
              "Your filter pattern has a JSON path selector that exceeds the maximum of 1 wildcard allowed per json "
              "selector.");
        }
        all = true;
      }
      path.push_back(std::move(step));
    }
    if (all && ++wildcards_ > kMaxLogWildcards)
      refuse("Your filter pattern exceeds the maximum of 3 wildcards allowed in its JSON path selectors.");
    json.paths.push_back(std::move(path));
    return json.paths.size() - 1;
  }

  /// Behind an opening bracket: a number or a star.
  void bracket(Json::Step& step) {
    const std::size_t begin = at_ - 1;
    if (take("*")) {
      step.kind = Json::Step::Kind::kAll;
    } else {
      if (!digit(next())) refuse_term(text_.substr(begin, 1 + (done() ? 0 : character().size())));
      step.kind = Json::Step::Kind::kIndex;
      const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), step.index);
      if (error != std::errc()) refuse();
      at_ = static_cast<std::size_t>(end - text_.data());
    }
    if (!take("]")) refuse();
  }

  // ---- fields

  void read_fields(Compiled& out) {
    if (text_.back() != ']') refuse("If a filter pattern starts with '[' it must end with ']'");
    Fields fields;
    std::set<std::string, std::less<>> names;
    ++at_;
    blanks();
    if (next() == ']' && at_ + 1 == text_.size()) {
      fields.gap = 0;  // fields of any number, none of them named
      out.what = std::move(fields);
      return;
    }
    for (;;) {
      blanks();
      if (take("...")) {
        if (fields.gap) refuse("Duplicate field '...'");
        fields.gap = fields.fields.size();
      } else {
        Fields::Field field = this->field(fields);
        if (!field.name.empty() && !names.insert(field.name).second) refuse("Duplicate field '" + field.name + "'");
        fields.fields.push_back(std::move(field));
      }
      blanks();
      if (take(",")) continue;
      if (next() == ']' && at_ + 1 == text_.size()) break;
      refuse_what_follows();
    }
    out.what = std::move(fields);
  }

  Fields::Field field(Fields& fields) {
    Fields::Field field;
    if (next() == ',' || next() == ']') return field;
    if (next() != '(') {
      // A name alone, or the name of its first condition.
      const std::size_t begin = at_;
      field.name = name();
      blanks();
      if (next() == ',' || (next() == ']' && at_ + 1 == text_.size())) return field;
      at_ = begin;
    }
    Tree tree;
    tree.set_root(any_of(tree, [&] {
      blanks();
      std::string name = this->name();
      if (field.name.empty()) field.name = name;
      if (name != field.name)
        refuse("Multiple variables used in a single filter. Var1 : " + field.name + ", Var2 : " + name);
      blanks();
      const auto op = comparison();
      if (!op) refuse_what_follows();
      fields.conditions.push_back({*op, operand(*op, false)});
      return fields.conditions.size() - 1;
    }));
    field.conditions = std::move(tree);
    return field;
  }

  std::string name() {
    const std::size_t begin = at_;
    while (!done() && word_character(next())) ++at_;
    const std::string_view name = text_.substr(begin, at_ - begin);
    if (name.empty()) {
      if (done()) refuse();
      refuse_term(character());
    }
    if (digit(name[0])) refuse_term(name);
    return std::string(name);
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t regexes_ = 0;
  std::size_t wildcards_ = 0;
};

Result<LogPattern> LogPattern::compile(std::string_view text) {
  if (characters(text) > kMaxLogPatternLength) {
    // The pattern itself is not repeated: nobody would find the sentence's end.
    return Error(ErrorCode::kPatternInvalid,
                 "1 validation error detected: Value at 'filterPattern' failed to satisfy constraint: Member must have "
                 "length less than or equal to 1024");
  }
  if (!is_utf8(text)) return Error(ErrorCode::kPatternInvalid, std::string(kInvalid));
  auto compiled = std::make_shared<Compiled>();
  try {
    Reader(trimmed(text)).read(*compiled);
  } catch (const Refusal& refusal) {
    return Error(ErrorCode::kPatternInvalid, refusal.sentence);
  }
  return LogPattern(std::move(compiled));
}

bool LogPattern::matches(std::string_view message) const {
  struct Visitor {
    std::string_view message;
    bool operator()(const Any&) const { return true; }
    bool operator()(const Terms& terms) const { return terms.matches(message); }
    bool operator()(const Fields& fields) const { return fields.split(message).has_value(); }
    bool operator()(const Json& json) const { return json.matches(message); }
    bool operator()(const LogRegex& regex) const { return regex.found_in(message); }
  };
  return std::visit(Visitor{message}, compiled_->what);
}

bool LogPattern::has_fields() const {
  return std::holds_alternative<Fields>(compiled_->what);
}

std::vector<std::pair<std::string, std::string>> LogPattern::fields_of(std::string_view message) const {
  const auto* fields = std::get_if<Fields>(&compiled_->what);
  if (fields == nullptr) return {};
  return fields->named(message);
}

std::size_t LogPattern::regexes() const {
  return compiled_->regexes;
}

std::span<const std::string> LogPattern::needles() const {
  return compiled_->needles;
}

}  // namespace weir::pattern
