#include "connectors/eventbridge/input.h"

#include <catch2/catch.hpp>

#include "weir/base/json_check.h"

using namespace weir;
using eventbridge::Event;
using eventbridge::InputContext;
using eventbridge::InputSettings;
using eventbridge::TargetInput;

namespace {

const std::string kArn = "arn:aws:events:us-east-1:000000000000:rule/orders";

Event an_event() {
  Event event = eventbridge::new_event("id-1", from_epoch_milliseconds(1'772'600'767'891));
  event.source = "shop.web";
  event.detail_type = "OrderPlaced";
  event.detail = R"({"text":"x","said":"a \"b\"","number":1.50,"on":true,"none":null,"object": {"a": 1, "b":"x"},)"
                 R"("list": ["ACTIVE", "INACTIVE"], "items":[{"name":"first"},{"name":"second"}],"a.b":7})";
  return event;
}

std::string result(const InputSettings& settings) {
  const auto input = TargetInput::make(settings, "t1");
  if (!input) return "refused: " + input.error().message();
  const Event event = an_event();
  const std::string text = eventbridge::envelope(event);
  InputContext context;
  context.rule_arn = kArn;
  context.rule_name = "orders";
  context.ingested = from_epoch_milliseconds(1'772'600'768'123);
  return input->apply(text, event, context).value_or("dropped");
}

InputSettings with_template(std::string text) {
  InputSettings settings;
  settings.input_template = std::move(text);
  settings.input_paths = {{"text", "$.detail.text"},     {"said", "$.detail.said"},
                          {"number", "$.detail.number"}, {"on", "$.detail.on"},
                          {"object", "$.detail.object"}, {"list", "$.detail.list"},
                          {"missing", "$.detail.gone"},  {"first", "$.detail.list[0]"},
                          {"type", "$.detail-type"},     {"name", "$.detail.items[1].name"}};
  return settings;
}

}  // namespace

TEST_CASE("what a template comes to") {
  struct Row {
    std::string_view sentence, input_template, comes_to;
  };
  // Source: reference push-sources.md 4.3, recordings of AWS.
  const auto row = GENERATE(values<Row>({
      {"a text keeps its outer quotes", R"("Event of <type>, <text>")", R"("Event of OrderPlaced, x")"},
      {"in a text a missing path is empty", R"("is <missing>.")", R"("is .")"},
      {"in a text a number is as it was spelt", R"("<number>")", R"("1.50")"},
      {"in a text a boolean is its word", R"("<on>")", R"("true")"},
      {"in a text an object loses its quotes", R"("<object>")", R"("{a:1,b:x}")"},
      {"in a text an array loses its quotes", R"("<list>")", R"("[ACTIVE,INACTIVE]")"},
      {"an element of an array by its number", R"("<first> <name>")", R"("ACTIVE second")"},
      {"several texts stay several lines", "\"one <text>\"\n\"two <on>\"", "\"one x\"\n\"two true\""},
      {"in JSON a text has quotes", R"({"v": <text>})", R"({"v": "x"})"},
      {"in JSON a missing path is an empty text", R"({"v": <missing>})", R"({"v": ""})"},
      {"in JSON an object is itself", R"({"v": <object>})", R"({"v": {"a": 1, "b":"x"}})"},
      {"in JSON an array is itself", R"({"v":<list>,"n":<number>})", R"({"v":["ACTIVE", "INACTIVE"],"n":1.50})"},
      {"in quotes a text is put in bare", R"({"v":"a/<text>/b"})", R"({"v":"a/x/b"})"},
      {"in quotes a missing path is nothing", R"({"v":"<missing>"})", R"({"v":""})"},
      {"in quotes an object is invalid", R"({"v":"<object>"})", "dropped"},
      {"in quotes an array is invalid", R"({"v":"a <list>"})", "dropped"},
      {"nothing is escaped, so quotes may spoil it", R"({"v":"<said>"})", "dropped"},
      {"a text with quotes is whole as a value", R"({"v":<said>})", R"({"v":"a \"b\""})"},
      {"quotes that are escaped end no text", R"({"v":"\"<text>\""})", R"({"v":"\"x\""})"},
      {"the rule's name and ARN", R"("<aws.events.rule-name> <aws.events.rule-arn>")",
       R"("orders arn:aws:events:us-east-1:000000000000:rule/orders")"},
      {"when it came", R"({"at":<aws.events.event.ingestion-time>})", R"({"at":"2026-03-04T05:06:08Z"})"},
      {"the event is without its detail and has another key", R"({"e":<aws.events.event>})",
       R"({"e":{"version":"0","id":"id-1","detailType":"OrderPlaced","source":"shop.web","account":"000000000000",)"
       R"("time":"2026-03-04T05:06:07Z","region":"us-east-1","resources":[]}})"},
      {"the whole event is no text's part", R"({"e":"<aws.events.event.json>"})", "dropped"},
      {"a placeholder that is none is refused", R"("<y>")",
       "refused: InputTemplate for target t1 contains invalid placeholder y."},
      {"a placeholder is no key", R"({<text>: 1})",
       "refused: InputTemplate for target t1 has a placeholder as an object's key."},
      {"nor in one", R"({"a<text>" : 1})",
       "refused: InputTemplate for target t1 has a placeholder in an object's key."},
      {"a sign that ends nowhere is itself", R"("1 < 2")", R"("1 < 2")"},
  }));
  DYNAMIC_SECTION(row.sentence) {
    CHECK(result(with_template(std::string(row.input_template))) == row.comes_to);
  }
}

