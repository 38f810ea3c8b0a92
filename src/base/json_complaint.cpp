#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <vector>

#include "weir/base/json_check.h"

#include "base/utf8.h"

namespace weir {
namespace {

constexpr std::string_view kSource = "[Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled)";
constexpr std::string_view kTokens = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')";
constexpr std::size_t kWordMax = 256;

/// What was found wrong, thrown through the reader below: it runs once per refused payload, never for a good one.
struct Wrong {
  std::string sentence;
};

/// Reads as Jackson's UTF8StreamJsonParser does, slowly, for its words. Where that parser is laxer than JSON (trailing
/// tokens, overlong UTF-8, encoded surrogates, a byte order mark, UTF-16), this one says what Jackson says when told to
/// mind, or what it says of the like. Source of the words: Jackson 2.16.2 itself (tests/base/json_complaints.txt).
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  void read() {
    bool root_done = false;
    for (;;) {
      const std::optional<unsigned char> begin = skip_space();
      if (!begin) {
        if (!open_.empty())
          end_of_input(": expected close marker for " + kind() + " (start marker at " +
                       place(open_.back().start, open_.back().start) + "])");
        if (!root_done) throw Wrong{"No content to map due to end-of-input\n at " + place(at_, at_) + "]"};
        return;
      }
      unsigned char c = *begin;
      if (c == ']' || c == '}') {
        close(static_cast<char>(c));
        root_done = open_.empty();
        continue;
      }
      if (!open_.empty()) {
        if (open_.back().entries) {
          ++at_;
          if (c != ',') unexpected(c, "was expecting comma to separate " + kind() + " entries");
          c = more();
        }
        open_.back().entries = true;
        if (object()) {
          ++at_;
          if (c != '"') unexpected(decoded(c), "was expecting double-quote to start field name");
          string(false);
          c = more();
          ++at_;
          if (c != ':') unexpected(c, "was expecting a colon to separate field name and value");
          token_ = "FIELD_NAME";
          c = more();
        }
      }
      const std::size_t start = at_;
      if (root_done && c == '"') {
        token_ = "VALUE_STRING";  // Jackson does not read one to its end before it looks at it
      } else {
        value(c);
      }
      if (root_done) {
        at_ = start;
        fail("Trailing token (of type " + std::string(token_) +
             ") found after value (bound as `com.fasterxml.jackson.databind.JsonNode`): not allowed as per "
             "`DeserializationFeature.FAIL_ON_TRAILING_TOKENS`");
      }
      root_done = open_.empty();
    }
  }

 private:
  struct Open {
    std::size_t start = 0;
    bool object = false;
    bool entries = false;
  };

  bool object() const { return !open_.empty() && open_.back().object; }
  std::string kind() const { return open_.empty() ? "root" : object() ? "Object" : "Array"; }

  /// Where `offset` is, when all line ends before `skipped` were skipped as white space.
  std::string place(std::size_t offset, std::size_t skipped) const {
    std::size_t line = 1;
    std::size_t begin = 0;
    for (std::size_t i = 0; i < skipped; ++i) {
      if (bytes_[i] == '\n' || (bytes_[i] == '\r' && !(i + 1 < bytes_.size() && bytes_[i + 1] == '\n'))) {
        ++line;
        begin = i + 1;
      }
    }
    return std::string(kSource) + "; line: " + std::to_string(line) + ", column: " + std::to_string(offset - begin + 1);
  }

  /// What was read last is wrong; a line end there belongs to it and begins no line.
  [[noreturn]] void fail(const std::string& sentence) const {
    throw Wrong{sentence + "\n at " + place(at_, at_ > 0 ? at_ - 1 : 0) + "]"};
  }

  [[noreturn]] void end_of_input(const std::string& where) {
    at_ = bytes_.size();
    throw Wrong{"Unexpected end-of-input" + where + "\n at " + place(at_, at_) + "]"};
  }

  static std::string utf8(std::uint32_t c) {
    std::string out;
    append_utf8(out, c);
    return out;
  }

  static std::string hex(std::uint32_t number) {
    std::array<char, 8> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number, 16);
    return "0x" + std::string(digits.data(), end.ptr);
  }

