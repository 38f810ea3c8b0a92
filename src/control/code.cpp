#include "control/code.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <system_error>

#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include "weir/base/bytes.h"
#include "weir/base/json_check.h"
#include "weir/base/random.h"

#include "package/archive.h"
#include "service/json_text.h"

namespace weir::control {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kZip = ".zip";
constexpr std::string_view kHalf = ".new-";  // no function has such a name

Error failed(const std::string& what, const std::error_code& error) {
  const bool full = error == std::errc::no_space_on_device;
  return {full ? ErrorCode::kStoreFull : ErrorCode::kStoreFailed, what + ": " + error.message()};
}

std::error_code last_error() {
  return {errno, std::generic_category()};
}

/// Everything that was written to the folder's file system is on disk when it returns.
Result<void> sync(const std::string& folder) {
  const int file = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = file >= 0 && ::syncfs(file) == 0;
  const std::error_code error = last_error();
  if (file >= 0) ::close(file);
  if (!synced) return failed("cannot write code to disk", error);
  return {};
}

bool write_file(const std::string& path, std::string_view bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  return static_cast<bool>(file.flush());
}

/// A folder that is removed unless it becomes something.
class HalfMade {
 public:
  explicit HalfMade(std::string path) : path_(std::move(path)) {}
  ~HalfMade() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  HalfMade(const HalfMade&) = delete;
  HalfMade& operator=(const HalfMade&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::uint64_t bytes_below(const fs::path& folder) {
  std::uint64_t bytes = 0;
  std::error_code error;
  for (auto it = fs::recursive_directory_iterator(folder, error); !error && it != fs::recursive_directory_iterator();
       it.increment(error)) {
    std::error_code gone;
    if (it->is_regular_file(gone) && !it->is_symlink(gone)) bytes += it->file_size(gone);
  }
  return bytes;
}

/// A digest of the names, kinds and permissions of all files in a folder, and of what is in them.
Result<std::string> hash_of_tree(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> all;
  for (auto it = fs::recursive_directory_iterator(folder, error); !error && it != fs::recursive_directory_iterator();
       it.increment(error)) {
    all.push_back(it->path());
  }
  if (error) return failed("cannot read code", error);
  std::sort(all.begin(), all.end());
  std::string list;
  for (const fs::path& path : all) {
    const fs::file_status status = fs::symlink_status(path, error);
    list += path.lexically_relative(folder).string() + '\0' + std::to_string(static_cast<int>(status.type())) + ' ' +
            std::to_string(static_cast<unsigned>(status.permissions())) + ' ';
    if (fs::is_symlink(status)) {
      list += fs::read_symlink(path, error).string();
    } else if (fs::is_regular_file(status)) {
      std::ifstream file(path, std::ios::binary);
      const std::string bytes{std::istreambuf_iterator<char>(file), {}};
      if (!file.is_open() || file.bad()) return failed("cannot read code", std::make_error_code(std::errc::io_error));
      list += sha256_of(bytes);
    }
    list += '\0';
  }
  return sha256_of(list);
}

LambdaError too_large(std::string message) {
  return {413, "RequestEntityTooLargeException", std::move(message)};
}

}  // namespace

std::string sha256_of(std::string_view bytes) {
  std::string digest(EVP_MAX_MD_SIZE, '\0');
  unsigned size = 0;
  const int done = EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(digest.data()), &size,
                              EVP_sha256(), nullptr);
  WEIR_ASSERT(done == 1);
  digest.resize(size);
  return digest;
}

std::string hex_of(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text += kDigits[byte >> 4U];
    text += kDigits[byte & 15U];
  }
  return text;
}

Upload take_zip(std::string body) {
  Upload upload;
  upload.body = std::move(body);
  if (!is_json(upload.body)) return upload;  // whoever reads it says so
  auto found = service::member_of(upload.body, "ZipFile");
  if (const auto code = service::member_of(upload.body, "Code"); !found && code) {
    found = service::member_of(*code, "ZipFile");
  }
  if (const auto content = service::member_of(upload.body, "Content"); !found && content) {
    found = service::member_of(*content, "ZipFile");
  }
  if (!found || !found->starts_with('"')) return upload;
  auto zip = decode_base64(service::decoded(*found));
  upload.body.replace(static_cast<std::size_t>(found->data() - upload.body.data()), found->size(), "\"zip\"");
  if (!zip) {
    upload.error = LambdaError(400, "InvalidRequestContentException",
                               "Could not parse request body into json: ZipFile is not in base64.");
  } else if (zip->size() > kMaxZipped) {
    upload.error = too_large("Zipped size must be smaller than " + std::to_string(kMaxZipped) + " bytes");
  } else {
    Code code;
    append_base64(code.sha256, sha256_of(*zip));
    code.size = static_cast<std::int64_t>(zip->size());
    upload.code = std::move(code);
    upload.zip = std::move(*zip);
  }
  return upload;
}

std::string CodeFolder::key(std::string_view function, std::string_view sha256) {
  return std::string(function) + "/" + hex_of(decode_base64(sha256).value_or(""));
}

std::string CodeFolder::folder(std::string_view function, std::string_view sha256) const {
  return root_ + "/" + key(function, sha256);
}

