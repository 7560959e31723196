// SPDX-License-Identifier: MIT
#include <arpa/inet.h>
#include <netdb.h>
#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>

#include "loader/cli/commands.h"
#include "loader/plane/lock.h"
#include "loader/plane/snapshot.h"
#include "loader/state/words.h"

namespace xlvs::cli {

namespace {

using snapshot::BackendView;
using snapshot::Counters;
using snapshot::ServiceView;
using snapshot::View;

const char* text(Protocol protocol) {
  switch (protocol) {
    case Protocol::tcp:
      return "TCP";
    case Protocol::udp:
      return "UDP";
    case Protocol::sctp:
      return "SCTP";
  }
  return "";
}

// ipvsadm's words.
const char* text(Forwarding forwarding) {
  switch (forwarding) {
    case Forwarding::dr:
      return "Route";
    case Forwarding::nat:
      return "Masq";
    case Forwarding::local:
      return "Local";
    case Forwarding::tun:
      return "Tunnel";
  }
  return "";
}

const char* text(const BackendView& backend) {
  if (backend.draining) return "draining";
  switch (backend.entry.state) {
    case BackendState::up:
      return "up";
    case BackendState::down:
      return "down";
    case BackendState::unknown:
      return "unknown";
    case BackendState::unresolved:
      return "unresolved";
    case BackendState::gone:
      return "removed";
  }
  return "";
}

// As IPVS has it: who takes no new flows has weight 0.
uint32_t weight_of(const BackendView& backend) { return backend.serves ? backend.entry.weight : 0; }

// `flags`: getnameinfo's.
std::string named(const Endpoint& endpoint, int flags) {
  const sockaddr_storage address = endpoint.sockaddr();
  std::array<char, NI_MAXHOST> host{};
  std::array<char, NI_MAXSERV> service{};
  if (getnameinfo(reinterpret_cast<const sockaddr*>(&address), sizeof address, host.data(),
                  host.size(), service.data(), service.size(), flags) != 0) {
    return endpoint.text();
  }
  const std::string name = host.data();
  return (name.find(':') == std::string::npos ? name : "[" + name + "]") + ":" + service.data();
}

std::string text(const Endpoint& endpoint, Protocol protocol, bool numeric) {
  if (numeric) return endpoint.text();
  return named(endpoint, protocol == Protocol::udp ? NI_DGRAM : 0);
}

std::string address_text(const ServiceKey& endpoint, bool numeric) {
  if (endpoint.last_port == 0) return text(endpoint.vip, endpoint.protocol, numeric);
  if (numeric) return endpoint.address_text();
  // Names of ports have dashes themselves.
  return fmt::format("{}-{}", named(endpoint.vip, NI_NUMERICSERV), endpoint.last_port);
}

// "TCP  192.0.2.1:80", as ipvsadm has it, and "UDP  192.0.2.1:8000-8100".
std::string text(const ServiceKey& endpoint, bool numeric) {
  return fmt::format("{:<4} {}", text(endpoint.protocol), address_text(endpoint, numeric));
}

// Of the client's address, in bits of its family.
unsigned prefix_of(const ServiceView& service) {
  return service.scheduling.prefix - (service.key.vip.address.is_v4() ? 96 : 0);
}

// What ipvsadm calls flags.
std::string flags_of(const ServiceView& service) {
  const Scheduling& how = service.scheduling;
  std::string flags;
  if (how.persistence.count() > 0) {
    flags += fmt::format(" persistent {}", how.persistence.count());
    if (how.prefix != 128) flags += fmt::format(" mask {}", prefix_of(service));
  }
  if (how.one_packet) flags += " ops";
  return flags;
}

// ipvsadm's rounding to eight digits.
std::string large(uint64_t number) {
  if (number < 100'000'000) return fmt::format("{:9}", number);
  if (number < 1'000'000'000) return fmt::format("{:8}K", number / 1'000);
  if (number < 100'000'000'000) return fmt::format("{:8}M", number / 1'000'000);
  if (number < 100'000'000'000'000) return fmt::format("{:8}G", number / 1'000'000'000);
  return fmt::format("{:8}T", number / 1'000'000'000'000);
}

Counters sum(const ServiceView& service) {
  Counters total;
  for (const auto& backend : service.backends) total += backend.counters;
  return total;
}

std::string numbers(const Counters& c) {
  return large(c.flows) + large(c.packets_in) + large(c.packets_out) + large(c.bytes_in) +
         large(c.bytes_out);
}

void print_table(const View& view, bool numeric) {
  fmt::print("xlvs {} (size={})\n", XLVS_VERSION, view.flows_size);
  fmt::print("Prot LocalAddress:Port Scheduler Flags\n");
  fmt::print("  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn  State\n");
  for (const auto& service : view.services) {
    fmt::print("{} {}{}\n", text(service.key, numeric), word(service.scheduling.scheduler),
               flags_of(service));
    for (const auto& endpoint : service.also) fmt::print("  + {}\n", text(endpoint, numeric));
    for (const auto& backend : service.backends) {
      fmt::print("  -> {:<28} {:<7} {:<6} {:<10} {:<10} {}{}{}\n",
                 text(service.shown(backend), service.key.protocol, numeric),
                 text(backend.entry.key.forwarding), weight_of(backend), backend.active,
                 backend.inactive, text(backend), backend.full ? ", full" : "",
                 backend.entry.key.fallback ? ", fallback" : "");
    }
  }
}

void print_numbers(const View& view, bool numeric, const char* titles) {
  fmt::print("xlvs {} (size={})\n", XLVS_VERSION, view.flows_size);
  fmt::print("{:<33} {}\n  -> RemoteAddress:Port\n", "Prot LocalAddress:Port", titles);
  for (const auto& service : view.services) {
    fmt::print("{:<33}{}\n", text(service.key, numeric), numbers(sum(service)));
    for (const auto& backend : service.backends) {
      fmt::print("  -> {:<28}{}\n", text(service.shown(backend), service.key.protocol, numeric),
                 numbers(backend.counters));
    }
  }
}

void print_drops(const View& view) {
  fmt::print("{:<20} {:>12} {:>14}  {}\n", "Verdict", "Packets", "Bytes", "Meaning");
  for (const auto& verdict : view.verdicts) {
    fmt::print("{:<20} {:>12} {:>14}  {}\n", verdict.name, verdict.packets, verdict.bytes,
               verdict.help);
  }
  fmt::print("\nLost after the verdict, as drivers count it (frames)\n");
  for (const auto& loss : view.losses) {
    fmt::print("{:<15} {:<32} {:>12}\n", loss.interface, loss.name, loss.frames);
  }
}

nlohmann::ordered_json to_json(const Counters& c) {
  return {{"flows", c.flows},
          {"packets_in", c.packets_in},
          {"bytes_in", c.bytes_in},
          {"packets_out", c.packets_out},
          {"bytes_out", c.bytes_out}};
}

// With the way that it takes now.
nlohmann::ordered_json tunnel_to_json(const BackendEntry& entry) {
  nlohmann::ordered_json json{{"type", word(entry.tunnel.type)}};
  if (entry.tunnel.type == TunnelType::gue) json["port"] = entry.tunnel.port;
  if (entry.tunnel.type != TunnelType::ipip) json["checksum"] = entry.tunnel.checksum;
  if (entry.way.mtu == 0) return json;
  json["source"] = entry.way.source.text();
  json["mtu"] = entry.way.mtu;
  return json;
}

nlohmann::ordered_json to_json(const BackendView& backend, const Endpoint& shown,
                               const char* counters) {
  nlohmann::ordered_json json{{"address", shown.address.text()},
                              {"port", shown.port},
                              {"forwarding", word(backend.entry.key.forwarding)}};
  if (backend.entry.key.forwarding == Forwarding::tun) {
    json["tunnel"] = tunnel_to_json(backend.entry);
  }
  json.update(nlohmann::ordered_json{{"fallback", backend.entry.key.fallback},
                                     {"weight", backend.entry.weight},
                                     {"state", text(backend)},
                                     {"serves", backend.serves},
                                     {"full", backend.full},
                                     {"max_connections", backend.entry.max_connections},
                                     {"min_connections", backend.entry.min_connections},
                                     {"mss", backend.entry.mss},
                                     {"active", backend.active},
                                     {"inactive", backend.inactive},
                                     {counters, to_json(backend.counters)}});
  return json;
}

// As in the configuration.
nlohmann::ordered_json to_json(const ServiceKey& endpoint) {
  nlohmann::ordered_json port = endpoint.vip.port;
  if (endpoint.last_port != 0) port = fmt::format("{}-{}", endpoint.vip.port, endpoint.last_port);
  return {{"vip", endpoint.vip.address.text()},
          {"port", std::move(port)},
          {"protocol", word(endpoint.protocol)}};
}

bool is_udp(const ServiceView& service) {
  const auto one_is = [](const ServiceKey& one) { return one.protocol == Protocol::udp; };
  return one_is(service.key) && std::all_of(service.also.begin(), service.also.end(), one_is);
}

// In the configuration's words; what the scheduler or the protocol does not look at is left out.
nlohmann::ordered_json scheduling_to_json(const ServiceView& service) {
  const Scheduling& how = service.scheduling;
  const bool is_mh = how.scheduler == Scheduler::mh;
  nlohmann::ordered_json json{{"scheduler", word(how.scheduler)}};
  if (is_mh || how.scheduler == Scheduler::sh) {
    json["hash"] = word(how.hash);
    json["strict_ipvs"] = how.strict_ipvs;
  }
  if (is_mh) json["slots"] = how.slots;
  if (how.persistence.count() > 0) {
    json["persistence"] = {{"timeout", fmt::format("{}s", how.persistence.count())},
                           {"prefix", prefix_of(service)},
                           {"expire_drained", how.expire_drained}};
  }
  if (is_udp(service)) json["one_packet"] = how.one_packet;
  return json;
}

nlohmann::ordered_json to_json(const View& view, bool agent, bool rate) {
  const char* counters = rate ? "per_second" : "counters";
  nlohmann::ordered_json services = nlohmann::json::array();
  for (const auto& service : view.services) {
    nlohmann::ordered_json backends = nlohmann::json::array();
    for (const auto& backend : service.backends) {
      backends.push_back(to_json(backend, service.shown(backend), counters));
    }
    nlohmann::ordered_json also = nlohmann::json::array();
    for (const auto& endpoint : service.also) also.push_back(to_json(endpoint));
    nlohmann::ordered_json one{{"name", service.name}};
    one.update(to_json(service.key));
    one["also"] = std::move(also);
    one.update(scheduling_to_json(service));
    one[counters] = to_json(sum(service));
    one["backends"] = std::move(backends);
    services.push_back(std::move(one));
  }
  nlohmann::ordered_json verdicts = nlohmann::json::object();
  for (const auto& verdict : view.verdicts) {
    verdicts[verdict.name] = {{"packets", verdict.packets}, {"bytes", verdict.bytes}};
  }
  nlohmann::ordered_json losses = nlohmann::json::object();
  for (const auto& loss : view.losses) losses[loss.interface][loss.name] = loss.frames;
  return {{"agent", agent},
          {"services", std::move(services)},
          {"verdicts", std::move(verdicts)},
          {"losses", std::move(losses)}};
}

// What was counted between two reads, a second.
void subtract(View& view, const View& before, double seconds) {
  const auto rate = [&](uint64_t now, uint64_t then) {
    return now < then ? 0 : static_cast<uint64_t>(static_cast<double>(now - then) / seconds);
  };
  for (auto& service : view.services) {
    for (auto& backend : service.backends) {
      Counters old;
      for (const auto& other : before.services) {
        if (other.key != service.key) continue;
        for (const auto& one : other.backends) {
          if (one.entry.key == backend.entry.key) old = one.counters;
        }
      }
      auto& now = backend.counters;
      now = {rate(now.flows, old.flows), rate(now.packets_in, old.packets_in),
             rate(now.bytes_in, old.bytes_in), rate(now.packets_out, old.packets_out),
             rate(now.bytes_out, old.bytes_out)};
    }
  }
  for (size_t i = 0; i < view.verdicts.size(); ++i) {
    view.verdicts[i].packets = rate(view.verdicts[i].packets, before.verdicts[i].packets);
    view.verdicts[i].bytes = rate(view.verdicts[i].bytes, before.verdicts[i].bytes);
  }
  for (auto& loss : view.losses) {
    const auto old = std::find_if(before.losses.begin(), before.losses.end(), [&](const auto& one) {
      return one.interface == loss.interface && one.name == loss.name;
    });
    loss.frames = rate(loss.frames, old == before.losses.end() ? 0 : old->frames);
  }
}

int fail(const Error& error) {
  if (error.code == ENOENT) {
    fmt::print(stderr,
               "xlvs: the data plane is not loaded; 'xlvs attach' or 'xlvs run' loads it\n");
  } else {
    fmt::print(stderr, "xlvs: {}\n", error.message);
  }
  return 1;
}

int list_connections(const std::string& pins, const ListOptions& options) {
  const auto flows = snapshot::read_flows(pins);
  if (!flows) return fail(flows.error());
  if (options.json) {
    nlohmann::ordered_json list = nlohmann::json::array();
    for (const auto& flow : *flows) {
      list.push_back({{"protocol", word(flow.protocol)},
                      {"state", flow.state},
                      {"timeout", flow.expires.count()},
                      {"client", flow.client.text()},
                      {"vip", flow.vip.text()},
                      {"backend", flow.backend.text()}});
    }
    fmt::print("{}\n", list.dump(2));
    return 0;
  }
  fmt::print("xlvs connection entries\npro timeout state       {:<22} {:<22} {}\n", "source",
             "virtual", "destination");
  for (const auto& flow : *flows) {
    fmt::print("{:<3} {:>4}:{:02} {:<11} {:<22} {:<22} {}\n", text(flow.protocol),
               flow.expires.count() / 60, flow.expires.count() % 60, flow.state,
               text(flow.client, flow.protocol, options.numeric),
               text(flow.vip, flow.protocol, options.numeric),
               text(flow.backend, flow.protocol, options.numeric));
  }
  return 0;
}

}  // namespace

int list(const std::string& pins, const ListOptions& options) {
  if (options.connections) return list_connections(pins, options);
  auto view = snapshot::read(pins);
  if (!view) return fail(view.error());
  if (options.rate) {
    constexpr std::chrono::seconds span{1};
    std::this_thread::sleep_for(span);
    auto later = snapshot::read(pins);
    if (!later) return fail(later.error());
    subtract(*later, *view, std::chrono::duration<double>(span).count());
    view = std::move(later);
  }
  const bool agent = Lock::is_held(pins);
  if (options.json) {
    fmt::print("{}\n", to_json(*view, agent, options.rate).dump(2));
    return 0;
  }
  if (!agent) fmt::print(stderr, "xlvs: no agent runs: nothing is checked and no flow expires\n");
  if (options.drops) {
    print_drops(*view);
  } else if (options.stats) {
    print_numbers(*view, options.numeric, "   Conns   InPkts  OutPkts  InBytes OutBytes");
  } else if (options.rate) {
    print_numbers(*view, options.numeric, "     CPS    InPPS   OutPPS    InBPS   OutBPS");
  } else {
    print_table(*view, options.numeric);
  }
  return 0;
}

}  // namespace xlvs::cli