  static std::string described(std::uint32_t c) {
    const std::string code = std::to_string(c);
    if (c < 0x20 || (c >= 0x7F && c < 0xA0)) return "(CTRL-CHAR, code " + code + ")";
    return "'" + utf8(c) + "' (code " + code + (c > 0xFF ? " / " + hex(c) : "") + ")";
  }

  [[noreturn]] void unexpected(std::uint32_t c, const std::string& comment) const {
    fail("Unexpected character (" + described(c) + "): " + comment);
  }
  [[noreturn]] void bad_number(std::uint32_t c, const std::string& comment) const {
    fail("Unexpected character (" + described(c) + ") in numeric value: " + comment);
  }

  bool at_end() const { return at_ >= bytes_.size(); }
  unsigned char peek() const { return static_cast<unsigned char>(bytes_[at_]); }
  unsigned char next() { return static_cast<unsigned char>(bytes_[at_++]); }

  /// The first byte that is no white space, not yet read; nothing at the end.
  std::optional<unsigned char> skip_space() {
    for (; !at_end(); ++at_) {
      const unsigned char c = peek();
      if (c == ' ' || c == '\t' || c == '\n' || c == '\r') continue;
      if (c < 0x20) {
        ++at_;
        fail("Illegal character (" + described(c) +
             "): only regular white space (\\r, \\n, \\t) is allowed between tokens");
      }
      if (c == '/') {
        ++at_;
        unexpected(c,
                   "maybe a (non-standard) comment? (not recognized as one since Feature 'ALLOW_COMMENTS' not enabled "
                   "for parser)");
      }
      return c;
    }
    return std::nullopt;
  }

  unsigned char more() {
    const std::optional<unsigned char> c = skip_space();
    if (!c) end_of_input(" within/between " + kind() + " entries");
    return *c;
  }

  void close(char marker) {
    ++at_;
    if (!open_.empty() && object() == (marker == '}')) {
      token_ = object() ? "END_OBJECT" : "END_ARRAY";
      open_.pop_back();
      return;
    }
    const std::string start =
        open_.empty() ? std::string(kSource) + "; line: 1" : place(open_.back().start, open_.back().start);
    fail(std::string("Unexpected close marker '") + marker + "': expected '" + (marker == '}' ? ']' : '}') + "' (for " +
         kind() + " starting at " + start + "])");
  }

  /// The rest of a character whose first byte was read, as Jackson decodes one for an error.
  std::uint32_t decoded(unsigned char first) {
    if (first < 0x80) return first;
    int follow = 0;
    std::uint32_t c = 0;
    if ((first & 0xE0U) == 0xC0) {
      follow = 1;
      c = first & 0x1FU;
    } else if ((first & 0xF0U) == 0xE0) {
      follow = 2;
      c = first & 0x0FU;
    } else if ((first & 0xF8U) == 0xF0) {
      follow = 3;
      c = first & 0x07U;
    } else {
      fail("Invalid UTF-8 start byte " + hex(first));
    }
    for (; follow > 0; --follow) {
      if (at_end()) end_of_input(" in " + std::string(token_));
      const unsigned char d = next();
      if ((d & 0xC0U) != 0x80) fail("Invalid UTF-8 middle byte " + hex(d));
      c = c << 6U | (d & 0x3FU);
    }
    return c;
  }

  /// Character.isJavaIdentifierStart and -Part; beyond Latin-1 only roughly: punctuation and symbols are none.
  static bool begins_word(std::uint32_t c) {
    if (c < 0x80) return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '$' || c == '_';
    if (c < 0x100)
      return (c >= 0xA2 && c <= 0xA5) || c == 0xAA || c == 0xB5 || c == 0xBA || (c >= 0xC0 && c != 0xD7 && c != 0xF7);
    if (c >= 0x20A0 && c <= 0x20CF) return true;  // currencies
    return !(c >= 0x2000 && c <= 0x2BFF) && !(c >= 0x3000 && c <= 0x3004) && !(c >= 0x3008 && c <= 0x3020);
  }
  static bool continues_word(std::uint32_t c) {
    if (c < 0x100 && !begins_word(c))
      return (c >= '0' && c <= '9') || c <= 0x08 || (c >= 0x0E && c <= 0x1B) || (c >= 0x7F && c <= 0x9F) || c == 0xAD;
    return begins_word(c);
  }

