// weir-bench-patterns PATTERNS EVENTS SECONDS: puts the patterns of a file (one a line) into one set, matches the
// events of the other in turn on one thread, and prints the events, seconds and matches of a pass, after one that warms
// up; as tests/peers/judge/Patterns.java does with AWS's event-ruler.

#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <string>
#include <vector>

#include "pattern/pattern_set.h"

namespace {

std::vector<std::string> lines_of(const char* path) {
  std::vector<std::string> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

struct Pass {
  std::size_t events = 0;
  std::size_t matches = 0;
  double seconds = 0;
};

bool run(weir::pattern::PatternSet& set, const std::vector<std::string>& events, double seconds, Pass& pass) {
  pass = {};
  const auto begin = std::chrono::steady_clock::now();
  while (pass.seconds < seconds) {
    for (const std::string& event : events) {
      const auto matched = set.match(event);
      if (!matched) return false;
      pass.matches += matched->size();
    }
    pass.events += events.size();
    pass.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }
  return true;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 4) {
    std::cerr << "usage: weir-bench-patterns PATTERNS EVENTS SECONDS\n";
    return 2;
  }
  weir::pattern::PatternSet set;
  std::uint32_t id = 0;
  for (const std::string& pattern : lines_of(arguments[1])) {
    if (const auto added = set.add(id++, pattern); !added) {
      std::cerr << added.error().describe() << "\n";
      return 1;
    }
  }
  const std::vector<std::string> events = lines_of(arguments[2]);
  const double seconds = std::stod(arguments[3]);
  Pass pass;
  if (events.empty() || !run(set, events, seconds, pass) || !run(set, events, seconds, pass)) {
    std::cerr << "an event is no JSON object\n";
    return 1;
  }
  std::printf("{\"events\":%zu,\"seconds\":%.6f,\"matches\":%zu}\n", pass.events, pass.seconds,
              pass.matches / (pass.events / events.size()));
  return 0;
}
