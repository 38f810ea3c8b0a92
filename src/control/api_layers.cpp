// Layers. Source of texts: LocalStack's test_lambda_api (TestLambdaLayer; recordings of AWS), botocore's model.
#include <algorithm>
#include <array>

#include "weir/service.h"

#include "control/api_call.h"
#include "control/layers.h"
#include "service/arn.h"

namespace weir::control {
namespace {

constexpr std::size_t kMaxText = 10'000;
constexpr std::size_t kMaxDescription = 256;
constexpr std::size_t kMaxLicense = 512;
constexpr std::size_t kMaxRuntimes = 15;
constexpr std::size_t kMaxArchitectures = 2;
constexpr std::size_t kMaxStatement = 100;
constexpr std::size_t kMaxPolicy = 20'480;
constexpr std::int64_t kMostListed = 50;
constexpr std::string_view kGet = "lambda:GetLayerVersion";
constexpr std::string_view kNoSuchResource = "The resource you requested does not exist.";
constexpr std::string_view kNamePattern =
    R"((arn:[a-zA-Z0-9-]+:lambda:[a-zA-Z0-9-]+:\d{12}:layer:[a-zA-Z0-9-_]+)|[a-zA-Z0-9-_]+)";
constexpr std::string_view kVersionArnPattern =
    R"(arn:(aws[a-zA-Z-]*)?:lambda:[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:layer:[a-zA-Z0-9-_]+:[0-9]+)";

std::string layer_arn(std::string_view name) {
  return service::local_arn("lambda", "layer:" + std::string(name));
}

std::string version_arn(std::string_view name, std::string_view version) {
  return layer_arn(name) + ":" + std::string(version);
}

bool is_layer_name(std::string_view text) {
  constexpr std::size_t kMaxName = 140;
  return !text.empty() && text.size() <= kMaxName && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return (c < 0x80 && std::isalnum(c) != 0) || c == '-' || c == '_';
  });
}

/// The layer that the path names; "" after a refusal.
std::string layer_name(Call& call) {
  const std::string& text = call.asked.path.at(2);
  if (is_layer_name(text)) return text;
  constexpr std::string_view kLayer = "layer:";
  if (const auto resource = service::local_resource(text, "lambda"); resource && resource->starts_with(kLayer)) {
    if (std::string name = resource->substr(kLayer.size()); is_layer_name(name)) return name;
  }
  call.validation.mistake(text, "layerName",
                          "Member must satisfy regular expression pattern: " + std::string(kNamePattern));
  return "";
}

/// The number of a version that the path names; "" after a refusal.
std::string layer_version(Call& call) {
  const std::string& text = call.asked.path.at(4);
  constexpr std::size_t kDigits = 18;
  if (!is_digits(text) || text.size() > kDigits) {
    call.refuse(invalid("The layer version " + text + " is no number."));
  } else if (std::stoll(text) < 1) {
    call.refuse(invalid("Layer Version Cannot be less than 1."));
  }
  return text;
}

const json* find_version(const Model& model, std::string_view name, std::string_view version) {
  const Layer* const layer = model.layer(name);
  return layer == nullptr ? nullptr : find(layer->versions, version);
}

/// What of a version stands in lists, too.
json listed(const std::string& name, const std::string& version, const json& document) {
  json shown = document;
  for (const char* member : {"CodeSha256", "CodeSize"}) shown.erase(member);
  shown["LayerVersionArn"] = version_arn(name, version);
  shown["Version"] = std::stoll(version);
  return shown;
}

json shown(const Call& call, const std::string& name, const std::string& version, const json& document) {
  json all = listed(name, version, document);
  all["LayerArn"] = layer_arn(name);
  const auto sha256 = document.at("CodeSha256").get<std::string>();
  all["Content"] = {{"Location", call.world.location(owner_of_layer(name), sha256)},
                    {"CodeSha256", sha256},
                    {"CodeSize", document.at("CodeSize")}};
  return all;
}

/// A list of at most `most` values, each one of those that `known` knows.
json read_choices(Call& call, Arguments& settings, std::string_view name, std::size_t most,
                  bool (*known)(std::string_view), const std::string& names) {
  const auto all = settings.texts(name);
  std::string text = "[";
  for (const std::string& each : all) text.append(text.size() == 1 ? "" : ", ").append(each);
  text += "]";
  if (all.size() > most) {
    call.validation.mistake(text, settings.place(name),
                            "Member must have length less than or equal to " + std::to_string(most));
  } else if (!std::all_of(all.begin(), all.end(), [known](const std::string& each) { return known(each); })) {
    call.validation.mistake(text, settings.place(name),
                            "Member must satisfy constraint: [Member must satisfy enum value set: [" + names + "]]");
  }
  return all;
}

bool is_architecture(std::string_view text) {
  return text == "x86_64" || text == "arm64";
}

