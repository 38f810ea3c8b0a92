#include "pattern/pattern_set.h"

#include <algorithm>
#include <deque>
#include <map>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/json_scanner.h"
#include "pattern/array_elements.h"
#include "pattern/field_tests.h"
#include "pattern/pattern_reader.h"
#include "pattern/single_test.h"
#include "pattern/text_table.h"

namespace weir::pattern {
namespace {

constexpr std::uint32_t kNone = ArrayElements::kNone;
static_assert(kNone == TextTable::kNone);
constexpr std::size_t kMaxKept = 64;  ///< values of one field, so that a long array does not grow a hundredfold

/// A step of a path that some pattern names.
struct Step {
  std::uint32_t field = kNone;  ///< where tests stand at this path
  TextTable children;
};

/// A value of the event, kept until it is known whether somebody asks for it.
struct KeptValue {
  Scalar scalar;  ///< without its text
  std::size_t text_begin;
  std::size_t text_size;
  std::uint32_t element;
};

struct Field {
  FieldTests tests;
  std::vector<std::uint32_t> late;  ///< conditions that ask for its values when a branch is weighed
  // Of the current event:
  std::uint64_t event = 0;  ///< it has a value in this one
  ArrayElements::Places values;
  std::vector<KeptValue> kept;   ///< the last ones: after kMaxKept all of `late` are asked, and it begins anew
  std::uint64_t kept_round = 0;  ///< counts these beginnings, over all events
};

/// One field's tests, as they stand in one or many patterns.
struct SharedCondition {
  std::shared_ptr<const std::vector<Test>> tests;
  std::uint32_t field = 0;
  bool absent = false;       ///< a missing field is enough
  bool asks_each = false;    ///< some of its tests no index finds
  bool was_pivot = false;    ///< and since then those are asked of each value
  std::uint32_t weight = 1;  ///< how little its passing says
  std::uint32_t users = 0;
  std::vector<std::uint32_t> pivot_of;  ///< branches that are weighed when it passes
  /// Those that no index finds, unless it was a pivot: asked when a branch is weighed, of the values that were kept.
  std::vector<SingleTest> late;
  // Of the current event:
  std::uint64_t event = 0;        ///< passed in this one
  std::uint64_t asked_round = 0;  ///< the field's kept_round in which `late` was asked
  ArrayElements::Places hits;
};

struct SharedBranch {
  std::uint32_t pattern = 0;              ///< index in ids
  std::vector<std::uint32_t> conditions;  ///< in the order of their paths
};

std::uint32_t weight_of(const Test& test) {
  switch (test.kind) {
    case Test::Kind::kText:
    case Test::Kind::kNumber:
    case Test::Kind::kSpelling:
    case Test::Kind::kAddress:
    case Test::Kind::kIgnoreCase:
      return 1;
    case Test::Kind::kPrefix:
    case Test::Kind::kSuffix:
    case Test::Kind::kPrefixIgnoreCase:
    case Test::Kind::kSuffixIgnoreCase:
    case Test::Kind::kWildcard:
      return test.texts[0].size() < 2 ? 32 : 4;
    case Test::Kind::kWord:
    case Test::Kind::kRange:
    case Test::Kind::kBlock:
      return 16;
    default:
      return 64;
  }
}

}  // namespace

struct PatternSet::Impl {
  Impl() { steps.emplace_back(); }

  // What was added.
  std::vector<Step> steps;
  std::deque<Field> fields;  // a deque: FieldTests are large, and never moved
  std::vector<SharedCondition> conditions;
  std::vector<SharedBranch> branches;
  std::vector<std::uint32_t> always;  ///< branches with nothing that has to be there
  std::map<std::string, std::vector<std::pair<std::shared_ptr<const std::vector<Test>>, std::uint32_t>>> by_path;
  std::vector<std::uint32_t> ids;
  std::vector<std::uint64_t> matched_in;  ///< the last event that matched, of each of ids
  std::unordered_map<std::uint32_t, std::uint32_t> known_ids;
  std::uint32_t looked_inside = kNone;  ///< a step whose strings may hold JSON
  bool dirty = false;

  // The current event.
  std::uint64_t event = 0;
  bool spoilt = false;
  ArrayElements elements;
  std::vector<ArrayElements::Condition> in_arrays;  ///< of one branch
  std::vector<std::uint32_t> passed_now;            ///< by one value
  std::vector<std::uint32_t> passed;                ///< conditions, by any value
  std::vector<std::uint32_t> matched;
  std::string decoded;
  std::string kept_text;  ///< of the values that were kept
  std::string inside;     ///< the text at looked_inside