TEST_CASE("the whole event as a value of a template") {
  CHECK(result(with_template(R"({"e":<aws.events.event.json>})")) ==
        R"({"e":)" + eventbridge::envelope(an_event()) + "}");
}

TEST_CASE("without any input a target gets the event") {
  CHECK(result({}) == eventbridge::envelope(an_event()));
}

TEST_CASE("a constant replaces the event") {
  InputSettings settings;
  settings.input = R"({"always": 1})";
  CHECK(result(settings) == R"({"always": 1})");
  settings.input = "no JSON";
  CHECK(result(settings) == "refused: JSON syntax error in input for target t1.");
}

TEST_CASE("a path gives a part of the event") {
  const auto at = [](std::string path) {
    InputSettings settings;
    settings.input_path = std::move(path);
    return result(settings);
  };
  CHECK(at("$.detail.object") == R"({"a": 1, "b":"x"})");
  CHECK(at("$.detail.text") == R"("x")");
  CHECK(at("$.detail.items[1].name") == R"("second")");
  CHECK(at("$.detail['a.b']") == "7");
  CHECK(at("$") == eventbridge::envelope(an_event()));
  CHECK(at("$.detail.items[2]") == "dropped");
  for (const char* wrong : {"detail", "$detail", "$.", "$.detail..a", "$.detail[x]", "$.detail[*]", "$.detail[0"}) {
    CHECK(at(wrong) == "refused: Invalid InputPath for target t1.");
  }
}

TEST_CASE("a target has one kind of input") {
  InputSettings settings = with_template("\"<text>\"");
  settings.input_path = "$";
  CHECK(result(settings) ==
        "refused: Only one of Input, InputPath, or InputTransformer must be provided for target t1.");
}

TEST_CASE("names of paths: how many, and not AWS's") {
  InputSettings settings = with_template("\"x\"");
  for (int i = 0; settings.input_paths.size() < eventbridge::kMaxInputPaths; ++i) {
    settings.input_paths["p" + std::to_string(i)] = "$.id";
  }
  CHECK(result(settings) == "\"x\"");
  settings.input_paths["one-more"] = "$.id";
  CHECK(result(settings) == "refused: InputPathsMap for target t1 has more than 100 paths.");
  settings.input_paths = {{"AwsThing", "$.id"}};
  CHECK(result(settings) == "refused: InputPathsMap for target t1 contains the reserved name AwsThing.");
}
