// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "tests/harness/director.h"
#include "tests/harness/packet.h"

// The cluster that the rows speak to: a vip of each family, and behind each of its ports one way of
// being served, for TCP, UDP and SCTP alike.
namespace xlvs::test {

enum class Family : uint8_t { v4, v6 };
inline constexpr std::array families = {Family::v4, Family::v6};

constexpr uint16_t dr_port = 80;
constexpr uint16_t nat_port = 81;
constexpr uint16_t local_port = 82;
constexpr uint16_t nobody_port = 83;   // no backend
constexpr uint16_t dr_far_port = 84;   // by interface 2
constexpr uint16_t nat_far_port = 85;  // by interface 2
constexpr uint16_t dr_unresolved_port = 86;
constexpr uint16_t nat_unresolved_port = 87;
constexpr uint16_t gone_port = 88;
constexpr uint16_t tun_far_port = 95;  // ipip by interface 2
constexpr uint16_t tun_unresolved_port = 96;
constexpr uint16_t dr_mss_port = 97;  // all of these: clamped_mss
constexpr uint16_t nat_mss_port = 98;
constexpr uint16_t tun_mss_port = 100;
constexpr uint16_t tun_port = 101;     // and one more for each of all_tunnels
constexpr uint16_t range_port = 8000;  // and 99 more, of the service on dr_port
constexpr uint16_t unused_port = 99;   // no service

// What a NAT backend listens on, for the services on nat_port and nat_far_port.
constexpr uint16_t nat_backend_port = 8081;
constexpr uint16_t nat_far_backend_port = 8085;

Address client_of(Family family);
Address vip_of(Family family);
// Has nat_port only, with the backend of the first vip's.
Address second_vip_of(Family family);
// Of the backend whose MAC is backend_mac(number).
Address backend_of(Family family, uint8_t number);

constexpr uint8_t dr_backend = 1;
constexpr uint8_t nat_backend = 2;
constexpr uint8_t dr_far_backend = 4;
constexpr uint8_t nat_far_backend = 5;
constexpr uint8_t tun_backend = 9;
constexpr uint8_t tun_far_backend = 10;
constexpr uint8_t dr_mss_backend = 12;
constexpr uint8_t nat_mss_backend = 13;

constexpr uint16_t clamped_mss = 1200;
constexpr uint16_t tunnel_mtu = 1500;
constexpr uint16_t gue_port = 6080;

// A tunnel to an IPv4 or IPv6 address, with a vip of either family inside.
struct TunnelKind {
  tunnel type = TUNNEL_IPIP;
  Family outer = Family::v4;
  bool checksum = false;

  [[nodiscard]] std::string text() const;
  [[nodiscard]] uint16_t port() const;
};
inline constexpr std::array all_tunnels = {
    TunnelKind{TUNNEL_IPIP, Family::v4},      TunnelKind{TUNNEL_IPIP, Family::v6},
    TunnelKind{TUNNEL_GRE, Family::v4},       TunnelKind{TUNNEL_GRE, Family::v6},
    TunnelKind{TUNNEL_GRE, Family::v4, true}, TunnelKind{TUNNEL_GRE, Family::v6, true},
    TunnelKind{TUNNEL_GUE, Family::v4},       TunnelKind{TUNNEL_GUE, Family::v6},
    TunnelKind{TUNNEL_GUE, Family::v4, true}, TunnelKind{TUNNEL_GUE, Family::v6, true},
};

// That the director's packets in tunnels come from.
Address director_of(Family family);

// Ids by family and protocol, where a test wants to look at one.
class Cluster {
 public:
  explicit Cluster(const Sizes& sizes = {});

  Director director;
  // Of the backend behind a port; 0 for none.
  [[nodiscard]] uint32_t backend_id(Family family, uint8_t protocol, uint16_t port) const;

 private:
  void add(Family family, uint8_t protocol);
  void serve(Family family, uint8_t protocol, uint16_t port, const NewBackend& backend);
  void add_clamped(Family family, uint8_t protocol);
  void add_tunnels(Family family, uint8_t protocol);

  struct Id {
    Family family;
    uint8_t protocol;
    uint16_t port;
    uint32_t id;
  };
  std::vector<Id> ids_;
};

// ---- packets between client, director and backends ----

// "", "802.1Q" or "QinQ".
enum class Tags : uint8_t { none, dot1q, qinq };
inline constexpr std::array all_tags = {Tags::none, Tags::dot1q, Tags::qinq};

struct Wire {
  Family family = Family::v4;
  Tags tags = Tags::none;

  [[nodiscard]] std::string text() const;
  [[nodiscard]] Packet link(const Mac& source, const Mac& destination) const;
  [[nodiscard]] Packet ip(const Address& source, const Address& destination, uint8_t ttl) const;
  // From the client, with a TTL of 64.
  [[nodiscard]] Packet to_vip(uint8_t ttl = 64) const;
  // As the client's packet leaves towards a DR backend, with a TTL of 63.
  [[nodiscard]] Packet to_backend(uint8_t number = dr_backend,
                                  const Mac& from = director_mac) const;
  // As it leaves towards a NAT backend.
  [[nodiscard]] Packet to_nat_backend(uint8_t number = nat_backend,
                                      const Mac& from = director_mac) const;
  // As a NAT backend answers, with a TTL of 64.
  [[nodiscard]] Packet from_nat_backend(uint8_t number = nat_backend, uint8_t ttl = 64) const;
  // As its answer goes on to the client, with a TTL of 63.
  [[nodiscard]] Packet to_client() const;
  // The head of what the director itself answers: the vip's, TTL 64, IPv4 id 0.
  [[nodiscard]] Packet answer(uint8_t ttl = 64) const;
};

}  // namespace xlvs::test
