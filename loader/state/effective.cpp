// SPDX-License-Identifier: MIT
#include "loader/state/effective.h"

#include <algorithm>

namespace xlvs {

namespace {

BackendState state_of(const Service& service, const Observation& seen) {
  using Checked = Observation::Checked;
  if (seen.checked == Checked::unknown) return BackendState::unknown;
  if (seen.checked == Checked::down) {
    return service.on_failure == OnFailure::remove ? BackendState::gone : BackendState::down;
  }
  return seen.resolved ? BackendState::up : BackendState::unresolved;
}

// Headers without options, and what the packet grows by.
uint16_t mss_of(const Service& service, const Backend& backend, const TunnelWay& path) {
  constexpr unsigned tcp = 20;
  if (backend.forwarding == Forwarding::local) return 0;
  if (!service.mss.fits_tunnel) return service.mss.most;
  if (backend.forwarding != Forwarding::tun || path.mtu == 0) return 0;
  way tunnel{};
  tunnel.tunnel = static_cast<__u8>(backend.tunnel.type);
  tunnel.checksum = backend.tunnel.checksum;
  const unsigned headers = tunnel_overhead(tunnel, backend.endpoint.address.is_v4() ? 1 : 0) +
                           (service.key.vip.address.is_v4() ? 20U : 40U) + tcp;
  return path.mtu > headers ? static_cast<uint16_t>(path.mtu - headers) : uint16_t{1};
}

BackendEntry entry_of(const Service& service, const Backend& backend, bool fallback,
                      const Observe& observe) {
  const Observation seen = observe(service, backend, fallback);
  return {.key = {backend.endpoint, backend.forwarding, fallback},
          .weight = backend.weight,
          .state = state_of(service, seen),
          .egress = seen.egress,
          .max_connections = backend.max_connections,
          .min_connections = backend.min_connections,
          .tunnel = backend.tunnel,
          .way = seen.way,
          .mss = mss_of(service, backend, seen.way)};
}

// Lower comes earlier: first who was in the list and stays, in that order; then who joins; then who
// is gone.
size_t rank(const BackendEntry& entry, const ServiceEntry* previous) {
  constexpr size_t joins = SIZE_MAX / 2;
  if (entry.state == BackendState::gone) return SIZE_MAX;
  const BackendEntry* before = previous == nullptr ? nullptr : previous->find(entry.key);
  if (before == nullptr || before->state == BackendState::gone) return joins;
  return static_cast<size_t>(before - previous->backends.data());
}

ServiceEntry entry_of(const Service& service, const Observe& observe,
                      const ServiceEntry* previous) {
  ServiceEntry entry{.key = service.key, .name = service.name, .scheduling = service.scheduling};
  entry.open.insert(service.also.begin(), service.also.end());
  for (const auto& backend : service.backends) {
    entry.backends.push_back(entry_of(service, backend, false, observe));
  }
  if (service.fallback) {
    entry.backends.push_back(entry_of(service, *service.fallback, true, observe));
  }
  std::stable_sort(entry.backends.begin(), entry.backends.end(),
                   [&](const BackendEntry& a, const BackendEntry& b) {
                     return rank(a, previous) < rank(b, previous);
                   });
  return whole(std::move(entry));
}

}  // namespace

State effective(const Configuration& configuration, const Observe& observe, const State& previous) {
  State state;
  for (const auto& service : configuration.services) {
    const auto before = previous.find(service.key);
    state.emplace(service.key,
                  entry_of(service, observe, before == previous.end() ? nullptr : &before->second));
  }
  return state;
}

}  // namespace xlvs
