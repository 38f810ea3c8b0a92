#include "connectors/eventbridge/input.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "weir/base/json_check.h"
#include "weir/base/json_writer.h"

#include "service/json_text.h"

namespace weir::eventbridge {
namespace {

constexpr std::array<std::string_view, 5> kReserved{"aws.events.rule-arn", "aws.events.rule-name",
                                                    "aws.events.event.ingestion-time", "aws.events.event",
                                                    "aws.events.event.json"};
constexpr std::string_view kSpace = " \t\r\n";

Error refused(std::string sentence) {
  return {ErrorCode::kConfigInvalid, std::move(sentence)};
}

bool reserved(std::string_view name) {
  return std::find(kReserved.begin(), kReserved.end(), name) != kReserved.end();
}

std::string quoted(std::string_view text) {
  std::string out;
  JsonWriter(out).value(text);
  return out;
}

bool is_scalar(std::string_view json) {
  return !json.starts_with('{') && !json.starts_with('[');
}

}  // namespace

std::optional<EventPath> EventPath::parse(std::string_view text) {
  if (!text.starts_with('$') || text.size() > kMaxPathLength) return std::nullopt;
  text.remove_prefix(1);
  EventPath path;
  while (!text.empty()) {
    Step step;
    if (text.front() == '[') {
      const std::size_t end = text.find(']');
      if (end == std::string_view::npos) return std::nullopt;
      std::string_view inside = text.substr(1, end - 1);
      std::size_t index = 0;
      const auto [stopped, error] = std::from_chars(inside.data(), inside.data() + inside.size(), index);
      if (error == std::errc() && stopped == inside.data() + inside.size()) {
        step.index = index;
      } else if (inside.size() > 2 && (inside.front() == '\'' || inside.front() == '"') &&
                 inside.back() == inside.front()) {
        step.name = inside.substr(1, inside.size() - 2);
      } else {
        return std::nullopt;
      }
      text.remove_prefix(end + 1);
    } else if (text.front() == '.') {
      text.remove_prefix(1);
      const std::size_t end = std::min(text.find_first_of(".["), text.size());
      step.name = text.substr(0, end);
      if (step.name.empty() || step.name.find_first_of("*@?()] ") != std::string::npos) return std::nullopt;
      text.remove_prefix(end);
    } else {
      return std::nullopt;
    }
    path.steps_.push_back(std::move(step));
  }
  return path;
}

std::optional<std::string_view> EventPath::find(std::string_view event) const {
  std::optional<std::string_view> value = event;
  for (const Step& step : steps_) {
    value = step.index ? service::element_of(*value, *step.index) : service::member_of(*value, step.name);
    if (!value) return std::nullopt;
  }
  return value;
}

Result<TargetInput> TargetInput::make(const InputSettings& settings, std::string_view target) {
  const std::string id(target);
  const int given = (settings.input ? 1 : 0) + (settings.input_path ? 1 : 0) + (settings.input_template ? 1 : 0);
  if (given > 1) {
    return refused("Only one of Input, InputPath, or InputTransformer must be provided for target " + id + ".");
  }
  TargetInput made;
  if (settings.input) {
    if (settings.input->size() > kMaxInputBytes) return refused("Input for target " + id + " is longer than 8192.");
    if (!is_json(*settings.input)) return refused("JSON syntax error in input for target " + id + ".");
    made.constant_ = settings.input;
  }
  if (settings.input_path) {
    made.path_ = EventPath::parse(*settings.input_path);
    if (!made.path_) return refused("Invalid InputPath for target " + id + ".");
  }
  if (settings.input_template) {
    if (auto read = made.read_template(settings, target); !read) return std::move(read.error());
  }
  return made;
}

Result<void> TargetInput::read_template(const InputSettings& settings, std::string_view target) {
  const std::string id(target);
  if (settings.input_paths.size() > kMaxInputPaths) {
    return refused("InputPathsMap for target " + id + " has more than 100 paths.");
  }
  for (const auto& [name, text] : settings.input_paths) {
    std::string lower(name.substr(0, 3));
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](unsigned char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c); });
    if (lower == "aws") {
      return refused("InputPathsMap for target " + id + " contains the reserved name " + name + ".");
    }
    const auto path = EventPath::parse(text);
    if (!path) return refused("Invalid path " + text + " in InputPathsMap for target " + id + ".");
    paths_.emplace(name, *path);
  }
  const std::string& text = *settings.input_template;
  if (text.empty() || text.size() > kMaxInputBytes) {
    return refused("InputTemplate for target " + id + " has to have 1 to 8192 characters.");
  }
  const std::size_t first = text.find_first_not_of(kSpace);
  json_ = first == std::string::npos || text[first] != '"';
  Piece piece;
  bool in_string = false;
  bool key_candidate = false;  // the string that ends next has a placeholder in it
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const std::size_t end = c == '<' ? text.find('>', i) : std::string::npos;
    if (end == std::string::npos) {
      if (c == '\\' && in_string && i + 1 < text.size()) {
        piece.text += text.substr(i++, 2);
        continue;
      }
      if (c == '"') in_string = !in_string;
      piece.text += c;
      if (c == '"' && !in_string && key_candidate) {
        key_candidate = false;
        const std::size_t next = text.find_first_not_of(kSpace, i + 1);
        if (json_ && next != std::string::npos && text[next] == ':') {
          return refused("InputTemplate for target " + id + " has a placeholder in an object's key.");
        }
      }
      continue;
    }
    piece.placeholder = text.substr(i + 1, end - i - 1);
    if (paths_.count(piece.placeholder) == 0 && !reserved(piece.placeholder)) {
      return refused("InputTemplate for target " + id + " contains invalid placeholder " + piece.placeholder + ".");
    }
    piece.place = !json_ ? Place::kText : in_string ? Place::kQuoted : Place::kValue;
    key_candidate = in_string;
    const std::size_t next = text.find_first_not_of(kSpace, end + 1);
    if (piece.place == Place::kValue && next != std::string::npos && text[next] == ':') {
      return refused("InputTemplate for target " + id + " has a placeholder as an object's key.");
    }
    pieces_.push_back(std::move(piece));
    piece = Piece();
    i = end;
  }
  pieces_.push_back(std::move(piece));
  return {};
}

