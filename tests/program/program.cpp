#include "program/program.h"

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "http/client.h"

namespace weir::test {
namespace {

using Clock = std::chrono::steady_clock;

std::string file_text(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

std::vector<std::string> environment_with(const std::map<std::string, std::string>& added) {
  std::vector<std::string> result;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string text(*variable);
    if (!added.contains(text.substr(0, text.find('=')))) result.push_back(text);
  }
  for (const auto& [name, value] : added) result.push_back(name + "=" + value);
  return result;
}

Ending ending_of(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::vector<std::string> run_command(const std::string& config, const std::vector<std::string>& more) {
  std::vector<std::string> command{WEIR, "run", config, WEIR_TESTS_LISTEN};
  command.insert(command.end(), more.begin(), more.end());
  return command;
}

Process::Options with_admin(Process::Options options, const std::string& admin) {
  options.environment.emplace("ADMIN", admin);
  return options;
}

}  // namespace

Process::Process(std::vector<std::string> command, Options options) {
  int in[2];
  int out[2];
  int err[2];
  REQUIRE(::pipe2(in, O_CLOEXEC) == 0);
  REQUIRE(::pipe2(out, O_CLOEXEC) == 0);
  REQUIRE(::pipe2(err, O_CLOEXEC) == 0);
  std::vector<std::string> environment = environment_with(options.environment);
  const std::vector<char*> arguments = pointers(command);
  const std::vector<char*> variables = pointers(environment);
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  REQUIRE(pid_ >= 0);
  if (pid_ == 0) {
    // Only what is allowed between fork and exec of a program with threads.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(127);
    ::dup2(in[0], STDIN_FILENO);
    ::dup2(out[1], STDOUT_FILENO);
    ::dup2(err[1], STDERR_FILENO);
    if (options.ignore_file_size_signal) ::signal(SIGXFSZ, SIG_IGN);
    ::execve(arguments[0], arguments.data(), variables.data());
    ::_exit(127);
  }
  ::close(in[0]);
  ::close(out[1]);
  ::close(err[1]);
  out_.descriptor = out[0];
  err_.descriptor = err[0];
  out_.reader = std::thread([this] { collect(out_); });
  err_.reader = std::thread([this] { collect(err_); });
  writer_ = std::thread([descriptor = in[1], input = std::move(options.input)] {
    // A program that does not read to the end closes its side: that is its right.
    std::string_view rest = input;
    while (!rest.empty()) {
      const auto wrote = ::write(descriptor, rest.data(), rest.size());
      if (wrote <= 0) break;
      rest.remove_prefix(static_cast<std::size_t>(wrote));
    }
    ::close(descriptor);
  });
}

Process::~Process() {
  if (!ending_) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  writer_.join();
  for (Stream* stream : {&out_, &err_}) {
    stream->reader.join();
    ::close(stream->descriptor);
  }
}

void Process::collect(Stream& stream) {
  char buffer[4096];
  for (;;) {
    const auto got = ::read(stream.descriptor, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    const std::lock_guard lock(mutex_);
    if (got > 0) stream.text.append(buffer, static_cast<std::size_t>(got));
    stream.open = got > 0;
    changed_.notify_all();
    if (got <= 0) return;
  }
}

std::string Process::out() const {
  const std::lock_guard lock(mutex_);
  return out_.text;
}

std::string Process::err() const {
  const std::lock_guard lock(mutex_);
  return err_.text;
}

void Process::wait_for(std::string_view text, std::chrono::seconds patience) {
  bool found = false;
  {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, patience, [&] {
      found = err_.text.find(text) != std::string::npos;
      return found || !err_.open;
    });
  }
  INFO("waited for: " << text << "\nstderr:\n" << err());
  REQUIRE(found);
}

void Process::signal(int number) const {
  REQUIRE(::kill(pid_, number) == 0);
}

bool Process::running() {
  int status = 0;
  if (!ending_ && ::waitpid(pid_, &status, WNOHANG) == pid_) ending_ = ending_of(status);
  return !ending_;
}

Ending Process::wait(std::chrono::seconds patience) {
  bool closed = false;
  {
    std::unique_lock lock(mutex_);
    closed = changed_.wait_for(lock, patience, [&] { return !out_.open && !err_.open; });
  }
  INFO("stderr:\n" << err());
  REQUIRE(closed);
  if (!ending_) {
    int status = 0;
    REQUIRE(::waitpid(pid_, &status, 0) == pid_);
    ending_ = ending_of(status);
  }
  return *ending_;
}

Ending Process::terminate() {
  signal(SIGTERM);
  return wait();
}

Finished run_weir(std::vector<std::string> arguments, Process::Options options) {
  arguments.insert(arguments.begin(), WEIR);
  Process process(std::move(arguments), std::move(options));
  const Ending ending = process.wait();
  return {ending, process.out(), process.err()};
}

void wait_until(std::string_view sentence, const std::function<bool()>& condition, std::chrono::seconds patience) {
  const auto deadline = Clock::now() + patience;
  bool holds = condition();
  while (!holds && Clock::now() < deadline) {
    // What happens in another process tells nobody: it is asked for until the deadline.
    std::this_thread::sleep_for(5ms);
    holds = condition();
  }
  INFO(sentence);
  REQUIRE(holds);
}

Bridge::Bridge(const std::string& config, std::vector<std::string> more, Process::Options options)
    : process_(run_command(config, more), with_admin(std::move(options), "127.0.0.1:0")) {}

std::string Bridge::admin() {
  if (admin_.empty()) {
    process_.wait_for("bridge.started");
    const auto listening = log("admin.listening");
    REQUIRE(listening.size() == 1);
    admin_ = listening.front().at("address").get<std::string>();
  }
  return admin_;
}

std::string Bridge::gateway() {
  static_cast<void>(admin());
  const auto listening = log("gateway.listening");
  REQUIRE(listening.size() == 1);
  return listening.front().at("address").get<std::string>();
}

nlohmann::json Bridge::get(const std::string& path) {
  const auto answer = http::request("GET", "http://" + admin() + path, "", 10s);
  INFO("stderr:\n" << process_.err());
  REQUIRE(answer.has_value());
  REQUIRE(answer->status == 200);
  return nlohmann::json::parse(answer->body);
}

nlohmann::json Bridge::source(const std::string& name) {
  const nlohmann::json all = status();
  for (const auto& source : all.at("sources")) {
    if (source.at("source") == name) return source;
  }
  FAIL("no source " << name << " in " << all);
  return {};
}

nlohmann::json Bridge::function(const std::string& name) {
  const nlohmann::json all = status();
  for (const auto& function : all.at("functions")) {
    if (function.at("function") == name) return function;
  }
  FAIL("no function " << name << " in " << all);
  return {};
}

void Bridge::wait_for_state(const std::string& name, const std::string& state, std::chrono::seconds patience) {
  nlohmann::json last;
  const auto deadline = Clock::now() + patience;
  do {
    last = source(name);
    if (last.at("state") == state) return;
    std::this_thread::sleep_for(5ms);
  } while (Clock::now() < deadline);
  FAIL(name << " is not " << state << ": " << last << "\nstderr:\n" << process_.err());
}

std::vector<nlohmann::json> Bridge::log(std::string_view event) const {
  std::vector<nlohmann::json> result;
  std::istringstream text(process_.err());
  for (std::string line; std::getline(text, line);) {
    auto parsed = nlohmann::json::parse(line, nullptr, false);
    if (parsed.is_object() && parsed.value("event", "") == event) result.push_back(std::move(parsed));
  }
  return result;
}

Finished Bridge::command(std::vector<std::string> arguments) {
  Process::Options options;
  options.environment.emplace("ADMIN", admin());
  return run_weir(std::move(arguments), std::move(options));
}

std::vector<Seen> seen(const std::string& path) {
  std::string text = file_text(path);
  text.resize(text.rfind('\n') + 1);  // npos + 1 is 0
  std::vector<Seen> result;
  std::istringstream rows(text);
  for (std::string row; std::getline(rows, row);) {
    std::istringstream words(row);
    Seen record;
    words >> record.shard >> record.sequence >> record.data;
    result.push_back(std::move(record));
  }
  return result;
}

std::string loss_or_disorder(const std::vector<Seen>& seen, int first, int last) {
  std::map<std::string, int> newest;
  std::set<int> all;
  for (const Seen& record : seen) {
    const int number = std::stoi(record.data);
    if (all.insert(number).second) {
      const auto before = newest.find(record.shard);
      if (before != newest.end() && number < before->second) {
        return record.data + " came for the first time behind " + std::to_string(before->second) + " of " +
               record.shard;
      }
      newest[record.shard] = number;
    }
  }
  for (int number = first; number <= last; ++number) {
    if (!all.contains(number)) return std::to_string(number) + " was never seen";
  }
  return "";
}

std::vector<pid_t> processes_marked(std::string_view mark) {
  std::vector<pid_t> found;
  std::error_code gone;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", gone)) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos || std::stoi(name) == ::getpid()) continue;
    // A process that ends meanwhile, or is another user's, has no environment to read.
    if (file_text("/proc/" + name + "/environ").find(mark) != std::string::npos) found.push_back(std::stoi(name));
  }
  return found;
}

std::string lines(int first, int last) {
  std::string text;
  for (int number = first; number <= last; ++number) text += std::to_string(number) + "\n";
  return text;
}

}  // namespace weir::test
