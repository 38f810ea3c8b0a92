#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <boost/system/result.hpp>

namespace weir {

/// What went wrong, as a closed set. The text of a code (`store.locked`) stands in the documentation, in metric labels
/// and in JSON, and never changes; docs/errors.md says of each what to do about it.
enum class ErrorCode {
  kConfigInvalid,         ///< config.invalid: the configuration has mistakes; the message counts them
  kStoreLocked,           ///< store.locked: another process holds the state folder
  kStoreReadOnly,         ///< store.read_only: the state folder cannot be written
  kStoreCorrupt,          ///< store.corrupt: a file in the state folder is not what weir wrote
  kStoreFull,             ///< store.full: no room left; tried again by itself
  kStoreVersion,          ///< store.version: written by a newer weir
  kStoreFailed,           ///< store.failed: any other failure of the store
  kStoreNotFound,         ///< store.not_found: an event or dead letter that is not there (any more)
  kSourceUnreachable,     ///< source.unreachable: nobody answers there; tried again by itself
  kSourceNotFound,        ///< source.not_found: the topic or file does not exist; tried again by itself
  kSourceRefused,         ///< source.refused: authentication or authorization failed; tried again by itself
  kSourceData,            ///< source.data: what the source holds cannot be read (a cut-off recording)
  kSourceFailed,          ///< source.failed: any other failure of a source; tried again by itself
  kEventRefused,          ///< event.refused: an event is too large or not JSON; the same event will be refused again
  kPatternInvalid,        ///< pattern.invalid: an event pattern or filter that AWS would refuse
  kEndpointFailed,        ///< endpoint.failed: the function could not be reached or started
  kDestinationFailed,     ///< destination.failed: a destination did not take a record
  kDestinationGone,       ///< destination.gone: there is no such queue, topic, bus or bucket
  kDestinationForbidden,  ///< destination.forbidden: a destination refused who asked
  kAddressInUse,          ///< address.in_use: another process listens there
  kAddressInvalid,        ///< address.invalid: not HOST:PORT, or no such host
  kHttpFailed,            ///< http.failed: a request got no answer, or not the one expected
  kCancelled,             ///< cancelled: the work was called off; not a failure
  kInternal,              ///< internal: weir broke a belief about itself; a bug
};

/// The stable text of a code, for example "store.locked".
std::string_view text(ErrorCode code);

/// Whether the same thing may work later without anybody changing anything: the only place that decides it.
bool is_transient(ErrorCode code);

/// Every code, in order of declaration; for the test that compares them with the documentation.
const std::vector<ErrorCode>& all_error_codes();

/// A failure as a value: a code to branch on, a sentence for a person, and the trail of what was being done.
class Error {
 public:
  /// What boost::system::result gives for the error of a success.
  Error() : code_(ErrorCode::kInternal) {}
  Error(ErrorCode code, std::string message);

  /// Adds what the caller was doing ("saving the checkpoint of clicks/3"); the innermost stands first.
  Error during(std::string what) &&;

  ErrorCode code() const { return code_; }
  const std::string& message() const { return message_; }

  /// "store.full: no room left on the device; while saving the checkpoint of clicks/3".
  std::string describe() const;

 private:
  ErrorCode code_;
  std::string message_;
  std::vector<std::string> trail_;
};

/// A value, or why there is none.
template <typename T>
using Result = boost::system::result<T, Error>;

/// Called by Result::value() on an error: a bug in the caller, so an exception.
[[noreturn]] void throw_exception_from_error(const Error& error, const boost::source_location& where);

/// A belief that weir holds about itself turned out wrong. Whoever runs a source catches it and parks that source.
class BrokenBelief : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

[[noreturn]] void broken_belief(const char* belief, const char* file, int line);

}  // namespace weir

/// Checked in release builds too. A broken belief throws BrokenBelief, which stops one source before its next
/// checkpoint, not the program.
#define WEIR_ASSERT(belief) ((belief) ? static_cast<void>(0) : ::weir::broken_belief(#belief, __FILE__, __LINE__))
