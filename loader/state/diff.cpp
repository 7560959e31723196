// SPDX-License-Identifier: MIT
#include "loader/state/diff.h"

namespace xlvs {

namespace {

SetTable table_of(const ServiceEntry& service) {
  return {service.key, service.name, service.scheduler, members(service)};
}

// A table may name a backend that is new, or is no worse than before, only once it is put; and one
// that serves no longer is worsened only after the table has let go of it.
enum class When { before_table, after_table };

When when(const BackendEntry* old, const BackendEntry& entry) {
  return old == nullptr || entry.can_serve() ? When::before_table : When::after_table;
}

void put_backends(const ServiceEntry* before, const ServiceEntry& after, When now,
                  std::vector<Change>& changes) {
  for (size_t i = 0; i < after.backends.size(); ++i) {
    const BackendEntry& entry = after.backends[i];
    const BackendEntry* old = before == nullptr ? nullptr : before->find(entry.key);
    const bool moved = old != nullptr && static_cast<size_t>(old - before->backends.data()) != i;
    if (when(old, entry) == now && (old == nullptr || moved || *old != entry)) {
      changes.emplace_back(PutBackend{after.key, entry, static_cast<uint32_t>(i)});
    }
  }
}

void add(const ServiceEntry& service, std::vector<Change>& changes) {
  changes.emplace_back(AddService{service.key, service.name, service.scheduler});
  put_backends(nullptr, service, When::before_table, changes);
  changes.emplace_back(table_of(service));
  changes.emplace_back(OpenService{service.key});
}

void update(const ServiceEntry& before, const ServiceEntry& after, std::vector<Change>& changes) {
  put_backends(&before, after, When::before_table, changes);
  if (table_of(before) != table_of(after)) changes.emplace_back(table_of(after));
  put_backends(&before, after, When::after_table, changes);
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

}  // namespace

std::vector<Change> diff(const State& applied, const State& effective) {
  std::vector<Change> changes;
  for (const auto& [key, service] : applied) {
    if (!effective.contains(key)) remove(service, changes);
  }
  for (const auto& [key, service] : effective) {
    const auto before = applied.find(key);
    if (before == applied.end()) {
      add(service, changes);
    } else {
      update(before->second, service, changes);
    }
  }
  return changes;
}

}  // namespace xlvs
