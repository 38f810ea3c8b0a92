#include "gateway/admin.h"

#include <charconv>

#include <nlohmann/json.hpp>

#include "weir/base/json_writer.h"

#include "gateway/dead_letters_json.h"
#include "gateway/paths.h"
#include "gateway/status_json.h"
#include "http/uri.h"

namespace weir::gateway {
namespace {

constexpr const char* kJson = "application/json";
constexpr const char* kText = "text/plain; charset=utf-8";

http::Response error_response(int status, const Error& error) {
  std::string body;
  JsonWriter(body).begin_object().member("code", text(error.code())).member("message", error.describe()).end_object();
  return http::Response(status, kJson, body + "\n");
}

http::Response bad_request(const std::string& sentence) {
  return error_response(400, Error(ErrorCode::kHttpFailed, sentence));
}

net::awaitable<http::Response> move_checkpoint(bridge::Bridge& bridge, std::string body) {
  const auto order = nlohmann::json::parse(body, nullptr, false);
  if (!order.is_object()) co_return bad_request("the body is not a JSON object");
  const auto text_member = [&](const char* name) {
    const auto found = order.find(name);
    return found != order.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  const std::string source = text_member("source");
  const std::string shard = text_member("shard");
  if (source.empty()) co_return bad_request("source is missing");
  std::optional<Resume> to;
  if (const auto position = order.find("position"); position != order.end() && !position->is_null()) {
    to = Resume::parse(text_member("position"));
    if (!to) {
      co_return bad_request(
          "position is none: a sequence number or offset, TRIM_HORIZON, LATEST or \"AT_TIMESTAMP TIME\", as a text");
    }
  }
  auto moved = co_await bridge.move_checkpoint(source, shard, std::move(to));
  if (!moved) {
    const Error error = moved.error();
    const int status = error.code() == ErrorCode::kSourceNotFound  ? 404
                       : error.code() == ErrorCode::kConfigInvalid ? 400
                                                                   : 500;
    co_return error_response(status, error);
  }
  co_return http::Response(200, kJson, "{}\n");
}

template <typename Number>
std::optional<Number> number(std::string_view digits) {
  Number out = 0;
  const auto end = std::from_chars(digits.data(), digits.data() + digits.size(), out);
  if (digits.empty() || end.ec != std::errc() || end.ptr != digits.data() + digits.size()) return std::nullopt;
  return out;
}

/// What GET /deadletters asks for.
struct Listing {
  Listing() = default;
  store::DeadLetterFilter which;
  std::optional<std::uint64_t> after;  ///< none: the newest
  std::size_t limit = kDeadLettersListed;
};

Result<Listing> read_listing(std::string_view query) {
  const auto wrong = [](const std::string& sentence) { return Error(ErrorCode::kHttpFailed, sentence); };
  const auto fields = http::parse_query(query, http::Plus::kSpace);
  if (!fields) return wrong("the query has a percent sign out of place");
  Listing listing;
  for (const auto& [name, value] : *fields) {
    if (name == "function") {
      listing.which.function = value;
    } else if (name == "source") {
      listing.which.source = value;
    } else if (name == "limit") {
      const auto asked = number<std::size_t>(value);
      if (!asked || *asked == 0 || *asked > kDeadLettersListedMax)
        return wrong("limit is 1 to " + std::to_string(kDeadLettersListedMax) + "; ask for further pages by after");
      listing.limit = *asked;
    } else if (name == "after") {
      listing.after = number<std::uint64_t>(value);
      if (!listing.after || *listing.after > listing.which.upto)
        return wrong("after is the id of a dead letter, or 0 for the first page");
    } else {
      return wrong("there is function, source, limit and after, no " + name);
    }
  }
  return listing;
}

/// RFC 8288: where a listing goes on.
std::string link_to(const Listing& listing, std::uint64_t after, std::string_view relation) {
  std::string link = "</deadletters?after=" + std::to_string(after) + "&limit=" + std::to_string(listing.limit);
  if (!listing.which.function.empty()) link += "&function=" + http::percent_encode(listing.which.function);
  if (!listing.which.source.empty()) link += "&source=" + http::percent_encode(listing.which.source);
  return link.append(">; rel=\"").append(relation).append("\"");
}

net::awaitable<http::Response> list_dead_letters(bridge::Bridge& bridge, std::string query) {
  auto asked = read_listing(query);
  if (!asked) co_return error_response(400, asked.error());
  Listing& listing = *asked;
  store::DeadLetterFilter rest = listing.which;
  if (listing.after) {
    rest.after = *listing.after;
  } else {
    auto newest = co_await bridge.dead_letters(listing.which, listing.limit, false);
    if (!newest) co_return error_response(500, newest.error());
    if (!newest->empty()) rest.after = newest->front().id - 1;
  }
  // Piece by piece, for each may be some megabytes; what is looked for behind the page says whether there is another.
  std::vector<DeadLetterRow> rows;
  bool more = false;
  while (!more) {
    auto piece = co_await bridge.dead_letter_piece(rest, listing.limit + 1 - rows.size());
    if (!piece) co_return error_response(500, piece.error());
    if (piece->empty()) break;
    rest.after = piece->back().id;
    for (const store::DeadLetter& letter : *piece) {
      more = rows.size() == listing.limit;
      if (!more) rows.push_back(dead_letter_row(letter));
    }
  }
  http::Response page(200, kJson, dead_letters_json(rows) + "\n");
  if (more) page.headers.add("Link", link_to(listing, rows.back().id, "next"));
  co_return page;
}

/// `which`: "ID" or "ID/payload".
net::awaitable<http::Response> show_dead_letter(bridge::Bridge& bridge, std::string which) {
  constexpr std::string_view kPayload = "/payload";
  const bool payload = which.ends_with(kPayload);
  const auto id =
      number<std::uint64_t>(std::string_view(which).substr(0, which.size() - (payload ? kPayload.size() : 0)));
  if (!id) co_return http::Response(404, kText, "there is no such dead letter\n");
  store::DeadLetterFilter one;
  one.ids = {*id};
  auto letters = co_await bridge.dead_letters(one, 1, true);
  if (!letters) co_return error_response(500, letters.error());
  if (letters->empty()) co_return http::Response(404, kText, "there is no such dead letter\n");
  store::DeadLetter& letter = letters->front();
  if (payload) co_return http::Response(200, kJson, std::move(letter.payload));
  co_return http::Response(200, kJson, dead_letter_json(letter) + "\n");
}

net::awaitable<http::Response> redrive(bridge::Bridge& bridge, std::string body) {
  const auto order = nlohmann::json::parse(body, nullptr, false);
  if (!order.is_object()) co_return bad_request("the body is not a JSON object");
  store::DeadLetterFilter which;
  bool all = false;
  for (const auto& [name, value] : order.items()) {
    if (name == "all" && value.is_boolean()) {
      all = value.get<bool>();
    } else if (name == "function" && value.is_string()) {
      which.function = value.get<std::string>();
    } else if (name == "source" && value.is_string()) {
      which.source = value.get<std::string>();
    } else if (name == "ids" && value.is_array() && !value.empty()) {
      for (const auto& id : value) {
        if (!id.is_number_unsigned()) co_return bad_request("ids are numbers");
        which.ids.push_back(id.get<std::uint64_t>());
      }
      if (which.ids.size() > kDeadLettersListedMax)
        co_return bad_request("ids are at most " + std::to_string(kDeadLettersListedMax) + " at a time");
    } else {
      co_return bad_request("there is ids, all, function and source; not this " + name);
    }
  }
  // Nobody means everything by saying nothing.
  if (!all && which.ids.empty() && which.function.empty() && which.source.empty())
    co_return bad_request("which ones: ids, all, function or source");
  const auto redriven = co_await bridge.redrive(which);
  if (!redriven) co_return error_response(500, redriven.error());
  std::string said;
  JsonWriter out(said);
  out.begin_object().member("redriven", static_cast<std::uint64_t>(redriven->count));
  if (redriven->stopped) out.member("stopped", redriven->stopped->describe());
  out.end_object();
  co_return http::Response(200, kJson, said + "\n");
}

void write_text(JsonWriter& out, std::string_view name, const std::optional<std::string>& text) {
  out.key(name);
  if (text) {
    out.value(*text);
  } else {
    out.null();
  }
}

std::string_view word(config::Change::Kind kind) {
  switch (kind) {
    case config::Change::Kind::kAdded:
      return "added";
    case config::Change::Kind::kRemoved:
      return "removed";
    case config::Change::Kind::kChanged:
      return "changed";
  }
  return "";
}

net::awaitable<http::Response> reload_configuration(Reload reload) {
  const Reloaded done = co_await reload();
  std::string text;
  JsonWriter out(text);
  out.begin_object();
  if (!done.mistakes.empty()) {
    const std::size_t count = done.mistakes.size();
    out.member("code", weir::text(ErrorCode::kConfigInvalid));
    out.member("message", std::to_string(count) + (count == 1 ? " mistake" : " mistakes") + "; nothing was changed");
    out.key("mistakes").begin_array();
    for (const std::string& mistake : done.mistakes) out.value(mistake);
    out.end_array().end_object();
    co_return http::Response(400, kJson, text + "\n");
  }
  out.key("changes").begin_array();
  for (const config::Change& change : done.changes) {
    out.begin_object().member("path", change.path).member("change", word(change.kind));
    write_text(out, "from", change.hidden ? std::nullopt : change.from);
    write_text(out, "to", change.hidden ? std::nullopt : change.to);
    out.member("restart", change.restart).member("text", change.describe()).end_object();
  }
  out.end_array().end_object();
  co_return http::Response(200, kJson, text + "\n");
}

net::awaitable<http::Response> answer(bridge::Bridge& bridge, Reload reload, ControlGroupsAsked groups,
                                      http::Request request) {
  const std::string path(request.path());
  // A page in somebody's browser may send a POST to any address; browsers say so, commands do not.
  if (request.method == "POST" && request.headers.get("Origin"))
    co_return http::Response(403, kText, "this address takes no orders from web pages\n");
  // A page can also reach this address under a name of its own (DNS rebinding): what shows or moves data is answered to
  // an address only.
  if ((path.starts_with("/checkpoints") || path.starts_with("/deadletters") || path == "/reload") &&
      !is_address_or_localhost(request.headers.get("Host").value_or("")))
    co_return http::Response(403, kText, "ask by the address, or localhost; not by another name\n");
  if (request.body_too_large)
    co_return error_response(413, Error(ErrorCode::kHttpFailed, "the body is larger than a megabyte"));
  if (path == "/checkpoints" && request.method == "POST")
    co_return co_await move_checkpoint(bridge, std::move(request.body));
  if (path == "/deadletters/redrive" && request.method == "POST")
    co_return co_await redrive(bridge, std::move(request.body));
  if (path == "/reload" && request.method == "POST" && reload) co_return co_await reload_configuration(reload);
  if (request.method != "GET" && request.method != "HEAD")
    co_return http::Response(405, kText, "only GET is answered here\n");
  if (path == "/healthz") co_return http::Response(200, kText, "ok\n");
  if (path == "/readyz") {
    const bool ready = bridge.status().ready;
    co_return http::Response(ready ? 200 : 503, kText, ready ? "ready\n" : "not ready\n");
  }
  if (path == "/status") {
    const ControlGroupStatus of_groups = groups ? groups() : ControlGroupStatus();
    co_return http::Response(200, kJson, status_json(bridge.status(), of_groups) + "\n");
  }
  if (path == "/metrics")
    co_return http::Response(200, "text/plain; version=0.0.4; charset=utf-8", metrics_text(bridge.status()));
  if (path == "/checkpoints") {
    auto rows = co_await bridge.checkpoints();
    if (!rows) co_return error_response(500, rows.error());
    co_return http::Response(200, kJson, checkpoints_json(*rows) + "\n");
  }
  if (path == "/deadletters") co_return co_await list_dead_letters(bridge, std::string(request.query()));
  if (path.starts_with("/deadletters/")) co_return co_await show_dead_letter(bridge, path.substr(13));
  co_return http::Response(404, kText,
                           "there is /healthz, /readyz, /status, /metrics, /checkpoints and /deadletters\n");
}

}  // namespace

http::Handler admin_handler(bridge::Bridge& bridge, Reload reload, ControlGroupsAsked groups) {
  return [&bridge, reload = std::move(reload), groups = std::move(groups)](http::Request request) {
    return answer(bridge, reload, groups, std::move(request));
  };
}

}  // namespace weir::gateway
