#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::service {

/// The parameters of AWS's query protocol: a form, whose lists and maps are spelled out in the names.
class Form {
 public:
  /// `text`: "Action=Publish&TopicArn=arn%3A.."; a plus sign is a space. Nothing when a percent sign stands wrong.
  static std::optional<Form> parse(std::string_view text);

  std::optional<std::string_view> get(std::string_view name) const;
  /// The same, "" when it is not there.
  std::string_view text(std::string_view name) const { return get(name).value_or(std::string_view()); }

  /// The items of a list or map by the name that each has, in the order of their numbers: of "Tags.member" the names
  /// "Tags.member.1", "Tags.member.2" ..., to be read on with get(name + ".Key"). Numbers may be left out.
  std::vector<std::string> items(std::string_view list) const;

 private:
  std::map<std::string, std::string, std::less<>> fields_;  ///< of a name that comes twice the first value
};

}  // namespace weir::service
