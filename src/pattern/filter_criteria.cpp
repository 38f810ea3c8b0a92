#include "pattern/filter_criteria.h"

namespace weir::pattern {

struct FilterCriteria::Impl {};

// For now every filter that is JSON is refused as not known: the language follows in this folder.
Result<std::shared_ptr<const FilterCriteria>> FilterCriteria::compile(std::span<const std::string>, FilterSource) {
  return Error(ErrorCode::kPatternInvalid, "Invalid filter pattern definition. (filters are not compiled yet)");
}

FilterCriteria::FilterCriteria(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
FilterCriteria::~FilterCriteria() = default;

bool FilterCriteria::needs_metadata() const {
  return false;
}

bool FilterCriteria::keeps(const FilterView&) const {
  return true;
}

}  // namespace weir::pattern
