#pragma once

#include <string>

namespace weir {

/// A library that is loaded when it is first needed, and stays to the end of the program: for what most processes never
/// need and what would cost each of them memory and time at its start. Built with its header, so that the types are
/// right; its name has to be the one of the interface which that header describes.
class SharedLibrary {
 public:
  /// `name`: as the dynamic linker looks for it, "libcurl.so.4".
  explicit SharedLibrary(const char* name);

  /// Sets a pointer to the function of a name: find("curl_easy_init", easy_init).
  template <typename Function>
  void find(const char* name, Function& function) {
    function = reinterpret_cast<Function>(address(name));
  }

  /// Why it is not there, or lacks what was looked for; "": all is well.
  const std::string& problem() const { return problem_; }

 private:
  void* address(const char* name);

  void* library_;
  std::string problem_;
};

}  // namespace weir
