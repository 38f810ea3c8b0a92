#include <algorithm>
#include <array>

#include "control/api_call.h"

namespace weir::control {
namespace {

constexpr std::size_t kMaxDescription = 256;
constexpr std::size_t kMaxAlias = 128;
constexpr std::size_t kMaxVersion = 1024;
constexpr std::size_t kMaxText = 10'000;
constexpr std::string_view kAliasPattern = "(?!^[0-9]+$)([a-zA-Z0-9-_]+)";
constexpr std::string_view kVersionPattern = R"((\$LATEST(\.PUBLISHED)?|[0-9]+))";

bool is_alias(std::string_view text) {
  return !text.empty() && !is_digits(text) && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return (c < 0x80 && std::isalnum(c) != 0) || c == '-' || c == '_';
  });
}

/// What of a FunctionConfiguration makes a version another than the last.
json essence(json document) {
  for (const char* member : {"LastModified", "RevisionId", "LatestDescription", "Description"}) document.erase(member);
  return document;
}

Reply publish_version(Call& call) {
  const Named named = call.named();
  Arguments settings = call.body();
  const std::string sha256 = settings.text("CodeSha256", kMaxText);
  const std::string revision = settings.text("RevisionId", kMaxText);
  std::optional<std::string> description;
  if (settings.has("Description")) description = settings.text("Description", kMaxDescription);
  Function* const function = call.extend({named.name, ""});
  if (function == nullptr) return call.refused();
  if (call.is_configured(named.name)) {
    if (!call.asked.code) return call.refused(invalid("The function's code folder was not read."));
    json& latest = function->versions.find(kLatest)->second;
    latest["CodeSha256"] = call.asked.code->sha256;
    latest["CodeSize"] = call.asked.code->size;
  }
  const auto current = function->latest().at("CodeSha256").get<std::string>();
  if (!sha256.empty() && sha256 != current) {
    return call.refused(invalid("CodeSHA256 (" + sha256 + ") is different from current CodeSHA256 in $LATEST (" +
                                current + "). Please try again with the CodeSHA256 in $LATEST."));
  }
  if (!same_revision(call, revision, function->latest().at("RevisionId").get<std::string>())) return call.refused();
  const std::string version = publish(call, *function, description);
  if (!call.possible()) return call.refused();
  return call.changed(kCreated, configuration(call, *function, version, version));
}

json shown(const Function& function, const std::string& name) {
  json alias = function.aliases.find(name)->second;
  alias["Name"] = name;
  alias["AliasArn"] = function_arn(function.name, name);
  return alias;
}

/// Says what is wrong with where an alias leads whose environments are kept ready: they move there.
void check_provisioned(Call& call, const Function& function, const std::string& name, const json& alias) {
  if (!function.provisioned.contains(name)) return;
  const auto version = alias.at("FunctionVersion").get<std::string>();
  if (alias.contains("RoutingConfig")) return call.refuse(invalid(std::string(kWeightedAndProvisioned)));
  if (version == kLatest) return call.refuse(invalid(std::string(kUnpublished)));
  for (const auto& [other, config] : function.provisioned) {
    if (other == name) continue;
    const json* const other_alias = find(function.aliases, other);
    if ((other_alias != nullptr ? other_alias->at("FunctionVersion").get<std::string>() : other) == version) {
      return call.refuse(conflict(std::string(kAlreadyProvisioned)));
    }
  }
}

/// Checks where an alias is to lead, and takes it over.
void read_route(Call& call, Arguments& settings, const Function& function, json& alias) {
  if (settings.has("FunctionVersion")) {
    const std::string version = settings.text("FunctionVersion", kMaxVersion);
    if (version != kLatest && !is_digits(version)) {
      call.validation.mistake(version, "functionVersion",
                              "Member must satisfy regular expression pattern: " + std::string(kVersionPattern));
      return;
    }
    alias["FunctionVersion"] = version;
  }
  std::optional<std::map<std::string, double>> weights;
  if (auto routing = settings.object("RoutingConfig"); routing && routing->has("AdditionalVersionWeights")) {
    if (auto given = routing->object("AdditionalVersionWeights")) {
      weights.emplace();
      for (const std::string& version : given->names()) {
        const auto weight = given->number(version, 0, 1);
        if (!is_digits(version)) {
          call.validation.mistake("{" + version + "=" + given->raw().at(version).dump() + "}",
                                  "routingConfig.additionalVersionWeights",
                                  "Map keys must satisfy constraint: [Member must have length less than or equal to "
                                  "1024, Member must have length greater than or equal to 1, Member must satisfy "
                                  "regular expression pattern: [0-9]+]");
        }
        if (weight) weights->emplace(version, *weight);
      }
    }
  }
  if (call.wrong()) return;
  const auto version = alias.at("FunctionVersion").get<std::string>();
  if (weights) {
    if (weights->size() > 1) {
      return call.refuse(invalid("Number of items in AdditionalVersionWeights cannot be greater than 1"));
    }
    alias.erase("RoutingConfig");
    if (!weights->empty()) alias["RoutingConfig"] = {{"AdditionalVersionWeights", *weights}};
  }
  if (!function.versions.contains(version)) {
    return call.refuse(not_found("Function not found: " + function_arn(function.name, version)));
  }
  if (!alias.contains("RoutingConfig")) return;
  const std::string other = alias.at("RoutingConfig").at("AdditionalVersionWeights").begin().key();
  if (version == kLatest) {
    return call.refuse(invalid("$LATEST is not supported for an alias pointing to more than 1 version"));
  }
  if (other == version) {
    return call.refuse(invalid("Invalid function version " + other + ". Function version " + other +
                               " is already included in routing configuration."));
  }
  const json* const second = find(function.versions, other);
  if (second == nullptr) {
    return call.refuse(not_found("Function not found: " + function_arn(function.name, other)));
  }
  const json& first = function.versions.find(version)->second;
  if (first.at("Role") != second->at("Role")) {
    return call.refuse(invalid("Both versions of an alias must have the same role."));
  }
  if (first.value("DeadLetterConfig", json()) != second->value("DeadLetterConfig", json())) {
    return call.refuse(invalid("Both versions of an alias must have the same dead-letter queue."));
  }
}

