#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <unistd.h>

#include "weir/base/json_writer.h"

#include "cli/command.h"
#include "config/suggest.h"
#include "http/client.h"
#include "observe/function_log_lines.h"
#include "observe/function_log_reader.h"

namespace weir::cli {
namespace {

struct Options {
  std::string function;
  std::vector<std::string> files{"weir.yaml"};
  std::string since = "10m";
  std::string qualifier;
  std::string format = "detailed";
  bool follow = false;
  bool json = false;
};

constexpr int kLookAgainAfterMs = 100;

/// "10m", "2d", or a time; nothing when it is neither.
std::optional<WallTime> time_of(const std::string& text, WallTime now) {
  if (text == "all") return from_epoch_milliseconds(0);
  constexpr std::string_view kUnits = "smhdw";
  constexpr std::array kSeconds{1, 60, 3600, 86'400, 604'800};
  const std::size_t unit = text.empty() ? std::string_view::npos : kUnits.find(text.back());
  if (unit == std::string_view::npos) return parse_iso(text);
  const std::string_view digits = std::string_view(text).substr(0, text.size() - 1);
  constexpr std::size_t kDigitsMax = 9;
  if (digits.empty() || digits.size() > kDigitsMax ||
      digits.find_first_not_of("0123456789") != std::string_view::npos) {
    return std::nullopt;
  }
  const std::int64_t milliseconds = std::stoll(std::string(digits)) * kSeconds[unit] * 1000;
  return from_epoch_milliseconds(std::max<std::int64_t>(0, epoch_milliseconds(now) - milliseconds));
}

/// The functions that have a log: what weir runs by the configuration, and what has ever printed.
std::set<std::string> functions_with_logs(const config::Config& config) {
  std::set<std::string> names;
  for (const auto& [name, function] : config.functions) {
    if (std::holds_alternative<config::CommandFunction>(function.target)) names.insert(name);
  }
  const std::filesystem::path folder =
      std::filesystem::path(config::function_log_path(config.state, "f")).parent_path();
  std::error_code ignored;  // a folder that is not there has no logs
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
    if (entry.path().extension() == ".log") names.insert(entry.path().stem().string());
  }
  return names;
}

/// Those that the running bridge knows, which the Lambda API may have made; none when there is no bridge.
void add_functions_of_bridge(const config::Config& config, std::set<std::string>& names) {
  const auto answer = http::request("GET", "http://" + config.admin + "/status", "", std::chrono::seconds(2));
  if (!answer || answer->status != 200) return;
  const auto status = nlohmann::json::parse(answer->body, nullptr, false);
  if (!status.is_object() || !status.contains("functions") || !status["functions"].is_array()) return;
  for (const auto& function : status["functions"]) {
    if (function.is_object() && function.contains("function") && function["function"].is_string())
      names.insert(function["function"].get<std::string>());
  }
}

int unknown_function(const config::Config& config, const std::string& name, const std::set<std::string>& names) {
  const auto known = config.functions.find(name);
  if (known != config.functions.end()) {
    return complain("weir does not run the function " + name +
                        ", so it has no log of it; aws logs tail /aws/lambda/NAME shows one of real Lambda",
                    kBadCall);
  }
  const std::vector<std::string> all(names.begin(), names.end());
  std::string listed;
  for (const std::string& each : all) listed += (listed.empty() ? "" : ", ") + each;
  return complain("there is no function " + name + config::suggestion(name, all) +
                      (all.empty() ? "; weir runs none here" : " There is " + listed),
                  kBadCall);
}

/// Prints lines as they come.
class Printer {
 public:
  Printer(const Options& options, WallTime since) : options_(options), since_(epoch_milliseconds(since)) {}

  /// Whether somebody still reads what is printed.
  bool take(std::string_view line) {
    auto read = observe::read_function_log_line(line);
    if (read) {
      last_time_ = read->time;
    } else {
      // Of a weir that wrote no times: it is as old as what stands before it.
      read.emplace();
      read->time = last_time_;
      read->stream = "-";
      read->message = line;
    }
    if (read->time < since_) return true;
    if (!options_.qualifier.empty() && observe::version_of_stream(read->stream) != options_.qualifier) return true;
    ++printed_;
    print(*read);
    constexpr std::size_t kBufferBytes = 64 * 1024;
    return buffer_.size() < kBufferBytes || flush();
  }

  bool flush() {
    const bool whole = std::fwrite(buffer_.data(), 1, buffer_.size(), stdout) == buffer_.size();
    buffer_.clear();
    return std::fflush(stdout) == 0 && whole;
  }

  std::uint64_t printed() const { return printed_; }
  std::int64_t last_time() const { return last_time_; }

