// ~/.aws/config and ~/.aws/credentials, as botocore reads them.
#include "aws/profiles.h"

#include <catch2/catch.hpp>
#include <pwd.h>
#include <unistd.h>

#include "aws/environment.h"
#include "support/print.h"
#include "support/temporary_folder.h"

using namespace weir;
using namespace weir::aws;
using test::environment_of;

namespace {

std::string value(const IniFile& file, const std::string& section, const std::string& key) {
  const auto found = file.find(section);
  if (found == file.end()) return "no section";
  const auto entry = found->second.find(key);
  return entry == found->second.end() ? "no key" : entry->second;
}

}  // namespace

TEST_CASE("sections, keys, comments and lines that go on") {
  const auto file = parse_ini(
      "\xEF\xBB\xBF# a comment\n"
      "; another\r\n"
      "[default]\r\n"
      "Region = eu-west-1\r\n"
      "output:json\n"
      "aws_secret_access_key = a=b:c # no comment\n"
      "  \n"
      "[ profile x ] trailing\n"
      "region=us-east-1\n"
      "region=us-east-2\n"
      "credential_process = /bin/cat \\\n"
      "   file\n"
      "empty =\n"
      "s3 =\n"
      "  max_concurrent_requests = 20\n"
      "\taddressing_style=path\n"
      "last = 1");
  REQUIRE(file.has_value());
  CHECK(value(*file, "default", "region") == "eu-west-1");
  CHECK(value(*file, "default", "output") == "json");
  CHECK(value(*file, "default", "aws_secret_access_key") == "a=b:c # no comment");
  CHECK(value(*file, "profile x", "region") == "us-east-2");
  CHECK(value(*file, "profile x", "credential_process") == "/bin/cat \\\nfile");
  CHECK(value(*file, "profile x", "empty").empty());
  CHECK(value(*file, "profile x", "s3.max_concurrent_requests") == "20");
  CHECK(value(*file, "profile x", "s3.addressing_style") == "path");
  CHECK(value(*file, "profile x", "last") == "1");
  CHECK(parse_ini("")->empty());
}

TEST_CASE("a mistake is told by its line, never by what stands there") {
  struct Row {
    std::string_view text, told;
  };
  const auto row = GENERATE(values<Row>({
      {"[a]\nSECRET", "config.invalid: line 2 is neither [section] nor KEY = VALUE"},
      {"[a]\n=SECRET", "config.invalid: line 2 is neither [section] nor KEY = VALUE"},
      {"\nkey = SECRET", "config.invalid: line 2 stands before the first [section]"},
      {"[SECRET", "config.invalid: line 1 has no ] for its ["},
      {"  SECRET", "config.invalid: line 1 stands before the first [section]"},
  }));
  const auto file = parse_ini(row.text);
  REQUIRE_FALSE(file.has_value());
  CHECK(file.error().describe() == row.told);
}

TEST_CASE("the two files make one list of profiles; the credentials file goes before") {
  const IniFile config{
      {"default", {{"region", "r0"}}},         {"profile a", {{"region", "r1"}, {"aws_access_key_id", "config"}}},
      {"profile \"b c\"", {{"region", "r2"}}}, {"profile\t'd'", {{"region", "r3"}}},
      {"profilex", {{"region", "no"}}},        {"profile", {{"region", "no"}}},
      {"preview", {{"region", "no"}}},         {"services s", {{"lambda.endpoint_url", "u"}}}};
  const IniFile credentials{{"a", {{"aws_access_key_id", "file"}}}, {"only", {{"aws_access_key_id", "k"}}}};
  const AwsProfiles merged = merge_profiles(config, credentials);
  CHECK(merged.profiles.size() == 5);
  CHECK(merged.get("default", "region") == "r0");
  CHECK(merged.get("a", "region") == "r1");
  CHECK(merged.get("a", "aws_access_key_id") == "file");
  CHECK(merged.get("b c", "region") == "r2");
  CHECK(merged.get("d", "region") == "r3");
  CHECK(merged.get("only", "aws_access_key_id") == "k");
  CHECK_FALSE(merged.get("only", "region").has_value());
  CHECK_FALSE(merged.get("absent", "region").has_value());
  CHECK(merged.services.at("s").at("lambda.endpoint_url") == "u");
  CHECK(merged.from_credentials_file.size() == 2);
  CHECK(merge_profiles({{"default", {{"region", "old"}}}, {"profile default", {{"region", "new"}}}}, {})
            .get("default", "region") == "new");
}

TEST_CASE("the files are where the variables say, else in the home folder; one that is not there is empty") {
  const test::TemporaryFolder folder;
  const auto home = environment_of({{"HOME", folder.path()}});
  auto profiles = read_profiles(home);
  REQUIRE(profiles.has_value());
  CHECK(profiles->profiles.empty());
  CHECK(profiles->config_file == folder / ".aws/config");
  CHECK(profiles->credentials_file == folder / ".aws/credentials");

  folder.write("c", "[profile x]\nregion = r\n");
  folder.write("k", "[x]\naws_access_key_id = id\n");
  profiles = read_profiles(environment_of(
      {{"HOME", folder.path()}, {"AWS_CONFIG_FILE", "~/c"}, {"AWS_SHARED_CREDENTIALS_FILE", folder / "k"}}));
  REQUIRE(profiles.has_value());
  CHECK(profiles->get("x", "region") == "r");
  CHECK(profiles->get("x", "aws_access_key_id") == "id");

  folder.write("wrong", "[x]\nSECRET\n");
  const auto refused = read_profiles(environment_of({{"AWS_CONFIG_FILE", folder / "wrong"}}));
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().message() == folder / "wrong" + ": line 2 is neither [section] nor KEY = VALUE");
  CHECK_FALSE(read_profiles(environment_of({{"AWS_CONFIG_FILE", folder.path()}})).has_value());
}

TEST_CASE("without HOME the home folder is the user's; an empty one is an empty one") {
  const test::TemporaryFolder folder;
  const passwd* user = ::getpwuid(::getuid());
  REQUIRE(user != nullptr);
  const std::string none = folder / "none";
  auto profiles = read_profiles(
      environment_of({{"AWS_CONFIG_FILE", "~/weir/no/such/file"}, {"AWS_SHARED_CREDENTIALS_FILE", none}}));
  REQUIRE(profiles.has_value());
  CHECK(profiles->config_file == std::string(user->pw_dir) + "/weir/no/such/file");
  profiles = read_profiles(environment_of(
      {{"HOME", ""}, {"AWS_CONFIG_FILE", "~/weir/no/such/file"}, {"AWS_SHARED_CREDENTIALS_FILE", none}}));
  REQUIRE(profiles.has_value());
  CHECK(profiles->config_file == "/weir/no/such/file");
}

TEST_CASE("the profile in force is the setting, the environment's, default") {
  CHECK(profile_name("mine", environment_of({{"AWS_PROFILE", "other"}})) == "mine");
  CHECK(profile_name("", environment_of({{"AWS_PROFILE", "other"}})) == "other");
  CHECK(profile_name("", environment_of({{"AWS_PROFILE", "other"}, {"AWS_DEFAULT_PROFILE", "older"}})) == "older");
  CHECK(profile_name("", environment_of({{"AWS_PROFILE", ""}})) == "default");
}
