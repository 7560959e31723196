// SPDX-License-Identifier: MIT
#include "loader/plane/wire.h"

#include <algorithm>
#include <cstring>

#include "loader/plane/publish.h"
#include "loader/state/rings.h"

namespace xlvs::wire {

::address to_wire(const Address& value) {
  ::address out{};
  std::memcpy(&out, value.bytes().data(), sizeof out);
  return out;
}

Address from_wire(const ::address& value) {
  in6_addr v6{};
  std::memcpy(&v6, &value, sizeof v6);
  return Address(v6);
}

void copy_text(const std::string& text, std::span<char> where) {
  std::fill(where.begin(), where.end(), '\0');
  std::copy_n(text.begin(), std::min(text.size(), where.size() - 1), where.begin());
}

endpoint_key service_key(const ServiceKey& endpoint) {
  return {.address = to_wire(endpoint.vip.address),
          .port = endpoint.vip.port,
          .protocol = static_cast<__u8>(endpoint.protocol),
          .kind = ENDPOINT_SERVICE};
}

endpoint_key ports_key(const ServiceKey& endpoint) {
  endpoint_key key = service_key(endpoint);
  key.port = 0;
  key.kind = ENDPOINT_PORTS;
  return key;
}

ServiceKey service_key(const endpoint_key& key, uint16_t last_port) {
  return {{from_wire(key.address), key.port}, static_cast<Protocol>(key.protocol), last_port};
}

endpoint_key reply_key(const Endpoint& backend) {
  return {.address = to_wire(backend.address),
          .port = backend.port,
          .protocol = 0,
          .kind = ENDPOINT_REPLY};
}

next_hop to_wire(const std::optional<Egress>& egress) {
  next_hop out{};
  if (egress) {
    std::copy(egress->mac.bytes.begin(), egress->mac.bytes.end(), out.hop.mac);
    out.hop.interface = egress->interface;
  }
  return out;
}

std::optional<Egress> from_wire(const next_hop& hop) {
  if (hop.word == 0) return std::nullopt;
  Egress out{{}, hop.hop.interface};
  std::copy(std::begin(hop.hop.mac), std::end(hop.hop.mac), out.mac.bytes.begin());
  return out;
}

backend_state to_wire(BackendState state) {
  switch (state) {
    case BackendState::up:
      return BACKEND_UP;
    case BackendState::down:
      return BACKEND_DOWN;
    case BackendState::unknown:
      return BACKEND_UNKNOWN;
    case BackendState::unresolved:
      return BACKEND_UNRESOLVED;
    case BackendState::gone:
      return BACKEND_GONE;
  }
  return BACKEND_UNKNOWN;
}

static_assert(tables::ring_size == RING_SIZE);

slot to_wire(const tables::Candidate& candidate) {
  slot out{};
  out.backend = candidate.id;
  out.weight = candidate.weight;
  return out;
}

std::vector<slot> to_wire(const tables::Table& table) {
  const auto append = [](std::vector<slot>& slots, const std::vector<tables::Candidate>& list) {
    for (const auto& candidate : list) slots.push_back(to_wire(candidate));
  };
  if (table.slots.empty()) return {};
  std::vector<slot> slots(1);
  append(slots, table.slots);
  if (!table.serving) return slots;
  slots.emplace_back().members = table.serving->size();
  append(slots, *table.serving);
  return slots;
}

table_region to_wire(const Scheduling& scheduling, uint32_t offset, uint32_t size) {
  table_region region{};
  region.offset = offset;
  region.size = size & 0xfffff;
  region.scheduler = static_cast<uint8_t>(scheduling.scheduler);
  region.hash = static_cast<uint8_t>(scheduling.hash) & 3;
  region.strict = scheduling.strict_ipvs;
  return region;
}

void set_scheduling(::service& service, const Scheduling& scheduling) {
  service.scheduler = static_cast<enum scheduler>(scheduling.scheduler);
  service.hash = static_cast<__u8>(scheduling.hash);
  service.strict = scheduling.strict_ipvs ? 1 : 0;
  service.slots = scheduling.slots;
  publish(service.persistence, static_cast<__u32>(scheduling.persistence.count()));
  publish(service.persistence_prefix, __u8{scheduling.prefix});
  publish(service.keep_drained, static_cast<__u8>(scheduling.expire_drained ? 0 : 1));
  publish(service.one_packet, static_cast<__u8>(scheduling.one_packet ? 1 : 0));
}

Scheduling scheduling_of(const ::service& service) {
  return {static_cast<Scheduler>(service.scheduler),
          static_cast<HashOf>(service.hash),
          service.strict != 0,
          std::chrono::seconds(service.persistence),
          service.persistence_prefix,
          service.keep_drained == 0,
          service.one_packet != 0,
          service.slots};
}

way to_wire(const BackendEntry& entry, unsigned source) {
  way out{};
  out.mss = entry.mss;
  if (entry.key.forwarding != Forwarding::tun) return out;
  out.mtu = entry.way.mtu;
  out.port = entry.tunnel.port;
  out.tunnel = static_cast<__u8>(entry.tunnel.type);
  out.checksum = entry.tunnel.checksum;
  out.source = source & 1;
  return out;
}

::backend to_wire(uint32_t service, const BackendEntry& entry) {
  ::backend out{};
  out.next_hop = to_wire(entry.egress);
  out.way = to_wire(entry, 0);
  if (entry.key.forwarding == Forwarding::tun) out.sources[0] = to_wire(entry.way.source);
  out.ip = to_wire(entry.key.endpoint.address);
  out.forwarding = static_cast<enum forwarding>(entry.key.forwarding);
  out.state = to_wire(entry.state);
  out.port = entry.key.endpoint.port;
  out.fallback = entry.key.fallback ? 1 : 0;
  out.weight = entry.weight;
  out.service = service;
  out.position = entry.position;
  out.max_connections = entry.max_connections;
  out.min_connections = entry.min_connections;
  return out;
}

void set_address(::backend& backend, const Endpoint& shown) {
  copy_text(shown.text(), backend.address);
}

BackendEntry from_wire(const ::backend& value) {
  BackendEntry entry{{{from_wire(value.ip), value.port},
                      static_cast<Forwarding>(value.forwarding),
                      value.fallback != 0},
                     value.weight,
                     BackendState::unknown,
                     from_wire(value.next_hop),
                     value.max_connections,
                     value.min_connections,
                     value.position};
  entry.mss = value.way.mss;
  if (entry.key.forwarding == Forwarding::tun) {
    entry.tunnel = {static_cast<TunnelType>(value.way.tunnel), value.way.port,
                    value.way.checksum != 0};
    entry.way = {from_wire(value.sources[value.way.source]), value.way.mtu};
  }
  switch (value.state) {
    case BACKEND_UP:
      entry.state = BackendState::up;
      break;
    case BACKEND_DOWN:
      entry.state = BackendState::down;
      break;
    case BACKEND_UNRESOLVED:
      entry.state = BackendState::unresolved;
      break;
    case BACKEND_GONE:
      entry.state = BackendState::gone;
      break;
    case BACKEND_FREE:
    case BACKEND_UNKNOWN:
    case BACKEND_DRAINING:
      break;
  }
  return entry;
}

}  // namespace xlvs::wire
