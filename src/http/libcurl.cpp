#include "http/libcurl.h"

#include <string>

#include "base/shared_library.h"

namespace weir::http {

namespace {

Error failure(const std::string& why) {
  return {ErrorCode::kHttpFailed, "libcurl could not be loaded: " + why};
}

Result<Libcurl> load() {
  SharedLibrary library("libcurl.so.4");
  Libcurl curl{};
  decltype(&::curl_global_init) global_init = nullptr;
  library.find("curl_global_init", global_init);
  library.find("curl_easy_init", curl.easy_init);
  library.find("curl_easy_cleanup", curl.easy_cleanup);
  library.find("curl_easy_reset", curl.easy_reset);
  library.find("curl_easy_setopt", curl.easy_setopt);
  library.find("curl_easy_getinfo", curl.easy_getinfo);
  library.find("curl_easy_pause", curl.easy_pause);
  library.find("curl_easy_strerror", curl.easy_strerror);
  library.find("curl_multi_init", curl.multi_init);
  library.find("curl_multi_cleanup", curl.multi_cleanup);
  library.find("curl_multi_add_handle", curl.multi_add_handle);
  library.find("curl_multi_remove_handle", curl.multi_remove_handle);
  library.find("curl_multi_setopt", curl.multi_setopt);
  library.find("curl_multi_assign", curl.multi_assign);
  library.find("curl_multi_socket_action", curl.multi_socket_action);
  library.find("curl_multi_info_read", curl.multi_info_read);
  library.find("curl_multi_strerror", curl.multi_strerror);
  library.find("curl_slist_append", curl.slist_append);
  library.find("curl_slist_free_all", curl.slist_free_all);
  if (!library.problem().empty()) return failure(library.problem());
  if (global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return failure("it does not start");
  return curl;
}

}  // namespace

Result<const Libcurl*> Libcurl::get() {
  static const Result<Libcurl> loaded = load();
  if (!loaded) return loaded.error();
  return &*loaded;
}

}  // namespace weir::http
