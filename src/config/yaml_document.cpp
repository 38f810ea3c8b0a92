#include "config/yaml_document.h"

#include <map>
#include <sstream>

#include <yaml-cpp/depthguard.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include "weir/base/bytes.h"

namespace weir::config {
namespace {

/// Turns yaml-cpp's marks (from 0, columns in bytes) into places.
class Places {
 public:
  explicit Places(std::string_view text) : text_(text) {
    line_starts_.push_back(0);
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '\n') line_starts_.push_back(i + 1);
    }
  }

  /// The line of a mark, without its end; "" behind the last one.
  std::string_view line_of(const YAML::Mark& mark) const {
    const auto line = static_cast<std::size_t>(mark.line);
    if (line >= line_starts_.size()) return "";
    const std::string_view rest = text_.substr(line_starts_[line]);
    return rest.substr(0, rest.find('\n'));
  }

  Place of(const YAML::Mark& mark) const {
    const auto line = static_cast<std::size_t>(mark.line);
    Place place{mark.line + 1, mark.column + 1};
    if (line >= line_starts_.size()) return place;
    for (const char c : text_.substr(line_starts_[line], static_cast<std::size_t>(mark.column))) {
      const bool continues_a_character = (static_cast<unsigned char>(c) & 0xC0) == 0x80;
      if (continues_a_character) --place.column;
    }
    return place;
  }

 private:
  std::string_view text_;
  std::vector<std::size_t> line_starts_;
};

/// Builds the tree from yaml-cpp's events.
class Builder final : public YAML::EventHandler {
 public:
  Builder(YamlDocument& document, const Places& places) : document_(document), places_(places) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    add(make(YamlValue::Kind::kNothing, mark, "?", anchor));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    key_is_alias_ = true;
    add({places_.of(mark), anchors_.at(anchor)});
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    const YamlUse use = make(YamlValue::Kind::kScalar, mark, tag, anchor);
    use.value->text = text;
    add(use);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(make(YamlValue::Kind::kList, mark, tag, anchor));
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(make(YamlValue::Kind::kMapping, mark, tag, anchor));
  }
  void OnMapEnd() override { close(); }

 private:
  struct Frame {
    YamlUse use;
    std::optional<YamlEntry> entry;  ///< of a mapping: the key came, its value did not yet
  };

  YamlUse make(YamlValue::Kind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    YamlValue& value = document_.values.emplace_back();
    value.kind = kind;
    value.place = places_.of(mark);
    value.tag = tag;
    if (anchor != YAML::NullAnchor) anchors_[anchor] = &value;
    key_is_alias_ = false;
    return {value.place, &value};
  }

  void open(YamlUse use) { frames_.push_back({use, std::nullopt}); }

  void close() {
    const YamlUse use = frames_.back().use;
    frames_.pop_back();
    key_is_alias_ = false;
    add(use);
  }

  void add(YamlUse use) {
    if (frames_.empty()) {
      document_.root = use;
      return;
    }
    Frame& frame = frames_.back();
    if (frame.use.value->kind == YamlValue::Kind::kList) {
      frame.use.value->items.push_back(use);
    } else if (!frame.entry) {
      frame.entry = as_key(use);
    } else {
      YamlEntry entry = std::move(*frame.entry);
      frame.entry.reset();
      entry.use = use;
      // yaml-cpp puts what is not there where the next thing begins.
      if (use.value->kind == YamlValue::Kind::kNothing) entry.use.place = entry.key_place;
      frame.use.value->entries.push_back(std::move(entry));
    }
  }

  YamlEntry as_key(YamlUse use) const {
    YamlEntry entry;
    entry.key = use.value->text;
    entry.key_place = use.place;
    entry.key_is_text = use.value->kind == YamlValue::Kind::kScalar && !key_is_alias_;
    entry.key_is_merge = entry.key_is_text && use.value->tag != "!" && entry.key == "<<";
    return entry;
  }

  YamlDocument& document_;
  const Places& places_;
  std::map<YAML::anchor_t, YamlValue*> anchors_;
  std::vector<Frame> frames_;
  bool key_is_alias_ = false;
};

/// Only there to notice that there is a second document.
class SecondDocument final : public YAML::EventHandler {
 public:
  std::optional<YAML::Mark> start;

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (!start) start = mark;
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}
};

/// What probably is the matter, where yaml-cpp's own words do not tell.
std::string hint(std::string_view line) {
  const std::string_view indentation = line.substr(0, line.find_first_not_of(" \t"));
  if (indentation.find('\t') != std::string_view::npos) return "; a tab cannot indent, spaces do";
  const bool has_brackets = line.find('[') != std::string_view::npos || line.find(" {") != std::string_view::npos;
  if (has_brackets && line.find("${") != std::string_view::npos)
    return "; inside [...] and {...} a ${NAME} needs quotes";
  return "";
}

}  // namespace

std::variant<YamlDocument, YamlFault> parse_yaml(std::string text) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (text.starts_with(kByteOrderMark)) text.erase(0, kByteOrderMark.size());
  if (!is_utf8(text)) return YamlFault{std::nullopt, "the file is not UTF-8 text"};
  const Places places(text);
  std::istringstream stream(text);
  try {
    YamlDocument document;
    YAML::Parser parser(stream);
    Builder builder(document, places);
    if (!parser.HandleNextDocument(builder)) return document;
    SecondDocument second;
    parser.HandleNextDocument(second);
    if (second.start) {
      return YamlFault{places.of(*second.start), "a second document begins here; a file holds one"};
    }
    return document;
  } catch (const YAML::DeepRecursion& error) {
    return YamlFault{places.of(error.mark), "this is nested too deeply"};
  } catch (const YAML::Exception& error) {
    std::string sentence = "this cannot be read as YAML: " + error.msg;
    if (error.mark.is_null()) return YamlFault{std::nullopt, std::move(sentence)};
    return YamlFault{places.of(error.mark), sentence + hint(places.line_of(error.mark))};
  }
}

}  // namespace weir::config
