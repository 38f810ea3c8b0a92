#include "base/shared_library.h"

#include <dlfcn.h>

namespace weir {

SharedLibrary::SharedLibrary(const char* name) : library_(::dlopen(name, RTLD_NOW | RTLD_LOCAL)) {
  if (library_ == nullptr) problem_ = ::dlerror();
}

void* SharedLibrary::address(const char* name) {
  void* const found = library_ == nullptr ? nullptr : ::dlsym(library_, name);
  if (found == nullptr && problem_.empty()) problem_ = ::dlerror();
  return found;
}

}  // namespace weir
