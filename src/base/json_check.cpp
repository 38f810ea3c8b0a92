#include "weir/base/json_check.h"

#include "base/json_scanner.h"

namespace weir {

bool is_json(std::string_view bytes) {
  JsonScanner in(bytes);
  if (!in.skip(0)) return false;
  in.space();
  return in.at_end();
}

}  // namespace weir
