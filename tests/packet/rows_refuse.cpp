// SPDX-License-Identifier: MIT
// What the director itself answers, from the vip.
#include "tests/packet/row.h"

namespace xlvs::test {
namespace {

constexpr Wire v4{Family::v4, Tags::none};
constexpr Wire v6{Family::v6, Tags::none};

// Port unreachable, quoting headers and 8 bytes of what came (RFC 792; RFC 4443, 3.1).
Packet unreachable(const Wire& wire, const Packet& came, size_t headers) {
  if (wire.family == Family::v4) {
    return wire.answer() / ICMP{.type = 3, .code = 3} / quote(came, headers + 8);
  }
  return wire.answer() / ICMPv6{.type = 1, .code = 4} / quote(came, headers + 8);
}

size_t ip_size(const Wire& wire) { return wire.family == Family::v4 ? 20 : 40; }

void add_unreachable(std::vector<Row>& rows, const Wire& wire) {
  const auto add = [&](const std::string& name, const Packet& in, size_t headers) {
    rows.push_back({.name = wire.text() + " unreachable: " + name,
                    .in = in,
                    .verdict = REFUSE_NO_BACKEND,
                    .out = unreachable(wire, in, headers)});
  };
  const size_t size = ip_size(wire);
  const Packet to_vip = wire.to_vip();
  add("SYN, nobody serves", to_vip / TCP{.dport = nobody_port, .syn = true}, size);
  add("SYN, the only backend is gone", to_vip / TCP{.dport = gone_port, .syn = true}, size);
  add("UDP, nobody serves", to_vip / UDP{.dport = nobody_port}, size);
  add("UDP of 1400 bytes", to_vip / UDP{.dport = nobody_port} / Payload(Bytes(1400, 1)), size);
  add("UDP, odd and padded",
      to_vip / UDP{.dport = nobody_port} / Payload("odd") / Padding{Bytes(7, 0xee)}, size);
  // The answer is the director's own packet, so the question may come at the end of its way.
  add("SYN with TTL 1", wire.to_vip(1) / TCP{.dport = nobody_port, .syn = true}, size);
}

void add_unreachable_for_long_headers(std::vector<Row>& rows) {
  const TCP syn{.dport = nobody_port, .syn = true};
  const Packet with_options =
      v4.link(client_mac, director_mac) / IPv4{.options = Bytes(40, 1)} / syn;
  rows.push_back({.name = "v4 unreachable: options are quoted",
                  .in = with_options,
                  .verdict = REFUSE_NO_BACKEND,
                  .out = unreachable(v4, with_options, 60)});
  const Packet with_extensions = v6.to_vip() / HopByHop{} / DestinationOptions{} / syn;
  rows.push_back({.name = "v6 unreachable: extension headers are quoted",
                  .in = with_extensions,
                  .verdict = REFUSE_NO_BACKEND,
                  .out = unreachable(v6, with_extensions, 56)});
  const Packet with_many = v6.to_vip() / DestinationOptions{.options = Bytes(200, 0)} / syn;
  rows.push_back({.name = "v6 unreachable: at most 128 bytes are quoted",
                  .in = with_many,
                  .verdict = REFUSE_NO_BACKEND,
                  .out = unreachable(v6, with_many, 120)});
}

// Two vips, one backend and one client port: the backend's replies could not be told apart.
void add_reply_taken(std::vector<Row>& rows, const Wire& wire) {
  const auto ask = [&](const Address& to, const Packet& transport) {
    return wire.link(client_mac, director_mac) / wire.ip(client_of(wire.family), to, 64) /
           transport;
  };
  const Address first = vip_of(wire.family);
  const Address second = second_vip_of(wire.family);
  Packet head = wire.link(director_mac, client_mac);
  head = head / (wire.family == Family::v4
                     ? Packet(IPv4{.saddr = second, .daddr = client, .ttl = 64, .id = 0})
                     : Packet(IPv6{.saddr = second, .daddr = client6}));
  const auto add = [&](const std::string& name, const Packet& transport, const Packet& answer) {
    rows.push_back({.name = wire.text() + " reply taken: " + name,
                    .before = {ask(first, transport)},
                    .in = ask(second, transport),
                    .verdict = REFUSE_REPLY_TAKEN,
                    .out = head / answer});
  };
  const auto unreachable = [&](const Packet& transport) {
    const Payload quoted = quote(ask(second, transport), ip_size(wire) + 8);
    return wire.family == Family::v4 ? ICMP{.type = 3, .code = 3} / quoted
                                     : ICMPv6{.type = 1, .code = 4} / quoted;
  };
  const TCP syn{.dport = nat_port, .syn = true};
  add("SYN", syn, unreachable(syn));
  add("UDP", UDP{.dport = nat_port}, unreachable(UDP{.dport = nat_port}));
  add("INIT", SCTP{.dport = nat_port} / initiation(0xfedcba98),
      SCTP{.sport = nat_port, .dport = client_port, .tag = 0xfedcba98, .chunk = 6});
}

// RFC 9260, 8.4: the tag that came goes back, and says so.
void add_abort(std::vector<Row>& rows, const Wire& wire) {
  const auto add = [&](const std::string& name, SCTP in, uint8_t answer,
                       const Payload& content = Payload("data")) {
    in.tag = 0xfedcba98;
    in.dport = in.dport == 80 ? dr_port : in.dport;
    const SCTP out{
        .sport = in.dport, .dport = client_port, .tag = in.tag, .chunk = answer, .flags = 1};
    rows.push_back({.name = wire.text() + " abort: " + name,
                    .in = wire.to_vip() / in / content,
                    .verdict = REFUSE_NO_FLOW,
                    .out = wire.answer() / out});
  };
  add("DATA", {.chunk = 0}, 6);
  add("COOKIE ECHO", {.chunk = 10}, 6);
  add("HEARTBEAT to nat", {.dport = nat_port, .chunk = 4}, 6);
  add("SHUTDOWN", {.chunk = 7}, 6);
  add("SHUTDOWN ACK is completed", {.chunk = 8}, 14);
  add("INIT with a tag", {.chunk = 1}, 6, initiation());
  add("ERROR, an invalid stream", {.chunk = 9}, 6, Payload(Bytes{0, 1, 0, 8, 0, 3, 0, 0}));
  add("ERROR without a cause, DATA", {.chunk = 9, .length = 4}, 6, Payload(Bytes{0, 3, 0, 4}));
  add("a type that ends in the bits of ABORT", {.chunk = 0x26}, 6);
  add("a type that ends in the bits of COOKIE ACK", {.chunk = 0xcb}, 6);
  const Payload and_shutdown_ack(Bytes{0xaa, 0, 0, 0, 8, 0, 0, 4});
  add("SACK of 5 bytes, SHUTDOWN ACK", {.chunk = 3, .length = 5}, 14, and_shutdown_ack);
  const Payload and_a_short_chunk(Bytes{0xaa, 0, 0, 0, 3, 0, 0, 3, 6, 0, 0, 4});
  add("SACK, a chunk of 3 bytes, ABORT", {.chunk = 3, .length = 5}, 6, and_a_short_chunk);
  rows.push_back(
      {.name = wire.text() + " abort: DATA, in the padding an ABORT",
       .in = wire.to_vip() / SCTP{.dport = dr_port, .tag = 9, .chunk = 0} /
             Padding{Bytes{6, 0, 0, 4}},
       .verdict = REFUSE_NO_FLOW,
       .out = wire.answer() /
              SCTP{.sport = dr_port, .dport = client_port, .tag = 9, .chunk = 6, .flags = 1}});
}

// RFC 9260, 8.4, 3: the tag is what the INIT wants, and none that came.
void add_abort_for_init(std::vector<Row>& rows, const Wire& wire) {
  const auto add = [&](const std::string& name, const SCTP& in, const Payload& more = {},
                       uint8_t ttl = 64) {
    const SCTP out{.sport = in.dport, .dport = client_port, .tag = 0xfedcba98, .chunk = 6};
    rows.push_back({.name = wire.text() + " abort: INIT, " + name,
                    .in = wire.to_vip(ttl) / in / initiation(0xfedcba98) / more,
                    .verdict = REFUSE_NO_BACKEND,
                    .out = wire.answer() / out});
  };
  add("nobody serves", {.dport = nobody_port});
  add("the only backend is gone", {.dport = gone_port});
  add("with parameters", {.dport = nobody_port}, Payload(Bytes{0x80, 8, 0, 6, 0xc0, 0, 0, 0}));
  add("of 21 bytes, filled up", {.dport = nobody_port, .length = 21}, Payload(Bytes{1, 0, 0, 0}));
  add("with TTL 1", {.dport = nobody_port}, {}, 1);
}

// RFC 9293, 3.10.7.1: with an ACK the reset takes its number, else it acknowledges what came.
void add_reset(std::vector<Row>& rows, const Wire& wire) {
  const auto add = [&](const std::string& name, TCP in, uint32_t seq, std::optional<uint32_t> ack,
                       const Payload& data = {}) {
    in.dport = in.dport == 80 ? dr_port : in.dport;
    const TCP out{.sport = in.dport,
                  .dport = in.sport,
                  .seq = seq,
                  .ack_seq = ack.value_or(0),
                  .rst = true,
                  .ack = ack.has_value(),
                  .window = 0};
    rows.push_back({.name = wire.text() + " reset: " + name,
                    .in = wire.to_vip() / in / data,
                    .verdict = REFUSE_NO_FLOW,
                    .out = wire.answer() / out});
  };
  const uint32_t theirs = 0xfedcba98;
  add("ACK", {.seq = 5, .ack_seq = theirs, .ack = true}, theirs, std::nullopt);
  add("ACK with data", {.seq = 5, .ack_seq = theirs, .psh = true, .ack = true}, theirs,
      std::nullopt, Payload("hello"));
  add("FIN ACK", {.seq = 5, .ack_seq = theirs, .fin = true, .ack = true}, theirs, std::nullopt);
  add("SYN ACK", {.seq = 5, .ack_seq = theirs, .syn = true, .ack = true}, theirs, std::nullopt);
  add("FIN", {.seq = 5, .fin = true}, 0, 6);
  add("FIN with data", {.seq = 5, .fin = true}, 0, 11, Payload("hello"));
  add("FIN with options and data", {.seq = 5, .fin = true, .options = Bytes(12, 1)}, 0, 11,
      Payload("hello"));
  add("FIN, the number wraps", {.seq = 0xffffffff, .fin = true}, 0, 0);
  add("ACK to nat", {.dport = nat_port, .ack_seq = theirs, .ack = true}, theirs, std::nullopt);
  add("ACK to local", {.dport = local_port, .ack_seq = theirs, .ack = true}, theirs, std::nullopt);
  add("ACK where nobody serves", {.dport = nobody_port, .ack_seq = theirs, .ack = true}, theirs,
      std::nullopt);
  rows.push_back(
      {.name = wire.text() + " reset: padding is no data",
       .in = wire.to_vip() / TCP{.dport = dr_port, .seq = 5, .fin = true} / Padding{Bytes(6, 0xee)},
       .verdict = REFUSE_NO_FLOW,
       .out = wire.answer() / TCP{.sport = dr_port,
                                  .dport = client_port,
                                  .seq = 0,
                                  .ack_seq = 6,
                                  .rst = true,
                                  .ack = true,
                                  .window = 0}});
}

void add_reset_for_long_headers(std::vector<Row>& rows) {
  const TCP ack{.dport = dr_port, .ack_seq = 9, .ack = true};
  const TCP reset{.sport = dr_port, .dport = client_port, .seq = 9, .rst = true, .window = 0};
  rows.push_back({.name = "v4 reset: for a packet with options",
                  .in = Ethernet{} / IPv4{.options = Bytes(40, 1)} / ack,
                  .verdict = REFUSE_NO_FLOW,
                  .out = v4.answer() / reset});
  rows.push_back({.name = "v6 reset: for a packet with extension headers",
                  .in = v6.to_vip() / HopByHop{} / Authentication{} / ack,
                  .verdict = REFUSE_NO_FLOW,
                  .out = v6.answer() / reset});
}

}  // namespace

std::vector<Row> refuse_rows() {
  std::vector<Row> rows;
  for_each_wire([&](const Wire& wire) {
    add_unreachable(rows, wire);
    add_reply_taken(rows, wire);
    add_reset(rows, wire);
    add_abort(rows, wire);
    add_abort_for_init(rows, wire);
  });
  add_unreachable_for_long_headers(rows);
  add_reset_for_long_headers(rows);
  return rows;
}

}  // namespace xlvs::test
