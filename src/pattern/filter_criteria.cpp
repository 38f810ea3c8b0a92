#include "pattern/filter_criteria.h"

#include <algorithm>
#include <array>
#include <vector>

#include "weir/base/bytes.h"
#include "weir/base/json_check.h"

#include "pattern/pattern.h"
#include "pattern/pattern_set.h"

namespace weir::pattern {
namespace {

/// Filters of a mapping: 5, and 10 when AWS has raised the quota.
constexpr std::size_t kMaxFilters = 10;

/// How a pattern speaks of a body, and how a body is: as a text, or as JSON with something in it.
enum class Form : unsigned { kNone = 0, kText = 1, kJson = 2, kBoth = 3 };

constexpr unsigned kForms = 4;

Form operator|(Form a, Form b) {
  return static_cast<Form>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}

std::string_view body_key(FilterSource source) {
  switch (source) {
    case FilterSource::kKinesis:
      return "data";
    case FilterSource::kDynamodb:
      return "dynamodb";
    case FilterSource::kKafka:
      return "value";
    case FilterSource::kSqs:
      return "body";
  }
  return {};
}

/// Whether a condition speaks of `key`, as a text or of what is in it.
Form form_of(const Condition& condition, std::string_view key) {
  if (!condition.path.starts_with(key)) return Form::kNone;
  if (condition.path.size() == key.size()) return Form::kText;
  return condition.path[key.size()] == '.' ? Form::kJson : Form::kNone;
}

Form form_of(const Branch& branch, std::string_view key) {
  Form form = Form::kNone;
  for (const Condition& condition : branch) form = form | form_of(condition, key);
  return form;
}

Branch without(Branch branch, std::string_view key) {
  std::erase_if(branch, [&](const Condition& each) { return form_of(each, key) != Form::kNone; });
  return branch;
}

/// JSON is an object or an array: a number or a quoted word is as good a text.
Form form_of_body(std::string_view body) {
  const std::size_t first = body.find_first_not_of(" \t\r\n");
  const bool opens = first != std::string_view::npos && (body[first] == '{' || body[first] == '[');
  return opens && is_json(body) ? Form::kJson : Form::kText;
}

}  // namespace

// The branches of all filters stand in one set, with what they ask of the body as their id. So a record passes the set
// once, and then only those ids count that go with its form.
struct FilterCriteria::Impl {
  /// `bare`: the tests of the body were taken away; it counts where the forms differ.
  static std::uint32_t id_of(Form asked, bool bare) { return static_cast<std::uint32_t>(asked) * 2 + (bare ? 1U : 0U); }

  FilterSource source = FilterSource::kKinesis;
  bool metadata = false;
  std::array<bool, 2 * kForms> empty{};  ///< by id: there is such a branch with no test left, which always passes
  PatternSet set;

  void add(Form asked, bool bare, const Branch& branch) {
    const std::uint32_t id = id_of(asked, bare);
    if (branch.empty()) {
      empty[id] = true;
    } else {
      set.add(id, std::span(&branch, 1));
    }
  }

  /// Whether a branch that passed counts.
  static bool counts(std::uint32_t id, Form body, FilterSource source, bool readable) {
    const auto asked = static_cast<Form>(id / 2);
    const bool bare = id % 2 == 1;
    if (asked == Form::kNone) return true;
    const bool fits = readable && (body == Form::kNone || asked == body);
    if (source == FilterSource::kKafka) return fits != bare;
    return fits;
  }
};

Result<std::shared_ptr<const FilterCriteria>> FilterCriteria::compile(std::span<const std::string> patterns,
                                                                      FilterSource source) {
  const auto refused = [](const std::string& why) {
    return Error(ErrorCode::kPatternInvalid, "Invalid filter pattern definition. " + why);
  };
  if (patterns.empty()) return refused("There is no filter.");
  if (patterns.size() > kMaxFilters) {
    return refused("There are " + std::to_string(patterns.size()) + " filters, at most " + std::to_string(kMaxFilters) +
                   " are allowed.");
  }
  auto impl = std::make_unique<Impl>();
  impl->source = source;
  const std::string_view body = body_key(source);
  for (const std::string& text : patterns) {
    auto pattern = Pattern::compile(text, Dialect::kMappingFilter);
    if (!pattern) return pattern.error();
    for (const Branch& branch : pattern->branches()) {
      const Form asked = form_of(branch, body);
      const bool plain = (static_cast<unsigned>(asked) & static_cast<unsigned>(Form::kText)) != 0;
      if (plain && (source == FilterSource::kKinesis || source == FilterSource::kDynamodb)) {
        return refused("\"" + std::string(body) + "\" is JSON: it takes an object of fields, not tests of its own.");
      }
      if (source == FilterSource::kDynamodb) {
        impl->add(Form::kNone, false, branch);
        continue;
      }
      const Branch bare = without(branch, body);
      impl->metadata = impl->metadata || !bare.empty();
      impl->add(asked, false, branch);
      if (source == FilterSource::kKafka && asked != Form::kNone) impl->add(asked, true, bare);
    }
  }
  if (source == FilterSource::kDynamodb) impl->metadata = true;
  if (source == FilterSource::kKafka) impl->set.look_inside("key");
  return std::shared_ptr<const FilterCriteria>(new FilterCriteria(std::move(impl)));
}

FilterCriteria::FilterCriteria(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
FilterCriteria::~FilterCriteria() = default;

bool FilterCriteria::needs_metadata() const {
  return impl_->metadata;
}

bool FilterCriteria::keeps(const FilterView& record) const {
  const std::string_view key = body_key(impl_->source);
  PatternSet& set = impl_->set;
  set.begin();
  if (impl_->metadata) {
    const bool written_well = set.members(record.metadata);
    WEIR_ASSERT(written_well);
  }
  Form body = Form::kNone;
  bool readable = true;
  if (impl_->source != FilterSource::kDynamodb) {
    if (!record.has_body) {
      set.member(key, "null");
    } else {
      readable = impl_->source != FilterSource::kKafka || is_utf8(record.body);
      body = form_of_body(record.body);
      if (!readable) {
        body = Form::kText;
      } else if (body == Form::kJson) {
        set.member(key, record.body);
      } else {
        set.text(key, record.body);
      }
    }
  }
  for (std::uint32_t id = 0; id < impl_->empty.size(); ++id) {
    if (impl_->empty[id] && Impl::counts(id, body, impl_->source, readable)) return true;
  }
  return std::ranges::any_of(set.finish(),
                             [&](std::uint32_t id) { return Impl::counts(id, body, impl_->source, readable); });
}

}  // namespace weir::pattern
