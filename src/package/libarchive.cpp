#include "package/libarchive.h"

#include "base/shared_library.h"

namespace weir::package {

namespace {

Result<Libarchive> load() {
  SharedLibrary library("libarchive.so.13");
  Libarchive archive{};
  library.find("archive_read_free", archive.read_free);
  library.find("archive_write_free", archive.write_free);
  library.find("archive_read_new", archive.read_new);
  library.find("archive_read_support_format_zip", archive.read_support_format_zip);
  library.find("archive_read_data_block", archive.read_data_block);
  library.find("archive_write_data_block", archive.write_data_block);
  library.find("archive_error_string", archive.error_string);
  library.find("archive_write_disk_new", archive.write_disk_new);
  library.find("archive_write_disk_set_options", archive.write_disk_set_options);
  library.find("archive_read_next_header", archive.read_next_header);
  library.find("archive_entry_pathname", archive.entry_pathname);
  library.find("archive_entry_filetype", archive.entry_filetype);
  library.find("archive_entry_symlink", archive.entry_symlink);
  library.find("archive_entry_set_perm", archive.entry_set_perm);
  library.find("archive_entry_perm", archive.entry_perm);
  library.find("archive_entry_set_pathname", archive.entry_set_pathname);
  library.find("archive_write_header", archive.write_header);
  library.find("archive_write_finish_entry", archive.write_finish_entry);
  library.find("archive_format", archive.format);
  library.find("archive_write_close", archive.write_close);
  library.find("archive_read_open_memory", archive.read_open_memory);
  library.find("archive_read_open_filename", archive.read_open_filename);
  if (library.problem().empty()) return archive;
  return Error(ErrorCode::kEndpointFailed, "libarchive could not be loaded: " + library.problem());
}

}  // namespace

Result<const Libarchive*> Libarchive::get() {
  static const Result<Libarchive> loaded = load();
  if (!loaded) return loaded.error();
  return &*loaded;
}

}  // namespace weir::package