  [[noreturn]] void unrecognized(std::string word) {
    std::size_t length = word.size();
    while (!at_end()) {
      const std::uint32_t c = decoded(next());
      if (!continues_word(c)) break;
      word += utf8(c);
      if (++length >= kWordMax) {
        word += "...";
        break;
      }
    }
    fail("Unrecognized token '" + word + "': was expecting " + std::string(kTokens));
  }

  void literal(std::string_view letters, std::string_view token, std::size_t read = 1) {
    for (std::size_t i = read; i < letters.size(); ++i, ++at_) {
      if (at_end() || peek() != static_cast<unsigned char>(letters[i])) unrecognized(std::string(letters.substr(0, i)));
    }
    if (!at_end() && peek() >= '0' && peek() != ']' && peek() != '}') {
      const std::size_t before = at_;
      const std::uint32_t c = decoded(next());
      at_ = before;
      if (continues_word(c)) unrecognized(std::string(letters));
    }
    token_ = token;
  }

  [[noreturn]] void bad_start_of_number(unsigned char c, bool minus, bool sign) {
    if (c == 'I') {
      if (at_end()) end_of_input(" in a Number value");
      const unsigned char following = next();
      if (following == 'N' || following == 'n') {
        const std::string word = std::string(minus ? "-" : "+") + (following == 'N' ? "INF" : "Infinity");
        literal(word, token_, 3);
        fail("Non-standard token '" + word + "': enable `JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS` to allow");
      }
      c = following;
    }
    if (sign && !minus)
      bad_number('+',
                 "JSON spec does not allow numbers to have plus signs: enable "
                 "`JsonReadFeature.ALLOW_LEADING_PLUS_SIGN_FOR_NUMBERS` to allow");
    bad_number(c, "expected digit (0-9) to follow minus sign, for valid numeric value");
  }

  static bool digit(unsigned char c) { return c >= '0' && c <= '9'; }

  void number(unsigned char first) {
    if (first == '-') {
      if (at_end()) end_of_input(" in " + std::string(token_));
      first = next();
      if (first == '.') unexpected(first, "expected a valid value " + std::string(kTokens));
      if (!digit(first)) bad_start_of_number(first, true, true);
    }
    if (first == '0' && !at_end() && digit(peek())) fail("Invalid numeric value: Leading zeroes not allowed");
    while (!at_end() && digit(peek())) ++at_;
    std::string_view token = "VALUE_NUMBER_INT";
    if (!at_end() && peek() == '.') {
      token = "VALUE_NUMBER_FLOAT";
      unsigned char c = next();
      if (!at_end()) c = next();
      if (!digit(c)) bad_number(c, "Decimal point not followed by a digit");
      while (!at_end() && digit(peek())) ++at_;
    }
    if (!at_end() && (peek() == 'e' || peek() == 'E')) {
      token = "VALUE_NUMBER_FLOAT";
      ++at_;
      if (!at_end() && (peek() == '+' || peek() == '-')) ++at_;
      if (at_end()) end_of_input(" in " + std::string(token_));
      const unsigned char c = next();
      if (!digit(c)) bad_number(c, "Exponent indicator not followed by a digit");
      while (!at_end() && digit(peek())) ++at_;
    }
    token_ = token;
    if (open_.empty() && !at_end() && peek() != ' ' && peek() != '\t' && peek() != '\n' && peek() != '\r') {
      const unsigned char c = next();
      unexpected(c, "Expected space separating root-level values");
    }
  }

  /// Behind the opening quote.
  void string(bool value) {
    if (at_end() && !value) end_of_input(": was expecting closing '\"' for name");
    const std::string unended = value ? " in VALUE_STRING" : " in field name";
    for (;;) {
      if (at_end()) end_of_input(unended);
      const unsigned char c = peek();
      if (c >= 0x80) {
        const std::size_t length = utf8_sequence_length(bytes_.substr(at_));
        if (length == 0) malformed(unended);
        at_ += length;
        continue;
      }
      ++at_;
      if (c == '"') return;
      if (c == '\\') {
        escape();
      } else if (c < 0x20) {
        fail("Illegal unquoted character (" + described(c) + "): has to be escaped using backslash to be included in " +
             (value ? "string value" : "name"));
      }
    }
  }