Reply publish(Call& call) {
  const std::string name = layer_name(call);
  Arguments settings = call.body();
  json version = {{"Description", settings.text("Description", kMaxDescription)}};
  if (settings.has("CompatibleRuntimes")) {
    version["CompatibleRuntimes"] =
        read_choices(call, settings, "CompatibleRuntimes", kMaxRuntimes, &is_runtime, runtime_names());
  }
  if (settings.has("CompatibleArchitectures")) {
    version["CompatibleArchitectures"] =
        read_choices(call, settings, "CompatibleArchitectures", kMaxArchitectures, &is_architecture, "x86_64, arm64");
  }
  if (settings.has("LicenseInfo")) version["LicenseInfo"] = settings.text("LicenseInfo", kMaxLicense);
  auto content = settings.object("Content");
  if (!content) call.validation.missing("content");
  if (call.wrong()) return call.refused();
  if (!call.asked.code && (content->has("S3Bucket") || content->has("S3Key"))) {
    return call.refused(invalid("weir fetches no code from S3: give it as ZipFile."));
  }
  if (!call.asked.code) return call.refused(invalid("Please provide a source for the layer's content."));
  version["CodeSha256"] = call.asked.code->sha256;
  version["CodeSize"] = call.asked.code->size;
  version["CreatedDate"] = call.now_text();
  const std::int64_t number = call.world.model.last_layer_number(name) + 1;
  Reply reply = answered(kCreated, shown(call, name, std::to_string(number), version));
  reply.layer = name;
  reply.unpack = true;
  reply.notes = {note_of_layer(name, std::to_string(number), version), note_of_layer_number(name, number)};
  return reply;
}

Reply get(Call& call) {
  const std::string name = layer_name(call);
  const std::string version = layer_version(call);
  if (call.wrong()) return call.refused();
  const json* const found = find_version(call.world.model, name, version);
  if (found == nullptr) return call.refused(not_found(std::string(kNoSuchResource)));
  return answered(kOk, shown(call, name, version, *found));
}

Reply get_by_arn(Call& call) {
  const std::string arn = call.query("Arn");
  const auto named = parse_layer_version(arn);
  if (!named) {
    call.validation.mistake(arn, "arn",
                            "Member must satisfy regular expression pattern: " + std::string(kVersionArnPattern));
    return call.refused();
  }
  const json* const found = find_version(call.world.model, named->name, named->version);
  if (found == nullptr || !named->here) return call.refused(not_found(std::string(kNoSuchResource)));
  return answered(kOk, shown(call, named->name, named->version, *found));
}

/// Whether a version is one that a list is asked for.
bool asked_for(const Call& call, const json& version) {
  const auto has = [&](const char* list, const std::string& value) {
    if (value.empty()) return true;
    const auto all = version.find(list);
    return all != version.end() && std::find(all->begin(), all->end(), json(value)) != all->end();
  };
  return has("CompatibleRuntimes", call.query("CompatibleRuntime")) &&
         has("CompatibleArchitectures", call.query("CompatibleArchitecture"));
}

/// Says what is wrong with what a list is asked for.
void check_filters(Call& call) {
  const std::string runtime = call.query("CompatibleRuntime");
  if (!runtime.empty() && !is_runtime(runtime)) {
    call.validation.mistake(runtime, "compatibleRuntime",
                            "Member must satisfy enum value set: [" + runtime_names() + "]");
  }
  const std::string architecture = call.query("CompatibleArchitecture");
  if (!architecture.empty() && !is_architecture(architecture)) {
    call.validation.mistake(architecture, "compatibleArchitecture",
                            "Member must satisfy enum value set: [x86_64, arm64]");
  }
}

Reply list(Call& call) {
  if (call.query("find") == "LayerVersion") return get_by_arn(call);
  check_filters(call);
  std::vector<std::pair<std::string, json>> items;
  for (const auto& [name, layer] : call.world.model.layers()) {
    const auto latest = std::find_if(layer.versions.rbegin(), layer.versions.rend(),
                                     [&](const auto& each) { return asked_for(call, each.second); });
    if (latest == layer.versions.rend()) continue;
    items.emplace_back(name, json{{"LayerName", name},
                                  {"LayerArn", layer_arn(name)},
                                  {"LatestMatchingVersion", listed(name, latest->first, latest->second)}});
  }
  return list_reply(call, "Layers", std::move(items), kMostListed);
}

Reply list_versions(Call& call) {
  const std::string name = layer_name(call);
  check_filters(call);
  std::vector<std::pair<std::string, json>> items;
  if (const Layer* const layer = call.world.model.layer(name)) {
    for (auto each = layer->versions.rbegin(); each != layer->versions.rend(); ++each) {
      if (asked_for(call, each->second)) items.emplace_back(each->first, listed(name, each->first, each->second));
    }
  }
  return list_reply(call, "LayerVersions", std::move(items), kMostListed);
}

