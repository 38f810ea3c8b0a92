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

Result<std::size_t> OpenFile::read(std::uint64_t position, std::span<char> into) const {
  std::size_t filled = 0;
  while (filled < into.size()) {
    const ssize_t got =
        ::pread(descriptor_, into.data() + filled, into.size() - filled, static_cast<off_t>(position + filled));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failure("reading", errno);
    if (got == 0) break;
    filled += static_cast<std::size_t>(got);
  }
  return filled;
}

Result<std::string> OpenFile::read(std::uint64_t position, std::size_t bytes_max) const {
  std::string bytes(bytes_max, '\0');
  const auto filled = read(position, std::span<char>(bytes));
  if (!filled) return filled.error();
  bytes.resize(*filled);
  return bytes;
}

namespace {

bool is_absence(int number) {
  return number == ENOENT || number == ENOTDIR;
}

/// Where glob() tells of folders that it cannot read: it takes no pointer along.
thread_local std::map<std::string, std::string>* unreadable_folders = nullptr;

int on_unreadable(const char* folder, int number) {
  if (!is_absence(number)) unreadable_folders->emplace(folder, std::strerror(number));
  return 0;  // go on with the others
}

bool is_gone(const std::string& path, const FileId& id) {
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0) return id_of(status) != id;
  return is_absence(errno);
}

}  // namespace

Look look_for(const std::vector<std::string>& patterns, const std::map<FileId, std::string>& known,
              std::size_t open_max) {
  Look look;
  std::set<FileId> once;
  std::size_t opened_files = 0;
  bool all_seen = true;
  unreadable_folders = &look.unreadable;
  for (const std::string& pattern : patterns) {
    glob_t found{};
    const int answer = ::glob(pattern.c_str(), 0, &on_unreadable, &found);
    if (answer != 0 && answer != GLOB_NOMATCH) all_seen = false;
    for (std::size_t i = 0; answer == 0 && i < found.gl_pathc; ++i) {
      SeenFile file;
      file.path = found.gl_pathv[i];
      struct stat status {};
      if (::stat(file.path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) continue;
      file.id = id_of(status);
      file.size = static_cast<std::uint64_t>(status.st_size);
      if (!once.insert(file.id).second) continue;
      if (!known.contains(file.id) && opened_files < open_max) {
        auto opened = OpenFile::open(file.path);
        if (!opened) {
          if (opened.error().code() == ErrorCode::kSourceNotFound) continue;  // gone meanwhile
          file.unreadable = opened.error().message();
        } else if ((*opened)->id() != file.id) {
          continue;  // another took its name; the next look finds both
        } else {
          file.file = std::move(*opened);
          ++opened_files;
        }
      }
      look.files.push_back(std::move(file));
    }
    ::globfree(&found);
  }
  unreadable_folders = nullptr;
  for (const auto& [id, path] : known) {
    if (all_seen && !once.contains(id) && !look.unreadable.contains(folder_of(path)) && is_gone(path, id))
      look.gone.push_back(id);
  }
  return look;
}

FoundBeside find_beside(const std::string& path, std::uint64_t inode,
                        const std::function<bool(const OpenFile&)>& is_it) {
  FoundBeside found;
  std::error_code failed;
  std::filesystem::directory_iterator entry(folder_of(path), failed);
  for (const std::filesystem::directory_iterator end; !failed && entry != end; entry.increment(failed)) {
    const std::string name = entry->path().string();
    if (name == path) continue;
    struct stat status {};
    if (::stat(name.c_str(), &status) != 0) {
      if (!is_absence(errno)) found.certain = false;
      continue;
    }
    if (id_of(status).inode != inode || !S_ISREG(status.st_mode)) continue;
    auto opened = OpenFile::open(name);
    if (!opened) {
      if (opened.error().code() != ErrorCode::kSourceNotFound) found.certain = false;
      continue;
    }
    if ((*opened)->id().inode != inode || !is_it(**opened)) continue;
    found.file = std::move(*opened);
    return found;
  }
  if (failed && !is_absence(failed.value())) found.certain = false;
  return found;
}

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace weir::logs
