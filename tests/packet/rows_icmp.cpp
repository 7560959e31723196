// SPDX-License-Identifier: MIT
// ICMP errors, by the packet that they quote.
#include "tests/packet/row.h"

namespace xlvs::test {
namespace {

constexpr Wire v4{Family::v4, Tags::none};
constexpr Wire v6{Family::v6, Tags::none};

// On the way between the client and the director, or between that and a backend.
Address router_of(Family family) {
  return family == Family::v4 ? "198.51.100.254"_ip : "2001:db8:c::fe"_ip;
}

struct Error {
  uint8_t type = 3;
  uint8_t code = 4;
  uint32_t rest = 1400;
  std::optional<uint16_t> check{};
};

Error too_big(Family family) {
  return family == Family::v4 ? Error{} : Error{.type = 2, .code = 0};
}
Error port_unreachable(Family family) {
  return family == Family::v4 ? Error{.code = 3, .rest = 0} : Error{.type = 1, .rest = 0};
}

Packet icmp(Family family, const Error& error) {
  if (family == Family::v4) {
    return ICMP{.type = error.type, .code = error.code, .rest = error.rest, .check = error.check};
  }
  return ICMPv6{.type = error.type, .code = error.code, .rest = error.rest, .check = error.check};
}

size_t ip_size(Family family) { return family == Family::v4 ? 20 : 40; }
// The IP header and 8 bytes: as much as a router quotes at least.
size_t least_quote(Family family) { return ip_size(family) + 8; }

constexpr std::array transports = {tcp, udp, sctp};

std::string name_of(uint8_t protocol) {
  if (protocol == sctp) return "sctp";
  return protocol == tcp ? "tcp" : "udp";
}

// A packet of 1000 bytes from a port to another.
Packet ports(uint8_t protocol, uint16_t from, uint16_t to) {
  const Payload data(Bytes(1000, 0x5a));
  switch (protocol) {
    case udp:
      return UDP{.sport = from, .dport = to} / data;
    case sctp:
      return SCTP{.sport = from, .dport = to, .tag = 9, .chunk = 0} / data;
    default:
      return TCP{.sport = from, .dport = to, .ack = true} / data;
  }
}

// What opens a flow from the client to a port of the vip.
Packet opening(const Wire& wire, uint8_t protocol, uint16_t port) {
  switch (protocol) {
    case udp:
      return wire.to_vip() / UDP{.dport = port} / Payload("query");
    case sctp:
      return wire.to_vip() / SCTP{.dport = port} / initiation();
    default:
      return wire.to_vip() / TCP{.dport = port, .syn = true};
  }
}

// The checksum of an error that is the last but one of a packet's layers.
uint16_t check_of(const Packet& packet) {
  const Bytes bytes = packet.build();
  const size_t quoted = std::get<Payload>(packet.layers.back()).bytes.size();
  const size_t offset = bytes.size() - quoted - 6;
  return static_cast<uint16_t>(bytes.at(offset) << 8 | bytes.at(offset + 1));
}

// NAT changes addresses and ports in a quote, but not the checksum of its transport.
Payload quote_of(const Packet& before, const Packet& after, uint8_t protocol, size_t limit,
                 size_t headers) {
  Bytes bytes = quote(after).bytes;
  const Bytes was = quote(before).bytes;
  const size_t offset = protocol == tcp ? 16 : protocol == udp ? 6 : 8;
  const size_t size = protocol == sctp ? 4 : 2;
  for (size_t i = headers + offset; i < headers + offset + size; ++i) bytes.at(i) = was.at(i);
  bytes.resize(std::min(bytes.size(), limit));
  return Payload(bytes);
}

// ---- from outside, about what a service has answered ----

Packet answer_of_vip(const Wire& wire, const Packet& transport) {
  return wire.ip(vip_of(wire.family), client_of(wire.family), 60) / transport;
}

Packet head_to_vip(const Wire& wire, uint8_t ttl = 64) {
  return wire.link(client_mac, director_mac) /
         wire.ip(router_of(wire.family), vip_of(wire.family), ttl);
}

Packet error_to_vip(const Wire& wire, const Error& error) {
  return head_to_vip(wire) / icmp(wire.family, error);
}

Packet error_to_backend(const Wire& wire, const Error& error, uint8_t number = dr_backend,
                        const Mac& from = director_mac) {
  return wire.link(from, backend_mac(number)) /
         wire.ip(router_of(wire.family), vip_of(wire.family), 63) / icmp(wire.family, error);
}

Packet error_to_nat_backend(const Wire& wire, const Error& error, uint8_t number = nat_backend,
                            const Mac& from = director_mac) {
  return wire.link(from, backend_mac(number)) /
         wire.ip(router_of(wire.family), backend_of(wire.family, number), 63) /
         icmp(wire.family, error);
}

void add_dr(std::vector<Row>& rows, const Wire& wire) {
  const std::string name = wire.text() + " icmp dr: ";
  const Error error = too_big(wire.family);
  for (const uint8_t protocol : transports) {
    const Packet answer = answer_of_vip(wire, ports(protocol, dr_port, client_port));
    for (const size_t limit : {least_quote(wire.family), size_t{501}}) {
      rows.push_back({.name = name + name_of(protocol) + ", " + std::to_string(limit) + " quoted",
                      .before = {opening(wire, protocol, dr_port)},
                      .in = error_to_vip(wire, error) / quote(answer, limit),
                      .verdict = FORWARD_ICMP,
                      .out = error_to_backend(wire, error) / quote(answer, limit)});
    }
  }
  const Payload far = quote(answer_of_vip(wire, ports(udp, dr_far_port, client_port)));
  rows.push_back({.name = name + "by another interface",
                  .before = {opening(wire, udp, dr_far_port)},
                  .in = error_to_vip(wire, error) / far,
                  .verdict = FORWARD_ICMP,
                  .out = error_to_backend(wire, error, dr_far_backend, second_director_mac) / far,
                  .redirected = true});
  const Payload ranged = quote(answer_of_vip(wire, ports(tcp, range_port, client_port)));
  rows.push_back({.name = name + "of a confirmed flow to a range",
                  .before = {opening(wire, tcp, range_port),
                             wire.to_vip() / TCP{.dport = range_port, .ack = true}},
                  .in = error_to_vip(wire, error) / ranged,
                  .verdict = FORWARD_ICMP,
                  .out = error_to_backend(wire, error) / ranged});
}

void add_nat(std::vector<Row>& rows, const Wire& wire) {
  const std::string name = wire.text() + " icmp nat: ";
  const Error error = too_big(wire.family);
  const auto add = [&](const std::string& what, uint8_t protocol, size_t limit) {
    const Packet answer = answer_of_vip(wire, ports(protocol, nat_port, client_port));
    const Packet sent = wire.ip(backend_of(wire.family, nat_backend), client_of(wire.family), 60) /
                        ports(protocol, nat_backend_port, client_port);
    rows.push_back({.name = name + name_of(protocol) + what,
                    .before = {opening(wire, protocol, nat_port)},
                    .in = error_to_vip(wire, error) / quote(answer, limit),
                    .verdict = FORWARD_ICMP,
                    .out = error_to_nat_backend(wire, error) /
                           quote_of(answer, sent, protocol, limit, ip_size(wire.family))});
  };
  for (const uint8_t protocol : transports) {
    add(", the least quoted", protocol, least_quote(wire.family));
    for (const size_t limit : {500U, 501U, 502U, 503U}) {
      add(", " + std::to_string(limit) + " quoted", protocol, limit);
    }
  }
  add(", ports alone", udp, ip_size(wire.family) + 4);
  const Packet answer = answer_of_vip(wire, ports(tcp, nat_far_port, client_port));
  const Packet sent =
      wire.ip(backend_of(wire.family, nat_far_backend), client_of(wire.family), 60) /
      ports(tcp, nat_far_backend_port, client_port);
  rows.push_back({.name = name + "by another interface",
                  .before = {opening(wire, tcp, nat_far_port)},
                  .in = error_to_vip(wire, error) / quote(answer),
                  .verdict = FORWARD_ICMP,
                  .out = error_to_nat_backend(wire, error, nat_far_backend, second_director_mac) /
                         quote_of(answer, sent, tcp, SIZE_MAX, ip_size(wire.family)),
                  .redirected = true});
}

// As it came, whatever it quotes; it may come at the end of its way.
void add_local(std::vector<Row>& rows, const Wire& wire) {
  const Payload answer = quote(answer_of_vip(wire, ports(tcp, local_port, client_port)));
  for (const uint8_t ttl : {uint8_t{64}, uint8_t{1}}) {
    rows.push_back({.name = wire.text() + " icmp local: TTL " + std::to_string(ttl),
                    .before = {opening(wire, tcp, local_port)},
                    .in = head_to_vip(wire, ttl) / icmp(wire.family, too_big(wire.family)) / answer,
                    .verdict = FORWARD_LOCAL});
  }
}

// ---- from a backend or a router before it, about what NAT has sent ----

Packet sent_by_nat(const Wire& wire, const Packet& transport, uint8_t number = nat_backend) {
  return wire.ip(client_of(wire.family), backend_of(wire.family, number), 63) / transport;
}

Packet error_to_client(const Wire& wire, const Address& sender, const Error& error,
                       uint8_t ttl = 64) {
  return wire.link(backend_mac(nat_backend), director_mac) /
         wire.ip(sender, client_of(wire.family), ttl) / icmp(wire.family, error);
}

void add_reply(std::vector<Row>& rows, const Wire& wire) {
  const std::string name = wire.text() + " icmp reply: ";
  const Address backend = backend_of(wire.family, nat_backend);
  const auto add = [&](const std::string& what, uint8_t protocol, const Address& sender,
                       const Error& error, size_t limit, const std::vector<Packet>& before) {
    const Packet sent = sent_by_nat(wire, ports(protocol, client_port, nat_backend_port));
    const Packet asked = wire.ip(client_of(wire.family), vip_of(wire.family), 63) /
                         ports(protocol, client_port, nat_port);
    rows.push_back({.name = name + name_of(protocol) + ", " + what,
                    .before = before,
                    .in = error_to_client(wire, sender, error) / quote(sent, limit),
                    .verdict = FORWARD_ICMP_REPLY,
                    .out = wire.to_client() / icmp(wire.family, error) /
                           quote_of(sent, asked, protocol, limit, ip_size(wire.family))});
  };
  const Error unreachable = port_unreachable(wire.family);
  for (const uint8_t protocol : transports) {
    const std::vector<Packet> before = {opening(wire, protocol, nat_port)};
    add("port unreachable", protocol, backend, unreachable, least_quote(wire.family), before);
    add("more of it quoted", protocol, backend, unreachable, 503, before);
    add("too big, from a router", protocol, router_of(wire.family), too_big(wire.family),
        least_quote(wire.family), before);
  }
  const Packet ack = wire.to_vip() / TCP{.dport = nat_port, .ack = true};
  add("of a confirmed flow", tcp, backend, unreachable, 500, {opening(wire, tcp, nat_port), ack});
}

// ---- what is not of a flow of ours ----

void add_no_flow(std::vector<Row>& rows, const Wire& wire) {
  const auto add = [&](const std::string& what, const Packet& in,
                       const std::vector<Packet>& before = {},
                       const std::function<void(Cluster&)>& prepare = {}) {
    rows.push_back({.name = wire.text() + " icmp no flow: " + what,
                    .before = before,
                    .in = in,
                    .verdict = PASS_ICMP_NO_FLOW,
                    .prepare = prepare});
  };
  const Error error = too_big(wire.family);
  const Error wrong{.type = error.type, .code = error.code, .check = 7};
  const std::vector<Packet> opened = {opening(wire, tcp, dr_port)};
  const std::vector<Packet> opened_nat = {opening(wire, tcp, nat_port)};
  const auto answer = [&](uint16_t from, uint16_t to) {
    return quote(answer_of_vip(wire, ports(tcp, from, to)));
  };
  const auto sent = [&](uint16_t from, uint16_t to) {
    return quote(sent_by_nat(wire, ports(tcp, from, to)));
  };
  const Address backend = backend_of(wire.family, nat_backend);
  add("never opened", error_to_vip(wire, error) / answer(dr_port, client_port));
  add("never opened, and a wrong checksum",
      error_to_vip(wire, wrong) / answer(dr_port, client_port));
  add("another client port", error_to_vip(wire, error) / answer(dr_port, client_port + 1), opened);
  add("another service", error_to_vip(wire, error) / answer(nat_port, client_port), opened);
  add("no service", error_to_vip(wire, error) / answer(unused_port, client_port), opened);
  add("another protocol",
      error_to_vip(wire, error) / quote(answer_of_vip(wire, ports(udp, dr_port, client_port))),
      opened);
  // Whoever answers is not whom the error is sent to.
  add("sent to another than the quoted sender, which has such a flow",
      wire.link(client_mac, director_mac) /
          wire.ip(router_of(wire.family), second_vip_of(wire.family), 64) /
          icmp(wire.family, error) / answer(nat_port, client_port),
      {wire.link(client_mac, director_mac) /
       wire.ip(client_of(wire.family), second_vip_of(wire.family), 64) /
       TCP{.dport = nat_port, .syn = true}});
  add("the client's own packet is quoted",
      wire.link(client_mac, director_mac) /
          wire.ip(router_of(wire.family), client_of(wire.family), 64) / icmp(wire.family, error) /
          quote(wire.ip(client_of(wire.family), vip_of(wire.family), 64) /
                ports(tcp, client_port, dr_port)),
      opened);
  add("from a backend, never opened",
      error_to_client(wire, backend, error) / sent(client_port, nat_backend_port));
  add("from a backend, another port of the client's",
      error_to_client(wire, backend, error) / sent(client_port + 1, nat_backend_port), opened_nat);
  add("from a backend, another port of its own",
      error_to_client(wire, backend, error) / sent(client_port, nat_port), opened_nat);
  add("from a backend to another than the client",
      wire.link(backend_mac(nat_backend), director_mac) /
          wire.ip(backend, router_of(wire.family), 64) / icmp(wire.family, error) /
          sent(client_port, nat_backend_port),
      opened_nat);
  add("by dr, about what was sent to the backend",
      error_to_client(wire, backend_of(wire.family, dr_backend), error) /
          quote(sent_by_nat(wire, ports(tcp, client_port, dr_port), dr_backend)),
      opened);
  add("the flow has timed out", error_to_vip(wire, error) / answer(dr_port, client_port), opened,
      [](Cluster& c) { c.director.live().timeouts[FLOW_SYN] = 0; });
  add("the nat flow has timed out", error_to_vip(wire, error) / answer(nat_port, client_port),
      opened_nat, [](Cluster& c) { c.director.live().timeouts[FLOW_SYN] = 0; });
}

// Behind the ICMP header stands what would be a quote, with something odd about it.
void add_odd_quotes(std::vector<Row>& rows, const Wire& wire) {
  const Error error = too_big(wire.family);
  const Packet answer = answer_of_vip(wire, ports(tcp, dr_port, client_port));
  const auto add = [&](const std::string& what, const Packet& behind) {
    rows.push_back({.name = wire.text() + " icmp odd: " + what,
                    .before = {opening(wire, tcp, dr_port)},
                    .in = error_to_vip(wire, error) / behind,
                    .verdict = PASS_ICMP_NO_FLOW});
  };
  const size_t header = ip_size(wire.family);
  add("nothing is quoted", Packet());
  add("one byte is quoted", quote(answer, 1));
  add("the IP header is cut short", quote(answer, header - 1));
  add("no ports", quote(answer, header));
  add("half a port", quote(answer, header + 3));
  // What follows is not the error's.
  add("the last byte of the ports is padding",
      quote(answer, header + 3) / Padding{Bytes{client_port & 0xff}});
  add("the ports are in the padding", quote(answer, header) / Padding{Bytes{0, 80, 0x9c, 0x40}});
  add("an echo is quoted",
      quote(answer_of_vip(wire, icmp(wire.family, {.type = 8, .code = 0, .rest = 0}))));
}

void add_odd_quotes_of_v4(std::vector<Row>& rows) {
  const auto add = [&](const std::string& what, IPv4 header, const Payload& data) {
    header.saddr = vip;
    header.daddr = client;
    rows.push_back({.name = "v4 icmp odd: " + what,
                    .before = {opening(v4, tcp, dr_port)},
                    .in = error_to_vip(v4, too_big(Family::v4)) / quote(header / data),
                    .verdict = PASS_ICMP_NO_FLOW});
  };
  const Payload transport(Bytes{0, 80, 0x9c, 0x40, 0, 0, 0, 0});
  add("version 6", {.version = 6, .protocol = tcp}, transport);
  add("header of 16 bytes", {.ihl = 4, .protocol = tcp}, transport);
  // Whose address would be the flow's ports.
  const Address confusing = "0.80.156.64"_ip;
  rows.push_back(
      {.name = "v4 icmp odd: header of 16 bytes, its end like ports",
       .before = {Ethernet{} / IPv4{.saddr = confusing} /
                  TCP{.sport = client_port, .dport = dr_port, .syn = true}},
       .in = error_to_vip(v4, too_big(Family::v4)) /
             quote(IPv4{.saddr = vip, .daddr = confusing, .ihl = 4, .protocol = tcp} / transport),
       .verdict = PASS_ICMP_NO_FLOW});
  add("header beyond the quote", {.ihl = 15, .protocol = tcp}, transport);
  add("a later fragment", {.fragment_offset = 1, .protocol = tcp}, transport);
  add("the last fragment", {.fragment_offset = 0x1000, .protocol = tcp}, transport);
  add("gre", {.protocol = 47}, transport);
}

void add_odd_quotes_of_v6(std::vector<Row>& rows) {
  const auto add = [&](const std::string& what, IPv6 header, const Packet& behind) {
    header.saddr = vip6;
    if (header.daddr == vip6) header.daddr = client6;
    rows.push_back({.name = "v6 icmp odd: " + what,
                    .before = {opening(v6, tcp, dr_port), opening(v4, tcp, dr_port)},
                    .in = error_to_vip(v6, too_big(Family::v6)) / quote(header / behind),
                    .verdict = PASS_ICMP_NO_FLOW});
  };
  const Packet transport = ports(tcp, dr_port, client_port);
  add("version 4", {.version = 4}, transport);
  add("a later fragment", {}, Fragment{.offset = 1, .more = true} / transport);
  add("the last fragment", {}, Fragment{.offset = 0x1000} / transport);
  add("a segment is left", {}, Routing{.segments_left = 1, .addresses = {client6}} / transport);
  add("an extension header beyond the quote", {}, HopByHop{.length = 255} / transport);
  add("seven extension headers", {},
      HopByHop{} / HopByHop{} / HopByHop{} / HopByHop{} / HopByHop{} / HopByHop{} / HopByHop{} /
          transport);
  add("gre", {.next_header = 47}, transport);
  add("to a mapped address", {.daddr = client}, transport);
}

// ---- types ----

void add_types(std::vector<Row>& rows, const Wire& wire) {
  const Payload answer = quote(answer_of_vip(wire, ports(tcp, dr_port, client_port)));
  const bool is_v4 = wire.family == Family::v4;
  const std::vector<uint8_t> errors =
      is_v4 ? std::vector<uint8_t>{3, 4, 11, 12} : std::vector<uint8_t>{1, 2, 3, 4};
  const std::vector<uint8_t> others = is_v4 ? std::vector<uint8_t>{0, 2, 5, 8, 10, 13, 128}
                                            : std::vector<uint8_t>{0, 5, 100, 128, 129, 135, 137};
  for (const uint8_t type : errors) {
    const Error error{.type = type, .code = 1, .rest = 0x01020304};
    rows.push_back({.name = wire.text() + " icmp type " + std::to_string(type),
                    .before = {opening(wire, tcp, dr_port)},
                    .in = error_to_vip(wire, error) / answer,
                    .verdict = FORWARD_ICMP,
                    .out = error_to_backend(wire, error) / answer});
  }
  for (const uint8_t type : others) {
    rows.push_back({.name = wire.text() + " icmp type " + std::to_string(type),
                    .before = {opening(wire, tcp, dr_port)},
                    .in = error_to_vip(wire, {.type = type, .code = 0, .rest = 0}) / answer,
                    .verdict = PASS_NOT_TRANSPORT});
  }
}

// ---- what is ours and cannot go on ----

void add_dropped(std::vector<Row>& rows, const Wire& wire) {
  const Error error = too_big(wire.family);
  const Error wrong{.type = error.type, .code = error.code, .check = 7};
  const auto add = [&](const std::string& what, uint16_t port, const Packet& head,
                       verdict verdict) {
    rows.push_back({.name = wire.text() + " icmp drop: " + what + " to " + std::to_string(port),
                    .before = {opening(wire, tcp, port)},
                    .in = head / quote(answer_of_vip(wire, ports(tcp, port, client_port)), 501),
                    .verdict = verdict});
  };
  add("checksum", nat_port, error_to_vip(wire, wrong), DROP_BAD_CHECKSUM);
  for (const uint16_t port : {dr_port, nat_port}) {
    add("TTL 1", port, head_to_vip(wire, 1) / icmp(wire.family, error), DROP_TTL);
  }
  for (const uint16_t port : {dr_unresolved_port, nat_unresolved_port}) {
    add("no neighbour", port, error_to_vip(wire, error), DROP_NO_NEIGHBOUR);
  }
  const Address backend = backend_of(wire.family, nat_backend);
  const Payload sent = quote(sent_by_nat(wire, ports(tcp, client_port, nat_backend_port)));
  rows.push_back({.name = wire.text() + " icmp drop: checksum, from a backend",
                  .before = {opening(wire, tcp, nat_port)},
                  .in = error_to_client(wire, backend, wrong) / sent,
                  .verdict = DROP_BAD_CHECKSUM});
  rows.push_back({.name = wire.text() + " icmp drop: TTL 1, from a backend",
                  .before = {opening(wire, tcp, nat_port)},
                  .in = error_to_client(wire, backend, error, 1) / sent,
                  .verdict = DROP_TTL});
}

// Where nothing is changed that the checksum is over, the receiver finds out.
void add_wrong_checksums(std::vector<Row>& rows, const Wire& wire) {
  const Error error = too_big(wire.family);
  const Error wrong{.type = error.type, .code = error.code, .check = 7};
  const auto answer = [&](uint16_t port) {
    return quote(answer_of_vip(wire, ports(tcp, port, client_port)), 501);
  };
  rows.push_back({.name = wire.text() + " icmp dr: a wrong checksum stays",
                  .before = {opening(wire, tcp, dr_port)},
                  .in = error_to_vip(wire, wrong) / answer(dr_port),
                  .verdict = FORWARD_ICMP,
                  .out = error_to_backend(wire, wrong) / answer(dr_port),
                  .valid = false});
  rows.push_back({.name = wire.text() + " icmp local: a wrong checksum stays",
                  .before = {opening(wire, tcp, local_port)},
                  .in = error_to_vip(wire, wrong) / answer(local_port),
                  .verdict = FORWARD_LOCAL});
}

void add_bad_header(std::vector<Row>& rows) {
  const Payload answer = quote(answer_of_vip(v4, ports(tcp, dr_port, client_port)));
  rows.push_back({.name = "v4 icmp drop: checksum of the IPv4 header",
                  .before = {opening(v4, tcp, dr_port)},
                  .in = Ethernet{} / IPv4{.check = 7} / icmp(Family::v4, {}) / answer,
                  .verdict = DROP_BAD_CHECKSUM});
  rows.push_back(
      {.name = "v4 icmp drop: checksum of the IPv4 header, from a backend",
       .before = {opening(v4, tcp, nat_port)},
       .in = Ethernet{} /
             IPv4{.saddr = backend_of(Family::v4, nat_backend), .daddr = client, .check = 7} /
             icmp(Family::v4, {}) /
             quote(sent_by_nat(v4, ports(tcp, client_port, nat_backend_port))),
       .verdict = DROP_BAD_CHECKSUM});
}

// Before it is known whose it is.
void add_malformed(std::vector<Row>& rows, const Wire& wire) {
  const Packet whole = error_to_vip(wire, too_big(wire.family)) /
                       quote(answer_of_vip(wire, ports(tcp, dr_port, client_port)), 500);
  const auto add = [&](const std::string& what, size_t cut) {
    rows.push_back({.name = wire.text() + " icmp malformed: " + what,
                    .before = {opening(wire, tcp, dr_port)},
                    .in = whole,
                    .verdict = PASS_MALFORMED,
                    .cut = cut});
  };
  const size_t network = wire.link(client_mac, director_mac).build().size();
  add("the frame ends in the ICMP header", network + ip_size(wire.family) + 7);
  add("the frame ends in the quote", whole.build().size() - 1);
}

void add_short_packet(std::vector<Row>& rows) {
  const Payload quoted = quote(answer_of_vip(v4, ports(tcp, dr_port, client_port)));
  rows.push_back({.name = "v4 icmp malformed: the packet ends in the ICMP header",
                  .before = {opening(v4, tcp, dr_port)},
                  .in = Ethernet{} / IPv4{.total_length = 27} / icmp(Family::v4, {}) / quoted,
                  .verdict = PASS_MALFORMED});
}

// ---- headers that not every packet has ----

// A quote that begins with `headers` bytes; `ip` makes them, given source and destination.
template <typename Ip>
void add_quoted_headers(std::vector<Row>& rows, const std::string& what, const Wire& wire,
                        size_t headers, Ip ip) {
  const Error error = too_big(wire.family);
  const Address real = backend_of(wire.family, nat_backend);
  const Address to = client_of(wire.family);
  const Packet dr = ip(vip_of(wire.family), to) / ports(tcp, dr_port, client_port);
  const Packet nat = ip(vip_of(wire.family), to) / ports(tcp, nat_port, client_port);
  const Packet sent = ip(real, to) / ports(tcp, nat_backend_port, client_port);
  const size_t limit = headers + 8;
  rows.push_back({.name = "icmp dr quotes " + what,
                  .before = {opening(wire, tcp, dr_port)},
                  .in = error_to_vip(wire, error) / quote(dr, limit),
                  .verdict = FORWARD_ICMP,
                  .out = error_to_backend(wire, error) / quote(dr, limit)});
  rows.push_back(
      {.name = "icmp nat quotes " + what,
       .before = {opening(wire, tcp, nat_port)},
       .in = error_to_vip(wire, error) / quote(nat, limit),
       .verdict = FORWARD_ICMP,
       .out = error_to_nat_backend(wire, error) / quote_of(nat, sent, tcp, limit, headers)});
  const Packet asked = ip(to, vip_of(wire.family)) / ports(tcp, client_port, nat_port);
  const Packet given = ip(to, real) / ports(tcp, client_port, nat_backend_port);
  rows.push_back({.name = "icmp reply quotes " + what,
                  .before = {opening(wire, tcp, nat_port)},
                  .in = error_to_client(wire, real, error) / quote(given, limit),
                  .verdict = FORWARD_ICMP_REPLY,
                  .out = wire.to_client() / icmp(wire.family, error) /
                         quote_of(given, asked, tcp, limit, headers)});
}

void add_quoted_v4(std::vector<Row>& rows) {
  for (const size_t size : {4U, 12U, 40U}) {
    add_quoted_headers(rows, "v4 options of " + std::to_string(size), v4, 20 + size,
                       [=](const Address& from, const Address& to) {
                         return IPv4{.saddr = from, .daddr = to, .options = Bytes(size, 1)};
                       });
  }
  add_quoted_headers(rows, "a first fragment of v4", v4, 20,
                     [](const Address& from, const Address& to) {
                       return IPv4{.saddr = from, .daddr = to, .more_fragments = true};
                     });
}

void add_quoted_v6(std::vector<Row>& rows) {
  const auto add = [&](const std::string& what, const Packet& extensions, size_t size) {
    add_quoted_headers(rows, "v6 " + what, v6, 40 + size,
                       [=](const Address& from, const Address& to) {
                         return IPv6{.saddr = from, .daddr = to} / extensions;
                       });
  };
  add("destination options", Packet(DestinationOptions{.options = Bytes(20, 0)}), 24);
  add("an atomic fragment", Packet(Fragment{}), 8);
  add("a first fragment", Packet(Fragment{.more = true}), 8);
  add("authentication", Packet(Authentication{}), 24);
}

// In front of the error itself.
template <typename Ip>
void add_outer_headers(std::vector<Row>& rows, const std::string& what, const Wire& wire, Ip ip) {
  const Error error = too_big(wire.family);
  const Address router = router_of(wire.family);
  const Address real = backend_of(wire.family, nat_backend);
  const Packet nat = answer_of_vip(wire, ports(tcp, nat_port, client_port));
  const Packet sent =
      wire.ip(real, client_of(wire.family), 60) / ports(tcp, nat_backend_port, client_port);
  rows.push_back({.name = "icmp nat behind " + what,
                  .before = {opening(wire, tcp, nat_port)},
                  .in = wire.link(client_mac, director_mac) / ip(router, vip_of(wire.family), 64) /
                        icmp(wire.family, error) / quote(nat, 500),
                  .verdict = FORWARD_ICMP,
                  .out = wire.link(director_mac, backend_mac(nat_backend)) / ip(router, real, 63) /
                         icmp(wire.family, error) /
                         quote_of(nat, sent, tcp, 500, ip_size(wire.family))});
}

void add_outer(std::vector<Row>& rows) {
  add_outer_headers(rows, "v4 options", v4,
                    [](const Address& from, const Address& to, uint8_t ttl) {
                      return IPv4{.saddr = from, .daddr = to, .ttl = ttl, .options = Bytes(40, 1)};
                    });
  add_outer_headers(rows, "v6 extension headers", v6,
                    [](const Address& from, const Address& to, uint8_t ttl) {
                      return IPv6{.saddr = from, .daddr = to, .hop_limit = ttl} / HopByHop{} /
                             DestinationOptions{.options = Bytes(20, 0)};
                    });
}

// RFC 4443, 2.4 (c): none is longer than 1280 bytes. One that is, is not looked through: what is
// wrong by some stays wrong by as much.
void add_long(std::vector<Row>& rows, const Wire& wire) {
  const Error error = too_big(wire.family);
  const auto answer_from = [&](const Address& address, uint16_t port) {
    return wire.ip(address, client_of(wire.family), 60) /
           TCP{.sport = port, .dport = client_port, .ack = true} / Payload(Bytes(1400, 0xa5));
  };
  const Packet came = answer_from(vip_of(wire.family), nat_port);
  const Packet sent = answer_from(backend_of(wire.family, nat_backend), nat_backend_port);
  const auto add = [&](const std::string& what, size_t quoted, uint8_t damage, verdict verdict) {
    Payload in = quote(came, quoted);
    Payload out = quote_of(came, sent, tcp, quoted, ip_size(wire.family));
    Error wrong = error;
    Error wrong_out = error;
    if (damage != 0) {
      wrong.check = check_of(error_to_vip(wire, error) / in);
      wrong_out.check = check_of(error_to_nat_backend(wire, error) / out);
      for (Payload* quote : {&in, &out}) quote->bytes.back() ^= damage;
    }
    Row row{.name = wire.text() + " icmp long: " + what,
            .before = {opening(wire, tcp, nat_port)},
            .in = error_to_vip(wire, wrong) / in,
            .verdict = verdict,
            .valid = damage == 0};
    if (verdict == FORWARD_ICMP) row.out = error_to_nat_backend(wire, wrong_out) / out;
    rows.push_back(row);
  };
  constexpr size_t most = 1280 - 8;
  add("1280 bytes", most, 0, FORWARD_ICMP);
  add("1281 bytes", most + 1, 0, FORWARD_ICMP);
  add("1280 bytes, the last one wrong", most, 1, DROP_BAD_CHECKSUM);
  add("1281 bytes, the last one wrong", most + 1, 1, FORWARD_ICMP);
}

}  // namespace

std::vector<Row> icmp_rows() {
  std::vector<Row> rows;
  for_each_wire([&](const Wire& wire) {
    add_dr(rows, wire);
    add_nat(rows, wire);
    add_local(rows, wire);
    add_reply(rows, wire);
    add_no_flow(rows, wire);
    add_odd_quotes(rows, wire);
    add_types(rows, wire);
    add_dropped(rows, wire);
    add_wrong_checksums(rows, wire);
    add_malformed(rows, wire);
    add_long(rows, wire);
  });
  add_odd_quotes_of_v4(rows);
  add_odd_quotes_of_v6(rows);
  add_bad_header(rows);
  add_short_packet(rows);
  add_quoted_v4(rows);
  add_quoted_v6(rows);
  add_outer(rows);
  return rows;
}

}  // namespace xlvs::test
