#include "service/form.h"

#include <charconv>
#include <set>

#include "http/uri.h"

namespace weir::service {

std::optional<Form> Form::parse(std::string_view text) {
  auto fields = http::parse_query(text, http::Plus::kSpace);
  if (!fields) return std::nullopt;
  Form form;
  for (auto& [name, value] : *fields) form.fields_.emplace(std::move(name), std::move(value));
  return form;
}

std::optional<std::string_view> Form::get(std::string_view name) const {
  const auto found = fields_.find(name);
  if (found == fields_.end()) return std::nullopt;
  return found->second;
}

std::vector<std::string> Form::items(std::string_view list) const {
  const std::string prefix = std::string(list) + ".";
  std::set<unsigned> numbers;
  for (auto field = fields_.lower_bound(prefix); field != fields_.end() && field->first.starts_with(prefix); ++field) {
    const char* const begin = field->first.data() + prefix.size();
    const char* const end = field->first.data() + field->first.size();
    unsigned number = 0;
    const auto [rest, error] = std::from_chars(begin, end, number);
    if (error == std::errc() && (rest == end || *rest == '.')) numbers.insert(number);
  }
  std::vector<std::string> names;
  names.reserve(numbers.size());
  for (const unsigned number : numbers) names.push_back(prefix + std::to_string(number));
  return names;
}

}  // namespace weir::service