Reply remove(Call& call) {
  const std::string name = layer_name(call);
  const std::string version = layer_version(call);
  if (call.wrong()) return call.refused();
  Reply reply = answered(kNoContent, {});
  // One that is not there is deleted, too.
  if (find_version(call.world.model, name, version) == nullptr) return reply;
  reply.layer = name;
  reply.notes.push_back(end_of_layer(name, version));
  if (find(call.world.model.layer(name)->policies, version) != nullptr) {
    reply.notes.push_back(end_of_layer_policy(name, version));
  }
  return reply;
}

// Permissions

/// The policy of the version that the path names, empty when it has none; nothing, and refused, without the version.
std::optional<json> policy_of(Call& call, const std::string& name, const std::string& version) {
  if (call.wrong()) return std::nullopt;
  if (find_version(call.world.model, name, version) == nullptr) {
    call.refuse(not_found("Layer version " + version_arn(name, version) + " does not exist."));
    return std::nullopt;
  }
  const json* const policy = find(call.world.model.layer(name)->policies, version);
  return policy == nullptr ? json{{"Statement", json::array()}} : *policy;
}

bool same_policy(Call& call, const json& policy) {
  const std::string revision = call.query("RevisionId");
  if (revision.empty() || policy.value("RevisionId", "") == revision) return true;
  call.refuse({412, "PreconditionFailedException",
               "The Revision Id provided does not match the latest Revision Id. Call the GetLayerPolicy API to "
               "retrieve the latest Revision Id"});
  return false;
}

Reply add_permission(Call& call) {
  const std::string name = layer_name(call);
  const std::string version = layer_version(call);
  Arguments settings = call.body();
  const std::string id = settings.required("StatementId", kMaxStatement);
  const std::string action = settings.required("Action", kMaxText);
  const std::string principal = settings.required("Principal", kMaxText);
  const std::string organization = settings.text("OrganizationId", kMaxText);
  if (settings.has("Action") && action != kGet) {
    call.validation.mistake(action, "action", "Member must satisfy regular expression pattern: " + std::string(kGet));
  }
  constexpr std::size_t kAccount = 12;
  const bool account = is_digits(principal) && principal.size() == kAccount;
  if (settings.has("Principal") && principal != "*" && !account && !principal.starts_with("arn:aws")) {
    call.validation.mistake(principal, "principal",
                            R"(Member must satisfy regular expression pattern: \d{12}|\*|arn:(aws[a-zA-Z-]*):iam::)"
                            R"(\d{12}:root)");
  }
  auto policy = policy_of(call, name, version);
  if (!policy || !same_policy(call, *policy)) return call.refused();
  for (const json& statement : policy->at("Statement")) {
    if (statement.at("Sid") != id) continue;
    return call.refused(conflict("The statement id (" + id +
                                 ") provided already exists. Please provide a new statement id, or remove the existing "
                                 "statement."));
  }
  const json who =
      principal == "*" ? json("*") : json{{"AWS", account ? "arn:aws:iam::" + principal + ":root" : principal}};
  json statement = {{"Sid", id},
                    {"Effect", "Allow"},
                    {"Principal", who},
                    {"Action", action},
                    {"Resource", version_arn(name, version)}};
  if (!organization.empty()) statement["Condition"] = {{"StringEquals", {{"aws:PrincipalOrgID", organization}}}};
  (*policy)["Statement"].push_back(statement);
  (*policy)["RevisionId"] = call.new_revision();
  if (policy->at("Statement").dump().size() > kMaxPolicy) {
    return call.refused({400, "PolicyLengthExceededException",
                         "The final policy size is bigger than the limit (" + std::to_string(kMaxPolicy) + ")."});
  }
  Reply reply = answered(kCreated, {{"Statement", statement.dump()}, {"RevisionId", policy->at("RevisionId")}});
  reply.notes = {note_of_layer_policy(name, version, *policy)};
  return reply;
}

Reply get_policy(Call& call) {
  const std::string name = layer_name(call);
  const std::string version = layer_version(call);
  const auto policy = policy_of(call, name, version);
  if (!policy) return call.refused();
  if (policy->at("Statement").empty()) {
    return call.refused(not_found("No policy is associated with the given resource."));
  }
  const json document = {{"Version", "2012-10-17"}, {"Id", "default"}, {"Statement", policy->at("Statement")}};
  return answered(kOk, {{"Policy", document.dump()}, {"RevisionId", policy->at("RevisionId")}});
}

