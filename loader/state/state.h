// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "loader/base/address.h"
#include "loader/state/configuration.h"

// What the kernel's tables hold or should hold, as plain values.
namespace xlvs {

// What makes a backend another backend: its flows cannot follow a change of these.
struct BackendKey {
  Endpoint endpoint;  // port 0: the one that the client has sent to, whatever ports there are
  Forwarding forwarding = Forwarding::dr;
  bool fallback = false;

  auto operator<=>(const BackendKey&) const = default;
};

enum class BackendState : uint8_t {
  up,
  down,        // by its check; its flows go on
  unknown,     // not checked yet
  unresolved,  // no neighbour, or not on a connected network where it must be
  gone,        // down, and its flows were ended
};

// Where frames to a backend go: `interface` is the number of one of ours, from 1.
struct Egress {
  Mac mac;
  uint16_t interface = 0;

  auto operator<=>(const Egress&) const = default;
};

// The way to a tunnel's end.
struct TunnelWay {
  Address source;    // the director's own address there
  uint16_t mtu = 0;  // of IP packets, bytes

  bool operator==(const TunnelWay&) const = default;
};

struct BackendEntry {
  BackendKey key;
  uint32_t weight = 1;
  BackendState state = BackendState::unknown;
  std::optional<Egress> egress;  // none: unresolved, or not needed (local)
  uint32_t max_connections = 0;
  uint32_t min_connections = 0;
  uint32_t position = 0;  // in the service's order
  Tunnel tunnel;          // tun
  TunnelWay way;          // tun, where there is a route
  uint16_t mss = 0;       // of a client's SYN, at most; 0: as it is

  [[nodiscard]] bool can_serve() const { return state == BackendState::up && weight > 0; }
  bool operator==(const BackendEntry&) const = default;
};

// One who takes part in scheduling, in the order of IPVS's list (the last to come is first).
struct Member {
  BackendKey key;
  uint32_t weight = 0;  // 0: keeps its place, is not chosen
  uint32_t share = 0;   // its weight as configured

  bool operator==(const Member&) const = default;
};

struct ServiceEntry {
  ServiceKey key;
  std::string name;
  Scheduling scheduling;
  // By position: in the order they came in, those that are gone last. IPVS's list is the reverse.
  std::vector<BackendEntry> backends;
  // Whom its table was made from; nothing: there is none, or it is not what it should be.
  std::optional<std::vector<Member>> table;
  std::set<ServiceKey> open;  // the endpoints that packets reach it by

  [[nodiscard]] const BackendEntry* find(const BackendKey& wanted) const;
  [[nodiscard]] uint16_t port() const { return common_port(key, open); }
  bool operator==(const ServiceEntry&) const = default;
};

using State = std::map<ServiceKey, ServiceEntry>;

void sort_by_position(std::vector<BackendEntry>& backends);
// Who new flows of the service are given to: the backends, or the fallback where none can serve.
std::vector<Member> members(const ServiceEntry& service);
// The service as it should be with these backends in this order: open by its key, with the table
// that follows from them.
ServiceEntry whole(ServiceEntry service);

// ---- one step between two states; between any two of them every service is whole ----

struct AddService {  // known to the plane, not yet reachable
  ServiceKey key;
  std::string name;
  Scheduling scheduling;
  bool operator==(const AddService&) const = default;
};
struct PutBackend {  // add it or change it
  ServiceKey service;
  BackendEntry backend;
  bool operator==(const PutBackend&) const = default;
};
struct SetTable {
  ServiceKey service;
  std::string name;
  Scheduling scheduling;
  std::vector<Member> members;
  bool operator==(const SetTable&) const = default;
};
struct OpenEndpoint {  // from here on its packets are the service's, also if they were another's
  ServiceKey service;
  ServiceKey endpoint;
  bool operator==(const OpenEndpoint&) const = default;
};
struct CloseEndpoint {
  ServiceKey service;
  ServiceKey endpoint;
  bool operator==(const CloseEndpoint&) const = default;
};
struct RemoveBackend {
  ServiceKey service;
  BackendKey backend;
  bool with_flows = false;  // else they go on until they end
  bool operator==(const RemoveBackend&) const = default;
};
struct RemoveService {  // with the endpoints that are still open
  ServiceKey key;
  bool operator==(const RemoveService&) const = default;
};

using Change = std::variant<AddService, PutBackend, SetTable, OpenEndpoint, CloseEndpoint,
                            RemoveBackend, RemoveService>;

// The service that a change is about.
const ServiceKey& service_of(const Change& change);

}  // namespace xlvs
