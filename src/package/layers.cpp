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

Result<void> check_layers(const std::vector<std::string>& layers) {
  if (layers.size() > kLayersMax) return failure("Cannot reference more than 5 layers.");
  for (const std::string& layer : layers) {
    std::error_code error;
    const fs::file_status what = fs::status(layer, error);
    if (!fs::is_directory(what) && !fs::is_regular_file(what)) return failure("there is no layer " + layer);
  }
  return {};
}

std::shared_ptr<LayerCache> LayerCache::of(const std::string& folder) {
  static std::mutex mutex;
  static std::map<std::string, std::shared_ptr<LayerCache>> caches;
  const std::lock_guard<std::mutex> lock(mutex);
  std::shared_ptr<LayerCache>& cache = caches[folder];
  if (!cache) cache = std::make_shared<LayerCache>(folder);
  return cache;
}

std::shared_ptr<const void> LayerCache::hold(const std::string& name) {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::weak_ptr<const void>& known = held_[name];
  std::shared_ptr<const void> held = known.lock();
  if (!held) known = held = std::make_shared<const int>(0);
  return held;
}

/// Where a zip's content is. It appears under its name when it is whole, whoever else is unpacking the same.
Result<std::string> LayerCache::unpacked(const std::string& path, PreparedLayers& prepared) {
  Result<std::string> hash = content_hash(path);
  if (!hash) return hash;
  // Held before it is looked for: nobody removes it any more.
  prepared.held.push_back(hold(*hash));
  const fs::path place = fs::path(folder_) / *hash;
  std::error_code error;
  if (fs::is_directory(place, error)) return place.string();
  fs::create_directories(folder_, error);
  std::string work = (fs::path(folder_) / "unpacking.XXXXXX").string();
  std::shared_ptr<const void> working;
  {
    // A folder that is not held yet is not to be seen by clean().
    const std::lock_guard<std::mutex> lock(mutex_);
    if (::mkdtemp(work.data()) == nullptr) {
      return failure("cannot make a folder in " + folder_ + ": " + std::generic_category().message(errno));
    }
    working = std::make_shared<const int>(0);
    held_[fs::path(work).filename().string()] = working;
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

void LayerCache::clean() {
  std::vector<fs::path> over;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::erase_if(held_, [](const auto& each) { return each.second.expired(); });
    std::error_code error;
    std::vector<fs::path> all;
    for (const auto& entry : fs::directory_iterator(folder_, error)) all.push_back(entry.path());
    for (const fs::path& path : all) {
      const std::string name = path.filename().string();
      if (held_.contains(name)) continue;
      // Under another name nobody finds it while it is removed, which takes its time.
      constexpr std::string_view kRemoving = "removing.";
      const fs::path moved = name.starts_with(kRemoving) ? path : path.parent_path() / (std::string(kRemoving) + name);
      std::error_code failed;
      fs::rename(path, moved, failed);
      if (!failed) over.push_back(moved);
    }
  }
  for (const fs::path& path : over) {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
}

Result<PreparedLayers> LayerCache::prepare(const std::vector<std::string>& layers, const std::string& merged) {
  PreparedLayers prepared;
  if (layers.empty()) return prepared;
  if (auto right = check_layers(layers); !right) return std::move(right.error());
  std::vector<std::string> folders;
  std::uint64_t bytes = 0;
  for (const std::string& layer : layers) {
    std::error_code error;
    if (fs::is_directory(layer, error)) {
      folders.push_back(layer);
    } else {
      auto folder = unpacked(layer, prepared);
      if (!folder) return std::move(folder.error());
      folders.push_back(std::move(*folder));
    }
    const auto size = bytes_below(folders.back());
    if (!size) return size.error();
    bytes += *size;
    if (bytes > kUnzippedBytesMax) {
      return failure("Unzipped size must be smaller than " + std::to_string(kUnzippedBytesMax) + " bytes");
    }
  }
  if (folders.size() == 1) {
    prepared.opt = folders.front();
    return prepared;
  }
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
  prepared.opt = merged;
  return prepared;
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
