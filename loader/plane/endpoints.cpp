// SPDX-License-Identifier: MIT
// How packets find their service, and replies of NAT backends the way back: what a KernelPlane
// writes to the index.
#include <algorithm>

#include "bpf/types.h"
#include "loader/plane/kernel_plane.h"
#include "loader/plane/publish.h"
#include "loader/plane/wire.h"

namespace xlvs {

namespace {

slot range_of(const ServiceKey& endpoint, uint32_t service) {
  slot range{};
  range.ports = {.first = endpoint.vip.port, .last = endpoint.last_port, .service = service};
  return range;
}

// The slot of an endpoint's ports, or the first of those behind it. The one of all other ports is
// the first of all.
slot* place_of(std::span<slot> slots, const ServiceKey& endpoint) {
  if (endpoint.vip.port == 0) return slots.data();
  const auto before = [&](const slot& one) { return one.ports.first < endpoint.vip.port; };
  return &*std::partition_point(slots.begin() + 1, slots.end(), before);
}

bool is_range(const slot& one, const ServiceKey& endpoint) {
  return one.ports.first == endpoint.vip.port && one.ports.last == endpoint.last_port;
}

}  // namespace

// ---- services ----

Result<void> KernelPlane::apply_one(const OpenEndpoint& change) {
  const ServiceKey& endpoint = change.endpoint;
  const uint32_t id = scheduled_.at(change.service).id;
  ServiceEntry& service = applied_.at(change.service);
  const auto opened =
      endpoint.is_one_port() ? enter(wire::service_key(endpoint), id) : open_ports(endpoint, id);
  if (!opened) return opened.error().in("service " + service.name);
  if (const auto before = owners_.find(endpoint); before != owners_.end()) {
    applied_.at(before->second).open.erase(endpoint);
  }
  owners_[endpoint] = change.service;
  service.open.insert(endpoint);
  return {};
}

Result<void> KernelPlane::apply_one(const CloseEndpoint& change) {
  applied_.at(change.service).open.erase(change.endpoint);
  close(change.endpoint);
  return {};
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

// A range that has a place already changes by one store; else the vip's ranges are written anew.
Result<void> KernelPlane::open_ports(const ServiceKey& endpoint, uint32_t service) {
  const endpoint_key key = wire::ports_key(endpoint);
  const uint64_t word = index_.find(key);
  const slot range = range_of(endpoint, service);
  std::vector<slot> ranges(1);
  if (word != 0) {
    const auto slots = slots_of(PortRegion::of(word));
    slot* place = place_of(slots, endpoint);
    if (place != slots.data() + slots.size() && is_range(*place, endpoint)) {
      publish(place->cursor, range.cursor);
      return {};
    }
    ranges.assign(slots.begin(), slots.end());
    ranges.erase(std::remove_if(ranges.begin() + 1, ranges.end(),
                                [](const slot& one) { return one.ports.service == 0; }),
                 ranges.end());
  }
  if (endpoint.vip.port == 0) {
    ranges.front() = range;
  } else {
    ranges.insert(ranges.begin() + (place_of(ranges, endpoint) - ranges.data()), range);
  }
  return write_ports(key, ranges);
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
  if (old == 0) {
    publish(maps_.settings[0].port_endpoints, ++port_endpoints_);
  } else {
    slots_.release(PortRegion::of(old).offset, PortRegion::of(old).size());
  }
  return {};
}

// Needs no room: the ports stay where they are and lead nowhere.
void KernelPlane::close_ports(const ServiceKey& endpoint) {
  const endpoint_key key = wire::ports_key(endpoint);
  const auto region = PortRegion::of(index_.find(key));
  const auto slots = slots_of(region);
  publish(place_of(slots, endpoint)->cursor, range_of(endpoint, 0).cursor);
  const auto unused = [](const slot& one) { return one.ports.service == 0; };
  if (!std::all_of(slots.begin(), slots.end(), unused)) return;
  index_.erase(key);
  slots_.release(region.offset, region.size());
  publish(maps_.settings[0].port_endpoints, --port_endpoints_);
}

// ---- the way back of NAT ----

Result<void> KernelPlane::open_replies(const Endpoint& backend) {
  if (reply_users_[backend]++ > 0) return {};
  auto opened = enter(wire::reply_key(backend), 1);
  if (!opened) {
    reply_users_.erase(backend);
    return opened;
  }
  publish_reply_endpoints();
  return {};
}

void KernelPlane::close_replies(const Endpoint& backend) {
  const auto users = reply_users_.find(backend);
  if (users == reply_users_.end() || --users->second > 0) return;
  reply_users_.erase(users);
  index_.erase(wire::reply_key(backend));
  publish_reply_endpoints();
}

void KernelPlane::publish_reply_endpoints() {
  const auto any_port = std::count_if(reply_users_.begin(), reply_users_.end(),
                                      [](const auto& one) { return one.first.port == 0; });
  publish(maps_.settings[0].any_port_replies, static_cast<__u32>(any_port));
  publish(maps_.settings[0].reply_endpoints, static_cast<__u32>(reply_users_.size()));
}

}  // namespace xlvs
