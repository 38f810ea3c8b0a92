// Where credentials come from, and what the sources' answers say. The order is botocore's.
#include "aws/credentials.h"

#include <catch2/catch.hpp>

#include "aws/environment.h"
#include "support/print.h"

using namespace weir;
using namespace weir::aws;
using namespace std::chrono_literals;
using test::environment_of;

namespace {

/// A config file and a credentials file, and how their source reads: describe(), or the error.
std::string chosen(const std::map<std::string, std::string>& variables, std::string_view config = "",
                   std::string_view credentials = "", const std::string& setting = "") {
  AwsProfiles profiles = merge_profiles(parse_ini(config).value(), parse_ini(credentials).value());
  profiles.config_file = "CONFIG";
  profiles.credentials_file = "CREDENTIALS";
  const auto source = choose_credential_source(setting, environment_of(variables), profiles);
  return source ? describe(*source) : source.error().message();
}

CredentialSource source_of(const std::map<std::string, std::string>& variables, std::string_view config = "") {
  return choose_credential_source("", environment_of(variables), merge_profiles(parse_ini(config).value(), {})).value();
}

constexpr std::string_view kKeys = "[default]\naws_access_key_id=AKID\naws_secret_access_key=hush\n";
const std::map<std::string, std::string> kVariables{{"AWS_ACCESS_KEY_ID", "AKID"}, {"AWS_SECRET_ACCESS_KEY", "hush"}};

std::map<std::string, std::string> with(std::map<std::string, std::string> variables, const char* name,
                                        const char* value) {
  variables[name] = value;
  return variables;
}

http::Response response(int status, std::string body) {
  http::Response made;
  made.status = status;
  made.body = std::move(body);
  return made;
}

std::string told(const Result<http::Credentials>& got) {
  if (!got) return got.error().message();
  return got->access_key_id + " " + got->secret_access_key + " " + got->session_token + " " +
         (got->expires_at ? iso_milliseconds(*got->expires_at) : "never");
}

}  // namespace

TEST_CASE("each source is found, in botocore's order") {
  struct Row {
    std::string_view sentence;
    std::map<std::string, std::string> variables;
    std::string_view config, credentials, source;
  };
  const std::map<std::string, std::string> everything{
      {"AWS_ACCESS_KEY_ID", "AKID"},
      {"AWS_SECRET_ACCESS_KEY", "hush"},
      {"AWS_WEB_IDENTITY_TOKEN_FILE", "/token"},
      {"AWS_ROLE_ARN", "arn:env"},
      {"AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://localhost/x"},
  };
  auto no_keys = everything;
  no_keys.erase("AWS_ACCESS_KEY_ID");
  auto no_identity = no_keys;
  no_identity.erase("AWS_WEB_IDENTITY_TOKEN_FILE");
  const std::string_view role =
      "[default]\nrole_arn=arn:role\nsource_profile=s\n[profile s]\naws_access_key_id=A\n"
      "aws_secret_access_key=b\n";
  const std::string_view process =
      "[default]\ncredential_process=/bin/p\naws_access_key_id=A\naws_secret_access_key=b\n";
  const auto row = GENERATE_COPY(values<Row>({
      {"keys of the environment go first", everything, role, kKeys, "the environment"},
      {"then a role of the profile", no_keys, role, kKeys, "AssumeRole of arn:role with the profile \"s\""},
      {"then a web identity", no_keys, process, kKeys, "web identity as arn:env"},
      {"then keys of the credentials file", no_identity, process, kKeys, "the profile \"default\""},
      {"then a program", no_identity, process, "", "credential_process of the profile \"default\""},
      {"then keys of the config file", no_identity, kKeys, "", "the profile \"default\""},
      {"then the container", no_identity, "", "", "container metadata"},
      {"then the instance", {}, "", "", "instance metadata"},
  }));
  DYNAMIC_SECTION(row.sentence) {
    CHECK(chosen(row.variables, row.config, row.credentials) == row.source);
  }
}

