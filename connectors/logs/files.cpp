#include "connectors/logs/files.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
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

bool is_gone(const std::string& path, const FileId& id) {
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0) return id_of(status) != id;
  return is_absence(errno);
}

bool is_wild(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (std::string_view("*?[").find(text[i]) != std::string_view::npos) {
      return true;
    }
  }
  return false;
}

std::string without_backslashes(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) ++i;
    plain += text[i];
  }
  return plain;
}

/// What a folder has that a part of a pattern fits, in order. Of a folder that is not there, nothing.
std::vector<std::string> fitting_names(const std::string& folder, const std::string& part,
                                       std::map<std::string, std::string>& unreadable) {
  std::vector<std::string> names;
  const std::string folder_path = folder.empty()       ? "."
                                  : folder.size() == 1 ? folder
                                                       : folder.substr(0, folder.size() - 1);
  const auto close = [](DIR* open) { ::closedir(open); };
  const std::unique_ptr<DIR, decltype(close)> listing(::opendir(folder_path.c_str()), close);
  if (!listing) {
    if (!is_absence(errno)) unreadable.emplace(folder_path, std::strerror(errno));
    return names;
  }
  for (;;) {
    errno = 0;
    const dirent* const entry = ::readdir(listing.get());
    if (entry == nullptr) break;
    if (::fnmatch(part.c_str(), entry->d_name, FNM_PERIOD) == 0) names.emplace_back(entry->d_name);
  }
  if (errno != 0 && !is_absence(errno)) unreadable.emplace(folder_path, std::strerror(errno));
  std::ranges::sort(names);
  return names;
}

/// Appends the paths that a pattern may fit: those of names that were read, and those that it says itself, be they
/// there or not. Not glob(): what it could not look at behind a name without wildcards, it takes for absent.
/// `folder`: ends with a slash, or is empty.
void expand(std::string folder, std::string_view pattern, std::vector<std::string>& paths,
            std::map<std::string, std::string>& unreadable) {
  for (;;) {
    const std::size_t slash = pattern.find('/');
    const std::string part(pattern.substr(0, slash));
    const bool last = slash == std::string_view::npos;
    if (!last) pattern.remove_prefix(slash + 1);
    if (is_wild(part)) {
      for (const std::string& name : fitting_names(folder, part, unreadable)) {
        if (last) {
          paths.push_back(folder + name);
        } else {
          expand(folder + name + "/", pattern, paths, unreadable);
        }
      }
      return;
    }
    folder += without_backslashes(part);
    if (last) {
      paths.push_back(std::move(folder));
      return;
    }
    folder += '/';
  }
}

}  // namespace

Look look_for(const std::vector<std::string>& patterns, const std::map<FileId, std::string>& known,
              std::size_t open_max) {
  Look look;
  std::vector<std::string> paths;
  for (const std::string& pattern : patterns) expand("", pattern, paths, look.unreadable);
  std::set<FileId> once;
  std::size_t opened_files = 0;
  for (std::string& path : paths) {
    SeenFile file;
    file.path = std::move(path);
    struct stat status {};
    if (::stat(file.path.c_str(), &status) != 0) {
      if (!is_absence(errno)) look.hidden.emplace(file.path, std::strerror(errno));
      continue;
    }
    if (!S_ISREG(status.st_mode)) continue;
    file.id = id_of(status);
    file.size = static_cast<std::uint64_t>(status.st_size);
    file.written = from_epoch_milliseconds(status.st_mtim.tv_sec * 1000 + status.st_mtim.tv_nsec / 1'000'000);
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
  for (const auto& [id, path] : known) {
    if (!once.contains(id) && !look.unreadable.contains(folder_of(path)) && is_gone(path, id)) look.gone.push_back(id);
  }
  return look;
}

FoundBeside find_beside(const std::string& folder, const std::vector<MissedFile>& missed) {
  FoundBeside found;
  std::map<std::uint64_t, std::set<std::string>> former_names;
  for (const MissedFile& each : missed) {
    former_names[each.inode].insert(each.path);
    struct stat status {};
    if (::stat(each.path.c_str(), &status) != 0 && !is_absence(errno)) found.uncertain.insert(each.path);
  }
  std::error_code failed;
  std::filesystem::directory_iterator entry(folder, failed);
  for (const std::filesystem::directory_iterator end; !failed && entry != end; entry.increment(failed)) {
    const std::string name = entry->path().string();
    struct stat status {};
    if (::stat(name.c_str(), &status) != 0) {
      if (!is_absence(errno)) found.certain = false;
      continue;
    }
    const std::uint64_t inode = id_of(status).inode;
    const auto wanted = former_names.find(inode);
    if (wanted == former_names.end() || wanted->second.contains(name) || !S_ISREG(status.st_mode)) continue;
    auto opened = OpenFile::open(name);
    if (!opened) {
      if (opened.error().code() != ErrorCode::kSourceNotFound) found.certain = false;
      continue;
    }
    if ((*opened)->id().inode == inode) found.files.push_back(std::move(*opened));
  }
  if (failed && !is_absence(failed.value())) found.certain = false;
  return found;
}

std::string pattern_of(const std::string& path) {
  std::string pattern;
  for (const char c : path) {
    if (std::string_view("*?[\\").find(c) != std::string_view::npos) pattern += '\\';
    pattern += c;
  }
  return pattern;
}

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace weir::logs
