#include "observe/log_sink.h"

#include <cerrno>

#include <unistd.h>

#include "weir/base/json_writer.h"

namespace weir::observe {
namespace {

/// logfmt: quoted when the word has a space, a quote, an equals sign or a control character, or is empty.
void append_logfmt(std::string& out, std::string_view word) {
  const bool plain = !word.empty() && word.find_first_of(" \"=\\") == std::string_view::npos &&
                     std::string_view::npos == word.find_first_of(std::string_view("\0\n\r\t", 4));
  if (plain) {
    append_json_escaped(out, word);
    return;
  }
  out.push_back('"');
  append_json_escaped(out, word);
  out.push_back('"');
}

struct TextValue {
  std::string& out;
  void operator()(std::string_view word) const { append_logfmt(out, word); }
  void operator()(std::int64_t number) const { append_number(out, number); }
  void operator()(double number) const { JsonWriter(out).value(number); }
  void operator()(bool truth) const { out.append(truth ? "true" : "false"); }
};

struct JsonValue {
  JsonWriter& out;
  template <typename T>
  void operator()(const T& value) const {
    out.value(value);
  }
};

}  // namespace

std::string LogSink::line(LogLevel level, std::string_view event, std::span<const LogField> fields) const {
  std::string out;
  if (format_ == LogFormat::kJson) {
    JsonWriter writer(out);
    writer.begin_object()
        .member("time", iso_milliseconds(clock_.now().wall))
        .member("level", text(level))
        .member("event", event);
    for (const LogField& field : fields) {
      writer.key(field.key);
      std::visit(JsonValue{writer}, field.value);
    }
    writer.end_object();
  } else {
    out.append("level=").append(text(level)).append(" event=").append(event);
    for (const LogField& field : fields) {
      out.append(" ").append(field.key).append("=");
      std::visit(TextValue{out}, field.value);
    }
  }
  out.push_back('\n');
  return out;
}

void LogSink::write(LogLevel level, std::string_view event, std::span<const LogField> fields) {
  if (level < least_) return;
  const std::string text = line(level, event, fields);
  const std::lock_guard lock(mutex_);
  if (make_room_) make_room_();
  std::string_view rest = text;
  while (!rest.empty()) {
    const auto wrote = ::write(descriptor_, rest.data(), rest.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) break;  // nobody reads the log any more; there is nowhere to say so
    rest.remove_prefix(static_cast<std::size_t>(wrote));
  }
}

void LogSink::before_lines(std::function<void()> make_room) {
  const std::lock_guard lock(mutex_);
  make_room_ = std::move(make_room);
}

}  // namespace weir::observe
