#include "package/archive.h"

#include <filesystem>
#include <memory>
#include <system_error>

#include <locale.h>

#include "package/libarchive.h"

namespace weir::package {

namespace {

namespace fs = std::filesystem;

/// Files of no bytes count too.
constexpr std::size_t kEntriesMax = 100'000;
constexpr std::size_t kBlockBytes = 65'536;

/// Once it is known to be there.
const Libarchive& libarchive() {
  return **Libarchive::get();
}

struct FreeReader {
  void operator()(struct archive* reader) const { libarchive().read_free(reader); }
};
struct FreeWriter {
  void operator()(struct archive* writer) const { libarchive().write_free(writer); }
};
using Reader = std::unique_ptr<struct archive, FreeReader>;
using Writer = std::unique_ptr<struct archive, FreeWriter>;

Error unreadable() {
  return {ErrorCode::kEndpointFailed,
          "Could not unzip uploaded file. Please check your file, then try to upload again."};
}

Error too_large(std::uint64_t bytes_max) {
  return {ErrorCode::kEndpointFailed, "Unzipped size must be smaller than " + std::to_string(bytes_max) + " bytes"};
}

Error refused(const std::string& name, const char* why) {
  return {ErrorCode::kEndpointFailed, "the zip's entry " + name + " " + why};
}

/// Names that say that they are UTF-8 come out as the thread's locale has them, and weir's own, "C", has only ASCII.
class Utf8Names {
 public:
  Utf8Names() : locale_(::newlocale(LC_CTYPE_MASK, "C.UTF-8", locale_t())) {
    if (locale_ != locale_t()) before_ = ::uselocale(locale_);
  }
  ~Utf8Names() {
    if (locale_ == locale_t()) return;
    ::uselocale(before_);
    ::freelocale(locale_);
  }
  Utf8Names(const Utf8Names&) = delete;
  Utf8Names& operator=(const Utf8Names&) = delete;

