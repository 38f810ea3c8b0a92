#pragma once

#include <bitset>
#include <cstddef>
#include <string>
#include <string_view>

#include "weir/base/json_check.h"

namespace weir {

/// Passes over the bytes of a JSON text, checking all of them; what it does not need it skips without taking it apart.
/// Every function is false (or nothing) where the text is malformed, and then nothing more may be asked.
class JsonScanner {
 public:
  explicit JsonScanner(std::string_view text) : at_(text.data()), end_(text.data() + text.size()) {}

  /// A string's characters between its quotes, as they are written.
  struct Raw {
    std::string_view text;
    bool escapes = false;
  };

  bool at_end() const { return at_ == end_; }
  const char* at() const { return at_; }
  /// The next byte, after white space; 0 at the end.
  char peek() {
    space();
    return at_ == end_ ? '\0' : *at_;
  }
  bool take(char c) {
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }
  void space() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\r' || *at_ == '\t')) ++at_;
  }
  bool string(Raw& out);
  /// The same, as the characters that are meant, of a string that has only ASCII and no \\u: mostly a JSON text within
  /// another, with an escape every few bytes. False: it is not that, or malformed; it is still to be read, by string().
  bool simple_text(std::string& out);
  bool number(std::string_view& out);
  bool word(std::string_view letters);
  /// A value of any kind, which stands `depth` deep.
  bool skip(std::size_t depth);

 private:
  bool scalar();
  bool leap(bool& escapes);
  bool escape();
  bool digits();

  const char* at_;
  const char* end_;
  std::bitset<kMaxJsonDepth + 1> objects_;
};

}  // namespace weir
