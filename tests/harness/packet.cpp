// SPDX-License-Identifier: MIT
#include "tests/harness/packet.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <string_view>

#include "tests/harness/checksum.h"

namespace xlvs::test {
namespace {

void put8(Bytes& out, uint32_t value) { out.push_back(static_cast<uint8_t>(value)); }
void put16(Bytes& out, uint32_t value) {
  put8(out, value >> 8);
  put8(out, value);
}
void put32(Bytes& out, uint32_t value) {
  put16(out, value >> 16);
  put16(out, value);
}
void put(Bytes& out, const Mac& mac) { out.insert(out.end(), mac.bytes.begin(), mac.bytes.end()); }
void put(Bytes& out, const Bytes& bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }
void put_v4(Bytes& out, const Address& address) {
  out.insert(out.end(), address.bytes().begin() + 12, address.bytes().end());
}
void put_v6(Bytes& out, const Address& address) {
  out.insert(out.end(), address.bytes().begin(), address.bytes().end());
}

void set16(Bytes& out, size_t offset, uint16_t value) {
  out[offset] = static_cast<uint8_t>(value >> 8);
  out[offset + 1] = static_cast<uint8_t>(value);
}

Bytes padded(Bytes bytes, size_t unit) {
  bytes.resize((bytes.size() + unit - 1) / unit * unit);
  return bytes;
}

// EtherType of what a layer is, as the layer in front of it says.
uint16_t ethertype_of(const Layer* layer) {
  if (layer == nullptr) return 0x88b5;  // IEEE 802, local experimental
  if (const auto* vlan = std::get_if<Vlan>(layer)) return vlan->tpid;
  if (std::holds_alternative<IPv4>(*layer)) return 0x0800;
  if (std::holds_alternative<IPv6>(*layer)) return 0x86dd;
  return 0x88b5;
}

// IANA's protocol numbers in Layer's order; 253 is for experiments (RFC 3692).
constexpr std::array<uint8_t, std::variant_size_v<Layer>> protocols = {
    253, 253, 4, 41, 0, 60, 43, 44, 51, 6, 17, 132, 1, 58, 253, 253, 47, 253};

uint8_t protocol_of(const Layer* layer) {
  return layer == nullptr ? uint8_t(59) : protocols.at(layer->index());  // 59: no next header
}

// The addresses that a transport's checksum is over: those of the nearest IP header in front.
struct Ends {
  Address source;
  Address destination;
};

Ends ends_in_front(const std::vector<Layer>& layers, size_t index) {
  std::optional<Address> final_destination;
  while (index-- > 0) {
    if (const auto* v4 = std::get_if<IPv4>(&layers[index])) return {v4->saddr, v4->daddr};
    if (const auto* v6 = std::get_if<IPv6>(&layers[index])) {
      return {v6->saddr, final_destination.value_or(v6->daddr)};
    }
    const auto* routing = std::get_if<Routing>(&layers[index]);
    if (routing != nullptr && routing->segments_left > 0 && !routing->addresses.empty()) {
      final_destination =
          routing->type == 4 ? routing->addresses.front() : routing->addresses.back();
    }
  }
  return {};
}

// Writes one layer in front of the bytes of all that follow it.
class Builder {
 public:
  Builder(const std::vector<Layer>& layers, size_t index, const Bytes& tail)
      : layers_(layers), index_(index), tail_(tail) {}

  Bytes run() {
    std::visit([this](const auto& layer) { write(layer); }, layers_[index_]);
    put(out_, tail_);
    return std::move(out_);
  }

 private:
  [[nodiscard]] const Layer* next() const {
    return index_ + 1 < layers_.size() ? &layers_[index_ + 1] : nullptr;
  }

  void write(const Ethernet& header) {
    put(out_, header.destination);
    put(out_, header.source);
    put16(out_, header.type.value_or(ethertype_of(next())));
  }

  void write(const Vlan& header) {
    put16(out_, uint32_t(header.priority) << 13 | header.id);
    put16(out_, header.type.value_or(ethertype_of(next())));
  }

