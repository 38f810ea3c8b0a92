#include "aws/credentials.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include <nlohmann/json.hpp>

#include "aws/addresses.h"
#include "aws/xml_text.h"
#include "http/uri.h"

namespace weir::aws {
namespace {

using nlohmann::json;

constexpr std::string_view kInstanceEndpoint = "http://169.254.169.254";
constexpr std::string_view kInstanceEndpointIpv6 = "http://[fd00:ec2::254]";
constexpr std::string_view kContainerHost = "http://169.254.170.2";
constexpr std::size_t kMessageMax = 500;

Error failed(std::string message) {
  return {ErrorCode::kEndpointFailed, std::move(message)};
}

bool is_true(std::string_view word) {
  return http::same_word(word, "true");
}

bool blank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

std::string in_quotes(std::string_view name) {
  return "\"" + std::string(name) + "\"";
}

// ---- Choosing ----

/// Choosing with everything at hand.
struct Chooser {
  using MaybeSource = std::optional<CredentialSource>;

  const std::string& setting;
  const Environment& environment;
  const AwsProfiles& profiles;

  std::optional<std::string> value(const std::string& profile, const std::string& key) const {
    return profiles.get(profile, key);
  }
  bool has(const std::string& profile, const std::string& key) const { return value(profile, key).has_value(); }

  Result<MaybeSource> from_environment() const;
  Result<MaybeSource> keys_of(const IniSection& section, const std::string& profile) const;
  bool assumes_role(const std::string& profile) const {
    return has(profile, "role_arn") && !has(profile, "web_identity_token_file");
  }
  bool has_keys(const std::string& profile) const {
    return has(profile, "aws_access_key_id") || has(profile, "aws_secret_access_key");
  }
  Result<CredentialSource> assumed_role(const std::string& profile, std::vector<std::string> visited) const;
  Result<CredentialSource> named_source(const std::string& name, const std::string& profile) const;
  Result<MaybeSource> web_identity(const std::string& profile, bool environment_too) const;
  Result<MaybeSource> from_profile(const std::string& profile, bool environment_too) const;
  MaybeSource container() const;
  MaybeSource instance() const;
};

Result<Chooser::MaybeSource> Chooser::from_environment() const {
  StaticKeys keys;
  keys.credentials.access_key_id = variable(environment, "AWS_ACCESS_KEY_ID");
  if (keys.credentials.access_key_id.empty()) return MaybeSource();
  keys.credentials.secret_access_key = variable(environment, "AWS_SECRET_ACCESS_KEY");
  if (keys.credentials.secret_access_key.empty())
    return failed("AWS_ACCESS_KEY_ID is in the environment, AWS_SECRET_ACCESS_KEY is not");
  keys.credentials.session_token = variable(environment, "AWS_SECURITY_TOKEN");
  if (keys.credentials.session_token.empty())
    keys.credentials.session_token = variable(environment, "AWS_SESSION_TOKEN");
  if (const std::string end = variable(environment, "AWS_CREDENTIAL_EXPIRATION"); !end.empty()) {
    keys.credentials.expires_at = parse_iso(end);
    if (!keys.credentials.expires_at)
      return failed("AWS_CREDENTIAL_EXPIRATION is no time such as 2026-11-23T08:00:00Z");
  }
  keys.where = "the environment";
  return MaybeSource(CredentialSource{std::move(keys)});
}

Result<Chooser::MaybeSource> Chooser::keys_of(const IniSection& section, const std::string& profile) const {
  const auto text = [&](const char* key) {
    const auto found = section.find(key);
    return found == section.end() ? std::string() : found->second;
  };
  if (!section.contains("aws_access_key_id")) return MaybeSource();
  StaticKeys keys;
  keys.credentials.access_key_id = text("aws_access_key_id");
  keys.credentials.secret_access_key = text("aws_secret_access_key");
  if (keys.credentials.access_key_id.empty() || keys.credentials.secret_access_key.empty())
    return failed("the profile " + in_quotes(profile) + " needs both aws_access_key_id and aws_secret_access_key");
  keys.credentials.session_token = text("aws_security_token");
  if (keys.credentials.session_token.empty()) keys.credentials.session_token = text("aws_session_token");
  keys.where = "the profile " + in_quotes(profile);
  return MaybeSource(CredentialSource{std::move(keys)});
}

Result<CredentialSource> Chooser::named_source(const std::string& name, const std::string& profile) const {
  const auto or_none = [&](Result<MaybeSource> found) -> Result<CredentialSource> {
    if (!found) return found.error();
    if (!*found)
      return failed("the profile " + in_quotes(profile) + " takes its credentials from " + name +
                    ", and there are none");
    return std::move(**found);
  };
  if (http::same_word(name, "Environment")) return or_none(from_environment());
  if (http::same_word(name, "EcsContainer")) return or_none(container());
  if (http::same_word(name, "Ec2InstanceMetadata")) return or_none(instance());
  return failed("the profile " + in_quotes(profile) + " has credential_source " + in_quotes(name) +
                ", which is none of Environment, EcsContainer and Ec2InstanceMetadata");
}

Result<CredentialSource> Chooser::assumed_role(const std::string& profile, std::vector<std::string> visited) const {
  const auto source_profile = value(profile, "source_profile");
  const auto credential_source = value(profile, "credential_source");
  if (source_profile && credential_source)
    return failed("the profile " + in_quotes(profile) + " has both source_profile and credential_source");
  if (!source_profile && !credential_source)
    return failed("the profile " + in_quotes(profile) +
                  " has role_arn, and neither source_profile nor credential_source");
  if (has(profile, "mfa_serial")) {
    return failed("the profile " + in_quotes(profile) +
                  " asks for a code (mfa_serial), which a daemon cannot give; use a role without it");
  }
  AssumedRole role;
  role.role_arn = *value(profile, "role_arn");
  role.session_name = value(profile, "role_session_name").value_or("");
  role.external_id = value(profile, "external_id").value_or("");
  if (const auto text = value(profile, "duration_seconds")) {
    int seconds = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), seconds);
    if (error != std::errc() || end != text->data() + text->size() || seconds < 900 || seconds > 43'200) {
      return failed("the profile " + in_quotes(profile) + " has duration_seconds " + *text +
                    ", allowed is 900 to 43200");
    }
    role.duration_seconds = seconds;
  }

