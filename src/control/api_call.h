#pragma once

#include <initializer_list>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "control/api.h"

namespace weir::control {

// What the handlers of the API's operations share.

using nlohmann::json;

inline constexpr std::size_t kMaxTags = 50;
inline constexpr int kOk = 200;
inline constexpr int kCreated = 201;
inline constexpr int kAccepted = 202;
inline constexpr int kNoContent = 204;

LambdaError invalid(std::string message);
LambdaError not_found(std::string message);
LambdaError conflict(std::string message);

struct Range {
  std::int64_t min = 0;
  std::int64_t max = 0;
};

class Call;

/// The members of one object of a call's body. What is wrong with them is remembered at the call.
class Arguments {
 public:
  /// `where`: "" or the name of the object with a dot, as AWS's sentences have it.
  Arguments(json object, std::string where, Call& call)
      : root_(std::move(object)), where_(std::move(where)), call_(call) {}

  bool has(std::string_view name) const;
  /// What is not there is "", nothing or empty. `most`: characters.
  std::string text(std::string_view name, std::size_t most);
  std::string required(std::string_view name, std::size_t most);
  std::optional<std::int64_t> integer(std::string_view name, Range range);
  /// The value of a map, which is there.
  std::optional<double> number(std::string_view name, double least, double most);
  bool flag(std::string_view name);
  std::string choice(std::string_view name, std::initializer_list<std::string_view> values);
  std::vector<std::string> texts(std::string_view name);
  std::map<std::string, std::string> text_map(std::string_view name);
  /// Nothing when it is not there, or no object.
  std::optional<Arguments> object(std::string_view name);
  std::vector<std::string> names() const;

  const json& raw() const { return root_; }
  /// "ephemeralStorage.size"
  std::string place(std::string_view name) const;

 private:
  const json& at(std::string_view name) const { return root_.at(std::string(name)); }
  void wrong(std::string_view name);

  json root_;
  std::string where_;
  Call& call_;
};

/// A function as a call names it.
struct Named {
  std::string name;
  std::string qualifier;
};

/// A call on its way to an answer. The first thing that is wrong is its answer, of the mistakes that the API's model
/// finds all.
class Call {
 public:
  Call(const World& known, const Asked& call, std::string_view operation);

  Validation validation;

  void refuse(LambdaError error);
  bool wrong() const { return error_ || validation.error(); }
  Reply refused() const;
  Reply refused(LambdaError error) {
    refuse(std::move(error));
    return refused();
  }

  /// The parameter of the query; "" when there is none.
  std::string query(std::string_view name) const;
  bool in_query(std::string_view name) const;
  Arguments body();

  /// The function that the path names, with the qualifier of its name or of the query.
  Named named();
  Named named(const std::string& text, const std::string& qualifier);
  /// The function, from the configuration or made by the API; null, and refused, when there is none.
  const Function* look_up(const Named& named);
  /// The version that a qualifier means; "", and refused, when there is none.
  std::string version_of(const Function& function, const std::string& qualifier);
  /// Whether the function is one of the configuration.
  bool is_configured(const std::string& name) const;

  /// The function as it will be, to be changed by put() and remove(); null, and refused, when there is none or when it
  /// is the configuration's.
  Function* change(const std::string& name);
  /// Refuses with 404 `message` what is not there.
  Function* change(const Named& named);
  /// The same for what may be added to a function of the configuration, too: published versions, aliases, and what
  /// belongs to them.
  Function* extend(const Named& named);
  /// A function of that name, of which nothing is left of an earlier one.
  Function& create(const std::string& name);
  void put(Kind kind, std::string_view key, json value);
  void remove(Kind kind, std::string_view key);
  /// Whether the bridge can have the function so; refused when not.
  bool possible();
  /// The answer of a call that changed it.
  Reply changed(int status, const json& body);

  std::string new_revision() const { return world.random.uuid(); }
  std::string now_text() const;  ///< "2026-09-13T15:32:02.357+0000"

  const World& world;
  const Asked& asked;
  std::vector<SourceNote> notes;

 private:
  std::string_view operation_;
  std::optional<LambdaError> error_;
  std::optional<Function> shown_;
  std::optional<Function> next_;
};

struct Operation {
  std::string_view name;
  std::string_view method;
  std::string_view path;  ///< "2015-03-31/functions/*/code"
  Reply (*handle)(Call& call);
};
std::span<const Operation> function_operations();     ///< functions themselves
std::span<const Operation> version_operations();      ///< versions and aliases
std::span<const Operation> concurrency_operations();  ///< concurrency, the account, event-invoke configurations
std::span<const Operation> mapping_operations();      ///< event source mappings
std::span<const Operation> layer_operations();        ///< layers and their versions
std::span<const Operation> other_operations();        ///< tags, policies, URLs and what else is only kept

Reply answered(int status, const json& body);
/// `items`: each with a key that says where the next page begins, in a fixed order. `most`: what MaxItems may be.
/// `page`: how many there are at most, whatever it is.
Reply list_reply(Call& call, std::string_view list, std::vector<std::pair<std::string, json>> items,
                 std::int64_t most = 10'000, std::size_t page = 50);

/// A FunctionConfiguration as it is shown. `qualifier`: what its ARN ends with, "" for nothing.
json configuration(const Call& call, const Function& function, const std::string& version,
                   const std::string& qualifier);
/// Takes over which layers a function is to have, as Layers (shown) and LayerCode (what they hold).
void read_layers(Call& call, Arguments& settings, json& into);
/// Whether Lambda has a runtime of that name, and all of their names.
bool is_runtime(std::string_view text);
std::string runtime_names();
/// "2026-09-13T15:32:02.357+0000"
std::string aws_time(WallTime time);
bool is_digits(std::string_view text);
/// The tags of a mapping; null, and refused, when there is none.
const json* tags_of_mapping(Call& call, std::string_view uuid);
/// Its tags are these from now on.
Reply tag_mapping(Call& call, const std::string& uuid, json tags);
/// Whether a call that names a revision means this one; refused when not.
bool same_revision(Call& call, const std::string& given, const std::string& current);

// What provisioned concurrency cannot be together with, in AWS's words.
inline constexpr std::string_view kWeightedAndProvisioned = "Invalid alias configuration for Provisioned Concurrency";
inline constexpr std::string_view kAlreadyProvisioned =
    "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version";
inline constexpr std::string_view kUnpublished =
    "Provisioned Concurrency Configs cannot be applied to unpublished function versions.";

/// Publishes $LATEST of the function that is changed, unless the last version is the same; the number of the version.
std::string publish(Call& call, Function& function, const std::optional<std::string>& description);
/// Refuses a qualifier that is no version or alias of the function: 404.
bool qualifier_exists(Call& call, const Function& function, const std::string& qualifier);

}  // namespace weir::control
