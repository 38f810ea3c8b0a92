#include "control/service.h"

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <set>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <openssl/crypto.h>
#include <sys/random.h>

#include "weir/base/random.h"

#include "control/api.h"
#include "control/code.h"
#include "control/function_name.h"
#include "control/layers.h"
#include "control/plan.h"
#include "http/uri.h"
#include "package/layers.h"
#include "runtime/offload.h"
#include "service/answers.h"
#include "service/turns.h"

namespace weir::control {
namespace {

constexpr std::string_view kCode = "lambda-code";
/// What runs when code is replaced may go on for as long as any invocation; then nothing reads it any more.
constexpr Duration kCodeOutlives = std::chrono::minutes(20);
/// As long as AWS's links last.
constexpr Duration kLinkLasts = std::chrono::minutes(10);

constexpr std::array<std::string_view, 1> kUnsigned{"GetCode"};
constexpr ServiceEntry kEntry{
    "lambda", "", "", "", "", {}, kUnsigned, "Lambda: functions, versions, aliases and their settings.", nullptr};

ServiceAnswer answer_of(const LambdaError& error) {
  ServiceAnswer answer(error.status, "application/json", error_body(error));
  answer.headers.emplace_back("x-amzn-ErrorType", error.type);
  return answer;
}

/// What the caller did not bring about: nothing was kept.
LambdaError not_kept(const Error& error) {
  const service::ApiError told = service::not_kept(error, "ServiceException");
  return {told.status, told.code, told.message};
}

/// "a/b%2Fc/" is "a" and "b/c".
std::vector<std::string> segments_of(std::string_view path) {
  std::vector<std::string> all;
  if (path.starts_with('/')) path.remove_prefix(1);
  if (path.ends_with('/')) path.remove_suffix(1);
  for (bool more = true; more;) {
    const std::size_t slash = path.find('/');
    more = slash != std::string_view::npos;
    const std::string_view piece = path.substr(0, slash);
    all.push_back(http::percent_decode(piece).value_or(std::string(piece)));
    if (more) path.remove_prefix(slash + 1);
  }
  return all;
}

/// Of the kernel: OpenSSL, which takes 3 MB once it has begun, is not begun before somebody needs it.
std::string random_key() {
  std::string key(32, '\0');
  const ssize_t done = ::getrandom(key.data(), key.size(), 0);
  WEIR_ASSERT(done == static_cast<ssize_t>(key.size()));
  return key;
}

using CodeNames = std::vector<std::pair<std::string, std::string>>;  ///< whose it is, and its hash

/// The code of a function's versions, their layers included.
CodeNames codes_of(const Function& function) {
  CodeNames all;
  for (const auto& [version, document] : function.versions) {
    all.emplace_back(function.name, document.at("CodeSha256").get<std::string>());
    const auto layers = document.find("LayerCode");
    if (layers == document.end()) continue;
    for (const auto& layer : *layers) {
      all.emplace_back(layer.at("Owner").get<std::string>(), layer.at("CodeSha256").get<std::string>());
    }
  }
  return all;
}

CodeNames codes_of(const std::string& name, const Layer& layer) {
  CodeNames all;
  for (const auto& [version, document] : layer.versions) {
    all.emplace_back(owner_of_layer(name), document.at("CodeSha256").get<std::string>());
  }
  return all;
}

CodeNames codes_of(const Model& model) {
  CodeNames all;
  const auto add = [&all](const CodeNames& more) { all.insert(all.end(), more.begin(), more.end()); };
  for (const auto& [name, function] : model.functions()) add(codes_of(function));
  for (const auto& [name, layer] : model.layers()) add(codes_of(name, layer));
  return all;
}

/// What they are kept under.
std::set<std::string> keys_of(const CodeNames& codes) {
  std::set<std::string> keys;
  for (const auto& [owner, sha256] : codes) keys.insert(CodeFolder::key(owner, sha256));
  return keys;
}

/// Lambda's management API. What it decides is Api's business; this asks the disk, and tells the bridge.
class LambdaService final : public Service {
 public:
  LambdaService(ServiceContext context, config::FunctionHost& functions, config::MappingHost& mappings,
                std::span<const ConnectorEntry> connectors, const std::string& state)
      : context_(std::move(context)),
        functions_(functions),
        mappings_(mappings),
        connectors_(connectors),
        code_(state + "/code"),
        layer_cache_(state + "/layers"),
        started_(context_.clock.now().wall),
        random_(seed_from_system()),
        key_(random_key()),
        turns_(context_.executor),
        wake_(context_.executor) {}