/// The JSON of what a placeholder stands for.
std::optional<std::string> TargetInput::value_of(const std::string& placeholder, std::string_view event,
                                                 const Event& parts, const InputContext& context) const {
  if (const auto path = paths_.find(placeholder); path != paths_.end()) {
    const auto found = path->second.find(event);
    if (!found) return std::nullopt;
    return std::string(*found);
  }
  if (placeholder == "aws.events.rule-arn") return quoted(context.rule_arn);
  if (placeholder == "aws.events.rule-name") return quoted(context.rule_name);
  if (placeholder == "aws.events.event.ingestion-time") return quoted(iso_seconds(context.ingested));
  if (placeholder == "aws.events.event") return envelope_without_detail(parts);
  return std::string(event);
}

std::optional<std::string> TargetInput::fill(std::string_view event, const Event& parts,
                                             const InputContext& context) const {
  std::string out;
  for (const Piece& piece : pieces_) {
    out += piece.text;
    if (piece.placeholder.empty()) continue;
    const auto value = value_of(piece.placeholder, event, parts, context);
    if (!value) {
      if (piece.place == Place::kValue) out += "\"\"";
    } else if (piece.place == Place::kValue) {
      out += *value;
    } else if (value->starts_with('"')) {
      out += service::decoded(*value);  // no escaping is done: what is no JSON then is dropped
    } else if (is_scalar(*value)) {
      out += *value;
    } else if (piece.place == Place::kText) {
      out += service::without_quotes(*value);
    } else {
      return std::nullopt;
    }
  }
  if (json_ && !is_json(out)) return std::nullopt;
  return out;
}

std::optional<std::string> TargetInput::apply(std::string_view event, const Event& parts,
                                              const InputContext& context) const {
  if (constant_) return constant_;
  if (path_) {
    const auto found = path_->find(event);
    if (!found) return std::nullopt;
    return std::string(*found);
  }
  if (!pieces_.empty()) return fill(event, parts, context);
  return std::string(event);
}

}  // namespace weir::eventbridge
