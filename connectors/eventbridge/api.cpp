#include "connectors/eventbridge/api.h"

#include <algorithm>

#include "base/json_scanner.h"
#include "connectors/eventbridge/api_call.h"
#include "service/json_text.h"

namespace weir::eventbridge {

namespace {

/// Reads the entries of a PutEvents in one pass, with no tree: of all calls it is the one that comes often. The first
/// mistake counts, but for a body that is no JSON. Every function that is false met one, and then nothing more may be
/// asked.
class PutReader {
 public:
  explicit PutReader(std::string_view body) : in_(body) {}

  PutRequest read() {
    if (!call()) {
      PutRequest malformed;
      malformed.error = refusal("SerializationException", "The request's body is no JSON object.");
      return malformed;
    }
    return std::move(request_);
  }

 private:
  static constexpr std::size_t kInEntry = 3;  ///< how deep the members of an entry stand

  bool call() {
    constexpr std::size_t kInCall = 1;
    bool listed = false;
    const bool empty = in_.at_end();
    if (!empty && !members([&](std::string_view name) {
          if (name != "Entries") return in_.skip(kInCall);
          request_ = PutRequest();  // of a list that comes twice the last counts
          listed = in_.peek() != 'n';
          return listed ? list() : in_.word("null");
        })) {
      return false;
    }
    if (!listed) refuse(constraint("null", "entries", "not be null"));
    in_.space();
    return in_.at_end();
  }

  bool list() {
    constexpr std::size_t kInList = 2;
    if (in_.peek() != '[') return wrong("Entries", kInList - 1);
    request_.entries.reserve(kMaxEntries);
    std::size_t size = 0;
    std::size_t count = 0;
    const bool read = elements([&] {
      if (in_.peek() != '{') return wrong("Entries", kInList);
      if (++count > kMaxEntries) return in_.skip(kInList);
      request_.entries.emplace_back();
      if (!entry(request_.entries.back())) return false;
      size += entry_size(request_.entries.back());
      return true;
    });
    if (count == 0) refuse(constraint("'[]'", "entries", "have length greater than or equal to 1"));
    if (count > kMaxEntries) {
      refuse(constraint("'[PutEventsRequestEntry]'", "entries", "have length less than or equal to 10"));
    }
    if (size > kMaxEntriesBytes) refuse(invalid("Total size of the entries in the request is over the limit."));
    return read;
  }

  bool entry(PutEntry& entry) {
    return members([&](std::string_view name) {
      if (in_.peek() == 'n') return in_.word("null");
      if (name == "Source") return text(name, entry.source);
      if (name == "DetailType") return text(name, entry.detail_type);
      if (name == "Detail") return text(name, entry.detail);
      if (name == "EventBusName") return text(name, entry.bus);
      if (name == "TraceHeader") return text(name, entry.trace_header);
      if (name == "Time") return time(name, entry.time);
      if (name == "Resources") return texts(name, entry.resources);
      return in_.skip(kInEntry);
    });
  }

  bool text(std::string_view name, std::string& to) {
    if (in_.peek() != '"') return wrong(name, kInEntry + 1);
    if (in_.simple_text(to)) return true;
    JsonScanner::Raw raw;
    if (!in_.string(raw)) return false;
    to = raw.escapes ? service::unescaped(raw.text) : std::string(raw.text);
    return true;
  }
  bool texts(std::string_view name, std::vector<std::string>& to) {
    if (in_.peek() != '[') return wrong(name, kInEntry);
    to.clear();
    return elements([&] { return text(name, to.emplace_back()); });
  }
  bool time(std::string_view name, std::optional<WallTime>& to) {
    const char* const begin = in_.at();
    if (!in_.skip(kInEntry)) return false;
    const std::string_view written(begin, static_cast<std::size_t>(in_.at() - begin));
    to = read_time(nlohmann::json::parse(written, nullptr, false));
    if (!to) wrong_type(name);
    return true;
  }

  /// An object, whose members `member(name)` reads.
  template <typename Member>
  bool members(Member member) {
    if (in_.peek() != '{') return false;
    in_.take('{');
    if (in_.peek() == '}') return in_.take('}');
    std::string decoded;
    for (;;) {
      JsonScanner::Raw key;
      in_.space();
      if (!in_.string(key) || in_.peek() != ':') return false;
      in_.take(':');
      in_.space();
      if (key.escapes) decoded = service::unescaped(key.text);
      if (!member(key.escapes ? std::string_view(decoded) : key.text)) return false;
      if (in_.peek() == '}') return in_.take('}');
      if (!in_.take(',')) return false;
    }
  }
  /// An array, whose elements `element()` reads.
  template <typename Element>
  bool elements(Element element) {
    if (in_.peek() != '[') return false;
    in_.take('[');
    if (in_.peek() == ']') return in_.take(']');
    for (;;) {
      in_.space();
      if (!element()) return false;
      if (in_.peek() == ']') return in_.take(']');
      if (!in_.take(',')) return false;
    }
  }

  bool wrong(std::string_view name, std::size_t depth) {
    wrong_type(name);
    return in_.skip(depth);
  }
  void wrong_type(std::string_view name) {
    refuse(refusal("SerializationException", "The argument " + std::string(name) + " has the wrong type."));
  }
  void refuse(service::ApiError error) {
    if (!request_.error) request_.error = std::move(error);
  }

  JsonScanner in_;
  PutRequest request_;
};

}  // namespace

std::optional<Reply> Api::handle(std::string_view operation, std::string_view body) const {
  for (const auto operations : {bus_operations(), rule_operations(), archive_operations()}) {
    const auto found = std::find_if(operations.begin(), operations.end(),
                                    [&](const Operation& each) { return each.name == operation; });
    if (found == operations.end()) continue;
    Call call{model_, host_, now_, Arguments(body)};
    if (call.wrong()) return call.refuse();
    return found->handle(call);
  }
  return std::nullopt;
}

PutRequest read_put_events(std::string_view body) {
  return PutReader(body).read();
}

service::ApiError unknown_operation() {
  return refusal("UnknownOperationException", "");
}

}  // namespace weir::eventbridge
