#include <array>

#include "connectors/eventbridge/api_call.h"

namespace weir::eventbridge {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxBuses = 100;  // AWS's quota

// Buses

Reply create_bus(Call& call) {
  const std::string name = call.arguments.required("Name", 256);
  Bus bus;
  bus.description = call.arguments.text("Description", 512);
  const auto tags = read_tags(call.arguments);
  if (call.wrong()) return call.refuse();
  if (name.find('/') != std::string::npos) return call.refuse(invalid("Event bus name must not contain '/'."));
  Arguments checked(json{{"Name", name}});
  checked.name("Name", 256);
  call.arguments.take(checked);
  if (call.wrong()) return call.refuse();
  if (call.model.bus(name) != nullptr) return call.refuse(exists_already("Event bus " + name + " already exists."));
  if (call.model.buses().size() >= kMaxBuses) return call.refuse(too_many());
  bus.name = name;
  bus.created = call.now;
  Reply reply = object_reply([&](JsonWriter& out) {
    out.member("EventBusArn", bus_arn(name));
    optional_member(out, "Description", bus.description);
  });
  reply.notes.push_back(note_of(bus));
  if (!tags.empty()) reply.notes.push_back(note_of_tags(bus_arn(name), tags));
  return reply;
}

void write_bus(JsonWriter& out, const Bus& bus) {
  out.member("Name", bus.name).member("Arn", bus_arn(bus.name));
  optional_member(out, "Description", bus.description);
  out.member("CreationTime", seconds_of(bus.created)).member("LastModifiedTime", seconds_of(bus.created));
}

Reply describe_bus(Call& call) {
  std::string given = call.arguments.text("Name", 1600);
  if (given.empty()) given = kDefaultBus;
  if (call.wrong()) return call.refuse();
  const Bus* const bus = call.model.bus(bus_name(given));
  if (bus == nullptr) return call.refuse(no_bus(given));
  return object_reply([&](JsonWriter& out) { write_bus(out, *bus); });
}

Reply delete_bus(Call& call) {
  const std::string name = call.arguments.required("Name", 256);
  if (call.wrong()) return call.refuse();
  if (name == kDefaultBus) return call.refuse(invalid("Cannot delete event bus default."));
  const Bus* const bus = call.model.bus(name);
  Reply reply;
  if (bus == nullptr) return reply;  // AWS's answer too
  if (bus->configured) {
    return call.refuse(invalid("Event bus " + name + " is in weir's configuration: remove its sources there."));
  }
  if (!bus->rules.empty()) return call.refuse(invalid("Event bus can't be deleted since it has rules."));
  reply.notes.push_back(end_of(*bus));
  reply.notes.push_back(note_of_tags(bus_arn(name), {}));
  return reply;
}

Reply list_buses(Call& call) {
  const std::string prefix = call.arguments.text("NamePrefix", 256);
  const auto wanted = [&](const std::string& name, const Bus&) { return name.starts_with(prefix); };
  return list_reply(call, "EventBuses", call.model.buses(), wanted,
                    [](JsonWriter& out, const std::string&, const Bus& bus) {
                      out.begin_object();
                      write_bus(out, bus);
                      out.end_object();
                    });
}

// Tags

/// The ARN of a bus or rule that is there; "" after a refusal.
std::string tagged(Call& call) {
  std::string arn = call.arguments.required("ResourceARN", 1600);
  if (call.wrong()) return "";
  for (const auto& [name, bus] : call.model.buses()) {
    if (bus_arn(name) == arn) return arn;
    for (const auto& [rule_name, rule] : bus.rules) {
      if (rule.arn() == arn) return arn;
    }
  }
  call.arguments.refuse(not_found("Resource " + arn + " does not exist."));
  return "";
}

Reply tag(Call& call) {
  const auto added = read_tags(call.arguments);
  const std::string arn = tagged(call);
  if (call.wrong()) return call.refuse();
  auto tags = call.model.tags(arn);
  for (const auto& [key, value] : added) tags[key] = value;
  if (tags.size() > kMaxTags) return call.refuse(too_many());
  Reply reply;
  reply.notes.push_back(note_of_tags(arn, tags));
  return reply;
}

Reply untag(Call& call) {
  const auto keys = call.arguments.texts("TagKeys");
  const std::string arn = tagged(call);
  if (call.wrong()) return call.refuse();
  auto tags = call.model.tags(arn);
  for (const std::string& key : keys) tags.erase(key);
  Reply reply;
  reply.notes.push_back(note_of_tags(arn, tags));
  return reply;
}

Reply list_tags(Call& call) {
  const std::string arn = tagged(call);
  if (call.wrong()) return call.refuse();
  return object_reply([&](JsonWriter& out) {
    out.key("Tags").begin_array();
    for (const auto& [key, value] : call.model.tags(arn)) {
      out.begin_object().member("Key", key).member("Value", value).end_object();
    }
    out.end_array();
  });
}

constexpr std::array kOperations{
    Operation{"CreateEventBus", &create_bus},     Operation{"DeleteEventBus", &delete_bus},
    Operation{"DescribeEventBus", &describe_bus}, Operation{"ListEventBuses", &list_buses},
    Operation{"ListTagsForResource", &list_tags}, Operation{"TagResource", &tag},
    Operation{"UntagResource", &untag},
};

}  // namespace

std::span<const Operation> bus_operations() {
  return kOperations;
}

}  // namespace weir::eventbridge
