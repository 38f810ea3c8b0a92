#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <utility>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "weir/event/cold_start.h"

#include "cli/command.h"
#include "cli/table.h"
#include "engine/invocation_meter.h"
#include "http/client.h"

namespace weir::cli {
namespace {

/// "12.3 s", or "-" where there is nothing to be old or due.
std::string seconds(const nlohmann::json& age) {
  if (age.is_null()) return "-";
  char text[32];
  std::snprintf(text, sizeof(text), "%.1f s", age.get<double>());
  return text;
}

/// The functions that have or had asynchronous invocations.
void print_queue(const nlohmann::json& queue) {
  std::printf("\nasynchronous queue: %lu events, the oldest %s, next attempt in %s%s\n",
              queue.at("events").get<std::uint64_t>(), seconds(queue.at("oldest_event_age_seconds")).c_str(),
              seconds(queue.at("next_attempt_seconds")).c_str(),
              queue.at("state").get<std::string>() == "parked" ? "; PARKED, see the log" : "");
  bool headed = false;
  for (const auto& function : queue.at("functions")) {
    const auto number = [&](const char* key) { return function.at(key).get<std::uint64_t>(); };
    if (number("received") + number("restored") == 0) continue;
    if (!headed) {
      std::printf("  %-20s %8s %9s %10s %12s %10s %8s\n", "FUNCTION", "WAITING", "IN FLIGHT", "OLDEST", "NEXT ATTEMPT",
                  "SUCCEEDED", "DROPPED");
      headed = true;
    }
    const std::string qualifier = function.at("qualifier").get<std::string>();
    const std::string name = function.at("function").get<std::string>() + (qualifier.empty() ? "" : ":" + qualifier);
    std::printf("  %-20s %8lu %9lu %10s %12s %10lu %8lu\n", name.c_str(), number("waiting"), number("in_flight"),
                seconds(function.at("oldest_event_age_seconds")).c_str(),
                seconds(function.at("next_attempt_seconds")).c_str(), number("succeeded"), number("dropped"));
  }
}

std::string number(const nlohmann::json& of, const char* key) {
  return std::to_string(of.at(key).get<std::uint64_t>());
}

void print_shards(const nlohmann::json& shards) {
  if (shards.empty()) return;
  Table table({"SHARD", "CHECKPOINT", "ITERATOR AGE", "UNSETTLED", "OFFSET LAG", "INVOKED", "FAILED", "FILTERED",
               "DROPPED", "DELIVERED"},
              2);
  for (const auto& shard : shards) {
    const auto& checkpoint = shard.at("checkpoint");
    table.add({shard.at("shard").get<std::string>(), checkpoint.is_null() ? "-" : checkpoint.get<std::string>(),
               seconds(shard.at("iterator_age_seconds")), number(shard, "unsettled_records"),
               shard.contains("offset_lag") ? std::to_string(shard.at("offset_lag").get<std::int64_t>()) : "-",
               number(shard, "invoked_events"), number(shard, "failed_invoke_events"),
               number(shard, "filtered_out_events"), number(shard, "dropped_events"),
               number(shard, "destination_events")});
  }
  table.print(2);
}

/// What did not work, as far as something did not; function errors are always said.
std::string failures(const nlohmann::json& source) {
  std::string text = number(source, "function_errors") + " function errors";
  for (const auto& [key, words] :
       {std::pair("throttles", " throttles"), std::pair("service_errors", " service errors")}) {
    if (source.at(key).get<std::uint64_t>() > 0) text += ", " + number(source, key) + words;
  }
  return text;
}

/// What the source did so far, in a few words.
std::string summary(const nlohmann::json& source) {
  if (source.contains("accepted_events"))
    return number(source, "accepted_events") + " events accepted, " + number(source, "refused_events") + " refused";
  if (source.contains("deleted_events")) {
    return number(source, "deleted_events") + " messages deleted, " + number(source, "filtered_out_events") +
           " filtered out, " + failures(source);
  }
  return number(source, "settled_events") + " records settled, " + number(source, "filtered_out_events") +
         " filtered out, " + number(source, "dropped_events") + " dropped, " + number(source, "destination_events") +
         " delivered to the destination, " + failures(source);
}

void print_source(const nlohmann::json& source) {
  const auto word = [&](const char* key) { return source.at(key).get<std::string>(); };
  std::printf("\nsource %s (%s -> %s): %s, %s\n", word("source").c_str(), word("type").c_str(),
              word("function").c_str(), word("state").c_str(), summary(source).c_str());
  // A trouble of the source is told by its last result, where it has one.
  if (source.contains("last_processing_result")) {
    std::printf("  last processing result: %s\n", word("last_processing_result").c_str());
  } else if (!word("error").empty()) {
    std::printf("  PROBLEM: %s\n", word("error").c_str());
  }
  if (source.contains("messages_in_flight")) {
    const auto& waiting = source.at("approximate_messages");
    std::printf("  %s messages received and not done, about %s wait in the queue\n",
                number(source, "messages_in_flight").c_str(),
                waiting.is_null() ? "?" : std::to_string(waiting.get<std::int64_t>()).c_str());
  }
  if (source.contains("shards")) print_shards(source.at("shards"));
}

void print_services(const nlohmann::json& services) {
  for (const auto& service : services) {
    std::uint64_t events = 0;
    for (const auto& each : service.at("accepted")) events += each.at("events").get<std::uint64_t>();
    std::printf("\nservice %s: %s, %s calls, %lu events\n", service.at("service").get<std::string>().c_str(),
                service.at("ready").get<bool>() ? "ready" : "not ready", number(service, "calls").c_str(), events);
    const auto error = service.at("error").get<std::string>();
    if (!error.empty()) std::printf("  PROBLEM: %s\n", error.c_str());
  }
}

/// What services sent to anything but functions.
void print_deliveries(const nlohmann::json& deliveries) {
  const bool parked = deliveries.at("state").get<std::string>() == "parked";
  const auto& targets = deliveries.at("targets");
  if (targets.empty() && !parked) return;
  std::printf("\ndeliveries%s\n", parked ? ": PARKED, see the log" : "");
  if (targets.empty()) return;
  Table table({"TARGET", "WAITING", "IN FLIGHT", "OLDEST", "NEXT ATTEMPT", "DELIVERED", "RETRIES", "FAILED"}, 1);
  for (const auto& target : targets) {
    const std::uint64_t failed = target.at("refused").get<std::uint64_t>() +
                                 target.at("exhausted").get<std::uint64_t>() +
                                 target.at("expired").get<std::uint64_t>();
    table.add({target.at("target").get<std::string>(), number(target, "waiting"), number(target, "in_flight"),
               seconds(target.at("oldest_delivery_age_seconds")), seconds(target.at("next_attempt_seconds")),
               number(target, "delivered"), number(target, "retries"), std::to_string(failed)});
  }
  table.print(2);
}

/// Why a function's environments were started, and how long that took.
void print_starts(const nlohmann::json& function) {
  const auto& starts = function.at("starts");
  if (starts.is_null()) return;
  std::string reasons;
  for (const StartReason reason : kStartReasons) {
    const std::string key(text(reason));
    if (starts.at(key).get<std::uint64_t>() == 0) continue;
    reasons += (reasons.empty() ? "" : ", ") + number(starts, key.c_str()) + " " + key;
  }
  std::uint64_t well = 0;
  std::string histogram;
  for (const auto& bucket : starts.at("init_seconds")) {
    const auto number = bucket.at("starts").get<std::uint64_t>();
    well += number;
    if (number == 0) continue;
    const auto& bound = bucket.at("up_to");
    char upto[96];
    std::snprintf(upto, sizeof(upto), "%s %g ms: %lu", bound.is_null() ? "longer than" : "up to",
                  1000 * (bound.is_null() ? engine::InvocationMeter::kInitBounds.back() : bound.get<double>()), number);
    histogram += (histogram.empty() ? "    init " : ", ") + std::string(upto);
  }
  const double sum = starts.at("init_seconds_sum").get<double>();
  std::printf(
      "  cold starts of %s: %s; init %.1f ms on average, the last %.1f ms%s\n",
      function.at("function").get<std::string>().c_str(), reasons.c_str(),
      well == 0 ? 0.0 : 1000 * sum / static_cast<double>(well), 1000 * starts.at("last_init_seconds").get<double>(),
      starts.at("failed").get<std::uint64_t>() == 0 ? "" : (", " + number(starts, "failed") + " failed").c_str());
  if (!histogram.empty()) std::printf("%s\n", histogram.c_str());
}

void print_provisioned(const nlohmann::json& function) {
  for (const auto& version : function.at("provisioned")) {
    std::printf("  provisioned for %s:%s: %d of %d in use; %lu invocations there, %lu beside them\n",
                function.at("function").get<std::string>().c_str(), version.at("qualifier").get<std::string>().c_str(),
                version.at("executing").get<int>(), version.at("configured").get<int>(),
                version.at("invocations").get<std::uint64_t>(),
                version.at("spillover_invocations").get<std::uint64_t>());
  }
}

/// Under a function, the calls that named a version or an alias.
void print_resources(const nlohmann::json& function) {
  for (const auto& resource : function.at("resources")) {
    const std::string qualifier = resource.at("qualifier").get<std::string>();
    if (qualifier.empty()) continue;
    std::uint64_t invocations = 0;
    std::uint64_t errors = 0;
    std::string versions;
    for (const auto& each : resource.at("versions")) {
      const std::uint64_t ran = each.at("invocations").get<std::uint64_t>();
      invocations += ran;
      errors += each.at("errors").get<std::uint64_t>();
      const std::string version = each.at("executed_version").get<std::string>();
      if (version.empty()) continue;
      versions += (versions.empty() ? "" : ", ") + std::to_string(ran) + " by version " + version;
    }
    std::printf("  %-18s %9d %11lu %8lu %9lu %11s%s\n", (":" + qualifier).c_str(), resource.at("executing").get<int>(),
                invocations, errors, resource.at("throttles").get<std::uint64_t>(), "", versions.c_str());
  }
}

void print(const nlohmann::json& status) {
  const auto& concurrency = status.at("concurrency");
  std::printf("started %s, %s; concurrency %d of %d in use\n", status.at("started").get<std::string>().c_str(),
              status.at("stopping").get<bool>() ? "stopping"
              : status.at("ready").get<bool>()  ? "ready"
                                                : "not ready",
              concurrency.at("executing").get<int>(), concurrency.at("limit").get<int>());
  const auto& groups = status.at("control_groups");
  const std::string state = groups.at("state").get<std::string>();
  if (state == "used") std::printf("control groups limit the memory and the processors of functions\n");
  if (state == "none") {
    std::printf("no control groups: memory is looked at, processors are not shared out (%s)\n",
                groups.at("reason").get<std::string>().c_str());
  }
  std::printf("\n%-20s %9s %11s %8s %9s %11s\n", "FUNCTION", "EXECUTING", "INVOCATIONS", "ERRORS", "THROTTLES",
              "COLD STARTS");
  for (const auto& function : status.at("functions")) {
    std::printf("%-20s %9d %11lu %8lu %9lu %11lu\n", function.at("function").get<std::string>().c_str(),
                function.at("executing").get<int>(), function.at("invocations").get<std::uint64_t>(),
                function.at("errors").get<std::uint64_t>(), function.at("throttles").get<std::uint64_t>(),
                function.at("cold_starts").get<std::uint64_t>());
    print_resources(function);
  }
  for (const auto& function : status.at("functions")) {
    print_starts(function);
    print_provisioned(function);
  }
  print_queue(status.at("queue"));
  for (const auto& source : status.at("sources")) print_source(source);
  print_services(status.at("services"));
  print_deliveries(status.at("deliveries"));
}

}  // namespace

void add_status(CLI::App& app, Work& chosen) {
  struct Options {
    std::string admin = config::Config().admin;
    std::vector<std::string> files;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand(
      "status", "Shows sources, checkpoints, IteratorAge and the asynchronous queue of a running bridge.");
  command->add_option("--admin", options->admin, "The running bridge's admin address.")->capture_default_str();
  command->add_option("--config", options->files, "Takes the admin address from the bridge's configuration instead.")
      ->allow_extra_args(false);
  command->add_flag("--json", options->json, "Prints JSON.");
  command->footer(
      "Example: weir status --json | jq '.sources[].iterator_age_seconds'\nExit status: 0, or 1 when no bridge "
      "answers.");
  command->callback([options, &chosen] {
    chosen = [options] {
      if (!options->files.empty()) {
        const auto config = load_config(options->files, "the admin address is not known");
        if (!config) return kBadCall;
        options->admin = config->admin;
      }
      const auto answer = http::request("GET", "http://" + options->admin + "/status", "", std::chrono::seconds(10));
      if (!answer) return complain(answer.error().during("asking the bridge at " + options->admin));
      if (answer->status != 200)
        return complain("the bridge at " + options->admin + " answered " + std::to_string(answer->status), kFailed);
      const auto status = nlohmann::json::parse(answer->body, nullptr, false);
      // Whoever has the port may say anything; a weir says this much.
      if (!status.is_object() || !status.contains("concurrency") || !status.contains("queue")) {
        return complain("what answers at " + options->admin + " is no weir", kFailed);
      }
      if (options->json) {
        std::cout << answer->body;
      } else {
        print(status);
      }
      return kDone;
    };
  });
}

}  // namespace weir::cli
