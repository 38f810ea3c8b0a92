#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir::package {

/// Lambda's runtimes that weir starts by name, each through the client that AWS publishes for it.
enum class RuntimeFamily { kNode, kPython, kRuby, kJava, kProvided };

/// The family of "nodejs20.x", "python3.12", "ruby3.3", "java21", "java17.al2023", "provided.al2023" and their like;
/// nothing for a name that is none of them.
std::optional<RuntimeFamily> family_of(std::string_view runtime);

/// A function's code, where it really is.
struct RuntimePlace {
  std::string runtime;
  std::string handler;
  std::string directory;                           ///< absolute; the code
  std::string opt;                                 ///< absolute; what the layers hold together; "" without layers
  int memory_size = 128;                           ///< MB
  std::map<std::string, std::string> environment;  ///< the function's own variables
};

/// How a runtime is started.
struct RuntimeStart {
  std::vector<std::string> command;  ///< program and arguments, with paths as they really are; none: `missing` says why
  std::string missing;  ///< what was looked for and where, and how it is to be had; of `provided*` AWS's own sentence
};

/// Looks for what starts `place.runtime`, whose family is known. Node's, Java's and `provided`'s are found (or not) in
/// the file system; whether Python and Ruby have theirs only they know, so the command asks them first, and reports
/// Runtime.InvalidEntrypoint with the reason when they have not.
RuntimeStart find_runtime(const RuntimePlace& place);

/// The variables that such a runtime finds on Lambda beside the reserved ones: AWS_EXECUTION_ENV, and where it looks
/// for modules. `task`, `opt`: where the code and the layers are for the function.
std::map<std::string, std::string> runtime_variables(std::string_view runtime, const std::string& task,
                                                     const std::string& opt);

}  // namespace weir::package
