#include <catch2/catch.hpp>

#include "service/answers.h"
#include "service/arn.h"
#include "service/characters.h"
#include "service/form.h"
#include "service/xml_writer.h"

using namespace weir;
using namespace weir::service;

TEST_CASE("a form's fields are decoded, and the first of a name counts") {
  const auto form = Form::parse("Action=Publish&Message=a+b%0Ac%2B&Message=second&Empty=&Alone");
  REQUIRE(form.has_value());
  CHECK(form->text("Message") == "a b\nc+");
  CHECK(form->get("Empty") == "");
  CHECK(form->get("Alone") == "");
  CHECK_FALSE(form->get("Subject").has_value());
  CHECK(form->text("Subject").empty());
  CHECK_FALSE(Form::parse("a=%4").has_value());
}

TEST_CASE("a form's lists are spelled out in its names") {
  const auto form = Form::parse(
      "Tags.member.10.Key=j&Tags.member.2.Key=b&Tags.member.2.Value=x&Tags.member.1=a&Tags.member.x=no&Tags.members.3="
      "no"
      "&Tags.member.4x=no&Tags.member=no");
  REQUIRE(form.has_value());
  CHECK(form->items("Tags.member") == std::vector<std::string>{"Tags.member.1", "Tags.member.2", "Tags.member.10"});
  CHECK(form->text(form->items("Tags.member")[1] + ".Value") == "x");
  CHECK(form->items("Attributes.entry").empty());
}

TEST_CASE("lengths are characters, and what a sentence shows of a value is not cut within one") {
  CHECK(characters("") == 0);
  CHECK(characters("a\u00e4\u20ac\U0001F600") == 4);
  CHECK(shown("short") == "short");
  const std::string most(256, 'x');
  CHECK(shown(most) == most);
  CHECK(shown(most + "x") == most + "...");
  CHECK(shown(most.substr(1) + "\u20ac") == most.substr(1) + "...");
}

TEST_CASE("XML keeps every text that XML can hold") {
  std::string xml;
  XmlWriter out(xml);
  out.open("A", "urn:n").element("B", "<&>\"'\r\n\t\x01\xC3\xA4").open("C").raw("<d/>").close().close();
  CHECK(xml == "<A xmlns=\"urn:n\"><B>&lt;&amp;&gt;&quot;'&#13;\n\t\xEF\xBF\xBD\xC3\xA4</B><C><d/></C></A>");
}

TEST_CASE("answers have the forms of AWS's protocols") {
  const ServiceAnswer json = json_error({400, "ValidationException", "no \"such\" thing"});
  CHECK(json.status == 400);
  CHECK(json.content_type == "application/x-amz-json-1.1");
  CHECK(json.body == R"({"__type":"ValidationException","message":"no \"such\" thing"})");
  CHECK(json.headers == std::vector<std::pair<std::string, std::string>>{{"x-amzn-ErrorType", "ValidationException"}});
  CHECK(json_answer("{}", "").content_type == "application/json");

  CHECK(form_answer("Publish", "<MessageId>m</MessageId>", "urn:n", "r").body ==
        "<PublishResponse xmlns=\"urn:n\"><PublishResult><MessageId>m</MessageId></PublishResult>"
        "<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></PublishResponse>");
  CHECK(form_answer("Unsubscribe", "", "urn:n", "r").body ==
        "<UnsubscribeResponse xmlns=\"urn:n\"><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata>"
        "</UnsubscribeResponse>");
  CHECK(form_error({404, "NotFound", "Topic does not exist"}, "urn:n", "r").body ==
        "<ErrorResponse xmlns=\"urn:n\"><Error><Type>Sender</Type><Code>NotFound</Code>"
        "<Message>Topic does not exist</Message></Error><RequestId>r</RequestId></ErrorResponse>");
}

TEST_CASE("what the store refused is the service's failure, with no word of the store's place") {
  const ApiError full = not_kept(Error(ErrorCode::kStoreFull, "/var/weir/queue.sqlite: disk full"), "InternalFailure");
  CHECK(full.status == 500);
  CHECK(full.code == "InternalFailure");
  CHECK(full.message == "Nothing was kept (store.full).");
  CHECK(not_kept(Error(ErrorCode::kCancelled, "x"), "E").message ==
        "Nothing was kept, because weir is starting or stopping.");
}

TEST_CASE("an ARN has six parts, of which the last keeps its colons") {
  const auto arn = parse_arn("arn:aws:lambda:eu-west-1:111122223333:function:resize:live");
  REQUIRE(arn.has_value());
  CHECK(arn->partition == "aws");
  CHECK(arn->service == "lambda");
  CHECK(arn->region == "eu-west-1");
  CHECK(arn->account == "111122223333");
  CHECK(arn->resource == "function:resize:live");
  CHECK(parse_arn("arn:aws:s3:::bucket")->resource == "bucket");
  for (const char* wrong :
       {"", "arn", "arn:aws:sns:r:a", "arn:aws:sns:r:a:", "arn:xyz:sns:r:a:t", "urn:aws:sns:r:a:t", "arn:aws::r:a:t"}) {
    INFO(wrong);
    CHECK_FALSE(parse_arn(wrong).has_value());
  }
}

TEST_CASE("what weir stands in for has ARNs of its own account") {
  CHECK(local_arn("sns", "orders") == "arn:aws:sns:us-east-1:000000000000:orders");
  CHECK(local_resource(local_arn("sns", "orders"), "sns") == "orders");
  CHECK_FALSE(local_resource(local_arn("sns", "orders"), "sqs").has_value());
  CHECK_FALSE(local_resource("arn:aws:sns:eu-west-1:000000000000:orders", "sns").has_value());
  CHECK_FALSE(local_resource("arn:aws:sns:us-east-1:111122223333:orders", "sns").has_value());
}
