#include "service/xml_writer.h"

#include "weir/base/error.h"

namespace weir::service {

XmlWriter& XmlWriter::open(std::string_view name) {
  out_.append("<").append(name).append(">");
  open_.emplace_back(name);
  return *this;
}

XmlWriter& XmlWriter::open(std::string_view name, std::string_view name_space) {
  out_.append("<").append(name);
  if (!name_space.empty()) out_.append(" xmlns=\"").append(name_space).append("\"");
  out_.append(">");
  open_.emplace_back(name);
  return *this;
}

XmlWriter& XmlWriter::close() {
  WEIR_ASSERT(!open_.empty());
  out_.append("</").append(open_.back()).append(">");
  open_.pop_back();
  return *this;
}

XmlWriter& XmlWriter::element(std::string_view name, std::string_view value) {
  open(name);
  text(value);
  return close();
}

XmlWriter& XmlWriter::raw(std::string_view xml) {
  out_.append(xml);
  return *this;
}

/// A carriage return is written as a reference, else a parser makes it a line feed; other control characters are none
/// of XML's, so they become U+FFFD.
void XmlWriter::text(std::string_view text) {
  for (const char c : text) {
    if (c == '&') {
      out_ += "&amp;";
    } else if (c == '<') {
      out_ += "&lt;";
    } else if (c == '>') {
      out_ += "&gt;";
    } else if (c == '"') {
      out_ += "&quot;";
    } else if (c == '\r') {
      out_ += "&#13;";
    } else if (static_cast<unsigned char>(c) < ' ' && c != '\n' && c != '\t') {
      out_ += "\xEF\xBF\xBD";
    } else {
      out_ += c;
    }
  }
}

}  // namespace weir::service
