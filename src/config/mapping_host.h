#pragma once

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "weir/base/error.h"
#include "weir/connector.h"

#include "config/config.h"

namespace weir::config {

/// The UUID of a source's mapping: the name of one that the Lambda API made; of one of the file made of its name, and
/// so the same over restarts.
std::string mapping_uuid(const SourceEntry& source);

/// What `sources` of a file would hold under a name, as the JSON of an object.
struct SourceReading {
  SourceEntry entry;
  std::vector<std::string> mistakes;  ///< sentences; `entry` is only to be used where there are none
};
/// Reads a source that stands in no file through what reads those of files. Variables stay as they are written.
/// `beside`: the configuration. `function_timeout`: where it is known.
SourceReading read_source(const std::string& name, const std::string& json, std::span<const ConnectorEntry> connectors,
                          const Config& beside, std::optional<Duration> function_timeout);

/// How a mapping stands.
struct MappingState {
  bool settled = false;  ///< it is as it was put last: it is being read, has failed, or is turned off
  std::string result;    ///< LastProcessingResult
};

/// What the Lambda API asks of the bridge about event source mappings. Calls come on the executor and are cheap, but
/// for probe().
class MappingHost {
 public:
  virtual ~MappingHost() = default;

  virtual const Config& configuration() const = 0;
  /// Whether there is such a function, and such a version or alias of it.
  virtual bool knows(const std::string& function, const std::string& qualifier) const = 0;
  /// Asks the source whether it is there and can be a mapping of that function. Waits a few seconds at most; what
  /// cannot be asked may be. Errors: source.not_found, source.failed (in AWS's words).
  virtual net::awaitable<Result<void>> probe(SourceEntry source) = 0;
  /// The mapping is so from now on: what was read before drains, and reading goes on from its checkpoints.
  virtual void put_mapping(SourceEntry source) = 0;
  /// It drains, its checkpoints are forgotten, then `gone` is called; in the next life, when weir ends before.
  virtual void remove_mapping(const std::string& uuid, std::function<void()> gone) = 0;
  /// Of the file's sources too, by their names; nothing when there is none.
  virtual std::optional<MappingState> mapping(const std::string& name) const = 0;
};

}  // namespace weir::config