  void write(const IPv4& header) {
    const Bytes options = padded(header.options, 4);
    const size_t size = 20 + options.size();
    put8(out_, uint32_t(header.version) << 4 | header.ihl.value_or(uint8_t(size / 4)));
    put8(out_, header.tos);
    put16(out_, header.total_length.value_or(uint16_t(size + tail_.size())));
    put16(out_, header.id);
    put16(out_, (header.dont_fragment ? 0x4000U : 0U) | (header.more_fragments ? 0x2000U : 0U) |
                    header.fragment_offset);
    put8(out_, header.ttl);
    put8(out_, header.protocol.value_or(protocol_of(next())));
    put16(out_, 0);
    put_v4(out_, header.saddr);
    put_v4(out_, header.daddr);
    put(out_, options);
    set16(out_, 10, header.check.value_or(uint16_t(~ones_sum(out_))));
  }

  void write(const IPv6& header) {
    put32(out_, uint32_t(header.version) << 28 | uint32_t(header.traffic_class) << 20 |
                    header.flow_label);
    put16(out_, header.payload_length.value_or(uint16_t(tail_.size())));
    put8(out_, header.next_header.value_or(protocol_of(next())));
    put8(out_, header.hop_limit);
    put_v6(out_, header.saddr);
    put_v6(out_, header.daddr);
  }

  void write(const HopByHop& header) { write_options(header); }
  void write(const DestinationOptions& header) { write_options(header); }

  template <typename Header>
  void write_options(const Header& header) {
    Bytes options = header.options;
    const size_t missing = (8 - (options.size() + 2) % 8) % 8;
    if (missing == 1) put8(options, 0);  // Pad1
    if (missing > 1) {
      put8(options, 1);  // PadN
      put8(options, static_cast<uint32_t>(missing - 2));
      options.resize(options.size() + missing - 2);
    }
    put8(out_, header.next_header.value_or(protocol_of(next())));
    put8(out_, header.length.value_or(uint8_t((options.size() + 2) / 8 - 1)));
    put(out_, options);
  }

  void write(const Routing& header) {
    put8(out_, header.next_header.value_or(protocol_of(next())));
    put8(out_, header.length.value_or(uint8_t(header.addresses.size() * 2)));
    put8(out_, header.type);
    put8(out_, header.segments_left);
    put32(out_, 0);
    for (const Address& address : header.addresses) put_v6(out_, address);
  }

  void write(const Fragment& header) {
    put8(out_, header.next_header.value_or(protocol_of(next())));
    put8(out_, 0);
    put16(out_, uint32_t(header.offset) << 3 | (header.more ? 1U : 0U));
    put32(out_, header.id);
  }

  void write(const Authentication& header) {
    put8(out_, header.next_header.value_or(protocol_of(next())));
    // In units of 4 bytes, minus 2 (RFC 4302, 2.2).
    put8(out_, header.length.value_or(uint8_t((12 + header.check_value.size()) / 4 - 2)));
    put16(out_, 0);
    put32(out_, header.spi);
    put32(out_, header.sequence);
    put(out_, header.check_value);
  }

  void write(const TCP& header) {
    const Bytes options = padded(header.options, 4);
    const auto flag = [](bool set, unsigned bit) { return set ? 1U << bit : 0U; };
    put16(out_, header.sport);
    put16(out_, header.dport);
    put32(out_, header.seq);
    put32(out_, header.ack_seq);
    put8(out_, uint32_t(header.doff.value_or(uint8_t(5 + options.size() / 4))) << 4);
    put8(out_, flag(header.fin, 0) | flag(header.syn, 1) | flag(header.rst, 2) |
                   flag(header.psh, 3) | flag(header.ack, 4) | flag(header.urg, 5));
    put16(out_, header.window);
    put16(out_, 0);
    put16(out_, header.urgent);
    put(out_, options);
    set16(out_, 16, header.check.value_or(transport_check(6)));
  }

