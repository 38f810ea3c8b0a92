#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>

#include <CLI/CLI.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "weir/base/json_check.h"
#include "weir/base/random.h"

#include "bridge/invoker.h"
#include "cli/command.h"
#include "cli/endpoints.h"
#include "http/client.h"
#include "http/sigv4.h"
#include "http/uri.h"
#include "observe/log_sink.h"

namespace weir::cli {
namespace {

struct Options {
  std::string function;
  std::vector<std::string> files{"weir.yaml"};
  std::string event;
  std::string qualifier;
  bool log = false;
  bool async = false;
};

/// A folder of this call's own, gone with it.
class TemporaryFolder {
 public:
  TemporaryFolder() : path_((std::filesystem::temp_directory_path() / "weir-invoke-XXXXXX").string()) {
    made_ = ::mkdtemp(path_.data()) != nullptr;
  }
  ~TemporaryFolder() {
    std::error_code ignored;  // what is left of it is in the temporary folder anyway
    if (made_) std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  bool made() const { return made_; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  bool made_ = false;
};

/// The event's bytes, or the exit status with the reason said.
std::optional<std::string> read_event(const std::string& from) {
  if (from.empty()) return "{}";  // an empty body is legal, the handler sees {}
  std::string event;
  if (from == "-") {
    event.assign(std::istreambuf_iterator<char>(std::cin), {});
  } else {
    std::ifstream file(from, std::ios::binary);
    std::error_code ignored;  // what there is no knowing of cannot be opened either
    if (!file || std::filesystem::is_directory(from, ignored)) {
      complain("invoke: " + from + ": cannot be read", kBadCall);
      return std::nullopt;
    }
    event.assign(std::istreambuf_iterator<char>(file), {});
  }
  if (event.empty()) return "{}";
  if (event.size() > kMaxRequestBytes) {
    complain(
        "RequestEntityTooLargeException: Request must be smaller than 6291456 bytes for the InvokeFunction operation",
        kBadCall);
    return std::nullopt;
  }
  if (!is_json(event)) {
    complain(
        "InvalidRequestContentException: Could not parse request body into json: Could not parse payload into json: " +
            json_complaint(event),
        kBadCall);
    return std::nullopt;
  }
  return event;
}

net::awaitable<Outcome> call(LambdaEndpoint& endpoint, bridge::Invoker& invoker, Invocation invocation) {
  Outcome outcome = co_await invoker.invoke(std::move(invocation), Instant::max(), engine::CallKind::kSynchronous);
  co_await endpoint.close();
  co_return outcome;
}

int report(const Outcome& outcome, bool log) {
  if (log && !outcome.log_tail.empty()) std::cerr << outcome.log_tail << (outcome.log_tail.ends_with('\n') ? "" : "\n");
  if (const auto* done = std::get_if<Succeeded>(&outcome.what)) {
    std::cout << done->payload << "\n";
    return kDone;
  }
  if (const auto* failed = std::get_if<FunctionFailed>(&outcome.what)) {
    std::cout << failed->payload << "\n";
    return kFailed;
  }
  if (const auto* throttled = std::get_if<Throttled>(&outcome.what)) {
    return complain("TooManyRequestsException: Rate Exceeded. (" + std::string(text(throttled->reason)) + ")",
                    kNotDelivered);
  }
  if (const auto* service = std::get_if<ServiceFailed>(&outcome.what)) {
    return complain(service->type + ": " + service->message, service->status == 404 ? kBadCall : kNotDelivered);
  }
  return complain("the call was called off", kNotDelivered);
}

/// Hands the event to a running bridge, as any client of its gateway would.
int send(const Options& options, const config::Config& config, const std::string& event) {
  if (config.listen.empty()) return complain("invoke: the configuration has no gateway (listen is empty)", kBadCall);
  std::string target = "/2015-03-31/functions/" + http::percent_encode(options.function) + "/invocations";
  if (!options.qualifier.empty()) target += "?Qualifier=" + http::percent_encode(options.qualifier);
  http::Headers headers;
  headers.add("X-Amz-Invocation-Type", "Event");
  if (!config.access_keys.empty()) {
    http::Credentials credentials;
    credentials.access_key_id = config.access_keys.begin()->first;
    credentials.secret_access_key = config.access_keys.begin()->second;
    http::SigningScope scope;
    scope.region = "us-east-1";
    scope.service = "lambda";
    scope.at = SystemClock().now().wall;
    http::sign("POST", config.listen, target, event, credentials, scope, headers);
  }
  auto answer = http::request("POST", "http://" + config.listen + target, event, std::chrono::seconds(60), headers);
  if (!answer)
    return complain(std::move(answer.error()).during("handing the event to the bridge at " + config.listen),
                    kNotDelivered);
  if (answer->status == 202) {
    std::cout << answer->headers.get("x-amzn-RequestId").value_or("") << "\n";
    return kDone;
  }
  const auto said = nlohmann::json::parse(answer->body, nullptr, false);
  std::string message = "the answer was " + std::to_string(answer->status);
  for (const char* name : {"message", "Message"}) {
    if (said.is_object() && said.contains(name) && said[name].is_string()) message = said[name].get<std::string>();
  }
  const std::string type(answer->headers.get("x-amzn-ErrorType").value_or("no weir listens at " + config.listen));
  const bool caller = answer->status >= 400 && answer->status < 500 && answer->status != 429;
  return complain(type + ": " + message, caller ? kBadCall : kNotDelivered);
}

int invoke(const Options& options) {
  const auto config = load_config(options.files, "nothing was invoked");
  if (!config) return kBadCall;
  const auto function = config->functions.find(options.function);
  // What weir runs itself has no versions; what is elsewhere knows its own.
  const bool own =
      function != config->functions.end() && std::holds_alternative<config::CommandFunction>(function->second.target);
  const bool latest = options.qualifier.empty() || options.qualifier == "$LATEST";
  if (function == config->functions.end() || (own && !latest)) {
    return complain("ResourceNotFoundException: Function not found: " + bridge::function_arn(options.function) + ":" +
                        (options.qualifier.empty() ? "$LATEST" : options.qualifier),
                    kBadCall);
  }
  auto event = read_event(options.event);
  if (!event) return kBadCall;
  if (options.async) return send(options, *config, *event);
  const TemporaryFolder folder;
  if (!folder.made()) return complain("no temporary folder can be made at " + folder.path(), kNotDelivered);
  net::io_context context(1);
  net::thread_pool blocking(1);
  const SystemClock clock;
  observe::LogSink log(STDERR_FILENO, observe::LogFormat::kText, LogLevel::kWarn, clock);
  const FunctionHome home{folder.path(), config->function_logs, nullptr};
  auto endpoint = make_endpoint(context.get_executor(), blocking.get_executor(), function->second, own ? "$LATEST" : "",
                                config->aws, home, log, clock);
  if (!endpoint) return complain(endpoint.error(), kNotDelivered);
  bridge::Invoker invoker(config->concurrency, clock, seed_from_system());
  if (auto added = invoker.add(options.function, **endpoint, function->second.reserved_concurrent_executions); !added) {
    return complain(added.error(), kBadCall);
  }
  Invocation invocation;
  invocation.function = options.function;
  invocation.qualifier = options.qualifier;
  invocation.request_id = Random(seed_from_system()).uuid();
  invocation.payload = std::move(*event);
  invocation.log_tail = options.log;
  auto outcome = net::co_spawn(context, call(**endpoint, invoker, std::move(invocation)), net::use_future);
  context.run();
  return report(outcome.get(), options.log);
}

}  // namespace

void add_invoke(CLI::App& app, Work& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("invoke", "Invokes a function once and prints what it answered.");
  command->add_option("FUNCTION", options->function, "The function's name in the configuration.")->required();
  command->add_option("--config", options->files, "Configuration files.")
      ->allow_extra_args(false)
      ->capture_default_str();
  command->add_option("--event", options->event, "A file with the event, or - for standard input; {} when not given.");
  command->add_option("--qualifier", options->qualifier,
                      "A version or alias; of a function that weir runs itself there is only $LATEST.");
  command->add_flag("--async", options->async,
                    "Hands the event to the running bridge's queue (its gateway, `listen`) and prints the request id.");
  command->add_flag("--log", options->log, "Prints the last 4 KB of the function's log on stderr.");
  command->footer(
      "Example: weir event kafka | weir invoke hello --event - --log\n"
      "Exit status: 0 success, 1 function error, 2 bad call, 3 not delivered.");
  command->callback([options, &chosen] { chosen = [options] { return invoke(*options); }; });
}

}  // namespace weir::cli
