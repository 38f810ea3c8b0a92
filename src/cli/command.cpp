#include "cli/command.h"

#include <cstdlib>
#include <iostream>

#include "connectors/table.h"

namespace weir::cli {

config::ConfigReport read_files(const std::vector<std::string>& files) {
  const auto environment = [](std::string_view name) -> std::optional<std::string> {
    const char* value = std::getenv(std::string(name).c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  };
  return config::read_config(files, connectors(), environment, destinations());
}

void print_mistakes(const std::vector<config::Mistake>& mistakes, std::string_view consequence) {
  for (const config::Mistake& mistake : mistakes) std::cerr << mistake.describe() << "\n";
  std::cerr << mistakes.size() << (mistakes.size() == 1 ? " mistake; " : " mistakes; ") << consequence << "\n";
}

std::optional<config::Config> load_config(const std::vector<std::string>& files, std::string_view consequence) {
  config::ConfigReport report = read_files(files);
  if (report.mistakes.empty()) return std::move(report.config);
  print_mistakes(report.mistakes, consequence);
  return std::nullopt;
}

int complain(const Error& error, int status) {
  return complain(error.describe(), status);
}

int complain(std::string_view sentence, int status) {
  std::cerr << "weir: " << sentence << "\n";
  return status;
}

}  // namespace weir::cli
