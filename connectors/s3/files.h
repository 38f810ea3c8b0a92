#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "weir/base/error.h"

// What is asked of a file system. Everything here blocks, and is called on the executor for that.
namespace weir::s3 {

/// A file's content as far as it can be told without reading it.
struct Stamp {
  std::int64_t size = 0;
  std::int64_t modified_ns = 0;
  std::uint64_t inode = 0;

  bool operator==(const Stamp&) const = default;
};

/// Which folder it is, whatever its path.
struct FolderId {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;

  bool operator==(const FolderId&) const = default;
};
std::optional<FolderId> folder_id(const std::string& path);

/// What a folder holds: files (also by way of symbolic links to files) and folders. Links to folders, devices, pipes
/// and sockets are not listed.
class Listing {
 public:
  struct Entry {
    std::string name;
    bool folder = false;
    Stamp stamp;                  ///< of a file
    std::int64_t changed_ns = 0;  ///< of a file: when anything of it changed, its name too
  };

  /// Errors: source.not_found, source.failed.
  static Result<std::shared_ptr<Listing>> open(const std::string& path);
  ~Listing();
  Listing(const Listing&) = delete;
  Listing& operator=(const Listing&) = delete;

  /// The next ones, after having looked at so many; sets `end` when there are no more.
  std::vector<Entry> next(std::size_t looked_at_max, bool& end);

 private:
  struct Stream;
  explicit Listing(std::unique_ptr<Stream> stream);
  std::unique_ptr<Stream> stream_;
};

/// One file that is looked at and digested, in pieces.
class OpenFile {
 public:
  enum class Writer { kNone, kPresent, kUnknown };

  /// Only a regular file is opened. Error: source.not_found when there is none; source.refused when it may not or
  /// cannot be read; source.failed when it may go well later (no descriptors left).
  static Result<std::shared_ptr<OpenFile>> open(const std::string& path);
  ~OpenFile();
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  /// As it was at open(), or at the latest begin().
  const Stamp& stamp() const { return stamp_; }
  /// Whether anybody has it open for writing; only its owner and who has CAP_LEASE is told, on a file system that
  /// knows.
  Writer writer();

  /// Begins to read it as it is now.
  Result<void> begin();
  /// Reads on, at most so many bytes. True when the end was reached.
  Result<bool> read(std::size_t bytes_max);
  /// Whether what was read is what begin() found, so that etag() belongs to stamp().
  bool unchanged();
  /// The MD5 of what was read, in hexadecimal digits. Once.
  std::string etag();

 private:
  struct Digest;
  explicit OpenFile(int descriptor);

  int descriptor_;
  Stamp stamp_;
  std::int64_t read_ = 0;
  std::unique_ptr<Digest> digest_;
};

}  // namespace weir::s3
