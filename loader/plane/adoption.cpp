// SPDX-License-Identifier: MIT
// How a KernelPlane begins: with what it finds in the maps. Whoever wrote them may have been killed
// between any two stores.
#include <algorithm>
#include <bit>

#include "bpf/types.h"
#include "loader/base/log.h"
#include "loader/plane/kernel_plane.h"
#include "loader/plane/publish.h"
#include "loader/plane/wire.h"

namespace xlvs {

void KernelPlane::adopt() {
  first_generation_ = maps_.settings[0].route_generation + 1;
  adopt_services();
  for (uint32_t id = 1; id < maps_.backends.size(); ++id) {
    if (maps_.backends[id].state != BACKEND_FREE) adopt_backend(id);
  }
  adopt_replies();
  for (auto& [key, service] : applied_) {
    sort_by_position(service.backends);
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
  const auto slots = read_slots(region);
  const auto taking_part = members(service);
  const auto list = candidates(service.key, taking_part);
  if (!tables::made_from(service.scheduling, list, entry.level, slots)) return;
  scheduled.list = list;
  service.table = taking_part;
}

// The index and the backends agree, whatever an agent was killed in the middle of.
void KernelPlane::adopt_replies() {
  index_.erase_unless([this](const endpoint_key& key) {
    if (key.kind == ENDPOINT_SERVICE) return applied_.contains(wire::service_key(key));
    const Endpoint backend{wire::from_wire(key.address), key.port};
    return reply_users_.contains({backend, static_cast<Protocol>(key.protocol)});
  });
  for (const auto& [endpoint, users] : reply_users_) {
    const auto key = wire::reply_key(endpoint.first, endpoint.second);
    if (index_.find(key) != 0) continue;
    if (const auto entered = enter(key, 1); !entered) spdlog::error("{}", entered.error().message);
  }
  publish_reply_endpoints();
}

// A service that is not in the index was never opened, or is closed: its entry is free.
void KernelPlane::adopt_services() {
  for (uint32_t id = 1; id < maps_.services.size(); ++id) {
    const ::service& entry = maps_.services[id];
    if (entry.key.port == 0 || index_.find(entry.key) != id) continue;
    const ServiceKey key = wire::service_key(entry.key);
    const auto scheduling = wire::scheduling_of(entry);
    applied_.emplace(
        key, ServiceEntry{.key = key, .name = entry.name, .scheduling = scheduling, .open = true});
    scheduled_.emplace(key, Scheduled{id, scheduling, {}});
    service_ids_.take_at(id, 1);
    if (const auto region = region_of(entry); region.size > 0) {
      slots_.take_at(region.offset, region.size + 1);
    }
  }
}

const ServiceEntry* KernelPlane::service_of(const ::backend& backend) const {
  for (const auto& [key, scheduled] : scheduled_) {
    if (scheduled.id == backend.service && static_cast<__u8>(key.protocol) == backend.protocol) {
      return &applied_.at(key);
    }
  }
  return nullptr;
}

void KernelPlane::adopt_backend(uint32_t id) {
  ::backend& backend = maps_.backends[id];
  backend_ids_.take_at(id, 1);
  const BackendEntry entry = wire::from_wire(backend);
  if (entry.key.forwarding == Forwarding::nat) {
    ++reply_users_[{entry.key.endpoint, static_cast<Protocol>(backend.protocol)}];
  }
  const ServiceEntry* service = service_of(backend);
  if (service == nullptr) {
    disown(id);
    retired_.emplace(id, Retired{});
    return;
  }
  const BackendPath path{service->key, entry.key};
  if (backend.state == BACKEND_DRAINING) {
    retired_.emplace(id, Retired{});
    draining_.emplace(path, id);
    return;
  }
  backend_ids_of_.emplace(path, id);
  applied_.at(service->key).backends.push_back(entry);
}

}  // namespace xlvs
