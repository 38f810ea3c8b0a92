#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "weir/base/random.h"
#include "weir/base/time.h"
#include "weir/connector.h"

#include "config/function_plan.h"
#include "config/mapping_host.h"
#include "control/lambda_error.h"
#include "control/model.h"

namespace weir::control {

/// The zip that came with a call.
struct Code {
  std::string sha256;  ///< base64, as AWS shows it
  std::int64_t size = 0;
};

/// A call of Lambda's management API.
struct Asked {
  std::string method;
  std::vector<std::string> path;  ///< its segments, decoded: "2015-03-31", "functions", ...
  std::vector<std::pair<std::string, std::string>> query;
  std::string body;          ///< of a zip file in it there is only a word left
  std::optional<Code> code;  ///< the zip file; of PublishVersion: what was made of a configured function's folder
  std::string address;       ///< how the caller reached the gateway: "http://127.0.0.1:4580"
};

/// What a call comes to: its answer, and what has to be done before it is given.
struct Reply {
  Reply() = default;
  explicit Reply(LambdaError refused) : error(std::move(refused)) {}

  std::optional<LambdaError> error;
  int status = 200;
  std::string body;
  std::vector<SourceNote> notes;
  std::string function;  ///< whose plan these change; "" of nobody's
  std::string layer;     ///< the layer that the notes change; "" of none
  bool unpack = false;   ///< the call's zip is to be the code of `function`, or `layer`, before anything is remembered
  bool dry = false;      ///< the zip is only looked at, whether it could be
  /// What has to be small enough together when it is unpacked, the call's zip with it: whose, and its hash.
  std::vector<std::pair<std::string, std::string>> measured;

  std::string mapping;  ///< the UUID of the event source mapping that the notes change; "" of none
  std::string phase;    ///< what it is doing until it is as it will be: "Updating"; "" when that is at once
  /// What it reads from now on; none: nothing changes about it or, with "Deleting", it ends.
  std::optional<config::SourceEntry> source;
  bool probe = false;  ///< `source` is to be asked for, before anything is remembered
};

/// What the API is answered from, and changes nothing of. All references outlive it.
struct World {
  const Model& model;
  const config::FunctionHost& functions;
  const config::MappingHost& mappings;
  std::span<const ConnectorEntry> connectors;
  WallTime now;
  WallTime started;  ///< when weir began: the functions of its configuration have no other date
  Random& random;    ///< of revisions
  /// What a function's settings come to.
  std::function<config::FunctionPlan(const Function&)> plan;
  /// Whether the code of a version could not be restored.
  std::function<bool(std::string_view function, std::string_view version)> broken;
  /// What something of AWS's is called as a destination, by its ARN; "" when weir cannot deliver there.
  std::function<std::string(std::string_view arn)> target_of;
  /// What a mapping was doing when it was heard of last; "" when that is over.
  std::function<std::string(std::string_view uuid)> phase;
  /// Where the code of a version is to be had for a while, by its hash.
  std::function<std::string(std::string_view function, std::string_view sha256)> location;
};

/// Answers the calls of Lambda's API but Invoke. Pure.
/// Source of texts: reference invoke.md (recordings of AWS); where none is known they are ours.
Reply answer(const World& world, const Asked& asked);

/// What a mapping reads. `function_timeout`: where it is known.
config::SourceReading read_mapping(const std::string& uuid, const nlohmann::json& mapping,
                                   std::span<const ConnectorEntry> connectors, const config::Config& beside,
                                   std::optional<Duration> function_timeout = std::nullopt);
/// What is answered when asking for a source came to this.
LambdaError not_readable(const config::SourceEntry& source, const config::Config& beside, const Error& error);

/// What is answered for an operation that weir does not have.
LambdaError not_served(std::string_view method, std::string_view path);

}  // namespace weir::control
