#include "package/layers.h"

#include <filesystem>
#include <fstream>
#include <iterator>

#include <catch2/catch.hpp>

#include "support/temporary_folder.h"
#include "zip.h"

namespace weir::package {
namespace {

namespace fs = std::filesystem;
using test::TemporaryFolder;
using test::zip_of;

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::size_t entries_in(const std::string& folder) {
  std::error_code error;
  const auto entries = fs::directory_iterator(folder, error);
  return static_cast<std::size_t>(std::distance(begin(entries), end(entries)));
}

void write(const TemporaryFolder& folder, const std::string& name, const std::string& text) {
  fs::create_directories(fs::path(folder / name).parent_path());
  folder.write(name, text);
}

std::string prepared(const std::vector<std::string>& layers, const std::string& cache, const std::string& merged) {
  return LayerCache(cache).prepare(layers, merged).value().opt;
}

}  // namespace

TEST_CASE("without layers there is no folder for /opt") {
  CHECK(prepared({}, "/nonexistent", "/nonexistent").empty());
}

TEST_CASE("a single folder is used where it lies") {
  const TemporaryFolder folder;
  CHECK(prepared({folder.path()}, "/nonexistent", "/nonexistent") == folder.path());
}

TEST_CASE("of several layers all is there, and of equal names the later one's") {
  const TemporaryFolder folder;
  write(folder, "one/nodejs/a.js", "a of one");
  write(folder, "one/nodejs/b.js", "b of one");
  write(folder, "one/was-a-folder/x", "x");
  write(folder, "one/was-a-file", "x");
  write(folder, "two/nodejs/b.js", "b of two");
  write(folder, "two/was-a-folder", "a file");
  write(folder, "two/was-a-file/y", "y");
  const std::string zip =
      folder.write("three.zip", zip_of({{"extensions/watcher", "#!/bin/sh\n", {}, 0755}, {"extensions/notes", "x"}}));
  const std::string merged = prepared({folder / "one", folder / "two", zip}, folder / "cache", folder / "merged");
  CHECK(merged == folder / "merged");
  CHECK(text_of(merged + "/nodejs/a.js") == "a of one");
  CHECK(text_of(merged + "/nodejs/b.js") == "b of two");
  CHECK(text_of(merged + "/was-a-folder") == "a file");
  CHECK(text_of(merged + "/was-a-file/y") == "y");
  CHECK(extensions_in(merged) == std::vector<std::string>{"watcher"});
  CHECK(text_of(folder / "one/nodejs/b.js") == "b of one");
}

TEST_CASE("a zip is unpacked once for each content") {
  const TemporaryFolder folder;
  const std::string zip = folder.write("a.zip", zip_of({{"f", "1"}}));
  const std::string same = folder.write("b.zip", zip_of({{"f", "1"}}));
  const std::string first = prepared({zip}, folder / "cache", folder / "merged");
  CHECK(text_of(first + "/f") == "1");
  CHECK(prepared({same}, folder / "cache", folder / "merged") == first);
  CHECK(entries_in(folder / "cache") == 1);
  folder.write("a.zip", zip_of({{"f", "2"}}));
  const std::string second = prepared({zip}, folder / "cache", folder / "merged");
  CHECK(text_of(second + "/f") == "2");
  CHECK(entries_in(folder / "cache") == 2);
}

TEST_CASE("layers that cannot be are refused, and leave nothing half-made") {
  const TemporaryFolder folder;
  const std::string bad = folder.write("bad.zip", "no zip");
  const auto refusal = [&](const std::vector<std::string>& layers) {
    const auto done = LayerCache(folder / "cache").prepare(layers, folder / "merged");
    return done ? "" : done.error().message();
  };
  CHECK(refusal({folder / "none"}) == "there is no layer " + folder / "none");
  CHECK(refusal({bad}) == "Could not unzip uploaded file. Please check your file, then try to upload again.");
  CHECK(entries_in(folder / "cache") == 0);
  fs::create_directory(folder / "good");
  const std::vector<std::string> five(5, folder / "good");
  CHECK(refusal(five).empty());
  const std::vector<std::string> six(6, folder / "good");
  CHECK(refusal(six) == "Cannot reference more than 5 layers.");
}

TEST_CASE("what nobody holds is removed, and what was left half-made") {
  const TemporaryFolder folder;
  const std::string one = folder.write("one.zip", zip_of({{"f", "1"}}));
  const std::string two = folder.write("two.zip", zip_of({{"f", "2"}}));
  LayerCache cache(folder / "cache");
  auto first = cache.prepare({one}, folder / "merged");
  auto again = cache.prepare({one}, folder / "merged");
  auto second = cache.prepare({two}, folder / "merged");
  write(folder, "cache/unpacking.abcdef/f", "half");
  write(folder, "cache/removing.abcdef/f", "half");
  cache.clean();
  CHECK(entries_in(folder / "cache") == 2);
  second->held.clear();
  first->held.clear();
  cache.clean();
  CHECK(entries_in(folder / "cache") == 1);
  CHECK(text_of(again->opt + "/f") == "1");
  CHECK_FALSE(fs::exists(second->opt));
  CHECK(text_of(cache.prepare({two}, folder / "merged")->opt + "/f") == "2");
  // As at a start: nothing is held yet.
  LayerCache(folder / "cache").clean();
  CHECK(entries_in(folder / "cache") == 0);
  CHECK(LayerCache::of(folder / "cache") == LayerCache::of(folder / "cache"));
}

}  // namespace weir::package
