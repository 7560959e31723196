// SPDX-License-Identifier: MIT
#include "loader/config/compile_backend.h"

#include <algorithm>

#include "loader/config/compile_check.h"

namespace xlvs::config {

namespace {

// What to write instead of an address that is none.
std::string repaired_address(const std::string& text) {
  if (text.find('/') != std::string::npos) {
    const std::string host = text.substr(0, text.find('/'));
    if (Address::parse(host)) return "write \"" + host + "\", without a prefix length";
  }
  const size_t colon = text.rfind(':');
  if (colon != std::string::npos) {
    std::string host = text.substr(0, colon);
    if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
    const auto address = Address::parse(host);
    const bool bracketed = text.front() == '[';
    if (address && (address->is_v4() || bracketed)) {
      return "write \"" + host + R"(" and the port as "port")";
    }
  }
  if (text.size() > 2 && text.front() == '[' && text.back() == ']') {
    return "write it without brackets";
  }
  return R"(write it like "192.0.2.1" or "2001:db8::1")";
}

// dr and local cannot write ports, so their backends listen where the clients send to.
void check_port(const Node& node, const Backend& backend, const Surroundings& service,
                const std::string& about, Report& report) {
  const uint16_t port = backend.endpoint.port;
  if (backend.forwarding == Forwarding::nat || port == 0 || port == service.port) return;
  const std::string way(word(backend.forwarding));
  const std::string must =
      service.port == 0 ? "and the service has several"
                        : "so this must be the service's port, " + std::to_string(service.port);
  report.error(node["port"], about + way + " does not rewrite ports, " + must,
               backend.forwarding == Forwarding::local
                   ? "remove it"
                   : R"(remove it, or use "forwarding": "nat")");
}

// Which network a way of forwarding can bridge. dr and nat leave the address family as it is; only
// nat writes ports.
void check_way(const Node& node, const Backend& backend, const Surroundings& service,
               const std::string& about, Report& report) {
  const Address& address = backend.endpoint.address;
  const std::string way(word(backend.forwarding));
  const bool local = backend.forwarding == Forwarding::local;
  if (!local && address.is_loopback()) {
    report.error(
        node["forwarding"].present() ? node["forwarding"] : node["address"],
        about + "a loopback address is the director itself, which " + way + " cannot reach",
        R"(write "forwarding": "local")");
    return;
  }
  if (service.endpoints.empty()) return;
  check_port(node, backend, service, about, report);
  if (local) return;
  const auto is_vip = [&](const ServiceKey& endpoint) { return endpoint.vip.address == address; };
  const int family = service.endpoints.front().vip.address.family();
  if (std::any_of(service.endpoints.begin(), service.endpoints.end(), is_vip)) {
    report.error(node["address"], about + "is the vip itself", "write the backend's own address");
  } else if (address.family() != family && backend.forwarding != Forwarding::tun) {
    const std::string ours = address.is_v4() ? "IPv4" : "IPv6";
    const std::string theirs = address.is_v4() ? "IPv6" : "IPv4";
    report.error(node["address"],
                 about + "an " + ours + " address cannot serve an " + theirs + " vip by " + way);
  }
}

// An explanation where nobody looks at it.
void note_tunnel(const Node& node, const Backend& backend, Report& report) {
  if (!node.present() || backend.forwarding == Forwarding::tun) return;
  if (compile_tunnel(node, {}, report) == Tunnel{}) return;
  report.note(node, "only tun looks at it, and this is " + std::string(word(backend.forwarding)),
              R"(write "forwarding": "tun" if that is meant)");
}

// To name the port that it has anyway makes it no other backend.
void settle_port(Backend& backend) {
  if (backend.forwarding != Forwarding::nat) backend.endpoint.port = 0;
}

// A local backend is reached under the vip, so that is where the director must listen.
void note_listener(const Node& node, const Surroundings& service, Report& report) {
  if (service.endpoints.empty()) return;
  const ServiceKey& first = service.endpoints.front();
  ServiceKey any = first;
  any.vip.address = first.vip.address.is_v4() ? Address(in_addr{}) : Address(in6_addr{});
  const auto text = [](const ServiceKey& at) {
    return at.vip.port == 0 ? at.vip.address.text() : at.address_text();
  };
  const std::string others = service.endpoints.size() > 1 ? ", and likewise for the others," : "";
  report.note(node, "what answers for service " + in_quotes(service.service) +
                        " on the director must listen on " + text(first) + " or " + text(any) +
                        others + ", since packets reach it under the vip");
}

// A backend without a port is asked at the service's first one, if that is a single one.
void settle_check_port(const Node& node, const Surroundings& service, Backend& backend,
                       Report& report) {
  Check& check = backend.check;
  if (backend.endpoint.port != 0 || check.port != 0 || check.type == CheckType::none) return;
  if (service.endpoints.empty()) return;
  if (service.endpoints.front().is_one_port()) {
    check.port = service.endpoints.front().vip.port;
  } else {
    report.error(node["address"], "the service has no single port that its check could ask",
                 R"(write "port" in "check", or "type": "none")");
  }
}

std::optional<int> family_of(const Surroundings& service) {
  if (service.endpoints.empty()) return std::nullopt;
  return service.endpoints.front().vip.address.family();
}

}  // namespace

