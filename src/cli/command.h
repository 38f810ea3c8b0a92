#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <CLI/App.hpp>

#include "weir/base/error.h"

#include "config/config.h"

namespace weir::cli {

// Exit statuses, as README.md and every --help say.
inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;  ///< the command could not do its work; `invoke`: the function answered with an error
inline constexpr int kBadCall = 2;       ///< wrong arguments, or a configuration with mistakes
inline constexpr int kNotDelivered = 3;  ///< `invoke`: the function could not be reached or started

/// Adds one command to the program. `chosen` is set to what does its work when the command line names it.
using Work = std::function<int()>;
void add_run(CLI::App& app, Work& chosen);
void add_reload(CLI::App& app, Work& chosen);
void add_validate(CLI::App& app, Work& chosen);
void add_invoke(CLI::App& app, Work& chosen);
void add_status(CLI::App& app, Work& chosen);
void add_checkpoint(CLI::App& app, Work& chosen);
void add_deadletter(CLI::App& app, Work& chosen);
void add_logs(CLI::App& app, Work& chosen);
void add_event(CLI::App& app, Work& chosen);
void add_match(CLI::App& app, Work& chosen);

/// Reads the configuration, with the variables of this process.
config::ConfigReport read_files(const std::vector<std::string>& files);
/// Prints every mistake on stderr, and how many there are. `consequence`: "nothing was started".
void print_mistakes(const std::vector<config::Mistake>& mistakes, std::string_view consequence);
/// Reads the configuration; prints every mistake on stderr when there are some. `consequence`: "nothing was started".
std::optional<config::Config> load_config(const std::vector<std::string>& files, std::string_view consequence);

/// Prints "weir: ..." on stderr and gives back the exit status.
int complain(const Error& error, int status = kFailed);
int complain(std::string_view sentence, int status);

}  // namespace weir::cli
