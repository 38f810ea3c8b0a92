#include "gateway/trace_header.h"

#include <algorithm>

namespace weir::gateway {
namespace {

/// X-Ray's header takes at most this many characters of a caller's own fields; what is longer is nobody's trace.
constexpr std::size_t kHeaderMax = 1024;
constexpr std::size_t kRootMax = 35;
constexpr std::size_t kOwnFieldsMax = 80;  ///< of root, parent and sampled with their names

bool is_hex(std::string_view text, std::size_t digits) {
  return text.size() == digits && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
         });
}

/// "1-5759e988-bd862e3fe1be46a994272793"
bool is_root(std::string_view text) {
  return text.size() == kRootMax && text.starts_with("1-") && is_hex(text.substr(2, 8), 8) && text[10] == '-' &&
         is_hex(text.substr(11), 24);
}

void append_hex(std::string& out, std::uint64_t number, int digits) {
  constexpr char kHex[] = "0123456789abcdef";
  while (digits > 0) out += kHex[number >> static_cast<unsigned>(4 * --digits) & 15U];
}

}  // namespace

TraceHeader join_trace(std::string_view header, WallTime now, Random& random) {
  std::string root;
  std::string parent;
  std::string sampled;
  std::string rest;
  const bool readable = header.size() <= kHeaderMax &&
                        std::all_of(header.begin(), header.end(), [](char c) { return c >= ' ' && c <= '~'; });
  while (readable && !header.empty()) {
    const std::size_t end = header.find(';');
    std::string_view field = header.substr(0, end);
    header.remove_prefix(end == std::string_view::npos ? header.size() : end + 1);
    while (field.starts_with(' ')) field.remove_prefix(1);
    const std::size_t equals = field.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view name = field.substr(0, equals);
    const std::string_view value = field.substr(equals + 1);
    if (name == "Root") {
      if (is_root(value)) root = value;
    } else if (name == "Parent") {
      if (is_hex(value, 16)) parent = value;
    } else if (name == "Sampled") {
      if (value == "0" || value == "1") sampled = value;
    } else if (name != "Self") {  // a load balancer's own
      rest.append(";").append(field);
    }
  }
  if (root.empty()) {
    const auto seconds = static_cast<std::uint64_t>(epoch_milliseconds(now) / 1000);
    root.reserve(kRootMax);
    root = "1-";
    append_hex(root, seconds, 8);
    root += '-';
    append_hex(root, random.next(), 16);
    append_hex(root, random.next(), 8);
    parent.clear();
    sampled.clear();
    rest.clear();
  }
  if (parent.empty()) append_hex(parent, random.next(), 16);
  if (sampled.empty()) sampled = "0";
  TraceHeader trace;
  trace.answered.reserve(kOwnFieldsMax);
  trace.answered.append("root=").append(root).append(";parent=").append(parent).append(";sampled=").append(sampled);
  trace.passed_on.reserve(kOwnFieldsMax + rest.size());
  trace.passed_on.append("Root=").append(root).append(";Parent=").append(parent).append(";Sampled=").append(sampled);
  trace.passed_on += rest;
  return trace;
}

}  // namespace weir::gateway
