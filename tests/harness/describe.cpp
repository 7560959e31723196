// SPDX-License-Identifier: MIT
#include "tests/harness/describe.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <iterator>

#include "loader/base/address.h"
#include "tests/harness/checksum.h"

namespace xlvs::test {
namespace {

using View = std::span<const uint8_t>;

uint32_t number_at(View bytes, size_t offset, size_t size) {
  uint32_t value = 0;
  for (size_t i = 0; i < size && offset + i < bytes.size(); ++i) {
    value = value << 8 | bytes[offset + i];
  }
  return value;
}

std::string mac_at(View bytes, size_t offset) {
  Mac mac;
  std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(offset), 6, mac.bytes.begin());
  return mac.text();
}

std::string v4_at(View bytes, size_t offset) {
  return fmt::format("{}.{}.{}.{}", bytes[offset], bytes[offset + 1], bytes[offset + 2],
                     bytes[offset + 3]);
}

std::string v6_at(View bytes, size_t offset) {
  in6_addr address{};
  std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(offset), 16, address.s6_addr);
  return Address(address).text();
}

std::string tcp_flags(uint8_t flags) {
  constexpr std::string_view letters = "FSRP.UEW";
  std::string text;
  for (size_t i = 0; i < letters.size(); ++i) {
    if ((flags >> i & 1) != 0) text += letters[i];
  }
  return text;
}

std::string describe_transport(uint8_t protocol, View rest) {
  const auto ports = [&] {
    return fmt::format("{} > {}", number_at(rest, 0, 2), number_at(rest, 2, 2));
  };
  if (protocol == 6 && rest.size() >= 20) {
    const size_t header = std::min(rest.size(), size_t(rest[12] >> 4) * 4);
    return fmt::format("TCP {} [{}] seq {} ack {} win {}, {} bytes", ports(), tcp_flags(rest[13]),
                       number_at(rest, 4, 4), number_at(rest, 8, 4), number_at(rest, 14, 2),
                       rest.size() - header);
  }
  if (protocol == 17 && rest.size() >= 8) {
    return fmt::format("UDP {} length {} check {:04x}", ports(), number_at(rest, 4, 2),
                       number_at(rest, 6, 2));
  }
  if (protocol == 132 && rest.size() >= 16) {
    return fmt::format("SCTP {} tag {:08x} chunk {} length {}", ports(), number_at(rest, 4, 4),
                       rest[12], number_at(rest, 14, 2));
  }
  if ((protocol == 1 || protocol == 58) && rest.size() >= 8) {
    return fmt::format("{} type {} code {}, {} bytes", protocol == 1 ? "ICMP" : "ICMPv6", rest[0],
                       rest[1], rest.size() - 8);
  }
  return fmt::format("protocol {}, {} bytes", protocol, rest.size());
}

std::string describe_v4(View rest) {
  if (rest.size() < 20) return "IPv4, cut short";
  const size_t header = std::min(rest.size(), size_t(rest[0] & 15) * 4);
  const size_t total = std::clamp<size_t>(number_at(rest, 2, 2), header, rest.size());
  std::string text =
      fmt::format("{} > {}: ttl {} id {:04x} length {}", v4_at(rest, 12), v4_at(rest, 16), rest[8],
                  number_at(rest, 4, 2), number_at(rest, 2, 2));
  if (header > 20) text += fmt::format(" options {}", header - 20);
  const uint32_t fragment = number_at(rest, 6, 2);
  if ((fragment & 0x2000) != 0) text += " more fragments";
  if ((fragment & 0x1fff) != 0) {
    return text + fmt::format(" fragment at {}, protocol {}", (fragment & 0x1fff) * 8, rest[9]);
  }
  return text + ", " + describe_transport(rest[9], rest.subspan(header, total - header));
}

std::string describe_v6(View rest) {
  if (rest.size() < 40) return "IPv6, cut short";
  std::string text = fmt::format("{} > {}: hop limit {} length {}", v6_at(rest, 8), v6_at(rest, 24),
                                 rest[7], number_at(rest, 4, 2));
  uint8_t type = rest[6];
  rest = rest.subspan(40);
  while ((type == 0 || type == 43 || type == 44 || type == 51 || type == 60) && rest.size() >= 8) {
    size_t size = (size_t(rest[1]) + 1) * 8;
    if (type == 44) size = 8;
    if (type == 51) size = (size_t(rest[1]) + 2) * 4;
    text += fmt::format(", header {} of {}", type, size);
    const bool later_fragment = type == 44 && (number_at(rest, 2, 2) & 0xfff8) != 0;
    type = rest[0];
    rest = rest.subspan(std::min(size, rest.size()));
    if (later_fragment) return text + fmt::format(", later fragment of protocol {}", type);
  }
  return text + ", " + describe_transport(type, rest);
}

std::string hex_lines(View bytes, View other) {
  constexpr size_t per_line = 16;
  std::string text;
  for (size_t start = 0; start < bytes.size(); start += per_line) {
    const size_t end = std::min(start + per_line, bytes.size());
    std::string line = fmt::format("    {:04x} ", start);
    std::string marks(line.size(), ' ');
    bool differs = false;
    for (size_t i = start; i < end; ++i) {
      const bool same = i < other.size() && bytes[i] == other[i];
      line += fmt::format(" {:02x}", bytes[i]);
      marks += same ? "   " : " ^^";
      differs = differs || !same;
    }
    text += line + "\n";
    if (differs) text += marks + "\n";
  }
  return text;
}

}  // namespace

std::string describe(View frame) {
  if (frame.size() < 14) return fmt::format("frame of {} bytes", frame.size());
  std::string text = mac_at(frame, 6) + " > " + mac_at(frame, 0);
  uint32_t type = number_at(frame, 12, 2);
  View rest = frame.subspan(14);
  while ((type == 0x8100 || type == 0x88a8) && rest.size() >= 4) {
    text +=
        fmt::format(", {} {}", type == 0x8100 ? "vlan" : "svlan", number_at(rest, 0, 2) & 0xfff);
    type = number_at(rest, 2, 2);
    rest = rest.subspan(4);
  }
  text += ", ";
  if (type == 0x0800) {
    text += describe_v4(rest);
  } else if (type == 0x86dd) {
    text += describe_v6(rest);
  } else {
    text += fmt::format("type {:04x}, {} bytes", type, rest.size());
  }
  const auto problem = verify(frame);
  return problem ? text + " (" + *problem + ")" : text;
}

std::string difference(View expected, View actual) {
  if (std::ranges::equal(expected, actual)) return "";
  return fmt::format("  expected {}\n{}  actual   {}\n{}", describe(expected),
                     hex_lines(expected, actual), describe(actual), hex_lines(actual, expected));
}

}  // namespace xlvs::test
