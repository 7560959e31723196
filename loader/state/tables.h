// SPDX-License-Identifier: MIT
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "loader/state/configuration.h"

// Scheduling orders as tables: one full round of what IPVS would choose, one flow after the other.
// A table of size n is read at (cursor mod n). Followed: net/netfilter/ipvs/ip_vs_rr.c and
// ip_vs_wrr.c.
namespace xlvs::tables {

constexpr size_t max_slots = 65536;

// A backend in the order of IPVS's list; weight 0 keeps its place and is never chosen.
struct Candidate {
  uint32_t id = 0;
  uint32_t weight = 0;

  bool operator==(const Candidate&) const = default;
};

// rr: those with a weight, each once, going on after `last` (0: from the head of the list). Where
// `last` has left the list, `before` (an old table) tells who would have followed it.
std::vector<uint32_t> rr(const std::vector<Candidate>& list, uint32_t last,
                         const std::vector<uint32_t>& before);

// wrr chooses, while going round the list, those whose weight reaches a level; the level falls by
// the weights' greatest common divisor each round and starts again at the largest weight.
struct WrrRound {
  std::vector<uint32_t> slots;
  std::vector<uint32_t> levels;  // after each slot was chosen
  bool apportioned = false;      // more than max_slots were needed: shares are approximate
};
WrrRound wrr(const std::vector<Candidate>& list, uint32_t level);

// How many slots the service's table has at most, whoever is up.
size_t size_of(const Service& service);

// The level after the list has changed; IPVS keeps it as far as the new weights allow. A new
// service has level 0.
uint32_t wrr_level_after_change(const std::vector<Candidate>& list, uint32_t level);

// The level of a new service, whose backends are added one by one, the list's last first.
uint32_t wrr_first_level(const std::vector<Candidate>& list);

}  // namespace xlvs::tables