  void write(const UDP& header) {
    put16(out_, header.sport);
    put16(out_, header.dport);
    put16(out_, header.length.value_or(uint16_t(8 + tail_.size())));
    put16(out_, 0);
    const uint16_t check = transport_check(17);
    set16(out_, 6, header.check.value_or(check == 0 ? uint16_t(0xffff) : check));
  }

  void write(const SCTP& header) {
    put16(out_, header.sport);
    put16(out_, header.dport);
    put32(out_, header.tag);
    put32(out_, 0);
    put8(out_, header.chunk);
    put8(out_, header.flags);
    put16(out_, header.length.value_or(uint16_t(4 + tail_.size())));
    Bytes whole = out_;
    put(whole, tail_);
    const uint32_t check = header.check.value_or(crc32c(whole));
    set16(out_, 8, static_cast<uint16_t>(check >> 16));
    set16(out_, 10, static_cast<uint16_t>(check));
  }

  void write(const ICMP& header) {
    write_icmp(header);
    set16(out_, 2, header.check.value_or(uint16_t(~ones_sum(tail_, ones_sum(out_)))));
  }

  void write(const ICMPv6& header) {
    write_icmp(header);
    set16(out_, 2, header.check.value_or(transport_check(58)));
  }

  template <typename Header>
  void write_icmp(const Header& header) {
    put8(out_, header.type);
    put8(out_, header.code);
    put16(out_, 0);
    put32(out_, header.rest);
  }

  void write(const GRE& header) {
    put16(out_, header.checksum ? 0x8000 : 0);
    put16(out_, ethertype_of(next()));
    if (!header.checksum) return;
    put32(out_, 0);
    set16(out_, 4, static_cast<uint16_t>(~ones_sum(tail_, ones_sum(out_))));
  }

  void write(const GUE& header) {
    put8(out_, header.version);
    put8(out_, protocol_of(next()));
    put16(out_, header.flags);
  }

  void write(const Payload& payload) { put(out_, payload.bytes); }
  void write(const Padding& /*behind everything*/) {}

  // Over the header written so far (even, its checksum zero) and what follows it.
  [[nodiscard]] uint16_t transport_check(uint8_t protocol) const {
    const Ends ends = ends_in_front(layers_, index_);
    const auto length = static_cast<uint32_t>(out_.size() + tail_.size());
    const uint16_t pseudo = pseudo_sum(ends.source, ends.destination, protocol, length);
    return static_cast<uint16_t>(~ones_sum(tail_, ones_sum(out_, pseudo)));
  }

  const std::vector<Layer>& layers_;
  size_t index_;
  const Bytes& tail_;
  Bytes out_{};
};

}  // namespace

Address operator""_ip(const char* text, size_t size) {
  const auto address = Address::parse(std::string_view(text, size));
  if (!address) std::abort();
  return *address;
}

Bytes Packet::build() const {
  Bytes bytes;
  for (size_t i = layers.size(); i-- > 0;) bytes = Builder(layers, i, bytes).run();
  if (!layers.empty()) {
    if (const auto* padding = std::get_if<Padding>(&layers.back())) put(bytes, padding->bytes);
  }
  return bytes;
}

Payload initiation(uint32_t tag) {
  Bytes bytes;
  put32(bytes, tag);
  put32(bytes, 65536);  // window
  put16(bytes, 10);     // streams, both ways
  put16(bytes, 10);
  put32(bytes, 1);  // first TSN
  return Payload(std::move(bytes));
}

Payload quote(const Packet& packet, size_t limit) {
  Packet inner;
  const auto is_ip = [](const Layer& layer) {
    return std::holds_alternative<IPv4>(layer) || std::holds_alternative<IPv6>(layer);
  };
  const auto first = std::find_if(packet.layers.begin(), packet.layers.end(), is_ip);
  inner.layers.assign(first, packet.layers.end());
  Bytes bytes = inner.build();
  bytes.resize(std::min(bytes.size(), limit));
  return Payload(std::move(bytes));
}

}  // namespace xlvs::test
