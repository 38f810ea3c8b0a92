// Where AWS services are.
#include "aws/addresses.h"

#include <catch2/catch.hpp>

#include "aws/environment.h"
#include "support/print.h"

using namespace weir;
using namespace weir::aws;
using test::environment_of;

TEST_CASE("the region is the setting, the ARN's, the environment's, the profile's") {
  AwsProfiles profiles;
  profiles.profiles["default"]["region"] = "sa-east-1";
  profiles.profiles["other"]["region"] = "ca-central-1";
  const auto both = environment_of({{"AWS_REGION", "us-east-1"}, {"AWS_DEFAULT_REGION", "us-west-2"}});
  const auto second = environment_of({{"AWS_REGION", ""}, {"AWS_DEFAULT_REGION", "us-west-2"}});
  const auto none = environment_of({});
  CHECK(find_region("ap-south-1", "eu-west-1", both, profiles, "default") == "ap-south-1");
  CHECK(find_region("", "eu-west-1", both, profiles, "default") == "eu-west-1");
  CHECK(find_region("", "", both, profiles, "default") == "us-east-1");
  CHECK(find_region("", "", second, profiles, "default") == "us-west-2");
  CHECK(find_region("", "", none, profiles, "default") == "sa-east-1");
  CHECK(find_region("", "", none, profiles, "other") == "ca-central-1");
  CHECK(find_region("", "", none, profiles, "absent").empty());
}

TEST_CASE("AWS's own address is in the domain of the region's partition") {
  CHECK(service_url("lambda", "eu-west-1") == "https://lambda.eu-west-1.amazonaws.com");
  CHECK(service_url("lambda", "cn-north-1") == "https://lambda.cn-north-1.amazonaws.com.cn");
  CHECK(service_url("lambda", "us-gov-west-1") == "https://lambda.us-gov-west-1.amazonaws.com");
  CHECK(service_url("sts", "us-iso-east-1") == "https://sts.us-iso-east-1.c2s.ic.gov");
  CHECK(service_url("sts", "us-isob-east-1") == "https://sts.us-isob-east-1.sc2s.sgov.gov");
  CHECK(service_url("sts", "eusc-de-east-1") == "https://sts.eusc-de-east-1.amazonaws.eu");
}

TEST_CASE("an address of one's own is taken in the SDKs' order") {
  AwsProfiles profiles;
  profiles.profiles["default"]["endpoint_url"] = "http://profile";
  profiles.profiles["split"] = {{"services", "mine"}, {"endpoint_url", "http://split"}};
  profiles.services["mine"]["lambda.endpoint_url"] = "http://mine";
  const auto both = environment_of({{"AWS_ENDPOINT_URL_LAMBDA", "http://lambda"}, {"AWS_ENDPOINT_URL", "http://all"}});
  const auto all = environment_of({{"AWS_ENDPOINT_URL", "http://all"}});
  const auto none = environment_of({});
  const auto ignored =
      environment_of({{"AWS_ENDPOINT_URL", "http://all"}, {"AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "TRUE"}});
  const auto url = [&](const char* service, const Environment& environment, const char* profile) {
    return find_service_url(service, "eu-west-1", environment, profiles, profile);
  };
  CHECK(url("lambda", both, "default") == "http://lambda");
  CHECK(url("sts", both, "default") == "http://all");
  CHECK(url("lambda", all, "default") == "http://all");
  CHECK(url("lambda", none, "default") == "http://profile");
  CHECK(url("lambda", none, "split") == "http://mine");
  CHECK(url("sts", none, "split") == "http://split");
  CHECK(url("lambda", none, "absent") == "https://lambda.eu-west-1.amazonaws.com");
  CHECK(url("lambda", ignored, "default") == "https://lambda.eu-west-1.amazonaws.com");
}
