#include "pattern/pattern_reader.h"

#include <array>
#include <charconv>
#include <cstdint>

#include "weir/base/json_check.h"

#include "base/utf8.h"

namespace weir::pattern {
namespace {

constexpr std::size_t kSourceMax = 500;  ///< Jackson shows so many characters of its source

bool read_hex(std::string_view text, std::size_t& at, std::uint32_t& out) {
  if (text.size() - at < 4) return false;
  const auto read = std::from_chars(text.data() + at, text.data() + at + 4, out, 16);
  at += 4;
  return read.ec == std::errc() && read.ptr == text.data() + at;
}

bool read_escape(std::string_view text, std::size_t& at, std::string& out) {
  if (at >= text.size()) return false;
  constexpr std::string_view kNames = "\"\\/bfnrt";
  constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
  const char c = text[at++];
  if (const std::size_t which = kNames.find(c); which != std::string_view::npos) {
    out += kMeanings[which];
    return true;
  }
  std::uint32_t unit = 0;
  if (c != 'u' || !read_hex(text, at, unit)) return false;
  if (unit >= 0xD800 && unit < 0xDC00 && text.substr(at).starts_with("\\u")) {
    std::size_t behind = at + 2;
    std::uint32_t low = 0;
    if (!read_hex(text, behind, low)) return false;
    if (low >= 0xDC00 && low < 0xE000) {
      at = behind;
      unit = 0x10000 + ((unit - 0xD800) << 10U) + (low - 0xDC00);
    }
  }
  append_utf8(out, unit);
  return true;
}

/// How many UTF-16 units the text has, by which Java counts.
std::size_t units(std::string_view text) {
  std::size_t count = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte & 0xC0U) != 0x80) count += byte >= 0xF0 ? 2 : 1;
  }
  return count;
}

}  // namespace

bool read_string(std::string_view text, std::size_t& at, std::string& out) {
  while (at < text.size()) {
    const auto c = static_cast<unsigned char>(text[at]);
    if (c == '"') {
      ++at;
      return true;
    }
    if (c < 0x20) return false;
    if (c == '\\') {
      ++at;
      if (!read_escape(text, at, out)) return false;
      continue;
    }
    const std::size_t length = c < 0x80 ? 1 : utf8_sequence_length(text.substr(at));
    if (length == 0) return false;
    out.append(text.substr(at, length));
    at += length;
  }
  return false;
}

char PatternReader::peek() const {
  if (at_end()) throw NotJson{};
  return text_[at_];
}

void PatternReader::skip_space() {
  while (!at_end() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r')) ++at_;
}

void PatternReader::string(std::string& out) {
  out.clear();
  if (!read_string(text_, at_, out)) throw NotJson{};
}

PatternReader::Token PatternReader::word(std::string_view letters, Token token) {
  if (!text_.substr(at_).starts_with(letters)) throw NotJson{};
  at_ += letters.size();
  value_ = letters;
  return token;
}

PatternReader::Token PatternReader::number() {
  const std::size_t begin = at_;
  const auto digits = [this] {
    const std::size_t first = at_;
    while (!at_end() && text_[at_] >= '0' && text_[at_] <= '9') ++at_;
    if (at_ == first) throw NotJson{};
    return at_ - first;
  };
  if (peek() == '-') ++at_;
  const bool zero = peek() == '0';
  if (digits() > 1 && zero) throw NotJson{};
  if (!at_end() && text_[at_] == '.') {
    ++at_;
    digits();
  }
  if (!at_end() && (text_[at_] == 'e' || text_[at_] == 'E')) {
    ++at_;
    if (peek() == '+' || peek() == '-') ++at_;
    digits();
  }
  value_ = text_.substr(begin, at_ - begin);
  return Token::kNumber;
}

/// At the first character of a value.
PatternReader::Token PatternReader::value() {
  switch (peek()) {
    case '"':
      ++at_;
      return Token::kString;
    case '{':
      ++at_;
      value_ = "{";
      return Token::kBeginObject;
    case '[':
      ++at_;
      value_ = "[";
      return Token::kBeginArray;
    case 't':
      return word("true", Token::kTrue);
    case 'f':
      return word("false", Token::kFalse);
    case 'n':
      return word("null", Token::kNull);
    default:
      return number();
  }
}

PatternReader::Token PatternReader::next() {
  if (ahead_ != Token::kEnd) {
    token_ = ahead_;
    ahead_ = Token::kEnd;
  } else {
    if (unread_) text();
    skip_space();
    if (open_.empty()) {
      if (at_end()) return token_ = Token::kEnd;
      if (token_ != Token::kEnd) throw NotJson{};  // something stands behind the value
      token_ = value();
    } else {
      const bool object = open_.back().object;
      if (peek() == (object ? '}' : ']')) {
        ++at_;
        open_.pop_back();
        value_ = object ? "}" : "]";
        return token_ = object ? Token::kEndObject : Token::kEndArray;
      }
      if (open_.back().entries) {
        if (peek() != ',') throw NotJson{};
        ++at_;
        skip_space();
      }
      open_.back().entries = true;
      if (object) {
        if (peek() != '"') throw NotJson{};
        ++at_;
        string(name_);
        skip_space();
        if (peek() != ':') throw NotJson{};
        ++at_;
        skip_space();
        ahead_ = value();
        return token_ = Token::kName;
      }
      token_ = value();
    }
  }
  unread_ = token_ == Token::kString;
  if (token_ == Token::kBeginObject || token_ == Token::kBeginArray) {
    if (open_.size() == kMaxJsonDepth) throw NotJson{};
    open_.push_back({token_ == Token::kBeginObject});
  }
  return token_;
}

const std::string& PatternReader::text() {
  if (unread_) {
    string(value_);
    unread_ = false;
  }
  return value_;
}

std::string PatternReader::source(std::string_view text) {
  std::string out = "(String)\"";
  std::size_t shown = 0;
  std::size_t at = 0;
  while (at < text.size() && shown < kSourceMax) {
    const auto c = static_cast<unsigned char>(text[at]);
    const std::size_t length = std::max<std::size_t>(1, utf8_sequence_length(text.substr(at)));
    if ((c < 0x20 && c != '\n' && c != '\r') || c == 0x7F) {
      constexpr std::string_view kHex = "0123456789ABCDEF";
      out.append("\\u00").append(1, kHex[c >> 4U]).append(1, kHex[c & 0x0FU]);
    } else {
      out.append(text.substr(at, length));
    }
    shown += length == 4 ? 2 : 1;
    at += length;
  }
  out += '"';
  if (at < text.size()) out += "[truncated " + std::to_string(units(text.substr(at))) + " chars]";
  return out;
}

std::string PatternReader::place() const {
  std::size_t line = 1;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < at_; ++i) {
    if (text_[i] == '\n' || (text_[i] == '\r' && !text_.substr(i + 1).starts_with('\n'))) {
      ++line;
      begin = i + 1;
    }
  }
  return "[Source: " + source(text_) + "; line: " + std::to_string(line) +
         ", column: " + std::to_string(units(text_.substr(begin, at_ - begin)) + 1) + "]";
}

}  // namespace weir::pattern
