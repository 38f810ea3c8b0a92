#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "weir/base/error.h"
#include "weir/event/filter_view.h"

namespace weir::pattern {

/// What the records of a mapping are like, for its filters: which key holds the body, and what happens to a body whose
/// form is not the pattern's (reference stream-sources.md, section 7).
enum class FilterSource { kKinesis, kDynamodb, kKafka, kSqs };

/// The filters of an event source mapping: a record is kept when one of them matches. Immutable, for one thread at a
/// time (it keeps scratch memory).
class FilterCriteria {
 public:
  /// `patterns`: the JSON text of each filter's pattern, at least one. Errors: pattern.invalid, AWS's sentence
  /// ("Invalid filter pattern definition.") and behind it what is wrong.
  static Result<std::shared_ptr<const FilterCriteria>> compile(std::span<const std::string> patterns,
                                                               FilterSource source);
  ~FilterCriteria();

  /// Whether any pattern looks at something beside the body.
  bool needs_metadata() const;
  bool keeps(const FilterView& record) const;

 private:
  struct Impl;
  explicit FilterCriteria(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace weir::pattern
