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

BackendEntry entry_of(const Service& service, const Backend& backend, bool fallback,
                      const Observe& observe) {
  const Observation seen = observe(service, backend, fallback);
  return {{backend.endpoint, backend.forwarding, fallback},
          backend.weight,
          state_of(service, seen),
          seen.egress,
          backend.max_connections,
          backend.min_connections};
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