 private:
  locale_t locale_;
  locale_t before_{};
};

bool leads_out(const fs::path& path) {
  const fs::path normal = path.lexically_normal();
  return normal.is_absolute() || (!normal.empty() && *normal.begin() == "..");
}

Reader make_reader() {
  Reader reader(libarchive().read_new());
  libarchive().read_support_format_zip(reader.get());
  return reader;
}

/// Links may lead through links, so where they end is only known when all are there.
Result<void> check_links(const fs::path& folder) {
  std::error_code error;
  const fs::path root = fs::canonical(folder, error);
  for (auto it = fs::recursive_directory_iterator(root, error); !error && it != fs::recursive_directory_iterator();
       it.increment(error)) {
    std::error_code broken;
    if (!it->is_symlink(broken)) continue;
    const fs::path end = fs::weakly_canonical(it->path(), broken);
    const fs::path name = it->path().lexically_relative(root);
    if (broken || leads_out(end.lexically_relative(root)))
      return refused(name.string(), "is a link that leads out of it");
  }
  if (error) return Error(ErrorCode::kEndpointFailed, "cannot read what was unzipped: " + error.message());
  return {};
}

Result<std::uint64_t> copy_data(struct archive* reader, struct archive* writer, const std::string& name,
                                std::uint64_t bytes_before, std::uint64_t bytes_max) {
  std::uint64_t bytes = bytes_before;
  for (;;) {
    const void* block = nullptr;
    std::size_t size = 0;
    la_int64_t offset = 0;
    const int got = libarchive().read_data_block(reader, &block, &size, &offset);
    if (got == ARCHIVE_EOF) return bytes;
    // A warning here is a checksum that is wrong.
    if (got != ARCHIVE_OK) return unreadable();
    bytes += size;
    if (bytes > bytes_max) return too_large(bytes_max);
    if (libarchive().write_data_block(writer, block, size, offset) < ARCHIVE_OK) {
      return refused(name, ("cannot be written: " + std::string(libarchive().error_string(writer))).c_str());
    }
  }
}

Result<std::uint64_t> unpack(Reader reader, const std::string& into, std::uint64_t bytes_max) {
  const Utf8Names names;
  std::error_code error;
  // SECURE_SYMLINKS is for links of the zip: those on the way to the folder are whoever's who put them there.
  const fs::path folder = fs::canonical(into, error);
  if (error) return Error(ErrorCode::kEndpointFailed, "cannot unzip into " + into + ": " + error.message());
  const Writer writer(libarchive().write_disk_new());
  libarchive().write_disk_set_options(writer.get(), ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_TIME |
                                                        ARCHIVE_EXTRACT_SECURE_NODOTDOT |
                                                        ARCHIVE_EXTRACT_SECURE_SYMLINKS);
  std::uint64_t bytes = 0;
  std::size_t entries = 0;
  for (;;) {
    struct archive_entry* entry = nullptr;
    const int got = libarchive().read_next_header(reader.get(), &entry);
    if (got == ARCHIVE_EOF) break;
    if (got < ARCHIVE_WARN) return unreadable();
    if (++entries > kEntriesMax) return too_large(bytes_max);
    const char* raw = libarchive().entry_pathname(entry);
    if (raw == nullptr) return Error(ErrorCode::kEndpointFailed, "the zip has a name that is not UTF-8, as it says");
    const std::string name = raw;
    if (name.empty() || leads_out(name)) return refused(name, "would land outside of its folder");
    const auto type = libarchive().entry_filetype(entry);
    if (type != AE_IFREG && type != AE_IFDIR && type != AE_IFLNK) return refused(name, "is no file, folder or link");
    if (type == AE_IFLNK) {
      const char* target = libarchive().entry_symlink(entry);
      if (target == nullptr || leads_out(fs::path(name).parent_path() / target)) {
        return refused(name, "is a link that leads out of it");
      }
    } else {
      // What its owner cannot read, or remove again, is of no use.
      const unsigned own = type == AE_IFDIR ? 0700U : 0600U;
      libarchive().entry_set_perm(entry, static_cast<__LA_MODE_T>((libarchive().entry_perm(entry) & 0777U) | own));
    }
    const std::string path = (folder / name).string();
    libarchive().entry_set_pathname(entry, path.c_str());
    if (libarchive().write_header(writer.get(), entry) < ARCHIVE_OK) {
      return refused(name, ("cannot be written: " + std::string(libarchive().error_string(writer.get()))).c_str());
    }
    auto written = copy_data(reader.get(), writer.get(), name, bytes, bytes_max);
    if (!written) return std::move(written.error());
    bytes = written.value();
    if (libarchive().write_finish_entry(writer.get()) < ARCHIVE_WARN) {
      return refused(name, ("cannot be written: " + std::string(libarchive().error_string(writer.get()))).c_str());
    }
  }
  // Of nothing at all libarchive says that it has no entries.
  if (entries == 0 && libarchive().format(reader.get()) != ARCHIVE_FORMAT_ZIP) return unreadable();
  if (libarchive().write_close(writer.get()) < ARCHIVE_WARN) return unreadable();
  if (auto checked = check_links(folder.string()); !checked) return std::move(checked.error());
  return bytes;
}

}  // namespace

Result<std::uint64_t> unzip(std::string_view zip, const std::string& folder, std::uint64_t bytes_max) {
  if (const auto there = Libarchive::get(); !there) return there.error();
  Reader reader = make_reader();
  if (libarchive().read_open_memory(reader.get(), zip.data(), zip.size()) != ARCHIVE_OK) return unreadable();
  return unpack(std::move(reader), folder, bytes_max);
}

Result<std::uint64_t> unzip_file(const std::string& path, const std::string& folder, std::uint64_t bytes_max) {
  if (const auto there = Libarchive::get(); !there) return there.error();
  Reader reader = make_reader();
  if (libarchive().read_open_filename(reader.get(), path.c_str(), kBlockBytes) != ARCHIVE_OK) return unreadable();
  return unpack(std::move(reader), folder, bytes_max);
}

}  // namespace weir::package
