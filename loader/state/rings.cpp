// SPDX-License-Identifier: MIT
#include "loader/state/rings.h"

#include <algorithm>
#include <numeric>

namespace xlvs::tables {

namespace {

// One of splitmix64's steps.
uint64_t mix(uint64_t value) {
  value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9U;
  value = (value ^ value >> 27) * 0x94d049bb133111ebU;
  return value ^ value >> 31;
}

// A backend that fills a ring, in its own order of all slots.
struct Filler {
  Candidate candidate;
  uint64_t weight = 0;  // by the greatest common divisor
  uint64_t credit = 0;  // towards its next slot
  uint64_t next = 0;
  uint64_t skip = 0;
};

void reduce(std::vector<Filler>& fillers) {
  uint64_t common = 0;
  for (const auto& filler : fillers) common = std::gcd(common, filler.weight);
  for (auto& filler : fillers) filler.weight /= common;
}

std::vector<Filler> fillers_of(const std::vector<Candidate>& list) {
  std::vector<Filler> fillers;
  for (const auto& candidate : list) {
    if (candidate.share > 0) fillers.push_back({candidate, candidate.share});
  }
  std::sort(fillers.begin(), fillers.end(),
            [](const Filler& a, const Filler& b) { return a.candidate.seed < b.candidate.seed; });
  reduce(fillers);
  return fillers;
}

// Calls take(filler) so often, each filler as often as its weight says, to one time.
template <typename Take>
void in_turns(std::vector<Filler>& fillers, size_t times, const Take& take) {
  uint64_t largest = 0;
  for (const auto& filler : fillers) largest = std::max(largest, filler.weight);
  while (times > 0) {
    for (auto& filler : fillers) {
      filler.credit += filler.weight;
      if (filler.credit < largest || times == 0) continue;
      filler.credit -= largest;
      take(filler);
      --times;
    }
  }
}

// The slots of those that take no flows, to the others in turn.
void give_to_others(std::vector<Candidate>& slots, std::vector<Filler> fillers) {
  std::erase_if(fillers, [](const Filler& filler) { return filler.candidate.weight == 0; });
  if (fillers.empty()) return;
  auto slot = slots.begin();
  const auto idle = [](const Candidate& one) { return one.weight == 0; };
  in_turns(fillers, static_cast<size_t>(std::count_if(slots.begin(), slots.end(), idle)),
           [&](const Filler& filler) {
             slot = std::find_if(slot, slots.end(), idle);
             *slot = filler.candidate;
           });
}

}  // namespace

std::vector<Candidate> sh(const std::vector<Candidate>& list) {
  std::vector<Candidate> slots;
  if (list.empty()) return slots;
  size_t at = 0;
  uint32_t in_a_row = 0;
  for (size_t i = 0; i < ring_size; ++i) {
    slots.push_back(list[at]);
    if (++in_a_row < list[at].weight) continue;
    at = (at + 1) % list.size();
    in_a_row = 0;
  }
  return slots;
}

std::vector<Candidate> dh(const std::vector<Candidate>& list) {
  std::vector<Candidate> slots;
  for (size_t i = 0; i < ring_size && !list.empty(); ++i) slots.push_back(list[i % list.size()]);
  return slots;
}

std::vector<Candidate> mh(const std::vector<Candidate>& list, size_t size, bool strict) {
  auto fillers = fillers_of(list);
  if (fillers.empty()) return {};
  for (auto& filler : fillers) {
    filler.next = mix(filler.candidate.seed) % size;
    filler.skip = mix(filler.candidate.seed + 1) % (size - 1) + 1;
  }
  std::vector<Candidate> slots(size);
  std::vector<bool> taken(size);
  in_turns(fillers, size, [&](Filler& filler) {
    while (taken[filler.next]) filler.next = (filler.next + filler.skip) % size;
    taken[filler.next] = true;
    slots[filler.next] = filler.candidate;
  });
  if (!strict) give_to_others(slots, fillers);
  return slots;
}

}  // namespace xlvs::tables
