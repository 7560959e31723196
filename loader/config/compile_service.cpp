// SPDX-License-Identifier: MIT
#include "loader/config/compile_service.h"

#include <algorithm>
#include <map>

#include "loader/config/compile_backend.h"
#include "loader/config/compile_check.h"

namespace xlvs::config {

namespace {

std::optional<Address> compile_vip(const Node& node, Names& names, Report& report) {
  const auto vip = compile_address(node, std::nullopt, names, report);
  if (!vip || !vip->is_loopback()) return vip;
  report.error(node, "a vip must be reachable by clients, " + vip->text() + " is loopback");
  return std::nullopt;
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
    const auto [first, fresh] = lines.emplace(backend->endpoint, line);
    if (!fresh) {
      report.error(node,
                   backend->endpoint.text() + " is in this service twice, first at line " +
                       std::to_string(first->second),
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
  const auto same = [&](const Backend& backend) { return backend.endpoint == fallback->endpoint; };
  if (std::any_of(service.backends.begin(), service.backends.end(), same)) {
    report.error(chosen["address"],
                 fallback->endpoint.text() + " is a backend of service " + in_quotes(service.name) +
                     " already",
                 own ? "remove one of them" : R"(write "fallback": null in that service)");
  }
  return fallback;
}

}  // namespace

Defaults compile_defaults(const Node& root, Report& report) {
  const Service service;
  const Backend backend;
  return {word_or(root["scheduler"], words::schedulers, service.scheduler),
          word_or(root["forwarding"], words::forwardings, backend.forwarding),
          word_or(root["on_failure"], words::on_failures, service.on_failure),
          compile_check(root["check"], Check{}, report), root["fallback"]};
}

std::optional<Service> compile_service(const Node& node, const Defaults& defaults, Names& names,
                                       Report& report) {
  Service service;
  service.name = node["name"].json().get<std::string>();
  const auto vip = compile_vip(node["vip"], names, report);
  const auto port = node["port"].json().get<uint16_t>();
  service.protocol = word_or(node["protocol"], words::protocols, Protocol::tcp);
  service.scheduler = word_or(node["scheduler"], words::schedulers, defaults.scheduler);
  service.on_failure = word_or(node["on_failure"], words::on_failures, defaults.on_failure);

  Check above = defaults.check;
  // Few UDP servers accept TCP connections at their port, so nobody gets that without asking.
  if (service.protocol == Protocol::udp) above.type = CheckType::none;
  const Surroundings surroundings{
      service.name, vip, port, word_or(node["forwarding"], words::forwardings, defaults.forwarding),
      compile_check(node["check"], above, report)};
  service.backends = compile_backends(node["backends"], surroundings, names, report);
  service.fallback = fallback_of(node, defaults, surroundings, service, names, report);
  note_shares(node["backends"], service.backends, report);
  note_unused(node["check"], surroundings.check.type, report);
  if (!vip) return std::nullopt;
  service.vip = {*vip, port};
  return service;
}

}  // namespace xlvs::config
