#include <algorithm>
#include <array>
#include <set>

#include "weir/service.h"

#include "config/variables.h"
#include "control/api_call.h"
#include "control/code.h"
#include "control/function_name.h"
#include "package/runtimes.h"

namespace weir::control {
namespace {

constexpr Range kTimeout{1, 900};
constexpr Range kMemory{128, 10'240};
constexpr Range kStorage{512, 10'240};
constexpr std::size_t kMaxHandler = 128;
constexpr std::size_t kMaxDescription = 256;
constexpr std::size_t kMaxArn = 10'000;
constexpr std::size_t kMaxLogGroup = 512;
constexpr std::size_t kMaxManagedName = 140;
constexpr std::string_view kRolePattern = R"(arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+)";
constexpr std::string_view kArnPattern = R"((arn:(aws[a-zA-Z-]*)?:[a-z0-9-.]+:.*)|())";
constexpr std::string_view kBeingCreated = "The function is being created.";

/// Source: botocore's lambda model, without those that Lambda stopped running before 2022.
constexpr std::array<std::string_view, 37> kRuntimes{
    "nodejs12.x",    "nodejs14.x",     "nodejs16.x", "nodejs18.x",   "nodejs20.x", "nodejs22.x",    "nodejs24.x",
    "nodejs26.x",    "java8",          "java8.al2",  "java8.al2023", "java11",     "java11.al2023", "java17",
    "java17.al2023", "java21",         "java25",     "python3.7",    "python3.8",  "python3.9",     "python3.10",
    "python3.11",    "python3.12",     "python3.13", "python3.14",   "python3.15", "dotnet6",       "dotnet8",
    "dotnet10",      "ruby2.7",        "ruby3.2",    "ruby3.3",      "ruby3.4",    "ruby4.0",       "provided",
    "provided.al2",  "provided.al2023"};

bool is_letter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// kRolePattern
bool is_role(std::string_view text) {
  if (!text.starts_with("arn:")) return false;
  text.remove_prefix(4);
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) return false;
  const std::string_view partition = text.substr(0, colon);
  if (!partition.empty() && !partition.starts_with("aws")) return false;
  text.remove_prefix(colon + 1);
  constexpr std::string_view kIam = "iam::";
  constexpr std::size_t kAccount = 12;
  if (!text.starts_with(kIam) || text.size() < kIam.size() + kAccount) return false;
  text.remove_prefix(kIam.size());
  if (!is_digits(text.substr(0, kAccount)) || !text.substr(kAccount).starts_with(":role")) return false;
  text.remove_prefix(kAccount + 5);
  constexpr std::string_view kMore = "_+=,.@-/";
  return text.size() > 1 && std::all_of(text.begin(), text.end(), [&](char c) {
           return is_letter(c) || is_digit(c) || kMore.find(c) != std::string_view::npos;
         });
}

void read_environment(Call& call, Arguments& settings, json& into) {
  auto environment = settings.object("Environment");
  if (!environment) return;
  const auto variables = environment->text_map("Variables");
  if (call.wrong()) return;
  std::string reserved;
  for (const auto& [name, value] : variables) {
    if (config::is_reserved_variable(name)) {
      reserved.append(reserved.empty() ? "" : ", ").append(name);
    } else if (!config::is_variable_name(name)) {
      call.validation.mistake("{" + name + "=}", "environment.variables",
                              "Map keys must satisfy constraint: [Member must satisfy regular expression pattern: "
                              "[a-zA-Z]([a-zA-Z0-9_])+]");
      return;
    }
  }
  if (!reserved.empty()) {
    return call.refuse(
        invalid("Lambda was unable to configure your environment variables because the environment variables you have "
                "provided contains reserved keys that are currently not supported for modification. Reserved keys used "
                "in this request: " +
                reserved));
  }
  const std::string measured = json(variables).dump();
  if (measured.size() > config::kMaxEnvironmentBytes) {
    return call.refuse(
        invalid("Lambda was unable to configure your environment variables because the environment variables you have "
                "provided exceeded the 4KB limit. String measured: " +
                measured));
  }
  if (variables.empty()) {
    into.erase("Environment");
  } else {
    into["Environment"] = {{"Variables", variables}};
  }
}

void read_dead_letter(Call& call, Arguments& settings, json& into) {
  auto config = settings.object("DeadLetterConfig");
  // An empty object leaves it as it is.
  if (!config || !config->has("TargetArn")) return;
  const std::string arn = config->text("TargetArn", kMaxArn);
  if (arn.empty()) {
    into.erase("DeadLetterConfig");
    return;
  }
  if (!arn.starts_with("arn:")) {
    call.validation.mistake(arn, config->place("TargetArn"),
                            "Member must satisfy regular expression pattern: " + std::string(kArnPattern));
    return;
  }
  const std::string target = call.world.target_of(arn);
  if (!target.starts_with("sqs:") && !target.starts_with("sns:")) {
    return call.refuse(invalid("The dead-letter target " + arn + " is neither a queue nor a topic."));
  }
  into["DeadLetterConfig"] = {{"TargetArn", arn}};
}

void read_logging(Arguments& settings, const std::string& name, json& into) {
  auto config = settings.object("LoggingConfig");
  if (!config) return;
  json logging = into.at("LoggingConfig");
  if (config->has("LogFormat")) logging["LogFormat"] = config->choice("LogFormat", {"JSON", "Text"});
  const bool as_json = logging["LogFormat"] == "JSON";
  const auto level = [&](const char* member, std::initializer_list<std::string_view> levels) {
    if (config->has(member)) {
      logging[member] = config->choice(member, levels);
    } else if (as_json && !logging.contains(member)) {
      logging[member] = "INFO";
    }
    if (!as_json) logging.erase(member);
  };
  level("ApplicationLogLevel", {"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"});
  level("SystemLogLevel", {"DEBUG", "INFO", "WARN"});
  if (config->has("LogGroup")) logging["LogGroup"] = config->text("LogGroup", kMaxLogGroup);
  if (logging["LogGroup"] == "") logging["LogGroup"] = "/aws/lambda/" + name;
  into["LoggingConfig"] = std::move(logging);
}

void read_runtime(Call& call, Arguments& settings, json& into) {
  if (!settings.has("Runtime")) return;
  const std::string runtime = settings.text("Runtime", kMaxArn);
  if (!is_runtime(runtime)) {
    return call.refuse(invalid("Value " + runtime +
                               " at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [" +
                               runtime_names() + "] or be a valid ARN"));
  }
  if (!package::family_of(runtime))
    return call.refuse(invalid("weir cannot start functions of the runtime " + runtime + "."));
  into["Runtime"] = runtime;
  // Of the same form as AWS's, and of each runtime another.
  into["RuntimeVersionConfig"] = {
      {"RuntimeVersionArn", "arn:aws:lambda:" + std::string(kLocalRegion) + "::runtime:" + hex_of(sha256_of(runtime))}};
}

/// What CreateFunction and UpdateFunctionConfiguration have in common. What is not given stays as it is.
void read_settings(Call& call, Arguments& settings, const std::string& name, json& into) {
  read_runtime(call, settings, into);
  if (settings.has("Role")) {
    const std::string role = settings.text("Role", kMaxArn);
    if (!is_role(role)) {
      call.validation.mistake(role, "role",
                              "Member must satisfy regular expression pattern: " + std::string(kRolePattern));
    }
    into["Role"] = role;
  }
  if (settings.has("Handler")) {
    const std::string handler = settings.text("Handler", kMaxHandler);
    if (handler.empty() || handler.find_first_of(" \t\r\n\v\f") != std::string::npos) {
      call.validation.mistake(handler, "handler", R"(Member must satisfy regular expression pattern: [^\s]+)");
    }
    into["Handler"] = handler;
  }
  if (settings.has("Description")) into["Description"] = settings.text("Description", kMaxDescription);
  if (const auto timeout = settings.integer("Timeout", kTimeout)) into["Timeout"] = *timeout;
  if (const auto memory = settings.integer("MemorySize", kMemory)) into["MemorySize"] = *memory;
  if (auto storage = settings.object("EphemeralStorage")) {
    if (const auto size = storage->integer("Size", kStorage)) into["EphemeralStorage"] = {{"Size", *size}};
  }
  if (auto tracing = settings.object("TracingConfig")) {
    const std::string mode = tracing->choice("Mode", {"Active", "PassThrough"});
    if (!mode.empty()) into["TracingConfig"] = {{"Mode", mode}};
  }
  if (auto snap = settings.object("SnapStart")) {
    const std::string on = snap->choice("ApplyOn", {"PublishedVersions", "None"});
    if (!on.empty()) into["SnapStart"] = {{"ApplyOn", on}, {"OptimizationStatus", "Off"}};
  }
  read_logging(settings, name, into);
  read_environment(call, settings, into);
  read_dead_letter(call, settings, into);
  read_layers(call, settings, into);
  if (auto network = settings.object("VpcConfig")) {
    const auto subnets = network->texts("SubnetIds");
    const auto groups = network->texts("SecurityGroupIds");
    if (!subnets.empty() || !groups.empty()) {
      call.refuse(invalid("weir's functions are in no VPC: leave VpcConfig out."));
    }
  }
  if (settings.has("FileSystemConfigs") && !settings.raw().at("FileSystemConfigs").empty()) {
    call.refuse(invalid("weir mounts no file systems: leave FileSystemConfigs out."));
  }
  if (settings.has("ImageConfig")) call.refuse(invalid("weir runs no container images: leave ImageConfig out."));
  if (settings.has("KMSKeyArn")) {
    const std::string key = settings.text("KMSKeyArn", kMaxArn);
    into.erase("KMSKeyArn");
    if (!key.empty()) into["KMSKeyArn"] = key;
  }
}

/// Says what is wrong with where the code is to come from: here it comes with the call.
bool code_is_here(Call& call, Arguments& source) {
  const bool bucket = source.has("S3Bucket") || source.has("S3Key") || source.has("S3ObjectVersion");
  if (source.has("ImageUri")) {
    call.refuse(invalid("weir runs no container images: give the code as ZipFile."));
  } else if (bucket && call.asked.code) {
    call.refuse(invalid("Please do not provide other FunctionCode parameters when providing a ZipFile."));
  } else if (bucket) {
    call.refuse(invalid("weir fetches no code from S3: give it as ZipFile."));
  } else if (!call.asked.code) {
    call.refuse(invalid("Please provide a source for function code."));
  }
  return !call.wrong();
}

void read_architectures(Call& call, Arguments& settings, json& into) {
  if (!settings.has("Architectures")) return;
  const auto all = settings.texts("Architectures");
  if (all.size() != 1 || (all.front() != "x86_64" && all.front() != "arm64")) {
    std::string shown = "[";
    for (const std::string& each : all) shown.append(shown.size() == 1 ? "" : ", ").append(each);
    call.validation.mistake(shown + "]", "architectures",
                            "Member must satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64]]");
    return;
  }
  into["Architectures"] = all;
}

void take_code(const Call& call, json& into) {
  into["CodeSha256"] = call.asked.code->sha256;
  into["CodeSize"] = call.asked.code->size;
}

/// What of a function's newest version its reply has to be measured by.
void measure(const std::string& function, const json& latest, Reply& reply) {
  const auto layers = latest.find("LayerCode");
  if (layers == latest.end()) return;
  reply.measured.emplace_back(function, latest.at("CodeSha256").get<std::string>());
  for (const json& layer : *layers) {
    reply.measured.emplace_back(layer.at("Owner").get<std::string>(), layer.at("CodeSha256").get<std::string>());
  }
}

/// As it is shown to who has just changed it.
json under_way(json shown) {
  shown["LastUpdateStatus"] = "InProgress";
  shown["LastUpdateStatusReason"] = kBeingCreated;
  shown["LastUpdateStatusReasonCode"] = "Creating";
  return shown;
}

/// The name of a function that is to be; "" and refused when it cannot have it.
std::string new_name(Call& call, Arguments& settings) {
  const std::string text = settings.required("FunctionName", kMaxManagedName);
  if (call.wrong()) return "";
  const auto name = parse_function_name(text);
  if (!name || name->name.find('.') != std::string::npos) {
    call.validation.mistake(text, "functionName",
                            "Member must satisfy regular expression pattern: " + std::string(kManagedNamePattern));
    return "";
  }
  constexpr std::size_t kMaxName = 64;
  if (name->name.size() > kMaxName) {
    Validation length;
    length.mistake(name->name, "functionName", "Member must have length less than or equal to 64");
    call.refuse(invalid(length.sentence()));
  } else if ((!name->region.empty() && name->region != kLocalRegion) ||
             (!name->account.empty() && name->account != kLocalAccount) || !name->qualifier.empty()) {
    call.refuse(invalid("The function name " + text + " names no function of this account and region."));
  }
  return name->name;
}

Reply create_function(Call& call) {
  Arguments settings = call.body();
  const std::string name = new_name(call, settings);
  json latest = {{"Description", ""},
                 {"Timeout", 3},
                 {"MemorySize", 128},
                 {"PackageType", "Zip"},
                 {"Architectures", json::array({"x86_64"})},
                 {"EphemeralStorage", {{"Size", 512}}},
                 {"TracingConfig", {{"Mode", "PassThrough"}}},
                 {"SnapStart", {{"ApplyOn", "None"}, {"OptimizationStatus", "Off"}}},
                 {"LoggingConfig", {{"LogFormat", "Text"}, {"LogGroup", "/aws/lambda/" + name}}}};
  if (!settings.has("Role")) call.validation.missing("role");
  const std::string package = settings.choice("PackageType", {"Image", "Zip"});
  read_settings(call, settings, name, latest);
  read_architectures(call, settings, latest);
  const auto tags = settings.text_map("Tags");
  const bool publishes = settings.flag("Publish");
  auto source = settings.object("Code");
  if (!source) call.validation.missing("code");
  if (call.wrong()) return call.refused();
  if (package == "Image") return call.refused(invalid("weir runs no container images: PackageType has to be Zip."));
  if (tags.size() > kMaxTags) return call.refused(invalid("Number of tags exceeds resource tag limit."));
  if (!code_is_here(call, *source)) return call.refused();
  if (!latest.contains("Runtime") || !latest.contains("Handler")) {
    return call.refused(
        invalid("Runtime and Handler are mandatory parameters for functions created with deployment packages."));
  }
  if (call.is_configured(name) || call.world.model.function(name) != nullptr) {
    return call.refused(conflict("Function already exist: " + name));
  }
  take_code(call, latest);
  latest["LastModified"] = call.now_text();
  latest["RevisionId"] = call.new_revision();
  Function& function = call.create(name);
  call.put(Kind::kVersion, kLatest, latest);
  if (!tags.empty()) call.put(Kind::kSetting, "tags", tags);
  std::string version(kLatest);
  if (publishes) version = publish(call, function, std::nullopt);
  if (!call.possible()) return call.refused();
  json shown = configuration(call, function, version, publishes ? version : "");
  shown.erase("LastUpdateStatus");
  shown["State"] = "Pending";
  shown["StateReason"] = kBeingCreated;
  shown["StateReasonCode"] = "Creating";
  Reply reply = call.changed(kCreated, shown);
  reply.unpack = true;
  measure(name, latest, reply);
  return reply;
}

Reply get_function(Call& call) {
  const Named named = call.named();
  const Function* const function = call.look_up(named);
  if (function == nullptr) return call.refused();
  const std::string version = call.version_of(*function, named.qualifier);
  if (version.empty()) return call.refused();
  json body;
  body["Configuration"] = configuration(call, *function, version, named.qualifier);
  std::string location;
  if (call.is_configured(named.name)) {
    const auto& target = call.world.functions.configured().at(named.name).target;
    if (const auto* command = std::get_if<config::CommandFunction>(&target)) {
      const auto versions = call.world.plan(*function).versions;
      location = "file://" + (version == kLatest ? command->directory : versions.at(version).directory);
    }
  } else {
    location =
        call.world.location(named.name, function->versions.find(version)->second.at("CodeSha256").get<std::string>());
  }
  body["Code"] = {{"RepositoryType", "S3"}, {"Location", location}};
  if (const json* tags = find(function->settings, "tags"); tags != nullptr && !tags->empty()) body["Tags"] = *tags;
  if (const json* reserved = find(function->settings, "reserved")) body["Concurrency"] = *reserved;
  return answered(kOk, body);
}

Reply get_configuration(Call& call) {
  const Named named = call.named();
  const Function* const function = call.look_up(named);
  if (function == nullptr) return call.refused();
  const std::string version = call.version_of(*function, named.qualifier);
  if (version.empty()) return call.refused();
  return answered(kOk, configuration(call, *function, version, named.qualifier));
}

/// In a list nothing is said of what comes and goes by itself.
json listed(const Call& call, const Function& function, const std::string& version, const std::string& qualifier) {
  json shown = configuration(call, function, version, qualifier);
  for (const char* state : {"State", "StateReason", "StateReasonCode", "LastUpdateStatus", "RuntimeVersionConfig"}) {
    shown.erase(state);
  }
  return shown;
}

Reply list_functions(Call& call) {
  const std::string which = call.query("FunctionVersion");
  if (!which.empty() && which != "ALL") {
    call.validation.mistake(which, "functionVersion", "Member must satisfy enum value set: [ALL]");
    return call.refused();
  }
  std::set<std::string> names;
  for (const auto& [name, function] : call.world.functions.configured()) names.insert(name);
  for (const auto& [name, function] : call.world.model.functions()) {
    if (call.world.model.function(name) != nullptr) names.insert(name);
  }
  std::vector<std::pair<std::string, json>> items;
  for (const std::string& name : names) {
    const Function* const function = call.look_up({name, ""});
    if (which.empty()) {
      items.emplace_back(name, listed(call, *function, std::string(kLatest), ""));
      continue;
    }
    for (const auto& [version, document] : function->versions) {
      items.emplace_back(name + ":" + version, listed(call, *function, version, version));
    }
  }
  return list_reply(call, "Functions", std::move(items));
}

Reply list_versions(Call& call) {
  const Named named = call.named();
  const Function* const function = call.look_up(named);
  if (function == nullptr) return call.refused();
  std::vector<std::pair<std::string, json>> items;
  for (const auto& [version, document] : function->versions) {
    items.emplace_back(version, listed(call, *function, version, version));
  }
  return list_reply(call, "Versions", std::move(items));
}

Reply update_code(Call& call) {
  const Named named = call.named();
  Arguments settings = call.body();
  Function* const function = call.change({named.name, ""});
  if (function == nullptr) return call.refused();
  json latest = function->latest();
  read_architectures(call, settings, latest);
  const std::string revision = settings.text("RevisionId", kMaxArn);
  const bool dry = settings.flag("DryRun");
  const bool publishes = settings.flag("Publish");
  if (call.wrong() || !code_is_here(call, settings)) return call.refused();
  if (!same_revision(call, revision, latest.at("RevisionId").get<std::string>())) return call.refused();
  take_code(call, latest);
  latest["LastModified"] = call.now_text();
  latest["RevisionId"] = call.new_revision();
  call.put(Kind::kVersion, kLatest, latest);
  if (dry) {
    Reply reply = answered(kOk, configuration(call, *function, std::string(kLatest), ""));
    reply.function = named.name;
    reply.unpack = true;
    reply.dry = true;
    measure(named.name, latest, reply);
    return reply;
  }
  std::string version(kLatest);
  if (publishes) version = publish(call, *function, std::nullopt);
  if (!call.possible()) return call.refused();
  Reply reply = call.changed(kOk, under_way(configuration(call, *function, version, publishes ? version : "")));
  reply.unpack = true;
  measure(named.name, latest, reply);
  return reply;
}

Reply update_configuration(Call& call) {
  const Named named = call.named();
  Arguments settings = call.body();
  Function* const function = call.change({named.name, ""});
  if (function == nullptr) return call.refused();
  json latest = function->latest();
  read_settings(call, settings, named.name, latest);
  const std::string revision = settings.text("RevisionId", kMaxArn);
  if (call.wrong()) return call.refused();
  if (!same_revision(call, revision, latest.at("RevisionId").get<std::string>())) return call.refused();
  latest["LastModified"] = call.now_text();
  latest["RevisionId"] = call.new_revision();
  call.put(Kind::kVersion, kLatest, latest);
  if (!call.possible()) return call.refused();
  Reply reply = call.changed(kOk, under_way(configuration(call, *function, std::string(kLatest), "")));
  measure(named.name, latest, reply);
  return reply;
}

Reply delete_version(Call& call, Function& function, const std::string& version) {
  if (version == kLatest) {
    return call.refused(invalid("$LATEST version cannot be deleted without deleting the function."));
  }
  if (!is_digits(version)) return call.refused(invalid("Deletion of aliases is not currently supported."));
  if (!function.versions.contains(version)) {
    return call.refused(not_found("Function not found: " + function_arn(function.name, version)));
  }
  std::string aliases;
  for (const auto& [name, alias] : function.aliases) {
    const bool weighted =
        alias.contains("RoutingConfig") && alias.at("RoutingConfig").at("AdditionalVersionWeights").contains(version);
    if (alias.at("FunctionVersion") == version || weighted) aliases.append(aliases.empty() ? "" : ", ").append(name);
  }
  if (!aliases.empty()) {
    return call.refused(
        conflict("Unable to delete version because the following aliases reference it: [" + aliases + "]"));
  }
  for (const Kind kind : {Kind::kVersion, Kind::kProvisioned, Kind::kAsync, Kind::kPolicy}) {
    if (function.of(kind).contains(version)) call.remove(kind, version);
  }
  return call.changed(kNoContent, {});
}

Reply delete_function(Call& call) {
  const Named named = call.named();
  Function* const function = named.qualifier.empty() ? call.change(named) : call.extend(named);
  if (function == nullptr) return call.refused();
  if (!named.qualifier.empty()) return delete_version(call, *function, named.qualifier);
  for (const Kind kind :
       {Kind::kVersion, Kind::kAlias, Kind::kProvisioned, Kind::kAsync, Kind::kPolicy, Kind::kUrl, Kind::kSetting}) {
    while (!function->of(kind).empty()) call.remove(kind, std::string(function->of(kind).begin()->first));
  }
  return call.changed(kNoContent, {});
}

constexpr std::array kOperations{
    Operation{"CreateFunction", "POST", "2015-03-31/functions", &create_function},
    Operation{"ListFunctions", "GET", "2015-03-31/functions", &list_functions},
    Operation{"GetFunction", "GET", "2015-03-31/functions/*", &get_function},
    Operation{"DeleteFunction", "DELETE", "2015-03-31/functions/*", &delete_function},
    Operation{"GetFunctionConfiguration", "GET", "2015-03-31/functions/*/configuration", &get_configuration},
    Operation{"UpdateFunctionConfiguration", "PUT", "2015-03-31/functions/*/configuration", &update_configuration},
    Operation{"UpdateFunctionCode", "PUT", "2015-03-31/functions/*/code", &update_code},
    Operation{"ListVersionsByFunction", "GET", "2015-03-31/functions/*/versions", &list_versions},
};

}  // namespace

bool is_runtime(std::string_view text) {
  return std::find(kRuntimes.begin(), kRuntimes.end(), text) != kRuntimes.end();
}

std::string runtime_names() {
  std::string all;
  for (const std::string_view each : kRuntimes) all.append(all.empty() ? "" : ", ").append(each);
  return all;
}

std::span<const Operation> function_operations() {
  return kOperations;
}

}  // namespace weir::control
