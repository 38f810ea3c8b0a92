#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace weir::cli {

/// Rows of text in columns that are as wide as their widest cell, for a terminal.
class Table {
 public:
  /// `numbers`: from this column on, cells stand at the right.
  Table(std::vector<std::string> heads, std::size_t numbers);

  void add(std::vector<std::string> row);  ///< as many cells as there are heads
  /// On stdout, each line behind `indent` spaces.
  void print(int indent = 0) const;

 private:
  std::size_t numbers_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace weir::cli
