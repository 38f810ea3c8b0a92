// How a caller names a function of Lambda.
#include "lambda/remote/function_arn.h"

#include <catch2/catch.hpp>

#include "support/print.h"

using namespace weir;
using namespace weir::remote;

TEST_CASE("a function is named by its ARN or by its name, with a qualifier or without") {
  struct Row {
    std::string_view text, region, function, qualifier;
  };
  const auto row = GENERATE(values<Row>({
      {"arn:aws:lambda:eu-west-1:123456789012:function:billing", "eu-west-1",
       "arn:aws:lambda:eu-west-1:123456789012:function:billing", ""},
      {"arn:aws:lambda:eu-west-1:123456789012:function:billing:live", "eu-west-1",
       "arn:aws:lambda:eu-west-1:123456789012:function:billing", "live"},
      {"arn:aws-cn:lambda:cn-north-1:123456789012:function:f:$LATEST", "cn-north-1",
       "arn:aws-cn:lambda:cn-north-1:123456789012:function:f", "$LATEST"},
      {"billing", "", "billing", ""},
      {"billing:7", "", "billing", "7"},
  }));
  const auto name = parse_function_name(row.text);
  REQUIRE(name.has_value());
  CHECK(name->region == row.region);
  CHECK(name->function == row.function);
  CHECK(name->qualifier == row.qualifier);
}

TEST_CASE("what names no function is refused") {
  const auto text = GENERATE(as<std::string>{}, "", ":", "a:", ":a", "a:b:c", "arn:aws:lambda:eu-west-1:1:function:",
                             "arn:aws:lambda:eu-west-1:1:function:f:", "arn:aws:lambda::1:function:f",
                             "arn:aws:sqs:eu-west-1:1:function:f", "arn:aws:lambda:eu-west-1:1:layer:f",
                             "arn:aws:lambda:eu.evil/x:1:function:f", "arn:aws:lambda:eu-west-1:1:function:f:a:b");
  CAPTURE(text);
  const auto name = parse_function_name(text);
  REQUIRE_FALSE(name.has_value());
  CHECK(name.error().code() == ErrorCode::kEndpointFailed);
}
