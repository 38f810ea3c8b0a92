#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "weir/base/error.h"

namespace weir::aws {

/// The value of an environment variable; nothing when it is not set. Tests give one of their own.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;

/// The variable's value, or "" when it is not set: an empty one counts as not set, as it does for the SDKs.
std::string variable(const Environment& environment, const std::string& name);

/// The process's own environment.
Environment process_environment();

/// Keys and values of one section of an INI file; the keys in lower case. What is indented below a key without a value
/// has the key KEY.SUBKEY.
using IniSection = std::map<std::string, std::string>;
using IniFile = std::map<std::string, IniSection>;

/// Reads an INI file as the SDKs do: `=` or `:`, lines that begin with # or ; are comments, indented lines go on with
/// the value before them. Of a key that is given twice the last one counts. config.invalid names the line's number, not
/// what stands there, which may be a secret.
Result<IniFile> parse_ini(std::string_view text);

/// What ~/.aws/config and ~/.aws/credentials say.
struct AwsProfiles {
  /// By profile name: the config file's [default] and [profile NAME], with what the credentials file's [NAME] says over
  /// them.
  std::map<std::string, IniSection> profiles;
  std::map<std::string, IniSection> from_credentials_file;  ///< of these, what the credentials file says
  std::map<std::string, IniSection> services;               ///< [services NAME] of the config file
  std::string config_file;                                  ///< the paths, for sentences
  std::string credentials_file;

  /// A value of a profile; nothing when either is not there.
  std::optional<std::string> get(const std::string& profile, const std::string& key) const;
};

/// Puts the two files' contents together. Pure.
AwsProfiles merge_profiles(const IniFile& config, const IniFile& credentials);

/// Reads the files that AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE name, else ~/.aws/config and
/// ~/.aws/credentials. One that is not there is empty. Blocks for as long as a local file takes. config.invalid: one
/// cannot be read.
Result<AwsProfiles> read_profiles(const Environment& environment);

/// The profile in force: `setting`, else AWS_DEFAULT_PROFILE (the older name, first in botocore too), AWS_PROFILE,
/// "default".
std::string profile_name(const std::string& setting, const Environment& environment);

}  // namespace weir::aws
