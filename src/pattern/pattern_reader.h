#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace weir::pattern {

/// Reads a JSON text token by token, with the places that Jackson reports, because AWS's errors carry them: a field's
/// name is read together with what begins its value, and a string only when its text is asked for.
class PatternReader {
 public:
  enum class Token {
    kEnd,
    kBeginObject,
    kEndObject,
    kBeginArray,
    kEndArray,
    kName,
    kString,
    kNumber,
    kTrue,
    kFalse,
    kNull,
  };

  /// The text is no JSON, or too deep; thrown, and caught by Pattern::compile().
  struct NotJson {};

  explicit PatternReader(std::string_view text) : text_(text) {}

  Token next();
  Token token() const { return token_; }
  /// The name of the last field.
  const std::string& name() const { return name_; }
  /// Of a string its characters, of everything else how it is written.
  const std::string& text();

  /// "[Source: (String)"<the text>"; line: 1, column: 7]", for what has been read so far.
  std::string place() const;
  /// The same with the place left to the caller: "(String)"<the text>"".
  static std::string source(std::string_view text);

 private:
  Token value();
  Token number();
  Token word(std::string_view letters, Token token);
  void string(std::string& out);
  void skip_space();
  char peek() const;
  bool at_end() const { return at_ >= text_.size(); }

  struct Open {
    bool object;
    bool entries = false;
  };

  std::string_view text_;
  std::size_t at_ = 0;
  std::vector<Open> open_;
  Token token_ = Token::kEnd;
  Token ahead_ = Token::kEnd;  ///< the value behind a name, already begun
  bool unread_ = false;        ///< the string that token_ is, behind its quote
  std::string name_;
  std::string value_;
};

/// Appends what the JSON string that begins behind its quote at `at` says, and moves `at` behind the closing quote.
/// False when it is malformed. Half of a surrogate pair becomes the three bytes that UTF-8 would have for it.
bool read_string(std::string_view text, std::size_t& at, std::string& out);

}  // namespace weir::pattern
