// SPDX-License-Identifier: MIT
#include "tests/vm/differential/case.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <sstream>

#include "loader/state/words.h"

namespace xlvs::differential {

namespace {

using Json = nlohmann::ordered_json;

Address parse(const std::string& text) { return Address::parse(text).value(); }

std::string hex(unsigned number) {
  std::ostringstream out;
  out << std::hex << number;
  return out.str();
}

// ---- ipvsadm ----

std::string service_option(const Setup& setup) {
  return (setup.protocol == Protocol::tcp ? " -t " : " -u ") + setup.service().text();
}

unsigned prefix_of(const Setup& setup) {
  return setup.scheduling.prefix - (setup.family == AF_INET ? 96U : 0U);
}

std::string netmask(const Setup& setup) {
  const unsigned prefix = prefix_of(setup);
  if (setup.family == AF_INET6) return std::to_string(prefix);
  const in_addr mask{htonl(prefix == 0 ? 0 : ~0U << (32 - prefix))};
  return Address(mask).text();
}

std::string flags(const Scheduling& scheduling) {
  const std::string name(word(scheduling.scheduler));
  if (name != "sh" && name != "mh") return "";
  std::string list;
  if (!scheduling.strict_ipvs) list += "," + name + "-fallback";
  if (scheduling.hash != HashOf::source) list += "," + name + "-port";
  return list.empty() ? "" : " -b " + list.substr(1);
}

std::string service_line(const Setup& setup, const char* command) {
  const Scheduling& how = setup.scheduling;
  std::string line =
      command + service_option(setup) + " -s " + std::string(word(how.scheduler)) + flags(how);
  if (how.persistence.count() > 0) {
    line += " -p " + std::to_string(how.persistence.count()) + " -M " + netmask(setup);
  }
  if (how.one_packet) line += " -o";
  return line + "\n";
}

std::string forwarding_option(const Setup& setup) {
  if (setup.forwarding == Forwarding::nat) return " -m";
  if (setup.forwarding != Forwarding::tun) return " -g";
  std::string option = " -i --tun-type " + std::string(word(setup.tunnel.type));
  if (setup.tunnel.port != 0) option += " --tun-port " + std::to_string(setup.tunnel.port);
  if (setup.tunnel.checksum) option += " --tun-csum";
  return option;
}

std::string server_line(const Setup& setup, const Server& server, const char* command) {
  return command + service_option(setup) + " -r " + setup.endpoint(server.number).text() +
         forwarding_option(setup) + " -w " + std::to_string(server.weight) + " -x " +
         std::to_string(server.max) + " -y " + std::to_string(server.min) + "\n";
}

// ---- xlvs ----

Json service_json(const Setup& setup) {
  const Scheduling& how = setup.scheduling;
  Json service{{"name", "differential"},
               {"vip", setup.service().address.text()},
               {"port", setup.port},
               {"protocol", word(setup.protocol)},
               {"forwarding", word(setup.forwarding)},
               {"scheduler", word(how.scheduler)}};
  if (how.scheduler == Scheduler::sh || how.scheduler == Scheduler::mh) {
    service["hash"] = word(how.hash);
    service["strict_ipvs"] = how.strict_ipvs;
  }
  if (how.persistence.count() > 0) {
    service["persistence"] = {{"timeout", std::to_string(how.persistence.count()) + "s"},
                              {"prefix", prefix_of(setup)},
                              {"expire_drained", how.expire_drained}};
  }
  if (how.one_packet) service["one_packet"] = true;
  if (setup.forwarding == Forwarding::tun) {
    service["tunnel"] = {{"type", word(setup.tunnel.type)},
                         {"port", setup.tunnel.port},
                         {"checksum", setup.tunnel.checksum}};
    service["mss"] = "off";
  }
  service["backends"] = Json::array();
  for (const Server& server : setup.servers) {
    service["backends"].push_back({{"address", setup.endpoint(server.number).address.text()},
                                   {"port", setup.endpoint(server.number).port},
                                   {"weight", server.weight},
                                   {"max_connections", server.max},
                                   {"min_connections", server.min}});
  }
  return service;
}

constexpr std::array then_words{"", ", held", ", closed", ", reset", ", aborted"};
constexpr std::array packet_words{"SYN", "ACK", "FIN", "RST"};

std::string text(const Server& server) {
  std::string text = std::to_string(server.number) + " weight " + std::to_string(server.weight);
  if (server.max > 0) {
    text += " max " + std::to_string(server.max) + " min " + std::to_string(server.min);
  }
  return text;
}

struct Texts {
  std::string operator()(const Open& open) const {
    const Client& client = open.client;
    return "open from " + std::to_string(client.network) + "." + std::to_string(client.host) + ":" +
           std::to_string(client.port) + then_words.at(static_cast<size_t>(open.then));
  }
  std::string operator()(const More& more) const {
    return "one more of connection " + std::to_string(more.connection) + ": " +
           packet_words.at(static_cast<size_t>(more.packet));
  }
  std::string operator()(const Expire&) const { return "what is closed ends"; }
  std::string operator()(const Put& put) const { return "put server " + text(put.server); }
  std::string operator()(const Remove& remove) const {
    return "remove server " + std::to_string(remove.number);
  }
  std::string operator()(const Reschedule& change) const {
    return "schedule by " + std::string(word(change.scheduling.scheduler)) +
           flags(change.scheduling);
  }
};

}  // namespace

const Server* Setup::find(uint8_t number) const {
  const auto found = std::find_if(servers.begin(), servers.end(),
                                  [&](const Server& one) { return one.number == number; });
  return found == servers.end() ? nullptr : &*found;
}

Endpoint Setup::service() const {
  return {
      parse(family == AF_INET ? "10.0.0." + std::to_string(100 + vip) : "2001:db8::1:" + hex(vip)),
      port};
}

Endpoint Setup::endpoint(uint8_t number) const {
  constexpr uint16_t behind_nat = 10'000;
  const bool is_v4 = (server_family == 0 ? family : server_family) == AF_INET;
  return {parse(is_v4 ? "10.0.0." + std::to_string(10 + number) : "2001:db8::2:" + hex(number)),
          static_cast<uint16_t>(forwarding == Forwarding::nat ? port + behind_nat : port)};
}

Address address_of(const Client& client, int family) {
  return parse(family == AF_INET
                   ? "10.2." + std::to_string(client.network) + "." + std::to_string(client.host)
                   : "2001:db8:2:" + hex(client.network) + "::" + hex(client.host));
}

bool is_change(const Step& step) {
  return std::holds_alternative<Put>(step) || std::holds_alternative<Remove>(step) ||
         std::holds_alternative<Reschedule>(step);
}

Setup changed(Setup setup, const Step& change) {
  const auto find = [&](uint8_t number) {
    return std::find_if(setup.servers.begin(), setup.servers.end(),
                        [&](const Server& one) { return one.number == number; });
  };
  if (const auto* put = std::get_if<Put>(&change)) {
    const auto known = find(put->server.number);
    if (known == setup.servers.end()) {
      setup.servers.push_back(put->server);
    } else {
      *known = put->server;
    }
  } else if (const auto* remove = std::get_if<Remove>(&change)) {
    setup.servers.erase(find(remove->number));
  } else if (const auto* other = std::get_if<Reschedule>(&change)) {
    setup.scheduling = other->scheduling;
  }
  return setup;
}

std::string text(const Step& step) { return std::visit(Texts{}, step); }

std::string ipvsadm_lines(const Setup& setup) {
  std::string lines = service_line(setup, "-A");
  for (const Server& server : setup.servers) lines += server_line(setup, server, "-a");
  return lines;
}

std::string ipvsadm_lines(const Setup& before, const Step& change) {
  if (const auto* put = std::get_if<Put>(&change)) {
    return server_line(before, put->server,
                       before.find(put->server.number) == nullptr ? "-a" : "-e");
  }
  if (const auto* remove = std::get_if<Remove>(&change)) {
    return "-d" + service_option(before) + " -r " + before.endpoint(remove->number).text() + "\n";
  }
  return service_line(changed(before, change), "-E");
}

std::string configuration_text(const Setup& setup) {
  const Json file{
      {"interfaces", {"eth0"}}, {"check", {{"type", "none"}}}, {"services", {service_json(setup)}}};
  return file.dump(1);
}

test::Bytes frame_of(const Setup& setup, const Client& client, Packet packet) {
  const Address from = address_of(client, setup.family);
  const Address to = setup.service().address;
  const test::Packet ethernet = test::Ethernet{};
  const test::Packet ip = setup.family == AF_INET
                              ? test::Packet(test::IPv4{.saddr = from, .daddr = to})
                              : test::Packet(test::IPv6{.saddr = from, .daddr = to});
  if (setup.protocol == Protocol::udp) {
    return (ethernet / ip / test::UDP{.sport = client.port, .dport = setup.port} /
            test::Payload("query"))
        .build();
  }
  return (ethernet / ip /
          test::TCP{.sport = client.port,
                    .dport = setup.port,
                    .fin = packet == Packet::fin,
                    .syn = packet == Packet::syn,
                    .rst = packet == Packet::rst,
                    .ack = packet == Packet::ack || packet == Packet::fin})
      .build();
}

}  // namespace xlvs::differential
