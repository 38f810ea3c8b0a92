#include "package/layers.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <system_error>

#include <openssl/evp.h>
#include <stdlib.h>
#include <unistd.h>

#include "package/archive.h"

namespace weir::package {

namespace {

namespace fs = std::filesystem;

Error failure(std::string sentence) {
  return {ErrorCode::kEndpointFailed, std::move(sentence)};
}

Result<std::string> content_hash(const std::string& path) {
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  const std::unique_ptr<EVP_MD_CTX, Free> context(EVP_MD_CTX_new());
  std::ifstream file(path, std::ios::binary);
  if (!file || EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) != 1) {
    return failure("cannot read the layer " + path);
  }
  std::array<char, 65'536> block;
  while (file.read(block.data(), block.size()), file.gcount() > 0) {
    EVP_DigestUpdate(context.get(), block.data(), static_cast<std::size_t>(file.gcount()));
  }
  if (file.bad()) return failure("cannot read the layer " + path);
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  EVP_DigestFinal_ex(context.get(), digest.data(), &size);
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (unsigned i = 0; i < size; ++i) {
    text += kDigits[digest[i] >> 4U];
    text += kDigits[digest[i] & 15U];
  }
  return text;
}

/// Where a zip's content is. It appears under its name when it is whole, whoever else is unpacking the same.
Result<std::string> unpacked(const std::string& path, const std::string& cache) {
  Result<std::string> hash = content_hash(path);
  if (!hash) return hash;
  const fs::path place = fs::path(cache) / *hash;
  std::error_code error;
  if (fs::is_directory(place, error)) return place.string();
  fs::create_directories(cache, error);
  std::string work = (fs::path(cache) / "unpacking.XXXXXX").string();
  if (::mkdtemp(work.data()) == nullptr) {
    return failure("cannot make a folder in " + cache + ": " + std::generic_category().message(errno));
  }
  auto done = unzip_file(path, work, kUnzippedBytesMax);
  if (done) {
    fs::permissions(work,
                    fs::perms::owner_all | fs::perms::group_read | fs::perms::group_exec | fs::perms::others_read |
                        fs::perms::others_exec,
                    error);
    fs::rename(work, place, error);
  }
  if (!done || error) {
    std::error_code ignored;
    fs::remove_all(work, ignored);
  }
  if (!done) return std::move(done.error()).during("unpacking the layer " + path);
  // Somebody else was faster: their copy is as good.
  if (error && !fs::is_directory(place)) return failure("cannot keep the layer " + path + ": " + error.message());
  return place.string();
}

Result<std::uint64_t> bytes_below(const std::string& folder) {
  std::uint64_t bytes = 0;
  std::error_code error;
  for (auto it = fs::recursive_directory_iterator(folder, error); !error && it != fs::recursive_directory_iterator();
       it.increment(error)) {
    std::error_code gone;
    if (it->is_regular_file(gone) && !it->is_symlink(gone)) bytes += it->file_size(gone);
    if (bytes > kUnzippedBytesMax) break;
  }
  if (error) return failure("cannot read the layer " + folder + ": " + error.message());
  return bytes;
}

}  // namespace

Result<std::string> prepare_layers(const std::vector<std::string>& layers, const std::string& cache,
                                   const std::string& merged) {
  if (layers.empty()) return std::string();
  if (layers.size() > kLayersMax) return failure("Cannot reference more than 5 layers.");
  std::vector<std::string> folders;
  std::uint64_t bytes = 0;
  for (const std::string& layer : layers) {
    std::error_code error;
    if (fs::is_directory(layer, error)) {
      folders.push_back(layer);
    } else if (fs::is_regular_file(layer, error)) {
      auto folder = unpacked(layer, cache);
      if (!folder) return folder;
      folders.push_back(std::move(*folder));
    } else {
      return failure("there is no layer " + layer);
    }
    const auto size = bytes_below(folders.back());
    if (!size) return size.error();
    bytes += *size;
    if (bytes > kUnzippedBytesMax) {
      return failure("Unzipped size must be smaller than " + std::to_string(kUnzippedBytesMax) + " bytes");
    }
  }
  if (folders.size() == 1) return folders.front();
  std::error_code error;
  fs::remove_all(merged, error);
  fs::create_directories(merged, error);
  for (const std::string& folder : folders) {
    // What stands in the way of a later layer's link is removed: copying overwrites files only.
    for (auto it = fs::recursive_directory_iterator(folder, error); !error && it != fs::recursive_directory_iterator();
         it.increment(error)) {
      std::error_code ignored;
      const fs::path target = fs::path(merged) / it->path().lexically_relative(folder);
      const fs::file_status there = fs::symlink_status(target, ignored);
      const bool both_folders = fs::is_directory(there) && it->is_directory(ignored) && !it->is_symlink(ignored);
      if (fs::exists(there) && !both_folders) fs::remove_all(target, ignored);
    }
    if (!error) {
      fs::copy(folder, merged,
               fs::copy_options::recursive | fs::copy_options::overwrite_existing | fs::copy_options::copy_symlinks,
               error);
    }
    if (error) return failure("cannot merge the layer " + folder + " into " + merged + ": " + error.message());
  }
  return merged;
}

std::vector<std::string> extensions_in(const std::string& opt) {
  std::vector<std::string> names;
  if (opt.empty()) return names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(fs::path(opt) / "extensions", error)) {
    std::error_code ignored;
    if (entry.is_regular_file(ignored) && ::access(entry.path().c_str(), X_OK) == 0) {
      names.push_back(entry.path().filename().string());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace weir::package
