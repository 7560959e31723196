// SPDX-License-Identifier: MIT
#include "loader/plane/wire.h"

#include <algorithm>
#include <cstring>

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

endpoint_key service_key(const ServiceKey& key) {
  return {.address = to_wire(key.vip.address),
          .port = key.vip.port,
          .protocol = static_cast<__u8>(key.protocol),
          .kind = ENDPOINT_SERVICE};
}

ServiceKey service_key(const endpoint_key& key) {
  return {{from_wire(key.address), key.port}, static_cast<Protocol>(key.protocol)};
}

endpoint_key reply_key(const Endpoint& backend, Protocol protocol) {
  return {.address = to_wire(backend.address),
          .port = backend.port,
          .protocol = static_cast<__u8>(protocol),
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

::backend to_wire(const ServiceKey& service, uint32_t service_id, const BackendEntry& entry) {
  ::backend out{};
  out.next_hop = to_wire(entry.egress);
  out.ip = to_wire(entry.key.endpoint.address);
  out.forwarding = static_cast<enum forwarding>(entry.key.forwarding);
  out.state = to_wire(entry.state);
  out.port = entry.key.endpoint.port;
  out.protocol = static_cast<__u8>(service.protocol);
  out.fallback = entry.key.fallback ? 1 : 0;
  out.weight = entry.weight;
  out.service = service_id;
  out.position = entry.position;
  copy_text(entry.key.endpoint.text(), out.address);
  return out;
}

BackendEntry from_wire(const ::backend& value) {
  BackendEntry entry{{{from_wire(value.ip), value.port},
                      static_cast<Forwarding>(value.forwarding),
                      value.fallback != 0},
                     value.weight,
                     BackendState::unknown,
                     from_wire(value.next_hop),
                     value.position};
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
