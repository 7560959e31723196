// SPDX-License-Identifier: MIT
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <ostream>
#include <vector>

#include "tests/packet/cluster.h"
#include "tests/packet/row_name.h"

// Flows of one client to the cluster, their records and what is counted of them.

inline bool operator==(const connections& a, const connections& b) {
  return a.active == b.active && a.inactive == b.inactive && a.pending_active == b.pending_active &&
         a.pending_inactive == b.pending_inactive;
}

inline std::ostream& operator<<(std::ostream& out, const connections& open) {
  return out << open.active << " active, " << open.inactive << " inactive, " << open.pending_active
             << " and " << open.pending_inactive << " pending";
}

namespace xlvs::test {

inline constexpr uint16_t pair_port = 8000;      // dr, two backends in turn
inline constexpr uint16_t nat_pair_port = 8001;  // nat, two backends in turn, on both vips
inline constexpr uint8_t first = 11;
inline constexpr uint8_t second = 12;

inline constexpr connections none{};
inline constexpr connections one_active{.active = 1};
inline constexpr connections one_inactive{.inactive = 1};
inline constexpr connections one_pending{.pending_active = 1};
inline constexpr connections one_pending_udp{.pending_inactive = 1};

class Flows : public testing::TestWithParam<Family> {
 public:
  explicit Flows(const Sizes& sizes = {}) : cluster(sizes) {
    for (const uint8_t protocol : {tcp, udp}) {
      std::vector<uint32_t> turns;
      std::vector<uint32_t> nat_turns;
      for (const uint8_t number : {first, second}) {
        turns.push_back(director.add_backend(
            {.endpoint = {backend_of(family, number), pair_port}, .mac = backend_mac(number)}));
        nat_turns.push_back(
            director.add_backend({.endpoint = {backend_of(family, number), nat_pair_port},
                                  .forward = FORWARDING_NAT,
                                  .mac = backend_mac(number)}));
      }
      director.add_service({vip_of(family), pair_port}, protocol, turns);
      director.add_service({vip_of(family), nat_pair_port}, protocol, nat_turns);
      director.add_service({second_vip_of(family), nat_pair_port}, protocol, nat_turns);
      (protocol == tcp ? pair : udp_pair) = turns;
    }
  }

  Outcome send(const TCP& header) { return director.run(wire.to_vip() / header); }
  Outcome send(const UDP& header) { return director.run(wire.to_vip() / header); }
  Outcome send(const SCTP& header) {
    const Packet content = header.chunk == 1 ? Packet(initiation()) : Packet();
    return director.run(wire.to_vip() / header / content);
  }
  // Opens and confirms a flow.
  void establish(uint16_t port, uint16_t from = client_port) {
    send(TCP{.sport = from, .dport = port, .syn = true});
    send(TCP{.sport = from, .dport = port, .ack = true});
  }
  [[nodiscard]] flow_key key(uint16_t port, uint8_t protocol = tcp,
                             uint16_t from = client_port) const {
    return key_of({client_of(family), from}, {vip_of(family), port}, protocol);
  }
  [[nodiscard]] flow_key reply_key(uint8_t protocol = tcp) const {
    return key_of({client_of(family), client_port},
                  {backend_of(family, nat_backend), nat_backend_port}, protocol, DIRECTION_REPLY);
  }
  // The backend by the MAC address that a frame left to.
  static int number_of(const Outcome& outcome) { return outcome.frame.at(5) - 0x80; }
  static int state_of(const std::optional<flow>& record) {
    return record ? static_cast<int>(record->state) : -1;
  }
  [[nodiscard]] uint32_t id(uint16_t port, uint8_t protocol = tcp) const {
    return cluster.backend_id(family, protocol, port);
  }

  Family family = GetParam();
  Wire wire{family, Tags::none};
  Cluster cluster;
  Director& director = cluster.director;
  std::vector<uint32_t> pair;
  std::vector<uint32_t> udp_pair;
};

}  // namespace xlvs::test
