// The aws endpoint against fakes of Lambda, STS, container and instance metadata: where credentials are had, how often,
// and that none is ever told.
#include "lambda/remote/aws_endpoint.h"

#include <chrono>
#include <map>

#include <boost/asio/thread_pool.hpp>
#include <catch2/catch.hpp>
#include <sys/stat.h>

#include "aws/environment.h"
#include "http/sigv4.h"
#include "remote/outcome_line.h"
#include "remote/world.h"
#include "runtime/task_scope.h"
#include "support/fake_clock.h"
#include "support/print.h"
#include "support/run_coroutine.h"
#include "support/temporary_folder.h"

using namespace weir;
using namespace weir::remote;
using namespace std::chrono_literals;
using test::FakeServer;
using test::line;
namespace net = boost::asio;

namespace {

constexpr const char* kArn = "arn:aws:lambda:eu-west-1:123456789012:function:billing:live";

/// Lambda, and whatever gives credentials, on one server. Knows its secrets, so that signatures are really checked.
struct World {
  World() : server(context, [this](const http::Request& request) { return answer(request); }) {
    variables["HOME"] = folder.path();
    variables["AWS_ENDPOINT_URL"] = server.url();
    variables["AWS_EC2_METADATA_DISABLED"] = "true";
  }

  std::string ends_in(Duration left) const { return iso_milliseconds(clock.now().wall + left); }

  http::Response answer(const http::Request& request) {
    ++counts[std::string(request.path().substr(0, 12))];
    if (request.path().starts_with("/2015-03-31/")) return lambda(request);
    if (request.path() == "/") return sts(request);
    if (request.path() == "/latest/api/token") {
      const bool right =
          request.method == "PUT" && request.headers.get("X-aws-ec2-metadata-token-ttl-seconds") == "21600";
      return {right ? 200 : 400, "text/plain", "imds-token"};
    }
    if (request.path().starts_with("/latest/") && request.headers.get("X-aws-ec2-metadata-token") != "imds-token")
      return {401, "text/plain", ""};
    if (request.path() == "/latest/meta-data/iam/security-credentials/") return {200, "text/plain", "my-role"};
    if (request.path() == "/latest/meta-data/iam/security-credentials/my-role")
      return {200, "application/json", json()};
    if (request.path() == "/container") {
      if (request.headers.get("Authorization") != "container-token") return {403, "application/json", "{}"};
      return {container_status, "application/json", json()};
    }
    return {404, "text/plain", "?"};
  }

  http::Response lambda(const http::Request& request) {
    std::string used;
    const http::SecretLookup secrets = [&](std::string_view id) -> std::optional<std::string> {
      used = id;
      if (!accepted.contains(used)) return std::nullopt;
      return "secret-of-" + used;
    };
    if (const auto refusal = http::verify_signature(request, secrets, clock.now().wall)) {
      http::Response refused(403, "application/json", R"({"message":")" + refusal->message + "\"}");
      refused.headers.add("x-amzn-ErrorType",
                          used.empty() || accepted.contains(used) ? refusal->type : "ExpiredTokenException");
      return refused;
    }
    http::Response response(200, "application/json", "\"" + used + "\"");
    response.headers.add("x-amzn-RequestId", "theirs");
    return response;
  }

  http::Response sts(const http::Request& request) {
    const bool signed_by_someone = request.headers.get("Authorization").has_value();
    const bool identity = request.body.find("Action=AssumeRoleWithWebIdentity") != std::string::npos;
    if (identity == signed_by_someone) return {400, "text/xml", "<Error><Code>Wrong</Code></Error>"};
    if (sts_status != 200) {
      return {sts_status, "text/xml",
              "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no: identity-token " + request.body +
                  "</Message></Error></ErrorResponse>"};
    }
    return {200, "text/xml",
            "<R><Credentials><AccessKeyId>" + next_id() + "</AccessKeyId><SecretAccessKey>secret-of-" + last +
                "</SecretAccessKey><SessionToken>token-of-" + last + "</SessionToken><Expiration>" + ends_in(lifetime) +
                "</Expiration></Credentials></R>"};
  }

