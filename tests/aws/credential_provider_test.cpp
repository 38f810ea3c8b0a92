// When credentials are fetched anew, and which ones serve meanwhile.
#include "aws/credential_provider.h"

#include <boost/asio/post.hpp>
#include <catch2/catch.hpp>

#include "remote/world.h"
#include "support/fake_clock.h"
#include "support/print.h"
#include "support/run_coroutine.h"

using namespace weir;
using namespace weir::aws;
using namespace std::chrono_literals;
namespace net = boost::asio;

namespace {

/// A provider whose source gives what the test says.
struct World {
  net::awaitable<Result<FetchedCredentials>> fetch() {
    ++fetches;
    co_await net::post(net::use_awaitable);
    if (failing) co_return Error(ErrorCode::kEndpointFailed, "down");
    FetchedCredentials fetched;
    fetched.credentials.access_key_id = "ASIA" + std::to_string(fetches);
    fetched.credentials.expires_at = clock.now().wall + lifetime;
    fetched.from = "a test";
    fetched.renewable_late = of_instance;
    co_return fetched;
  }

  /// What get() gives, then what is under way is let end.
  std::string get() {
    auto asked = [](CredentialProvider& whom) -> net::awaitable<std::string> {
      const auto got = co_await whom.get(Instant::max());
      co_return got ? got->access_key_id : got.error().message();
    };
    return test::run(context, asked(provider));
  }

  net::io_context context{1};
  test::FakeClock clock;
  test::LoggedLines log;
  Duration lifetime = 1h;
  bool failing = false;
  bool of_instance = false;
  int fetches = 0;
  CredentialProvider provider{context.get_executor(), [this] { return fetch(); }, "f", log, clock, 1};
};

}  // namespace

TEST_CASE("credentials are renewed five to six minutes before their end, not earlier") {
  World world;
  CHECK(world.get() == "ASIA1");
  world.clock.advance(54min - 1s);
  CHECK(world.get() == "ASIA1");
  CHECK(world.fetches == 1);
  world.clock.advance(1min + 1s);
  CHECK(world.get() == "ASIA1");
  CHECK(world.fetches == 2);
  CHECK(world.get() == "ASIA2");
}

TEST_CASE("while fetching fails the old ones serve, it is tried every ten seconds, and told once") {
  World world;
  CHECK(world.get() == "ASIA1");
  world.failing = true;
  world.clock.advance(55min);
  for (int i = 0; i < 5; ++i) CHECK(world.get() == "ASIA1");
  CHECK(world.fetches == 2);
  world.clock.advance(10s);
  CHECK(world.get() == "ASIA1");
  CHECK(world.fetches == 3);
  world.clock.advance(5min);
  CHECK(world.get() == "down");
  CHECK(world.log.count("warn credentials.failed") == 1);
  SECTION("a failure is the answer for a second, without asking again") {
    const int before = world.fetches;
    CHECK(world.get() == "down");
    CHECK(world.fetches == before);
    world.clock.advance(1s);
    CHECK(world.get() == "down");
    CHECK(world.fetches == before + 1);
  }
  SECTION("when it works again, that is told") {
    world.failing = false;
    world.clock.advance(1s);
    CHECK(world.get().starts_with("ASIA"));
    CHECK(world.log.count("info credentials.fetched") == 2);
  }
}

TEST_CASE("short-lived credentials are not fetched for every call") {
  World world;
  world.lifetime = 60s;
  for (int i = 0; i < 10; ++i) CHECK(world.get() == "ASIA1");
  CHECK(world.fetches == 1);
  world.clock.advance(10s);
  CHECK(world.get() == "ASIA1");
  CHECK(world.fetches == 2);
}

TEST_CASE("credentials that ended before they came are a failure; those of an instance serve on for a while") {
  World world;
  world.lifetime = -1s;
  SECTION("elsewhere") {
    CHECK(world.get().starts_with("the credentials from a test had ended already, at 20"));
    CHECK(world.fetches == 1);
  }
  SECTION("of an instance") {
    world.of_instance = true;
    CHECK(world.get() == "ASIA1");
    CHECK(world.log.count("warn credentials.ended") == 1);
    world.clock.advance(4min);
    CHECK(world.get() == "ASIA1");
    CHECK(world.fetches == 1);
    world.clock.advance(4min);
    CHECK(world.get() == "ASIA1");
    CHECK(world.fetches == 2);
  }
}

TEST_CASE("refused credentials are dropped, unless others are in force already") {
  World world;
  CHECK(world.get() == "ASIA1");
  http::Credentials other;
  other.access_key_id = "ASIA0";
  world.provider.refused(other);
  CHECK(world.get() == "ASIA1");
  other.access_key_id = "ASIA1";
  world.provider.refused(other);
  CHECK(world.get() == "ASIA2");
}

TEST_CASE("who waits for credentials does so until a deadline") {
  World world;
  auto asked = [](CredentialProvider& provider, Instant deadline) -> net::awaitable<std::string> {
    const auto got = co_await provider.get(deadline);
    co_return got ? got->access_key_id : got.error().message();
  };
  CHECK(test::run(world.context, asked(world.provider, world.clock.now().instant)) ==
        "credentials were not there before the caller's deadline");
}
