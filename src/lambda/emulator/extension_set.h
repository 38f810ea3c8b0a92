#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "weir/base/random.h"

#include "http/message.h"

namespace weir::emulator {

/// One extension of an environment.
struct Extension {
  /// The names of Lambda's log lines and messages.
  enum class State { kStarted, kRegistered, kReady, kRunning, kInitError, kExitError, kExited, kLaunchError };

  std::string name;  ///< of an external one: of its file
  std::string id;    ///< Lambda-Extension-Identifier; "" until it registers
  bool external = false;
  bool invoke = false;    ///< wants INVOKE
  bool shutdown = false;  ///< wants SHUTDOWN
  State state = State::kStarted;
  std::string error_type;  ///< what it reported, or why it could not be started
};
std::string_view text(Extension::State state);

/// The extensions of an environment: who registered for what, who is done. Pure: the answers to their requests are
/// those of the Extensions API (2020-01-01; reference invoke.md 2.5, and AWS's runtime interface emulator for texts).
/// One start of the environment has one; the next start has another.
class ExtensionSet {
 public:
  /// What register answers with.
  struct Function {
    std::string name;
    std::string version;
    std::string handler;
    std::string account;
  };
  static constexpr std::size_t kExtensionsMax = 10;

  /// An external extension is about to be started. False: there are too many, and it must not be.
  bool add_external(const std::string& name);
  /// It could not be started.
  void launch_failed(const std::string& name, std::string error_type);
  /// Its process ended.
  void exited(const std::string& name);

  http::Response register_extension(const http::Request& request, const Function& function, Random& random);
  /// The extension that a request names, or null; then `refusal` says why.
  Extension* identify(const http::Request& request, http::Response& refusal);
  /// Whether it may wait for its next event now; if not, `refusal` says why. It is ready then.
  bool may_wait(Extension& extension, http::Response& refusal);
  http::Response init_error(Extension& extension, const http::Request& request);
  http::Response exit_error(Extension& extension, const http::Request& request);

  /// Nobody registers any more.
  void close_registration() { closed_ = true; }
  bool registration_closed() const { return closed_; }
  /// An invocation goes to those that want it: they are not ready until they ask again.
  std::vector<Extension*> begin_invocation();

  bool empty() const { return extensions_.empty(); }
  /// Whether every external one has registered: then the runtime is started.
  bool external_registered() const;
  /// Whether each waits for its next event.
  bool all_ready() const;
  const std::vector<Extension>& all() const { return extensions_; }
  Extension* find(std::string_view name);

 private:
  std::vector<Extension> extensions_;
  bool closed_ = false;
};

}  // namespace weir::emulator
