#include "lambda/emulator/extension_set.h"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "weir/base/json_writer.h"

#include "lambda/emulator/error_documents.h"

namespace weir::emulator {

using http::Request;
using http::Response;

namespace {

Response forbidden(std::string_view type, std::string_view message) {
  return {403, "application/json", error_document(type, message)};
}

Response accepted() {
  return {202, "application/json", "{\"status\":\"OK\"}\n"};
}

Response bad_transition(Extension::State from, Extension::State to, std::string_view name) {
  return forbidden("Extension.InvalidExtensionState",
                   "State transition from " + std::string(text(from)) + " to " + std::string(text(to)) +
                       " failed for extension " + std::string(name) + ". Error: State transition is not allowed");
}

/// Whether a list of words, parted by commas, has one.
bool lists(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    std::string_view each = list.substr(0, comma);
    list.remove_prefix(std::min(comma + 1, list.size()));
    while (each.starts_with(' ')) each.remove_prefix(1);
    while (each.ends_with(' ')) each.remove_suffix(1);
    if (http::same_word(each, word)) return true;
  }
  return false;
}

}  // namespace

std::string_view text(Extension::State state) {
  switch (state) {
    case Extension::State::kStarted:
      return "Started";
    case Extension::State::kRegistered:
      return "Registered";
    case Extension::State::kReady:
      return "Ready";
    case Extension::State::kRunning:
      return "Running";
    case Extension::State::kInitError:
      return "InitError";
    case Extension::State::kExitError:
      return "ExitError";
    case Extension::State::kExited:
      return "Exited";
    case Extension::State::kLaunchError:
      return "LaunchError";
  }
  return "";
}

Extension* ExtensionSet::find(std::string_view name) {
  const auto found =
      std::find_if(extensions_.begin(), extensions_.end(), [&](const Extension& each) { return each.name == name; });
  return found == extensions_.end() ? nullptr : &*found;
}

bool ExtensionSet::add_external(const std::string& name) {
  Extension extension;
  extension.name = name;
  extension.external = true;
  const bool room = extensions_.size() < kExtensionsMax;
  extensions_.push_back(std::move(extension));
  if (!room) launch_failed(name, "TooManyExtensions");
  return room;
}

void ExtensionSet::launch_failed(const std::string& name, std::string error_type) {
  Extension* extension = find(name);
  if (extension == nullptr) return;
  extension->state = Extension::State::kLaunchError;
  extension->error_type = std::move(error_type);
}

void ExtensionSet::exited(const std::string& name) {
  Extension* extension = find(name);
  if (extension == nullptr) return;
  // What it reported before says more.
  if (extension->state == Extension::State::kInitError || extension->state == Extension::State::kExitError) return;
  if (extension->state != Extension::State::kLaunchError) extension->state = Extension::State::kExited;
}

Response ExtensionSet::register_extension(const Request& request, const Function& function, Random& random) {
  const std::string name(request.headers.get("Lambda-Extension-Name").value_or(""));
  if (name.empty()) return forbidden("Extension.InvalidExtensionName", "Empty extension name");
  const nlohmann::json body = nlohmann::json::parse(request.body, nullptr, false);
  if (!body.is_object()) return forbidden("InvalidRequestFormat", "the body is not a JSON object");
  if (body.contains("configurationKeys") && !body["configurationKeys"].empty()) {
    return forbidden("InvalidRequestFormat", "configurationKeys are deprecated; use environment variables instead");
  }
  Extension* known = find(name);
  const bool external = known != nullptr && known->external;
  bool invoke = false;
  bool shutdown = false;
  if (body.contains("events")) {
    if (!body["events"].is_array()) return forbidden("InvalidRequestFormat", "events is not an array");
    for (const nlohmann::json& event : body["events"]) {
      const std::string word = event.is_string() ? event.get<std::string>() : event.dump();
      if (word == "SHUTDOWN" && !external) {
        return forbidden("Extension.InvalidEventType", word + ": ShutdownEventNotSupportedForInternalExtension");
      }
      if (word != "INVOKE" && word != "SHUTDOWN") {
        return forbidden("Extension.InvalidEventType", word + ": ErrorInvalidEventType");
      }
      (word == "INVOKE" ? invoke : shutdown) = true;
    }
  }
  if (external) {
    if (known->state != Extension::State::kStarted) {
      return bad_transition(known->state, Extension::State::kRegistered, name);
    }
  } else {
    if (closed_) return forbidden("Extension.RegistrationClosed", "Extension registration closed already");
    if (known != nullptr) {
      return forbidden("Extension.InvalidExtensionState", "Extension with this name already registered");
    }
    if (extensions_.size() >= kExtensionsMax) {
      return forbidden("Extension.TooManyExtensions",
                       "Extension limit (" + std::to_string(kExtensionsMax) + ") reached");
    }
    extensions_.emplace_back();
    known = &extensions_.back();
    known->name = name;
  }
  known->id = random.uuid();
  known->invoke = invoke;
  known->shutdown = shutdown;
  known->state = Extension::State::kRegistered;

  Response response(200, "application/json", "");
  JsonWriter out(response.body);
  out.begin_object().member("functionName", function.name).member("functionVersion", function.version);
  out.member("handler", function.handler);
  if (lists(request.headers.get("Lambda-Extension-Accept-Feature").value_or(""), "accountId")) {
    out.member("accountId", function.account);
  }
  out.end_object();
  response.headers.add("Lambda-Extension-Identifier", known->id);
  return response;
}

