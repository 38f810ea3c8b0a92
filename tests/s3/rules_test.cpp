#include "connectors/s3/rules.h"

#include <catch2/catch.hpp>

using namespace weir::s3;

TEST_CASE("a key in an event is form-urlencoded, and its slashes stay") {
  struct Row {
    std::string_view key, encoded;
  };
  // Sources: a@b from a recorded event (localstack test_s3_notifications_sqs.snapshot.json), the others from the S3
  // user guide's rule.
  const auto row = GENERATE(values<Row>({
      {"plain.txt", "plain.txt"},
      {"a@b", "a%40b"},
      {"in/march report(1).csv", "in/march+report%281%29.csv"},
      {"a+b", "a%2Bb"},
      {"100%", "100%25"},
      {"\xC3\xBC/\xE2\x82\xAC", "%C3%BC/%E2%82%AC"},
      {"not\xFFutf8", "not%FFutf8"},
      {"line\nend", "line%0Aend"},
      {".-*_~", ".-*_%7E"},
      {"", ""},
  }));
  CHECK(encode_key(row.key) == row.encoded);
  CHECK(decode_key(row.encoded) == std::string(row.key));
}

TEST_CASE("a percent sign that begins no escape is no key") {
  CHECK_FALSE(decode_key("100%"));
  CHECK_FALSE(decode_key("%4"));
  CHECK_FALSE(decode_key("%4g"));
  CHECK_FALSE(decode_key("%g4"));
  CHECK(decode_key("%4a%4A") == "JJ");
  CHECK(decode_key("a%2Fb") == "a/b");
}

TEST_CASE("which events are wanted") {
  const auto wants = [](std::string_view rule, std::string_view name) {
    return EventRules({std::string(rule)}, "", "").wants(name);
  };
  CHECK(wants("s3:ObjectCreated:Put", "s3:ObjectCreated:Put"));
  CHECK_FALSE(wants("s3:ObjectCreated:Put", "s3:ObjectCreated:Post"));
  CHECK(wants("s3:ObjectCreated:*", "s3:ObjectCreated:CompleteMultipartUpload"));
  CHECK(wants("s3:ObjectCreated:*", "s3:ObjectCreated:InventedTomorrow"));
  CHECK_FALSE(wants("s3:ObjectCreated:*", "s3:ObjectRemoved:Delete"));
  CHECK(wants("s3:ObjectRemoved:*", "s3:ObjectRemoved:DeleteMarkerCreated"));
  CHECK(wants("s3:LifecycleTransition", "s3:LifecycleTransition"));
  // MinIO's own are not Amazon's family; who wants them says so.
  CHECK_FALSE(wants("s3:ObjectCreated:*", "s3:ObjectCreated:PutRetention"));
  CHECK(wants("s3:ObjectCreated:PutRetention", "s3:ObjectCreated:PutRetention"));
  CHECK_FALSE(wants("s3:ObjectRemoved:*", "s3:ObjectRemoved:NoOP"));
  CHECK(wants("s3:ObjectAccessed:*", "s3:ObjectAccessed:Get"));
  CHECK_FALSE(wants("s3:ObjectCreated:*", amazons_name("s3:ObjectCreated:PutTagging")));
  CHECK(wants("s3:ObjectTagging:*", amazons_name("s3:ObjectCreated:DeleteTagging")));
  CHECK_FALSE(EventRules({}, "", "").wants("s3:ObjectCreated:Put"));
}

TEST_CASE("which keys are wanted, and where they can be") {
  const EventRules rules({}, "in/2024", ".jpg");
  CHECK(rules.wants_key("in/2024/a.jpg"));
  CHECK(rules.wants_key("in/2024.jpg"));
  CHECK_FALSE(rules.wants_key("in/2024/a.png"));
  CHECK_FALSE(rules.wants_key("in/2023/a.jpg"));
  CHECK(rules.may_hold_wanted(""));
  CHECK(rules.may_hold_wanted("in"));
  CHECK(rules.may_hold_wanted("in/2024"));
  CHECK(rules.may_hold_wanted("in/2024-05/x"));
  CHECK_FALSE(rules.may_hold_wanted("in/2023"));
  CHECK_FALSE(rules.may_hold_wanted("out"));
  CHECK_FALSE(rules.may_hold_wanted("i"));
  // Prefix and suffix may overlap in a key.
  CHECK(EventRules({}, "aba", "ba").wants_key("aba"));
  CHECK(EventRules().wants_key("anything"));
}

