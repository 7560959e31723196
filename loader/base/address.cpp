// SPDX-License-Identifier: MIT
#include "loader/base/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace xlvs {

namespace {
constexpr std::array<uint8_t, 12> v4_prefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr size_t v4_offset = v4_prefix.size();
}  // namespace

Address::Address(const in_addr& v4) {
  std::copy(v4_prefix.begin(), v4_prefix.end(), bytes_.begin());
  std::memcpy(&bytes_[v4_offset], &v4.s_addr, sizeof v4.s_addr);
}

Address::Address(const in6_addr& v6) { std::memcpy(bytes_.data(), v6.s6_addr, bytes_.size()); }

std::optional<Address> Address::parse(std::string_view text) {
  const std::string terminated(text);
  in_addr v4{};
  if (inet_pton(AF_INET, terminated.c_str(), &v4) == 1) return Address(v4);
  in6_addr v6{};
  if (inet_pton(AF_INET6, terminated.c_str(), &v6) == 1) return Address(v6);
  return std::nullopt;
}

bool Address::is_v4() const {
  return std::equal(v4_prefix.begin(), v4_prefix.end(), bytes_.begin());
}

bool Address::is_loopback() const {
  if (is_v4()) return bytes_[v4_offset] == 127;
  return std::all_of(bytes_.begin(), bytes_.end() - 1, [](uint8_t b) { return b == 0; }) &&
         bytes_.back() == 1;
}

bool Address::is_unspecified() const {
  return std::all_of(bytes_.begin() + (is_v4() ? v4_offset : 0), bytes_.end(),
                     [](uint8_t b) { return b == 0; });
}

bool Address::is_multicast() const {
  return is_v4() ? (bytes_[v4_offset] & 0xf0) == 0xe0 : bytes_[0] == 0xff;
}

std::string_view Address::wire() const {
  const auto* data = reinterpret_cast<const char*>(bytes_.data());
  return is_v4() ? std::string_view(data + v4_offset, 4) : std::string_view(data, bytes_.size());
}

std::string Address::text() const {
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  inet_ntop(family(), wire().data(), buffer.data(), buffer.size());
  return buffer.data();
}

std::string Endpoint::text() const {
  const std::string host = address.is_v4() ? address.text() : "[" + address.text() + "]";
  return host + ":" + std::to_string(port);
}

sockaddr_storage Endpoint::sockaddr() const {
  sockaddr_storage storage{};
  if (address.is_v4()) {
    auto& v4 = reinterpret_cast<sockaddr_in&>(storage);
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&v4.sin_addr, address.wire().data(), sizeof v4.sin_addr);
  } else {
    auto& v6 = reinterpret_cast<sockaddr_in6&>(storage);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    std::memcpy(&v6.sin6_addr, address.wire().data(), sizeof v6.sin6_addr);
  }
  return storage;
}

std::string Mac::text() const {
  std::array<char, 18> buffer{};
  std::snprintf(buffer.data(), buffer.size(), "%02x:%02x:%02x:%02x:%02x:%02x", bytes[0], bytes[1],
                bytes[2], bytes[3], bytes[4], bytes[5]);
  return buffer.data();
}

}  // namespace xlvs
