#include "cli/table.h"

#include <algorithm>
#include <cstdio>
#include <utility>

namespace weir::cli {

Table::Table(std::vector<std::string> heads, std::size_t numbers) : numbers_(numbers) {
  rows_.push_back(std::move(heads));
}

void Table::add(std::vector<std::string> row) {
  rows_.push_back(std::move(row));
}

void Table::print(int indent) const {
  std::vector<std::size_t> widths(rows_.front().size());
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < widths.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const auto& row : rows_) {
    std::string line(static_cast<std::size_t>(indent), ' ');
    for (std::size_t i = 0; i < widths.size(); ++i) {
      const std::string padding(widths[i] - row[i].size(), ' ');
      if (i > 0) line += "  ";
      line += i < numbers_ ? row[i] + padding : padding + row[i];
    }
    while (line.ends_with(' ')) line.pop_back();
    std::puts(line.c_str());
  }
}

}  // namespace weir::cli
