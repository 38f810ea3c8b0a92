#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "weir/base/error.h"
#include "weir/base/time.h"

#include "aws/profiles.h"
#include "http/message.h"
#include "http/sigv4.h"

namespace weir::aws {

struct CredentialSource;

/// Keys that are simply written down.
struct StaticKeys {
  http::Credentials credentials;
  std::string where;  ///< for logs: "the environment", "the profile x"
};
/// STS AssumeRoleWithWebIdentity: the token in a file stands for a role (EKS, GitHub).
struct WebIdentity {
  std::string token_file;
  std::string role_arn;
  std::string session_name;  ///< "" for one that is made up
};
/// STS AssumeRole with somebody else's credentials.
struct AssumedRole {
  std::string role_arn;
  std::string session_name;  ///< "" for one that is made up
  std::string external_id;
  std::optional<int> duration_seconds;
  std::shared_ptr<const CredentialSource> source;  ///< shared by copies; never changed
};
/// What a program of the user's prints.
struct CredentialProcess {
  std::vector<std::string> arguments;
  std::string profile;
};
/// An HTTP address that the container's surroundings give (ECS, EKS Pod Identity, Greengrass).
struct ContainerMetadata {
  std::string url;
  std::string token;       ///< for the Authorization header; "" for none
  std::string token_file;  ///< read each time; before `token`
};
/// IMDSv2 of an EC2 instance.
struct InstanceMetadata {
  std::string endpoint;  ///< "http://169.254.169.254"
  Duration timeout = std::chrono::seconds(1);
  int attempts = 1;
};

/// Where credentials come from. Decided afresh whenever they are fetched, so that files may change.
struct CredentialSource {
  std::variant<StaticKeys, WebIdentity, AssumedRole, CredentialProcess, ContainerMetadata, InstanceMetadata> what;
};

/// A few words for logs: "the environment", "AssumeRole of arn:...".
std::string describe(const CredentialSource& source);

/// Decides where credentials come from, in botocore's order: environment; the profile's role_arn; web identity; keys of
/// the credentials file; credential_process; keys of the config file; container; instance. Pure but for `environment`.
/// `profile_setting`: a profile that the configuration names, which goes before keys and web identity of the
/// environment; "" for none. endpoint.failed: what is half given, what is not supported (sso, mfa_serial), or that
/// there are none and what was looked for.
Result<CredentialSource> choose_credential_source(const std::string& profile_setting, const Environment& environment,
                                                  const AwsProfiles& profiles);

/// What was looked for, for the sentence that says that nothing was found.
std::string looked_for(const std::string& profile_setting, const Environment& environment, const AwsProfiles& profiles);

/// Splits a command as a POSIX shell does, without running one: blanks, quotes and backslashes. endpoint.failed: a
/// quote without its end, or nothing to run. (botocore's shlex.)
Result<std::vector<std::string>> split_command(std::string_view command);

/// Whether container credentials may be asked for there: https, or plain HTTP to this machine or the container
/// platforms' own addresses. Else a variable could have a token sent anywhere.
bool is_container_url_allowed(std::string_view url);

/// The form that STS takes as the body of a POST.
std::string assume_role_form(const AssumedRole& role, WallTime now);
std::string web_identity_form(const WebIdentity& identity, std::string_view token, WallTime now);

/// Each of these reads what a source answered. endpoint.failed says what is wrong, without anything of the answer but
/// its error's code and message. `secrets`: what must not stand in a sentence, should the other side repeat it.
Result<http::Credentials> read_sts_answer(const http::Response& response, const std::vector<std::string>& secrets);
Result<http::Credentials> read_metadata_answer(const http::Response& response, const std::vector<std::string>& secrets);
Result<http::Credentials> read_process_output(std::string_view output);

/// `text` with each of `secrets` replaced by ***.
std::string without_secrets(std::string text, const std::vector<std::string>& secrets);

}  // namespace weir::aws
