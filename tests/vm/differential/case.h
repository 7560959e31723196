// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "loader/base/address.h"
#include "loader/state/configuration.h"
#include "tests/harness/packet.h"

// One service, connections to it, and what changes meanwhile: as plain values, and in the words of
// those who are asked, ipvsadm and xlvs.
namespace xlvs::differential {

constexpr uint8_t most_servers = 10;

struct Server {
  uint8_t number = 1;  // to most_servers; its addresses and its MAC follow from it
  uint16_t weight = 1;
  uint32_t max = 0;  // of connections, as ipvsadm's -x
  uint32_t min = 0;  // -y
};

struct Setup {
  int family = AF_INET;
  Protocol protocol = Protocol::tcp;
  uint8_t vip = 0;  // below 64
  uint16_t port = 0;
  Forwarding forwarding = Forwarding::dr;  // by NAT, servers listen on another port
  Scheduling scheduling;
  std::vector<Server> servers;  // in the order in which they came
  Tunnel tunnel{};
  int server_family = 0;  // tun; 0: the same

  [[nodiscard]] const Server* find(uint8_t number) const;
  [[nodiscard]] Endpoint service() const;
  [[nodiscard]] Endpoint endpoint(uint8_t number) const;
};

struct Client {
  uint8_t network = 0;
  uint8_t host = 1;
  uint16_t port = 1;
};
Address address_of(const Client& client, int family);

// What follows a connection's first packet at once: ACK, then FIN or RST; or RST alone. For UDP
// `hold` is a second packet, and the others are nothing.
enum class Then : uint8_t { nothing, hold, close, reset, abort };
enum class Packet : uint8_t { syn, ack, fin, rst };

struct Open {
  Client client;
  Then then = Then::nothing;
};
struct More {  // one packet more of an earlier connection
  size_t connection = 0;
  Packet packet = Packet::ack;
};
struct Put {  // a server comes, returns or is changed
  Server server;
};
struct Remove {
  uint8_t number = 1;
};
struct Reschedule {
  Scheduling scheduling;
};
struct Expire {};  // all closed connections of servers that are there have ended
using Step = std::variant<Open, More, Expire, Put, Remove, Reschedule>;

struct Case {
  Setup setup;
  std::vector<Step> steps;
};

bool is_change(const Step& step);
// As it is after the change.
Setup changed(Setup setup, const Step& change);

std::string text(const Step& step);
// For ipvsadm -R.
std::string ipvsadm_lines(const Setup& setup);
std::string ipvsadm_lines(const Setup& before, const Step& change);
// A configuration file of xlvs.
std::string configuration_text(const Setup& setup);

test::Bytes frame_of(const Setup& setup, const Client& client, Packet packet);

}  // namespace xlvs::differential
