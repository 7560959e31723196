// SPDX-License-Identifier: MIT
// How a KernelPlane begins: with what it finds in the maps. Whoever wrote them may have been killed
// between any two stores.
#include <algorithm>
#include <bit>
#include <span>

#include "bpf/types.h"
#include "loader/base/log.h"
#include "loader/plane/kernel_plane.h"
#include "loader/plane/publish.h"
#include "loader/plane/wire.h"

namespace xlvs {

namespace {

bool same_but_cursor(std::span<const slot> a, std::span<const slot> b) {
  if (a.size() != b.size() || a.empty()) return a.size() == b.size();
  return std::equal(a.begin() + 1, a.end(), b.begin() + 1,
                    [](const slot& x, const slot& y) { return x.cursor == y.cursor; });
}

}  // namespace

void KernelPlane::adopt() {
  first_generation_ = maps_.settings[0].route_generation + 1;
  adopt_services();
  adopt_ports();
  std::map<uint32_t, ServiceKey> services;
  for (const auto& [key, scheduled] : scheduled_) services.emplace(scheduled.id, key);
  for (uint32_t id = 1; id < maps_.backends.size(); ++id) {
    if (maps_.backends[id].state != BACKEND_FREE) adopt_backend(id, services);
  }
  adopt_replies();
  for (auto& [key, service] : applied_) {
    sort_by_position(service.backends);
    show_backends(service);
    adopt_table(service);
  }
}

// A table that does not follow from the backends (its agent was killed between the two) is left
// unknown, and so made anew.
void KernelPlane::adopt_table(ServiceEntry& service) {
  Scheduled& scheduled = scheduled_.at(service.key);
  const ::service& entry = maps_.services[scheduled.id];
  const auto region = region_of(entry);
  const auto expected = wire::to_wire(service.scheduling, region.offset, region.size);
  if (region.size > 0 && std::bit_cast<__u64>(region) != std::bit_cast<__u64>(expected)) return;
  const auto taking_part = members(service);
  const auto list = candidates(service.key, taking_part);
  const auto made = wire::to_wire(tables::made_of(service.scheduling, list, entry.mark));
  if (!same_but_cursor(made, maps_.tables.values().subspan(region.offset, extent(region)))) return;
  scheduled.list = list;
  service.table = taking_part;
}

// The index and the backends agree, whatever an agent was killed in the middle of.
void KernelPlane::adopt_replies() {
  index_.erase_unless([this](const endpoint_key& key) {
    if (key.kind == ENDPOINT_SERVICE) return owners_.contains(wire::service_key(key));
    if (key.kind == ENDPOINT_PORTS) return ports_.contains(wire::service_key(key));
    return reply_users_.contains({wire::from_wire(key.address), key.port});
  });
  for (const auto& [backend, users] : reply_users_) {
    const auto key = wire::reply_key(backend);
    if (index_.find(key) != 0) continue;
    if (const auto entered = enter(key, 1); !entered) spdlog::error("{}", entered.error().message);
  }
  publish_replies();
}

// A service that no endpoint leads to was never opened, or is closed: its entry is free.
void KernelPlane::adopt_services() {
  for (const auto& [id, endpoints] : read_openings(index_, maps_.tables.values())) {
    if (id >= maps_.services.size()) continue;
    const ::service& entry = maps_.services[id];
    const ServiceKey key = wire::service_key(entry.key, entry.last_port);
    const auto scheduling = wire::scheduling_of(entry);
    const bool fresh = applied_
                           .emplace(key, ServiceEntry{.key = key,
                                                      .name = entry.name,
                                                      .scheduling = scheduling,
                                                      .open = endpoints})
                           .second;
    if (!fresh) continue;
    for (const auto& endpoint : endpoints) {
      owners_.emplace(endpoint, key);
      if (endpoint.is_one_port()) continue;
      ports_[vip_of(endpoint)].push_back({endpoint, id});
    }
    scheduled_.emplace(key, Scheduled{id, scheduling, {}});
    service_ids_.take_at(id, 1);
    if (const auto region = region_of(entry); region.size > 0) {
      slots_.take_at(region.offset, extent(region));
    }
  }
}

void KernelPlane::adopt_ports() {
  index_.for_each([this](const endpoint_key& key, uint64_t word) {
    if (key.kind != ENDPOINT_PORTS) return;
    const auto region = PortRegion::of(word);
    slots_.take_at(region.offset, region.size());
  });
  publish(maps_.settings[0].port_endpoints, static_cast<__u32>(ports_.size()));
}

void KernelPlane::adopt_backend(uint32_t id, const std::map<uint32_t, ServiceKey>& services) {
  ::backend& backend = maps_.backends[id];
  backend_ids_.take_at(id, 1);
  const BackendEntry entry = wire::from_wire(backend);
  if (entry.key.forwarding == Forwarding::nat && ++reply_users_[entry.key.endpoint] == 1 &&
      entry.key.endpoint.port == 0) {
    ++any_port_replies_;
  }
  const auto service = services.find(backend.service);
  if (service == services.end()) {
    disown(id);
    retired_.emplace(id, Retired{});
    return;
  }
  const BackendPath path{service->second, entry.key};
  if (backend.state == BACKEND_DRAINING) {
    retired_.emplace(id, Retired{});
    draining_.emplace(path, id);
    return;
  }
  backend_ids_of_.emplace(path, id);
  applied_.at(service->second).backends.push_back(entry);
}

}  // namespace xlvs
