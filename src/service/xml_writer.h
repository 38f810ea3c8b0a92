#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace weir::service {

/// Writes the XML of AWS's query protocol straight into a buffer. The caller keeps the order open, close.
class XmlWriter {
 public:
  explicit XmlWriter(std::string& out) : out_(out) {}

  XmlWriter& open(std::string_view name);
  /// With the attribute xmlns, unless it is "".
  XmlWriter& open(std::string_view name, std::string_view name_space);
  /// Ends the element that was opened last.
  XmlWriter& close();
  XmlWriter& element(std::string_view name, std::string_view text);
  /// `xml` is spliced in as it is.
  XmlWriter& raw(std::string_view xml);

 private:
  void text(std::string_view text);

  std::string& out_;
  std::vector<std::string> open_;
};

}  // namespace weir::service
