// SPDX-License-Identifier: MIT
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "loader/state/configuration.h"

// What the schedulers make of a service's members: the tables that bpf/schedule.h reads. Followed:
// net/netfilter/ipvs/ip_vs_{rr,wrr,sh,dh,mh}.c.
namespace xlvs::tables {

// Of a table, and so of a round of wrr and of a ring of mh.
constexpr size_t max_slots = 65536;
// A scheduler that compares its members looks at all of them for each new flow.
constexpr size_t max_compared = 1024;

constexpr table_kind kind_of(Scheduler scheduler) {
  constexpr std::array kinds = {
#define X(name, word, table) TABLE_##table,
      SCHEDULERS(X)
#undef X
  };
  return kinds.at(static_cast<size_t>(scheduler));
}

// Are a table's members written behind its slots? bpf/types.h, struct table_region.
constexpr bool is_long(Scheduler scheduler, size_t slots) {
  return kind_of(scheduler) != TABLE_MEMBERS && slots > MAX_LOOKS;
}

// A backend in the order of IPVS's list (the last to come is first).
struct Candidate {
  uint32_t id = 0;
  uint32_t weight = 0;  // 0: keeps its place and is never chosen
  uint32_t share = 0;   // its weight as configured
  uint64_t seed = 0;    // of its address, the same on every director

  bool operator==(const Candidate&) const = default;
};

// The last table of a service; all of it 0 where there is none.
struct Past {
  Scheduler scheduler = Scheduler::rr;
  std::vector<Candidate> list;  // that it was made from
  std::vector<uint32_t> slots;
  uint64_t cursor = 0;  // how many flows were scheduled by it
  uint32_t mark = 0;    // where it began: wrr: the level; rr: after whom
};

struct Table {
  std::vector<Candidate> slots;
  std::optional<std::vector<Candidate>> serving;  // each once, where is_long()
  uint32_t mark = 0;  // where it begins: wrr: the level; rr: after whom, 0: at the list's head
  bool apportioned = false;  // shares are approximate: more than max_slots were needed
};

// The table of the members in the list, going on where the last one is now.
//   rr, wrr: turns, read at (cursor mod size); one full round of what IPVS would choose.
//   sh, dh: a ring of 256, as IPVS's. mh: weighted Maglev, of a prime size.
//   The others: the members themselves, for their loads to be compared.
Table make(const Scheduling& scheduling, const std::vector<Candidate>& list, const Past& past);

// How many slots the service's table takes at most, whoever is up: with its cursor, and its members
// where it is long.
size_t size_of(const Service& service);

// The table that make() has made of this list. `mark` as it was kept.
Table made_of(const Scheduling& scheduling, const std::vector<Candidate>& list, uint32_t mark);

}  // namespace xlvs::tables
