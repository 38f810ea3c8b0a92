#pragma once

#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "weir/base/bytes.h"

#include "connectors/table.h"
#include "control/api.h"
#include "control/code.h"
#include "control/plan.h"
#include "fake_functions.h"
#include "fake_mappings.h"
#include "support/fake_clock.h"

namespace weir::test {

using nlohmann::json;

inline const std::string kArn = "arn:aws:lambda:us-east-1:000000000000:function:";
inline const std::string kQueue = "arn:aws:sqs:us-east-1:000000000000:dead";

/// Lambda's API over a model, which remembers what it is told.
class Lambda {
 public:
  using Query = std::vector<std::pair<std::string, std::string>>;

  control::Reply reply(const std::string& method, const std::string& path, const json& body = nullptr,
                       const Query& query = {}) {
    control::Asked asked;
    asked.method = method;
    for (std::size_t from = 0; from != std::string::npos;) {
      const std::size_t slash = path.find('/', from);
      asked.path.push_back(path.substr(from, slash - from));
      from = slash == std::string::npos ? slash : slash + 1;
    }
    asked.query = query;
    if (!body.is_null()) asked.body = body.is_string() ? body.get<std::string>() : body.dump();
    asked.code = std::exchange(zip_, std::nullopt);
    asked.address = "http://127.0.0.1:4580";
    const control::CodeFolder code("/state/code");
    const auto target_of = [](std::string_view arn) -> std::string {
      if (arn.find(":sqs:") != std::string_view::npos) return "sqs:" + std::string(arn);
      if (arn.find(":sns:") != std::string_view::npos) return "sns:" + std::string(arn);
      if (arn.starts_with(kArn)) return "lambda:" + std::string(arn.substr(kArn.size()));
      return "";
    };
    const control::World world{
        model,
        functions,
        mappings,
        connectors(),
        clock.now().wall,
        clock.now().wall,
        random,
        [&](const control::Function& function) { return plan_of(function, code, target_of); },
        [&](std::string_view, std::string_view) { return broken; },
        target_of,
        [&](std::string_view uuid) {
          const auto phase = phases.find(uuid);
          return phase == phases.end() ? std::string() : phase->second;
        },
        [](std::string_view function, std::string_view) { return "link:" + std::string(function); }};
    control::Reply reply = answer(world, asked);
    if (reply.error) return reply;
    for (const SourceNote& note : reply.notes) {
      if (!model.apply(note)) throw std::logic_error("a note that the model does not take");
      if (note.value) {
        remembered[note.key] = *note.value;
      } else {
        remembered.erase(note.key);
      }
    }
    if (!reply.mapping.empty()) {
      phases[reply.mapping] = reply.phase;
      if (reply.source) {
        mappings.put_mapping(*reply.source);
      } else {
        mappings.remove_mapping(reply.mapping, [] {});
      }
    }
    return reply;
  }

  /// "201 {...}" or "409 ResourceConflictException: Function already exist: hello".
  std::string said(const std::string& method, const std::string& path, const json& body = nullptr,
                   const Query& query = {}) {
    const control::Reply got = reply(method, path, body, query);
    if (got.error) return std::to_string(got.error->status) + " " + got.error->type + ": " + got.error->message;
    return std::to_string(got.status) + (got.body.empty() ? "" : " " + got.body);
  }
  /// The answer of what is not refused.
  json ask(const std::string& method, const std::string& path, const json& body = nullptr, const Query& query = {}) {
    const control::Reply got = reply(method, path, body, query);
    if (got.error) throw std::logic_error(got.error->type + ": " + got.error->message);
    return got.body.empty() ? json() : json::parse(got.body);
  }

  /// The next call brings this code.
  Lambda& with_zip(const std::string& content = "zip") {
    control::Code code;
    code.sha256 = sha256(content);
    code.size = static_cast<std::int64_t>(content.size());
    zip_ = std::move(code);
    return *this;
  }
  static std::string sha256(const std::string& content) {
    std::string text;
    append_base64(text, control::sha256_of(content));
    return text;
  }

  json settings(const std::string& name = "hello") const {
    return {{"FunctionName", name},
            {"Runtime", "python3.12"},
            {"Handler", "app.handler"},
            {"Role", "arn:aws:iam::000000000000:role/r"},
            {"Code", {{"ZipFile", "zip"}}}};
  }
  json create(const std::string& name = "hello", const json& more = json::object()) {
    json all = settings(name);
    all.update(more);
    return with_zip().ask("POST", "2015-03-31/functions", all);
  }
  std::string create_refused(const json& more) {
    json all = settings();
    all.update(more);
    return with_zip().said("POST", "2015-03-31/functions", all);
  }
  /// Publishes code of its own.
  std::string publish(const std::string& content, const std::string& name = "hello") {
    with_zip(content).ask("PUT", "2015-03-31/functions/" + name + "/code", {{"ZipFile", "zip"}});
    return ask("POST", "2015-03-31/functions/" + name + "/versions", json::object()).at("Version");
  }
  /// Drops everything but what is on disk.
  void restart() {
    model = control::Model();
    for (const auto& [key, value] : remembered) {
      if (!model.apply({key, value})) throw std::logic_error("what was remembered is not taken");
    }
  }

  control::Model model;
  FakeFunctionHost functions;
  FakeMappingHost mappings;
  std::map<std::string, std::string, std::less<>> phases;  ///< of mappings
  FakeClock clock;
  Random random{1};
  std::map<std::string, std::string> remembered;
  bool broken = false;

 private:
  std::optional<control::Code> zip_;
};

}  // namespace weir::test
