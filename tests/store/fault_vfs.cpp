#include "fault_vfs.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <new>
#include <stdexcept>

namespace weir::test {
namespace {

std::string content_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace

void FaultVfs::Write::to(std::string& content) const {
  const auto begin = static_cast<std::size_t>(offset);
  if (bytes.empty()) {
    content.resize(begin);
    return;
  }
  content.resize(std::max(content.size(), begin + bytes.size()));
  content.replace(begin, bytes.size(), bytes);
}

FaultVfs* FaultVfs::Shim::owner_of(sqlite3_vfs* vfs) {
  return static_cast<Shim*>(vfs)->owner;
}

/// SQLite gives each file `szOsFile` bytes: this, and behind it the real one.
struct FaultVfs::File {
  sqlite3_file base;
  FaultVfs* owner;
  std::string* path;
  sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
  static File& of(sqlite3_file* file) { return *reinterpret_cast<File*>(file); }
};

FaultVfs::FaultVfs() : real_(sqlite3_vfs_find(nullptr)), vfs_{*real_, this} {
  vfs_.zName = "faults";
  vfs_.pNext = nullptr;
  vfs_.szOsFile = static_cast<int>(sizeof(File)) + real_->szOsFile;
  // The other functions of SQLite's own look at nothing but their arguments and pAppData, which is copied.
  vfs_.xOpen = &FaultVfs::open;
  vfs_.xDelete = &FaultVfs::remove;
  methods_.iVersion = 2;  // without memory mapped reads
  methods_.xClose = &FaultVfs::close;
  methods_.xWrite = &FaultVfs::write;
  methods_.xTruncate = &FaultVfs::truncate;
  methods_.xSync = &FaultVfs::sync;
  methods_.xRead = [](sqlite3_file* file, void* to, int amount, sqlite3_int64 offset) {
    auto* real = File::of(file).real();
    return real->pMethods->xRead(real, to, amount, offset);
  };
  methods_.xFileSize = [](sqlite3_file* file, sqlite3_int64* size) {
    auto* real = File::of(file).real();
    return real->pMethods->xFileSize(real, size);
  };
  methods_.xLock = [](sqlite3_file* file, int level) {
    auto* real = File::of(file).real();
    return real->pMethods->xLock(real, level);
  };
  methods_.xUnlock = [](sqlite3_file* file, int level) {
    auto* real = File::of(file).real();
    return real->pMethods->xUnlock(real, level);
  };
  methods_.xCheckReservedLock = [](sqlite3_file* file, int* result) {
    auto* real = File::of(file).real();
    return real->pMethods->xCheckReservedLock(real, result);
  };
  methods_.xFileControl = [](sqlite3_file* file, int what, void* argument) {
    // Growing a file beforehand would be a way to the disk that nobody counts.
    if (what == SQLITE_FCNTL_SIZE_HINT) return SQLITE_OK;
    auto* real = File::of(file).real();
    return real->pMethods->xFileControl(real, what, argument);
  };
  methods_.xSectorSize = [](sqlite3_file* file) {
    auto* real = File::of(file).real();
    return real->pMethods->xSectorSize(real);
  };
  methods_.xDeviceCharacteristics = [](sqlite3_file* file) {
    auto* real = File::of(file).real();
    return real->pMethods->xDeviceCharacteristics(real);
  };
  methods_.xShmMap = [](sqlite3_file* file, int page, int size, int extend, void volatile** memory) {
    auto* real = File::of(file).real();
    return real->pMethods->xShmMap(real, page, size, extend, memory);
  };
  methods_.xShmLock = [](sqlite3_file* file, int offset, int n, int flags) {
    auto* real = File::of(file).real();
    return real->pMethods->xShmLock(real, offset, n, flags);
  };
  methods_.xShmBarrier = [](sqlite3_file* file) {
    auto* real = File::of(file).real();
    real->pMethods->xShmBarrier(real);
  };
  methods_.xShmUnmap = [](sqlite3_file* file, int remove) {
    auto* real = File::of(file).real();
    return real->pMethods->xShmUnmap(real, remove);
  };
  sqlite3_vfs_register(&vfs_, 1);
}

FaultVfs::~FaultVfs() {
  sqlite3_vfs_unregister(&vfs_);
  sqlite3_vfs_register(real_, 1);
}

int FaultVfs::open(sqlite3_vfs* vfs, const char* path, sqlite3_file* file, int flags, int* out_flags) {
  FaultVfs* self = Shim::owner_of(vfs);
  File& opened = File::of(file);
  opened.base.pMethods = nullptr;
  const int status = self->real_->xOpen(self->real_, path, opened.real(), flags, out_flags);
  if (status != SQLITE_OK) return status;
  opened.owner = self;
  opened.path = new std::string(path == nullptr ? "" : path);
  opened.base.pMethods = &self->methods_;
  const std::lock_guard lock(self->mutex_);
  if (!self->disks_.contains(*opened.path)) {
    // What was there before counts as synced.
    self->disks_[*opened.path].synced = content_of(*opened.path);
    self->sizes_[*opened.path] = static_cast<std::int64_t>(self->disks_[*opened.path].synced.size());
  }
  return SQLITE_OK;
}

int FaultVfs::remove(sqlite3_vfs* vfs, const char* path, int sync_folder) {
  FaultVfs* self = Shim::owner_of(vfs);
  {
    const std::lock_guard lock(self->mutex_);
    if (self->fails(Call::kWrite)) return SQLITE_IOERR_DELETE;
    self->disks_.erase(path);
    self->sizes_.erase(path);
  }
  return self->real_->xDelete(self->real_, path, sync_folder);
}

int FaultVfs::close(sqlite3_file* file) {
  File& closed = File::of(file);
  delete closed.path;
  return closed.real()->pMethods->xClose(closed.real());
}

int FaultVfs::write(sqlite3_file* file, const void* bytes, int amount, sqlite3_int64 offset) {
  File& written = File::of(file);
  FaultVfs& self = *written.owner;
  const std::lock_guard lock(self.mutex_);
  std::int64_t& size = self.sizes_[*written.path];
  int status = self.fails(Call::kWrite) ? SQLITE_IOERR_WRITE : SQLITE_OK;
  if (status != SQLITE_OK && self.dead_) return status;
  const std::int64_t growth = std::max<std::int64_t>(0, offset + amount - size);
  if (status == SQLITE_OK && self.space_ && growth > 0) {
    std::int64_t used = 0;
    for (const auto& [path, bytes_of] : self.sizes_) used += bytes_of;
    if (used + growth > *self.space_) {
      self.has_failed_ = true;
      status = SQLITE_FULL;
    }
  }
  const int kept = status == SQLITE_OK ? amount : amount / 2;
  size = std::max<std::int64_t>(size, offset + kept);
  self.disks_[*written.path].since.push_back(
      {offset, std::string(static_cast<const char*>(bytes), static_cast<std::size_t>(kept))});
  const int done = written.real()->pMethods->xWrite(written.real(), bytes, kept, offset);
  return done != SQLITE_OK ? done : status;
}

int FaultVfs::truncate(sqlite3_file* file, sqlite3_int64 size) {
  File& cut = File::of(file);
  FaultVfs& self = *cut.owner;
  const std::lock_guard lock(self.mutex_);
  if (self.fails(Call::kWrite)) return SQLITE_IOERR_TRUNCATE;
  self.sizes_[*cut.path] = size;
  self.disks_[*cut.path].since.push_back({size, ""});
  return cut.real()->pMethods->xTruncate(cut.real(), size);
}

int FaultVfs::sync(sqlite3_file* file, int) {
  File& synced = File::of(file);
  FaultVfs& self = *synced.owner;
  const std::lock_guard lock(self.mutex_);
  Disk& disk = self.disks_[*synced.path];
  if (self.fails(Call::kSync)) {
    // A later sync does not make up for it, as on Linux: the kernel tells once, and takes the pages for written.
    disk.since.clear();
    return SQLITE_IOERR_FSYNC;
  }
  for (const Write& write : disk.since) write.to(disk.synced);
  disk.since.clear();
  if (self.last_sync_ && self.calls_[static_cast<int>(Call::kSync)] >= *self.last_sync_) self.dead_ = true;
  return SQLITE_OK;
}

bool FaultVfs::fails(Call call) {
  const int n = ++calls_[static_cast<int>(call)];
  if (order_ && order_->call == call && n == order_->n) {
    if (order_->for_ever) dead_ = true;
    has_failed_ = true;
    return true;
  }
  has_failed_ = has_failed_ || dead_;
  return dead_;
}

void FaultVfs::fail_once(Call call, int n) {
  heal();
  order_ = Order{call, n, false};
}

void FaultVfs::fail_from(Call call, int n) {
  heal();
  order_ = Order{call, n, true};
}

void FaultVfs::die_after_sync(int n) {
  last_sync_ = n;
}

void FaultVfs::limit_space(std::int64_t bytes) {
  heal();
  space_ = bytes;
}

std::int64_t FaultVfs::space_used() {
  const std::lock_guard lock(mutex_);
  std::int64_t used = 0;
  for (const auto& [path, size] : sizes_) used += size;
  return used;
}

void FaultVfs::heal() {
  const std::lock_guard lock(mutex_);
  order_.reset();
  last_sync_.reset();
  space_.reset();
  dead_ = false;
  has_failed_ = false;
  calls_[0] = calls_[1] = 0;
}

bool FaultVfs::has_failed() {
  const std::lock_guard lock(mutex_);
  return has_failed_;
}

int FaultVfs::syncs() {
  const std::lock_guard lock(mutex_);
  return calls_[static_cast<int>(Call::kSync)];
}

void FaultVfs::after_power_loss(const std::string& from, const std::string& to, Random* survivors) {
  const std::lock_guard lock(mutex_);
  std::filesystem::create_directories(to);
  for (const auto& [path, disk] : disks_) {
    if (!path.starts_with(from + "/")) continue;
    std::string content = disk.synced;
    for (const Write& write : disk.since) {
      if (survivors != nullptr && survivors->chance(0.5)) write.to(content);
    }
    std::ofstream(to + path.substr(from.size()), std::ios::binary | std::ios::trunc) << content;
  }
}

}  // namespace weir::test
