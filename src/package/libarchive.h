#pragma once

#include <archive.h>
#include <archive_entry.h>

#include "weir/base/error.h"

namespace weir::package {

/// libarchive's functions. The library is loaded when the first zip is unpacked: it brings libxml2 and ICU along, for
/// formats that are not asked for.
struct Libarchive {
  decltype(&::archive_read_free) read_free;
  decltype(&::archive_write_free) write_free;
  decltype(&::archive_read_new) read_new;
  decltype(&::archive_read_support_format_zip) read_support_format_zip;
  decltype(&::archive_read_data_block) read_data_block;
  decltype(&::archive_write_data_block) write_data_block;
  decltype(&::archive_error_string) error_string;
  decltype(&::archive_write_disk_new) write_disk_new;
  decltype(&::archive_write_disk_set_options) write_disk_set_options;
  decltype(&::archive_read_next_header) read_next_header;
  decltype(&::archive_entry_pathname) entry_pathname;
  decltype(&::archive_entry_filetype) entry_filetype;
  decltype(&::archive_entry_symlink) entry_symlink;
  decltype(&::archive_entry_set_perm) entry_set_perm;
  decltype(&::archive_entry_perm) entry_perm;
  decltype(&::archive_entry_set_pathname) entry_set_pathname;
  decltype(&::archive_write_header) write_header;
  decltype(&::archive_write_finish_entry) write_finish_entry;
  decltype(&::archive_format) format;
  decltype(&::archive_write_close) write_close;
  decltype(&::archive_read_open_memory) read_open_memory;
  decltype(&::archive_read_open_filename) read_open_filename;

  /// Loads it the first time, and keeps it to the end of the program. endpoint.failed: it is not there, or not whole.
  static Result<const Libarchive*> get();
};

}  // namespace weir::package
