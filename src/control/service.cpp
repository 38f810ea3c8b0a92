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
#include "control/plan.h"
#include "http/uri.h"
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

/// What the code of a function's versions is kept under.
std::set<std::string> codes_of(const Function& function) {
  std::set<std::string> keys;
  for (const auto& [version, document] : function.versions) {
    keys.insert(CodeFolder::key(function.name, document.at("CodeSha256").get<std::string>()));
  }
  return keys;
}

/// Lambda's management API. What it decides is Api's business; this asks the disk, and tells the bridge.
class LambdaService final : public Service {
 public:
  LambdaService(ServiceContext context, config::FunctionHost& functions, const std::string& state)
      : context_(std::move(context)),
        functions_(functions),
        code_(state + "/code"),
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
  net::awaitable<ServiceAnswer> manage(ServiceHost& host, ServiceCall call, std::vector<std::string> path);
  net::awaitable<ServiceAnswer> download(std::vector<std::string> path, std::string query);
  void tell(const ServiceHost& host, const std::string& function);
  config::FunctionPlan plan(const ServiceHost& host, const Function& function) const;
  std::string location(const std::string& address, std::string_view function, std::string_view sha256) const;
  std::string token(std::string_view key, std::string_view expires) const;
  bool is_wanted(const std::string& code) const;

  ServiceContext context_;
  config::FunctionHost& functions_;
  CodeFolder code_;
  WallTime started_;
  Random random_;
  std::string key_;  ///< of links to code
  Model model_;
  service::Turns turns_;
  net::steady_timer wake_;
  std::set<std::string> broken_;              ///< "NAME/HASH" of code that is gone
  std::map<std::string, Instant> left_over_;  ///< code that no version has, and when it may go
  bool ready_ = false;
};

config::FunctionPlan LambdaService::plan(const ServiceHost& host, const Function& function) const {
  return plan_of(function, code_, [&host](std::string_view arn) { return host.target_of(arn); });
}

/// Makes the bridge's function what the model says. The configuration's functions hide those of earlier lives.
void LambdaService::tell(const ServiceHost& host, const std::string& name) {
  if (functions_.configured().contains(name)) return;
  if (const Function* function = model_.function(name)) {
    functions_.put(plan(host, *function));
  } else {
    functions_.remove(name);
  }
}

/// Unpacks what somebody has removed, and removes what nothing needs.
net::awaitable<void> LambdaService::restore() {
  struct Version {
    std::string function;
    std::string sha256;
  };
  std::vector<Version> versions;
  std::set<std::string> wanted;
  for (const auto& [name, function] : model_.functions()) {
    for (const auto& [number, document] : function.versions) {
      versions.push_back({name, document.at("CodeSha256").get<std::string>()});
    }
    wanted.merge(codes_of(function));
  }
  std::function<std::set<std::string>()> work = [code = code_, versions = std::move(versions),
                                                 wanted = std::move(wanted)] {
    std::set<std::string> broken;
    for (const Version& each : versions) {
      if (!code.restore(each.function, each.sha256)) broken.insert(CodeFolder::key(each.function, each.sha256));
    }
    code.keep_only(wanted);
    return broken;
  };
  broken_ = co_await runtime::offload<std::set<std::string>>(context_.blocking, std::move(work));
  for (const std::string& code : broken_) context_.log.error("code.lost", {{"code", code}});
  left_over_.clear();
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
    if (functions_.configured().contains(name)) {
      context_.log.warn("function.hidden",
                        {{"function", name}, {"message", "the configuration has a function of this name, too"}});
    }
    tell(host, name);
  }
  co_return Result<void>();
}

bool LambdaService::is_wanted(const std::string& code) const {
  const Function* const function = model_.function(code.substr(0, code.find('/')));
  return function != nullptr && codes_of(*function).contains(code);
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
    wake_.expires_after(kCodeOutlives);
    co_await wake_.async_wait(net::redirect_error(net::use_awaitable, woken));
    const auto turn = co_await turns_.take();
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
  const auto broken = [this](std::string_view function, std::string_view version) {
    if (broken_.empty()) return false;
    const Function* const found = model_.function(function);
    const nlohmann::json* const document = found == nullptr ? nullptr : find(found->versions, version);
    return document != nullptr &&
           broken_.contains(CodeFolder::key(function, document->at("CodeSha256").get<std::string>()));
  };
  const World world{
      model_,
      functions_,
      context_.clock.now().wall,
      started_,
      random_,
      [&](const Function& function) { return plan(host, function); },
      broken,
      [&](std::string_view arn) { return host.target_of(arn); },
      [&](std::string_view function, std::string_view sha256) { return location(asked.address, function, sha256); }};
  Reply reply = answer(world, asked);
  if (reply.error) co_return answer_of(*reply.error);
  if (reply.unpack) {
    std::function<Result<void>()> unpacking = [code = code_, name = reply.function, facts = *asked.code,
                                               zip = std::make_shared<const std::string>(std::move(upload.zip))] {
      return code.add(name, facts, *zip);
    };
    auto unpacked = co_await runtime::offload<Result<void>>(context_.blocking, std::move(unpacking));
    if (!unpacked && unpacked.error().code() == ErrorCode::kEndpointFailed) {
      co_return answer_of({400, "InvalidParameterValueException", unpacked.error().message()});
    }
    if (!unpacked) {
      context_.log.error("code.refused", {{"function", reply.function}, {"message", unpacked.error().describe()}});
      co_return answer_of(not_kept(unpacked.error()));
    }
    broken_.erase(CodeFolder::key(reply.function, asked.code->sha256));
  }
  if (!reply.notes.empty()) {
    std::set<std::string> before;
    if (const Function* function = model_.function(reply.function)) before = codes_of(*function);
    if (reply.unpack) before.insert(CodeFolder::key(reply.function, asked.code->sha256));
    ServiceCommit what;
    what.notes = reply.notes;
    auto kept = co_await host.commit(std::move(what));
    if (kept) {
      for (const SourceNote& note : reply.notes) {
        const auto applied = model_.apply(note);
        WEIR_ASSERT(applied.has_value());
      }
      tell(host, reply.function);
    }
    const Instant until = context_.clock.now().instant + kCodeOutlives;
    for (const std::string& code : before) {
      if (!is_wanted(code)) left_over_[code] = until;
    }
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
                                      const std::string& state) {
  return std::make_unique<LambdaService>(std::move(context), functions, state);
}

}  // namespace weir::control
