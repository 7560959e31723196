// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bpf/types.h"
#include "loader/base/address.h"
#include "tests/harness/lent.h"

namespace xlvs::test {

constexpr uint8_t tcp = 6;
constexpr uint8_t udp = 17;
constexpr uint8_t sctp = 132;

// Timeouts in jiffies: far longer than any test takes, so that only age() makes a flow idle.
constexpr uint32_t syn_timeout = 600'000;
constexpr uint32_t established_timeout = 9'000'000;
constexpr uint32_t fin_timeout = 1'200'000;
constexpr uint32_t closed_timeout = 100'000;
constexpr uint32_t udp_timeout = 3'000'000;

struct NewBackend {
  Endpoint endpoint;
  forwarding forward = FORWARDING_DR;
  std::optional<Mac> mac{};  // nothing: its neighbour is not known
  uint16_t interface = 1;
  backend_state state = BACKEND_UP;
  bool fallback = false;
  union way way {};                 // of tun, and whose mss goes for others
  std::optional<Address> source{};  // of tun
};

// A flow's key as the client's packets have it, or as the backend's replies do.
flow_key key_of(const Endpoint& from, const Endpoint& to, uint8_t protocol = tcp,
                direction direction = DIRECTION_FORWARD);

// The data plane's tables filled by hand, without the agent. Interface 1 is the one that packets
// come in by (director_mac, the loopback's ifindex); interface 2 has second_director_mac.
// What the kernel refuses ends the program: there is no test to go on with.
class Director {
 public:
  explicit Director(const Sizes& sizes = {});

  // Ids, counted from 1.
  uint32_t add_backend(const NewBackend& wanted);
  // `table`: the backends in the order of their turns; empty: nobody serves.
  uint32_t add_service(const Endpoint& at, uint8_t protocol, const std::vector<uint32_t>& table);
  // A further endpoint of the service.
  void add_endpoint(uint32_t service, const Endpoint& at, uint8_t protocol);
  // Which services a vip's ranges of ports lead to, in order and apart; `others`: all other ports.
  void add_ports(const Address& vip, uint8_t protocol, uint32_t others,
                 const std::vector<port_range>& ranges);
  void set_table(uint32_t service, const std::vector<uint32_t>& table);
  // `how`: the region's scheduler, hash and strict.
  void set_table(uint32_t service, table_region how, const std::vector<slot>& slots,
                 const std::optional<std::vector<slot>>& members = {});
  void set_persistence(uint32_t service, uint32_t seconds, uint8_t prefix = 128,
                       bool keep_drained = false);
  void set_one_packet(uint32_t service);
  void set_limits(uint32_t backend, uint32_t max_connections, uint32_t min_connections);
  // Of the way to a tunnel's end.
  void set_mtu(uint32_t backend, uint16_t mtu);
  void set_state(uint32_t backend, backend_state state);
  void set_weight(uint32_t backend, uint32_t weight);
  // As where another service has its entry.
  void set_service(uint32_t backend, uint32_t service);

  Outcome run(const Bytes& frame, const Arrival& arrival = {});
  Outcome run(const Packet& packet, const Arrival& arrival = {}) {
    return run(packet.build(), arrival);
  }
  sweep expire();

  [[nodiscard]] settings& live() { return programs_->live_settings(); }
  [[nodiscard]] Programs& programs() { return *programs_; }

  // Of the confirmed or the pending; nothing where there is no such record.
  [[nodiscard]] std::optional<flow> confirmed(const flow_key& key) const;
  [[nodiscard]] std::optional<flow> pending(const flow_key& key) const;
  void put_confirmed(const flow_key& key, const flow& record);
  void put_pending(const flow_key& key, const flow& record);
  // As an LRU map evicts: without a word.
  void evict_pending(const flow_key& key);
  // Makes a record look as if its last packet had come so many jiffies earlier.
  void age(const flow_key& key, uint32_t jiffies);
  // Whom lblc and lblcr have given an address to.
  [[nodiscard]] std::optional<destination> held(uint32_t service, const Address& address) const;
  void put_held(uint32_t service, const Address& address, const destination& held);
  void forget_held(uint32_t service, const Address& address);
  [[nodiscard]] connections open(uint32_t backend) const;
  void set_open(uint32_t backend, const connections& open);

  // Every record of "flows" or "pending".
  [[nodiscard]] std::vector<std::pair<flow_key, flow>> records(const char* map) const;

  // The first fragments that are remembered, and making them look so many jiffies older.
  [[nodiscard]] std::vector<std::pair<fragment_key, first_fragment>> fragments() const;
  void age_fragments(uint32_t jiffies);

  // As new: no flows, no connections, the settings it began with. Services and backends stay.
  void reset();

 private:
  void enter(const Endpoint& endpoint, uint8_t protocol, endpoint_kind kind, uint64_t word);
  void append(const slot& one);
  void update(const char* map, const void* key, const void* value, uint64_t flags = 0);
  template <typename Key, typename Value>
  [[nodiscard]] std::vector<std::pair<Key, Value>> entries(const char* map) const;
  [[nodiscard]] bool look(const char* map, const void* key, void* value) const;

  Lent programs_;
  settings initial_{};
  uint32_t backends_ = 0;
  uint32_t services_ = 0;
  uint32_t slots_ = 1;
};

}  // namespace xlvs::test
