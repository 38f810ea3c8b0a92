#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace weir::gateway {

/// The path's pieces, as they were sent; a slash at the end makes no further one (old SDKs send it).
std::vector<std::string_view> path_segments(std::string_view path);

/// A segment's meaning; one with a percent sign out of place stays as it is, and no name has a percent sign.
std::string segment_meaning(std::string_view segment);

/// What Lambda's API has under its versions; a path beyond them is no operation anywhere.
bool is_api_resource(std::string_view segment);

/// "2015-03-31", with which every path of Lambda's API begins.
bool is_api_version(std::string_view segment);

}  // namespace weir::gateway
