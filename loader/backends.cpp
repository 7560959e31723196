// SPDX-License-Identifier: MIT
// What an Agent sees of its backends, and how it makes the kernel's tables follow.
#include <algorithm>

#include "loader/agent.h"
#include "loader/base/log.h"
#include "loader/plane/tags.h"
#include "loader/state/diff.h"
#include "loader/state/words.h"

namespace xlvs {

namespace {

// A backend's name in the log.
std::string name_of(const Service& service, const Endpoint& backend) {
  return service.name + "/" + shown_text(backend, service.port());
}

std::string name_of(const Configuration& configuration, const ServiceKey& service,
                    const BackendKey& backend) {
  const auto& services = configuration.services;
  const auto found = std::find_if(services.begin(), services.end(),
                                  [&](const Service& one) { return one.key == service; });
  return found == services.end() ? backend.endpoint.address.text()
                                 : name_of(*found, backend.endpoint);
}

// What its check is known by: the same when its service gets another port.
std::string key_of(const Service& service, const Backend& backend) {
  return service.name + "/" + backend.endpoint.text();
}

// Everything that packets for the service may be given to.
template <typename Visit>
void for_each_backend(const Configuration& configuration, const Visit& visit) {
  for (const auto& service : configuration.services) {
    for (const auto& backend : service.backends) visit(service, backend, false);
    if (service.fallback) visit(service, *service.fallback, true);
  }
}

// Whether or not it is up; at its beginning its neighbour may only be about to be resolved.
bool is_unreachable(const BackendEntry& backend) {
  return backend.key.forwarding != Forwarding::local && backend.state != BackendState::unknown &&
         !backend.egress;
}

// An IP packet's length has 16 bits.
uint16_t most_mtu(unsigned mtu) {
  return static_cast<uint16_t>(std::min(mtu, unsigned{UINT16_MAX}));
}

// What the kernel knew of a backend before this agent came.
std::optional<bool> known_health(const State& applied, const Service& service,
                                 const Backend& backend, bool fallback) {
  const auto found = applied.find(service.key);
  if (found == applied.end()) return std::nullopt;
  const auto* entry = found->second.find({backend.endpoint, backend.forwarding, fallback});
  if (entry == nullptr || entry->state == BackendState::unknown) return std::nullopt;
  return entry->state == BackendState::up || entry->state == BackendState::unresolved;
}

}  // namespace

// ---- seeing ----

void Agent::watch_backends() {
  std::vector<health::Target> targets;
  for_each_backend(configuration_, [&](const Service& service, const Backend& backend, bool sorry) {
    if (sorry) return;
    targets.push_back({key_of(service, backend), name_of(service, backend.endpoint),
                       backend.endpoint, backend.check,
                       known_health(plane_->applied(), service, backend, sorry)});
  });
  monitor_.watch(std::move(targets));
}

void Agent::watch_neighbours() {
  std::set<Address> addresses;
  for_each_backend(configuration_, [&](const Service&, const Backend& backend, bool) {
    if (backend.forwarding != Forwarding::local) addresses.insert(backend.endpoint.address);
  });
  neighbours_.watch(std::move(addresses));
  plane_->set_route_generation(neighbours_.generation());
}

// Of clients' frames by the vips, of others by the backends.
Result<void> Agent::check_tags(const Configuration& configuration) {
  if (configuration.mode != AttachMode::native) return {};
  std::set<Address> addresses;
  for (const auto& service : configuration.services) {
    addresses.insert(service.key.vip.address);
    for (const auto& endpoint : service.also) addresses.insert(endpoint.vip.address);
  }
  for_each_backend(configuration, [&](const Service&, const Backend& backend, bool) {
    if (backend.forwarding != Forwarding::local) addresses.insert(backend.endpoint.address);
  });
  return xlvs::check_tags(configuration.interfaces, addresses);
}

// NAT's way back is looked up by the kernel as a router would, which it does only where it
// forwards.
void Agent::check_forwarding() {
  std::set<int> families;
  for_each_backend(configuration_, [&](const Service&, const Backend& backend, bool) {
    if (backend.forwarding == Forwarding::nat) families.insert(backend.endpoint.address.family());
  });
  for (const int family : families) {
    const auto enabled = forwarding_enabled(family);
    if (enabled && *enabled) continue;
    spdlog::warn("nat needs forwarding, which is off: sysctl -w {}=1",
                 family == AF_INET ? "net.ipv4.ip_forward" : "net.ipv6.conf.all.forwarding");
  }
}

Observation Agent::observe(const Service& service, const Backend& backend, bool fallback) const {
  using Checked = Observation::Checked;
  Observation seen;
  if (fallback) {
    seen.checked = Checked::up;
  } else if (const auto* status = monitor_.status(key_of(service, backend))) {
    if (status->health == health::Health::up) seen.checked = Checked::up;
    if (status->health == health::Health::down) seen.checked = Checked::down;
  }
  if (backend.forwarding == Forwarding::local) {
    seen.resolved = true;
    return seen;
  }
  const NextHop next = neighbours_.next_hop(backend.endpoint.address);
  const uint16_t number = plane_->interface_number(next.ifindex);
  const bool near_enough = next.on_link || backend.forwarding != Forwarding::dr;
  const bool has_source = next.source || backend.forwarding != Forwarding::tun;
  if (next.state == NextHop::State::resolved && number != 0 && near_enough && has_source) {
    seen.resolved = true;
    seen.egress = Egress{next.mac, number};
  }
  if (backend.forwarding == Forwarding::tun && next.source) {
    seen.way = {*next.source, most_mtu(next.mtu)};
  }
  return seen;
}

// ---- following ----

void Agent::reconcile_soon() {
  if (pending_) return;
  pending_ = true;
  boost::asio::post(loop_, [this] {
    pending_ = false;
    reconcile();
  });
}

void Agent::reconcile() {
  const State wanted = effective(
      configuration_,
      [this](const Service& service, const Backend& backend, bool fallback) {
        return observe(service, backend, fallback);
      },
      plane_->applied());
  // What fails is tried again after each sweep, which may have made room.
  std::map<ServiceKey, std::string> failures;
  for (const Change& change : diff(plane_->applied(), wanted)) {
    const bool not_added =
        failures.contains(service_of(change)) && !plane_->applied().contains(service_of(change));
    if (not_added) continue;
    if (!failures_.contains(service_of(change))) log_reachability(change);
    if (const auto applied = plane_->apply(change); !applied) {
      failures.try_emplace(service_of(change), applied.error().message);
    }
  }
  log_failures(std::move(failures));
  log_ready();
}

// Each once for as long as it lasts.
void Agent::log_failures(std::map<ServiceKey, std::string> failures) {
  for (const auto& [service, message] : failures) {
    const auto before = failures_.find(service);
    if (before == failures_.end() || before->second != message) spdlog::error("{}", message);
  }
  failures_ = std::move(failures);
}

// Why a backend that is up by its check serves nobody, when that begins and when it ends.
void Agent::log_reachability(const Change& change) const {
  const auto* put = std::get_if<PutBackend>(&change);
  if (put == nullptr) return;
  const auto service = plane_->applied().find(put->service);
  const auto* before =
      service == plane_->applied().end() ? nullptr : service->second.find(put->backend.key);
  const bool was = before != nullptr && is_unreachable(*before);
  const bool is = is_unreachable(put->backend);
  if (was == is) return;
  const std::string name = name_of(configuration_, put->service, put->backend.key);
  if (was) return spdlog::info("backend {} can be reached", name);
  spdlog::warn("backend {} cannot be reached: {}", name, why_unreachable(put->backend.key));
}

// What holds whatever ARP answers comes first: the neighbour may only be about to be resolved.
std::string Agent::why_unreachable(const BackendKey& key) const {
  const NextHop next = neighbours_.next_hop(key.endpoint.address);
  if (next.state == NextHop::State::local) {
    return "it is the director itself: its forwarding must be local";
  }
  if (next.ifindex == 0) return next.text();
  if (key.forwarding == Forwarding::dr && !next.on_link) {
    return "dr needs it on a connected network, but it is via " + next.gateway.text() + " on " +
           next.interface;
  }
  if (key.forwarding == Forwarding::tun && !next.source) {
    return "the director has no address of its own on the way to it, on " + next.interface;
  }
  if (plane_->interface_number(next.ifindex) == 0) {
    return next.interface + ", the way to it, is not one of interfaces";
  }
  return next.text();
}

// Said once, when every backend's first probe has ended.
void Agent::log_ready() {
  if (ready_) return;
  size_t backends = 0;
  bool all_probed = true;
  for_each_backend(configuration_, [&](const Service& service, const Backend& backend, bool sorry) {
    if (sorry) return;
    const auto* status = monitor_.status(key_of(service, backend));
    all_probed = all_probed && status != nullptr && status->last.has_value();
    ++backends;
  });
  if (!all_probed) return;
  ready_ = true;
  spdlog::info("ready: {}, {}", counted(plane_->applied().size(), "service"),
               counted(backends, "backend"));
}

}  // namespace xlvs