TEST_CASE("a profile that the configuration names goes before keys and web identity of the environment") {
  auto variables = with(kVariables, "AWS_WEB_IDENTITY_TOKEN_FILE", "/token");
  variables["AWS_ROLE_ARN"] = "arn:env";
  CHECK(chosen(variables, "[profile p]\ncredential_process=x\n", "", "p") == "credential_process of the profile \"p\"");
  CHECK(chosen(variables, "[profile p]\nregion=x\n", "", "p") == "instance metadata");
  SECTION("one that AWS_PROFILE names does not") {
    CHECK(chosen(with(kVariables, "AWS_PROFILE", "p"), "[profile p]\ncredential_process=x\n") == "the environment");
    CHECK(chosen({{"AWS_PROFILE", "p"}}, "[profile p]\ncredential_process=x\n") ==
          "credential_process of the profile \"p\"");
  }
}

TEST_CASE("what is half given, wrong or not supported is told") {
  CHECK(chosen({{"AWS_ACCESS_KEY_ID", "AKID"}}) ==
        "AWS_ACCESS_KEY_ID is in the environment, AWS_SECRET_ACCESS_KEY is not");
  CHECK(chosen(with(kVariables, "AWS_CREDENTIAL_EXPIRATION", "soon")) ==
        "AWS_CREDENTIAL_EXPIRATION is no time such as 2026-11-23T08:00:00Z");
  CHECK(chosen({}, "", "[default]\naws_access_key_id=AKID\n") ==
        "the profile \"default\" needs both aws_access_key_id and aws_secret_access_key");
  CHECK(chosen({{"AWS_PROFILE", "p"}}) == "the profile \"p\" is neither in CONFIG nor in CREDENTIALS");
  CHECK(chosen({{"AWS_WEB_IDENTITY_TOKEN_FILE", "/t"}}) ==
        "a web identity's token file is given, and no role for it (AWS_ROLE_ARN, or role_arn)");
  CHECK(chosen({}, "[default]\nsso_session=s\n").find("credential_process = aws configure export-credentials") !=
        std::string::npos);
  CHECK(chosen({}, "[default]\ncredential_process=\"x\n") == "a quote in credential_process has no end");
}

TEST_CASE("without any, it is told what was looked for, and no secret") {
  CHECK(chosen({{"AWS_EC2_METADATA_DISABLED", "True"}, {"AWS_SECRET_ACCESS_KEY", "hush"}}) ==
        "no AWS credentials were found; looked for AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; "
        "AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN; the profile \"default\" in CREDENTIALS and CONFIG; "
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and AWS_CONTAINER_CREDENTIALS_FULL_URI; no instance metadata "
        "(AWS_EC2_METADATA_DISABLED)");
}

