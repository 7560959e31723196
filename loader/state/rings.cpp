// SPDX-License-Identifier: MIT
#include "loader/state/rings.h"

#include <algorithm>
#include <array>
#include <numeric>

namespace xlvs::tables {

namespace {

constexpr size_t slots_per_weight = 400;
// The largest below each power of two.
constexpr std::array<size_t, 9> primes{251, 509, 1021, 2039, 4093, 8191, 16381, 32749, 65521};

size_t prime_from(size_t number) {
  const auto found = std::lower_bound(primes.begin(), primes.end(), number);
  return found == primes.end() ? primes.back() : *found;
}

// One of splitmix64's steps.
uint64_t mix(uint64_t value) {
  value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9U;
  value = (value ^ value >> 27) * 0x94d049bb133111ebU;
  return value ^ value >> 31;
}

// A backend that fills a ring: its own order of all slots, and how many it takes a round.
struct Filler {
  Candidate candidate;
  uint64_t turns = 0;
  uint64_t next = 0;
  uint64_t skip = 0;
};

// Divides the weights by their greatest common divisor, and until a round has a hundredth of the
// ring; nobody who has a weight loses it.
void reduce(std::vector<Filler>& fillers) {
  uint64_t common = 0;
  for (const auto& filler : fillers) common = std::gcd(common, filler.turns);
  if (common == 0) return;
  uint64_t sum = 0;
  for (auto& filler : fillers) sum += filler.turns /= common;
  const uint64_t room = std::max<uint64_t>(primes.back() / slots_per_weight, fillers.size());
  if (sum <= room) return;
  for (auto& filler : fillers) filler.turns = std::max<uint64_t>(filler.turns * room / sum, 1);
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

size_t size_for(const std::vector<Filler>& fillers) {
  uint64_t sum = 0;
  for (const auto& filler : fillers) sum += filler.turns;
  return sum == 0 ? 0 : prime_from(sum * slots_per_weight);
}

// The slots of those that take no flows, to the others in turn.
void give_to_others(std::vector<Candidate>& slots, const std::vector<Filler>& fillers) {
  std::vector<Candidate> turns;
  for (const auto& filler : fillers) {
    if (filler.candidate.weight > 0) turns.insert(turns.end(), filler.turns, filler.candidate);
  }
  if (turns.empty()) return;
  size_t turn = 0;
  for (auto& slot : slots) {
    if (slot.weight == 0) slot = turns[turn++ % turns.size()];
  }
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

size_t mh_size(const std::vector<Candidate>& list) { return size_for(fillers_of(list)); }

std::vector<Candidate> mh(const std::vector<Candidate>& list, bool strict) {
  auto fillers = fillers_of(list);
  const size_t size = size_for(fillers);
  for (auto& filler : fillers) {
    filler.next = mix(filler.candidate.seed) % size;
    filler.skip = mix(filler.candidate.seed + 1) % (size - 1) + 1;
  }
  std::vector<Candidate> slots(size);
  std::vector<bool> taken(size);
  size_t filled = 0;
  while (filled < size) {
    for (auto& filler : fillers) {
      for (uint64_t turn = 0; turn < filler.turns && filled < size; ++turn, ++filled) {
        while (taken[filler.next]) filler.next = (filler.next + filler.skip) % size;
        taken[filler.next] = true;
        slots[filler.next] = filler.candidate;
      }
    }
  }
  if (!strict) give_to_others(slots, fillers);
  return slots;
}

}  // namespace xlvs::tables
