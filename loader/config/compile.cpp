// SPDX-License-Identifier: MIT
#include "loader/config/compile.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "loader/config/compile_backend.h"
#include "loader/config/compile_check.h"
#include "loader/config/compile_service.h"
#include "loader/state/tables.h"

namespace xlvs::config {

namespace {

using std::chrono::hours;
using std::chrono::seconds;

// The kernel's side counts jiffies in 32 bits, which at 1000 Hz last 24 days there and back.
constexpr DurationRange timeout_range{seconds(1), hours(7 * 24), seconds(1)};

std::vector<std::string> compile_interfaces(const Node& list, Report& report) {
  std::vector<std::string> interfaces;
  std::set<std::string> known;
  for (const Node& node : list.elements()) {
    const auto name = node.json().get<std::string>();
    if (!known.insert(name).second) {
      report.error(node, in_quotes(name) + " is in the list twice", "remove one of them");
    }
    interfaces.push_back(name);
  }
  return interfaces;
}

Timeouts compile_timeouts(const Node& node, Report& report) {
  const Timeouts otherwise;
  const auto compiled = [&](const char* key, seconds value) {
    return std::chrono::duration_cast<seconds>(
        compile_duration(node[key], timeout_range, value, report));
  };
  return {compiled("tcp", otherwise.tcp), compiled("tcp_fin", otherwise.tcp_fin),
          compiled("tcp_rst", otherwise.tcp_rst), compiled("tcp_syn", otherwise.tcp_syn),
          compiled("udp", otherwise.udp)};
}

Tables compile_tables(const Node& node) {
  const Tables otherwise;
  return {
      node["flows"].get_or(otherwise.flows),       node["pending"].get_or(otherwise.pending),
      node["services"].get_or(otherwise.services), node["backends"].get_or(otherwise.backends),
      node["slots"].get_or(otherwise.slots),       node["fragments"].get_or(otherwise.fragments)};
}

// A name is what people call a service, so it is its own.
class UniqueNames {
 public:
  void check(const Node& node, const std::string& name, Report& report) {
    const auto [named, fresh] = lines_.emplace(name, node.location().value.line);
    if (fresh) return;
    report.error(node["name"],
                 in_quotes(name) + " is the name of the service at line " +
                     std::to_string(named->second) + " already",
                 "give each service a name of its own");
  }

 private:
  std::map<std::string, size_t> lines_;
};

// Entry 0 of the kernel's tables is nobody, so one less than the size can be held.
void check_room(const Node& node, uint32_t size, size_t needed, const std::string& what,
                Report& report) {
  if (needed < size) return;
  report.error(node,
               "room for " + std::to_string(size - 1) + ", but the file's " + what + " are " +
                   std::to_string(needed),
               "write at least " + std::to_string(needed + 1));
}

// A slot for each of a vip's ranges of ports, and one for all other ports of it.
std::map<std::pair<Address, Protocol>, size_t> port_slots_of(const std::vector<Service>& services) {
  std::map<std::pair<Address, Protocol>, size_t> slots;
  const auto add = [&](const ServiceKey& endpoint) {
    if (endpoint.is_one_port()) return;
    const auto [vip, fresh] = slots.emplace(std::pair(endpoint.vip.address, endpoint.protocol), 1);
    if (endpoint.vip.port != 0) ++vip->second;
  };
  for (const Service& service : services) {
    add(service.key);
    for (const ServiceKey& endpoint : service.also) add(endpoint);
  }
  return slots;
}

// What the services' tables take while the largest of them is made anew.
size_t slots_of(const std::vector<Service>& services) {
  size_t sum = 0;
  size_t largest = 0;
  const auto add = [&](size_t size) {
    sum += size;
    largest = std::max(largest, size);
  };
  for (const Service& service : services) add(tables::size_of(service));
  for (const auto& [vip, size] : port_slots_of(services)) add(size);
  return sum + largest;
}

size_t endpoints_of(const std::vector<Service>& services) {
  size_t count = services.size();
  for (const Service& service : services) count += service.also.size();
  return count;
}

size_t backends_of(const std::vector<Service>& services) {
  size_t count = 0;
  for (const Service& service : services) {
    count += service.backends.size() + (service.fallback ? 1 : 0);
  }
  return count;
}

}  // namespace

Configuration compile(const Document& document, const Resolver& resolver, Report& report) {
  const Node root(document);
  Names names(resolver);
  Configuration configuration;
  configuration.interfaces = compile_interfaces(root["interfaces"], report);
  configuration.mode = word_or(root["mode"], words::modes, configuration.mode);
  configuration.manage_vips = root["manage_vips"].get_or(configuration.manage_vips);
  configuration.on_stop = word_or(root["on_stop"], words::on_stops, configuration.on_stop);
  configuration.timeouts = compile_timeouts(root["timeouts"], report);
  configuration.tables = compile_tables(root["tables"]);
  configuration.refusals_per_second =
      root["refusals_per_second"].get_or(configuration.refusals_per_second);

  const Defaults defaults = compile_defaults(root, report);
  if (const Node fallback = root["fallback"]; fallback.present()) {
    // Also when no service uses it; what else it must be depends on the service.
    compile_address(fallback["address"], std::nullopt, names, report);
  }
  UniqueNames unique;
  Claims claims;
  for (const Node& node : root["services"].elements()) {
    const auto service = compile_service(node, defaults, claims, names, report);
    if (!service) continue;
    unique.check(node, service->name, report);
    configuration.services.push_back(*service);
  }
  if (root["services"].present() && root["services"].json().empty()) {
    report.note(root["services"], "there are no services");
  }
  const Tables& tables = configuration.tables;
  const std::vector<Service>& services = configuration.services;
  check_room(root["tables"]["services"], tables.services, endpoints_of(services),
             "services and their further endpoints", report);
  check_room(root["tables"]["backends"], tables.backends, backends_of(services),
             "backends and fallbacks", report);
  check_room(root["tables"]["slots"], tables.slots, slots_of(services),
             "tables, with the largest of them twice,", report);
  return configuration;
}

}  // namespace xlvs::config
