#include "connectors/s3/files.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include <dirent.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

namespace weir::s3 {
namespace {

constexpr std::size_t kBufferBytes = 64 * 1024;

std::int64_t nanoseconds(const struct timespec& time) {
  return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

Stamp stamp_of(const struct stat& status) {
  return {static_cast<std::int64_t>(status.st_size), nanoseconds(status.st_mtim), status.st_ino};
}

/// Messages name no path: the key says which file it is.
Error failure(int error, std::string_view doing) {
  std::string message = std::string(doing) + ": " + std::strerror(error);
  switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
    case ENXIO:
    case ESTALE:
      return Error(ErrorCode::kSourceNotFound, std::move(message));
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EINTR:
    case EAGAIN:
      return Error(ErrorCode::kSourceFailed, std::move(message));
    default:
      return Error(ErrorCode::kSourceRefused, std::move(message));
  }
}

}  // namespace

std::optional<FolderId> folder_id(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  return FolderId{status.st_dev, status.st_ino};
}

struct Listing::Stream {
  explicit Stream(DIR* stream) : dir(stream) {}
  ~Stream() { ::closedir(dir); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  DIR* dir;
};

Listing::Listing(std::unique_ptr<Stream> stream) : stream_(std::move(stream)) {}
Listing::~Listing() = default;

Result<std::shared_ptr<Listing>> Listing::open(const std::string& path) {
  DIR* dir = ::opendir(path.c_str());
  if (dir == nullptr) return failure(errno, "listing");
  return std::shared_ptr<Listing>(new Listing(std::make_unique<Stream>(dir)));
}

std::vector<Listing::Entry> Listing::next(std::size_t looked_at_max, bool& end) {
  std::vector<Entry> entries;
  const int folder = ::dirfd(stream_->dir);
  for (std::size_t i = 0; i < looked_at_max; ++i) {
    const dirent* found = ::readdir(stream_->dir);
    if (found == nullptr) {
      end = true;
      break;
    }
    const std::string_view name = found->d_name;
    if (name == "." || name == "..") continue;
    struct stat status {};
    if (::fstatat(folder, found->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) continue;  // gone since
    const bool link = S_ISLNK(status.st_mode);
    if (link && ::fstatat(folder, found->d_name, &status, 0) != 0) continue;  // leads nowhere
    // Folders are entered by their own names only, so no loop of links can be walked.
    if (S_ISDIR(status.st_mode) && !link) {
      entries.push_back({std::string(name), true, {}, 0});
    } else if (S_ISREG(status.st_mode)) {
      entries.push_back({std::string(name), false, stamp_of(status), nanoseconds(status.st_ctim)});
    }
  }
  return entries;
}

struct OpenFile::Digest {
  Digest() : context(EVP_MD_CTX_new()) {
    WEIR_ASSERT(context != nullptr && EVP_DigestInit_ex(context, EVP_md5(), nullptr) == 1);
  }
  ~Digest() { EVP_MD_CTX_free(context); }
  Digest(const Digest&) = delete;
  Digest& operator=(const Digest&) = delete;
  EVP_MD_CTX* context;
};

OpenFile::OpenFile(int descriptor) : descriptor_(descriptor) {}

OpenFile::~OpenFile() {
  ::close(descriptor_);
}

Result<std::shared_ptr<OpenFile>> OpenFile::open(const std::string& path) {
  // Looked at first: opening a pipe or a device can have effects.
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return failure(errno, "looking at it");
  if (!S_ISREG(status.st_mode)) return Error(ErrorCode::kSourceNotFound, "it is no file");
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (descriptor < 0) return failure(errno, "opening it");
  std::shared_ptr<OpenFile> file(new OpenFile(descriptor));
  if (::fstat(descriptor, &status) != 0) return failure(errno, "looking at it");
  if (!S_ISREG(status.st_mode)) return Error(ErrorCode::kSourceNotFound, "it is no file");
  file->stamp_ = stamp_of(status);
  return file;
}

OpenFile::Writer OpenFile::writer() {
  // A read lease is given only while nobody writes. Who opens the file for writing in the moment that we hold it waits
  // for its end, and we are sent a signal: by default one that ends the process, so another is asked for.
  if (::fcntl(descriptor_, F_SETSIG, SIGURG) != 0) return Writer::kUnknown;
  if (::fcntl(descriptor_, F_SETLEASE, F_RDLCK) == 0) {
    ::fcntl(descriptor_, F_SETLEASE, F_UNLCK);
    return Writer::kNone;
  }
  return errno == EAGAIN ? Writer::kPresent : Writer::kUnknown;
}

Result<void> OpenFile::begin() {
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0 || ::lseek(descriptor_, 0, SEEK_SET) != 0)
    return failure(errno, "looking at it");
  stamp_ = stamp_of(status);
  read_ = 0;
  digest_ = std::make_unique<Digest>();
  return {};
}

Result<bool> OpenFile::read(std::size_t bytes_max) {
  std::array<char, kBufferBytes> buffer;
  for (std::size_t taken = 0; taken < bytes_max;) {
    const ssize_t got = ::read(descriptor_, buffer.data(), std::min(buffer.size(), bytes_max - taken));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failure(errno, "reading it");
    if (got == 0) return true;
    WEIR_ASSERT(EVP_DigestUpdate(digest_->context, buffer.data(), static_cast<std::size_t>(got)) == 1);
    taken += static_cast<std::size_t>(got);
    read_ += got;
    // A file that grows as fast as it is read has no end to wait for.
    if (read_ > stamp_.size) return true;
  }
  return false;
}

bool OpenFile::unchanged() {
  struct stat status {};
  return read_ == stamp_.size && ::fstat(descriptor_, &status) == 0 && stamp_of(status) == stamp_;
}

std::string OpenFile::etag() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int bytes = 0;
  WEIR_ASSERT(EVP_DigestFinal_ex(digest_->context, digest.data(), &bytes) == 1);
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string text;
  for (unsigned int i = 0; i < bytes; ++i) text += {kHex[digest[i] >> 4U], kHex[digest[i] & 15U]};
  return text;
}

}  // namespace weir::s3
