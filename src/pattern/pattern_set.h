#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "weir/base/error.h"

#include "pattern/pattern.h"

namespace weir::pattern {

/// Many patterns, matched at once against an event: one pass over its bytes with no tree, which looks only at the
/// fields that some pattern names; of the patterns only those are weighed whose rarest test has passed, and tests that
/// have to be asked one by one are asked only then. One owner, not thread-safe: it keeps its scratch memory.
class PatternSet {
 public:
  PatternSet();
  ~PatternSet();
  PatternSet(PatternSet&&) noexcept;
  PatternSet& operator=(PatternSet&&) noexcept;

  /// `id`: of the caller's choice; ids may repeat, then one of their patterns is enough.
  void add(std::uint32_t id, const Pattern& pattern);
  /// The same for branches that are no whole pattern.
  void add(std::uint32_t id, std::span<const Branch> branches);
  /// Reads the pattern first. Error: pattern.invalid; nothing was added.
  Result<void> add(std::uint32_t id, std::string_view text, Dialect dialect = Dialect::kEventBridge);

  /// From now on a string at the event's member `name` that holds a JSON object or array is also read as that.
  void look_inside(std::string_view name);

  /// The ids of the patterns that match, each once, in no particular order; valid until the next call. `event` has to
  /// be one JSON object (RFC 8259, UTF-8, at most 1,000 deep) as a whole, also where no pattern looks. Error:
  /// event.refused, AWS's sentence first.
  Result<std::span<const std::uint32_t>> match(std::string_view event);

  /// Whether a pattern asks for the event's member `name`, or for something within it. What nobody asks for need not be
  /// told, unless it has to be checked.
  bool asks_for(std::string_view name) const;

  /// An event in pieces: begin(), what belongs to it in any order, finish().
  void begin();
  /// The members of a JSON object, which stand at the event's top. False when it is none; the event is then spoilt.
  bool members(std::string_view object);
  /// A JSON value as the event's member `name`. False when it is none; the event is then spoilt.
  bool member(std::string_view name, std::string_view value);
  /// A string, as it is, as the event's member `name`.
  void text(std::string_view name, std::string_view value);
  std::span<const std::uint32_t> finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace weir::pattern
