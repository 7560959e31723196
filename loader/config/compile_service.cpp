// SPDX-License-Identifier: MIT
#include "loader/config/compile_service.h"

#include <algorithm>
#include <map>

#include "loader/config/compile_backend.h"
#include "loader/config/compile_check.h"
#include "loader/config/words.h"
#include "loader/state/tables.h"

namespace xlvs::config {

namespace {

// IPVS keeps it in whole seconds.
constexpr DurationRange persistence_range{std::chrono::seconds(1), std::chrono::hours(7 * 24),
                                          std::chrono::seconds(1)};

void compile_persistence(const Node& node, bool is_v4, Scheduling& scheduling, Report& report) {
  if (!node.present()) return;
  const uint8_t bits = is_v4 ? 32 : 128;
  scheduling.persistence = std::chrono::duration_cast<std::chrono::seconds>(
      compile_duration(node["timeout"], persistence_range, std::chrono::seconds(300), report));
  const auto prefix = node["prefix"].get_or(bits);
  if (prefix > bits) {
    report.error(node["prefix"], "an IPv4 address has 32 bits", "write at most 32");
    return;
  }
  scheduling.prefix = static_cast<uint8_t>(128 - bits + prefix);
  scheduling.expire_drained = node["expire_drained"].get_or(scheduling.expire_drained);
}

// The schema has seen to it that it is one of the words or a number.
Mss compile_mss(const Node& node, const Mss& otherwise) {
  if (!node.present()) return otherwise;
  if (node.json().is_string()) return {.fits_tunnel = node.json() == "auto"};
  return {.fits_tunnel = false, .most = node.json().get<uint16_t>()};
}

uint16_t compile_slots(const Node& node, uint16_t otherwise, Report& report) {
  const auto slots = node.get_or(otherwise);
  const auto* const above = std::lower_bound(mh_sizes.begin(), mh_sizes.end(), slots);
  if (above != mh_sizes.end() && *above == slots) return slots;
  std::vector<std::string> sizes;
  sizes.reserve(mh_sizes.size());
  for (const uint16_t size : mh_sizes) sizes.push_back(std::to_string(size));
  report.error(node, "a ring of mh has " + alternatives(sizes) + " slots",
               "write " + std::to_string(above == mh_sizes.end() ? mh_sizes.back() : *above));
  return otherwise;
}

Scheduling compile_scheduling(const Node& node, Scheduler otherwise, Report& report) {
  Scheduling scheduling;
  scheduling.scheduler = word_or(node["scheduler"], words::schedulers, otherwise);
  const bool is_mh = scheduling.scheduler == Scheduler::mh;
  const bool hashes = is_mh || scheduling.scheduler == Scheduler::sh;
  if (is_mh) scheduling.hash = HashOf::five_tuple;
  if (!is_mh && node["slots"].get_or(scheduling.slots) != scheduling.slots) {
    report.note(node["slots"],
                "only mh looks at it, and this is " + std::string(word(scheduling.scheduler)));
  }
  if (!hashes) {
    const std::string about =
        "only sh and mh look at it, and this is " + std::string(word(scheduling.scheduler));
    if (word_or(node["hash"], words::hashes, HashOf::source) != HashOf::source) {
      report.note(node["hash"], about);
    }
    if (node["strict_ipvs"].get_or(false)) report.note(node["strict_ipvs"], about);
    return scheduling;
  }
  scheduling.hash = word_or(node["hash"], words::hashes, scheduling.hash);
  if (is_mh) scheduling.slots = compile_slots(node["slots"], scheduling.slots, report);
  scheduling.strict_ipvs = node["strict_ipvs"].get_or(false);
  if (!is_mh && scheduling.hash == HashOf::five_tuple) {
    report.error(node["hash"], "sh hashes the source alone, as IPVS does",
                 R"(write "source" or "source_port", or use "scheduler": "mh")");
  }
  return scheduling;
}

// A table has to have room for each backend.
void check_count(const Node& list, const Service& service, Report& report) {
  if (service.backends.size() <= tables::max_slots) return;
  report.error(list,
               "a service has at most " + std::to_string(tables::max_slots) +
                   " backends, these are " + std::to_string(service.backends.size()),
               "divide them among several services");
}

// A scheduler that compares its members has to look at each of them.
void check_compared(const Node& list, const Service& service, Report& report) {
  const Scheduler scheduler = service.scheduling.scheduler;
  if (tables::kind_of(scheduler) != TABLE_MEMBERS) return;
  if (service.backends.size() <= tables::max_compared) return;
  report.error(list,
               std::string(word(scheduler)) + " compares at most " +
                   std::to_string(tables::max_compared) + " backends, these are " +
                   std::to_string(service.backends.size()),
               R"(use "mh", "wrr" or "rr")");
}

// Keys that only an http check looks at, in a check that is none.
void note_unused(const Node& node, CheckType type, Report& report) {
  if (type == CheckType::http) return;
  for (const char* key : {"path", "host", "status", "expect", "expect_regex"}) {
    if (!node[key].present()) continue;
    report.note(node[key],
                "only an http check looks at it, and this is a " +
                    std::string(words::find(words::check_types, type)) + " check",
                R"(write "type": "http" if that is meant)");
  }
}

std::vector<Backend> compile_backends(const Node& list, const Surroundings& service, Names& names,
                                      Report& report) {
  std::vector<Backend> backends;
  std::map<Endpoint, size_t> lines;
  for (const Node& node : list.elements()) {
    const auto backend = compile_backend(node, service, names, report);
    if (!backend) continue;
    const size_t line = node.location().value.line;
    const auto [first, fresh] = lines.emplace(shown(backend->endpoint, service.port), line);
    if (!fresh) {
      report.error(node,
                   shown_text(backend->endpoint, service.port) +
                       " is in this service twice, first at line " + std::to_string(first->second),
                   "remove one of them, or use \"weight\" for a larger share");
      continue;
    }
    note_unused(node["check"], backend->check.type, report);
    backends.push_back(*backend);
  }
  return backends;
}

void note_shares(const Node& list, const std::vector<Backend>& backends, Report& report) {
  if (list.json().empty()) {
    report.note(list, "the service has no backends");
    return;
  }
  const bool idle = std::all_of(backends.begin(), backends.end(),
                                [](const Backend& backend) { return backend.weight == 0; });
  if (!backends.empty() && idle) {
    report.note(list, "all weights are 0, so no backend gets new flows");
  }
}

std::optional<Backend> fallback_of(const Node& node, const Defaults& defaults,
                                   const Surroundings& surroundings, const Service& service,
                                   Names& names, Report& report) {
  const bool own = node["fallback"].present() || node["fallback"].is_null();
  const Node chosen = own ? node["fallback"] : defaults.fallback;
  if (!chosen.present()) return std::nullopt;
  const auto fallback = compile_fallback(chosen, !own, surroundings, names, report);
  if (!fallback) return std::nullopt;
  const Endpoint seen = shown(fallback->endpoint, surroundings.port);
  const auto same = [&](const Backend& backend) {
    return shown(backend.endpoint, surroundings.port) == seen;
  };
  if (std::any_of(service.backends.begin(), service.backends.end(), same)) {
    report.error(chosen["address"],
                 shown_text(fallback->endpoint, surroundings.port) + " is a backend of service " +
                     in_quotes(service.name) + " already",
                 own ? "remove one of them" : R"(write "fallback": null in that service)");
  }
  return fallback;
}

}  // namespace

Defaults compile_defaults(const Node& root, Report& report) {
  const Service service;
  const Backend backend;
  return {word_or(root["scheduler"], words::schedulers, service.scheduling.scheduler),
          word_or(root["forwarding"], words::forwardings, backend.forwarding),
          compile_tunnel(root["tunnel"], backend.tunnel, report),
          compile_mss(root["mss"], service.mss),
          word_or(root["on_failure"], words::on_failures, service.on_failure),
          compile_check(root["check"], Check{}, report),
          root["fallback"]};
}

std::optional<Service> compile_service(const Node& node, const Defaults& defaults, Claims& claims,
                                       Names& names, Report& report) {
  Service service;
  service.name = node["name"].json().get<std::string>();
  const Addressed addressed = compile_endpoints(node, claims, names, report);
  const std::vector<ServiceKey>& endpoints = addressed.endpoints;
  const auto is_tcp = [](const ServiceKey& one) { return one.protocol == Protocol::tcp; };
  const auto is_udp = [](const ServiceKey& one) { return one.protocol == Protocol::udp; };
  service.scheduling = compile_scheduling(node, defaults.scheduler, report);
  compile_persistence(node["persistence"],
                      endpoints.empty() || endpoints.front().vip.address.is_v4(),
                      service.scheduling, report);
  service.scheduling.one_packet = node["one_packet"].get_or(false);
  if (service.scheduling.one_packet && !std::all_of(endpoints.begin(), endpoints.end(), is_udp)) {
    report.error(node["one_packet"], "only UDP has flows of one packet", "remove it");
  }
  service.on_failure = word_or(node["on_failure"], words::on_failures, defaults.on_failure);

  service.mss = compile_mss(node["mss"], defaults.mss);
  Check above = defaults.check;
  // Few servers of UDP or SCTP accept TCP connections at their port, so nobody gets that without
  // asking.
  if (!endpoints.empty() && !is_tcp(endpoints.front())) above.type = CheckType::none;
  const Surroundings surroundings{
      service.name,
      endpoints,
      addressed.port,
      word_or(node["forwarding"], words::forwardings, defaults.forwarding),
      compile_tunnel(node["tunnel"], defaults.tunnel, report),
      compile_check(node["check"], above, report)};
  service.backends = compile_backends(node["backends"], surroundings, names, report);
  service.fallback = fallback_of(node, defaults, surroundings, service, names, report);
  check_count(node["backends"], service, report);
  check_compared(node["backends"], service, report);
  note_shares(node["backends"], service.backends, report);
  note_unused(node["check"], surroundings.check.type, report);
  if (endpoints.empty()) return std::nullopt;
  service.key = endpoints.front();
  service.also.assign(endpoints.begin() + 1, endpoints.end());
  return service;
}

}  // namespace xlvs::config
