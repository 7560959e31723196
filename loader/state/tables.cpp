// SPDX-License-Identifier: MIT
#include "loader/state/tables.h"

#include <algorithm>
#include <map>

#include "loader/state/rings.h"
#include "loader/state/turns.h"

namespace xlvs::tables {

namespace {

std::vector<Candidate> with_weights(const std::vector<uint32_t>& ids,
                                    const std::vector<Candidate>& list) {
  std::map<uint32_t, Candidate> known;
  for (const auto& candidate : list) known[candidate.id] = candidate;
  std::vector<Candidate> slots;
  slots.reserve(ids.size());
  for (const uint32_t id : ids) slots.push_back(known.at(id));
  return slots;
}

Table make_rr(const std::vector<Candidate>& list, const Past& past) {
  const auto& slots = past.slots;
  const bool begun = past.cursor > 0 && !slots.empty();
  const uint32_t last = begun ? slots[(past.cursor - 1) % slots.size()] : past.mark;
  const uint32_t mark = past.scheduler == Scheduler::rr ? rr_last(list, last, past.list) : 0;
  return {.slots = with_weights(rr(list, mark), list), .mark = mark};
}

uint32_t wrr_level(const std::vector<Candidate>& list, const Past& past) {
  if (past.list.empty()) return wrr_first_level(list);
  if (past.scheduler != Scheduler::wrr) return wrr_level_after_change(list, 0);
  const auto levels = wrr(past.list, past.mark).levels;
  const bool begun = past.cursor > 0 && !levels.empty();
  return wrr_level_after_change(list,
                                begun ? levels[(past.cursor - 1) % levels.size()] : past.mark);
}

Table make_wrr(const std::vector<Candidate>& list, uint32_t level) {
  const auto round = wrr(list, level);
  return {
      .slots = with_weights(round.slots, list), .mark = level, .apportioned = round.apportioned};
}

std::vector<Candidate> make_ring(const Scheduling& scheduling, const std::vector<Candidate>& list) {
  if (scheduling.scheduler == Scheduler::sh) return sh(list);
  if (scheduling.scheduler == Scheduler::dh) return dh(list);
  return mh(list, scheduling.slots, scheduling.strict_ipvs);
}

std::vector<Candidate> serving(std::vector<Candidate> list) {
  std::erase_if(list, [](const Candidate& candidate) { return candidate.weight == 0; });
  return list;
}

Table make_slots(const Scheduling& scheduling, const std::vector<Candidate>& list,
                 const Past& past) {
  switch (kind_of(scheduling.scheduler)) {
    case TABLE_TURNS:
      return scheduling.scheduler == Scheduler::rr ? make_rr(list, past)
                                                   : make_wrr(list, wrr_level(list, past));
    case TABLE_RING:
      return {.slots = make_ring(scheduling, list)};
    case TABLE_MEMBERS:
      break;
  }
  return {.slots = serving(list)};
}

Table with_members(const Scheduling& scheduling, const std::vector<Candidate>& list, Table table) {
  if (is_long(scheduling.scheduler, table.slots.size())) table.serving = serving(list);
  return table;
}

// One slot is for the fallback.
size_t members_of(const Service& service) { return std::max<size_t>(service.backends.size(), 1); }

// Whoever leaves takes more away than the others' common divisor may lose.
size_t turns_of(const Service& service) {
  std::vector<Candidate> list;
  list.reserve(service.backends.size());
  for (const auto& backend : service.backends) list.push_back({.id = 1, .weight = backend.weight});
  return std::max<size_t>(wrr_size(list), 1);
}

size_t slots_of(const Service& service) {
  switch (service.scheduling.scheduler) {
    case Scheduler::wrr:
      return turns_of(service);
    case Scheduler::sh:
    case Scheduler::dh:
      return ring_size;
    case Scheduler::mh:
      return service.scheduling.slots;
    default:
      return members_of(service);
  }
}

}  // namespace

Table make(const Scheduling& scheduling, const std::vector<Candidate>& list, const Past& past) {
  return with_members(scheduling, list, make_slots(scheduling, list, past));
}

size_t size_of(const Service& service) {
  const size_t slots = slots_of(service);
  return 1 + slots + (is_long(service.scheduling.scheduler, slots) ? 1 + members_of(service) : 0);
}

Table made_of(const Scheduling& scheduling, const std::vector<Candidate>& list, uint32_t mark) {
  const Past past{.scheduler = scheduling.scheduler, .list = list, .mark = mark};
  if (scheduling.scheduler != Scheduler::wrr) return make(scheduling, list, past);
  return with_members(scheduling, list, make_wrr(list, mark));
}

}  // namespace xlvs::tables
