#include "package/archive.h"

#include <filesystem>
#include <fstream>
#include <iterator>

#include <catch2/catch.hpp>
#include <unistd.h>

#include "support/temporary_folder.h"
#include "zip.h"

namespace weir::package {
namespace {

namespace fs = std::filesystem;
using test::TemporaryFolder;
using test::zip_of;
using test::ZipEntry;

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// The zip, with the flag that its names are UTF-8.
std::string with_utf8_names(std::string zip) {
  const auto flag = [&](std::string_view header, std::size_t offset) {
    for (std::size_t at = zip.find(header); at != std::string::npos; at = zip.find(header, at + 1)) {
      zip[at + offset + 1] = static_cast<char>(zip[at + offset + 1] | 0x08);
    }
  };
  flag({"PK\3\4", 4}, 6);
  flag({"PK\1\2", 4}, 8);
  return zip;
}

}  // namespace

TEST_CASE("a zip's files come out with their folders, rights and links") {
  const TemporaryFolder folder;
  const auto bytes = unzip(zip_of({{"index.js", "main"},
                                   {"bin/tool", "#!/bin/sh\n", {}, 0755},
                                   {"lib/deep/er.txt", "x"},
                                   {"unreadable", "y", {}, 0},
                                   {"latest", "", "lib/deep"}}),
                           folder.path(), kUnzippedBytesMax);
  REQUIRE(bytes.has_value());
  CHECK(*bytes == 4 + 10 + 1 + 1);
  CHECK(text_of(folder / "index.js") == "main");
  CHECK(::access((folder / "bin/tool").c_str(), X_OK) == 0);
  CHECK((fs::status(folder / "index.js").permissions() & fs::perms::owner_exec) == fs::perms::none);
  CHECK((fs::status(folder / "unreadable").permissions() & fs::perms::owner_read) != fs::perms::none);
  CHECK(text_of(folder / "latest/er.txt") == "x");
}

TEST_CASE("names are not only ASCII, whether they say that they are UTF-8 or not") {
  const bool said = GENERATE(false, true);
  std::string zip = zip_of({{"données/naïve.txt", "x"}, {"letzte", "", "données"}, {"größe", "", "données"}});
  if (said) zip = with_utf8_names(std::move(zip));
  const TemporaryFolder folder;
  const auto bytes = unzip(zip, folder.path(), kUnzippedBytesMax);
  REQUIRE(bytes.has_value());
  CHECK(text_of(folder / "données/naïve.txt") == "x");
  CHECK(text_of(folder / "letzte/naïve.txt") == "x");
  CHECK(text_of(folder / "größe/naïve.txt") == "x");
}

TEST_CASE("a name that says that it is UTF-8 and is not is refused") {
  const TemporaryFolder folder;
  const auto done = unzip(with_utf8_names(zip_of({{"na\xEFve.txt", "x"}})), folder.path(), kUnzippedBytesMax);
  REQUIRE_FALSE(done.has_value());
  CHECK(done.error().message() == "the zip has a name that is not UTF-8, as it says");
}

TEST_CASE("the folder may lie behind a link, which is not the zip's") {
  const TemporaryFolder folder;
  fs::create_directories(folder / "real/out");
  fs::create_symlink(folder / "real", folder / "link");
  CHECK(unzip(zip_of({{"lib/a", "1234"}, {"b", "", "lib/a"}}), folder / "link/out", kUnzippedBytesMax).value() == 4);
  CHECK(text_of(folder / "real/out/b") == "1234");
}

TEST_CASE("a zip from a file is the same") {
  const TemporaryFolder folder;
  fs::create_directory(folder / "out");
  const std::string zip = folder.write("a.zip", zip_of({{"a", "1234"}}));
  CHECK(unzip_file(zip, folder / "out", kUnzippedBytesMax).value() == 4);
  CHECK(text_of(folder / "out/a") == "1234");
}

TEST_CASE("what would leave the folder is refused, and nothing is written there") {
  struct Row {
    std::string sentence;
    std::vector<ZipEntry> entries;
    std::string why;
  };
  const auto row = GENERATE(values<Row>({
      {"a name that climbs", {{"../evil", "x"}}, "../evil would land outside of its folder"},
      {"a name that climbs half-way", {{"a/../../evil", "x"}}, "a/../../evil would land outside of its folder"},
      {"an absolute name", {{"/tmp/weir-evil", "x"}}, "/tmp/weir-evil would land outside of its folder"},
      {"an absolute link", {{"passwd", "", "/etc/passwd"}}, "passwd is a link that leads out of it"},
      {"a link that climbs", {{"up", "", "../.."}}, "up is a link that leads out of it"},
      {"a link that climbs by way of another", {{"d/f", "x"}, {"d/a", "", ".."}, {"b", "", "d/a/.."}}, "a link"},
      {"a file through a link", {{"d/f", "x"}, {"a", "", "d"}, {"a/g", "x"}}, "a/g cannot be written"},
  }));
  DYNAMIC_SECTION(row.sentence) {
    const TemporaryFolder folder;
    fs::create_directories(folder / "in/out");
    const auto done = unzip(zip_of(row.entries), folder / "in/out", kUnzippedBytesMax);
    REQUIRE_FALSE(done.has_value());
    CHECK(done.error().code() == ErrorCode::kEndpointFailed);
    INFO(done.error().message());
    CHECK(done.error().message().find(row.why) != std::string::npos);
    CHECK_FALSE(fs::exists(folder / "in/evil"));
    CHECK_FALSE(fs::exists(folder / "evil"));
    CHECK_FALSE(fs::exists("/tmp/weir-evil"));
  }
}

TEST_CASE("too much is refused in AWS's words; one byte less is not") {
  const std::string zip = zip_of({{"a", std::string(600, 'a')}, {"b", std::string(400, 'b')}});
  const TemporaryFolder one;
  CHECK(unzip(zip, one.path(), 1000).has_value());
  const TemporaryFolder other;
  const auto done = unzip(zip, other.path(), 999);
  REQUIRE_FALSE(done.has_value());
  CHECK(done.error().message() == "Unzipped size must be smaller than 999 bytes");
}

TEST_CASE("what is no zip, or a damaged one, is refused in AWS's words") {
  std::string content;
  for (int n = 0; n < 2000; ++n) content += std::to_string(n * n);
  std::string damaged = zip_of({{"a", content}});
  damaged[damaged.size() / 2] ^= 0x55;
  for (const std::string& bytes : {std::string(), std::string("hello, this is text"), damaged}) {
    const TemporaryFolder folder;
    const auto done = unzip(bytes, folder.path(), kUnzippedBytesMax);
    REQUIRE_FALSE(done.has_value());
    CHECK(done.error().message() == "Could not unzip uploaded file. Please check your file, then try to upload again.");
  }
}

}  // namespace weir::package