  /// At the first byte of what is no character.
  [[noreturn]] void malformed(const std::string& unended) {
    const unsigned char first = next();
    if (first < 0xC2 || first > 0xF4) fail("Invalid UTF-8 start byte " + hex(first));
    // One of what follows is out of place, or there is too little of it. The second byte's range is narrower than the
    // others' where a longer form than needed, a surrogate or more than U+10FFFF would come out.
    const int follow = first < 0xE0 ? 1 : first < 0xF0 ? 2 : 3;
    for (int i = 0; i < follow; ++i) {
      if (at_end()) end_of_input(unended);
      const unsigned char d = next();
      const bool forbidden = i == 0 && ((first == 0xE0 && d < 0xA0) || (first == 0xED && d > 0x9F) ||
                                        (first == 0xF0 && d < 0x90) || (first == 0xF4 && d > 0x8F));
      if ((d & 0xC0U) != 0x80 || forbidden) fail("Invalid UTF-8 middle byte " + hex(d));
    }
    fail("Invalid UTF-8 start byte " + hex(first));
  }

  void escape() {
    if (at_end()) end_of_input(" in character escape sequence");
    const unsigned char c = next();
    if (std::string_view("\"\\/bfnrt").find(static_cast<char>(c)) != std::string_view::npos) return;
    if (c != 'u') {
      const std::uint32_t whole = decoded(c);
      fail("Unrecognized character escape " + described(whole));
    }
    for (int i = 0; i < 4; ++i) {
      if (at_end()) end_of_input(" in character escape sequence");
      const unsigned char h = next();
      if (!digit(h) && !(h >= 'a' && h <= 'f') && !(h >= 'A' && h <= 'F'))
        unexpected(h, "expected a hex-digit for character escape sequence");
    }
  }

  /// `c` is at the reader's place, not yet read.
  void value(unsigned char c) {
    const std::size_t start = at_++;
    switch (c) {
      case '"':
        string(true);
        token_ = "VALUE_STRING";
        return;
      case '{':
      case '[':
        if (open_.size() == kMaxJsonDepth)
          throw Wrong{
              "Document nesting depth (1001) exceeds the maximum allowed (1000, from "
              "`StreamReadConstraints.getMaxNestingDepth()`)"};
        open_.push_back({start, c == '{', false});
        token_ = c == '{' ? "START_OBJECT" : "START_ARRAY";
        return;
      case 't':
        return literal("true", "VALUE_TRUE");
      case 'f':
        return literal("false", "VALUE_FALSE");
      case 'n':
        return literal("null", "VALUE_NULL");
      default:
        break;
    }
    if (c == '-' || digit(c)) return number(c);
    const bool array = !open_.empty() && !open_.back().object;
    if (c == ',' || c == '}' || (c == ']' && array)) unexpected(c, "expected a value");
    if (c == '+') {
      if (at_end()) end_of_input(" in a Number value");
      bad_start_of_number(next(), false, true);
    }
    for (const std::string_view word : {"NaN", "Infinity"}) {
      if (c != static_cast<unsigned char>(word[0])) continue;
      literal(word, token_);
      fail("Non-standard token '" + std::string(word) +
           "': enable `JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS` to allow");
    }
    // The byte is taken for a character of Latin-1, whatever follows: what a typographic quote leads to ("Invalid UTF-8
    // start byte 0x80") sounds odd, and is what Lambda answers.
    if (begins_word(c)) unrecognized(utf8(c));
    unexpected(c, "expected a valid value " + std::string(kTokens));
  }

  std::string_view bytes_;
  std::size_t at_ = 0;
  std::vector<Open> open_;
  std::string_view token_ = "null";  ///< the last one read, by Jackson's name
};

}  // namespace

std::string json_complaint(std::string_view bytes) {
  try {
    Reader(bytes).read();
  } catch (const Wrong& wrong) {
    return wrong.sentence;
  }
  return "not JSON";  // the two readers differ; a test throws much at both
}

}  // namespace weir
