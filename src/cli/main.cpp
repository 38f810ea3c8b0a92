#include <csignal>
#include <exception>
#include <iostream>

#include <CLI/CLI.hpp>

#include "cli/command.h"

int main(int argc, char** argv) {
  // Who reads our output may go away; that is a failed write, not the end of a daemon.
  std::signal(SIGPIPE, SIG_IGN);
  CLI::App app("weir takes events from sources, turns them into AWS Lambda invocations and delivers them.", "weir");
  app.require_subcommand(1);
  app.set_version_flag("--version", "weir " WEIR_VERSION);
  app.footer("Start with: weir validate weir.yaml && weir run weir.yaml");
  weir::cli::Work work;
  weir::cli::add_run(app, work);
  weir::cli::add_validate(app, work);
  weir::cli::add_invoke(app, work);
  weir::cli::add_event(app, work);
  weir::cli::add_status(app, work);
  weir::cli::add_checkpoint(app, work);
  try {
    app.parse(argc, argv);
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
