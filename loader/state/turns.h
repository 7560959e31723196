// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <vector>

#include "loader/state/tables.h"

// rr and wrr: one full round of what IPVS would choose, one flow after the other. Followed:
// net/netfilter/ipvs/ip_vs_rr.c and ip_vs_wrr.c.
namespace xlvs::tables {

// rr: those with a weight, each once, going on after `last`, who is in the list (0: from its head).
std::vector<uint32_t> rr(const std::vector<Candidate>& list, uint32_t last);

// After whom rr goes on when the list has changed: `last`, or where he has left it, who was before
// him in the list as it was and still is there; 0: nobody.
uint32_t rr_last(const std::vector<Candidate>& list, uint32_t last,
                 const std::vector<Candidate>& before);

// wrr chooses, while going round the list, those whose weight reaches a level; the level falls by
// the weights' greatest common divisor each round and starts again at the largest weight.
struct WrrRound {
  std::vector<uint32_t> slots;
  std::vector<uint32_t> levels;  // after each slot was chosen
  bool apportioned = false;      // more than max_slots were needed: shares are approximate
};
WrrRound wrr(const std::vector<Candidate>& list, uint32_t level);
// How many slots it has at most.
size_t wrr_size(const std::vector<Candidate>& list);

// The level after the list has changed; IPVS keeps it as far as the new weights allow. A new
// service has level 0.
uint32_t wrr_level_after_change(const std::vector<Candidate>& list, uint32_t level);

// The level of a new service, whose backends are added one by one, the list's last first.
uint32_t wrr_first_level(const std::vector<Candidate>& list);

}  // namespace xlvs::tables