Reply create_alias(Call& call) {
  const Named named = call.named();
  Arguments settings = call.body();
  const std::string name = settings.required("Name", kMaxAlias);
  if (settings.has("Name") && !is_alias(name)) {
    call.validation.mistake(name, "name",
                            "Member must satisfy regular expression pattern: " + std::string(kAliasPattern));
  }
  if (!settings.has("FunctionVersion")) call.validation.missing("functionVersion");
  json alias = {{"Description", settings.text("Description", kMaxDescription)}};
  Function* const function = call.extend({named.name, ""});
  if (function == nullptr) return call.refused();
  read_route(call, settings, *function, alias);
  if (call.wrong()) return call.refused();
  if (function->aliases.contains(name)) {
    return call.refused(conflict("Alias already exists: " + function_arn(named.name, name)));
  }
  alias["RevisionId"] = call.new_revision();
  call.put(Kind::kAlias, name, alias);
  if (!call.possible()) return call.refused();
  return call.changed(kCreated, shown(*function, name));
}

Reply get_alias(Call& call) {
  const Named named = call.named();
  const Function* const function = call.look_up({named.name, ""});
  if (function == nullptr) return call.refused();
  const std::string& name = call.asked.path.at(4);
  if (!function->aliases.contains(name)) {
    return call.refused(not_found("Cannot find alias arn: " + function_arn(named.name, name)));
  }
  return answered(kOk, shown(*function, name));
}

Reply update_alias(Call& call) {
  const Named named = call.named();
  const std::string& name = call.asked.path.at(4);
  Arguments settings = call.body();
  Function* const function = call.extend({named.name, ""});
  if (function == nullptr) return call.refused();
  const json* const found = find(function->aliases, name);
  if (found == nullptr) return call.refused(not_found("Alias not found: " + function_arn(named.name, name)));
  json alias = *found;
  if (settings.has("Description")) alias["Description"] = settings.text("Description", kMaxDescription);
  const std::string revision = settings.text("RevisionId", kMaxText);
  read_route(call, settings, *function, alias);
  if (!call.wrong()) check_provisioned(call, *function, name, alias);
  if (call.wrong()) return call.refused();
  if (!same_revision(call, revision, alias.at("RevisionId").get<std::string>())) return call.refused();
  alias["RevisionId"] = call.new_revision();
  call.put(Kind::kAlias, name, alias);
  if (!call.possible()) return call.refused();
  return call.changed(kOk, shown(*function, name));
}

Reply delete_alias(Call& call) {
  const Named named = call.named();
  const std::string& name = call.asked.path.at(4);
  Function* const function = call.extend({named.name, ""});
  if (function == nullptr) return call.refused();
  // One that is not there is deleted, too.
  for (const Kind kind : {Kind::kAlias, Kind::kProvisioned, Kind::kAsync, Kind::kPolicy, Kind::kUrl}) {
    if (is_alias(name) && function->of(kind).contains(name)) call.remove(kind, name);
  }
  return call.changed(kNoContent, {});
}

Reply list_aliases(Call& call) {
  const Named named = call.named();
  const Function* const function = call.look_up({named.name, ""});
  if (function == nullptr) return call.refused();
  const std::string version = call.query("FunctionVersion");
  std::vector<std::pair<std::string, json>> items;
  for (const auto& [name, alias] : function->aliases) {
    if (version.empty() || alias.at("FunctionVersion") == version) items.emplace_back(name, shown(*function, name));
  }
  return list_reply(call, "Aliases", std::move(items));
}

constexpr std::array kOperations{
    Operation{"PublishVersion", "POST", "2015-03-31/functions/*/versions", &publish_version},
    Operation{"CreateAlias", "POST", "2015-03-31/functions/*/aliases", &create_alias},
    Operation{"ListAliases", "GET", "2015-03-31/functions/*/aliases", &list_aliases},
    Operation{"GetAlias", "GET", "2015-03-31/functions/*/aliases/*", &get_alias},
    Operation{"UpdateAlias", "PUT", "2015-03-31/functions/*/aliases/*", &update_alias},
    Operation{"DeleteAlias", "DELETE", "2015-03-31/functions/*/aliases/*", &delete_alias},
};

}  // namespace

std::string publish(Call& call, Function& function, const std::optional<std::string>& description) {
  const json latest = function.latest();
  if (function.versions.size() > 1) {
    const auto& [last, document] = *function.versions.rbegin();
    if (essence(document) == essence(latest) && document.at("LatestDescription") == latest.at("Description")) {
      return last;
    }
  }
  const std::int64_t number = call.world.model.last_number(function.name) + 1;
  std::string version = std::to_string(number);
  json document = latest;
  document["LatestDescription"] = latest.at("Description");
  if (description) document["Description"] = *description;
  document["RevisionId"] = call.new_revision();
  document["LastModified"] = call.now_text();
  call.put(Kind::kVersion, version, document);
  call.notes.push_back(note_of_number(function.name, number));
  return version;
}

std::span<const Operation> version_operations() {
  return kOperations;
}

}  // namespace weir::control