  void add(std::uint32_t id, std::span<const Branch> more) {
    const auto [known, fresh] = known_ids.try_emplace(id, static_cast<std::uint32_t>(ids.size()));
    if (fresh) {
      ids.push_back(id);
      matched_in.push_back(0);
    }
    for (const Branch& branch : more) {
      SharedBranch shared{.pattern = known->second};
      for (const Condition& condition : branch) shared.conditions.push_back(share(condition));
      branches.push_back(std::move(shared));
    }
    dirty = true;
  }

  std::uint32_t child_of(std::uint32_t at, std::string_view name) {
    const auto fresh = static_cast<std::uint32_t>(steps.size());
    const std::uint32_t child = steps[at].children.add(name, fresh);
    if (child == fresh) steps.emplace_back();
    return child;
  }

  std::uint32_t field_at(std::string_view path) {
    std::uint32_t at = 0;
    for (std::size_t begin = 0; begin <= path.size();) {
      const std::size_t end = std::min(path.find('.', begin), path.size());
      at = child_of(at, path.substr(begin, end - begin));
      begin = end + 1;
    }
    if (steps[at].field == kNone) {
      steps[at].field = static_cast<std::uint32_t>(fields.size());
      fields.emplace_back();
    }
    return steps[at].field;
  }

  std::uint32_t share(const Condition& condition) {
    auto& known = by_path[condition.path];
    for (const auto& [tests, number] : known) {
      if (tests == condition.tests || *tests == *condition.tests) {
        ++conditions[number].users;
        return number;
      }
    }
    const auto number = static_cast<std::uint32_t>(conditions.size());
    known.emplace_back(condition.tests, number);
    SharedCondition& made = conditions.emplace_back();
    made.tests = condition.tests;
    made.field = field_at(condition.path);
    made.users = 1;
    for (const Test& test : *condition.tests) {
      if (test.kind == Test::Kind::kAbsent) {
        made.absent = true;
        continue;
      }
      made.weight = std::max(made.weight, weight_of(test));
      if (SingleTest::is_one(test)) {
        made.asks_each = true;
      } else {
        fields[made.field].tests.add(test, number);
      }
    }
    return number;
  }

  /// Finds for each branch the condition that passes most rarely, as far as can be told.
  void choose_pivots() {
    for (SharedCondition& condition : conditions) condition.pivot_of.clear();
    always.clear();
    for (std::uint32_t i = 0; i < branches.size(); ++i) {
      SharedCondition* best = nullptr;
      for (const std::uint32_t number : branches[i].conditions) {
        SharedCondition& each = conditions[number];
        if (each.absent) continue;
        if (best == nullptr || std::uint64_t{each.users} * each.weight < std::uint64_t{best->users} * best->weight)
          best = &each;
      }
      (best == nullptr ? always : best->pivot_of).push_back(i);
    }
    for (std::uint32_t i = 0; i < conditions.size(); ++i) place_singles(i);
    dirty = false;
  }

  /// Tests that no index finds are asked of each value only for the sake of a pivot. The others wait until a branch is
  /// weighed, which needs few of them.
  void place_singles(std::uint32_t number) {
    SharedCondition& condition = conditions[number];
    if (!condition.asks_each || condition.was_pivot) return;
    Field& field = fields[condition.field];
    condition.was_pivot = !condition.pivot_of.empty();
    if (!condition.was_pivot && !condition.late.empty()) return;
    condition.late.clear();
    for (const Test& test : *condition.tests) {
      if (!SingleTest::is_one(test)) continue;
      if (condition.was_pivot) {
        field.tests.add(test, number);
      } else {
        field.tests.read_for(test);
        condition.late.emplace_back(test);
      }
    }
    if (condition.was_pivot) {
      std::erase(field.late, number);
    } else {
      field.late.push_back(number);
    }
  }

  void begin() {
    if (dirty) choose_pivots();
    ++event;
    spoilt = false;
    elements.clear();
    passed.clear();
    matched.clear();
    kept_text.clear();
  }

  void scalar(std::uint32_t step, std::uint32_t element, Scalar::Kind kind, std::string_view text = {}) {
    if (steps[step].field == kNone) return;
    Field& field = fields[steps[step].field];
    if (field.event != event) {
      field.event = event;
      field.values = {};
      field.kept.clear();
      ++field.kept_round;
    }
    elements.note(field.values, element);
    Scalar scalar = field.tests.read(kind, text);
    passed_now.clear();
    field.tests.match(scalar, passed_now);
    for (const std::uint32_t each : passed_now) note_pass(each, element);
    if (!field.late.empty()) keep(field, std::move(scalar), element);
  }

