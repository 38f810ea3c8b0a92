#include "pattern/log_regex.h"

#include <algorithm>

#include "base/utf8.h"

namespace weir::pattern {
namespace {

constexpr std::size_t kBits = 64;

bool digit(char c) {
  return c >= '0' && c <= '9';
}

bool letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

int hex(char c) {
  if (digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

LogRegex::Set range(int first, int last) {
  LogRegex::Set set;
  for (int c = first; c <= last; ++c) set.set(static_cast<std::size_t>(c));
  return set;
}

/// Of \d \s \w; empty of any other letter.
LogRegex::Set named_class(char name) {
  switch (name) {
    case 'd':
      return range('0', '9');
    case 's':
      return range('\t', '\r') | range(' ', ' ');
    case 'w':
      return range('0', '9') | range('a', 'z') | range('A', 'Z') | range('_', '_');
    default:
      return {};
  }
}

/// What a dot stands for: anything but the ends of lines.
LogRegex::Set any_character() {
  LogRegex::Set set;
  set.set();
  set.reset('\n').reset('\r').reset(LogRegex::kLineEnd);
  return set;
}

/// The class of the character at the front, and how many bytes it has. A byte that begins none is one by itself.
std::size_t class_of(std::string_view text, std::size_t& bytes) {
  bytes = 1;
  const auto c = static_cast<unsigned char>(text[0]);
  if (c < 0x80) return c;
  bytes = std::max<std::size_t>(1, utf8_sequence_length(text));
  const std::string_view character = text.substr(0, bytes);
  const bool line = character == "\xC2\x85" || character == "\xE2\x80\xA8" || character == "\xE2\x80\xA9";
  return line ? LogRegex::kLineEnd : LogRegex::kOther;
}

}  // namespace

/// Reads the expression, as Java's Pattern does.
class LogRegex::Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  bool read(std::vector<Row>& rows) {
    rows.emplace_back();
    std::size_t places = 1;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      Row& row = rows.back();
      if (c == '|') {
        ++at_;
        ++places;
        rows.emplace_back();
      } else if (c == '^') {
        ++at_;
        // In front of it nothing can have been read.
        if (!left_out(row.atoms)) row.dead = true;
        row.atoms.clear();
        row.at_begin = true;
      } else if (c == '$') {
        ++at_;
        row.at_end = true;
        ends_at_ = row.atoms.size();
      } else {
        Atom atom;
        if (!character(atom.set) || !quantified(atom, row.atoms)) return false;
      }
      Row& current = rows.back();
      if (current.at_end && current.atoms.size() > ends_at_) {
        // Nor can anything be read behind the end.
        const std::vector<Atom> behind(current.atoms.begin() + static_cast<std::ptrdiff_t>(ends_at_),
                                       current.atoms.end());
        if (!left_out(behind)) current.dead = true;
        current.atoms.resize(ends_at_);
      }
      if (places + current.atoms.size() > kMaxPlaces) return false;
      if (at_ < text_.size() && text_[at_] == '|') places += current.atoms.size();
    }
    return true;
  }

 private:
  static bool left_out(const std::vector<Atom>& atoms) {
    return std::ranges::all_of(atoms, [](const Atom& atom) { return atom.optional; });
  }

  char next() const { return at_ < text_.size() ? text_[at_] : '\0'; }

  bool character(Set& set) {
    const char c = text_[at_++];
    switch (c) {
      case '.':
        set = any_character();
        return true;
      case '[':
        return bracket(set);
      case '\\': {
        int single = -1;
        return escape(set, single);
      }
      case '*':
      case '+':
      case '?':
      case '{':
        return false;  // with nothing to repeat
      default:
        set = range(c, c);
        return true;
    }
  }

  /// Behind a backslash. `single`: the one character that it is, or -1.
  bool escape(Set& set, int& single) {
    if (at_ == text_.size()) return false;
    const char c = text_[at_++];
    single = -1;
    if (c == 'x') {
      if (text_.size() - at_ < 2 || hex(text_[at_]) < 0 || hex(text_[at_ + 1]) < 0) return false;
      single = hex(text_[at_]) * 16 + hex(text_[at_ + 1]);
      at_ += 2;
      if (single >= 0x80) {
        // A letter of Latin-1, which is not told apart from other letters beyond ASCII.
        return false;
      }
      set = range(single, single);
      return true;
    }
    if (!letter(c) && !digit(c)) {
      single = static_cast<unsigned char>(c);
      set = range(single, single);
      return true;
    }
    const bool negated = c >= 'A' && c <= 'Z';
    const Set named = named_class(negated ? static_cast<char>(c - 'A' + 'a') : c);
    if (named.none()) return false;
    set = negated ? ~named : named;
    return true;
  }

  /// Behind an opening bracket. Brackets within are unions, as Java has them; there are as many levels as the pattern
  /// has characters, at most.
  bool bracket(Set& set) {
    const bool negated = next() == '^';
    if (negated) ++at_;
    bool first = true;
    for (;; first = false) {
      if (at_ == text_.size()) return false;
      char c = text_[at_++];
      if (c == ']' && !first) break;
      if (c == '[') {
        Set inner;
        if (!bracket(inner)) return false;
        set |= inner;
        continue;
      }
      int from = static_cast<unsigned char>(c);
      if (c == '\\') {
        Set escaped;
        if (!escape(escaped, from)) return false;
        set |= escaped;
      } else {
        set |= range(from, from);
      }
      if (next() != '-' || at_ + 1 >= text_.size() || text_[at_ + 1] == ']' || text_[at_ + 1] == '[' || from < 0)
        continue;
      ++at_;
      c = text_[at_++];
      int to = static_cast<unsigned char>(c);
      if (c == '\\') {
        Set escaped;
        if (!escape(escaped, to) || to < 0) return false;
      }
      if (to < from) return false;
      set |= range(from, to);
    }
    if (negated) set.flip();
    return true;
  }

