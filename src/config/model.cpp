#include "config/model.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <memory>
#include <system_error>

#include "weir/base/json_writer.h"

#include "config/suggest.h"

namespace weir::config {
namespace {

/// At least this much of the account's concurrency stays unreserved (configuration-concurrency).
constexpr int kUnreservedMinimum = 100;
/// What a function's variables may take, as the JSON text of their mapping (Lambda quotas).
constexpr std::size_t kEnvironmentBytes = 4096;

/// Set by Lambda itself (configuration-envvars; reference invoke.md 2.2).
constexpr std::array<std::string_view, 21> kReservedVariables{
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
    "AWS_DEFAULT_REGION",
    "AWS_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_LAMBDA_RUNTIME_API",
    "LAMBDA_TASK_ROOT",
    "LAMBDA_RUNTIME_DIR",
    "AWS_LAMBDA_MAX_CONCURRENCY",
    "AWS_LAMBDA_METADATA_API",
    "AWS_LAMBDA_METADATA_TOKEN",
};

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// AWS's pattern of a variable's name: [a-zA-Z]([a-zA-Z0-9_])+
bool is_variable_name(std::string_view name) {
  return name.size() >= 2 && is_letter(name.front()) &&
         std::all_of(name.begin(), name.end(), [](char c) { return is_letter(c) || is_digit(c) || c == '_'; });
}

/// HOST:PORT with a name, an IPv4 address, or an IPv6 address in brackets.
bool is_address(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return false;
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  const bool host_is_right = !host.empty() && std::all_of(host.begin(), host.end(), [&](char c) {
    return is_letter(c) || is_digit(c) || c == '.' || c == '-' || (bracketed && c == ':');
  });
  unsigned number = 0;
  const auto [stop, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  return host_is_right && error == std::errc{} && stop == port.data() + port.size() && number <= 65'535;
}

void check_environment(ModelNode& node, const std::map<std::string, std::string>& environment) {
  for (const auto& [name, value] : environment) {
    if (std::find(kReservedVariables.begin(), kReservedVariables.end(), name) != kReservedVariables.end()) {
      node.mistake_within("environment", name, "is reserved: Lambda sets it itself");
    } else if (!is_variable_name(name)) {
      node.mistake_within("environment", name,
                          "a variable's name begins with a letter, followed by at least one letter, digit or _");
    }
  }
  std::string json;
  JsonWriter out(json);
  out.begin_object();
  for (const auto& [name, value] : environment) out.member(name, value);
  out.end_object();
  if (json.size() > kEnvironmentBytes) {
    // AWS adds "String measured" with all values, which may be secrets.
    node.mistake("environment",
                 "Lambda was unable to configure your environment variables because the environment variables you have "
                 "provided exceeded the 4KB limit.");
  }
}

std::string read_directory(ModelNode& node) {
  const std::string written = *node.text(
      "directory",
      {.about = "Where the command starts, and LAMBDA_TASK_ROOT; relative to the configuration file's folder.",
       .fallback = "."});
  const std::string directory = node.resolve_path(written);
  std::error_code error;
  if (!std::filesystem::is_directory(directory, error)) {
    node.mistake("directory",
                 "there is no folder \"" + written + "\"; it is looked for from the configuration file's folder");
  }
  return directory;
}

std::optional<int> read_reservation(ModelNode& node, Draft& draft) {
  const auto reserved = node.integer(
      "reserved_concurrent_executions",
      {.about = "How many invocations of the function may run at a time, kept free for it; 0 blocks the function. "
                "All reservations leave at least 100 of `concurrency`.",
       .min = 0,
       .max = 1'000'000});
  if (!reserved) return std::nullopt;
  const int amount = static_cast<int>(*reserved);
  if (amount > 0 && amount > draft.config.concurrency - kUnreservedMinimum - draft.reserved) {
    node.mistake(
        "reserved_concurrent_executions",
        "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below "
        "its minimum value of [" +
            std::to_string(kUnreservedMinimum) + "].");
  } else {
    draft.reserved += amount;
  }
  return amount;
}

FunctionConfig read_function(const std::string& name, ModelNode& node, Draft& draft) {
  constexpr const char* kOwnFunctionsOnly = "this version runs functions itself; give their `command`";
  FunctionConfig function;
  function.name = name;
  const bool has_url = node.refuse_key("url", kOwnFunctionsOnly);
  const bool has_arn = node.refuse_key("arn", kOwnFunctionsOnly);
  function.command = node.texts(
      "command",
      {.about = "The program and its arguments; it speaks Lambda's Runtime API. A program without a slash is looked "
                "up in PATH. A single text is the program alone.",
       .min_items = has_url || has_arn ? 0U : 1U});
  if (!function.command.empty() && function.command.front().empty()) {
    node.mistake("command", "the program must not be empty");
  }
  function.directory = read_directory(node);
  function.handler = *node.text(
      "handler", {.about = "What the runtime calls, for example `index.handler`; the function finds it in _HANDLER.",
                  .fallback = ""});
  function.timeout =
      *node.seconds("timeout", {.about = "Seconds that one invocation may take.", .min = 1, .max = 900, .fallback = 3});
  function.memory_size = static_cast<int>(
      *node.integer("memory_size", {.about = "Megabytes of memory.", .min = 128, .max = 10'240, .fallback = 128}));
  function.ephemeral_storage = static_cast<int>(
      *node.integer("ephemeral_storage", {.about = "Megabytes of /tmp.", .min = 512, .max = 10'240, .fallback = 512}));
  function.environment = node.text_map(
      "environment", "Environment variables, at most 4 KB in all. The names that Lambda sets itself are refused.");
  check_environment(node, function.environment);
  function.reserved_concurrent_executions = read_reservation(node, draft);
  return function;
}

SourceEntry read_source(const std::string& name, ModelNode& node, const Draft& draft) {
  SourceEntry source;
  source.name = name;
  source.function = node.required_text("function", {.about = "The function that gets the events: one of `functions`."});
  if (const auto& names = draft.function_names;
      names && std::find(names->begin(), names->end(), source.function) == names->end()) {
    node.mistake("function", "there is no function \"" + source.function + "\"" + suggestion(source.function, *names));
  }
  source.enabled = node.flag("enabled", {.about = "Whether the source is read at all.", .fallback = true});
  std::vector<Variant> variants;
  for (const ConnectorEntry& connector : draft.connectors) {
    variants.push_back({connector.type, connector.about, [&source, &connector](ConfigNode& settings) {
                          source.connector = &connector;
                          std::unique_ptr<SourceConfig> own = connector.read_config(settings);
                          own->name = source.name;
                          source.settings = std::move(own);
                        }});
  }
  node.variants("type", "The kind of source.", variants);
  return source;
}

}  // namespace

void read_settings(ModelNode& root, Draft& draft) {
  Config& config = draft.config;
  // Each key stands in one file at most; a file without it leaves what another one said.
  const std::string state = *root.text(
      "state",
      {.about = "Folder where weir remembers what is settled; made on the first run. Relative to the configuration "
                "file's folder.",
       .fallback = kDefaultState});
  if (root.has("state")) {
    if (state.starts_with("postgresql://") || state.starts_with("postgres://")) {
      root.mistake("state", "this version keeps its state in a folder; give the path of one");
    } else if (state.empty()) {
      root.mistake("state", "must not be empty");
    }
    config.state = root.resolve_path(state);
  }
  const std::string admin =
      *root.text("admin", {.about = "HOST:PORT of /metrics, /healthz, /readyz and /status; port 0 takes any free one.",
                           .fallback = "127.0.0.1:4581"});
  if (root.has("admin")) {
    if (!is_address(admin)) root.mistake("admin", "\"" + admin + "\" is not HOST:PORT, for example 127.0.0.1:4581");
    config.admin = admin;
  }
  const auto concurrency =
      root.integer("concurrency", {.about = "How many invocations may run at a time in all: the account's limit.",
                                   .min = 1,
                                   .max = 1'000'000,
                                   .fallback = 1000});
  if (root.has("concurrency")) config.concurrency = static_cast<int>(*concurrency);
  const auto grace = root.seconds(
      "shutdown_grace", {.about = "Seconds that invocations under way have to finish when weir is asked to stop.",
                         .min = 0,
                         .max = 3600,
                         .fallback = 30});
  if (root.has("shutdown_grace")) config.shutdown_grace = *grace;
}

void read_functions(ModelNode& root, Draft& draft) {
  const NameRule rule{.about = "The functions, by name.", .punctuation = "-_"};
  root.named_sections("functions", rule, [&draft](const std::string& name, ModelNode& node) {
    draft.config.functions.emplace(name, read_function(name, node, draft));
  });
}

void read_sources(ModelNode& root, Draft& draft) {
  const NameRule rule{.about = "The sources of events, by name.", .punctuation = "-_."};
  root.named_sections("sources", rule, [&draft](const std::string& name, ModelNode& node) {
    draft.config.sources.push_back(read_source(name, node, draft));
  });
}

}  // namespace weir::config