// As ipvsadm: --tun-port for gue and for nothing else, --tun-csum not for ipip.
Tunnel compile_tunnel(const Node& node, const Tunnel& above, Report& report) {
  if (!node.present()) return above;
  Tunnel tunnel;
  tunnel.type = word_or(node["type"], words::tunnel_types, tunnel.type);
  tunnel.port = node["port"].get_or(tunnel.port);
  tunnel.checksum = node["checksum"].get_or(tunnel.checksum);
  if (tunnel.type == TunnelType::gue && tunnel.port == 0) {
    report.error(node, "gue needs the UDP port that the backend takes it at",
                 R"(write "port": 6080, gue's own)");
  }
  if (tunnel.type != TunnelType::gue && tunnel.port != 0) {
    report.error(node["port"], "only gue has a port, and this is " + std::string(word(tunnel.type)),
                 "remove it");
    tunnel.port = 0;
  }
  if (tunnel.type == TunnelType::ipip && tunnel.checksum) {
    report.error(node["checksum"], "ipip has no checksum", R"(remove it, or use "gre" or "gue")");
    tunnel.checksum = false;
  }
  return tunnel;
}

std::optional<Address> compile_address(const Node& node, std::optional<int> family, Names& names,
                                       Report& report) {
  const auto& text = node.json().get_ref<const std::string&>();
  const auto found = names.find(text, family);
  if (!found) {
    const std::string& why = found.error().message;
    const bool looked_up = why.find(in_quotes(text)) != std::string::npos;
    report.error(
        node, looked_up ? why : in_quotes(text) + " " + why,
        looked_up ? "write an IP address, or a name that resolves here" : repaired_address(text));
    return std::nullopt;
  }
  const Address& address = *found;
  const std::string shown =
      address.text() == text ? in_quotes(text) : in_quotes(text) + ", " + address.text() + ",";
  if (address.is_unspecified()) {
    report.error(node, shown + " is no particular address");
  } else if (address.is_multicast()) {
    report.error(node, shown + " is a multicast address");
  } else if (address.text() == "255.255.255.255") {
    report.error(node, shown + " is the broadcast address");
  } else {
    return address;
  }
  return std::nullopt;
}

std::optional<Backend> compile_backend(const Node& node, const Surroundings& service, Names& names,
                                       Report& report) {
  Backend backend;
  backend.check = compile_check(node["check"], service.check, report);
  const auto address = compile_address(node["address"], family_of(service), names, report);
  if (!address) return std::nullopt;
  backend.endpoint = {*address, node["port"].get_or(uint16_t{0})};
  backend.weight = node["weight"].get_or(backend.weight);
  backend.forwarding = word_or(node["forwarding"], words::forwardings, service.forwarding);
  backend.max_connections = node["max_connections"].get_or(backend.max_connections);
  backend.min_connections = node["min_connections"].get_or(backend.min_connections);
  if (backend.min_connections > 0 && backend.min_connections > backend.max_connections) {
    report.error(node["min_connections"], "must not be more than max_connections, which is " +
                                              std::to_string(backend.max_connections));
  }
  if (backend.forwarding == Forwarding::tun) {
    backend.tunnel = compile_tunnel(node["tunnel"], service.tunnel, report);
  }
  note_tunnel(node["tunnel"], backend, report);
  check_way(node, backend, service, "", report);
  settle_port(backend);
  settle_check_port(node, service, backend, report);
  if (backend.forwarding == Forwarding::local) note_listener(node["address"], service, report);
  return backend;
}

std::optional<Backend> compile_fallback(const Node& node, bool global, const Surroundings& service,
                                        Names& names, Report& report) {
  const auto address = compile_address(node["address"], family_of(service), names, report);
  if (!address) return std::nullopt;
  Backend backend;
  backend.check.type = CheckType::none;
  backend.endpoint = {*address, node["port"].get_or(uint16_t{0})};
  backend.forwarding = word_or(node["forwarding"], words::forwardings,
                               address->is_loopback() ? Forwarding::local : service.forwarding);
  if (backend.forwarding == Forwarding::tun) {
    backend.tunnel = compile_tunnel(node["tunnel"], service.tunnel, report);
  }
  note_tunnel(node["tunnel"], backend, report);
  const std::string about = global ? "for service " + in_quotes(service.service) + ": " : "";
  check_way(node, backend, service, about, report);
  settle_port(backend);
  if (backend.forwarding == Forwarding::local) note_listener(node["address"], service, report);
  return backend;
}

}  // namespace xlvs::config
