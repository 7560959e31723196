// SPDX-License-Identifier: MIT
#include "loader/config/resolve.h"

#include <netdb.h>

#include <algorithm>
#include <memory>

namespace xlvs::config {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool may_be_in_name(char c) { return is_letter(c) || is_digit(c) || c == '-' || c == '_'; }

// A name whose last label is a number is an address that went wrong: getaddrinfo would take "10.1"
// and "0x7f.1" for addresses (inet_aton(3)) and ask DNS for "10.0.0.300".
bool is_name(const std::string& text) {
  const auto allowed = [](char c) { return may_be_in_name(c) || c == '.'; };
  if (text.empty() || !std::all_of(text.begin(), text.end(), allowed)) return false;
  const std::string last = text.substr(text.find_last_of('.') + 1);
  return !std::all_of(last.begin(), last.end(), is_digit) && last.rfind("0x", 0) != 0;
}

}  // namespace

Result<std::vector<Address>> resolve_by_system(const std::string& name) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;  // one answer for each address
  addrinfo* found = nullptr;
  const int status = getaddrinfo(name.c_str(), nullptr, &hints, &found);
  if (status != 0) return Error{"cannot resolve \"" + name + "\": " + gai_strerror(status)};
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, &freeaddrinfo);
  std::vector<Address> addresses;
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    if (each->ai_family == AF_INET) {
      addresses.emplace_back(reinterpret_cast<const sockaddr_in*>(each->ai_addr)->sin_addr);
    } else if (each->ai_family == AF_INET6) {
      addresses.emplace_back(reinterpret_cast<const sockaddr_in6*>(each->ai_addr)->sin6_addr);
    }
  }
  if (addresses.empty()) return Error{"cannot resolve \"" + name + "\": it has no IP address"};
  return addresses;
}

Result<Address> Names::find(const std::string& text, std::optional<int> family) {
  if (const auto numeric = Address::parse(text)) return *numeric;
  if (!is_name(text)) return Error{"is neither an IP address nor a host name"};
  auto known = known_.find(text);
  if (known == known_.end()) known = known_.emplace(text, (*resolver_)(text)).first;
  if (!known->second) return known->second.error();
  const std::vector<Address>& addresses = *known->second;
  if (addresses.empty()) return Error{"cannot resolve \"" + text + "\": it has no IP address"};
  const auto fits = std::find_if(addresses.begin(), addresses.end(), [&](const Address& address) {
    return address.family() == family;
  });
  return fits == addresses.end() ? addresses.front() : *fits;
}

}  // namespace xlvs::config
