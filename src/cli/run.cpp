#include <algorithm>
#include <csignal>
#include <iostream>
#include <map>
#include <memory>
#include <set>

#include <CLI/CLI.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bridge/bridge.h"
#include "bridge/code_watch.h"
#include "cli/command.h"
#include "cli/endpoints.h"
#include "cli/progress.h"
#include "connectors/table.h"
#include "control/service.h"
#include "gateway/admin.h"
#include "gateway/bridge_functions.h"
#include "gateway/gateway.h"
#include "gateway/paths.h"
#include "http/server.h"
#include "lambda/emulator/control_groups.h"
#include "observe/log_sink.h"
#include "runtime/offload.h"
#include "runtime/task_scope.h"

namespace weir::cli {
namespace {

struct Options {
  std::vector<std::string> files;
  std::string log_format;
  std::string log_level = "info";
  std::string progress = "auto";
  bool until_finished = false;
};

/// Whether the lines of progress are drawn in place (a terminal) or one under the other.
enum class Display { kNone, kInPlace, kScrolling };

/// Everything that runs, in one thread.
class Daemon {
 public:
  Daemon(const Options& options, config::ConfigReport report)
      : options_(options),
        config_(std::move(report.config)),
        written_(std::move(report.written)),
        display_(display(options)),
        log_(STDERR_FILENO, log_format(options), log_level(options.log_level), clock_),
        home_{config_.state, config_.function_logs,
              std::make_shared<emulator::SharedControlGroups>(log_, config_.control_groups)} {}

  int run() {
    raise_descriptor_limit();
    auto store = store::StateFolder::open(config_.state);
    if (!store) return complain(store.error().during("opening the state folder"));
    bridge::EndpointFactory endpoints = [this](const config::FunctionConfig& function, const std::string& version) {
      return make_endpoint(context_.get_executor(), blocking_.get_executor(), function, version, config_.aws, home_,
                           log_, clock_);
    };
    bridge::Bridge bridge(context_.get_executor(), blocking_.get_executor(), config_, **store, std::move(endpoints),
                          log_, clock_, services());
    ServiceContext control{context_.get_executor(), blocking_.get_executor(), log_, clock_, config_.aws, {}};
    bridge.serve(control::service_entry(),
                 control::make_service(std::move(control), bridge, bridge, connectors(), config_.state));
    std::vector<ServiceEntry> known(services().begin(), services().end());
    known.push_back(control::service_entry());
    bridge::CodeWatch::Deps watched{context_.get_executor(), blocking_.get_executor(), log_};
    bridge::CodeWatch watch(std::move(watched), config_.state, [&](const std::string& function) {
      log_.info("function.code_changed", {{"function", function}});
      bridge.renew(function);
    });
    watch.watch(code_folders(config_));
    http::ServerOptions limits;
    limits.idle_timeout = std::chrono::minutes(1);
    limits.request_timeout = std::chrono::seconds(30);
    limits.write_timeout = std::chrono::seconds(30);
    auto admin =
        http::Server::listen(context_.get_executor(), config_.admin,
                             gateway::admin_handler(
                                 bridge, [&] { return reload(bridge, watch); }, [this] { return control_groups(); }),
                             limits);
    if (!admin) return complain(admin.error().during("opening the admin address"));
    log_.info("admin.listening", {{"address", (*admin)->address()}});
    const auto functions = gateway::functions_of(bridge);
    std::unique_ptr<http::Server> gateway;
    if (!config_.listen.empty()) {
      gateway::GatewayDeps deps{*functions, config_.access_keys, known, config_.listen, log_, clock_};
      auto listening =
          http::Server::listen(context_.get_executor(), config_.listen, gateway::gateway_handler(std::move(deps)),
                               gateway::gateway_options(config_));
      if (!listening) return complain(listening.error().during("opening the gateway's address (listen)"));
      gateway = std::move(*listening);
      log_.info("gateway.listening", {{"address", gateway->address()}});
      const std::string address = gateway->address();
      if (config_.access_keys.empty() && !gateway::is_loopback(address)) {
        log_.warn("gateway.open", {{"address", address},
                                   {"message",
                                    "whoever reaches this address may invoke the functions; access_keys would "
                                    "change that"}});
      }
    }
    auto served = net::co_spawn(context_, serve(bridge, watch, **admin, gateway.get()), net::use_future);
    context_.run();
    served.get();
    return status_;
  }

 private:
  /// As many descriptors as this process may have: the usual soft limit of 1024 is meant for programs that use
  /// select().
  static void raise_descriptor_limit() {
    struct rlimit limit {};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 65'536);
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }

