#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <sqlite3.h>

#include "weir/base/random.h"

namespace weir::test {

/// SQLite's way to the disk while this object lives: SQLite's own, but for the failures that are asked for. It knows
/// what was synced and what was only written, so that it can show the files as a power loss would leave them. Nothing
/// is really synced. One at a time.
class FaultVfs {
 public:
  enum class Call { kWrite, kSync };

  FaultVfs();
  ~FaultVfs();
  FaultVfs(const FaultVfs&) = delete;
  FaultVfs& operator=(const FaultVfs&) = delete;

  /// The n-th call of this kind from now on fails, n from 1; a write is cut off in its middle, and what a
  /// sync did not bring to the disk no later one does. kWrite counts everything that changes a file and is no sync.
  void fail_once(Call call, int n);
  /// From the n-th call of this kind on nothing is written or synced any more.
  void fail_from(Call call, int n);
  /// Power is lost right after the n-th sync: everything fails from then on. Goes together with fail_once().
  void die_after_sync(int n);
  /// Files may not grow beyond so many bytes, all together.
  void limit_space(std::int64_t bytes);
  std::int64_t space_used();
  void heal();
  /// Whether what was asked for has happened.
  bool has_failed();
  int syncs();

  /// Makes `to` what a power loss at this moment leaves of the files in `from`: what was synced and, of what was only
  /// written since, nothing or (with `survivors`) any part.
  void after_power_loss(const std::string& from, const std::string& to, Random* survivors);

 private:
  struct File;
  struct Shim : sqlite3_vfs {
    static FaultVfs* owner_of(sqlite3_vfs* vfs);
    FaultVfs* owner;
  };
  struct Write {
    std::int64_t offset;
    std::string bytes;  ///< empty: a truncation to the offset
    void to(std::string& content) const;
  };
  struct Disk {
    std::string synced;
    std::vector<Write> since;
  };
  struct Order {
    Call call;
    int n;
    bool for_ever;
  };

  static int open(sqlite3_vfs* vfs, const char* path, sqlite3_file* file, int flags, int* out_flags);
  static int remove(sqlite3_vfs* vfs, const char* path, int sync_folder);
  static int close(sqlite3_file* file);
  static int write(sqlite3_file* file, const void* bytes, int amount, sqlite3_int64 offset);
  static int truncate(sqlite3_file* file, sqlite3_int64 size);
  static int sync(sqlite3_file* file, int flags);
  bool fails(Call call);

  std::mutex mutex_;
  sqlite3_vfs* real_;
  Shim vfs_;
  sqlite3_io_methods methods_{};
  std::map<std::string, Disk> disks_;
  std::optional<Order> order_;
  std::optional<int> last_sync_;
  std::optional<std::int64_t> space_;
  std::map<std::string, std::int64_t> sizes_;
  int calls_[2] = {0, 0};
  bool dead_ = false;
  bool has_failed_ = false;
};

}  // namespace weir::test
