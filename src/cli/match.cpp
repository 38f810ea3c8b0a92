#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <sstream>
#include <string>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "weir/base/json_check.h"

#include "base/json_scanner.h"
#include "cli/command.h"
#include "pattern/log_pattern.h"
#include "pattern/pattern_set.h"
#include "pattern/sns_policy.h"

namespace weir::cli {
namespace {

struct Options {
  std::string pattern;
  std::string event;
  std::string kind = "event";
  std::string scope = "MessageAttributes";
  bool lines = false;
};

/// Whether the pattern matches; errors are those of the pattern or of the event.
Result<bool> does_match(const std::string& pattern, const std::string& event, const Options& options) {
  if (options.kind == "sns") {
    const auto scope =
        options.scope == "MessageBody" ? pattern::PolicyScope::kMessageBody : pattern::PolicyScope::kMessageAttributes;
    return pattern::sns_policy_matches(pattern, scope, event);
  }
  if (options.kind == "logs") {
    const auto filter = pattern::LogPattern::compile(pattern);
    if (!filter) return filter.error();
    return filter->matches(event);
  }
  pattern::PatternSet set;
  if (auto added = set.add(0, pattern); !added) return std::move(added.error());
  auto matched = set.match(event);
  if (!matched) return std::move(matched.error());
  return !matched->empty();
}

std::optional<std::string> read_all(const std::string& path) {
  if (path == "-") return std::string(std::istreambuf_iterator<char>(std::cin), {});
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  // A folder can be opened and not be read; of an empty file nothing is put there, which is no failure.
  if (!file.is_open() || file.peek() == std::ifstream::traits_type::eof()) {
    return file.is_open() && !file.bad() ? std::optional(std::string()) : std::nullopt;
  }
  text << file.rdbuf();
  return file.bad() ? std::nullopt : std::optional(std::move(text).str());
}

/// Why a line cannot be answered as asked, or nothing.
std::string complaint_of(const nlohmann::ordered_json& line) {
  if (!line.is_object()) return "the line is not a JSON object";
  for (const char* key : {"pattern", "event"}) {
    const auto member = line.find(key);
    if (member == line.end() || !member->is_string())
      return std::string("\"") + key + "\" has to be a string that holds JSON";
  }
  return {};
}

/// The line's `id` as it is written: it means something to the asker alone, who may know larger numbers than we do.
/// Also of a line that is malformed behind it. "null" when there is none.
std::string id_of(std::string_view line) {
  std::string id = "null";
  JsonScanner scan(line);
  scan.space();
  if (!scan.take('{')) return id;
  do {
    JsonScanner::Raw key;
    if (scan.peek() != '"' || !scan.string(key) || scan.peek() != ':' || !scan.take(':')) return id;
    scan.space();
    const char* begin = scan.at();
    if (!scan.skip(1)) return id;
    if (key.text == "id") id.assign(begin, scan.at());
  } while (scan.peek() == ',' && scan.take(','));
  return id;
}

int match_lines(const Options& options) {
  // Unlike the other commands, this one talks to a program: it reads a line, and answers it before it reads the next.
  std::string line;
  while (std::getline(std::cin, line)) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    // Which also looks how deep it goes: reading it goes as deep, on the stack.
    const std::string_view text = is_json(line) ? std::string_view(line) : std::string_view();
    const auto asked = nlohmann::ordered_json::parse(text, nullptr, false);
    nlohmann::ordered_json answer{{"match", nullptr}, {"error", nullptr}};
    if (const std::string complaint = complaint_of(asked); !complaint.empty()) {
      answer["error"] = complaint;
    } else {
      const auto matched = does_match(asked["pattern"].get<std::string>(), asked["event"].get<std::string>(), options);
      if (matched) {
        answer["match"] = *matched;
      } else {
        answer["error"] = matched.error().message();
      }
    }
    const std::string said = answer.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
    std::cout << "{\"id\":" << id_of(line) << "," << said.substr(1) << std::endl;
    if (!std::cout) return kFailed;
  }
  return kDone;
}

int match_files(const Options& options) {
  const auto pattern = read_all(options.pattern);
  if (!pattern) return complain("match: cannot read " + options.pattern, kBadCall);
  auto event = read_all(options.event);
  if (!event) return complain("match: cannot read " + options.event, kBadCall);
  // A message is a line, and a file of one line ends with its end.
  if (options.kind == "logs" && event->ends_with('\n')) event->pop_back();
  const auto matched = does_match(*pattern, *event, options);
  if (!matched) {
    std::cerr << matched.error().message() << "\n";
    return kBadCall;
  }
  std::cout << (*matched ? "true" : "false") << "\n";
  return *matched ? kDone : kFailed;
}

}  // namespace

void add_match(CLI::App& app, Work& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("match", "Says whether an event pattern matches an event, as AWS would.");
  CLI::Option* pattern = command->add_option("--pattern", options->pattern, "A file with the pattern; - is stdin.");
  CLI::Option* event = command->add_option("--event", options->event, "A file with the event; - is stdin.");
  command
      ->add_option("--kind", options->kind,
                   "event: a pattern of EventBridge or of a mapping; sns: a subscription's filter policy; logs: a "
                   "filter pattern of CloudWatch Logs, the event a log message.")
      ->capture_default_str();
  command
      ->add_option("--scope", options->scope, "Of a filter policy: what it looks at, MessageAttributes or MessageBody.")
      ->capture_default_str();
  command
      ->add_flag("--jsonl", options->lines,
                 "Answers many: a line {\"id\": .., \"pattern\": \"..\", \"event\": \"..\"} on stdin gives a line "
                 "{\"id\": .., "
                 "\"match\": true|false|null, \"error\": \"..\"|null} on stdout.")
      ->excludes(pattern)
      ->excludes(event);
  command->footer(
      "Example: weir match --pattern pattern.json --event event.json\n"
      "Exit status: 0 it matches (--jsonl: every line was answered), 1 it does not, 2 the pattern or the event is "
      "invalid.");
  command->callback([options, &chosen] {
    chosen = [options] {
      if (options->kind != "event" && options->kind != "sns" && options->kind != "logs")
        return complain("match: --kind is event, sns or logs, not " + options->kind, kBadCall);
      if (options->scope != "MessageAttributes" && options->scope != "MessageBody") {
        return complain("Invalid parameter: FilterPolicyScope: Invalid value [" + options->scope +
                            "]. Please use either MessageBody or MessageAttributes",
                        kBadCall);
      }
      if (options->lines) return match_lines(*options);
      if (options->pattern.empty() || options->event.empty())
        return complain("match: --pattern and --event are needed, or --jsonl", kBadCall);
      if (options->pattern == "-" && options->event == "-")
        return complain("match: only one of --pattern and --event can be stdin", kBadCall);
      return match_files(*options);
    };
  });
}

}  // namespace weir::cli
