#include "cli/command.h"

#include <cstdlib>
#include <iostream>

#include "connectors/table.h"

namespace weir::cli {

std::optional<config::Config> load_config(const std::vector<std::string>& files, std::string_view consequence) {
  const auto environment = [](std::string_view name) -> std::optional<std::string> {
    const char* value = std::getenv(std::string(name).c_str());
    return value == nullptr ? std::nullopt : std::optional<std::string>(value);
  };
  config::ConfigReport report = config::read_config(files, connectors(), environment, destinations());
  if (report.mistakes.empty()) return std::move(report.config);
  for (const config::Mistake& mistake : report.mistakes) std::cerr << mistake.describe() << "\n";
  std::cerr << report.mistakes.size() << (report.mistakes.size() == 1 ? " mistake; " : " mistakes; ") << consequence
            << "\n";
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
