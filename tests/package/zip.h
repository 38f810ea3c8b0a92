#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <archive.h>
#include <archive_entry.h>

namespace weir::test {

struct ZipEntry {
  std::string name;
  std::string content;
  std::string link = {};  ///< where it leads, of a link
  unsigned mode = 0644;
};

/// A zip with these entries, as they are: also with those that nobody should unpack.
inline std::string zip_of(const std::vector<ZipEntry>& entries) {
  struct archive* writer = archive_write_new();
  archive_write_set_format_zip(writer);
  std::string bytes;
  archive_write_open(
      writer, &bytes, nullptr,
      [](struct archive*, void* into, const void* data, std::size_t size) -> la_ssize_t {
        static_cast<std::string*>(into)->append(static_cast<const char*>(data), size);
        return static_cast<la_ssize_t>(size);
      },
      nullptr);
  for (const ZipEntry& one : entries) {
    struct archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, one.name.c_str());
    archive_entry_set_perm(entry, static_cast<__LA_MODE_T>(one.mode));
    archive_entry_set_filetype(entry, one.link.empty() ? AE_IFREG : AE_IFLNK);
    if (!one.link.empty()) archive_entry_set_symlink(entry, one.link.c_str());
    archive_entry_set_size(entry, static_cast<la_int64_t>(one.content.size()));
    archive_write_header(writer, entry);
    archive_write_data(writer, one.content.data(), one.content.size());
    archive_entry_free(entry);
  }
  archive_write_close(writer);
  archive_write_free(writer);
  return bytes;
}

}  // namespace weir::test