  static observe::LogFormat log_format(const Options& options) {
    if (options.log_format.empty())
      return ::isatty(STDERR_FILENO) != 0 ? observe::LogFormat::kText : observe::LogFormat::kJson;
    return options.log_format == "json" ? observe::LogFormat::kJson : observe::LogFormat::kText;
  }

  static Display display(const Options& options) {
    const bool terminal = ::isatty(STDERR_FILENO) != 0;
    if (options.progress == "never" || (options.progress == "auto" && !terminal)) return Display::kNone;
    return terminal ? Display::kInPlace : Display::kScrolling;
  }

  static LogLevel log_level(const std::string& word) {
    for (LogLevel level : {LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarn}) {
      if (word == text(level)) return level;
    }
    return LogLevel::kError;
  }

  /// `gateway`: null when there is none.
  net::awaitable<void> serve(bridge::Bridge& bridge, bridge::CodeWatch& watch, http::Server& admin,
                             http::Server* gateway) {
    runtime::TaskScope watching(context_.get_executor());
    watching.spawn(watch.run());
    runtime::TaskScope helpers(context_.get_executor());
    helpers.spawn(obey_signals(bridge, watch));
    if (display_ != Display::kNone) helpers.spawn(show(bridge));
    if (options_.until_finished) helpers.spawn(stop_when_finished(bridge));
    const Result<void> ran = co_await bridge.run();
    if (!ran) status_ = complain(ran.error());
    watch.request_stop();
    co_await watching.join();
    helpers.cancel();
    co_await helpers.join();
    // What was accepted or answered while weir stopped is told to its caller.
    if (gateway != nullptr) co_await gateway->drain(std::chrono::seconds(2));
    co_await admin.close();
  }

  gateway::ControlGroupStatus control_groups() const {
    gateway::ControlGroupStatus status;
    const auto& found = home_.control_groups->found();
    status.known = found.has_value();
    if (found) status.missing = found->reason();
    return status;
  }

  /// The folders whose changes replace environments, by function.
  static std::map<std::string, std::string> code_folders(const config::Config& config) {
    std::map<std::string, std::string> folders;
    for (const auto& [name, function] : config.functions) {
      const auto* command = std::get_if<config::CommandFunction>(&function.target);
      if (command != nullptr && function.hot_reload) folders.emplace(name, command->directory);
    }
    return folders;
  }

  /// Reads the configuration anew and does what it says, as far as that can be done without a restart.
  net::awaitable<gateway::Reloaded> reload(bridge::Bridge& bridge, bridge::CodeWatch& watch) {
    std::function<config::ConfigReport()> read = [files = options_.files] { return read_files(files); };
    config::ConfigReport report = co_await runtime::offload(blocking_.get_executor(), std::move(read));
    gateway::Reloaded done;
    for (const config::Mistake& mistake : report.mistakes) done.mistakes.push_back(mistake.describe());
    if (done.mistakes.empty()) {
      done.changes = config::difference(written_, report.written);
      std::set<std::string> sources = config::changed_names(written_.sources, report.written.sources);
      const std::set<std::string> fixed = fixed_sources(bridge, sources, report.written);
      for (config::Change& change : done.changes) change.restart = needs_restart(change, fixed);
      for (const std::string& name : fixed) sources.erase(name);
      if (auto taken = bridge.reload(report.config, sources); !taken) {
        done.changes.clear();
        done.mistakes.push_back(taken.error().describe());
      } else {
        watch.watch(code_folders(report.config));
        take_over(std::move(report.written), fixed);
      }
    }
    for (const std::string& mistake : done.mistakes) log_.error("reload.refused", {{"message", mistake}});
    for (const config::Change& change : done.changes) {
      log_.info("config.changed", {{"change", change.describe()}, {"restart", change.restart}});
    }
    if (done.mistakes.empty()) log_.info("config.reloaded", {{"changes", done.changes.size()}});
    co_return done;
  }

  /// Of the changed sources those that stay as they are: their service read them at the start.
  std::set<std::string> fixed_sources(const bridge::Bridge& bridge, const std::set<std::string>& changed,
                                      const config::Written& next) const {
    std::set<std::string> fixed;
    for (const config::Written* written : {&written_, &next}) {
      for (const std::string& name : changed) {
        const auto source = written->sources.find(name);
        if (source == written->sources.end()) continue;
        if (bridge.fixed_type(source->second.at("type").text)) fixed.insert(name);
      }
    }
    return fixed;
  }

  static bool needs_restart(const config::Change& change, const std::set<std::string>& fixed) {
    constexpr std::string_view kSources = "sources.";
    if (change.path.starts_with(kSources)) {
      const std::string rest = change.path.substr(kSources.size());
      return std::any_of(fixed.begin(), fixed.end(),
                         [&](const std::string& name) { return rest == name || rest.starts_with(name + "."); });
    }
    return !change.path.starts_with("functions.") && change.path != "concurrency" && change.path != "shutdown_grace";
  }