TEST_CASE("a role is assumed with what its profile says") {
  struct Row {
    std::string_view sentence, config, told;
  };
  const auto row = GENERATE(values<Row>({
      {"of another profile", "[default]\nrole_arn=R\nsource_profile=s\n[profile s]\ncredential_process=p\n",
       "AssumeRole of R with credential_process of the profile \"s\""},
      {"of a profile that assumes a role itself",
       "[default]\nrole_arn=R\nsource_profile=s\n[profile s]\nrole_arn=S\ncredential_source=Environment\n",
       "AssumeRole of R with AssumeRole of S with the environment"},
      {"of a profile with a web identity",
       "[default]\nrole_arn=R\nsource_profile=s\n[profile s]\nrole_arn=S\nweb_identity_token_file=/t\n",
       "AssumeRole of R with web identity as S"},
      {"of the profile's own keys",
       "[default]\nrole_arn=R\nsource_profile=default\naws_access_key_id=a\naws_secret_access_key=b\n",
       "AssumeRole of R with the profile \"default\""},
      {"of the container", "[default]\nrole_arn=R\ncredential_source=EcsContainer\n",
       "AssumeRole of R with container metadata"},
      {"of the instance", "[default]\nrole_arn=R\ncredential_source=ec2instancemetadata\n",
       "AssumeRole of R with instance metadata"},
      {"of nothing", "[default]\nrole_arn=R\n",
       "the profile \"default\" has role_arn, and neither source_profile nor credential_source"},
      {"of both", "[default]\nrole_arn=R\nsource_profile=s\ncredential_source=Environment\n",
       "the profile \"default\" has both source_profile and credential_source"},
      {"of nobody", "[default]\nrole_arn=R\nsource_profile=s\n",
       "the profile \"default\" has source_profile \"s\", which does not exist"},
      {"of what is unknown", "[default]\nrole_arn=R\ncredential_source=Moon\n",
       "the profile \"default\" has credential_source \"Moon\", which is none of Environment, EcsContainer and "
       "Ec2InstanceMetadata"},
      {"of itself without keys", "[default]\nrole_arn=R\nsource_profile=default\n",
       "the profiles' source_profile lead in a circle at \"default\""},
      {"in a circle", "[default]\nrole_arn=R\nsource_profile=s\n[profile s]\nrole_arn=S\nsource_profile=default\n",
       "the profiles' source_profile lead in a circle at \"default\""},
      {"of a profile without credentials", "[default]\nrole_arn=R\nsource_profile=s\n[profile s]\nregion=x\n",
       "the source_profile \"s\" has no credentials"},
      {"with a code", "[default]\nrole_arn=R\nsource_profile=s\nmfa_serial=m\n[profile s]\nregion=x\n",
       "the profile \"default\" asks for a code (mfa_serial), which a daemon cannot give; use a role without it"},
      {"for too short", "[default]\nrole_arn=R\nsource_profile=s\nduration_seconds=899\n[profile s]\nregion=x\n",
       "the profile \"default\" has duration_seconds 899, allowed is 900 to 43200"},
  }));
  DYNAMIC_SECTION(row.sentence) {
    auto variables = with({}, "AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://localhost/x");
    // The role of the first profile goes before the environment only when there are no keys in it.
    AwsProfiles profiles = merge_profiles(parse_ini(row.config).value(), {});
    const bool of_environment = row.told.ends_with("the environment");
    if (of_environment) variables.insert(kVariables.begin(), kVariables.end());
    const auto source = choose_credential_source(of_environment ? "default" : "", environment_of(variables), profiles);
    CHECK((source ? describe(*source) : source.error().message()) == row.told);
  }
}

TEST_CASE("keys are taken with their token and their end") {
  const CredentialSource source = source_of({{"AWS_ACCESS_KEY_ID", "AKID"},
                                             {"AWS_SECRET_ACCESS_KEY", "hush"},
                                             {"AWS_SESSION_TOKEN", "token"},
                                             {"AWS_CREDENTIAL_EXPIRATION", "2026-11-23T08:00:00Z"}});
  const auto& keys = std::get<StaticKeys>(source.what).credentials;
  CHECK(told(keys) == "AKID hush token 2026-11-23T08:00:00.000Z");
  const CredentialSource of_file =
      source_of({}, "[default]\naws_access_key_id=a\naws_secret_access_key=b\naws_session_token=c\n");
  CHECK(told(std::get<StaticKeys>(of_file.what).credentials) == "a b c never");
}