  std::string json() {
    const std::string id = next_id();
    return R"({"Code":"Success","AccessKeyId":")" + id + R"(","SecretAccessKey":"secret-of-)" + id +
           R"(","Token":"token-of-)" + id + R"(","Expiration":")" + ends_in(lifetime) + "\"}";
  }

  /// ASIA1, ASIA2 and so on, all of which Lambda takes.
  std::string next_id() {
    last = "ASIA" + std::to_string(++given);
    accepted.emplace(last, true);
    return last;
  }

  std::unique_ptr<LambdaEndpoint> endpoint(std::string arn = kArn) {
    AwsEndpointSettings settings;
    settings.name = "billing";
    settings.arn = std::move(arn);
    settings.region = region;
    settings.endpoint_url = endpoint_url;
    settings.profile = profile;
    settings.environment = [this](const std::string& name) { return test::environment_of(variables)(name); };
    settings.metadata_pause = 0s;
    auto made = make_aws_endpoint(context.get_executor(), blocking.get_executor(), std::move(settings), log, clock);
    REQUIRE(made.has_value());
    return std::move(*made);
  }

  static Invocation call(std::string qualifier) {
    Invocation invocation;
    invocation.payload = "{}";
    invocation.qualifier = std::move(qualifier);
    return invocation;
  }

  net::awaitable<void> keep(LambdaEndpoint& asked, std::string qualifier, std::string& told) {
    told = line(co_await asked.invoke(call(std::move(qualifier)), Instant::max()));
  }

  /// What `calls` simultaneous calls came to, in one line: the same word once.
  net::awaitable<std::string> invoke(LambdaEndpoint& asked, std::size_t calls = 1, std::string qualifier = "") {
    std::vector<std::string> told(calls);
    runtime::TaskScope scope(context.get_executor());
    for (std::string& each : told) scope.spawn(keep(asked, qualifier, each));
    co_await scope.join();
    told.erase(std::unique(told.begin(), told.end()), told.end());
    std::string all;
    for (const std::string& each : told) all += (all.empty() ? "" : " | ") + each;
    co_return all;
  }

  /// Runs one endpoint's life.
  std::string once(std::string qualifier = "") {
    const auto asked = endpoint();
    std::string told;
    auto work = [](World& self, LambdaEndpoint& which, std::string word, std::string& out) -> net::awaitable<void> {
      out = co_await self.invoke(which, 1, std::move(word));
      co_await which.close();
      co_await self.server.close();
    };
    test::run(context, work(*this, *asked, std::move(qualifier), told));
    return told;
  }

  bool leaked() const {
    return log.count("secret-of") + log.count("token-of") + log.count("identity-token") + log.count("container-token") +
               log.count("imds-token") >
           0;
  }

  net::io_context context{1};
  net::thread_pool blocking{1};
  test::FakeClock clock;
  test::LoggedLines log;
  test::TemporaryFolder folder;
  std::map<std::string, std::string> variables;
  std::string region, endpoint_url, profile;
  std::map<std::string, bool> accepted{{"AKID", true}};
  std::map<std::string, int> counts;
  Duration lifetime = 1h;
  int given = 0;
  std::string last;
  int sts_status = 200;
  int container_status = 200;
  FakeServer server;
};

void give_keys(World& world) {
  world.variables["AWS_ACCESS_KEY_ID"] = "AKID";
  world.variables["AWS_SECRET_ACCESS_KEY"] = "secret-of-AKID";
}

void give_identity(World& world) {
  world.variables["AWS_WEB_IDENTITY_TOKEN_FILE"] = world.folder.write("token", "identity-token\n");
  world.variables["AWS_ROLE_ARN"] = "arn:aws:iam::1:role/r";
}

}  // namespace

TEST_CASE("a call is signed, and goes to the ARN with its qualifier unless the call has one") {
  World world;
  give_keys(world);
  const std::string qualifier = GENERATE("", "7");
  CHECK(world.once(qualifier) == "success \"AKID\"");
  REQUIRE(world.server.requests.size() == 1);
  CHECK(world.server.requests[0].target ==
        "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aeu-west-1%3A123456789012%3Afunction%3Abilling/"
        "invocations?Qualifier=" +
            (qualifier.empty() ? "live" : qualifier));
  const std::string authorization(world.server.requests[0].headers.get("Authorization").value_or(""));
  CHECK(authorization.find("/eu-west-1/lambda/aws4_request") != std::string::npos);
}

