#include "package/runtimes.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include <unistd.h>

namespace weir::package {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kNodeClient = "aws-lambda-ric/bin/index.mjs";
constexpr std::string_view kJavaClient = "aws-lambda-java-runtime-interface-client";
/// Of a function's memory, what Java may use for its heap; the rest is for itself. Lambda's own part.
constexpr int kJavaHeapPercent = 85;

/// Asks Python whether it has the client, then becomes `python -m awslambdaric`. http.client rather than urllib: it
/// looks at no proxy.
constexpr std::string_view kPythonStart = R"(import importlib.util, os, runpy, sys
sys.path[0] = os.getcwd()
if importlib.util.find_spec("awslambdaric") is None:
    import http.client, json
    why = ("%s finds no module awslambdaric in %s; install it with `pip install awslambdaric`, for this Python or, with "
           "`-t .`, into the function's folder" % (sys.executable, ":".join(sys.path)))
    print(why, file=sys.stderr, flush=True)
    http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"]).request(
        "POST", "/2018-06-01/runtime/init/error",
        json.dumps({"errorType": "Runtime.InvalidEntrypoint", "errorMessage": why, "stackTrace": []}),
        {"Lambda-Runtime-Function-Error-Type": "Runtime.InvalidEntrypoint"})
    sys.exit(1)
sys.argv[0] = "awslambdaric"
runpy.run_module("awslambdaric", run_name="__main__", alter_sys=True)
)";

constexpr std::string_view kRubyStart = R"(begin
  client = Gem.bin_path("aws_lambda_ric", "aws_lambda_ric")
rescue Gem::Exception, Gem::LoadError
  require "json"
  require "net/http"
  why = "#{RbConfig.ruby} finds no gem aws_lambda_ric in #{Gem.path.join(":")}; install it with `gem install aws_lambda_ric`"
  warn why
  host, port = ENV.fetch("AWS_LAMBDA_RUNTIME_API").split(":")
  Net::HTTP.new(host, port.to_i, nil).post(
    "/2018-06-01/runtime/init/error",
    JSON.generate({"errorType" => "Runtime.InvalidEntrypoint", "errorMessage" => why, "stackTrace" => []}),
    {"Lambda-Runtime-Function-Error-Type" => "Runtime.InvalidEntrypoint"})
  exit 1
end
load client
)";

bool is_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// "3.12" behind "python".
bool is_version(std::string_view text) {
  const std::size_t dot = text.find('.');
  return dot != std::string_view::npos && is_digits(text.substr(0, dot)) && is_digits(text.substr(dot + 1));
}

bool is_file(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

bool is_executable(const fs::path& path) {
  return is_file(path) && ::access(path.c_str(), X_OK) == 0;
}

std::vector<std::string> split_paths(const std::string& text) {
  std::vector<std::string> paths;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(':', at), text.size());
    if (end > at) paths.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return paths;
}

/// A variable as the function has it, else as weir has.
std::string variable(const RuntimePlace& place, const char* name) {
  if (const auto own = place.environment.find(name); own != place.environment.end()) return own->second;
  const char* inherited = std::getenv(name);
  return inherited != nullptr ? inherited : "";
}

/// "20" of "nodejs20.x", "3.12" of "python3.12".
std::string_view version_of(std::string_view runtime) {
  const std::size_t begin = runtime.find_first_of("0123456789");
  if (begin == std::string_view::npos) return "";
  const std::size_t end = runtime.find_last_of("0123456789");
  return runtime.substr(begin, end + 1 - begin);
}

RuntimeStart find_node(const RuntimePlace& place) {
  std::vector<fs::path> folders;
  for (fs::path folder = place.directory;; folder = folder.parent_path()) {
    folders.push_back(folder / "node_modules");
    if (folder == folder.parent_path()) break;
  }
  if (!place.opt.empty()) {
    const fs::path modules = fs::path(place.opt) / "nodejs";
    folders.push_back(modules / ("node" + std::string(version_of(place.runtime))) / "node_modules");
    folders.push_back(modules / "node_modules");
  }
  for (std::string& path : split_paths(variable(place, "NODE_PATH"))) folders.emplace_back(std::move(path));
  RuntimeStart start;
  for (const fs::path& folder : folders) {
    const fs::path client = folder / kNodeClient;
    if (!is_file(client)) continue;
    start.command = {"node", client.string(), place.handler};
    return start;
  }
  start.missing = "aws-lambda-ric, AWS's runtime client for Node, is not in node_modules of " + place.directory +
                  " or the folders above it, " + (place.opt.empty() ? "" : "in nodejs/node_modules of a layer, ") +
                  "or in a folder of NODE_PATH; install it with `npm install aws-lambda-ric`";
  return start;
}

bool holds_java_client(const fs::path& folder) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(kJavaClient) && name.ends_with(".jar")) return true;
  }
  return false;
}

