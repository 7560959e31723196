// SPDX-License-Identifier: MIT
#include "loader/state/diff.h"

#include <algorithm>
#include <set>

namespace xlvs {

namespace {

// By which packets reach any service.
using Endpoints = std::set<ServiceKey>;

Endpoints endpoints_of(const State& state) {
  Endpoints all;
  for (const auto& [key, service] : state) all.insert(service.open.begin(), service.open.end());
  return all;
}

// A table may name a backend that is new, or is no worse than before, only once it is put; and one
// that serves no longer is worsened only after the table has let go of it.
enum class When { before_table, after_table };

When when(const BackendEntry* old, const BackendEntry& entry) {
  return old == nullptr || entry.can_serve() ? When::before_table : When::after_table;
}

void put_backends(const ServiceEntry& before, const ServiceEntry& after, When now,
                  std::vector<Change>& changes) {
  for (const BackendEntry& entry : after.backends) {
    const BackendEntry* old = before.find(entry.key);
    if (when(old, entry) == now && (old == nullptr || *old != entry)) {
      changes.emplace_back(PutBackend{after.key, entry});
    }
  }
}

void update(const ServiceEntry& before, const ServiceEntry& after, std::vector<Change>& changes) {
  put_backends(before, after, When::before_table, changes);
  if (before.table != after.table || before.name != after.name ||
      before.scheduling != after.scheduling) {
    changes.emplace_back(SetTable{after.key, after.name, after.scheduling, *after.table});
  }
  for (const ServiceKey& endpoint : after.open) {
    if (!before.open.contains(endpoint)) changes.emplace_back(OpenEndpoint{after.key, endpoint});
  }
  put_backends(before, after, When::after_table, changes);
  for (const auto& entry : before.backends) {
    if (after.find(entry.key) == nullptr) {
      changes.emplace_back(RemoveBackend{after.key, entry.key, false});
    }
  }
}

void remove(const ServiceEntry& service, std::vector<Change>& changes) {
  changes.emplace_back(RemoveService{service.key});
  for (const auto& entry : service.backends) {
    changes.emplace_back(RemoveBackend{service.key, entry.key, true});
  }
}

// An endpoint that goes from one service to another is opened for its new one and never closed; of
// a range, a part may go.
bool is_taken_over(const ServiceEntry& service, const Endpoints& wanted) {
  return std::any_of(service.open.begin(), service.open.end(), [&](const ServiceKey& endpoint) {
    return !endpoint.is_one_port() || wanted.contains(endpoint);
  });
}

// Last, so that what goes to another service has gone there.
void close_endpoints(const State& applied, const State& effective, const Endpoints& wanted,
                     std::vector<Change>& changes) {
  for (const auto& [key, service] : applied) {
    if (!effective.contains(key)) continue;
    for (const ServiceKey& endpoint : service.open) {
      if (!wanted.contains(endpoint)) changes.emplace_back(CloseEndpoint{key, endpoint});
    }
  }
}

void remove_services(const State& applied, const State& effective, const Endpoints& wanted,
                     bool taken_over, std::vector<Change>& changes) {
  for (const auto& [key, service] : applied) {
    if (!effective.contains(key) && is_taken_over(service, wanted) == taken_over) {
      remove(service, changes);
    }
  }
}

}  // namespace

std::vector<Change> diff(const State& applied, const State& effective) {
  std::vector<Change> changes;
  const Endpoints wanted = endpoints_of(effective);
  // First, since they make room.
  remove_services(applied, effective, wanted, false, changes);
  for (const auto& [key, service] : effective) {
    const auto before = applied.find(key);
    if (before == applied.end()) {
      changes.emplace_back(AddService{key, service.name, service.scheduling});
      update({.key = key, .name = service.name, .scheduling = service.scheduling}, service,
             changes);
    } else {
      update(before->second, service, changes);
    }
  }
  close_endpoints(applied, effective, wanted, changes);
  remove_services(applied, effective, wanted, true, changes);
  return changes;
}

}  // namespace xlvs