  net::awaitable<Result<void>> run(ServiceHost& host) override;
  net::awaitable<ServiceAnswer> call(ServiceHost& host, ServiceCall call) override;
  bool ready() const override { return ready_; }
  bool owns(std::string_view) const override { return false; }
  net::awaitable<Result<void>> take(ServiceHost&, std::string target, DestinationRecord) override {
    co_return Error(ErrorCode::kDestinationGone, "there is no " + target);
  }

 private:
  net::awaitable<Result<void>> load(ServiceHost& host);
  net::awaitable<void> restore();
  net::awaitable<void> clean_layers();
  net::awaitable<ServiceAnswer> manage(ServiceHost& host, ServiceCall call, std::vector<std::string> path);
  net::awaitable<ServiceAnswer> download(std::vector<std::string> path, std::string query);
  void tell(const ServiceHost& host, const std::string& function);
  config::FunctionPlan plan(const ServiceHost& host, const Function& function) const;
  std::string location(const std::string& address, std::string_view function, std::string_view sha256) const;
  std::string token(std::string_view key, std::string_view expires) const;
  bool is_wanted(const std::string& code) const;
  net::awaitable<std::optional<LambdaError>> take_over(Asked& asked);
  void let_go(const std::set<std::string>& codes);
  net::awaitable<std::optional<LambdaError>> unpack(const Reply& reply, std::string owner, std::optional<Code> facts,
                                                    std::string zip);
  void begin_mappings();
  void change_mapping(Reply reply);
  void end_mapping(const std::string& uuid);
  net::awaitable<void> forget_mappings(ServiceHost& host);
  void note_settled();