  /// What needs a restart is said each time, until there is one.
  void take_over(config::Written now, const std::set<std::string>& fixed) {
    config::Written next = written_;
    next.functions = std::move(now.functions);
    for (const char* key : {"concurrency", "shutdown_grace"}) {
      next.settings.erase(key);
      if (const auto given = now.settings.find(key); given != now.settings.end()) next.settings.insert(*given);
    }
    for (const std::string& name : fixed) {
      now.sources.erase(name);
      if (const auto kept = written_.sources.find(name); kept != written_.sources.end()) now.sources.insert(*kept);
    }
    next.sources = std::move(now.sources);
    written_ = std::move(next);
  }

  net::awaitable<void> obey_signals(bridge::Bridge& bridge, bridge::CodeWatch& watch) {
    net::signal_set signals(context_.get_executor(), SIGINT, SIGTERM, SIGHUP);
    for (;;) {
      boost::system::error_code error;
      const int number = co_await signals.async_wait(net::redirect_error(net::use_awaitable, error));
      if (error) co_return;
      if (number == SIGHUP) {
        co_await reload(bridge, watch);
      } else {
        bridge.request_stop();
      }
    }
  }

  net::awaitable<void> stop_when_finished(bridge::Bridge& bridge) {
    net::steady_timer timer(context_.get_executor());
    while (!bridge.finished()) {
      timer.expires_after(std::chrono::milliseconds(20));
      co_await timer.async_wait(net::use_awaitable);
    }
    for (const bridge::SourceStatus& source : bridge.status().sources) {
      if (source.state == bridge::SourceState::kFailed || source.state == bridge::SourceState::kParked)
        status_ = kFailed;
    }
    bridge.request_stop();
  }

  /// A line per source at the foot of the terminal, refreshed twice a second, with log lines scrolling above it; or,
  /// where there is no terminal, once a second below the last.
  net::awaitable<void> show(bridge::Bridge& bridge) {
    struct winsize size {};
    const bool known = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    const bool in_place = display_ == Display::kInPlace;
    Progress progress(known ? size.ws_col : 120);
    if (in_place) log_.before_lines([&] { std::cerr << progress.erase() << std::flush; });
    net::steady_timer timer(context_.get_executor());
    boost::system::error_code error;
    while (!error) {
      if (in_place) std::cerr << progress.erase();
      std::cerr << progress.draw(bridge.status(), clock_.now().instant) << std::flush;
      timer.expires_after(std::chrono::milliseconds(in_place ? 500 : 1000));
      co_await timer.async_wait(net::redirect_error(net::use_awaitable, error));
    }
    log_.before_lines(nullptr);
    if (in_place) std::cerr << progress.erase();
    std::cerr << progress.draw(bridge.status(), clock_.now().instant) << std::flush;
  }

  const Options& options_;
  config::Config config_;
  config::Written written_;  ///< what holds now
  SystemClock clock_;
  Display display_;
  observe::LogSink log_;
  FunctionHome home_;
  net::io_context context_{1};
  net::thread_pool blocking_{1};  ///< what can only be done by blocking
  int status_ = kDone;
};

}  // namespace

void add_run(CLI::App& app, Work& chosen) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("run", "Runs the bridge until SIGTERM or SIGINT.");
  command->add_option("CONFIG", options->files, "Configuration files; functions and sources of several add up.")
      ->required();
  command
      ->add_option("--log-format", options->log_format,
                   "How log lines are written to stderr; text on a terminal, else json.")
      ->check(CLI::IsMember({"json", "text"}));
  command->add_option("--log-level", options->log_level, "The least level that is logged.")
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}))
      ->capture_default_str();
  command
      ->add_option("--progress", options->progress,
                   "A line per source with records/s, in flight, IteratorAge and errors; auto: on a terminal.")
      ->check(CLI::IsMember({"auto", "always", "never"}))
      ->capture_default_str();
  command->add_flag("--until-finished", options->until_finished,
                    "Ends when every source has come to its end, as files do.");
  command->footer(
      "Example: weir run weir.yaml\n"
      "The first SIGTERM or SIGINT drains: in-flight invocations end, checkpoints are written. A second one ends at "
      "once. SIGHUP reads the configuration anew, as weir reload does.\n"
      "Exit status: 0, 1 when it could not start or (--until-finished) a source failed, 2 for a configuration with "
      "mistakes.");
  command->callback([options, &chosen] {
    chosen = [options] {
      config::ConfigReport report = read_files(options->files);
      if (!report.mistakes.empty()) {
        print_mistakes(report.mistakes, "nothing was started");
        return kBadCall;
      }
      return Daemon(*options, std::move(report)).run();
    };
  });
}

}  // namespace weir::cli
