#include "connectors/sns/config.h"

#include <array>
#include <fstream>
#include <iterator>

#include <catch2/catch.hpp>

#include "config/config.h"
#include "connectors/sns/connector.h"
#include "support/temporary_folder.h"

using namespace weir;

namespace {

constexpr std::array kTable{ConnectorEntry{"sns", Delivery::kPush, "A topic.", &sns::read_config, nullptr,
                                           &sns::sample_event, nullptr, nullptr, &sns::make_source}};

/// The mistakes of a source with these settings, "path: sentence".
std::string mistakes(const std::string& settings) {
  const test::TemporaryFolder folder;
  const std::string file = folder.write(
      "weir.yaml", "functions: {f: {command: run}}\nsources: {up: {type: sns, function: f, " + settings + "}}\n");
  const auto report =
      config::read_config(std::vector<std::string>{file}, kTable, [](std::string_view) { return std::nullopt; });
  std::string lines;
  for (const config::Mistake& mistake : report.mistakes) lines += mistake.path + ": " + mistake.sentence + "\n";
  return lines;
}

}  // namespace

TEST_CASE("a source has a topic of weir's own, or topics elsewhere") {
  CHECK(mistakes("topic: orders").empty());
  CHECK(mistakes("topic: orders, filter_policy: {tier: [gold]}").empty());
  CHECK(mistakes("topic_arn: 'arn:aws:sns:eu-west-1:111122223333:orders', confirm: true").empty());
  CHECK(mistakes("confirm: true").find("either topic") != std::string::npos);
  CHECK(mistakes("topic: a, topic_arn: 'arn:aws:sns:eu-west-1:111122223333:b'").find("either topic") !=
        std::string::npos);
}

TEST_CASE("each setting refuses what it cannot be") {
  CHECK(mistakes("topic: 'a b'").find("sources.up.topic: is no topic's name") == 0);
  CHECK(mistakes("topic: a.fifo").find("functions cannot be subscribed") != std::string::npos);
  CHECK(mistakes("topic: a, filter_policy: {tier: gold}").find("sources.up.filter_policy: Invalid parameter") == 0);
  CHECK(mistakes("topic: a, filter_policy_scope: MessageBody").find("goes with filter_policy") != std::string::npos);
  CHECK(mistakes("topic: a, confirm: true").find("goes with `topic_arn`") != std::string::npos);
  CHECK(mistakes("topic_arn: orders").find("is no topic's ARN") != std::string::npos);
  CHECK(mistakes("topic_arn: 'arn:aws:sns:eu-west-1:111122223333:b', certificate_hosts: 'http://a'")
            .find("neither HOST nor HOST:PORT") != std::string::npos);
  CHECK(mistakes("topic_arn: 'arn:aws:sns:eu-west-1:111122223333:b', signing_certificate: none.pem")
            .find("cannot be read") != std::string::npos);
}

TEST_CASE("the sample is what a source would deliver") {
  std::ifstream in(WEIR_SNS_SAMPLE);
  std::string sample(std::istreambuf_iterator<char>(in), {});
  REQUIRE(sample.ends_with('\n'));
  sample.pop_back();
  CHECK(sns::sample_event() == sample);
}