TEST_CASE("container and instance metadata have the addresses that the variables give") {
  CHECK(std::get<ContainerMetadata>(source_of({{"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/x"}}).what).url ==
        "http://169.254.170.2/v2/x");
  CHECK(std::get<InstanceMetadata>(source_of({}).what).endpoint == "http://169.254.169.254");
  CHECK(std::get<InstanceMetadata>(source_of({{"AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "IPv6"}}).what).endpoint ==
        "http://[fd00:ec2::254]");
  const auto instance = std::get<InstanceMetadata>(source_of({{"AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://h:1/"},
                                                              {"AWS_METADATA_SERVICE_TIMEOUT", "3"},
                                                              {"AWS_METADATA_SERVICE_NUM_ATTEMPTS", "2"}})
                                                       .what);
  CHECK(instance.endpoint == "http://h:1");
  CHECK(instance.timeout == 3s);
  CHECK(instance.attempts == 2);
  const auto wrong = std::get<InstanceMetadata>(
      source_of({{"AWS_METADATA_SERVICE_TIMEOUT", "x"}, {"AWS_METADATA_SERVICE_NUM_ATTEMPTS", "0"}}).what);
  CHECK(wrong.timeout == 1s);
  CHECK(wrong.attempts == 1);
}

TEST_CASE("a container's token is sent nowhere but to this machine and the platforms' own addresses") {
  for (const char* allowed :
       {"https://anywhere/x", "http://127.0.0.1:1/x", "http://127.9.9.9/x", "http://localhost/x", "http://[::1]/x",
        "http://169.254.170.2/x", "http://169.254.170.23/x", "http://[fd00:ec2::23]/x"}) {
    CAPTURE(allowed);
    CHECK(is_container_url_allowed(allowed));
  }
  for (const char* refused :
       {"http://example.com/x", "http://127.evil.com/x", "http://127.0.0.1.evil.com/x", "http://127.0.0.1@evil.com/x",
        "http://10.0.0.1/", "ftp://127.0.0.1/", "/x", "http://[::2]/"}) {
    CAPTURE(refused);
    CHECK_FALSE(is_container_url_allowed(refused));
  }
}

TEST_CASE("a command is split as a shell does, and none is run") {
  struct Row {
    std::string_view command;
    std::vector<std::string> words;
  };
  const auto row = GENERATE(values<Row>({
      {"/bin/p", {"/bin/p"}},
      {"  p  a\tb ", {"p", "a", "b"}},
      {R"(p "a b" 'c "d"' e\ f)", {"p", "a b", "c \"d\"", "e f"}},
      {R"(p "a\"b\\c\d" 'e\f')", {"p", "a\"b\\c\\d", "e\\f"}},
      {R"(p "" x''y)", {"p", "", "xy"}},
      {"p $HOME ; rm", {"p", "$HOME", ";", "rm"}},
  }));
  const auto words = split_command(row.command);
  REQUIRE(words.has_value());
  CHECK(*words == row.words);
  for (const char* wrong : {"", "  ", "\"", "p 'a", "''"}) CHECK_FALSE(split_command(wrong).has_value());
}

TEST_CASE("the forms that STS takes") {
  const WallTime now = from_epoch_milliseconds(1'700'000'000'123);
  AssumedRole role;
  role.role_arn = "arn:aws:iam::1:role/r";
  CHECK(assume_role_form(role, now) ==
        "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr&RoleSessionName=weir-"
        "1700000000123");
  role.session_name = "me";
  role.external_id = "e&x";
  role.duration_seconds = 900;
  CHECK(assume_role_form(role, now) ==
        "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr&RoleSessionName=me&"
        "ExternalId=e%26x&DurationSeconds=900");
  WebIdentity identity;
  identity.role_arn = "r";
  identity.session_name = "me";
  CHECK(web_identity_form(identity, "a.b+c", now) ==
        "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=r&RoleSessionName=me&WebIdentityToken=a.b%2Bc");
}

TEST_CASE("STS answers in XML") {
  // The shape is that of the API reference's sample.
  CHECK(told(read_sts_answer(response(200, R"(<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleResult><AssumedRoleUser><Arn>x</Arn></AssumedRoleUser>
    <Credentials>
      <AccessKeyId>ASIA</AccessKeyId>
      <SecretAccessKey>a/b&amp;c+&lt;</SecretAccessKey>
      <SessionToken>
        t0ken
      </SessionToken>
      <Expiration>2026-11-23T09:00:00Z</Expiration>
    </Credentials></AssumeRoleResult></AssumeRoleResponse>)"),
                             {})) == "ASIA a/b&c+< t0ken 2026-11-23T09:00:00.000Z");
  CHECK(told(read_sts_answer(response(403,
                                      "<ErrorResponse><Error><Code>AccessDenied</Code><Message>User x may not; "
                                      "hush</Message></Error></ErrorResponse>"),
                             {"hush"})) == "STS refused with status 403: AccessDenied: User x may not; ***");
  CHECK(told(read_sts_answer(response(500, "<html>"), {})) == "STS refused with status 500");
  CHECK(told(read_sts_answer(response(200, "<html>"), {})) == "STS answered with something that holds no credentials");
  CHECK(told(read_sts_answer(response(200, "<Credentials><AccessKeyId>A</AccessKeyId></Credentials>"), {})) ==
        "the answer holds no access key id or no secret access key");
  CHECK(told(read_sts_answer(response(200,
                                      "<Credentials><AccessKeyId>A</AccessKeyId><SecretAccessKey>b</SecretAccessKey>"
                                      "<Expiration>soon</Expiration></Credentials>"),
                             {})) == "the answer does not say when the credentials end");
}

TEST_CASE("metadata services answer in JSON") {
  CHECK(told(read_metadata_answer(response(200, R"({"Code":"Success","Type":"AWS-HMAC","AccessKeyId":"ASIA",
    "SecretAccessKey":"s","Token":"t","Expiration":"2026-11-23T09:00:00Z"})"),
                                  {})) == "ASIA s t 2026-11-23T09:00:00.000Z");
  CHECK(told(read_metadata_answer(response(200, R"({"AccessKeyId":"A","SecretAccessKey":"s"})"), {})) == "A s  never");
  CHECK(told(read_metadata_answer(response(200, R"({"Code":"AssumeRoleUnauthorizedAccess","Message":"no trust"})"),
                                  {})) == "it refused: AssumeRoleUnauthorizedAccess: no trust");
  CHECK(told(read_metadata_answer(response(400, R"({"code":"InvalidToken","message":"bad hush"})"), {"hush"})) ==
        "it refused with status 400: InvalidToken: bad ***");
  CHECK(told(read_metadata_answer(response(404, "not here"), {})) == "it refused with status 404");
  CHECK(told(read_metadata_answer(response(200, "<html>"), {})) == "its answer is no JSON object");
  CHECK(told(read_metadata_answer(response(200, "[]"), {})) == "its answer is no JSON object");
  CHECK(told(read_metadata_answer(response(200, R"({"AccessKeyId":7,"SecretAccessKey":"s"})"), {})) ==
        "the answer holds no access key id or no secret access key");
  CHECK(told(read_metadata_answer(response(200, R"({"AccessKeyId":"A","SecretAccessKey":"s","Expiration":"x"})"),
                                  {})) == "the answer does not say when the credentials end");
}

TEST_CASE("a credential_process prints JSON of version 1") {
  CHECK(told(read_process_output(R"({"Version":1,"AccessKeyId":"A","SecretAccessKey":"s"})")) == "A s  never");
  CHECK(told(read_process_output(R"({"Version":1,"AccessKeyId":"A","SecretAccessKey":"s","SessionToken":"t",
    "Expiration":"2026-11-23T10:00:00+01:00"})")) == "A s t 2026-11-23T09:00:00.000Z");
  CHECK(told(read_process_output(R"({"Version":2,"AccessKeyId":"A"})")) == "it did not print \"Version\": 1");
  CHECK(told(read_process_output(R"({"AccessKeyId":"A"})")) == "it did not print \"Version\": 1");
  CHECK(told(read_process_output("A s")) == "it did not print a JSON object");
  CHECK(told(read_process_output(R"({"Version":1,"AccessKeyId":"A"})")) ==
        "the answer holds no access key id or no secret access key");
}

TEST_CASE("secrets are taken out of sentences wherever they stand") {
  CHECK(without_secrets("a hush b hushhush", {"hush", ""}) == "a *** b ******");
  CHECK(without_secrets("nothing", {"hush"}) == "nothing");
}
