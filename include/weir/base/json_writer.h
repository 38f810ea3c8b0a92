#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace weir {

/// Appends `text` to `out` as the inside of a JSON string. Bytes that are not UTF-8 become U+FFFD, one for each.
void append_json_escaped(std::string& out, std::string_view text);

/// How many bytes append_json_escaped() would append.
std::size_t json_escaped_size(std::string_view text);

/// Appends the decimal digits of a number.
void append_number(std::string& out, std::int64_t number);

/// How many characters append_number() would append.
std::size_t number_size(std::int64_t number);

/// Writes compact JSON straight into a buffer, with no tree. The caller keeps the order begin, key, value, end.
class JsonWriter {
 public:
  explicit JsonWriter(std::string& out) : out_(out) {}

  JsonWriter& begin_object();
  JsonWriter& end_object();
  JsonWriter& begin_array();
  JsonWriter& end_array();
  JsonWriter& key(std::string_view name);
  JsonWriter& value(std::string_view text);
  JsonWriter& value(const char* text) { return value(std::string_view(text)); }
  JsonWriter& value(std::int64_t number);
  JsonWriter& value(int number) { return value(static_cast<std::int64_t>(number)); }
  JsonWriter& value(std::uint64_t number);
  /// The shortest digits that read back the same; infinities and NaN become null.
  JsonWriter& value(double number);
  JsonWriter& value(bool truth);
  JsonWriter& null();
  /// `json` is spliced in as it is; it must be a JSON value.
  JsonWriter& raw(std::string_view json);

  template <typename T>
  JsonWriter& member(std::string_view name, const T& thing) {
    return key(name).value(thing);
  }

 private:
  void separate();

  std::string& out_;
  bool comma_ = false;
};

}  // namespace weir