RuntimeStart find_java(const RuntimePlace& place) {
  RuntimeStart start;
  const fs::path own = fs::path(place.directory) / "lib";
  const fs::path layered = place.opt.empty() ? fs::path() : fs::path(place.opt) / "java" / "lib";
  if (!holds_java_client(own) && (layered.empty() || !holds_java_client(layered))) {
    start.missing = "there is no " + std::string(kJavaClient) + "-VERSION.jar, AWS's runtime client for Java, in " +
                    own.string() + (layered.empty() ? "" : " or java/lib of a layer") +
                    "; copy it there with what it needs: `mvn dependency:copy-dependencies -DoutputDirectory=lib` with "
                    "com.amazonaws:aws-lambda-java-runtime-interface-client among the dependencies";
    return start;
  }
  std::string class_path = place.directory + ":" + own.string() + "/*";
  if (!layered.empty()) class_path += ":" + layered.string() + "/*";
  // As on Lambda: without a bound Java takes a part of the machine's memory, not of the function's.
  const int heap = place.memory_size * kJavaHeapPercent / 100;
  start.command = {"java",
                   "-Xmx" + std::to_string(heap) + "m",
                   "-XX:+UseSerialGC",
                   "-cp",
                   std::move(class_path),
                   "com.amazonaws.services.lambda.runtime.api.client.AWSLambda",
                   place.handler};
  return start;
}

RuntimeStart find_bootstrap(const RuntimePlace& place) {
  RuntimeStart start;
  for (const std::string& folder : {place.directory, place.opt}) {
    if (folder.empty()) continue;
    const fs::path bootstrap = fs::path(folder) / "bootstrap";
    if (!is_executable(bootstrap)) continue;
    start.command = {bootstrap.string()};
    return start;
  }
  start.missing = "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]";
  return start;
}

}  // namespace

std::optional<RuntimeFamily> family_of(std::string_view runtime) {
  const auto behind = [runtime](std::string_view word) {
    return runtime.starts_with(word) ? std::optional(runtime.substr(word.size())) : std::nullopt;
  };
  if (const auto rest = behind("nodejs"); rest && rest->ends_with(".x") && is_digits(rest->substr(0, rest->size() - 2)))
    return RuntimeFamily::kNode;
  if (const auto rest = behind("python"); rest && is_version(*rest)) return RuntimeFamily::kPython;
  if (const auto rest = behind("ruby"); rest && is_version(*rest)) return RuntimeFamily::kRuby;
  if (const auto rest = behind("java")) {
    const std::size_t dot = std::min(rest->find('.'), rest->size());
    const std::string_view system = rest->substr(dot);
    if (is_digits(rest->substr(0, dot)) && (system.empty() || system == ".al2" || system == ".al2023"))
      return RuntimeFamily::kJava;
  }
  if (runtime == "provided" || runtime == "provided.al2" || runtime == "provided.al2023")
    return RuntimeFamily::kProvided;
  return std::nullopt;
}

RuntimeStart find_runtime(const RuntimePlace& place) {
  RuntimeStart start;
  switch (family_of(place.runtime).value_or(RuntimeFamily::kProvided)) {
    case RuntimeFamily::kNode:
      return find_node(place);
    case RuntimeFamily::kPython:
      start.command = {"python3", "-c", std::string(kPythonStart), place.handler};
      return start;
    case RuntimeFamily::kRuby:
      start.command = {"ruby", "-e", std::string(kRubyStart), place.handler};
      return start;
    case RuntimeFamily::kJava:
      return find_java(place);
    case RuntimeFamily::kProvided:
      break;
  }
  return find_bootstrap(place);
}

std::map<std::string, std::string> runtime_variables(std::string_view runtime, const std::string& task,
                                                     const std::string& opt) {
  std::map<std::string, std::string> variables;
  const auto family = family_of(runtime);
  if (!family || *family == RuntimeFamily::kProvided) return variables;
  variables["AWS_EXECUTION_ENV"] = "AWS_Lambda_" + std::string(runtime);
  const std::string version(version_of(runtime));
  switch (*family) {
    case RuntimeFamily::kNode:
      variables["NODE_PATH"] = opt + "/nodejs/node" + version + "/node_modules:" + opt +
                               "/nodejs/node_modules:/var/runtime/node_modules:/var/runtime:" + task;
      break;
    case RuntimeFamily::kPython:
      // Lambda's own Python knows where layers are; any other has to be told.
      variables["PYTHONPATH"] = opt + "/python/lib/python" + version + "/site-packages:" + opt + "/python:/var/runtime";
      break;
    case RuntimeFamily::kRuby:
      variables["GEM_PATH"] = task + "/vendor/bundle/ruby/" + version + ".0:" + opt + "/ruby/gems/" + version + ".0";
      variables["RUBYLIB"] = opt + "/ruby/lib:" + task;
      break;
    case RuntimeFamily::kJava:
    case RuntimeFamily::kProvided:
      break;
  }
  return variables;
}

}  // namespace weir::package
