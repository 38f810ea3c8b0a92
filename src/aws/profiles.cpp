#include "aws/profiles.h"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <utility>

#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

namespace weir::aws {
namespace {

constexpr std::size_t kFileMax = 4U << 20U;  ///< a larger one is no such file

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n\f\v";
  const std::size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

/// "profile x", "profile \"x y\"": the name behind the word; nothing when it is another kind of section.
std::optional<std::string> name_after(std::string_view word, std::string_view section) {
  if (!section.starts_with(word)) return std::nullopt;
  section.remove_prefix(word.size());
  if (section.empty() || (section.front() != ' ' && section.front() != '\t')) return std::nullopt;
  section = trimmed(section);
  const bool quoted =
      section.size() >= 2 && (section.front() == '"' || section.front() == '\'') && section.front() == section.back();
  if (quoted) section = section.substr(1, section.size() - 2);
  if (section.empty()) return std::nullopt;
  return std::string(section);
}

Result<IniFile> read_ini(const std::string& path) {
  struct stat found {};
  if (::stat(path.c_str(), &found) != 0 && (errno == ENOENT || errno == ENOTDIR)) return IniFile();
  std::ifstream file(path, std::ios::binary);
  if (!file || !S_ISREG(found.st_mode)) return Error(ErrorCode::kConfigInvalid, path + " cannot be read");
  if (found.st_size > static_cast<off_t>(kFileMax))
    return Error(ErrorCode::kConfigInvalid, path + " is too large for a file of profiles");
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  Result<IniFile> parsed = parse_ini(text);
  if (!parsed) return Error(ErrorCode::kConfigInvalid, path + ": " + parsed.error().message());
  return parsed;
}

/// Of the user that this process runs as, who may have no HOME, as under systemd; nothing when there is no such user.
std::optional<std::string> home_of_user() {
  std::array<char, 16384> room{};
  passwd user{};
  passwd* found = nullptr;
  if (::getpwuid_r(::getuid(), &user, room.data(), room.size(), &found) != 0 || found == nullptr) return std::nullopt;
  return found->pw_dir;
}

std::string expanded(const std::string& path, const Environment& environment) {
  if (path != "~" && !path.starts_with("~/")) return path;
  std::optional<std::string> home = environment("HOME");
  if (!home) home = home_of_user();
  return home ? *home + path.substr(1) : path;
}

}  // namespace

std::string variable(const Environment& environment, const std::string& name) {
  return environment(name).value_or("");
}

Environment process_environment() {
  return [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) return std::nullopt;
    return value;
  };
}

Result<IniFile> parse_ini(std::string_view text) {
  IniFile file;
  IniSection* section = nullptr;
  std::string key;  // of the line before, for those that go on with it
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    const std::string_view content = trimmed(line);
    if (content.empty() || content.front() == '#' || content.front() == ';') continue;
    const auto mistake = [&](const char* what) {
      return Error(ErrorCode::kConfigInvalid, "line " + std::to_string(number) + " " + what);
    };
    const bool indented = line.front() == ' ' || line.front() == '\t';
    const std::size_t delimiter = content.find_first_of("=:");
    if (indented && section != nullptr && !key.empty()) {
      std::string& value = (*section)[key];
      // "s3 =" with keys of its own below, which do not belong to the profile itself.
      if (value.empty() && delimiter != std::string_view::npos) {
        (*section)[key + "." + lower(trimmed(content.substr(0, delimiter)))] = trimmed(content.substr(delimiter + 1));
      } else {
        value.append("\n").append(content);
      }
      continue;
    }
    if (content.front() == '[') {
      const std::size_t close = content.find(']');
      if (close == std::string_view::npos) return mistake("has no ] for its [");
      section = &file[std::string(trimmed(content.substr(1, close - 1)))];
      key.clear();
      continue;
    }
    if (section == nullptr) return mistake("stands before the first [section]");
    if (delimiter == std::string_view::npos || delimiter == 0) return mistake("is neither [section] nor KEY = VALUE");
    key = lower(trimmed(content.substr(0, delimiter)));
    (*section)[key] = trimmed(content.substr(delimiter + 1));
  }
  return file;
}

std::optional<std::string> AwsProfiles::get(const std::string& profile, const std::string& key) const {
  const auto section = profiles.find(profile);
  if (section == profiles.end()) return std::nullopt;
  const auto value = section->second.find(key);
  if (value == section->second.end()) return std::nullopt;
  return value->second;
}

AwsProfiles merge_profiles(const IniFile& config, const IniFile& credentials) {
  AwsProfiles merged;
  for (const auto& [name, section] : config) {
    if (name == "default") merged.profiles.emplace("default", section);
    if (const auto profile = name_after("profile", name)) merged.profiles[*profile] = section;
    if (const auto services = name_after("services", name)) merged.services[*services] = section;
  }
  for (const auto& [name, section] : credentials) {
    for (const auto& [key, value] : section) merged.profiles[name][key] = value;
    merged.profiles.try_emplace(name);
    merged.from_credentials_file[name] = section;
  }
  return merged;
}

Result<AwsProfiles> read_profiles(const Environment& environment) {
  const auto path_of = [&](const char* name, const char* fallback) {
    const std::string given = variable(environment, name);
    return expanded(given.empty() ? fallback : given, environment);
  };
  const std::string config_file = path_of("AWS_CONFIG_FILE", "~/.aws/config");
  const std::string credentials_file = path_of("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials");
  const Result<IniFile> config = read_ini(config_file);
  if (!config) return config.error();
  const Result<IniFile> credentials = read_ini(credentials_file);
  if (!credentials) return credentials.error();
  AwsProfiles merged = merge_profiles(*config, *credentials);
  merged.config_file = config_file;
  merged.credentials_file = credentials_file;
  return merged;
}

std::string profile_name(const std::string& setting, const Environment& environment) {
  if (!setting.empty()) return setting;
  for (const char* name : {"AWS_DEFAULT_PROFILE", "AWS_PROFILE"}) {
    if (std::string value = variable(environment, name); !value.empty()) return value;
  }
  return "default";
}

}  // namespace weir::aws