Reply remove_permission(Call& call) {
  const std::string name = layer_name(call);
  const std::string version = layer_version(call);
  const std::string& id = call.asked.path.at(6);
  auto policy = policy_of(call, name, version);
  if (!policy) return call.refused();
  json& statements = (*policy)["Statement"];
  const auto found =
      std::find_if(statements.begin(), statements.end(), [&](const json& each) { return each.at("Sid") == id; });
  if (found == statements.end()) {
    return call.refused(not_found("Statement " + id + " is not found in resource policy."));
  }
  if (!same_policy(call, *policy)) return call.refused();
  statements.erase(found);
  (*policy)["RevisionId"] = call.new_revision();
  Reply reply = answered(kNoContent, {});
  reply.notes = {statements.empty() ? end_of_layer_policy(name, version)
                                    : note_of_layer_policy(name, version, *policy)};
  return reply;
}

constexpr std::string_view kVersions = "2018-10-31/layers/*/versions";
constexpr std::string_view kVersion = "2018-10-31/layers/*/versions/*";
constexpr std::string_view kPolicy = "2018-10-31/layers/*/versions/*/policy";
constexpr std::array kOperations{
    Operation{"PublishLayerVersion", "POST", kVersions, &publish},
    Operation{"ListLayers", "GET", "2018-10-31/layers", &list},
    Operation{"ListLayerVersions", "GET", kVersions, &list_versions},
    Operation{"GetLayerVersion", "GET", kVersion, &get},
    Operation{"DeleteLayerVersion", "DELETE", kVersion, &remove},
    Operation{"AddLayerVersionPermission", "POST", kPolicy, &add_permission},
    Operation{"GetLayerVersionPolicy", "GET", kPolicy, &get_policy},
    Operation{"RemoveLayerVersionPermission", "DELETE", "2018-10-31/layers/*/versions/*/policy/*", &remove_permission},
};

}  // namespace

std::optional<LayerVersionName> parse_layer_version(const std::string& arn) {
  const auto parsed = service::parse_arn(arn);
  constexpr std::string_view kLayer = "layer:";
  if (!parsed || parsed->service != "lambda" || !parsed->resource.starts_with(kLayer)) return std::nullopt;
  const std::string rest = parsed->resource.substr(kLayer.size());
  const std::size_t colon = rest.find(':');
  if (colon == std::string::npos) return std::nullopt;
  LayerVersionName named;
  named.name = rest.substr(0, colon);
  named.version = rest.substr(colon + 1);
  named.region = parsed->region;
  named.here = parsed->region == kLocalRegion && parsed->account == kLocalAccount;
  if (!is_layer_name(named.name) || !is_digits(named.version)) return std::nullopt;
  return named;
}

void read_layers(Call& call, Arguments& settings, json& into) {
  if (!settings.has("Layers")) return;
  const auto arns = settings.texts("Layers");
  if (arns.size() > kMaxLayers) return call.refuse(invalid("Cannot reference more than 5 layers."));
  json layers = json::array();
  json code = json::array();
  std::map<std::string, std::string> seen;
  for (const std::string& arn : arns) {
    const auto named = parse_layer_version(arn);
    if (!named) {
      call.validation.mistake("[" + arn + "]", "layers",
                              "Member must satisfy constraint: [Member must have length less than or equal to 140, "
                              "Member must have length greater than or equal to 1, Member must satisfy regular "
                              "expression pattern: " +
                                  std::string(kVersionArnPattern) + "]");
      return;
    }
    if (named->region != kLocalRegion) {
      return call.refuse(
          invalid("Layers are not in the same region as the function. Layers are expected to be in region " +
                  std::string(kLocalRegion) + "."));
    }
    if (const auto [other, added] = seen.emplace(named->name, arn); !added) {
      return call.refuse(
          invalid("Two different versions of the same layer are not allowed to be referenced in the same function. " +
                  arn + " and " + other->second + "."));
    }
    // A version that was deleted stays with the functions that have it.
    const json& had = into.value("Layers", json::array());
    const auto there = std::find_if(had.begin(), had.end(), [&](const json& each) { return each.at("Arn") == arn; });
    if (there != had.end()) {
      layers.push_back(*there);
      code.push_back(into.at("LayerCode").at(static_cast<std::size_t>(there - had.begin())));
      continue;
    }
    const json* const version = named->here ? find_version(call.world.model, named->name, named->version) : nullptr;
    if (version == nullptr) return call.refuse(invalid("Layer version " + arn + " does not exist."));
    layers.push_back({{"Arn", arn}, {"CodeSize", version->at("CodeSize")}});
    code.push_back({{"Owner", owner_of_layer(named->name)}, {"CodeSha256", version->at("CodeSha256")}});
  }
  into.erase("Layers");
  into.erase("LayerCode");
  if (layers.empty()) return;
  into["Layers"] = std::move(layers);
  into["LayerCode"] = std::move(code);
}

std::span<const Operation> layer_operations() {
  return kOperations;
}

}  // namespace weir::control
