// SPDX-License-Identifier: MIT
#include "loader/config/compile_endpoints.h"

#include <charconv>
#include <optional>

#include "loader/config/compile_backend.h"

namespace xlvs::config {

namespace {

struct Ports {
  uint16_t first = 0;  // 0: all
  uint16_t last = 0;   // 0: the first alone
};

// The schema has seen that it is a number, or two with "-" between.
std::optional<Ports> compile_ports(const Node& node, Report& report) {
  if (!node.json().is_string()) return Ports{node.json().get<uint16_t>()};
  const auto text = node.json().get<std::string>();
  const size_t dash = text.find('-');
  uint32_t first = 0;
  uint32_t last = 0;
  std::from_chars(text.data(), text.data() + dash, first);
  std::from_chars(text.data() + dash + 1, text.data() + text.size(), last);
  if (first == 0 || last > UINT16_MAX) {
    report.error(node, in_quotes(text) + " goes beyond 1-65535", "write 0 for all ports");
  } else if (first > last) {
    report.error(node, in_quotes(text) + " ends before it begins",
                 "write \"" + std::to_string(last) + "-" + std::to_string(first) + "\"");
  } else {
    return Ports{static_cast<uint16_t>(first), static_cast<uint16_t>(first == last ? 0 : last)};
  }
  return std::nullopt;
}

std::optional<Address> compile_vip(const Node& node, std::optional<int> family, Names& names,
                                   Report& report) {
  const auto vip = compile_address(node, family, names, report);
  if (!vip) return vip;
  if (vip->is_loopback()) {
    report.error(node, "a vip must be reachable by clients, " + vip->text() + " is loopback");
    return std::nullopt;
  }
  if (family && vip->family() != *family) {
    report.error(node,
                 "all vips of a service are of one family, and its first is " +
                     std::string(*family == AF_INET ? "IPv4" : "IPv6"),
                 "make it a service of its own");
    return std::nullopt;
  }
  return vip;
}

// What the node says, and `first` where it says nothing.
std::optional<ServiceKey> compile_variation(const Node& node, const ServiceKey& first, Names& names,
                                            Report& report) {
  ServiceKey endpoint = first;
  if (node["vip"].present()) {
    const auto vip = compile_vip(node["vip"], first.vip.address.family(), names, report);
    if (!vip) return std::nullopt;
    endpoint.vip.address = *vip;
  }
  if (node["port"].present()) {
    const auto ports = compile_ports(node["port"], report);
    if (!ports) return std::nullopt;
    endpoint.vip.port = ports->first;
    endpoint.last_port = ports->last;
  }
  endpoint.protocol = word_or(node["protocol"], words::protocols, first.protocol);
  return endpoint;
}

}  // namespace

void Claims::claim(const Node& node, const ServiceKey& endpoint, const std::string& service,
                   size_t line, Report& report) {
  const auto [taken, fresh] = claimed_.emplace(endpoint, Claimant{service, line});
  if (!fresh && taken->second.service == service) {
    report.error(node, endpoint.text() + " is in this service twice", "remove one of them");
  } else if (!fresh) {
    report.error(node, endpoint.text() + " belongs to service " + taken->second.text() + " already",
                 "put the backends of both into one service");
  } else if (const ServiceKey* other = overlapping(endpoint)) {
    report.error(node, endpoint.text() + " overlaps " + other->address_text() + " of service " +
                           claimed_.at(*other).text());
  }
}

std::string Claims::Claimant::text() const {
  return in_quotes(service) + " at line " + std::to_string(line);
}

// A range that overlaps none joins those that do not.
const ServiceKey* Claims::overlapping(const ServiceKey& range) {
  if (range.last_port == 0) return nullptr;
  auto& ranges = ranges_[{range.vip.address, range.protocol}];
  const auto next = ranges.lower_bound(range.vip.port);
  if (next != ranges.end() && next->first <= range.last_port) return &next->second;
  if (next != ranges.begin() && std::prev(next)->second.last_port >= range.vip.port) {
    return &std::prev(next)->second;
  }
  ranges.emplace(range.vip.port, range);
  return nullptr;
}

Addressed compile_endpoints(const Node& service, Claims& claims, Names& names, Report& report) {
  const auto name = service["name"].json().get<std::string>();
  const size_t line = service.location().value.line;
  const auto vip = compile_vip(service["vip"], std::nullopt, names, report);
  const auto ports = compile_ports(service["port"], report);
  if (!vip || !ports) return {};
  const ServiceKey first{{*vip, ports->first},
                         word_or(service["protocol"], words::protocols, Protocol::tcp),
                         ports->last};
  Addressed addressed{{first}, 0};
  claims.claim(service["vip"], first, name, line, report);
  for (const Node& node : service["also"].elements()) {
    const auto endpoint = compile_variation(node, first, names, report);
    if (!endpoint) continue;
    claims.claim(node, *endpoint, name, line, report);
    addressed.endpoints.push_back(*endpoint);
  }
  addressed.port = common_port(first, addressed.endpoints);
  return addressed;
}

}  // namespace xlvs::config
