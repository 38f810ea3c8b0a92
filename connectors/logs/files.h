#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "weir/base/error.h"
#include "weir/base/time.h"

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
  /// Fills `into`, and says how much of it: less than all only at the end.
  Result<std::size_t> read(std::uint64_t position, std::span<char> into) const;
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
  WallTime written{};              ///< when it was written last
  std::shared_ptr<OpenFile> file;  ///< of one that was not known, if it could be opened and there was room
  std::string unreadable;          ///< why it could not be opened
};

/// What one look at the folders gave.
struct Look {
  std::vector<SeenFile> files;
  /// Known files that are no longer where they were seen, nor anywhere else. One of a folder that could not be read is
  /// not among them: what is not seen there may be there all the same.
  std::vector<FileId> gone;
  std::map<std::string, std::string> unreadable;  ///< folders that could not be read, and why
  std::map<std::string, std::string> hidden;      ///< paths that a pattern fits and nobody could look at, and why
};

/// The regular files that any of the patterns fits (`*`, `?`, `[...]` and backslashes before them, as a shell has
/// them), each once, a pattern's in the order of their names. Those that are not `known` are opened, at most `open_max`
/// of them. `known`: files by where they were seen last.
Look look_for(const std::vector<std::string>& patterns, const std::map<FileId, std::string>& known,
              std::size_t open_max);

/// A file that a pattern finds no more.
struct MissedFile {
  std::string path;  ///< where it was
  std::uint64_t inode = 0;
};
/// What was found of files that may have another name.
struct FoundBeside {
  std::vector<std::shared_ptr<OpenFile>> files;  ///< with one of the inodes
  bool certain = true;                           ///< that there are no more of them: everything could be looked at
  std::set<std::string> uncertain;               ///< paths of missed files that may be there all the same
};
/// Looks for files of one folder under other names there: where rotation leaves them.
FoundBeside find_beside(const std::string& folder, const std::vector<MissedFile>& missed);

/// A pattern that fits this path alone.
std::string pattern_of(const std::string& path);

/// The folder of a path.
std::string folder_of(const std::string& path);

}  // namespace weir::logs
