#include "connectors/logs/files.h"

#include <cerrno>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

namespace weir::logs {
namespace {

FileId id_of(const struct stat& status) {
  return {static_cast<std::uint64_t>(status.st_dev), static_cast<std::uint64_t>(status.st_ino)};
}

Error failure(const std::string& what, int number) {
  const ErrorCode code = number == ENOENT || number == ENOTDIR ? ErrorCode::kSourceNotFound
                         : number == EACCES || number == EPERM ? ErrorCode::kSourceRefused
                                                               : ErrorCode::kSourceFailed;
  return {code, what + ": " + std::strerror(number)};
}

}  // namespace

Result<std::shared_ptr<OpenFile>> OpenFile::open(const std::string& path) {
  // Without waiting, for a pipe of that name would wait for its writer.
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (descriptor < 0) return failure(path, errno);
  struct stat status {};
  if (::fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(descriptor);
    return Error(ErrorCode::kSourceRefused, path + ": is no regular file");
  }
  return std::shared_ptr<OpenFile>(new OpenFile(descriptor, id_of(status)));
}

OpenFile::~OpenFile() {
  ::close(descriptor_);
}

Result<std::uint64_t> OpenFile::size() const {
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) return failure("the file's size", errno);
  return static_cast<std::uint64_t>(status.st_size);
}

Result<std::string> OpenFile::read(std::uint64_t position, std::size_t bytes_max) const {
  std::string bytes(bytes_max, '\0');
  std::size_t filled = 0;
  while (filled < bytes_max) {
    const ssize_t got =
        ::pread(descriptor_, bytes.data() + filled, bytes_max - filled, static_cast<off_t>(position + filled));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failure("reading", errno);
    if (got == 0) break;
    filled += static_cast<std::size_t>(got);
  }
  bytes.resize(filled);
  return bytes;
}

std::vector<SeenFile> look_for(const std::vector<std::string>& patterns, const std::set<FileId>& known) {
  std::vector<SeenFile> seen;
  std::set<FileId> once;
  for (const std::string& pattern : patterns) {
    glob_t found{};
    if (::glob(pattern.c_str(), 0, nullptr, &found) == 0) {
      for (std::size_t i = 0; i < found.gl_pathc; ++i) {
        SeenFile file;
        file.path = found.gl_pathv[i];
        struct stat status {};
        if (::stat(file.path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) continue;
        file.id = id_of(status);
        file.size = static_cast<std::uint64_t>(status.st_size);
        if (!once.insert(file.id).second) continue;
        if (!known.contains(file.id)) {
          auto opened = OpenFile::open(file.path);
          if (!opened) {
            if (opened.error().code() == ErrorCode::kSourceNotFound) continue;  // gone meanwhile
            file.unreadable = opened.error().message();
          } else if ((*opened)->id() != file.id) {
            continue;  // another took its name; the next look finds both
          } else {
            file.file = std::move(*opened);
          }
        }
        seen.push_back(std::move(file));
      }
    }
    ::globfree(&found);
  }
  return seen;
}

std::shared_ptr<OpenFile> find_beside(const std::string& path, const FileId& id) {
  std::error_code failed;
  for (std::filesystem::directory_iterator entry(folder_of(path), failed), end; !failed && entry != end;
       entry.increment(failed)) {
    struct stat status {};
    if (::stat(entry->path().c_str(), &status) != 0 || id_of(status) != id) continue;
    auto opened = OpenFile::open(entry->path().string());
    if (opened && (*opened)->id() == id) return std::move(*opened);
  }
  return nullptr;
}

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace weir::logs
