// What was given up on, at the admin address: in pages, and sent again piece by piece.
#include <numeric>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "bridge/world.h"
#include "gateway/admin.h"

using namespace weir;
using weir::test::World;

namespace {

FunctionFailed boom() {
  FunctionFailed failed;
  failed.error_type = "Error";
  return failed;
}

class Letters {
 public:
  Letters() : handler_(gateway::admin_handler(started().bridge())) {}

  World world;

  /// `count` letters, of the function `f` in turn with `g`.
  void keep(int count) {
    for (int i = 1; i <= count; ++i) {
      store::DeadLetter letter;
      letter.function = i % 2 == 0 ? "g" : "f";
      letter.source = i % 3 == 0 ? "clicks" : "";
      letter.record =
          R"({"requestContext":{"requestId":"r)" + std::to_string(i) + R"(","condition":"RetriesExhausted"}})";
      letter.payload = std::to_string(i);
      net::co_spawn(world.context(), world.store().keep(std::move(letter)), net::detached);
    }
    world.context().restart();
    world.context().run();
  }

  http::Response ask(const std::string& target, const std::string& method = "GET", const std::string& body = "") {
    http::Request request;
    request.method = method;
    request.target = target;
    request.headers.add("Host", "127.0.0.1");
    request.body = body;
    http::Response response;
    test::run(world.context(), answer(std::move(request), response));
    return response;
  }

  /// The first and last id of this page and of those it leads to, with how many each has: "1-1000(1000) ".
  std::string pages(std::string target) {
    std::string all;
    for (;;) {
      const http::Response page = ask(target);
      REQUIRE(page.status == 200);
      const auto rows = nlohmann::json::parse(page.body);
      if (!rows.empty()) all += text(rows.front()) + "-" + text(rows.back());
      all += "(" + std::to_string(rows.size()) + ") ";
      const std::string link(page.headers.get("Link").value_or(""));
      if (link.empty()) return all;
      const std::string end = ">; rel=\"next\"";
      REQUIRE(link.starts_with('<'));
      REQUIRE(link.ends_with(end));
      target = link.substr(1, link.size() - 1 - end.size());
    }
  }

  std::string redrive(const std::string& body) {
    const http::Response done = ask("/deadletters/redrive", "POST", body);
    return std::to_string(done.status) + " " + done.body;
  }

 private:
  static std::string text(const nlohmann::json& row) { return std::to_string(row.at("id").get<int>()); }
  World& started() {
    world.config().functions.at("f").async.maximum_retry_attempts = 0;
    world.add_function("g");
    world.start();
    return world;
  }
  net::awaitable<void> answer(http::Request request, http::Response& response) {
    response = co_await handler_(std::move(request));
  }

  http::Handler handler_;
};

}  // namespace

TEST_CASE("dead letters are listed in pages that lead to each other") {
  Letters letters;
  CHECK(letters.pages("/deadletters") == "(0) ");
  CHECK(letters.pages("/deadletters?after=0") == "(0) ");
  letters.keep(2500);
  CHECK(letters.pages("/deadletters") == "1501-2500(1000) ");
  CHECK(letters.pages("/deadletters?limit=3") == "2498-2500(3) ");
  CHECK(letters.pages("/deadletters?after=0") == "1-1000(1000) 1001-2000(1000) 2001-2500(500) ");
  CHECK(letters.pages("/deadletters?after=0&limit=1250") == "1-1250(1250) 1251-2500(1250) ");
  CHECK(letters.pages("/deadletters?after=0&limit=2500") == "1-2500(2500) ");
  CHECK(letters.pages("/deadletters?after=2499") == "2500-2500(1) ");
  CHECK(letters.pages("/deadletters?after=2500") == "(0) ");
  CHECK(letters.pages("/deadletters?after=9223372036854775807") == "(0) ");
  CHECK(letters.pages("/deadletters?after=0&limit=800&function=f") == "1-1599(800) 1601-2499(450) ");
  CHECK(letters.pages("/deadletters?after=0&limit=800&source=clicks") == "3-2400(800) 2403-2499(33) ");
  CHECK(letters.pages("/deadletters?limit=2&source=clicks&function=g") == "2490-2496(2) ");
  const auto row = nlohmann::json::parse(letters.ask("/deadletters?after=1499&limit=1").body).at(0);
  CHECK(row.at("request_id") == "r1500");
  CHECK(row.at("bytes") == 4);
}

TEST_CASE("a page that cannot be asked for is refused with a sentence") {
  Letters letters;
  const auto refused = [&](const std::string& query, const std::string& sentence) {
    const http::Response answer = letters.ask("/deadletters?" + query);
    INFO(query);
    CHECK(answer.status == 400);
    CHECK_THAT(nlohmann::json::parse(answer.body).at("message").get<std::string>(), Catch::Contains(sentence));
  };
  for (const char* after : {"", "x", "-1", "1x", "%20", "9223372036854775808", "99999999999999999999999"}) {
    refused("after=" + std::string(after), "after is the id of a dead letter, or 0 for the first page");
  }
  for (const char* limit : {"", "0", "10001", "-1", "many"}) {
    refused("limit=" + std::string(limit), "limit is 1 to 10000");
  }
  refused("page=2", "no page");
  refused("after=%zz", "percent sign");
  CHECK(letters.ask("/deadletters?limit=10000").status == 200);
}

TEST_CASE("so many ids at a time are sent again") {
  Letters letters;
  std::vector<int> ids(10'001);
  std::iota(ids.begin(), ids.end(), 1);
  CHECK(letters.redrive(nlohmann::json{{"ids", ids}}.dump()).starts_with("400 "));
  CHECK(letters.redrive(R"({"ids":["1"]})").starts_with("400 "));
  CHECK(letters.redrive("{}").starts_with("400 "));
  CHECK(letters.redrive("[").starts_with("400 "));
}

TEST_CASE("all dead letters are sent again once, also while what was sent again fails again") {
  Letters letters;
  World& world = letters.world;
  letters.keep(1400);
  for (int i = 0; i < 1400; ++i) world.function->answer_next(Outcome(boom()));
  store::DeadLetterFilter which;
  const bool all = GENERATE(true, false);
  if (!all) which.function = "f";
  const std::size_t meant = all ? 1400 : 700;
  std::size_t redriven = 0;
  const auto again = [](World& here, store::DeadLetterFilter of, std::size_t& count) -> net::awaitable<void> {
    count = (co_await here.bridge().redrive(std::move(of))).value().count;
    here.bridge().request_stop();
  };
  world.run_until([&] { return world.bridge().status().ready; },
                  [&] { net::co_spawn(world.context(), again(world, which, redriven), net::detached); });
  CHECK(redriven == meant);
  CHECK(world.queue("f").figures.received == 700);
  CHECK(world.queue("g").figures.received == (all ? 700 : 0));
  // Nothing is lost: it was handled, failed and is a dead letter again, or waits for the next life.
  which = {};
  which.upto = 1400;
  CHECK(world.store().list_dead_letters(which, 2000, false).value().size() == 1400 - meant);
}
