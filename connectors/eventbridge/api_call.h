#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "weir/base/json_writer.h"

#include "connectors/eventbridge/api.h"

namespace weir::eventbridge {

// What the handlers of Api's operations share.

inline constexpr std::size_t kMaxPage = 100;
inline constexpr std::size_t kMaxTags = 50;
inline constexpr std::string_view kNamePattern = "[\\.\\-_A-Za-z0-9]+";

service::ApiError refusal(std::string_view code, std::string message);
service::ApiError invalid(std::string message);
service::ApiError not_found(std::string message);
service::ApiError exists_already(std::string message);
service::ApiError too_many();
service::ApiError constraint(std::string_view value, std::string_view member, std::string_view rule);
service::ApiError no_bus(std::string_view name);

/// The arguments of a call. What is wrong with them is remembered, the first mistake counts.
class Arguments {
 public:
  explicit Arguments(std::string_view body);
  explicit Arguments(nlohmann::json object) : root_(std::move(object)) {}

  const std::optional<service::ApiError>& error() const { return error_; }
  void refuse(service::ApiError error);

  bool has(const char* name) const { return root_.contains(name) && !root_.at(name).is_null(); }

  /// What is not there is "" or nothing. `most`: characters; 0 is no limit.
  std::string text(const char* name, std::size_t most = 0);
  std::string required(const char* name, std::size_t most = 0);
  /// A name of AWS's kind.
  std::string name(const char* name, std::size_t most);
  std::optional<std::int64_t> integer(const char* name, std::int64_t least, std::int64_t most);
  std::optional<WallTime> time(const char* name);
  std::vector<std::string> texts(const char* name);
  std::vector<nlohmann::json> objects(const char* name);
  Arguments object(const char* name);
  /// Takes over the mistakes of an object in these arguments.
  void take(const Arguments& inner);

 private:
  void wrong(const std::string& name);

  nlohmann::json root_;
  std::optional<service::ApiError> error_;
};

/// What a handler has at hand.
struct Call {
  const Model& model;
  const ServiceHost& host;
  WallTime now;
  Arguments arguments;

  /// The mistake of the arguments goes first.
  Reply refuse(service::ApiError error) const {
    return Reply(arguments.error() ? *arguments.error() : std::move(error));
  }
  bool wrong() const { return arguments.error().has_value(); }
  Reply refuse() const { return Reply(*arguments.error()); }
};

struct Operation {
  std::string_view name;
  Reply (*handle)(Call& call);
};
std::span<const Operation> bus_operations();      ///< buses, and the tags of buses and rules
std::span<const Operation> rule_operations();     ///< rules, targets, patterns
std::span<const Operation> archive_operations();  ///< archives and replays

/// Seconds, or a text; nothing of anything else, and of times behind the year 9999.
std::optional<WallTime> read_time(const nlohmann::json& value);
double seconds_of(WallTime time);
/// The bus of a call, which names it or leaves it out.
std::string bus_argument(Arguments& arguments);
void optional_member(JsonWriter& out, std::string_view name, std::string_view value);
std::optional<service::ApiError> check_pattern(const std::string& pattern);
std::map<std::string, std::string> read_tags(Arguments& arguments);

/// An answer that is one object, whose members `write` writes.
template <typename Write>
Reply object_reply(Write write) {
  Reply reply;
  reply.body.clear();
  JsonWriter out(reply.body);
  out.begin_object();
  write(out);
  out.end_object();
  return reply;
}

/// One page of things that are listed by name: at most `Limit` of those behind `NextToken`.
/// `wanted(name, thing)` says which, `write(out, name, thing)` writes one.
template <typename Things, typename Wanted, typename Write>
Reply list_reply(Call& call, std::string_view list, const Things& things, Wanted wanted, Write write) {
  const auto limit = static_cast<std::size_t>(call.arguments.integer("Limit", 1, kMaxPage).value_or(kMaxPage));
  const std::string after = call.arguments.text("NextToken", 2048);
  if (call.wrong()) return call.refuse();
  return object_reply([&](JsonWriter& out) {
    std::string_view last;
    std::size_t taken = 0;
    bool more = false;
    out.key(list).begin_array();
    for (const auto& [name, thing] : things) {
      if ((!after.empty() && name <= after) || !wanted(name, thing)) continue;
      more = taken == limit;
      if (more) break;
      write(out, name, thing);
      last = name;
      ++taken;
    }
    out.end_array();
    if (more) out.member("NextToken", last);
  });
}

}  // namespace weir::eventbridge
