// SPDX-License-Identifier: MIT
#include "tests/vm/differential/errors.h"

#include "loader/state/words.h"
#include "tests/harness/checksum.h"
#include "tests/harness/describe.h"

namespace xlvs::differential {

namespace {

using Expected = ErrorCase::Expected;

struct Error {
  const char* name;
  uint8_t type;
  uint8_t code;
  uint32_t rest = 0;
};

constexpr Error too_big4{"fragmentation needed", 3, 4, 1400};
constexpr Error too_big6{"packet too big", 2, 0, 1400};
constexpr Error port_unreachable4{"port unreachable", 3, 3};
constexpr Error port_unreachable6{"port unreachable", 1, 4};
constexpr Error exceeded4{"time exceeded", 11, 0};
constexpr Error exceeded6{"time exceeded", 3, 0};
constexpr Error parameter4{"parameter problem", 12, 0, 0x14000000};
constexpr Error parameter6{"parameter problem", 4, 0, 40};

constexpr Client client{0, 1, 40000};
constexpr Client router{9, 9, 0};  // only its address matters

// The cases of one family, protocol and forwarding.
class Maker {
 public:
  Maker(int family, Protocol protocol, Forwarding forwarding, uint16_t& port)
      : family_(family), protocol_(protocol), forwarding_(forwarding), port_(port) {}

  std::vector<ErrorCase> run() {
    const bool is_v4 = family_ == AF_INET;
    const Error too_big = is_v4 ? too_big4 : too_big6;
    const Error unreachable = is_v4 ? port_unreachable4 : port_unreachable6;
    for (const Error& error : {too_big, unreachable, is_v4 ? exceeded4 : exceeded6}) {
      from_outside(error, least(), Expected::same);
      from_outside(error, 500, Expected::same);
    }
    from_outside(is_v4 ? parameter4 : parameter6, 500,
                 is_v4 ? Expected::only_xlvs : Expected::same);
    // Neither the quoted packet's IP header nor its ports are all there.
    from_outside(too_big, least() - 9, Expected::nothing);
    from_outside(too_big, least() - 5, Expected::nothing);
    damaged(too_big);
    if (forwarding_ == Forwarding::nat) from_inside(too_big, unreachable);
    return std::move(cases_);
  }

 private:
  void from_inside(const Error& too_big, const Error& unreachable) {
    const Address backend = setup().endpoint(1).address;
    from_inside("the backend", backend, unreachable, least());
    from_inside("the backend", backend, unreachable, 500);
    from_inside("a router", address_of(router, family_), too_big, least());
  }

  [[nodiscard]] Setup setup() const {
    return {.family = family_,
            .protocol = protocol_,
            .port = port_,
            .forwarding = forwarding_,
            .servers = {{1}}};
  }

  [[nodiscard]] size_t least() const { return family_ == AF_INET ? 28 : 48; }

  [[nodiscard]] test::Packet ip(const Address& from, const Address& to, uint8_t ttl) const {
    if (family_ == AF_INET) return test::IPv4{.saddr = from, .daddr = to, .ttl = ttl};
    return test::IPv6{.saddr = from, .daddr = to, .hop_limit = ttl};
  }

  [[nodiscard]] test::Packet transport(uint16_t from, uint16_t to) const {
    const test::Payload data(test::Bytes(1000, 0x5a));
    if (protocol_ == Protocol::udp) return test::UDP{.sport = from, .dport = to} / data;
    return test::TCP{.sport = from, .dport = to, .ack = true} / data;
  }

  [[nodiscard]] test::Packet icmp(const Error& error, std::optional<uint16_t> check = {}) const {
    if (family_ == AF_INET) {
      return test::ICMP{.type = error.type, .code = error.code, .rest = error.rest, .check = check};
    }
    return test::ICMPv6{.type = error.type, .code = error.code, .rest = error.rest, .check = check};
  }

