#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "weir/base/error.h"

// What is asked of a file system. Everything here blocks, and is called on the executor for that.
namespace weir::logs {

/// Which file it is, whatever its name.
struct FileId {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;

  auto operator<=>(const FileId&) const = default;
};

/// A file that is read on. It goes on to be there when its name is gone.
class OpenFile {
 public:
  /// Only a regular file. Errors: source.not_found; source.refused when it may not be read; source.failed.
  static Result<std::shared_ptr<OpenFile>> open(const std::string& path);
  ~OpenFile();
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  const FileId& id() const { return id_; }
  Result<std::uint64_t> size() const;
  /// At most so many bytes; fewer only at the end.
  Result<std::string> read(std::uint64_t position, std::size_t bytes_max) const;

 private:
  OpenFile(int descriptor, FileId id) : descriptor_(descriptor), id_(id) {}

  int descriptor_;
  FileId id_;
};

/// A file that a pattern fits.
struct SeenFile {
  std::string path;
  FileId id;
  std::uint64_t size = 0;
  std::shared_ptr<OpenFile> file;  ///< of one that was not known
  std::string unreadable;          ///< why it has none
};

/// The regular files that any of the patterns fits, each once, opened unless `known`.
std::vector<SeenFile> look_for(const std::vector<std::string>& patterns, const std::set<FileId>& known);

/// The file of that id beside `path`, under whatever name: where rotation leaves it. Null when it is not there.
std::shared_ptr<OpenFile> find_beside(const std::string& path, const FileId& id);

/// The folder of a path.
std::string folder_of(const std::string& path);

}  // namespace weir::logs