  Result<CredentialSource> source = failed("");
  if (credential_source) {
    source = named_source(*credential_source, profile);
  } else {
    const std::string& next = *source_profile;
    if (!profiles.profiles.contains(next)) {
      return failed("the profile " + in_quotes(profile) + " has source_profile " + in_quotes(next) +
                    ", which does not exist");
    }
    visited.push_back(profile);
    const bool seen = std::find(visited.begin(), visited.end(), next) != visited.end();
    // A profile may name itself: then its own keys are meant.
    if (seen && !(next == profile && has_keys(next)))
      return failed("the profiles' source_profile lead in a circle at " + in_quotes(next));
    if (!has_keys(next) && assumes_role(next)) {
      source = assumed_role(next, std::move(visited));
    } else {
      Result<MaybeSource> found = from_profile(next, false);
      if (!found) return found.error();
      if (!*found) return failed("the source_profile " + in_quotes(next) + " has no credentials");
      source = std::move(**found);
    }
  }
  if (!source) return source.error();
  role.source = std::make_shared<const CredentialSource>(std::move(*source));
  return CredentialSource{std::move(role)};
}

Result<Chooser::MaybeSource> Chooser::web_identity(const std::string& profile, bool environment_too) const {
  const auto either = [&](const char* name, const char* key) {
    const std::string given = environment_too ? variable(environment, name) : std::string();
    return given.empty() ? value(profile, key).value_or("") : given;
  };
  WebIdentity identity;
  identity.token_file = either("AWS_WEB_IDENTITY_TOKEN_FILE", "web_identity_token_file");
  if (identity.token_file.empty()) return MaybeSource();
  identity.role_arn = either("AWS_ROLE_ARN", "role_arn");
  if (identity.role_arn.empty())
    return failed("a web identity's token file is given, and no role for it (AWS_ROLE_ARN, or role_arn)");
  identity.session_name = either("AWS_ROLE_SESSION_NAME", "role_session_name");
  return MaybeSource(CredentialSource{std::move(identity)});
}

