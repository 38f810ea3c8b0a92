#include <csignal>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "cli/command.h"

/// libcurl brings GnuTLS along, for protocols that weir lets it speak none of. Asked by this name (gnutls.h,
/// GNUTLS_SKIP_GLOBAL_INIT), it leaves out its own start, which costs each process 0.7 MB; who calls
/// gnutls_global_init() has it all the same.
extern "C" [[gnu::visibility("default"), gnu::used]] int _gnutls_global_init_skip();
int _gnutls_global_init_skip() {
  return 1;
}

int main(int argc, char** argv) {
  // Who reads our output may go away; that is a failed write, not the end of a daemon.
  std::signal(SIGPIPE, SIG_IGN);
  // A file that may not grow further is a refusal of the store (`ulimit -f`), not the end of a daemon either.
  std::signal(SIGXFSZ, SIG_IGN);
  CLI::App app("weir takes events from sources, turns them into AWS Lambda invocations and delivers them.", "weir");
  app.require_subcommand(1);
  app.set_version_flag("--version", "weir " WEIR_VERSION);
  app.footer("Start with: weir validate weir.yaml && weir run weir.yaml");
  weir::cli::Work work;
  weir::cli::add_run(app, work);
  weir::cli::add_reload(app, work);
  weir::cli::add_validate(app, work);
  weir::cli::add_invoke(app, work);
  weir::cli::add_event(app, work);
  weir::cli::add_match(app, work);
  weir::cli::add_logs(app, work);
  weir::cli::add_status(app, work);
  weir::cli::add_checkpoint(app, work);
  weir::cli::add_deadletter(app, work);
  try {
    app.parse(argc, argv);
  } catch (const CLI::RequiredError& error) {
    // An unknown word is left over, and what is told to be missing is the command that it should have been.
    const std::vector<std::string> unknown = app.remaining();
    if (!app.get_subcommands().empty() || unknown.empty()) {
      app.exit(error);
      return weir::cli::kBadCall;
    }
    return weir::cli::complain("there is no command " + unknown.front() + "; weir --help lists them",
                               weir::cli::kBadCall);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? weir::cli::kDone : weir::cli::kBadCall;
  }
  try {
    return work();
  } catch (const std::exception& error) {
    std::cerr << "weir: internal: " << error.what() << "\n";
    return weir::cli::kFailed;
  }
}