TEST_CASE("each source of credentials is used") {
  World world;
  const std::string source = GENERATE("web identity", "assumed role", "chain", "container", "container with a file",
                                      "instance", "program", "files", "profile of the configuration");
  std::string expected = "success \"ASIA1\"";
  const std::string keys = "aws_access_key_id = AKID\naws_secret_access_key = secret-of-AKID\n";
  if (source == "web identity") give_identity(world);
  if (source == "assumed role")
    world.variables["AWS_CONFIG_FILE"] =
        world.folder.write("config", "[default]\nrole_arn=R\nsource_profile=s\n[profile s]\n" + keys);
  if (source == "chain") {
    world.variables["AWS_CONFIG_FILE"] = world.folder.write(
        "config",
        "[default]\nrole_arn=R\nsource_profile=m\n[profile m]\nrole_arn=S\nsource_profile=s\n[profile s]\n" + keys);
    expected = "success \"ASIA2\"";
  }
  if (source.starts_with("container")) {
    world.variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = world.server.url() + "/container";
    const bool file = source != "container";
    world.variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = file ? "not this" : "container-token";
    if (file)
      world.variables["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = world.folder.write("auth", "container-token\n");
  }
  if (source == "instance") {
    world.variables["AWS_EC2_METADATA_DISABLED"] = "false";
    world.variables["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = world.server.url();
  }
  if (source == "program") {
    const std::string output =
        world.folder.write("keys", R"({"Version":1,"AccessKeyId":"AKID","SecretAccessKey":"secret-of-AKID"})");
    world.variables["AWS_CONFIG_FILE"] =
        world.folder.write("config", "[default]\ncredential_process = /bin/cat \"" + output + "\"\n");
    expected = "success \"AKID\"";
  }
  if (source == "files") {
    world.variables["AWS_SHARED_CREDENTIALS_FILE"] = world.folder.write("credentials", "[default]\n" + keys);
    expected = "success \"AKID\"";
  }
  if (source == "profile of the configuration") {
    world.variables["AWS_ACCESS_KEY_ID"] = "OTHER";
    world.variables["AWS_SECRET_ACCESS_KEY"] = "x";
    world.variables["AWS_CONFIG_FILE"] = world.folder.write("config", "[profile p]\n" + keys);
    world.profile = "p";
    expected = "success \"AKID\"";
  }
  DYNAMIC_SECTION(source) {
    CHECK(world.once() == expected);
    CHECK_FALSE(world.leaked());
  }
}

TEST_CASE(
    "credentials are fetched once for all who ask, renewed early while the old ones serve, and waited for when they "
    "ended") {
  World world;
  give_identity(world);
  const auto asked = world.endpoint();
  std::vector<std::string> told;
  auto work = [](World& self, LambdaEndpoint& which, std::vector<std::string>& out) -> net::awaitable<void> {
    out.push_back(co_await self.invoke(which, 8));
    self.clock.advance(53min);
    out.push_back(co_await self.invoke(which));
    self.clock.advance(2min);  // five minutes are left: the next call starts a renewal, and does not wait for it
    out.push_back(co_await self.invoke(which, 4));
    while (self.counts["/"] < 2) co_await net::post(net::use_awaitable);
    for (int i = 0; i < 200; ++i) co_await net::post(net::use_awaitable);
    out.push_back(co_await self.invoke(which));
    self.clock.advance(2h);
    out.push_back(co_await self.invoke(which, 4));
    co_await which.close();
    co_await self.server.close();
  };
  test::run(world.context, work(world, *asked, told));
  REQUIRE(told.size() == 5);
  CHECK(told[0] == "success \"ASIA1\"");
  CHECK(told[1] == "success \"ASIA1\"");
  CHECK(told[2] == "success \"ASIA1\"");
  CHECK(told[4] == "success \"ASIA3\"");
  CHECK(world.counts["/"] == 3);
  CHECK_FALSE(world.leaked());
}

TEST_CASE("credentials that AWS refuses are renewed, and the call is tried once more") {
  World world;
  give_identity(world);
  const auto asked = world.endpoint();
  std::vector<std::string> told;
  auto work = [](World& self, LambdaEndpoint& which, std::vector<std::string>& out) -> net::awaitable<void> {
    out.push_back(co_await self.invoke(which));
    self.accepted.erase("ASIA1");
    out.push_back(co_await self.invoke(which));
    self.accepted.clear();
    self.sts_status = 403;
    out.push_back(co_await self.invoke(which));
    co_await which.close();
    co_await self.server.close();
  };
  test::run(world.context, work(world, *asked, told));
  REQUIRE(told.size() == 3);
  CHECK(told[0] == "success \"ASIA1\"");
  CHECK(told[1] == "success \"ASIA2\"");
  CHECK(told[2].starts_with("service_error 403 ExpiredTokenException"));
  CHECK_FALSE(world.leaked());
}

TEST_CASE("keys that cannot be renewed are refused once, not for ever") {
  World world;
  give_keys(world);
  world.accepted.clear();
  CHECK(world.once().starts_with("service_error 403 ExpiredTokenException"));
  CHECK(world.server.requests.size() == 1);
}

TEST_CASE("a call without credentials is told why, without a secret") {
  World world;
  const std::string what = GENERATE("nothing", "instance", "sts", "container", "program", "token file");
  std::string words;
  if (what == "nothing") words = "no AWS credentials were found; looked for AWS_ACCESS_KEY_ID";
  if (what == "instance") {
    world.variables["AWS_EC2_METADATA_DISABLED"] = "";
    world.variables["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = "http://" + test::closed_address(world.context);
    words = "(http://127.0.0.1:";
  }
  if (what == "sts") {
    give_identity(world);
    world.sts_status = 403;
    words = "STS refused with status 403: AccessDenied: no: ***";
  }
  if (what == "container") {
    world.variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = world.server.url() + "/container";
    world.variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"] = "container-token";
    world.container_status = 500;
    words = "/container: it refused with status 500";
  }
  if (what == "program") {
    world.variables["AWS_CONFIG_FILE"] =
        world.folder.write("config", "[default]\ncredential_process = /bin/sh -c 'echo secret-of-AKID; exit 3'\n");
    words = "/bin/sh ended with exit status 3";
  }
  if (what == "token file") {
    give_identity(world);
    world.variables["AWS_WEB_IDENTITY_TOKEN_FILE"] = world.folder / "absent";
    words = "cannot be read";
  }
  DYNAMIC_SECTION(what) {
    const std::string told = world.once();
    INFO(told);
    CHECK(told.starts_with("service_error 503 CredentialsProviderError "));
    CHECK(told.find(words) != std::string::npos);
    for (const char* secret : {"secret-of", "identity-token", "container-token"})
      CHECK(told.find(secret) == std::string::npos);
    CHECK_FALSE(world.leaked());
    CHECK(world.log.count("credentials.failed") == 1);
    CHECK(world.counts["/container"] == (what == "container" ? 3 : 0));
  }
}

TEST_CASE("closing calls off whoever waits for credentials") {
  World world;
  give_identity(world);
  world.server.held = true;
  const auto asked = world.endpoint();
  std::string told;
  auto work = [](World& self, LambdaEndpoint& which, std::string& out) -> net::awaitable<void> {
    runtime::TaskScope scope(self.context.get_executor());
    scope.spawn(self.keep(which, "", out));
    while (self.server.under_way == 0) co_await net::post(net::use_awaitable);
    co_await which.close();
    co_await scope.join();
    self.server.release();
    co_await self.server.close();
  };
  test::run(world.context, work(world, *asked, told));
  CHECK(told == "cancelled");
}

TEST_CASE("what cannot be an endpoint is refused when it is made") {
  const test::FakeClock clock;
  net::io_context context;
  const test::TemporaryFolder folder;
  const auto made = [&](const char* arn, const char* region, const char* url) {
    AwsEndpointSettings settings;
    settings.arn = arn;
    settings.region = region;
    settings.endpoint_url = url;
    settings.environment = test::environment_of({{"HOME", folder.path()}});
    auto endpoint = make_aws_endpoint(context.get_executor(), context.get_executor(), settings, null_log(), clock);
    return endpoint ? std::string("made") : endpoint.error().message();
  };
  CHECK(made(kArn, "", "") == "made");
  CHECK(made("billing", "eu-west-1", "") == "made");
  CHECK(made("billing", "", "") ==
        "the region of billing is not known: give `region`, an ARN, AWS_REGION or the profile's region");
  CHECK(made("billing", "EU/../x", "") == "\"EU/../x\" is no region");
  CHECK(made("a:b:c", "eu-west-1", "") == "\"a:b:c\" is no function's name");
  CHECK(made(kArn, "", "ftp://h") == "\"ftp://h\" is no address of lambda");
}