  void keep(Field& field, Scalar scalar, std::uint32_t element) {
    if (field.kept.size() == kMaxKept) {
      for (const std::uint32_t number : field.late) ask_late(number);
      field.kept.clear();
      ++field.kept_round;
    }
    // A copy: what a piece of an event was read from may be gone when the event is finished.
    const std::string_view text = std::exchange(scalar.text, {});
    field.kept.push_back({std::move(scalar), kept_text.size(), text.size(), element});
    kept_text += text;
  }

  void note_pass(std::uint32_t number, std::uint32_t element) {
    SharedCondition& condition = conditions[number];
    if (condition.event != event) {
      condition.event = event;
      condition.hits = {};
      if (!condition.pivot_of.empty()) passed.push_back(number);
    }
    elements.note(condition.hits, element);
  }

  void ask_late(std::uint32_t number) {
    SharedCondition& condition = conditions[number];
    Field& field = fields[condition.field];
    if (field.event != event || condition.asked_round == field.kept_round) return;
    condition.asked_round = field.kept_round;
    for (KeptValue& value : field.kept) {
      value.scalar.text = std::string_view(kept_text).substr(value.text_begin, value.text_size);
      // No pivot, so that `passed`, which may just be gone through, stays as it is.
      if (std::ranges::any_of(condition.late, [&](const SingleTest& test) { return test.passes(value.scalar); }))
        note_pass(number, value.element);
    }
  }

  bool value(JsonScanner& in, std::uint32_t step, std::uint32_t element, std::size_t depth) {
    switch (in.peek()) {
      case '{':
        return members(in, step, element, depth);
      case '[':
        return array(in, step, element, depth);
      case '"': {
        JsonScanner::Raw raw;
        if (!in.string(raw)) return false;
        if (steps[step].field != kNone) scalar(step, element, Scalar::Kind::kString, unescaped(raw, decoded));
        if (step == looked_inside) look_inside(raw, step, element);
        return true;
      }
      case 't':
        if (!in.word("true")) return false;
        scalar(step, element, Scalar::Kind::kTrue);
        return true;
      case 'f':
        if (!in.word("false")) return false;
        scalar(step, element, Scalar::Kind::kFalse);
        return true;
      case 'n':
        if (!in.word("null")) return false;
        scalar(step, element, Scalar::Kind::kNull);
        return true;
      default: {
        std::string_view number;
        if (!in.number(number)) return false;
        scalar(step, element, Scalar::Kind::kNumber, number);
        return true;
      }
    }
  }

  void look_inside(const JsonScanner::Raw& raw, std::uint32_t step, std::uint32_t element) {
    inside = unescaped(raw, decoded);
    JsonScanner in(inside);
    const char first = in.peek();
    if ((first == '{' || first == '[') && is_json(inside)) {
      looked_inside = kNone;  // a string in it is a string
      value(in, step, element, 0);
      looked_inside = step;
    }
  }

  static std::string_view unescaped(const JsonScanner::Raw& raw, std::string& scratch) {
    if (!raw.escapes) return raw.text;
    scratch.clear();
    // It was checked, and what ends it is behind it.
    std::size_t at = 0;
    read_string({raw.text.data(), raw.text.size() + 1}, at, scratch);
    return scratch;
  }

  /// Where a member leads; a name with dots in it is as many steps.
  std::uint32_t down(std::uint32_t step, std::string_view name) const {
    const std::uint32_t whole = steps[step].children.find(name);
    // A step has no dot in its name.
    if (whole != kNone || name.find('.') == std::string_view::npos) return whole;
    for (std::size_t begin = 0; begin <= name.size() && step != kNone;) {
      const std::size_t end = std::min(name.find('.', begin), name.size());
      step = steps[step].children.find(name.substr(begin, end - begin));
      begin = end + 1;
    }
    return step;
  }

  bool members(JsonScanner& in, std::uint32_t step, std::uint32_t element, std::size_t depth) {
    if (depth == kMaxJsonDepth || !in.take('{')) return false;
    if (in.peek() == '}') return in.take('}');
    for (;;) {
      JsonScanner::Raw raw;
      if (!in.string(raw)) return false;
      const std::uint32_t next = down(step, unescaped(raw, decoded));
      if (in.peek() != ':') return false;
      in.take(':');
      if (!(next == kNone ? in.skip(depth + 1) : value(in, next, element, depth + 1))) return false;
      if (in.peek() == '}') return in.take('}');
      if (!in.take(',')) return false;
      in.space();
    }
  }

