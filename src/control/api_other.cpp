#include <algorithm>
#include <array>

#include "weir/service.h"

#include "control/api_call.h"
#include "service/arn.h"

namespace weir::control {
namespace {

constexpr std::size_t kMaxText = 10'000;
constexpr std::size_t kMaxStatement = 100;
constexpr std::size_t kMaxPolicy = 20'480;
constexpr std::size_t kMaxToken = 256;
constexpr std::size_t kMaxOrganization = 34;
constexpr std::int64_t kMostListed = 50;
constexpr std::string_view kTags = "tags";
constexpr std::string_view kRecursion = "recursion";
constexpr std::string_view kNoSuchResource = "The resource you requested does not exist.";

// Tags

/// The mapping whose tags a call is about, by its UUID; "" when it is about a function's.
std::string tagged_mapping(const Call& call) {
  constexpr std::string_view kMapping = "event-source-mapping:";
  const auto resource = service::local_resource(call.asked.path.at(2), "lambda");
  return resource && resource->starts_with(kMapping) ? resource->substr(kMapping.size()) : "";
}

/// The function whose tags a call is about: its ARN is the path's last segment. "" after a refusal.
std::string tagged(Call& call) {
  constexpr std::string_view kFunction = "function:";
  const std::string& arn = call.asked.path.at(2);
  const auto resource = service::local_resource(arn, "lambda");
  if (!resource || !resource->starts_with(kFunction)) {
    const auto other = service::parse_arn(arn);
    if (other && other->service == "lambda") {
      call.refuse(not_found(std::string(kNoSuchResource)));
    } else {
      call.validation.mistake(arn, "resource",
                              R"(Member must satisfy regular expression pattern: arn:(aws[a-zA-Z-]*):lambda:)"
                              R"([a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:(function:[a-zA-Z0-9-_]+)"
                              R"((:(\$LATEST|[a-zA-Z0-9-_]+))?|code-signing-config:csc-[a-z0-9]{17}|)"
                              R"(event-source-mapping:[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-)"
                              R"([0-9a-fA-F]{4}-[0-9a-fA-F]{12}))");
    }
    return "";
  }
  std::string name = resource->substr(kFunction.size());
  if (name.find(':') != std::string::npos) {
    call.refuse(invalid("Tags on function aliases and versions are not supported. Please specify a function ARN."));
  }
  return name;
}

json tags_of(const Function& function) {
  const json* const tags = find(function.settings, kTags);
  return tags == nullptr ? json::object() : *tags;
}

Reply list_tags(Call& call) {
  if (const std::string uuid = tagged_mapping(call); !uuid.empty()) {
    const json* const tags = tags_of_mapping(call, uuid);
    return tags == nullptr ? call.refused() : answered(kOk, {{"Tags", *tags}});
  }
  const Function* const function = call.look_up({tagged(call), ""});
  if (function == nullptr) return call.refused();
  return answered(kOk, {{"Tags", tags_of(*function)}});
}

Reply keep_tags(Call& call, const json& tags) {
  if (tags.size() > kMaxTags) return call.refused(invalid("Number of tags exceeds resource tag limit."));
  call.put(Kind::kSetting, kTags, tags);
  return call.changed(kNoContent, {});
}

Reply tag(Call& call) {
  Arguments settings = call.body();
  if (!settings.has("Tags")) call.validation.missing("tags");
  const auto added = settings.text_map("Tags");
  for (const auto& [key, value] : added) {
    constexpr std::size_t kMaxKey = 128;
    constexpr std::size_t kMaxValue = 256;
    if (key.empty() || key.size() > kMaxKey || value.size() > kMaxValue) {
      call.validation.mistake("{" + key + "=" + value + "}", "tags",
                              "Map keys and values must have at most 128 and 256 characters");
    }
  }
  if (const std::string uuid = tagged_mapping(call); !uuid.empty()) {
    const json* const known = tags_of_mapping(call, uuid);
    if (known == nullptr) return call.refused();
    json tags = *known;
    tags.update(json(added));
    return tag_mapping(call, uuid, std::move(tags));
  }
  const Named named{tagged(call), ""};
  const Function* const function = call.change(named);
  if (function == nullptr) return call.refused();
  json tags = tags_of(*function);
  tags.update(json(added));
  return keep_tags(call, tags);
}

Reply untag(Call& call) {
  if (!call.in_query("tagKeys")) call.validation.missing("tagKeys");
  const auto without = [&](json tags) {
    for (const auto& [name, value] : call.asked.query) {
      if (name == "tagKeys") tags.erase(value);
    }
    return tags;
  };
  if (const std::string uuid = tagged_mapping(call); !uuid.empty()) {
    const json* const known = tags_of_mapping(call, uuid);
    return known == nullptr ? call.refused() : tag_mapping(call, uuid, without(*known));
  }
  const Named named{tagged(call), ""};
  const Function* const function = call.change(named);
  if (function == nullptr) return call.refused();
  return keep_tags(call, without(tags_of(*function)));
}

// Permissions

/// Who may call, as a policy has it; null when nobody has such a name.
json principal_of(const std::string& text) {
  if (text == "*") return "*";
  constexpr std::size_t kAccount = 12;
  if (is_digits(text) && text.size() == kAccount) return {{"AWS", "arn:aws:iam::" + text + ":root"}};
  if (text.starts_with("arn:")) return {{"AWS", text}};
  if (text.ends_with(".amazonaws.com") || text.ends_with(".amazon.com")) return {{"Service", text}};
  return {};
}

/// The qualifier that a policy belongs to; refused when it can have none.
bool may_have_policy(Call& call, const Function& function, const std::string& qualifier) {
  if (qualifier == kLatest) {
    call.refuse(invalid("We currently do not support adding policies for $LATEST."));
    return false;
  }
  return qualifier_exists(call, function, qualifier);
}

LambdaError stale_policy() {
  return {
      412, "PreconditionFailedException",
      "The Revision Id provided does not match the latest Revision Id. Call the GetPolicy API to retrieve the latest "
      "Revision Id"};
}

json conditions(Arguments& settings) {
  json condition = json::object();
  const auto add = [&](const char* test, const char* key, const std::string& value) {
    if (!value.empty()) condition[test][key] = value;
  };
  add("ArnLike", "AWS:SourceArn", settings.text("SourceArn", kMaxText));
  add("StringEquals", "AWS:SourceAccount", settings.text("SourceAccount", 12));
  add("StringEquals", "lambda:EventSourceToken", settings.text("EventSourceToken", kMaxToken));
  add("StringEquals", "lambda:FunctionUrlAuthType", settings.choice("FunctionUrlAuthType", {"NONE", "AWS_IAM"}));
  add("StringEquals", "aws:PrincipalOrgID", settings.text("PrincipalOrgID", kMaxOrganization));
  if (settings.flag("InvokedViaFunctionUrl")) condition["Bool"]["lambda:InvokedViaFunctionUrl"] = "true";
  return condition;
}

Reply add_permission(Call& call) {
  const Named named = call.named();
  Arguments settings = call.body();
  const std::string id = settings.required("StatementId", kMaxStatement);
  const std::string action = settings.required("Action", kMaxText);
  const std::string principal = settings.required("Principal", 2048);
  const std::string revision = settings.text("RevisionId", kMaxText);
  if (settings.has("StatementId") && (id.empty() || !std::all_of(id.begin(), id.end(), [](unsigned char c) {
                                        return (c < 0x80 && std::isalnum(c) != 0) || c == '-' || c == '_';
                                      }))) {
    call.validation.mistake(id, "statementId", "Member must satisfy regular expression pattern: ([a-zA-Z0-9-_]+)");
  }
  constexpr std::string_view kLambda = "lambda:";
  if (settings.has("Action") && action != "*" && (!action.starts_with(kLambda) || action.size() == kLambda.size())) {
    call.validation.mistake(action, "action",
                            "Member must satisfy regular expression pattern: (lambda:[*]|lambda:[a-zA-Z]+|[*])");
  }
  const json condition = conditions(settings);
  Function* const function = call.change({named.name, ""});
  if (function == nullptr || !may_have_policy(call, *function, named.qualifier)) return call.refused();
  const json who = principal_of(principal);
  if (who.is_null()) {
    return call.refused(invalid("The provided principal was invalid. Please check the principal and try again."));
  }
  json policy = {{"Statement", json::array()}};
  if (const json* there = find(function->policies, named.qualifier)) policy = *there;
  if (!revision.empty() && policy.value("RevisionId", "") != revision) return call.refused(stale_policy());
  for (const json& statement : policy.at("Statement")) {
    if (statement.at("Sid") != id) continue;
    return call.refused(conflict("The statement id (" + id +
                                 ") provided already exists. Please provide a new statement id, or remove the existing "
                                 "statement."));
  }
  json statement = {{"Sid", id},
                    {"Effect", "Allow"},
                    {"Principal", who},
                    {"Action", action},
                    {"Resource", function_arn(named.name, named.qualifier)}};
  if (!condition.empty()) statement["Condition"] = condition;
  policy["Statement"].push_back(statement);
  policy["RevisionId"] = call.new_revision();
  if (policy["Statement"].dump().size() > kMaxPolicy) {
    return call.refused({400, "PolicyLengthExceededException",
                         "The final policy size is bigger than the limit (" + std::to_string(kMaxPolicy) + ")."});
  }
  call.put(Kind::kPolicy, named.qualifier, policy);
  return call.changed(kCreated, {{"Statement", statement.dump()}});
}

Reply get_policy(Call& call) {
  const Named named = call.named();
  const Function* const function = call.look_up({named.name, ""});
  if (function == nullptr || !qualifier_exists(call, *function, named.qualifier)) return call.refused();
  const json* const policy = find(function->policies, named.qualifier);
  if (policy == nullptr) return call.refused(not_found(std::string(kNoSuchResource)));
  const json document = {{"Version", "2012-10-17"}, {"Id", "default"}, {"Statement", policy->at("Statement")}};
  return answered(kOk, {{"Policy", document.dump()}, {"RevisionId", policy->at("RevisionId")}});
}

Reply remove_permission(Call& call) {
  const Named named = call.named();
  const std::string& id = call.asked.path.at(4);
  Function* const function = call.change({named.name, ""});
  if (function == nullptr || !qualifier_exists(call, *function, named.qualifier)) return call.refused();
  const json* const found = find(function->policies, named.qualifier);
  if (found == nullptr) return call.refused(not_found("No policy is associated with the given resource."));
  json policy = *found;
  const std::string revision = call.query("RevisionId");
  if (!revision.empty() && policy.at("RevisionId") != revision) return call.refused(stale_policy());
  json& statements = policy["Statement"];
  const auto statement =
      std::find_if(statements.begin(), statements.end(), [&](const json& each) { return each.at("Sid") == id; });
  if (statement == statements.end()) {
    return call.refused(not_found("Statement " + id + " is not found in resource policy."));
  }
  statements.erase(statement);
  policy["RevisionId"] = call.new_revision();
  if (statements.empty()) {
    call.remove(Kind::kPolicy, named.qualifier);
  } else {
    call.put(Kind::kPolicy, named.qualifier, policy);
  }
  return call.changed(kNoContent, {});
}

// Function URLs

/// Says what is wrong with the qualifier of a URL, which belongs to a function or an alias.
bool may_have_url(Call& call, const std::string& qualifier) {
  if (qualifier.empty() || (!is_digits(qualifier) && qualifier.find('$') == std::string::npos)) return !call.wrong();
  call.validation.mistake(qualifier, "qualifier",
                          R"(Member must satisfy regular expression pattern: ((?!^\d+$)^[0-9a-zA-Z-_]+$))");
  return false;
}

json shown_url(const Call& call, const Function& function, const std::string& qualifier) {
  json shown = *find(function.urls, qualifier);
  shown["FunctionArn"] = function_arn(function.name, qualifier);
  shown["FunctionUrl"] = call.asked.address + "/2021-10-31/function-urls/" + shown["UrlId"].get<std::string>() + "/";
  shown.erase("UrlId");
  return shown;
}

void read_url(Arguments& settings, json& into) {
  if (settings.has("AuthType")) into["AuthType"] = settings.choice("AuthType", {"NONE", "AWS_IAM"});
  if (settings.has("InvokeMode")) into["InvokeMode"] = settings.choice("InvokeMode", {"BUFFERED", "RESPONSE_STREAM"});
  if (auto cors = settings.object("Cors")) {
    cors->integer("MaxAge", {0, 86'400});
    for (const char* list : {"AllowHeaders", "AllowMethods", "AllowOrigins", "ExposeHeaders"}) cors->texts(list);
    into.erase("Cors");
    if (!cors->raw().empty()) into["Cors"] = cors->raw();
  }
}

Reply create_url(Call& call) {
  const Named named = call.named();
  Arguments settings = call.body();
  if (!settings.has("AuthType")) call.validation.missing("authType");
  json url = {{"InvokeMode", "BUFFERED"}};
  read_url(settings, url);
  if (!may_have_url(call, named.qualifier)) return call.refused();
  Function* const function = call.change(named.name);
  if (function == nullptr) return call.refused(not_found("Function does not exist"));
  if (!qualifier_exists(call, *function, named.qualifier)) return call.refused();
  if (function->urls.contains(named.qualifier)) {
    return call.refused(conflict(
        "Failed to create function url config for [functionArn = " + function_arn(named.name, named.qualifier) +
        "]. Error message:  FunctionUrlConfig exists for this Lambda function"));
  }
  std::string id = call.new_revision();
  id.erase(std::remove(id.begin(), id.end(), '-'), id.end());
  url["UrlId"] = id;
  url["CreationTime"] = call.now_text();
  url["LastModifiedTime"] = call.now_text();
  call.put(Kind::kUrl, named.qualifier, url);
  json shown = shown_url(call, *function, named.qualifier);
  shown.erase("LastModifiedTime");
  return call.changed(kCreated, shown);
}

Reply get_url(Call& call) {
  const Named named = call.named();
  if (!may_have_url(call, named.qualifier)) return call.refused();
  const Function* const function = call.look_up({named.name, ""});
  if (function == nullptr || !function->urls.contains(named.qualifier)) {
    return Reply(not_found(std::string(kNoSuchResource)));
  }
  return answered(kOk, shown_url(call, *function, named.qualifier));
}

/// The function that has such a URL, to be changed; null, and refused, when there is none.
Function* change_url(Call& call, const Named& named) {
  if (!may_have_url(call, named.qualifier)) return nullptr;
  Function* const function = call.change(named.name);
  if (function != nullptr && function->urls.contains(named.qualifier)) return function;
  call.refuse(not_found(std::string(kNoSuchResource)));
  return nullptr;
}

Reply update_url(Call& call) {
  const Named named = call.named();
  Arguments settings = call.body();
  Function* const function = change_url(call, named);
  if (function == nullptr) return call.refused();
  json url = *find(function->urls, named.qualifier);
  read_url(settings, url);
  if (call.wrong()) return call.refused();
  url["LastModifiedTime"] = call.now_text();
  call.put(Kind::kUrl, named.qualifier, url);
  return call.changed(kOk, shown_url(call, *function, named.qualifier));
}

Reply delete_url(Call& call) {
  const Named named = call.named();
  if (change_url(call, named) == nullptr) return call.refused();
  call.remove(Kind::kUrl, named.qualifier);
  return call.changed(kNoContent, {});
}

Reply list_urls(Call& call) {
  const Function* const function = call.look_up({call.named().name, ""});
  if (function == nullptr) return call.refused();
  std::vector<std::pair<std::string, json>> items;
  for (const auto& [qualifier, url] : function->urls) {
    items.emplace_back(qualifier.empty() ? "-" : qualifier, shown_url(call, *function, qualifier));
  }
  return list_reply(call, "FunctionUrlConfigs", std::move(items), kMostListed);
}

// What is only kept

Reply get_recursion(Call& call) {
  const Function* const function = call.look_up(call.named());
  if (function == nullptr) return call.refused();
  const json* const kept = find(function->settings, kRecursion);
  return answered(kOk, kept == nullptr ? json{{"RecursiveLoop", "Terminate"}} : *kept);
}

Reply put_recursion(Call& call) {
  const Named named = call.named();
  Arguments settings = call.body();
  if (!settings.has("RecursiveLoop")) call.validation.missing("recursiveLoop");
  const std::string what = settings.choice("RecursiveLoop", {"Allow", "Terminate"});
  if (call.change(named) == nullptr) return call.refused();
  if (what == "Allow") {
    return call.refused(
        invalid("weir ends every chain of functions that call each other after 16 passes: "
                "RecursiveLoop has to be Terminate."));
  }
  const json kept = {{"RecursiveLoop", what}};
  call.put(Kind::kSetting, kRecursion, kept);
  return call.changed(kOk, kept);
}

std::string runtime_key(const std::string& version) {
  return "runtime/" + version;
}

json shown_runtime(const Function& function, const Named& named, const std::string& version) {
  json shown = {{"UpdateRuntimeOn", "Auto"}};
  if (const json* kept = find(function.settings, runtime_key(version))) shown = *kept;
  shown["FunctionArn"] =
      function_arn(named.name, named.qualifier.empty() ? std::string_view(kLatest) : std::string_view(named.qualifier));
  return shown;
}

Reply get_runtime(Call& call) {
  const Named named = call.named();
  const Function* const function = call.look_up(named);
  if (function == nullptr) return call.refused();
  const std::string version = call.version_of(*function, named.qualifier);
  if (version.empty()) return call.refused();
  return answered(kOk, shown_runtime(*function, named, version));
}

Reply put_runtime(Call& call) {
  const Named named = call.named();
  Arguments settings = call.body();
  if (!settings.has("UpdateRuntimeOn")) call.validation.missing("updateRuntimeOn");
  const std::string when = settings.choice("UpdateRuntimeOn", {"Auto", "Manual", "FunctionUpdate"});
  const std::string arn = settings.text("RuntimeVersionArn", 2048);
  Function* const function = call.change(named);
  if (function == nullptr) return call.refused();
  if ((when == "Manual") != settings.has("RuntimeVersionArn")) {
    return call.refused(invalid(when == "Manual" ? "RuntimeVersionArn is required when UpdateRuntimeOn is Manual."
                                                 : "RuntimeVersionArn goes with UpdateRuntimeOn Manual only."));
  }
  const std::string version = call.version_of(*function, named.qualifier);
  if (version.empty()) return call.refused();
  json kept = {{"UpdateRuntimeOn", when}};
  if (!arn.empty()) kept["RuntimeVersionArn"] = arn;
  call.put(Kind::kSetting, runtime_key(version), kept);
  return call.changed(kOk, shown_runtime(*function, named, version));
}

Reply get_code_signing(Call& call) {
  if (call.look_up({call.named().name, ""}) == nullptr) return call.refused();
  return answered(kOk, json::object());
}

constexpr std::string_view kPolicy = "2015-03-31/functions/*/policy";
constexpr std::string_view kUrl = "2021-10-31/functions/*/url";
constexpr std::string_view kRecursionPath = "2024-08-31/functions/*/recursion-config";
constexpr std::string_view kRuntimePath = "2021-07-20/functions/*/runtime-management-config";
constexpr std::array kOperations{
    Operation{"ListTags", "GET", "2017-03-31/tags/*", &list_tags},
    Operation{"TagResource", "POST", "2017-03-31/tags/*", &tag},
    Operation{"UntagResource", "DELETE", "2017-03-31/tags/*", &untag},
    Operation{"AddPermission", "POST", kPolicy, &add_permission},
    Operation{"GetPolicy", "GET", kPolicy, &get_policy},
    Operation{"RemovePermission", "DELETE", "2015-03-31/functions/*/policy/*", &remove_permission},
    Operation{"CreateFunctionUrlConfig", "POST", kUrl, &create_url},
    Operation{"GetFunctionUrlConfig", "GET", kUrl, &get_url},
    Operation{"UpdateFunctionUrlConfig", "PUT", kUrl, &update_url},
    Operation{"DeleteFunctionUrlConfig", "DELETE", kUrl, &delete_url},
    Operation{"ListFunctionUrlConfigs", "GET", "2021-10-31/functions/*/urls", &list_urls},
    Operation{"GetFunctionRecursionConfig", "GET", kRecursionPath, &get_recursion},
    Operation{"PutFunctionRecursionConfig", "PUT", kRecursionPath, &put_recursion},
    Operation{"GetRuntimeManagementConfig", "GET", kRuntimePath, &get_runtime},
    Operation{"PutRuntimeManagementConfig", "PUT", kRuntimePath, &put_runtime},
    Operation{"GetFunctionCodeSigningConfig", "GET", "2020-06-30/functions/*/code-signing-config", &get_code_signing},
};

}  // namespace

std::span<const Operation> other_operations() {
  return kOperations;
}

}  // namespace weir::control