  ServiceContext context_;
  config::FunctionHost& functions_;
  config::MappingHost& mappings_;
  std::span<const ConnectorEntry> connectors_;
  CodeFolder code_;
  std::string layer_cache_;  ///< where the layers of the configuration's functions are unpacked
  WallTime started_;
  Random random_;
  std::string key_;  ///< of links to code
  Model model_;
  service::Turns turns_;
  net::steady_timer wake_;
  std::set<std::string> broken_;                            ///< "NAME/HASH" of code that is gone
  std::map<std::string, Instant> left_over_;                ///< code that no version has, and when it may go
  std::map<std::string, std::string, std::less<>> phases_;  ///< of mappings that are not yet as they will be
  std::set<std::string> gone_;                              ///< mappings that have ended, and are still remembered
  bool ready_ = false;
};

config::FunctionPlan LambdaService::plan(const ServiceHost& host, const Function& function) const {
  return plan_of(function, code_, [&host](std::string_view arn) { return host.target_of(arn); });
}

/// Makes the bridge's function what the model says. The configuration's functions hide those of earlier lives.
void LambdaService::tell(const ServiceHost& host, const std::string& name) {
  const bool configured = functions_.configured().contains(name);
  const Function* const function = model_.function(name);
  const auto added = model_.functions().find(name);
  if (function != nullptr) {
    if (!configured) functions_.put(plan(host, *function));
  } else if (configured || added != model_.functions().end()) {
    Function nothing;
    nothing.name = name;
    functions_.extend(plan(host, added == model_.functions().end() ? nothing : added->second));
  } else {
    functions_.remove(name);
  }
}

/// Makes code of the folder of a function of the configuration that is to be published, as the call's.
net::awaitable<std::optional<LambdaError>> LambdaService::take_over(Asked& asked) {
  if (asked.method != "POST" || asked.path.size() != 4 || asked.path[3] != "versions") co_return std::nullopt;
  const auto named = parse_function_name(asked.path[2]);
  const auto found = functions_.configured().find(named ? named->name : "");
  if (found == functions_.configured().end()) co_return std::nullopt;
  const auto* const function = std::get_if<config::CommandFunction>(&found->second.target);
  if (function == nullptr) co_return std::nullopt;
  if (!function->layers.empty()) {
    co_return LambdaError(400, "InvalidParameterValueException",
                          "weir makes no versions of a function whose layers are files: publish those as layers, and "
                          "make the function by the Lambda API.");
  }
  std::function<Result<Code>()> work = [code = code_, name = found->first, from = function->directory] {
    return code.take_over(name, from);
  };
  auto code = co_await runtime::offload<Result<Code>>(context_.blocking, std::move(work));
  if (code) {
    asked.code = std::move(*code);
    co_return std::nullopt;
  }
  if (code.error().code() == ErrorCode::kEndpointFailed) {
    co_return LambdaError(400, "InvalidParameterValueException", code.error().message());
  }
  context_.log.error("code.refused", {{"function", found->first}, {"message", code.error().describe()}});
  co_return not_kept(code.error());
}

/// Unpacks what somebody has removed, and removes what nothing needs.
net::awaitable<void> LambdaService::restore() {
  std::function<std::set<std::string>()> work = [code = code_, codes = codes_of(model_)] {
    std::set<std::string> broken;
    for (const auto& [owner, sha256] : codes) {
      if (!code.restore(owner, sha256)) broken.insert(CodeFolder::key(owner, sha256));
    }
    code.keep_only(keys_of(codes));
    return broken;
  };
  broken_ = co_await runtime::offload<std::set<std::string>>(context_.blocking, std::move(work));
  for (const std::string& code : broken_) context_.log.error("code.lost", {{"code", code}});
  left_over_.clear();
  // What functions of the configuration have of it is put together before, on the same thread.
  co_await clean_layers();
}

/// Removes what functions have had that are no more, or have other layers now.
net::awaitable<void> LambdaService::clean_layers() {
  std::function<bool()> clean = [cache = package::LayerCache::of(layer_cache_)] {
    cache->clean();
    return true;
  };
  co_await runtime::offload<bool>(context_.blocking, std::move(clean));
}

net::awaitable<Result<void>> LambdaService::load(ServiceHost& host) {
  const auto turn = co_await turns_.take();
  auto notes = co_await host.notes();
  if (!notes) co_return std::move(notes.error());
  Model model;
  for (auto& [key, value] : *notes) {
    const SourceNote note{key, std::move(value)};
    if (auto applied = model.apply(note); !applied) co_return applied;
  }
  model_ = std::move(model);
  co_await restore();
  for (const auto& [name, function] : model_.functions()) {
    if (functions_.configured().contains(name) && model_.function(name) != nullptr) {
      context_.log.warn("function.hidden",
                        {{"function", name}, {"message", "the configuration has a function of this name, too"}});
    }
    tell(host, name);
  }
  begin_mappings();
  co_return Result<void>();
}

void LambdaService::begin_mappings() {
  phases_.clear();
  for (const auto& [uuid, mapping] : model_.mappings()) {
    if (mapping.contains("Deleting")) {
      end_mapping(uuid);
      continue;
    }
    auto reading = read_mapping(uuid, mapping, connectors_, mappings_.configuration());
    if (reading.mistakes.empty()) {
      mappings_.put_mapping(std::move(reading.entry));
    } else {
      context_.log.error("mapping.unusable", {{"mapping", uuid}, {"message", reading.mistakes.front()}});
    }
  }
}

void LambdaService::end_mapping(const std::string& uuid) {
  mappings_.remove_mapping(uuid, [this, uuid] {
    gone_.insert(uuid);
    wake_.cancel();
  });
}

void LambdaService::change_mapping(Reply reply) {
  phases_[reply.mapping] = std::move(reply.phase);
  if (reply.source) {
    mappings_.put_mapping(std::move(*reply.source));
  } else {
    end_mapping(reply.mapping);
  }
}

/// What mappings have come to be they stay, though they begin anew for another reason.
void LambdaService::note_settled() {
  std::erase_if(phases_, [this](const auto& each) {
    const auto state = mappings_.mapping(each.first);
    return state && state->settled;
  });
}

/// Forgets mappings that have ended and whose checkpoints are gone.
net::awaitable<void> LambdaService::forget_mappings(ServiceHost& host) {
  const std::set<std::string> gone = std::exchange(gone_, {});
  if (gone.empty()) co_return;
  ServiceCommit what;
  for (const std::string& uuid : gone) what.notes.push_back(end_of_mapping(uuid));
  const std::vector<SourceNote> notes = what.notes;
  const auto kept = co_await host.commit(std::move(what));
  if (!kept) {
    // The next start finds them as they are, and ends them again.
    context_.log.error("mapping.not_forgotten", {{"message", kept.error().describe()}});
    co_return;
  }
  for (const SourceNote& note : notes) {
    const auto applied = model_.apply(note);
    WEIR_ASSERT(applied.has_value());
  }
  for (const std::string& uuid : gone) phases_.erase(uuid);
}

bool LambdaService::is_wanted(const std::string& code) const {
  return keys_of(codes_of(model_)).contains(code);
}

net::awaitable<Result<void>> LambdaService::run(ServiceHost& host) {
  struct Away {
    bool& ready;
    ~Away() { ready = false; }
  };
  const Away away{ready_};
  if (auto loaded = co_await load(host); !loaded) co_return loaded;
  ready_ = true;
  for (;;) {
    boost::system::error_code woken;
    wake_.expires_after(gone_.empty() ? kCodeOutlives : Duration(0));
    co_await wake_.async_wait(net::redirect_error(net::use_awaitable, woken));
    const auto turn = co_await turns_.take();
    co_await forget_mappings(host);
    co_await clean_layers();
    const Instant now = context_.clock.now().instant;
    std::vector<std::string> over;
    for (const auto& [code, when] : left_over_) {
      if (when <= now) over.push_back(code);
    }
    for (const std::string& each : over) left_over_.erase(each);
    std::erase_if(over, [this](const std::string& each) { return is_wanted(each); });
    if (over.empty()) continue;
    std::function<bool()> work = [code = code_, over = std::move(over)] {
      for (const std::string& each : over) code.remove(each);
      return true;
    };
    co_await runtime::offload<bool>(context_.blocking, std::move(work));
  }
}

std::string LambdaService::token(std::string_view key, std::string_view expires) const {
  std::string text = key_;
  text.append(key).append("@").append(expires).append(key_);
  return hex_of(sha256_of(text));
}

std::string LambdaService::location(const std::string& address, std::string_view function,
                                    std::string_view sha256) const {
  const std::string key = CodeFolder::key(function, sha256);
  const std::string expires = std::to_string(epoch_milliseconds(context_.clock.now().wall + kLinkLasts));
  return address + "/2015-03-31/" + std::string(kCode) + "/" + key + "?expires=" + expires +
         "&token=" + token(key, expires);
}

/// A function's zip, by a link from GetFunction: as AWS's links, it needs no signature, and not for long.
net::awaitable<ServiceAnswer> LambdaService::download(std::vector<std::string> path, std::string query) {
  const auto fields = http::parse_query(query, http::Plus::kSpace).value_or(http::QueryFields());
  const auto field = [&](std::string_view name) {
    const auto found = std::find_if(fields.begin(), fields.end(), [&](const auto& each) { return each.first == name; });
    return found == fields.end() ? std::string() : found->second;
  };
  const std::string key = path.size() == 4 ? path[2] + "/" + path[3] : "";
  const std::string expires = field("expires");
  const std::string given = field("token");
  const std::string right = token(key, expires);
  const std::string now = std::to_string(epoch_milliseconds(context_.clock.now().wall));
  const bool known = given.size() == right.size() && CRYPTO_memcmp(given.data(), right.data(), right.size()) == 0;
  if (!known || expires < now) {
    co_return answer_of({403, "AccessDeniedException", "The link to the code is not right, or not right any more."});
  }
  std::function<std::string()> work = [file = code_.file(key)] {
    std::ifstream in(file, std::ios::binary);
    return std::string{std::istreambuf_iterator<char>(in), {}};
  };
  std::string zip = co_await runtime::offload<std::string>(context_.blocking, std::move(work));
  if (zip.empty()) co_return answer_of({404, "ResourceNotFoundException", "The code is not there any more."});
  co_return ServiceAnswer(200, "application/zip", std::move(zip));
}

net::awaitable<ServiceAnswer> LambdaService::call(ServiceHost& host, ServiceCall call) {
  std::vector<std::string> path = segments_of(call.path);
  if (path.size() > 1 && path[1] == kCode && call.method == "GET") {
    co_return co_await download(std::move(path), std::move(call.query));
  }
  co_return co_await manage(host, std::move(call), std::move(path));
}

/// What of these nothing needs any more is removed in a while.
void LambdaService::let_go(const std::set<std::string>& codes) {
  const std::set<std::string> wanted = keys_of(codes_of(model_));
  const Instant until = context_.clock.now().instant + kCodeOutlives;
  for (const std::string& code : codes) {
    if (!wanted.contains(code)) left_over_[code] = until;
  }
}

/// Does with a call's zip what its reply says, and measures what that comes to. Returns what is answered instead.
net::awaitable<std::optional<LambdaError>> LambdaService::unpack(const Reply& reply, std::string owner,
                                                                 std::optional<Code> facts, std::string zip) {
  std::function<Result<std::uint64_t>()> work =
      [code = code_, owner, facts, unpacks = reply.unpack, dry = reply.dry, measured = reply.measured,
       bytes = std::make_shared<const std::string>(std::move(zip))]() mutable -> Result<std::uint64_t> {
    std::uint64_t size = 0;
    if (unpacks && dry) {
      auto tried = code.try_out(*bytes);
      if (!tried) return tried;
      size = *tried;
      std::erase_if(measured, [&](const auto& each) { return each.first == owner; });
    } else if (unpacks) {
      if (auto added = code.add(owner, *facts, *bytes); !added) return std::move(added.error());
    }
    return measured.empty() ? 0 : size + code.bytes_of(measured);
  };
  const auto size = co_await runtime::offload<Result<std::uint64_t>>(context_.blocking, std::move(work));
  if (!size && size.error().code() == ErrorCode::kEndpointFailed) {
    co_return LambdaError(400, "InvalidParameterValueException", size.error().message());
  }
  if (!size) {
    context_.log.error("code.refused", {{"function", owner}, {"message", size.error().describe()}});
    co_return not_kept(size.error());
  }
  const bool added = reply.unpack && !reply.dry;
  if (*size > kMaxUnzipped) {
    if (added) let_go({CodeFolder::key(owner, facts->sha256)});
    co_return LambdaError(400, "InvalidParameterValueException",
                          "Function code combined with layers exceeds the maximum allowed size of " +
                              std::to_string(kMaxUnzipped) + " bytes. The actual size is " + std::to_string(*size) +
                              " bytes.");
  }
  if (added) broken_.erase(CodeFolder::key(owner, facts->sha256));
  co_return std::nullopt;
}

net::awaitable<ServiceAnswer> LambdaService::manage(ServiceHost& host, ServiceCall call,
                                                    std::vector<std::string> path) {
  // A zip of 50 MB is unpacked where it holds nobody up.
  std::function<Upload()> work = [body = std::make_shared<std::string>(std::move(call.body))] {
    return take_zip(std::move(*body));
  };
  const bool large = call.method == "POST" || call.method == "PUT";
  Upload upload;
  if (large) upload = co_await runtime::offload<Upload>(context_.blocking, std::move(work));
  if (upload.error) co_return answer_of(*upload.error);
  Asked asked;
  asked.method = std::move(call.method);
  asked.path = std::move(path);
  asked.query = http::parse_query(call.query, http::Plus::kSpace).value_or(http::QueryFields());
  asked.body = std::move(upload.body);
  asked.code = upload.code;
  asked.address = call.address;

  const auto turn = co_await turns_.take();
  if (auto refused = co_await take_over(asked)) co_return answer_of(*refused);
  const auto broken = [this](std::string_view function, std::string_view version) {
    if (broken_.empty()) return false;
    const auto found = model_.functions().find(function);
    const nlohmann::json* const document =
        found == model_.functions().end() ? nullptr : find(found->second.versions, version);
    return document != nullptr &&
           broken_.contains(CodeFolder::key(function, document->at("CodeSha256").get<std::string>()));
  };
  note_settled();
  const World world{
      model_,
      functions_,
      mappings_,
      connectors_,
      context_.clock.now().wall,
      started_,
      random_,
      [&](const Function& function) { return plan(host, function); },
      broken,
      [&](std::string_view arn) { return host.target_of(arn); },
      [&](std::string_view uuid) {
        const auto phase = phases_.find(uuid);
        return phase == phases_.end() ? std::string() : phase->second;
      },
      [&](std::string_view function, std::string_view sha256) { return location(asked.address, function, sha256); }};
  Reply reply = answer(world, asked);
  if (reply.error) co_return answer_of(*reply.error);
  if (reply.probe) {
    const auto readable = co_await mappings_.probe(*reply.source);
    if (!readable) {
      co_return answer_of(not_readable(*reply.source, mappings_.configuration(), readable.error()));
    }
  }
  const std::string owner = reply.layer.empty() ? reply.function : owner_of_layer(reply.layer);
  if (reply.unpack || !reply.measured.empty()) {
    auto right = co_await unpack(reply, owner, asked.code, std::move(upload.zip));
    if (right) co_return answer_of(*right);
  }
  if (!reply.notes.empty()) {
    std::set<std::string> before;
    const auto function = model_.functions().find(reply.function);
    if (function != model_.functions().end()) before = keys_of(codes_of(function->second));
    if (const Layer* layer = model_.layer(reply.layer)) before.merge(keys_of(codes_of(reply.layer, *layer)));
    if (reply.unpack) before.insert(CodeFolder::key(owner, asked.code->sha256));
    ServiceCommit what;
    what.notes = reply.notes;
    auto kept = co_await host.commit(std::move(what));
    if (kept) {
      for (const SourceNote& note : reply.notes) {
        const auto applied = model_.apply(note);
        WEIR_ASSERT(applied.has_value());
      }
      if (!reply.function.empty()) tell(host, reply.function);
      if (!reply.mapping.empty()) change_mapping(reply);
    }
    let_go(before);
    if (!kept) co_return answer_of(not_kept(kept.error()));
  }
  ServiceAnswer said(reply.status, "application/json", std::move(reply.body));
  co_return said;
}

}  // namespace

const ServiceEntry& service_entry() {
  return kEntry;
}

std::unique_ptr<Service> make_service(ServiceContext context, config::FunctionHost& functions,
                                      config::MappingHost& mappings, std::span<const ConnectorEntry> connectors,
                                      const std::string& state) {
  return std::make_unique<LambdaService>(std::move(context), functions, mappings, connectors, state);
}

}  // namespace weir::control
