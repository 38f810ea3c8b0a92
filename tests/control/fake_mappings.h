#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "config/mapping_host.h"

namespace weir::test {

/// The bridge as the Lambda API sees its mappings: it knows the functions "hello" and "fixed", and their alias "live".
class FakeMappingHost final : public config::MappingHost {
 public:
  FakeMappingHost() { config_.state = "/state"; }

  /// A source of the configuration file.
  void configure(const std::string& name, const std::string& json, std::span<const ConnectorEntry> connectors) {
    config::SourceReading reading = config::read_source(name, json, connectors, config_, std::nullopt);
    if (!reading.mistakes.empty()) throw std::logic_error(reading.mistakes.front());
    reading.entry.by_api = false;
    config_.sources.push_back(std::move(reading.entry));
  }
  /// What was put is so from now on, or goes.
  void settle() {
    for (const auto& [name, source] : put) states[name] = {true, "No records processed"};
    for (auto& [name, gone] : std::exchange(ending, {})) {
      states.erase(name);
      gone();
    }
  }
  config::Config& settings() { return config_; }

  const config::Config& configuration() const override { return config_; }
  bool knows(const std::string& function, const std::string& qualifier) const override {
    return functions.contains(function) && (qualifier.empty() || qualifier == "live");
  }
  net::awaitable<Result<void>> probe(config::SourceEntry source) override {
    probed.push_back(source.name);
    co_return unreadable ? Result<void>(*unreadable) : Result<void>();
  }
  void put_mapping(config::SourceEntry source) override {
    const std::string name = source.name;
    states[name] = {false, "No records processed"};
    put.insert_or_assign(name, std::move(source));
  }
  void remove_mapping(const std::string& uuid, std::function<void()> gone) override {
    put.erase(uuid);
    ending.emplace(uuid, std::move(gone));
  }
  std::optional<config::MappingState> mapping(const std::string& name) const override {
    const auto found = states.find(name);
    return found == states.end() ? std::nullopt : std::optional(found->second);
  }

  std::set<std::string> functions{"hello", "fixed"};
  std::map<std::string, config::SourceEntry> put;
  std::map<std::string, std::function<void()>> ending;
  std::map<std::string, config::MappingState> states;
  std::vector<std::string> probed;
  std::optional<Error> unreadable;  ///< what asking for a source comes to

 private:
  config::Config config_;
};

}  // namespace weir::test
