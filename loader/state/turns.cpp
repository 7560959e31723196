// SPDX-License-Identifier: MIT
#include "loader/state/turns.h"

#include <algorithm>
#include <numeric>

namespace xlvs::tables {

namespace {

uint32_t divisor(const std::vector<Candidate>& list) {
  uint32_t common = 0;
  for (const auto& candidate : list) common = std::gcd(common, candidate.weight);
  return std::max(common, 1U);
}

uint64_t total(const std::vector<Candidate>& list) {
  return std::accumulate(
      list.begin(), list.end(), uint64_t{0},
      [](uint64_t sum, const Candidate& candidate) { return sum + candidate.weight; });
}

// IPVS's "mw": the level a round starts at; 0 where nobody has a weight.
uint32_t top_level(const std::vector<Candidate>& list) {
  uint32_t largest = 0;
  for (const auto& candidate : list) largest = std::max(largest, candidate.weight);
  return largest == 0 ? 0 : largest - (divisor(list) - 1);
}

// Weights whose round has at most max_slots slots; nobody who had a weight loses it.
std::vector<Candidate> apportion(std::vector<Candidate> list) {
  const uint64_t sum = total(list);
  const uint64_t room = max_slots - list.size();
  for (auto& candidate : list) {
    if (candidate.weight == 0) continue;
    candidate.weight = static_cast<uint32_t>(1 + (candidate.weight - 1) * room / sum);
  }
  return list;
}

size_t position(const std::vector<Candidate>& list, uint32_t id) {
  return static_cast<size_t>(
      std::find_if(list.begin(), list.end(), [&](const Candidate& c) { return c.id == id; }) -
      list.begin());
}

}  // namespace

uint32_t rr_last(const std::vector<Candidate>& list, uint32_t last,
                 const std::vector<Candidate>& before) {
  size_t at = position(before, last);
  while (position(list, last) == list.size()) {
    if (at == 0 || at == before.size()) return 0;
    last = before[--at].id;
  }
  return last;
}

std::vector<uint32_t> rr(const std::vector<Candidate>& list, uint32_t last) {
  std::vector<uint32_t> slots;
  const size_t start = last == 0 ? 0 : position(list, last) + 1;
  for (size_t i = 0; i < list.size(); ++i) {
    const auto& candidate = list[(start + i) % list.size()];
    if (candidate.weight > 0) slots.push_back(candidate.id);
  }
  return slots;
}

WrrRound wrr(const std::vector<Candidate>& list, uint32_t level) {
  const uint32_t step = divisor(list);
  WrrRound round;
  if (total(list) / step > max_slots) {
    round = wrr(apportion(list), 0);
    round.apportioned = true;
    return round;
  }
  const uint32_t top = top_level(list);
  if (top == 0) return round;
  uint32_t current = level == 0 || level > top ? top : level;
  const uint64_t size = total(list) / step;
  while (round.slots.size() < size) {
    for (const auto& candidate : list) {
      if (candidate.weight < current || round.slots.size() == size) continue;
      round.slots.push_back(candidate.id);
      round.levels.push_back(current);
    }
    current = current > step ? current - step : top;
  }
  return round;
}

size_t wrr_size(const std::vector<Candidate>& list) {
  return std::min<size_t>(total(list) / divisor(list), max_slots);
}

uint32_t wrr_level_after_change(const std::vector<Candidate>& list, uint32_t level) {
  const uint32_t top = top_level(list);
  const uint32_t step = divisor(list);
  if (level > top || level == 0) return top;
  return step > 1 ? level / step * step + 1 : level;
}

uint32_t wrr_first_level(const std::vector<Candidate>& list) {
  uint32_t level = 0;
  std::vector<Candidate> added;
  for (auto candidate = list.rbegin(); candidate != list.rend(); ++candidate) {
    added.insert(added.begin(), *candidate);
    level = wrr_level_after_change(added, level);
  }
  return level;
}

}  // namespace xlvs::tables