 private:
  void print(const observe::FunctionLogLine& line) {
    if (options_.json) {
      JsonWriter out(buffer_);
      out.begin_object().member("timestamp", line.time).member("logStreamName", line.stream);
      out.member("message", line.message).end_object();
    } else {
      buffer_ += iso_milliseconds(from_epoch_milliseconds(line.time));
      if (options_.format == "detailed") buffer_.append(" ").append(line.stream);
      buffer_.append(" ").append(line.message);
    }
    buffer_ += '\n';
  }

  const Options& options_;
  const std::int64_t since_;
  std::int64_t last_time_ = 0;
  std::uint64_t printed_ = 0;
  std::string buffer_;
};

/// Waits a moment; false when whoever read the output is gone.
bool wait_a_moment() {
  pollfd out{STDOUT_FILENO, 0, 0};
  ::poll(&out, 1, kLookAgainAfterMs);
  return (out.revents & POLLERR) == 0;
}

void tell_nothing_printed(const Options& options, const Printer& printer, WallTime since) {
  std::string sentence = "the log of " + options.function;
  if (!options.qualifier.empty()) sentence += " has nothing of version " + options.qualifier;
  if (printer.last_time() == 0) {
    if (options.qualifier.empty()) sentence += " is empty";
  } else {
    sentence += options.qualifier.empty() ? " has nothing since " : " since ";
    sentence += iso_milliseconds(since) + "; its last line is of " +
                iso_milliseconds(from_epoch_milliseconds(printer.last_time())) + " (--since all shows everything)";
  }
  std::cerr << "weir: " << sentence << "\n";
}

int logs(const Options& options) {
  const auto config = load_config(options.files, "no log was read");
  if (!config) return kBadCall;
  const auto since = time_of(options.since, SystemClock().now().wall);
  if (!since) {
    return complain(
        "--since " + options.since + " is no time; one is 10m (s, m, h, d, w), 2026-09-12T07:00:00Z, or all", kBadCall);
  }
  constexpr std::string_view kDigits = "0123456789";
  if (!options.qualifier.empty() && options.qualifier != "$LATEST" &&
      options.qualifier.find_first_not_of(kDigits) != std::string::npos) {
    return complain("--qualifier " + options.qualifier +
                        " is no version; a log knows $LATEST and numbers, weir invoke and aws lambda get-alias tell "
                        "where an alias leads",
                    kBadCall);
  }
  std::set<std::string> names = functions_with_logs(*config);
  if (!names.contains(options.function)) add_functions_of_bridge(*config, names);
  const auto configured = config->functions.find(options.function);
  const bool elsewhere = configured != config->functions.end() &&
                         !std::holds_alternative<config::CommandFunction>(configured->second.target);
  if (!names.contains(options.function) || options.function.find('/') != std::string::npos || elsewhere) {
    return unknown_function(*config, options.function, names);
  }

  observe::FunctionLogReader reader(config::function_log_path(config->state, options.function), *since);
  Printer printer(options, *since);
  bool read_by_somebody = true;
  const observe::FunctionLogReader::Take take = [&](std::string_view line) {
    return read_by_somebody = printer.take(line);
  };
  for (;;) {
    reader.read(take);
    if (!options.follow) reader.read_rest(take);
    read_by_somebody = printer.flush() && read_by_somebody;
    if (!options.follow || !read_by_somebody || !wait_a_moment()) break;
  }
  if (!options.follow && printer.printed() == 0) tell_nothing_printed(options, printer, *since);
  return kDone;
}

}  // namespace

void add_logs(CLI::App& app, Work& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "logs", "Prints the log of a function that weir runs: what it printed, with Lambda's START, END and REPORT.");
  command->add_option("FUNCTION", options->function, "The function's name.")->required();
  command->add_option("--config", options->files, "Configuration files.")
      ->allow_extra_args(false)
      ->capture_default_str();
  command->add_flag("--follow,-f", options->follow, "Goes on with what comes, until it is interrupted.");
  command
      ->add_option("--since", options->since,
                   "From when on: 30s, 10m, 3h, 2d, 1w ago, a time such as 2026-09-12T07:00:00Z, or all.")
      ->capture_default_str();
  command->add_option("--qualifier", options->qualifier, "Only of this version: $LATEST or a number.");
  command
      ->add_option("--format", options->format,
                   "detailed: the time, the log stream (one of each environment) and the message; short: without the "
                   "stream.")
      ->check(CLI::IsMember({"detailed", "short"}))
      ->capture_default_str();
  command->add_flag("--json", options->json, "Prints a JSON object a line: timestamp, logStreamName, message.");
  command->footer(
      "Example: weir logs resize --follow --since 1h\n"
      "Reads logs/FUNCTION.log in the state folder and the files that were rotated away, whether weir runs or not.\n"
      "Exit status: 0, or 2 for a bad call, which a function is that there is not.");
  command->callback([options, &chosen] { chosen = [options] { return logs(*options); }; });
}

}  // namespace weir::cli
