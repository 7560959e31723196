// SPDX-License-Identifier: MIT
#pragma once

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bpf/types.h"
#include "loader/base/address.h"

// What the operator wants, as plain values: the configuration file after validation and with every
// default filled in.
namespace xlvs {

enum class Protocol : uint8_t { tcp = 6, udp = 17, sctp = 132 };

// What packets are addressed to: a port of a vip, a range of them, or all that no other service
// has.
struct ServiceKey {
  Endpoint vip;  // port 0: all
  Protocol protocol = Protocol::tcp;
  uint16_t last_port = 0;  // of a range that begins with vip.port; 0: that port alone

  [[nodiscard]] bool is_one_port() const { return vip.port != 0 && last_port == 0; }
  // "tcp 192.0.2.1:80", "udp [2001:db8::1]:8000-8100", "tcp 192.0.2.1:0"
  [[nodiscard]] std::string text() const;
  // The same without its protocol.
  [[nodiscard]] std::string address_text() const;
  auto operator<=>(const ServiceKey&) const = default;
};

// The port that all endpoints of a service have; 0: they have several.
template <typename Endpoints>
uint16_t common_port(const ServiceKey& first, const Endpoints& others) {
  const bool common =
      first.is_one_port() && std::all_of(others.begin(), others.end(), [&](const ServiceKey& one) {
        return one.is_one_port() && one.vip.port == first.vip.port;
      });
  return common ? first.vip.port : 0;
}

enum class Forwarding : uint8_t { dr, nat, local, tun };
enum class TunnelType : uint8_t { ipip, gre, gue };

// tun: what packets are put into.
struct Tunnel {
  TunnelType type = TunnelType::ipip;
  uint16_t port = 0;      // gue
  bool checksum = false;  // gre, gue: over what is inside

  bool operator==(const Tunnel&) const = default;
};

// To what the maximum segment size of a client's SYN is lowered.
struct Mss {
  bool fits_tunnel = true;  // tun: what fits into the tunnel
  uint16_t most = 0;        // else this; 0: it stays as it is

  bool operator==(const Mss&) const = default;
};

enum class Scheduler : uint8_t {
#define X(name, word, table) word = SCHEDULER_##name,
  SCHEDULERS(X)
#undef X
};
// What of a packet sh and mh hash.
enum class HashOf : uint8_t { source, source_port, five_tuple };

// Primes, the largest below each power of two, so that every step goes all round a ring.
inline constexpr std::array<uint16_t, 9> mh_sizes{251,  509,   1021,  2039, 4093,
                                                  8191, 16381, 32749, 65521};

// How a new flow gets a backend.
struct Scheduling {
  Scheduler scheduler = Scheduler::wrr;
  HashOf hash = HashOf::source;
  bool strict_ipvs = false;  // sh, mh: who hashes to a backend that takes no flows is refused
  // A client stays with its backend for so long after its last new flow; 0: it does not.
  std::chrono::seconds persistence{0};
  uint8_t prefix = 128;        // of the client's address, bits; an IPv4 address has the last 32
  bool expire_drained = true;  // not with a backend that takes no new clients
  bool one_packet = false;     // UDP: each packet is given to a backend anew
  uint16_t slots = 65521;      // mh: of its ring, one of mh_sizes

  bool operator==(const Scheduling&) const = default;
};
// What happens to a backend that its check finds down: no new flows, or gone with its flows.
enum class OnFailure : uint8_t { drain, remove };
// What the agent leaves behind when it is told to stop.
enum class OnStop : uint8_t { detach, keep };
enum class CheckType : uint8_t { none, tcp, http };

// How a backend is asked whether it serves.
struct Check {
  CheckType type = CheckType::tcp;
  std::chrono::milliseconds interval{2000};
  std::chrono::milliseconds timeout{3000};  // connect to verdict
  unsigned rise = 1;                        // successes in a row to come up
  unsigned fall = 1;                        // failures in a row to go down
  double jitter = 0.1;                      // of the interval, each way; 0..0.5
  uint16_t port = 0;                        // 0: the backend's
  // http only:
  std::string path = "/";
  std::string host;                // Host header; empty: the backend's address
  std::vector<uint16_t> status{};  // expected; empty: any 2xx
  std::string expect;              // text that the body contains; empty: any
  std::string expect_regex;        // ECMAScript expression found in the body; empty: any

  bool operator==(const Check&) const = default;
};

struct Backend {
  Endpoint endpoint;  // port 0: the one that the client has sent to; always but for nat
  uint16_t weight = 1;
  Forwarding forwarding = Forwarding::dr;
  Check check;
  uint32_t max_connections = 0;  // takes no more flows then; 0: no limit
  uint32_t min_connections = 0;  // until they are fewer again; 0: three quarters of max
  Tunnel tunnel;                 // tun

  bool operator==(const Backend&) const = default;
};

struct Service {
  std::string name;
  ServiceKey key;
  std::vector<ServiceKey> also{};  // further endpoints of the same service, of the same family
  Scheduling scheduling;
  OnFailure on_failure = OnFailure::drain;
  Mss mss{};
  std::vector<Backend> backends;  // in the file's order
  std::optional<Backend> fallback;

  [[nodiscard]] uint16_t port() const { return common_port(key, also); }
  bool operator==(const Service&) const = default;
};

// A backend as people see it: without a port of its own it has its service's.
Endpoint shown(const Endpoint& backend, uint16_t service_port);
// The same in a message: "192.0.2.9:80", or "192.0.2.9" where the service has several ports.
std::string shown_text(const Endpoint& backend, uint16_t service_port);

// Idle times after which a flow's record ends.
struct Timeouts {
  std::chrono::seconds tcp{900};
  std::chrono::seconds tcp_fin{120};
  std::chrono::seconds tcp_rst{10};
  std::chrono::seconds tcp_syn{60};  // only the opening was seen
  std::chrono::seconds udp{300};

  bool operator==(const Timeouts&) const = default;
};

// Sizes of the kernel's tables, in entries; fixed when the data plane is loaded.
struct Tables {
  uint32_t flows = 1048576;
  uint32_t pending = 65536;
  uint32_t services = 1024;  // and their further endpoints
  uint32_t backends = 4096;
  uint32_t slots = 1048576;
  uint32_t fragments = 16384;  // datagrams in fragments, of 30 or 60 seconds

  bool operator==(const Tables&) const = default;
};

enum class AttachMode : uint8_t { native, generic };

struct Configuration {
  std::vector<std::string> interfaces;
  AttachMode mode = AttachMode::native;
  bool manage_vips = false;
  OnStop on_stop = OnStop::detach;
  Timeouts timeouts;
  Tables tables;
  uint32_t refusals_per_second = 1000;  // RST and ICMP answers, per CPU
  std::vector<Service> services;

  bool operator==(const Configuration&) const = default;
};

}  // namespace xlvs
