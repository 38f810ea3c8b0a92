#include "config/model.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <memory>
#include <system_error>

#include "weir/base/json_writer.h"

#include "config/suggest.h"
#include "config/variables.h"
#include "package/layers.h"
#include "package/runtimes.h"

namespace weir::config {
namespace {

/// At least this much of the account's concurrency stays unreserved (configuration-concurrency).
constexpr int kUnreservedMinimum = 100;
bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
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
    if (is_reserved_variable(name)) {
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
  if (json.size() > kMaxEnvironmentBytes) {
    // AWS adds "String measured" with all values, which may be secrets.
    node.mistake("environment",
                 "Lambda was unable to configure your environment variables because the environment variables you have "
                 "provided exceeded the 4KB limit.");
  }
}

std::string read_directory(ModelNode& node) {
  const std::string written = *node.text(
      "directory",
      {.about =
           "The function's code: where the command starts, and where `runtime` looks for what it runs; the function "
           "sees it as /var/task, read-only, where this machine permits that. Relative to the configuration file's "
           "folder.",
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

std::vector<std::string> read_layers(ModelNode& node) {
  std::vector<std::string> layers = node.texts(
      "layers", {.about = "Folders and .zip files whose content the function finds under /opt, together and read-only; "
                          "of equal names the later layer's is there. At most 5, and 250 MB unpacked."});
  if (layers.size() > package::kLayersMax) node.mistake("layers", "Cannot reference more than 5 layers.");
  for (std::string& layer : layers) {
    const std::string written = layer;
    layer = node.resolve_path(written);
    std::error_code error;
    if (std::filesystem::is_directory(layer, error)) continue;
    if (!std::filesystem::is_regular_file(layer, error)) {
      node.mistake("layers", "there is no folder or file \"" + written +
                                 "\"; it is looked for from the configuration file's folder");
    } else if (!layer.ends_with(".zip")) {
      node.mistake("layers", "\"" + written + "\" is neither a folder nor a .zip file");
    }
  }
  return layers;
}

/// What is known now of a runtime: Python's and Ruby's clients are only known to them, and a layer may bring any.
void check_runtime(ModelNode& node, const CommandFunction& function) {
  if (function.runtime.empty()) return;
  const auto family = package::family_of(function.runtime);
  if (!family) {
    node.mistake("runtime", "\"" + function.runtime +
                                "\" is none that weir can start: nodejsN.x, python3.N, ruby3.N, javaN and "
                                "provided.al2023 are; any other function is a `command`");
    return;
  }
  if (*family == package::RuntimeFamily::kProvided) {
    if (!function.layers.empty()) return;
  } else if (function.handler.empty()) {
    node.mistake(node.has("handler") ? "handler" : "runtime",
                 "Handler is a mandatory parameter: give `handler` with `runtime`, for example index.handler");
    return;
  }
  if (!function.layers.empty() || !std::filesystem::is_directory(function.directory)) return;
  package::RuntimePlace place;
  place.runtime = function.runtime;
  place.handler = function.handler;
  place.directory = function.directory;
  place.environment = function.environment;
  if (std::string missing = package::find_runtime(place).missing; !missing.empty()) {
    if (*family == package::RuntimeFamily::kProvided) {
      missing = "there is no executable \"bootstrap\" in " + function.directory + ", and no layer that could bring one";
    }
    node.mistake("runtime", std::move(missing));
  }
}

CommandFunction read_command_function(ModelNode& node) {
  CommandFunction function;
  function.command = node.texts(
      "command",
      {.about = "The program and its arguments, of a function that weir runs itself; it speaks Lambda's Runtime API. A "
                "program without a slash is looked up in PATH. A single text is the program alone."});
  if (!function.command.empty() && function.command.front().empty()) {
    node.mistake("command", "the program must not be empty");
  }
  function.runtime = *node.text(
      "runtime",
      {.about =
           "In place of `command`: the name of Lambda's runtime, which weir starts through AWS's own client of it. "
           "`nodejsN.x`: aws-lambda-ric in node_modules of `directory`, of a folder above it, of a layer, or in "
           "NODE_PATH. `python3.N`: awslambdaric, as python3 finds it. `ruby3.N`: the gem aws_lambda_ric. `javaN`: "
           "aws-lambda-java-runtime-interface-client in lib/ of `directory`. `provided`, `provided.al2`, "
           "`provided.al2023`: the program bootstrap in `directory`, else in a layer. The programs node, python3, "
           "ruby and java are those in PATH, whatever the version in the name.",
       .fallback = ""});
  function.directory = read_directory(node);
  function.handler = *node.text(
      "handler", {.about = "What the runtime calls, for example `index.handler`; the function finds it in _HANDLER.",
                  .fallback = "",
                  .max_length = 128});
  function.layers = read_layers(node);
  function.timeout = *node.seconds(
      "timeout", {.about = "Seconds that one invocation may take; with `url`: that its answer may take, 900 when not "
                           "given.",
                  .min = 1,
                  .max = 900,
                  .fallback = 3});
  function.memory_size = static_cast<int>(
      *node.integer("memory_size", {.about = "Megabytes of memory.", .min = 128, .max = 10'240, .fallback = 128}));
  function.ephemeral_storage = static_cast<int>(
      *node.integer("ephemeral_storage", {.about = "Megabytes of /tmp.", .min = 512, .max = 10'240, .fallback = 512}));
  function.log_format = *node.text(
      "log_format", {.about = "How Lambda's own lines stand in the function's log: as text, or as a JSON record each.",
                     .fallback = "Text",
                     .one_of = {"Text", "JSON"}});
  function.application_log_level = *node.text(
      "application_log_level",
      {.about = "With `log_format: JSON`: of the lines that the function prints, the log keeps those of this level and "
                "above. A line's is its `level`, where it is a JSON object with a time, else INFO.",
       .fallback = "INFO",
       .one_of = {"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"}});
  function.system_log_level = *node.text(
      "system_log_level", {.about = "With `log_format: JSON`: the same of Lambda's own lines, whose level is INFO, and "
                                    "WARN of what failed.",
                           .fallback = "INFO",
                           .one_of = {"DEBUG", "INFO", "WARN"}});
  for (const char* key : {"application_log_level", "system_log_level"}) {
    const bool ours = node.has("command") || node.has("runtime");
    if (ours && node.has(key) && function.log_format != "JSON") node.mistake(key, "goes with `log_format: JSON` only");
  }
  function.environment = node.text_map(
      "environment", "Environment variables, at most 4 KB in all. The names that Lambda sets itself are refused.");
  check_environment(node, function.environment);
  check_runtime(node, function);
  return function;
}

UrlFunction read_url_function(const std::string& name, ModelNode& node) {
  UrlFunction function;
  function.urls =
      node.texts("url", {.about = "Where a server speaks the Invoke API (RIE, SAM, LocalStack, another weir), for "
                                  "example http://127.0.0.1:9000. Several share the function's calls."});
  for (const std::string& url : function.urls) {
    if (!is_server_url(url)) {
      // Not shown: it may hold a password or a token.
      node.mistake("url", "is no address of a server, such as http://127.0.0.1:9000; without user, query and fragment");
    }
  }
  function.function_name =
      *node.text("function_name", {.about = "What the function is called there, with `url`; RIE calls every function "
                                            "`function`. The name here when not given.",
                                   .fallback = "",
                                   .max_length = 256});
  if (function.function_name.empty()) function.function_name = name;
  function.requests_per_url = static_cast<int>(
      *node.integer("requests_per_url", {.about = "How many calls one `url` is given at a time; RIE takes one. Further "
                                                  "calls wait for their turn.",
                                         .min = 1,
                                         .max = 10'000,
                                         .fallback = 1}));
  return function;
}

ArnFunction read_arn_function(ModelNode& node) {
  ArnFunction function;
  function.arn = node.text("arn", {.about = "The ARN of a function of real Lambda, with or without a version or alias. "
                                            "Calls are signed (SigV4) with the credentials that the AWS SDKs would "
                                            "find."})
                     .value_or("");
  constexpr std::string_view kArn = "arn:aws";
  if (!function.arn.empty()) {
    const auto colons = std::count(function.arn.begin(), function.arn.end(), ':');
    if (!function.arn.starts_with(kArn) || function.arn.find(":lambda:") == std::string::npos ||
        function.arn.find(":function:") == std::string::npos || colons < 6 || colons > 7 ||
        function.arn.back() == ':') {
      node.mistake("arn", "\"" + function.arn +
                              "\" is no function's ARN; one is arn:aws:lambda:eu-west-1:123456789012:function:NAME");
    }
  }
  function.region =
      *node.text("region", {.about = "The region, with `arn`; the ARN's when not given.", .fallback = ""});
  function.endpoint_url = *node.text(
      "endpoint_url", {.about = "Where Lambda is, with `arn`; that of `aws`, AWS_ENDPOINT_URL_LAMBDA, AWS_ENDPOINT_URL "
                                "or AWS's own address of the region when not given.",
                       .fallback = ""});
  if (!function.endpoint_url.empty() && !is_server_url(function.endpoint_url)) {
    node.mistake("endpoint_url", "is no address of a server; without user, query and fragment");
  }
  function.profile = *node.text(
      "profile",
      {.about = "The profile of the shared AWS files, with `arn`; that of `aws` or AWS_PROFILE when not given.",
       .fallback = ""});
  return function;
}

/// The path of a destination is the configuration file's business, whatever folder weir is started in.
constexpr std::string_view kFile = "file:";
constexpr std::string_view kLambda = "lambda:";

/// Why it is none of the program's destinations beside files and functions; "" when it is one. `source_type`: as
/// DestinationEntry::check has it.
std::string destination_mistake(const std::string& written, std::string_view source_type, std::string_view others,
                                const Draft& draft) {
  const std::string_view text = written;
  const std::size_t colon = text.find(':');
  std::string known(others);
  for (const DestinationEntry& entry : draft.config.destinations) {
    known += ", " + std::string(entry.scheme) + ":";
    if (colon == text.npos || text.substr(0, colon) != entry.scheme) continue;
    if (colon + 1 == text.size())
      return "needs " + std::string(entry.about) + " behind " + std::string(entry.scheme) + ":";
    return entry.check(text.substr(colon + 1), source_type);
  }
  return "\"" + written + "\" is no destination; they begin with " + known;
}

/// The file itself is made when it is needed, its folder is not.
void check_destination_file(std::string_view key, const std::string& path, ConfigNode& node) {
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  if (!std::filesystem::is_directory(folder, error)) {
    node.mistake(key, "there is no folder \"" + folder.string() + "\"");
  } else if (std::filesystem::is_directory(path, error)) {
    node.mistake(key, "\"" + path + "\" is a folder; the path of a file is needed");
  }
}

void check_mapping_destination(const MappingSettings& mapping, std::string_view source_type, ConfigNode& settings,
                               const Draft& draft) {
  const std::string& destination = mapping.destination_on_failure;
  if (destination.empty()) return;
  if (destination.starts_with(kFile) && destination.size() > kFile.size()) {
    check_destination_file("destination_on_failure", destination.substr(kFile.size()), settings);
    return;
  }
  std::string mistake = destination_mistake(destination, source_type, "file:", draft);
  if (!mistake.empty()) settings.mistake("destination_on_failure", std::move(mistake));
}

std::string read_destination(std::string_view key, std::string_view about, const std::string& function, ModelNode& node,
                             const Draft& draft) {
  const std::string written = destination_of(*node.text(key, {.about = about, .fallback = ""}));
  if (written.empty()) return written;
  if (written.starts_with(kFile) && written.size() > kFile.size()) {
    const std::string path = node.resolve_path(written.substr(kFile.size()));
    check_destination_file(key, path, node);
    return std::string(kFile) + path;
  }
  if (written.starts_with(kLambda) && written.size() > kLambda.size()) {
    const std::string target = written.substr(kLambda.size());
    const auto& names = draft.function_names;
    if (target == function) {
      node.mistake(key, "You can't specify the function as a destination for itself.");
    } else if (names && std::find(names->begin(), names->end(), target) == names->end()) {
      node.mistake(key, "there is no function \"" + target + "\"" + suggestion(target, *names));
    }
    return written;
  }
  if (std::string mistake = destination_mistake(written, "", "file:, lambda:", draft); !mistake.empty()) {
    node.mistake(key, std::move(mistake));
  }
  return written;
}

AsyncConfig read_async(const std::string& name, ModelNode& node, const Draft& draft) {
  AsyncConfig async;
  async.maximum_retry_attempts = static_cast<int>(*node.integer(
      "maximum_retry_attempts",
      {.about = "Asynchronous invocations: how often one that failed is tried again, after 1 and then 2 minutes.",
       .min = 0,
       .max = 2,
       .fallback = 2}));
  async.maximum_event_age = *node.seconds("maximum_event_age_in_seconds",
                                          {.about = "Asynchronous invocations: events older than this are given up on.",
                                           .min = 60,
                                           .max = 21'600,
                                           .fallback = 21'600});
  async.on_failure = read_destination(
      "on_failure",
      "Asynchronous invocations: where AWS's record of an event that was given up on goes: file:PATH (a line of JSON "
      "each), lambda:FUNCTION, sqs:QUEUE (name or URL), sns:TOPIC (name), eventbridge:BUS, s3:BUCKET/PREFIX, or an "
      "ARN as AWS's own setting has it. Without it, and when it cannot be delivered, the event is kept as a dead "
      "letter (`weir deadletter`).",
      name, node, draft);
  async.on_success = read_destination("on_success",
                                      "Asynchronous invocations: where AWS's record of an event that was handled goes, "
                                      "as in `on_failure`; a bucket takes failures only.",
                                      name, node, draft);
  if (async.on_success.starts_with("s3:")) node.mistake("on_success", "a bucket takes records of failures only");
  async.dead_letter = read_destination(
      "dead_letter",
      "Asynchronous invocations: the dead-letter queue, sqs:QUEUE (name or URL), sns:TOPIC (name) or an ARN. It gets "
      "the event itself with the attributes RequestID, ErrorCode and ErrorMessage, beside what `on_failure` gets. What "
      "it does not take is kept as a dead letter.",
      name, node, draft);
  if (!async.dead_letter.empty() && !async.dead_letter.starts_with("sqs:") && !async.dead_letter.starts_with("sns:")) {
    node.mistake("dead_letter", "is a queue or a topic: sqs:QUEUE, sns:TOPIC or an ARN of one");
  }
  return async;
}

FunctionConfig read_function(const std::string& name, ModelNode& node, Draft& draft) {
  FunctionConfig function;
  function.name = name;
  // All keys are read whatever the kind: the schema holds what was asked for.
  CommandFunction command = read_command_function(node);
  const Duration timeout = command.timeout;
  const bool timeout_given = node.has("timeout");
  UrlFunction url = read_url_function(name, node);
  ArnFunction arn = read_arn_function(node);
  const std::array<std::string_view, 4> kinds{"command", "runtime", "url", "arn"};
  const auto given = std::count_if(kinds.begin(), kinds.end(), [&](std::string_view key) { return node.has(key); });
  if (given == 0) {
    node.mistake(
        "",
        "a function needs `command` or `runtime` (weir runs it), `url` (a server that speaks the Invoke API) or `arn` "
        "(real Lambda)");
  } else if (given > 1) {
    const auto last = std::find_if(kinds.rbegin(), kinds.rend(), [&](std::string_view key) { return node.has(key); });
    node.mistake(*last, "a function has one of `command`, `runtime`, `url` and `arn`");
  } else {
    // "" stands for what weir runs itself, by `command` or `runtime`.
    constexpr std::array<std::pair<std::string_view, std::string_view>, 15> kOwners{{{"directory", ""},
                                                                                     {"hot_reload", ""},
                                                                                     {"handler", ""},
                                                                                     {"memory_size", ""},
                                                                                     {"ephemeral_storage", ""},
                                                                                     {"layers", ""},
                                                                                     {"log_format", ""},
                                                                                     {"application_log_level", ""},
                                                                                     {"system_log_level", ""},
                                                                                     {"environment", ""},
                                                                                     {"function_name", "url"},
                                                                                     {"requests_per_url", "url"},
                                                                                     {"region", "arn"},
                                                                                     {"endpoint_url", "arn"},
                                                                                     {"profile", "arn"}}};
    const bool ours = node.has("command") || node.has("runtime");
    for (const auto& [key, owner] : kOwners) {
      if (!node.has(key) || (owner.empty() ? ours : node.has(owner))) continue;
      node.mistake(
          key, "goes with " + (owner.empty() ? "`command` or `runtime`" : "`" + std::string(owner) + "`") + " only");
    }
  }
  if (node.has("timeout") && node.has("arn")) node.mistake("timeout", "is set at the function itself, not here");
  if (node.has("url")) {
    if (node.has("timeout")) url.timeout = command.timeout;
    if (url.urls.empty()) node.mistake("url", "must not be empty");
    function.target = std::move(url);
  } else if (node.has("arn")) {
    if (arn.arn.empty()) node.mistake("arn", "must not be empty");
    function.target = std::move(arn);
  } else {
    if (node.has("command") && command.command.empty()) node.mistake("command", "must not be empty");
    if (node.has("runtime") && command.runtime.empty()) node.mistake("runtime", "must not be empty");
    function.target = std::move(command);
  }
  if (timeout_given) draft.timeouts.emplace(name, timeout);
  function.reserved_concurrent_executions = read_reservation(node, draft);
  function.async = read_async(name, node, draft);
  function.hot_reload =
      node.flag("hot_reload", {.about = "Whether a changed file in `directory` replaces the function's environments, "
                                        "each after what it runs. Only where `directory` is given.",
                               .fallback = true}) &&
      node.has("directory");
  return function;
}

/// Source: with-kafka. Lambda gives up on a function of such a mapping sooner than on others.
constexpr Duration kKafkaTimeoutMax = std::chrono::seconds(840);

void check_timeout(const SourceEntry& source, ModelNode& node, const Draft& draft, std::optional<Duration> timeout) {
  if (source.settings->mapping.kind != MappingKind::kKafka || source.connector->delivery != Delivery::kPoll) return;
  if (const auto known = draft.timeouts.find(source.function); known != draft.timeouts.end()) timeout = known->second;
  if (!timeout || *timeout <= kKafkaTimeoutMax) return;
  node.mistake("function", "\"" + source.function + "\" has a timeout of " +
                               std::to_string(std::chrono::floor<std::chrono::seconds>(*timeout).count()) +
                               " seconds, the most that goes with Kafka are 840");
}

/// AWS answers with 409 (reference stream-sources.md, 1.1): each event would come twice.
void check_other_mappings(const SourceEntry& source, ModelNode& node, const Draft& draft) {
  for (const SourceEntry& other : draft.config.sources) {
    if (other.connector != source.connector || other.function != source.function || !other.settings) continue;
    const std::string same = source.settings->same_as(*other.settings, source.function, draft.config.aws);
    if (same.empty()) continue;
    node.mistake("", same + " Please update or delete the existing mapping, sources." + other.name);
    return;
  }
}

/// A source that is turned off overlaps with none: where AWS refuses overlaps, it has no such switch.
void check_overlaps(const SourceEntry& source, ModelNode& node, const Draft& draft) {
  for (const SourceEntry& other : draft.config.sources) {
    if (other.connector != source.connector || !other.settings || !other.enabled || !source.enabled) continue;
    const std::string overlap = source.settings->overlap_with(*other.settings);
    if (overlap.empty()) continue;
    node.mistake("", overlap + " The other one is sources." + other.name);
    return;
  }
}

/// A source that reads what a function prints, where it can; it is told the file.
void check_function_log(SourceConfig& settings, const std::string& target, ConfigNode& node, const Draft& draft) {
  constexpr std::string_view kKey = "function_log";
  const std::string function = settings.function_log();
  if (function.empty()) return;
  settings.function_log_is(function_log_path(draft.config.state, function));
  const auto& names = draft.function_names;
  if (names && std::find(names->begin(), names->end(), function) == names->end()) {
    node.mistake(kKey, "there is no function \"" + function + "\"" + suggestion(function, *names));
    return;
  }
  if (function == target) {
    node.mistake(kKey, "\"" + function +
                           "\" would be invoked with what it prints, and print again, without end; give its log to "
                           "another function");
  }
  const auto known = draft.config.functions.find(function);
  if (known != draft.config.functions.end() && !std::holds_alternative<CommandFunction>(known->second.target)) {
    node.mistake(kKey, "weir does not run \"" + function + "\", so it has no log of it");
  }
}

}  // namespace

SourceEntry read_source(const std::string& name, ModelNode& node, const Draft& draft,
                        std::optional<Duration> function_timeout) {
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
    variants.push_back({connector.type, connector.about, [&source, &connector, &draft](ConfigNode& settings) {
                          source.connector = &connector;
                          std::unique_ptr<SourceConfig> own = connector.read_config(settings);
                          own->name = source.name;
                          check_function_log(*own, source.function, settings, draft);
                          check_mapping_destination(own->mapping, connector.type, settings, draft);
                          source.settings = std::move(own);
                        }});
  }
  node.variants("type", "The kind of source.", variants);
  if (source.settings) {
    check_timeout(source, node, draft, function_timeout);
    check_other_mappings(source, node, draft);
    check_overlaps(source, node, draft);
  }
  return source;
}

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
  const std::string listen = *root.text(
      "listen", {.about = "HOST:PORT of the gateway: the Invoke API and the webhooks of sources; port 0 takes any free "
                          "one, `none` serves nothing. Anybody who reaches it may invoke the functions, unless "
                          "`access_keys` are given.",
                 .fallback = "127.0.0.1:4580"});
  if (root.has("listen")) {
    if (listen != "none" && !is_address(listen)) {
      root.mistake("listen", "\"" + listen + "\" is not HOST:PORT, for example 127.0.0.1:4580");
    }
    config.listen = listen == "none" ? "" : listen;
  }
  const auto access_keys =
      root.text_map("access_keys",
                    "Access key ids and their secrets, for example `AKIDLOCAL: ${WEIR_SECRET}`. When there are some, "
                    "calls of the gateway's AWS APIs have to be signed (SigV4) with one of them.");
  if (root.has("access_keys")) {
    if (access_keys.empty()) root.mistake("access_keys", "holds no key; without the key nothing would be checked");
    for (const auto& [id, secret] : access_keys) {
      if (id.empty() || secret.empty()) root.mistake("access_keys", "neither a key id nor its secret may be empty");
    }
    config.access_keys = access_keys;
  }
  root.section(
      "aws",
      "Where AWS is, or what stands in for it, and who asks: for every source, destination and function of real "
      "Lambda that does not say it itself.",
      [&config](ConfigNode& node) { config.aws = read_aws_access(node); });
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
  const bool control_groups =
      root.flag("control_groups",
                {.about = "Whether the functions that weir runs are held to their memory and their share of the "
                          "processors (1,769 MB are one) by control groups (cgroup v2), where weir may make "
                          "some. Else memory is only looked at, and processors are not shared out.",
                 .fallback = true});
  if (root.has("control_groups")) config.control_groups = control_groups;
  root.section("function_logs", "The logs of the functions that weir runs: logs/NAME.log in the state folder.",
               [&config](ConfigNode& node) {
                 config.function_logs.file_size = static_cast<int>(
                     *node.integer("file_size", {.about = "Megabytes of a file; one that has them is renamed to "
                                                          "NAME.log.1, what was that to NAME.log.2, and so on. 0: it "
                                                          "grows until somebody else renames it.",
                                                 .min = 0,
                                                 .max = 1'000'000,
                                                 .fallback = 16}));
                 config.function_logs.files = static_cast<int>(*node.integer(
                     "files", {.about = "How many files a function has at most, the one that is written included.",
                               .min = 2,
                               .max = 100,
                               .fallback = 4}));
               });
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
