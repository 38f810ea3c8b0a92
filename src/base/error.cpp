#include "weir/base/error.h"

#include <array>

namespace weir {
namespace {

struct CodeRow {
  ErrorCode code;
  std::string_view text;
  bool transient;
};

constexpr std::array kCodes{
    CodeRow{ErrorCode::kConfigInvalid, "config.invalid", false},
    CodeRow{ErrorCode::kStoreLocked, "store.locked", true},
    CodeRow{ErrorCode::kStoreReadOnly, "store.read_only", false},
    CodeRow{ErrorCode::kStoreCorrupt, "store.corrupt", false},
    CodeRow{ErrorCode::kStoreFull, "store.full", true},
    CodeRow{ErrorCode::kStoreVersion, "store.version", false},
    CodeRow{ErrorCode::kStoreFailed, "store.failed", true},
    CodeRow{ErrorCode::kStoreNotFound, "store.not_found", false},
    CodeRow{ErrorCode::kSourceUnreachable, "source.unreachable", true},
    CodeRow{ErrorCode::kSourceNotFound, "source.not_found", true},
    CodeRow{ErrorCode::kSourceRefused, "source.refused", true},
    CodeRow{ErrorCode::kSourceData, "source.data", false},
    CodeRow{ErrorCode::kSourceFailed, "source.failed", true},
    CodeRow{ErrorCode::kEventRefused, "event.refused", false},
    CodeRow{ErrorCode::kPatternInvalid, "pattern.invalid", false},
    CodeRow{ErrorCode::kEndpointFailed, "endpoint.failed", true},
    CodeRow{ErrorCode::kDestinationFailed, "destination.failed", true},
    CodeRow{ErrorCode::kDestinationGone, "destination.gone", false},
    CodeRow{ErrorCode::kDestinationForbidden, "destination.forbidden", false},
    CodeRow{ErrorCode::kAddressInUse, "address.in_use", false},
    CodeRow{ErrorCode::kAddressInvalid, "address.invalid", false},
    CodeRow{ErrorCode::kHttpFailed, "http.failed", true},
    CodeRow{ErrorCode::kCancelled, "cancelled", false},
    CodeRow{ErrorCode::kInternal, "internal", false},
};

constexpr bool rows_follow_the_enumeration() {
  for (std::size_t i = 0; i < kCodes.size(); ++i) {
    if (kCodes[i].code != static_cast<ErrorCode>(i)) return false;
  }
  return kCodes.size() == static_cast<std::size_t>(ErrorCode::kInternal) + 1;
}
static_assert(rows_follow_the_enumeration());

const CodeRow& row(ErrorCode code) {
  return kCodes[static_cast<std::size_t>(code)];
}

}  // namespace

std::string_view text(ErrorCode code) {
  return row(code).text;
}

bool is_transient(ErrorCode code) {
  return row(code).transient;
}

const std::vector<ErrorCode>& all_error_codes() {
  static const std::vector<ErrorCode> codes = [] {
    std::vector<ErrorCode> all;
    all.reserve(kCodes.size());
    for (const CodeRow& each : kCodes) all.push_back(each.code);
    return all;
  }();
  return codes;
}

Error::Error(ErrorCode code, std::string message) : code_(code), message_(std::move(message)) {}

Error Error::during(std::string what) && {
  trail_.push_back(std::move(what));
  return std::move(*this);
}

std::string Error::describe() const {
  std::string out(text(code_));
  out.append(": ").append(message_);
  for (const std::string& step : trail_) out.append("; while ").append(step);
  return out;
}

void throw_exception_from_error(const Error& error, const boost::source_location&) {
  throw BrokenBelief("the value of a failed result was taken: " + error.describe());
}

void broken_belief(const char* belief, const char* file, int line) {
  // The path is cut to the file's name: where the program was built is nobody's business.
  std::string_view name(file);
  if (auto slash = name.rfind('/'); slash != std::string_view::npos) name.remove_prefix(slash + 1);
  throw BrokenBelief(std::string(name) + ":" + std::to_string(line) + ": believed " + belief);
}

}  // namespace weir