/// What a profile offers, but role_arn with a source.
Result<Chooser::MaybeSource> Chooser::from_profile(const std::string& profile, bool environment_too) const {
  Result<MaybeSource> found = web_identity(profile, environment_too);
  if (!found || *found) return found;
  if (const auto section = profiles.from_credentials_file.find(profile);
      section != profiles.from_credentials_file.end()) {
    found = keys_of(section->second, profile);
    if (!found || *found) return found;
  }
  if (const auto command = value(profile, "credential_process"); command && !command->empty()) {
    Result<std::vector<std::string>> arguments = split_command(*command);
    if (!arguments) return std::move(arguments.error()).during("reading the profile " + in_quotes(profile));
    return MaybeSource(CredentialSource{CredentialProcess{std::move(*arguments), profile}});
  }
  if (const auto section = profiles.profiles.find(profile); section != profiles.profiles.end()) {
    found = keys_of(section->second, profile);
    if (!found || *found) return found;
  }
  if (has(profile, "sso_session") || has(profile, "sso_start_url") || has(profile, "login_session")) {
    return failed("the profile " + in_quotes(profile) +
                  " signs in through a browser, which weir does not do; give it credential_process = aws configure "
                  "export-credentials --profile NAME");
  }
  return MaybeSource();
}

Chooser::MaybeSource Chooser::container() const {
  ContainerMetadata container;
  const std::string relative = variable(environment, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
  container.url = relative.empty() ? variable(environment, "AWS_CONTAINER_CREDENTIALS_FULL_URI")
                                   : std::string(kContainerHost) + relative;
  if (container.url.empty()) return std::nullopt;
  container.token = variable(environment, "AWS_CONTAINER_AUTHORIZATION_TOKEN");
  container.token_file = variable(environment, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
  return CredentialSource{std::move(container)};
}

Chooser::MaybeSource Chooser::instance() const {
  if (is_true(variable(environment, "AWS_EC2_METADATA_DISABLED"))) return std::nullopt;
  const std::string profile = profile_name(setting, environment);
  const auto either = [&](const char* name, const char* key) {
    const std::string given = variable(environment, name);
    return given.empty() ? value(profile, key).value_or("") : given;
  };
  InstanceMetadata metadata;
  metadata.endpoint = either("AWS_EC2_METADATA_SERVICE_ENDPOINT", "ec2_metadata_service_endpoint");
  if (metadata.endpoint.empty()) {
    const bool ipv6 =
        http::same_word(either("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ec2_metadata_service_endpoint_mode"), "ipv6");
    metadata.endpoint = ipv6 ? kInstanceEndpointIpv6 : kInstanceEndpoint;
  }
  while (metadata.endpoint.ends_with('/')) metadata.endpoint.pop_back();
  const auto number = [&](const char* name, const char* key, int most) -> std::optional<int> {
    const std::string text = either(name, key);
    int read = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), read);
    if (text.empty() || error != std::errc() || end != text.data() + text.size() || read < 1 || read > most)
      return std::nullopt;
    return read;
  };
  if (const auto seconds = number("AWS_METADATA_SERVICE_TIMEOUT", "metadata_service_timeout", 60))
    metadata.timeout = std::chrono::seconds(*seconds);
  if (const auto attempts = number("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "metadata_service_num_attempts", 10))
    metadata.attempts = *attempts;
  return CredentialSource{metadata};
}

// ---- Answers ----

std::string text_of(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

/// What the other side says about its refusal, fit for a sentence.
std::string told(std::string code, const std::string& message, const std::vector<std::string>& secrets) {
  if (!message.empty()) code += (code.empty() ? "" : ": ") + message;
  // First the secrets, then the length: a cut secret would not be found.
  code = without_secrets(std::move(code), secrets);
  if (code.size() > kMessageMax) code = code.substr(0, kMessageMax) + " ...";
  return code;
}

Result<http::Credentials> checked(http::Credentials credentials, const std::string& end, bool end_required) {
  if (credentials.access_key_id.empty() || credentials.secret_access_key.empty())
    return failed("the answer holds no access key id or no secret access key");
  if (end.empty() && !end_required) return credentials;
  credentials.expires_at = parse_iso(end);
  if (!credentials.expires_at) return failed("the answer does not say when the credentials end");
  return credentials;
}

std::string session_name_or_made_up(const std::string& name, WallTime now) {
  return name.empty() ? "weir-" + std::to_string(epoch_milliseconds(now)) : name;
}

std::string form(const std::vector<std::pair<std::string_view, std::string>>& fields) {
  std::string out;
  for (const auto& [name, value] : fields) {
    if (value.empty()) continue;
    if (!out.empty()) out += '&';
    out.append(name).append("=").append(http::percent_encode(value));
  }
  return out;
}

}  // namespace

std::string describe(const CredentialSource& source) {
  struct Namer {
    std::string operator()(const StaticKeys& keys) const { return keys.where; }
    std::string operator()(const WebIdentity& identity) const { return "web identity as " + identity.role_arn; }
    std::string operator()(const AssumedRole& role) const {
      return "AssumeRole of " + role.role_arn + " with " + describe(*role.source);
    }
    std::string operator()(const CredentialProcess& process) const {
      return "credential_process of the profile " + in_quotes(process.profile);
    }
    std::string operator()(const ContainerMetadata&) const { return "container metadata"; }
    std::string operator()(const InstanceMetadata&) const { return "instance metadata"; }
  };
  return std::visit(Namer{}, source.what);
}

Result<CredentialSource> choose_credential_source(const std::string& profile_setting, const Environment& environment,
                                                  const AwsProfiles& profiles) {
  const Chooser chooser{profile_setting, environment, profiles};
  const bool named = !profile_setting.empty();
  const std::string profile = profile_name(profile_setting, environment);
  if (!named) {
    Result<Chooser::MaybeSource> found = chooser.from_environment();
    if (!found) return found.error();
    if (*found) return std::move(**found);
  }
  if (profile != "default" && !profiles.profiles.contains(profile)) {
    return failed("the profile " + in_quotes(profile) + " is neither in " + profiles.config_file + " nor in " +
                  profiles.credentials_file);
  }
  if (chooser.assumes_role(profile)) return chooser.assumed_role(profile, {});
  Result<Chooser::MaybeSource> found = chooser.from_profile(profile, !named);
  if (!found) return found.error();
  if (*found) return std::move(**found);
  if (auto container = chooser.container()) return std::move(*container);
  if (auto instance = chooser.instance()) return std::move(*instance);
  return failed("no AWS credentials were found; looked for " + looked_for(profile_setting, environment, profiles));
}

std::string looked_for(const std::string& profile_setting, const Environment& environment,
                       const AwsProfiles& profiles) {
  const Chooser chooser{profile_setting, environment, profiles};
  std::string text;
  if (profile_setting.empty())
    text += "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN; ";
  text += "the profile " + in_quotes(profile_name(profile_setting, environment)) + " in " + profiles.credentials_file +
          " and " + profiles.config_file +
          "; AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and AWS_CONTAINER_CREDENTIALS_FULL_URI; ";
  const auto instance = chooser.instance();
  text += instance ? "instance metadata at " + std::get<InstanceMetadata>(instance->what).endpoint
                   : std::string("no instance metadata (AWS_EC2_METADATA_DISABLED)");
  return text;
}

Result<std::vector<std::string>> split_command(std::string_view command) {
  std::vector<std::string> words;
  std::string word;
  bool in_word = false;
  char quote = '\0';
  for (std::size_t i = 0; i < command.size(); ++i) {
    const char c = command[i];
    const bool escapes = c == '\\' && quote != '\'' && i + 1 < command.size();
    if (escapes) {
      const char next = command[++i];
      // Within double quotes a backslash means itself but before these two.
      if (quote == '"' && next != '"' && next != '\\') word += c;
      word += next;
      in_word = true;
    } else if (quote != '\0') {
      if (c == quote) {
        quote = '\0';
      } else {
        word += c;
      }
    } else if (c == '"' || c == '\'') {
      quote = c;
      in_word = true;
    } else if (blank(c)) {
      if (in_word) words.push_back(std::exchange(word, {}));
      in_word = false;
    } else {
      word += c;
      in_word = true;
    }
  }
  if (quote != '\0') return failed("a quote in credential_process has no end");
  if (in_word) words.push_back(std::move(word));
  if (words.empty() || words.front().empty()) return failed("credential_process names no program");
  return words;
}

bool is_container_url_allowed(std::string_view url) {
  const auto parts = http::split_url(url);
  if (!parts) return false;
  if (parts->scheme == "https") return true;
  constexpr std::array<std::string_view, 5> kHosts{"169.254.170.2", "169.254.170.23", "fd00:ec2::23", "localhost",
                                                   "::1"};
  if (std::find(kHosts.begin(), kHosts.end(), parts->name) != kHosts.end()) return true;
  // 127.0.0.0/8; a name such as 127.evil.example is none of it.
  return parts->name.starts_with("127.") && std::count(parts->name.begin(), parts->name.end(), '.') == 3 &&
         std::all_of(parts->name.begin(), parts->name.end(), [](char c) { return (c >= '0' && c <= '9') || c == '.'; });
}

std::string assume_role_form(const AssumedRole& role, WallTime now) {
  return form({{"Action", "AssumeRole"},
               {"Version", "2011-06-15"},
               {"RoleArn", role.role_arn},
               {"RoleSessionName", session_name_or_made_up(role.session_name, now)},
               {"ExternalId", role.external_id},
               {"DurationSeconds", role.duration_seconds ? std::to_string(*role.duration_seconds) : ""}});
}

std::string web_identity_form(const WebIdentity& identity, std::string_view token, WallTime now) {
  return form({{"Action", "AssumeRoleWithWebIdentity"},
               {"Version", "2011-06-15"},
               {"RoleArn", identity.role_arn},
               {"RoleSessionName", session_name_or_made_up(identity.session_name, now)},
               {"WebIdentityToken", std::string(token)}});
}

Result<http::Credentials> read_sts_answer(const http::Response& response, const std::vector<std::string>& secrets) {
  const std::string& xml = response.body;
  if (response.status != 200) {
    const std::string why = told(xml_text(xml, "Code").value_or(""), xml_text(xml, "Message").value_or(""), secrets);
    return failed("STS refused with status " + std::to_string(response.status) + (why.empty() ? "" : ": " + why));
  }
  const auto inside = xml_text(xml, "Credentials");
  if (!inside) return failed("STS answered with something that holds no credentials");
  // The outer text has lost its entities once; the inner ones are looked for where they stand.
  http::Credentials credentials;
  credentials.access_key_id = xml_text(xml, "AccessKeyId").value_or("");
  credentials.secret_access_key = xml_text(xml, "SecretAccessKey").value_or("");
  credentials.session_token = xml_text(xml, "SessionToken").value_or("");
  return checked(std::move(credentials), xml_text(xml, "Expiration").value_or(""), true);
}

Result<http::Credentials> read_metadata_answer(const http::Response& response,
                                               const std::vector<std::string>& secrets) {
  const json document = json::parse(response.body, nullptr, false);
  const bool object = document.is_object();
  std::string code = object ? text_of(document, "Code") : "";
  if (code.empty() && object) code = text_of(document, "code");
  std::string message = object ? text_of(document, "Message") : "";
  if (message.empty() && object) message = text_of(document, "message");
  if (response.status != 200) {
    const std::string why = told(code, message, secrets);
    return failed("it refused with status " + std::to_string(response.status) + (why.empty() ? "" : ": " + why));
  }
  if (!object) return failed("its answer is no JSON object");
  if (!code.empty() && code != "Success") return failed("it refused: " + told(code, message, secrets));
  http::Credentials credentials;
  credentials.access_key_id = text_of(document, "AccessKeyId");
  credentials.secret_access_key = text_of(document, "SecretAccessKey");
  credentials.session_token = text_of(document, "Token");
  // ECS and EKS always tell; a server of one's own may give keys that do not end.
  return checked(std::move(credentials), text_of(document, "Expiration"), false);
}

Result<http::Credentials> read_process_output(std::string_view output) {
  const json document = json::parse(output, nullptr, false);
  if (!document.is_object()) return failed("it did not print a JSON object");
  const auto version = document.find("Version");
  if (version == document.end() || !version->is_number_integer() || *version != 1)
    return failed("it did not print \"Version\": 1");
  http::Credentials credentials;
  credentials.access_key_id = text_of(document, "AccessKeyId");
  credentials.secret_access_key = text_of(document, "SecretAccessKey");
  credentials.session_token = text_of(document, "SessionToken");
  return checked(std::move(credentials), text_of(document, "Expiration"), false);
}

std::string without_secrets(std::string text, const std::vector<std::string>& secrets) {
  for (const std::string& secret : secrets) {
    if (secret.empty()) continue;
    for (std::size_t at = text.find(secret); at != std::string::npos; at = text.find(secret, at + 3))
      text.replace(at, secret.size(), "***");
  }
  return text;
}

}  // namespace weir::aws