Result<void> CodeFolder::add(const std::string& function, const Code& code, std::string_view bytes) const {
  const std::string place = folder(function, code.sha256);
  std::error_code error;
  if (fs::exists(place, error) && fs::exists(zip(function, code.sha256), error)) return {};
  const HalfMade made(root_ + "/" + std::string(kHalf) + Random(seed_from_system()).uuid());
  const std::string unpacked = made.path() + "/code";
  const std::string packed = made.path() + "/zip";
  fs::create_directories(root_ + "/" + function, error);
  if (!error) fs::create_directories(unpacked, error);
  if (error) return failed("cannot make a folder for code", error);
  if (auto done = package::unzip(bytes, unpacked, kMaxUnzipped); !done) return std::move(done.error());
  if (fs::is_empty(unpacked, error)) {
    return Error(ErrorCode::kEndpointFailed, "Uploaded file must be a non-empty zip");
  }
  if (!write_file(packed, bytes)) return failed("cannot write code", last_error());
  if (auto synced = sync(made.path()); !synced) return synced;
  fs::remove_all(place, error);
  fs::rename(unpacked, place, error);
  if (!error) fs::rename(packed, zip(function, code.sha256), error);
  if (error) return failed("cannot put code in its place", error);
  return sync(root_ + "/" + function);
}

Result<std::uint64_t> CodeFolder::try_out(std::string_view bytes) const {
  const HalfMade made(root_ + "/" + std::string(kHalf) + Random(seed_from_system()).uuid());
  std::error_code error;
  fs::create_directories(made.path(), error);
  if (error) return failed("cannot make a folder for code", error);
  auto size = package::unzip(bytes, made.path(), kMaxUnzipped);
  if (size && fs::is_empty(made.path(), error)) {
    return Error(ErrorCode::kEndpointFailed, "Uploaded file must be a non-empty zip");
  }
  return size;
}

std::uint64_t CodeFolder::bytes_of(const std::vector<std::pair<std::string, std::string>>& codes) const {
  std::uint64_t bytes = 0;
  for (const auto& [owner, sha256] : codes) {
    bytes += bytes_below(folder(owner, sha256));
  }
  return bytes;
}

Result<Code> CodeFolder::take_over(const std::string& function, const std::string& from) const {
  std::error_code error;
  const fs::path source = fs::canonical(from, error);
  const fs::path state = fs::weakly_canonical(root_, error);
  const auto [end, ignored] = std::mismatch(source.begin(), source.end(), state.begin(), state.end());
  if (end == source.end()) {
    return Error(ErrorCode::kEndpointFailed,
                 "The function has no code folder of its own, of which a version could be made: its directory holds "
                 "weir's state folder, too. Give it a directory.");
  }
  const HalfMade made(root_ + "/" + std::string(kHalf) + Random(seed_from_system()).uuid());
  const std::string copy = made.path() + "/code";
  fs::create_directories(made.path(), error);
  fs::create_directories(root_ + "/" + function, error);
  if (error) return failed("cannot make a folder for code", error);
  const std::uint64_t bytes = bytes_below(source);
  if (bytes > kMaxUnzipped) {
    return Error(ErrorCode::kEndpointFailed,
                 "Unzipped size must be smaller than " + std::to_string(kMaxUnzipped) + " bytes");
  }
  fs::copy(source, copy, fs::copy_options::recursive | fs::copy_options::copy_symlinks, error);
  if (error) return Error(ErrorCode::kEndpointFailed, "The code folder cannot be read: " + error.message());
  // Of the copy: the folder may change meanwhile.
  auto hash = hash_of_tree(copy);
  if (!hash) return std::move(hash.error());
  Code code;
  append_base64(code.sha256, *hash);
  code.size = static_cast<std::int64_t>(bytes);
  const std::string place = folder(function, code.sha256);
  if (fs::is_directory(place, error)) return code;
  if (auto synced = sync(made.path()); !synced) return std::move(synced.error());
  fs::rename(copy, place, error);
  if (error) return failed("cannot put code in its place", error);
  if (auto synced = sync(root_ + "/" + function); !synced) return std::move(synced.error());
  return code;
}

bool CodeFolder::restore(const std::string& function, const std::string& sha256) const {
  std::error_code error;
  if (fs::is_directory(folder(function, sha256), error)) return true;
  std::ifstream file(zip(function, sha256), std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  Code code;
  append_base64(code.sha256, sha256_of(bytes));
  return code.sha256 == sha256 && add(function, code, bytes).has_value();
}

void CodeFolder::remove(const std::string& name_and_hash) const {
  std::error_code ignored;
  const fs::path place = root_ + "/" + name_and_hash;
  fs::remove(file(name_and_hash), ignored);
  fs::remove_all(place, ignored);
  fs::remove(place.parent_path(), ignored);  // when it was the last of its function
}

void CodeFolder::keep_only(const std::set<std::string>& wanted) const {
  std::error_code error;
  std::set<std::string> others;
  for (const auto& function : fs::directory_iterator(root_, error)) {
    const std::string name = function.path().filename().string();
    if (name.starts_with(kHalf)) {
      std::error_code ignored;
      fs::remove_all(function.path(), ignored);
      continue;
    }
    std::error_code unreadable;
    for (const auto& code : fs::directory_iterator(function.path(), unreadable)) {
      std::string key = name + "/" + code.path().filename().string();
      if (key.ends_with(kZip)) key.resize(key.size() - kZip.size());
      if (!wanted.contains(key)) others.insert(key);
    }
  }
  for (const std::string& other : others) remove(other);
}

}  // namespace weir::control
