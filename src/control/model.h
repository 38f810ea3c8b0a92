#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "weir/base/error.h"
#include "weir/connector.h"

namespace weir::control {

inline constexpr std::string_view kLatest = "$LATEST";

/// "arn:aws:lambda:us-east-1:000000000000:function:NAME", with ":QUALIFIER" behind it where there is one.
std::string function_arn(std::string_view name, std::string_view qualifier = {});

/// "$LATEST", then versions by their numbers, then names.
struct QualifierOrder {
  using is_transparent = void;
  bool operator()(std::string_view a, std::string_view b) const;
};

/// What the API has made, each as AWS shows it, but for what says whose it is and what changes by itself.
using Documents = std::map<std::string, nlohmann::json, QualifierOrder>;

/// The kinds of what a function is made of; the first part of a note's key.
enum class Kind { kVersion, kAlias, kProvisioned, kAsync, kPolicy, kUrl, kSetting };

struct Function {
  std::string name;
  Documents versions;     ///< a FunctionConfiguration; "$LATEST" and numbers
  Documents aliases;      ///< an AliasConfiguration
  Documents provisioned;  ///< by version or alias: RequestedProvisionedConcurrentExecutions, LastModified
  Documents async;        ///< event-invoke configurations, by qualifier
  Documents policies;     ///< RevisionId and Statement, by qualifier; "" is that of the function itself
  Documents urls;         ///< URL configurations, by alias or ""
  Documents settings;     ///< "tags", "reserved", "recursion", "runtime/QUALIFIER"

  Documents& of(Kind kind);
  const Documents& of(Kind kind) const { return const_cast<Function*>(this)->of(kind); }
  const nlohmann::json& latest() const { return versions.find(kLatest)->second; }
};

/// The document of that key; null when there is none.
const nlohmann::json* find(const Documents& documents, std::string_view key);

/// An event source mapping that the API has made:
///   Shown                      what AWS shows and a call gave, or has by default
///   FunctionName, Qualifier    whose it is
///   Enabled, LastModified (seconds), Tags
///   Deleting                   there, and true, when it is being deleted
using Mappings = std::map<std::string, nlohmann::json, std::less<>>;  ///< by UUID

/// A layer: what each version is (Description, CreatedDate, CodeSha256, CodeSize ...), and who may use it.
struct Layer {
  Documents versions;  ///< by number
  Documents policies;  ///< RevisionId and Statement, by number
};

/// What the API has made. Changes by notes alone, when they are on disk.
class Model {
 public:
  /// Takes a note, as it was made by one of the functions below. Errors: store.corrupt.
  Result<void> apply(const SourceNote& note);

  /// Null when there is none.
  const Function* function(std::string_view name) const;
  const std::map<std::string, Function, std::less<>>& functions() const { return functions_; }
  const Mappings& mappings() const { return mappings_; }
  /// Null when no version of it was ever published; one without versions had some.
  const Layer* layer(std::string_view name) const;
  const std::map<std::string, Layer, std::less<>>& layers() const { return layers_; }
  /// The number of the version that was published last under this name, though it may be gone, and the function too;
  /// 0 when there was none.
  std::int64_t last_number(std::string_view name) const;
  /// The same of a layer.
  std::int64_t last_layer_number(std::string_view name) const;

 private:
  std::map<std::string, Function, std::less<>> functions_;
  std::map<std::string, std::int64_t, std::less<>> numbers_;
  std::map<std::string, Layer, std::less<>> layers_;
  std::map<std::string, std::int64_t, std::less<>> layer_numbers_;
  Mappings mappings_;
};

SourceNote note_of(Kind kind, std::string_view function, std::string_view key, const nlohmann::json& value);
SourceNote end_of(Kind kind, std::string_view function, std::string_view key);
SourceNote note_of_mapping(std::string_view uuid, const nlohmann::json& mapping);
SourceNote end_of_mapping(std::string_view uuid);
SourceNote note_of_number(std::string_view function, std::int64_t number);
SourceNote note_of_layer(std::string_view layer, std::string_view version, const nlohmann::json& value);
SourceNote end_of_layer(std::string_view layer, std::string_view version);
SourceNote note_of_layer_policy(std::string_view layer, std::string_view version, const nlohmann::json& value);
SourceNote end_of_layer_policy(std::string_view layer, std::string_view version);
SourceNote note_of_layer_number(std::string_view layer, std::int64_t number);

}  // namespace weir::control