Extension* ExtensionSet::identify(const Request& request, Response& refusal) {
  const std::string id(request.headers.get("Lambda-Extension-Identifier").value_or(""));
  if (id.empty()) {
    refusal = forbidden("Extension.MissingExtensionIdentifier", "Missing Lambda-Extension-Identifier header");
    return nullptr;
  }
  const auto found =
      std::find_if(extensions_.begin(), extensions_.end(), [&](const Extension& each) { return each.id == id; });
  if (found != extensions_.end()) return &*found;
  const bool uuid = id.size() == 36 && id.find_first_not_of("0123456789abcdefABCDEF-") == std::string::npos;
  refusal = uuid ? forbidden("Extension.UnknownExtensionIdentifier", "Unknown extension " + id)
                 : forbidden("Extension.InvalidExtensionIdentifier", "Invalid Lambda-Extension-Identifier");
  return nullptr;
}

bool ExtensionSet::may_wait(Extension& extension, Response& refusal) {
  switch (extension.state) {
    case Extension::State::kRegistered:
    case Extension::State::kReady:  // Asks again on another connection.
    case Extension::State::kRunning:
      extension.state = Extension::State::kReady;
      return true;
    case Extension::State::kStarted:
    case Extension::State::kInitError:
    case Extension::State::kExitError:
    case Extension::State::kExited:
    case Extension::State::kLaunchError:
      break;
  }
  refusal = bad_transition(extension.state, Extension::State::kReady, extension.id);
  return false;
}

Response ExtensionSet::init_error(Extension& extension, const Request& request) {
  const auto type = request.headers.get("Lambda-Extension-Function-Error-Type");
  if (!type || type->empty()) {
    return forbidden("Extension.MissingHeader", "Lambda-Extension-Function-Error-Type not found");
  }
  if (extension.state != Extension::State::kRegistered) {
    return bad_transition(extension.state, Extension::State::kInitError, extension.id);
  }
  extension.state = Extension::State::kInitError;
  extension.error_type = *type;
  return accepted();
}

Response ExtensionSet::exit_error(Extension& extension, const Request& request) {
  const auto type = request.headers.get("Lambda-Extension-Function-Error-Type");
  if (!type || type->empty()) {
    return forbidden("Extension.MissingHeader", "Lambda-Extension-Function-Error-Type not found");
  }
  if (extension.state != Extension::State::kRegistered && extension.state != Extension::State::kReady &&
      extension.state != Extension::State::kRunning) {
    return bad_transition(extension.state, Extension::State::kExitError, extension.id);
  }
  extension.state = Extension::State::kExitError;
  extension.error_type = *type;
  return accepted();
}

std::vector<Extension*> ExtensionSet::begin_invocation() {
  std::vector<Extension*> told;
  for (Extension& extension : extensions_) {
    if (!extension.invoke || extension.state != Extension::State::kReady) continue;
    extension.state = Extension::State::kRunning;
    told.push_back(&extension);
  }
  return told;
}

bool ExtensionSet::external_registered() const {
  return std::all_of(extensions_.begin(), extensions_.end(), [](const Extension& each) {
    return !each.external || (each.state != Extension::State::kStarted && each.state != Extension::State::kLaunchError);
  });
}

bool ExtensionSet::all_ready() const {
  return std::all_of(extensions_.begin(), extensions_.end(),
                     [](const Extension& each) { return each.state == Extension::State::kReady; });
}

}  // namespace weir::emulator
