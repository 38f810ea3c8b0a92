#include "weir/base/json_writer.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstring>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/utf8.h"

namespace weir {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
constexpr char kHex[] = "0123456789abcdef";

/// Bytes that stand in a JSON string as they are: ASCII but for controls, quote and backslash.
constexpr std::array<bool, 256> kPlain = [] {
  std::array<bool, 256> plain{};
  for (std::size_t c = 0x20; c < 0x80; ++c) plain[c] = c != '"' && c != '\\';
  return plain;
}();

std::size_t plain_run(std::string_view text, std::size_t from) {
  std::size_t end = from;
#ifdef __SSE2__
  const __m128i quote = _mm_set1_epi8('"');
  const __m128i backslash = _mm_set1_epi8('\\');
  const __m128i space = _mm_set1_epi8(' ');
  for (; text.size() - end >= 16; end += 16) {
    __m128i block;
    std::memcpy(&block, text.data() + end, sizeof block);
    // As signed bytes, all beyond ASCII are below a space too.
    const __m128i special = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(block, quote), _mm_cmpeq_epi8(block, backslash)),
                                         _mm_cmpgt_epi8(space, block));
    const auto mask = static_cast<unsigned>(_mm_movemask_epi8(special));
    if (mask != 0) return end + static_cast<std::size_t>(__builtin_ctz(mask)) - from;
  }
#endif
  while (end < text.size() && kPlain[static_cast<unsigned char>(text[end])]) ++end;
  return end - from;
}

/// Calls `emit` with the pieces that make up the escaped text.
template <typename Emit>
void escape(std::string_view text, Emit emit) {
  std::size_t at = 0;
  while (at < text.size()) {
    if (const std::size_t run = plain_run(text, at); run > 0) {
      emit(text.substr(at, run));
      at += run;
      continue;
    }
    const auto c = static_cast<unsigned char>(text[at]);
    if (c >= 0x80) {
      const std::size_t length = utf8_sequence_length(text.substr(at));
      emit(length > 0 ? text.substr(at, length) : kReplacement);
      at += length > 0 ? length : 1;
      continue;
    }
    switch (c) {
      case '"':
        emit("\\\"");
        break;
      case '\\':
        emit("\\\\");
        break;
      case '\n':
        emit("\\n");
        break;
      case '\r':
        emit("\\r");
        break;
      case '\t':
        emit("\\t");
        break;
      case '\b':
        emit("\\b");
        break;
      case '\f':
        emit("\\f");
        break;
      default: {
        const char code[] = {'\\', 'u', '0', '0', kHex[c >> 4], kHex[c & 15]};
        emit(std::string_view(code, sizeof code));
      }
    }
    ++at;
  }
}

}  // namespace

void append_json_escaped(std::string& out, std::string_view text) {
  escape(text, [&](std::string_view piece) { out.append(piece); });
}

std::size_t json_escaped_size(std::string_view text) {
  std::size_t size = 0;
  escape(text, [&](std::string_view piece) { size += piece.size(); });
  return size;
}

void append_number(std::string& out, std::int64_t number) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  out.append(digits, end);
}

std::size_t number_size(std::int64_t number) {
  std::size_t size = number < 0 ? 2 : 1;
  auto rest = number < 0 ? 0 - static_cast<std::uint64_t>(number) : static_cast<std::uint64_t>(number);
  while (rest >= 10) {
    rest /= 10;
    ++size;
  }
  return size;
}

void JsonWriter::separate() {
  if (comma_) out_.push_back(',');
  comma_ = true;
}

JsonWriter& JsonWriter::begin_object() {
  separate();
  out_.push_back('{');
  comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::end_object() {
  out_.push_back('}');
  comma_ = true;
  return *this;
}

JsonWriter& JsonWriter::begin_array() {
  separate();
  out_.push_back('[');
  comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::end_array() {
  out_.push_back(']');
  comma_ = true;
  return *this;
}

JsonWriter& JsonWriter::key(std::string_view name) {
  separate();
  out_.push_back('"');
  append_json_escaped(out_, name);
  out_.append("\":");
  comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::value(std::string_view word) {
  separate();
  out_.push_back('"');
  append_json_escaped(out_, word);
  out_.push_back('"');
  return *this;
}

JsonWriter& JsonWriter::value(std::int64_t number) {
  separate();
  append_number(out_, number);
  return *this;
}

JsonWriter& JsonWriter::value(std::uint64_t number) {
  separate();
  out_.append(std::to_string(number));
  return *this;
}

JsonWriter& JsonWriter::value(double number) {
  if (!std::isfinite(number)) return null();
  separate();
  char digits[40];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  out_.append(digits, end);
  return *this;
}

JsonWriter& JsonWriter::value(bool truth) {
  separate();
  out_.append(truth ? "true" : "false");
  return *this;
}

JsonWriter& JsonWriter::null() {
  separate();
  out_.append("null");
  return *this;
}

JsonWriter& JsonWriter::raw(std::string_view json) {
  separate();
  out_.append(json);
  return *this;
}

}  // namespace weir
