#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace weir::aws {

/// The text between <name> and </name>, its entities resolved; nothing when it is not there. Of AWS's answers, whose
/// elements of interest have no attributes and nothing nested in them.
std::optional<std::string> xml_text(std::string_view xml, std::string_view name);

}  // namespace weir::aws