  bool number(std::size_t& out) {
    if (!digit(next())) return false;
    out = 0;
    for (; digit(next()); ++at_) out = std::min(out * 10 + static_cast<std::size_t>(next() - '0'), kMaxPlaces + 1);
    return out <= kMaxPlaces;
  }

  /// The atom as often as what follows it says.
  bool quantified(Atom atom, std::vector<Atom>& row) {
    std::size_t least = 1;
    std::size_t most = 1;
    bool endless = false;
    bool counted = true;
    switch (next()) {
      case '*':
        least = 0;
        endless = true;
        ++at_;
        break;
      case '+':
        endless = true;
        ++at_;
        break;
      case '?':
        least = 0;
        ++at_;
        break;
      case '{':
        ++at_;
        if (!number(least)) return false;
        most = least;
        if (next() == ',') {
          ++at_;
          if (next() == '}') {
            endless = true;
          } else if (!number(most)) {
            return false;
          }
        }
        if (next() != '}' || most < least) return false;
        ++at_;
        break;
      default:
        counted = false;
    }
    if (counted) {
      if (next() == '+') return false;  // possessive
      if (next() == '?') ++at_;         // which of several finds it is, nobody asks
      if (next() == '*' || next() == '+' || next() == '?' || next() == '{') return false;
    }
    if (endless) most = std::max<std::size_t>(least, 1);
    if (row.size() + most > kMaxPlaces) return false;
    for (std::size_t i = 0; i < most; ++i) {
      atom.optional = i >= least;
      atom.repeated = endless && i + 1 == most;
      row.push_back(atom);
    }
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t ends_at_ = 0;  ///< atoms in front of the row's dollar sign
};

Result<LogRegex> LogRegex::compile(std::string_view text) {
  std::vector<Row> rows;
  if (!Reader(text).read(rows)) return Error(ErrorCode::kPatternInvalid, "Failed to compile regular expression.");
  return LogRegex(std::move(rows));
}

LogRegex::LogRegex(std::vector<Row> rows) {
  std::erase_if(rows, [](const Row& row) { return row.dead; });
  std::size_t places = 0;
  for (const Row& row : rows) places += row.atoms.size() + 1;
  words_ = places / kBits + 1;
  for (auto* bits :
       {&repeated_, &optional_, &before_optional_, &last_optional_, &starts_, &free_starts_, &ends_, &final_ends_}) {
    bits->assign(words_, 0);
  }
  accepts_.assign(words_ * kClasses, 0);
  const auto mark = [](std::vector<Word>& bits, std::size_t place) { bits[place / kBits] |= Word{1} << place % kBits; };
  std::size_t place = 0;
  for (const Row& row : rows) {
    mark(starts_, place);
    if (!row.at_begin) mark(free_starts_, place);
    for (std::size_t i = 0; i < row.atoms.size(); ++i) {
      const Atom& atom = row.atoms[i];
      ++place;
      for (std::size_t c = 0; c < kClasses; ++c) {
        if (atom.set.test(c)) accepts_[c * words_ + place / kBits] |= Word{1} << place % kBits;
      }
      if (atom.repeated) mark(repeated_, place);
      if (!atom.optional) continue;
      mark(optional_, place);
      if (i == 0 || !row.atoms[i - 1].optional) mark(before_optional_, place - 1);
      if (i + 1 == row.atoms.size() || !row.atoms[i + 1].optional) mark(last_optional_, place);
    }
    mark(row.at_end ? final_ends_ : ends_, place);
    ++place;
  }
}

bool LogRegex::any(const std::vector<Word>& places, const std::vector<Word>& ends) const {
  for (std::size_t i = 0; i < words_; ++i) {
    if ((places[i] & ends[i]) != 0) return true;
  }
  return false;
}

/// Who is in front of what may be left out is also behind it. Taking away the bit in front of a run borrows from the
/// lowest place that is taken in it, so what stays as it was lies above that one (Navarro and Raffinot, extended
/// Shift-And).
void LogRegex::skip_optional(std::vector<Word>& places) const {
  Word borrow = 0;
  for (std::size_t i = 0; i < words_; ++i) {
    const Word with_last = places[i] | last_optional_[i];
    const Word less = with_last - before_optional_[i] - borrow;
    borrow = with_last < before_optional_[i] || (with_last == before_optional_[i] && borrow != 0) ? 1 : 0;
    places[i] |= optional_[i] & ~(less ^ with_last);
  }
}

void LogRegex::move(std::size_t character_class, std::vector<Word>& places) const {
  const Word* accepts = &accepts_[character_class * words_];
  Word carry = 0;
  for (std::size_t i = 0; i < words_; ++i) {
    const Word here = places[i];
    places[i] = (((here << 1 | carry) | (here & repeated_[i])) & accepts[i]) | free_starts_[i];
    carry = here >> (kBits - 1);
  }
  skip_optional(places);
}

bool LogRegex::found_in(std::string_view text) const {
  std::vector<Word> places = starts_;
  skip_optional(places);
  // The end is also in front of the line's end that is the text's last.
  std::size_t last_line = text.size();
  if (text.ends_with("\r\n")) {
    last_line -= 2;
  } else if (text.ends_with('\n') || text.ends_with('\r')) {
    last_line -= 1;
  }
  for (std::size_t at = 0;;) {
    if (any(places, ends_)) return true;
    if ((at == last_line || at == text.size()) && any(places, final_ends_)) return true;
    if (at == text.size()) return false;
    std::size_t bytes = 1;
    const std::size_t character = class_of(text.substr(at), bytes);
    move(character, places);
    at += bytes;
  }
}

}  // namespace weir::pattern