TEST_CASE("two sources of a bucket overlap when they share an event, and neither prefixes nor suffixes part them") {
  struct Row {
    std::string_view sentence;
    EventRules one, other;
    bool overlap;
  };
  const std::string created = "s3:ObjectCreated:*";
  const std::string put = "s3:ObjectCreated:Put";
  // Source: S3 user guide, notification-how-to-filtering, its valid and invalid examples among them.
  const auto row = GENERATE_COPY(values<Row>({
      {"all keys, the same event", {{put}, "", ""}, {{put}, "", ""}, true},
      {"a family and its member", {{created}, "", ""}, {{put}, "", ""}, true},
      {"a family twice", {{created}, "", ""}, {{created}, "", ""}, true},
      {"one shared among others", {{"s3:ObjectRemoved:*", put}, "", ""}, {{"s3:ObjectAcl:Put", put}, "", ""}, true},
      {"other events", {{put}, "", ""}, {{"s3:ObjectCreated:Copy"}, "", ""}, false},
      {"other families", {{created}, "", ""}, {{"s3:ObjectRemoved:*"}, "", ""}, false},
      {"MinIO's own is not of the family", {{created}, "", ""}, {{"s3:ObjectCreated:PutRetention"}, "", ""}, false},
      {"MinIO's own is of MinIO's family",
       {{"s3:ObjectAccessed:*"}, "", ""},
       {{"s3:ObjectAccessed:Get"}, "", ""},
       true},
      {"other prefixes", {{created}, "images/", ""}, {{created}, "logs/", ""}, false},
      {"one prefix begins with the other", {{created}, "images", ""}, {{created}, "images/raw", ""}, true},
      {"the same prefix", {{created}, "images", ""}, {{created}, "images", ""}, true},
      {"only one has a prefix", {{created}, "images/", ""}, {{created}, "", ""}, true},
      {"other suffixes", {{created}, "", ".jpg"}, {{created}, "", ".png"}, false},
      {"one suffix ends with the other", {{created}, "", "jpg"}, {{created}, "", ".jpg"}, true},
      {"prefixes meet, suffixes part", {{created}, "images", ".jpg"}, {{created}, "images/a", ".png"}, false},
      {"suffixes meet, prefixes part", {{created}, "images", ".jpg"}, {{created}, "logs", ".jpg"}, false},
      {"a prefix here, a suffix there", {{created}, "images", ""}, {{created}, "", ".jpg"}, true},
  }));
  INFO(row.sentence);
  CHECK(row.one.overlaps(row.other) == row.overlap);
  CHECK(row.other.overlaps(row.one) == row.overlap);
}

TEST_CASE("what a bucket may be called") {
  // Source: S3 user guide, bucketnamingrules.
  for (const std::string_view name : {"abc", "my.bucket-1", "1.2.3", "0ab"}) {
    INFO(name);
    CHECK_FALSE(bucket_name_mistake(name));
  }
  CHECK_FALSE(bucket_name_mistake(std::string(63, 'a')));
  for (const std::string_view name :
       {"ab", "Abc", "a_b", "-ab", "ab-", ".ab", "a..b", "192.168.5.4", "xn--a", "sthree-a", "amzn-s3-demo-a",
        "a-s3alias", "a--ol-s3", "a.mrap", "a--x-s3", "a--table-s3"}) {
    INFO(name);
    CHECK(bucket_name_mistake(name));
  }
  CHECK(bucket_name_mistake(std::string(64, 'a')));
}
