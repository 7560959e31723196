// SPDX-License-Identifier: MIT
#include "loader/plane/snapshot.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <bit>
#include <map>
#include <set>

#include "bpf/types.h"
#include "loader/plane/index.h"
#include "loader/plane/map.h"
#include "loader/plane/openings.h"
#include "loader/plane/pins.h"
#include "loader/plane/wire.h"

namespace xlvs::snapshot {

namespace {

struct Arrays {
  MappedArray<index_bucket> endpoints;
  MappedArray<::service> services;
  MappedArray<slot> tables;
  MappedArray<::backend> backends;
};

Result<Arrays> open_arrays(const std::string& pins) {
  auto endpoints = MappedArray<index_bucket>::open(pins::path(pins, pins::endpoints));
  if (!endpoints) return endpoints.error();
  auto services = MappedArray<::service>::open(pins::path(pins, pins::services));
  if (!services) return services.error();
  auto tables = MappedArray<slot>::open(pins::path(pins, pins::tables));
  if (!tables) return tables.error();
  auto backends = MappedArray<::backend>::open(pins::path(pins, pins::backends));
  if (!backends) return backends.error();
  return Arrays{std::move(*endpoints), std::move(*services), std::move(*tables),
                std::move(*backends)};
}

// A value of a per-CPU array, one for each CPU.
template <typename T>
std::vector<T> per_cpu(const Map& map, uint32_t key) {
  std::vector<T> values(static_cast<size_t>(libbpf_num_possible_cpus()));
  bpf_map_lookup_elem(map.fd.get(), &key, values.data());
  return values;
}

Counters counters_of(const Map& map, uint32_t id) {
  Counters sum;
  for (const auto& one : per_cpu<::backend_counters>(map, id)) {
    sum += {one.flows, one.packets_in, one.bytes_in, one.packets_out, one.bytes_out};
  }
  return sum;
}

// Who new flows are given to.
std::set<uint32_t> serving(const Arrays& arrays, const ::service& service) {
  std::set<uint32_t> ids;
  const auto region = std::bit_cast<table_region>(service.table);
  for (uint32_t i = 0; i < region.size; ++i) {
    const slot& one = arrays.tables[region.offset + 1 + i];
    if (one.weight > 0) ids.insert(one.backend);
  }
  return ids;
}

// Each may be below 0 for a moment, and what is pending until a sweep.
uint32_t counted_or_0(__u32 count) { return static_cast<__s32>(count) > 0 ? count : 0; }

BackendView view_of(const ::backend& backend, uint32_t id, const std::set<uint32_t>& serving,
                    const Map& connections, const Map& counters) {
  BackendView view;
  view.entry = wire::from_wire(backend);
  view.draining = backend.state == BACKEND_DRAINING;
  view.serves = serving.contains(id);
  ::connections open{};
  bpf_map_lookup_elem(connections.fd.get(), &id, &open);
  view.full = open.full != 0;
  view.active = counted_or_0(open.active) + counted_or_0(open.pending_active);
  view.inactive = counted_or_0(open.inactive) + counted_or_0(open.pending_inactive);
  view.counters = counters_of(counters, id);
  return view;
}

std::vector<ServiceView> read_services(const Arrays& arrays, const Map& connections,
                                       const Map& counters) {
  const Index index(arrays.endpoints.values());
  std::map<uint32_t, ServiceView> services;
  std::map<uint32_t, std::set<uint32_t>> tables;
  for (auto& [id, endpoints] : read_openings(index, arrays.tables.values())) {
    if (id >= arrays.services.size()) continue;
    const ::service& service = arrays.services[id];
    const ServiceKey key = wire::service_key(service.key, service.last_port);
    endpoints.erase(key);
    services.emplace(id, ServiceView{key,
                                     {endpoints.begin(), endpoints.end()},
                                     service.name,
                                     wire::scheduling_of(service),
                                     {}});
    tables.emplace(id, serving(arrays, service));
  }
  for (uint32_t id = 1; id < arrays.backends.size(); ++id) {
    const ::backend& backend = arrays.backends[id];
    const auto service = services.find(backend.service);
    if (backend.state == BACKEND_FREE || service == services.end()) continue;
    service->second.backends.push_back(
        view_of(backend, id, tables[backend.service], connections, counters));
  }
  std::vector<ServiceView> sorted;
  sorted.reserve(services.size());
  for (auto& [id, view] : services) sorted.push_back(std::move(view));
  std::sort(sorted.begin(), sorted.end(), [](const ServiceView& a, const ServiceView& b) {
    return std::tuple(a.key.protocol, a.key.vip, a.key.last_port) <
           std::tuple(b.key.protocol, b.key.vip, b.key.last_port);
  });
  for (auto& service : sorted) {
    std::sort(service.backends.begin(), service.backends.end(),
              [](const BackendView& a, const BackendView& b) { return a.entry.key < b.entry.key; });
  }
  return sorted;
}

struct VerdictText {
  const char* name;
  const char* help;
};

constexpr std::array<VerdictText, VERDICT_COUNT> verdict_texts{{
#define X(name, class, help) {#name, help},
    VERDICTS(X)
#undef X
}};

const char* state_text(enum flow_state state) {
  switch (state) {
    case FLOW_SYN:
      return "SYN_RECV";
    case FLOW_ESTABLISHED:
      return "ESTABLISHED";
    case FLOW_FIN:
      return "FIN_WAIT";
    case FLOW_CLOSED:
      return "CLOSE";
    case FLOW_UDP:
      return "UDP";
    case FLOW_TEMPLATE:
    case FLOW_DEAD:
    case FLOW_STATES:
      break;
  }
  return "NONE";
}

// Jiffies since `seen`, as far as this process can tell: the kernel's jiffies are not readable from
// here, so a flow's age is left out and `expires` is its whole timeout.
std::chrono::seconds timeout_of(const struct settings& settings, enum flow_state state) {
  const uint32_t second = std::max<uint32_t>(settings.second, 1);
  return std::chrono::seconds(settings.timeouts[state & (FLOW_STATES - 1)] / second);
}

template <typename Visit>
void for_each_record(const Map& map, const Visit& visit) {
  flow_key key{};
  flow_key next{};
  flow record{};
  for (bool first = true; bpf_map_get_next_key(map.fd.get(), first ? nullptr : &key, &next) == 0;
       first = false) {
    key = next;
    if (bpf_map_lookup_elem(map.fd.get(), &key, &record) == 0) visit(key, record);
  }
}

}  // namespace

namespace {

// Those that it is on, by their names.
std::vector<std::string> interfaces_of(const struct settings& settings) {
  std::vector<std::string> names;
  for (const auto& slot : settings.interfaces) {
    std::array<char, IF_NAMESIZE> name{};
    if (slot.ifindex != 0 && if_indextoname(slot.ifindex, name.data()) != nullptr) {
      names.emplace_back(name.data());
    }
  }
  return names;
}

}  // namespace

Counters& Counters::operator+=(const Counters& other) {
  flows += other.flows;
  packets_in += other.packets_in;
  bytes_in += other.bytes_in;
  packets_out += other.packets_out;
  bytes_out += other.bytes_out;
  return *this;
}

Result<View> read(const std::string& pins) {
  auto arrays = open_arrays(pins);
  if (!arrays) return arrays.error();
  auto connections = open_pinned_map(pins::path(pins, pins::connections), sizeof(::connections));
  if (!connections) return connections.error();
  auto counters =
      open_pinned_map(pins::path(pins, pins::backend_counters), sizeof(::backend_counters));
  if (!counters) return counters.error();
  auto verdicts = open_pinned_map(pins::path(pins, pins::verdicts), sizeof(counter));
  if (!verdicts) return verdicts.error();
  auto flows = open_pinned_map(pins::path(pins, pins::flows), sizeof(flow));
  if (!flows) return flows.error();
  auto settings = MappedArray<struct settings>::open(pins::path(pins, pins::settings));
  if (!settings) return settings.error();

  View view;
  view.services = read_services(*arrays, *connections, *counters);
  view.flows_size = flows->size;
  for (uint32_t i = 0; i < VERDICT_COUNT; ++i) {
    VerdictView one{verdict_texts[i].name, verdict_texts[i].help};
    for (const auto& count : per_cpu<counter>(*verdicts, i)) {
      one.packets += count.packets;
      one.bytes += count.bytes;
    }
    view.verdicts.push_back(std::move(one));
  }
  view.losses = read_driver_counters(interfaces_of((*settings)[0]));
  return view;
}

Result<std::vector<FlowView>> read_flows(const std::string& pins) {
  auto backends = MappedArray<::backend>::open(pins::path(pins, pins::backends));
  if (!backends) return backends.error();
  auto settings = MappedArray<struct settings>::open(pins::path(pins, pins::settings));
  if (!settings) return settings.error();
  std::vector<FlowView> list;
  for (const char* name : {pins::flows, pins::pending}) {
    auto map = open_pinned_map(pins::path(pins, name), sizeof(flow));
    if (!map) return map.error();
    for_each_record(*map, [&](const flow_key& key, const flow& record) {
      if (key.direction != DIRECTION_FORWARD || record.backend >= backends->size()) return;
      Endpoint backend = wire::from_wire((*backends)[record.backend]).key.endpoint;
      if (backend.port == 0) backend.port = key.server_port;
      list.push_back({static_cast<Protocol>(key.protocol),
                      state_text(record.state),
                      timeout_of((*settings)[0], record.state),
                      {wire::from_wire(key.client), key.client_port},
                      {wire::from_wire(key.server), key.server_port},
                      backend});
    });
  }
  std::sort(list.begin(), list.end(), [](const FlowView& a, const FlowView& b) {
    return std::tie(a.vip, a.client) < std::tie(b.vip, b.client);
  });
  return list;
}

}  // namespace xlvs::snapshot
