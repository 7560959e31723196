// SPDX-License-Identifier: MIT
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace xlvs {

// An IPv4 or IPv6 address; IPv4 is held as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2), so that keys and
// code exist once.
class Address {
 public:
  Address() = default;
  explicit Address(const in_addr& v4);
  explicit Address(const in6_addr& v6);

  // "192.0.2.1" or "2001:db8::1", without brackets, port or zone; nothing for any other text.
  static std::optional<Address> parse(std::string_view text);

  [[nodiscard]] bool is_v4() const;
  [[nodiscard]] bool is_loopback() const;
  [[nodiscard]] bool is_unspecified() const;
  [[nodiscard]] bool is_multicast() const;
  // AF_INET or AF_INET6.
  [[nodiscard]] int family() const { return is_v4() ? AF_INET : AF_INET6; }
  // The 4 or 16 bytes of its family, in network order.
  [[nodiscard]] std::string_view wire() const;
  // All 16 bytes, in network order.
  [[nodiscard]] const std::array<uint8_t, 16>& bytes() const { return bytes_; }
  // As getnameinfo writes it: dotted quad, or lower-case compressed IPv6.
  [[nodiscard]] std::string text() const;

  auto operator<=>(const Address&) const = default;

 private:
  std::array<uint8_t, 16> bytes_{};
};

// An address and a port in host order; port 0 where there is none.
struct Endpoint {
  Address address;
  uint16_t port = 0;

  // "192.0.2.1:80", "[2001:db8::1]:80".
  [[nodiscard]] std::string text() const;
  [[nodiscard]] sockaddr_storage sockaddr() const;
  auto operator<=>(const Endpoint&) const = default;
};

// A link-layer address of six bytes.
struct Mac {
  std::array<uint8_t, 6> bytes{};

  // "02:00:00:00:00:01".
  [[nodiscard]] std::string text() const;
  auto operator<=>(const Mac&) const = default;
};

}  // namespace xlvs
