// SPDX-License-Identifier: MIT
// How packets find their service, and replies of NAT backends the way back: what a KernelPlane
// writes to the index.
#include <algorithm>

#include "bpf/types.h"
#include "loader/plane/kernel_plane.h"
#include "loader/plane/port_ranges.h"
#include "loader/plane/publish.h"
#include "loader/plane/wire.h"

namespace xlvs {

// ---- services ----

Result<void> KernelPlane::apply_one(const OpenEndpoint& change) {
  const ServiceKey& endpoint = change.endpoint;
  const uint32_t id = scheduled_.at(change.service).id;
  ServiceEntry& service = applied_.at(change.service);
  const auto opened =
      endpoint.is_one_port() ? enter(wire::service_key(endpoint), id) : open_ports(endpoint, id);
  if (!opened) return opened.error().in("service " + service.name);
  if (const auto before = owners_.find(endpoint); before != owners_.end()) {
    set_open(applied_.at(before->second), endpoint, false);
  }
  owners_[endpoint] = change.service;
  set_open(service, endpoint, true);
  return {};
}

Result<void> KernelPlane::apply_one(const CloseEndpoint& change) {
  set_open(applied_.at(change.service), change.endpoint, false);
  close(change.endpoint);
  return {};
}

void KernelPlane::set_open(ServiceEntry& service, const ServiceKey& endpoint, bool open) {
  const uint16_t port = service.port();
  if (open) {
    service.open.insert(endpoint);
  } else {
    service.open.erase(endpoint);
  }
  if (service.port() != port) show_backends(service);
}

void KernelPlane::show_backends(const ServiceEntry& service) {
  for (const BackendEntry& backend : service.backends) {
    wire::set_address(maps_.backends[backend_ids_of_.at({service.key, backend.key})],
                      shown(backend.key.endpoint, service.port()));
  }
}

void KernelPlane::close(const ServiceKey& endpoint) {
  owners_.erase(endpoint);
  if (endpoint.is_one_port()) {
    index_.erase(wire::service_key(endpoint));
  } else {
    close_ports(endpoint);
  }
}

Result<void> KernelPlane::enter(const endpoint_key& key, uint64_t word) {
  auto entered = index_.put(key, word);
  if (entered || !index_.has_erased()) return entered;
  if (auto passed = wait_for_grace(); !passed) return passed;
  return index_.put(key, word);
}

// ---- services of several ports ----

std::span<slot> KernelPlane::slots_of(const PortRegion& region) const {
  return maps_.tables.values().subspan(region.offset, region.size());
}

Result<void> KernelPlane::open_ports(const ServiceKey& endpoint, uint32_t service) {
  auto opened = ports_[vip_of(endpoint)];
  std::erase_if(opened, [&](const OpenPorts& one) { return one.endpoint == endpoint; });
  opened.push_back({endpoint, service});
  auto written = write_ports(wire::ports_key(endpoint), paint(opened));
  if (written) {
    ports_[vip_of(endpoint)] = std::move(opened);
  } else if (ports_[vip_of(endpoint)].empty()) {
    ports_.erase(vip_of(endpoint));
  }
  return written;
}

Result<void> KernelPlane::write_ports(const endpoint_key& key, const std::vector<slot>& ranges) {
  const auto size = static_cast<uint32_t>(ranges.size());
  const auto offset = take(slots_, size, "slots");
  if (!offset) return offset.error();
  const PortRegion region{*offset, size - 1};
  std::copy(ranges.begin(), ranges.end(), slots_of(region).begin());
  const uint64_t old = index_.find(key);
  if (auto entered = enter(key, region.word()); !entered) {
    slots_.release(region.offset, region.size());
    return entered;
  }
  if (old != 0) slots_.release(PortRegion::of(old).offset, PortRegion::of(old).size());
  publish(maps_.settings[0].port_endpoints, static_cast<__u32>(ports_.size()));
  return {};
}

void KernelPlane::close_ports(const ServiceKey& endpoint) {
  const endpoint_key key = wire::ports_key(endpoint);
  auto& opened = ports_[vip_of(endpoint)];
  std::erase_if(opened, [&](const OpenPorts& one) { return one.endpoint == endpoint; });
  const auto region = PortRegion::of(index_.find(key));
  if (!opened.empty()) {
    const auto ranges = paint(opened);
    // Without room for fewer ranges, those that are no longer open lead nowhere.
    if (!write_ports(key, ranges)) leave_only(region, ranges);
    return;
  }
  ports_.erase(vip_of(endpoint));
  index_.erase(key);
  slots_.release(region.offset, region.size());
  publish(maps_.settings[0].port_endpoints, static_cast<__u32>(ports_.size()));
}

void KernelPlane::leave_only(const PortRegion& region, const std::vector<slot>& ranges) {
  for (slot& one : slots_of(region)) {
    const bool stays = std::any_of(ranges.begin(), ranges.end(), [&](const slot& range) {
      return range.ports.first == one.ports.first && range.ports.service == one.ports.service;
    });
    slot nobody = one;
    nobody.ports.service = 0;
    if (!stays) publish(one.cursor, nobody.cursor);
  }
}

// ---- the way back of NAT ----

Result<void> KernelPlane::open_replies(const Endpoint& backend) {
  if (reply_users_[backend]++ > 0) return {};
  if (backend.port == 0) ++any_port_replies_;
  auto opened = enter(wire::reply_key(backend), 1);
  if (!opened) {
    reply_users_.erase(backend);
    if (backend.port == 0) --any_port_replies_;
    return opened;
  }
  publish_replies();
  return {};
}

void KernelPlane::close_replies(const Endpoint& backend) {
  const auto users = reply_users_.find(backend);
  if (users == reply_users_.end() || --users->second > 0) return;
  reply_users_.erase(users);
  if (backend.port == 0) --any_port_replies_;
  index_.erase(wire::reply_key(backend));
  publish_replies();
}

void KernelPlane::publish_replies() {
  publish(maps_.settings[0].any_port_replies, any_port_replies_);
  publish(maps_.settings[0].port_replies,
          static_cast<__u32>(reply_users_.size()) - any_port_replies_);
}

}  // namespace xlvs