  bool array(JsonScanner& in, std::uint32_t step, std::uint32_t element, std::size_t depth) {
    if (depth == kMaxJsonDepth || !in.take('[')) return false;
    if (in.peek() == ']') return in.take(']');
    const std::uint32_t number = elements.add_array(element);
    for (;;) {
      const char c = in.peek();
      const std::uint32_t within = c == '{' || c == '[' ? elements.add_element(number) : element;
      if (!value(in, step, within, depth + 1)) return false;
      if (in.peek() == ']') return in.take(']');
      if (!in.take(',')) return false;
    }
  }

  /// Whether what has passed makes the whole branch pass.
  bool holds(const SharedBranch& branch) {
    in_arrays.clear();
    for (const std::uint32_t number : branch.conditions) {
      if (!conditions[number].late.empty()) ask_late(number);
      const SharedCondition& condition = conditions[number];
      const Field& field = fields[condition.field];
      const bool there = field.event == event;
      const bool spread = there && field.values.in_arrays();
      const bool has_passed = condition.event == event;
      // A missing field is enough; in arrays it may be missing in the element that the others chose.
      if (!has_passed && (!condition.absent || (there && !spread))) return false;
      if (spread)
        in_arrays.push_back({has_passed ? condition.hits : ArrayElements::Places(), field.values, condition.absent});
    }
    return in_arrays.empty() || elements.consistent(in_arrays);
  }

  void weigh(std::uint32_t number) {
    const SharedBranch& branch = branches[number];
    std::uint64_t& last = matched_in[branch.pattern];
    if (last == event || !holds(branch)) return;
    last = event;
    matched.push_back(ids[branch.pattern]);
  }

  std::span<const std::uint32_t> finish() {
    if (spoilt) return {};
    for (const std::uint32_t number : passed) {
      for (const std::uint32_t branch : conditions[number].pivot_of) weigh(branch);
    }
    for (const std::uint32_t branch : always) weigh(branch);
    return matched;
  }

  bool whole(std::string_view text, std::uint32_t step, std::size_t depth) {
    JsonScanner in(text);
    const bool fine = value(in, step, kNone, depth);
    in.space();
    if (!fine || !in.at_end()) spoilt = true;
    return !spoilt;
  }
};

PatternSet::PatternSet() : impl_(std::make_unique<Impl>()) {}
PatternSet::~PatternSet() = default;
PatternSet::PatternSet(PatternSet&&) noexcept = default;
PatternSet& PatternSet::operator=(PatternSet&&) noexcept = default;

void PatternSet::add(std::uint32_t id, const Pattern& pattern) {
  impl_->add(id, pattern.branches());
}

void PatternSet::add(std::uint32_t id, std::span<const Branch> branches) {
  impl_->add(id, branches);
}

Result<void> PatternSet::add(std::uint32_t id, std::string_view text, Dialect dialect) {
  auto pattern = Pattern::compile(text, dialect);
  if (!pattern) return pattern.error();
  add(id, *pattern);
  return {};
}

void PatternSet::look_inside(std::string_view name) {
  impl_->looked_inside = impl_->child_of(0, name);
}

Result<std::span<const std::uint32_t>> PatternSet::match(std::string_view event) {
  begin();
  if (!members(event)) {
    return Error(ErrorCode::kEventRefused, "Parameter Event is not valid. " +
                                               (is_json(event) ? "It is not a JSON object." : json_complaint(event)));
  }
  return finish();
}

bool PatternSet::asks_for(std::string_view name) const {
  return impl_->down(0, name) != kNone;
}

void PatternSet::begin() {
  impl_->begin();
}

bool PatternSet::members(std::string_view object) {
  JsonScanner in(object);
  const bool fine = in.peek() == '{' && impl_->members(in, 0, kNone, 0);
  in.space();
  if (!fine || !in.at_end()) impl_->spoilt = true;
  return !impl_->spoilt;
}

bool PatternSet::member(std::string_view name, std::string_view value) {
  const std::uint32_t step = impl_->down(0, name);
  if (step != kNone) return impl_->whole(value, step, 0);
  JsonScanner in(value);
  const bool fine = in.skip(0);
  in.space();
  if (!fine || !in.at_end()) impl_->spoilt = true;
  return !impl_->spoilt;
}

void PatternSet::text(std::string_view name, std::string_view value) {
  const std::uint32_t step = impl_->down(0, name);
  if (step != kNone) impl_->scalar(step, kNone, Scalar::Kind::kString, value);
}

std::span<const std::uint32_t> PatternSet::finish() {
  return impl_->finish();
}

}  // namespace weir::pattern
