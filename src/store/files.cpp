#include "store/files.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

namespace weir::store {

Error system_error(const std::string& path, int number) {
  const bool denied = number == EACCES || number == EPERM || number == EROFS;
  const ErrorCode code = denied             ? ErrorCode::kStoreReadOnly
                         : number == ENOSPC ? ErrorCode::kStoreFull
                                            : ErrorCode::kStoreFailed;
  return Error(code, path + ": " + std::strerror(number));
}

Result<void> sync_folder(const std::string& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return system_error(folder, errno);
  const int failed = ::fsync(descriptor) == 0 ? 0 : errno;
  ::close(descriptor);
  if (failed != 0) return system_error(folder, failed);
  return {};
}

}  // namespace weir::store
