#include "config/yaml_json.h"

#include "weir/base/json_check.h"
#include "weir/base/json_writer.h"

#include "config/scalar.h"

namespace weir::config {
namespace {

using Kind = YamlValue::Kind;

/// Aliases can name what they stand in, and each other many times over: neither gets far.
constexpr std::size_t kMaxDepth = 100;
constexpr std::size_t kMaxBytes = 1024 * 1024;

class Writer {
 public:
  YamlJson write(const YamlValue& value) {
    if (append(value, 0)) json_.text = std::move(out_);
    return std::move(json_);
  }

 private:
  bool append(const YamlValue& value, std::size_t depth) {
    if (value.broken || value.incomplete) return false;
    if (depth > kMaxDepth || out_.size() > kMaxBytes) {
      return refuse(value, "this is nested too deeply, or names itself, or is too long");
    }
    switch (value.kind) {
      case Kind::kNothing:
        out_ += "null";
        return true;
      case Kind::kScalar:
        return append_scalar(value);
      case Kind::kList:
        return append_list(value, depth);
      case Kind::kMapping:
        return append_mapping(value, depth);
    }
    return false;
  }

  bool append_scalar(const YamlValue& value) {
    const Shape shape = value.quoted ? Shape::kText : shape_of(value.text);
    switch (shape) {
      case Shape::kText:
        append_text(value.text);
        return true;
      case Shape::kTruth:
        out_ += truth(value.text).value_or(false) ? "true" : "false";
        return true;
      case Shape::kWholeNumber:
      case Shape::kNumber:
        // Patterns compare numbers by their spelling, too, so none is chosen for the user.
        if (!is_json(value.text)) {
          const std::string shown = value.substituted() ? "the value of " + value.written : value.text;
          return refuse(value, shown + " is no number as JSON writes it; in quotes it is a text");
        }
        out_ += value.text;
        return true;
    }
    return false;
  }

  bool append_list(const YamlValue& value, std::size_t depth) {
    out_.push_back('[');
    for (const YamlUse& item : value.items) {
      if (&item != value.items.data()) out_.push_back(',');
      if (!append(*item.value, depth + 1)) return false;
    }
    out_.push_back(']');
    return true;
  }

  bool append_mapping(const YamlValue& value, std::size_t depth) {
    out_.push_back('{');
    for (const YamlEntry& entry : value.entries) {
      if (&entry != value.entries.data()) out_.push_back(',');
      append_text(entry.key);
      out_.push_back(':');
      if (!append(*entry.use.value, depth + 1)) return false;
    }
    out_.push_back('}');
    return true;
  }

  void append_text(std::string_view text) {
    out_.push_back('"');
    append_json_escaped(out_, text);
    out_.push_back('"');
  }

  bool refuse(const YamlValue& value, std::string sentence) {
    json_.sentence = std::move(sentence);
    json_.place = value.place;
    return false;
  }

  std::string out_;
  YamlJson json_;
};

}  // namespace

YamlJson json_of(const YamlValue& value) {
  return Writer().write(value);
}

}  // namespace weir::config