  // By the client's gateway, about an answer of the vip's.
  [[nodiscard]] test::Packet about_answer(const Error& error, size_t quoted,
                                          std::optional<uint16_t> check = {}) const {
    const Endpoint vip = setup().service();
    const test::Packet answer =
        ip(vip.address, address_of(client, family_), 60) / transport(vip.port, client.port);
    return test::Ethernet{} / ip(address_of(router, family_), vip.address, 64) /
           icmp(error, check) / test::quote(answer, quoted);
  }

  void from_outside(const Error& error, size_t quoted, Expected expected) {
    add("to the vip, " + std::string(error.name) + " with " + std::to_string(quoted) + " bytes",
        about_answer(error, quoted), expected);
  }

  void damaged(const Error& error) {
    const Expected expected = forwarding_ == Forwarding::nat ? Expected::nothing : Expected::same;
    add("to the vip, with a wrong checksum", about_answer(error, 500, uint16_t{7}), expected);
  }

  // About what NAT has sent to the backend.
  void from_inside(const std::string& who, const Address& sender, const Error& error,
                   size_t quoted) {
    const Endpoint backend = setup().endpoint(1);
    const Address to = address_of(client, family_);
    const test::Packet sent = ip(to, backend.address, 63) / transport(client.port, backend.port);
    const test::Packet frame = test::Ethernet{.source = test::backend_mac(1)} / ip(sender, to, 64) /
                               icmp(error) / test::quote(sent, quoted);
    add("to the client from " + who + ", " + error.name + " with " + std::to_string(quoted) +
            " bytes",
        frame, Expected::same);
  }

  void add(const std::string& what, const test::Packet& frame, Expected expected) {
    const std::string name = std::string(family_ == AF_INET ? "IPv4 " : "IPv6 ") +
                             std::string(word(protocol_)) + " by " +
                             std::string(word(forwarding_)) + ": " + what;
    cases_.push_back({name, setup(), client, frame.build(), expected});
    ++port_;
  }

  int family_;
  Protocol protocol_;
  Forwarding forwarding_;
  uint16_t& port_;
  std::vector<ErrorCase> cases_;
};

std::optional<std::string> judge(const Answer& ipvs, const Answer& xlvs, Expected expected) {
  const bool by_ipvs = !ipvs.frame.empty();
  const bool by_xlvs = !xlvs.frame.empty();
  if (by_ipvs != (expected == Expected::same)) {
    return by_ipvs ? "IPVS sends it on: " + test::describe(ipvs.frame) : "IPVS does not send it on";
  }
  if (by_xlvs != (expected != Expected::nothing)) {
    return by_xlvs ? "xlvs sends it on: " + test::describe(xlvs.frame) : "xlvs does not send it on";
  }
  if (expected == Expected::same && ipvs.frame != xlvs.frame) {
    return "the frames differ\n" + test::difference(ipvs.frame, xlvs.frame);
  }
  return expected == Expected::only_xlvs ? test::verify(xlvs.frame) : std::nullopt;
}

}  // namespace

std::vector<ErrorCase> error_cases(uint16_t port) {
  std::vector<ErrorCase> all;
  for (const int family : {AF_INET, AF_INET6}) {
    for (const Protocol protocol : {Protocol::tcp, Protocol::udp}) {
      for (const Forwarding forwarding : {Forwarding::dr, Forwarding::nat}) {
        for (const ErrorCase& one : Maker(family, protocol, forwarding, port).run()) {
          all.push_back(one);
        }
      }
    }
  }
  return all;
}

std::optional<std::string> compare_error(Side& ipvs, Side& xlvs, const ErrorCase& one) {
  const test::Bytes opening = frame_of(one.setup, one.client, Packet::syn);
  for (Side* side : {&ipvs, &xlvs}) {
    side->begin(one.setup);
    if (side->ask(opening).server != 1) return "the connection is not served";
  }
  return judge(ipvs.ask(one.error), xlvs.ask(one.error), one.expected);
}

}  // namespace xlvs::differential
