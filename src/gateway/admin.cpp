#include "gateway/admin.h"

#include <nlohmann/json.hpp>

#include "weir/base/json_writer.h"

#include "gateway/status_json.h"

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
  std::optional<Position> upto;
  if (const auto position = order.find("position"); position != order.end() && !position->is_null()) {
    upto = Position::parse(text_member("position"));
    if (!upto) co_return bad_request("position is not a text of decimal digits");
    if (shard.empty()) co_return bad_request("a position needs a shard");
  }
  auto moved = co_await bridge.move_checkpoint(source, shard, upto);
  if (!moved) {
    const Error error = moved.error();
    const bool unknown = error.code() == ErrorCode::kConfigInvalid || error.code() == ErrorCode::kSourceNotFound;
    co_return error_response(unknown ? 404 : 500, error);
  }
  co_return http::Response(200, kJson, "{}\n");
}

net::awaitable<http::Response> answer(bridge::Bridge& bridge, http::Request request) {
  const std::string path(request.path());
  // A page in somebody's browser may send a POST to any address; browsers say so, commands do not.
  if (request.method == "POST" && request.headers.get("Origin"))
    co_return http::Response(403, kText, "this address takes no orders from web pages\n");
  if (path == "/checkpoints" && request.method == "POST")
    co_return co_await move_checkpoint(bridge, std::move(request.body));
  if (request.method != "GET" && request.method != "HEAD")
    co_return http::Response(405, kText, "only GET is answered here\n");
  if (path == "/healthz") co_return http::Response(200, kText, "ok\n");
  if (path == "/readyz") {
    const bool ready = bridge.status().ready;
    co_return http::Response(ready ? 200 : 503, kText, ready ? "ready\n" : "not ready\n");
  }
  if (path == "/status") co_return http::Response(200, kJson, status_json(bridge.status()) + "\n");
  if (path == "/metrics")
    co_return http::Response(200, "text/plain; version=0.0.4; charset=utf-8", metrics_text(bridge.status()));
  if (path == "/checkpoints") {
    auto rows = co_await bridge.checkpoints();
    if (!rows) co_return error_response(500, rows.error());
    co_return http::Response(200, kJson, checkpoints_json(*rows) + "\n");
  }
  co_return http::Response(404, kText, "there is /healthz, /readyz, /status, /metrics and /checkpoints\n");
}

}  // namespace

http::Handler admin_handler(bridge::Bridge& bridge) {
  return [&bridge](http::Request request) { return answer(bridge, std::move(request)); };
}

}  // namespace weir::gateway
