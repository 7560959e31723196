// SPDX-License-Identifier: MIT
#include <gmock/gmock.h>

#include <map>
#include <numeric>

#include "loader/state/rings.h"

namespace xlvs::tables {
namespace {

using ::testing::Each;
using ::testing::Field;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::vector<Candidate> backends(const std::vector<uint32_t>& weights) {
  std::vector<Candidate> list;
  for (uint32_t id = 1; id <= weights.size(); ++id) {
    list.push_back({.id = id,
                    .weight = weights[id - 1],
                    .share = weights[id - 1],
                    .seed = id * 0x9e3779b97f4a7c15U});
  }
  return list;
}

std::map<uint32_t, size_t> counted(const std::vector<Candidate>& slots) {
  std::map<uint32_t, size_t> counts;
  for (const auto& slot : slots) ++counts[slot.id];
  return counts;
}

TEST(Sh, tiles_by_weight_and_begins_again) {
  const auto slots = sh(backends({3, 0, 2}));
  std::string begin;
  for (size_t i = 0; i < 12; ++i) begin += std::to_string(slots[i].id);
  EXPECT_EQ(begin, "111233111233");
  EXPECT_THAT(slots, SizeIs(ring_size));
  EXPECT_THAT(sh({}), IsEmpty());
}

TEST(Dh, takes_turns_whatever_the_weights) {
  const auto slots = dh(backends({3, 0, 2}));
  std::string begin;
  for (size_t i = 0; i < 6; ++i) begin += std::to_string(slots[i].id);
  EXPECT_EQ(begin, "123123");
  EXPECT_THAT(slots, SizeIs(ring_size));
  EXPECT_THAT(dh({}), IsEmpty());
}

constexpr size_t ring_slots = Scheduling{}.slots;

TEST(Mh, has_the_slots_it_is_given) {
  for (const uint16_t size : mh_sizes) {
    EXPECT_THAT(mh(backends({1, 2, 3}), size, false), SizeIs(size));
  }
  EXPECT_THAT(mh(backends({65535, 65534}), ring_slots, false), SizeIs(ring_slots));
  EXPECT_THAT(mh({}, ring_slots, false), IsEmpty());
  EXPECT_THAT(mh(backends({0, 0}), ring_slots, false), IsEmpty());
}

TEST(Mh, does_not_depend_on_the_lists_order) {
  auto list = backends({1, 2, 3});
  const auto ring = mh(list, ring_slots, false);
  std::swap(list[0], list[2]);
  EXPECT_EQ(mh(list, ring_slots, false), ring);
}

TEST(Mh, keeps_the_slots_of_the_drained_where_asked) {
  auto list = backends({1, 1, 1});
  const auto before = counted(mh(list, ring_slots, true));
  list[1].weight = 0;
  EXPECT_EQ(counted(mh(list, ring_slots, true)), before);
  EXPECT_EQ(counted(mh(list, ring_slots, false)).count(2), 0U);
}

class MhSizes : public ::testing::TestWithParam<size_t> {};
INSTANTIATE_TEST_SUITE_P(Backends, MhSizes,
                         ::testing::Values(1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 16, 20, 21, 40, 41, 64,
                                           100, 163, 333, 655, 1024));

// Equal weights, and weights 1 to 7: shares are right to one part in a hundred, and a slot.
TEST_P(MhSizes, shares_are_exact) {
  for (const uint32_t different : {1U, 7U}) {
    std::vector<uint32_t> weights;
    for (size_t i = 0; i < GetParam(); ++i)
      weights.push_back(static_cast<uint32_t>(1 + i % different));
    const auto sum = std::accumulate(weights.begin(), weights.end(), uint64_t{0});
    const auto ring = mh(backends(weights), ring_slots, false);
    for (const auto& [id, count] : counted(ring)) {
      const double share =
          static_cast<double>(ring.size()) * weights[id - 1] / static_cast<double>(sum);
      EXPECT_NEAR(static_cast<double>(count), share, 1 + share * 0.01);
    }
  }
}

double moved(const std::vector<Candidate>& before, const std::vector<Candidate>& after) {
  size_t count = 0;
  for (size_t i = 0; i < before.size(); ++i) count += before[i].id != after[i].id ? 1 : 0;
  return static_cast<double>(count) / static_cast<double>(before.size());
}

// One of N is drained: what it had moves, and nothing else.
TEST_P(MhSizes, none_but_its_own_move_when_one_is_drained) {
  const size_t n = GetParam();
  if (n < 2) return;
  for (const uint32_t different : {1U, 7U}) {
    std::vector<uint32_t> weights;
    for (size_t i = 0; i < n; ++i) weights.push_back(static_cast<uint32_t>(1 + i % different));
    const auto sum = std::accumulate(weights.begin(), weights.end(), uint64_t{0});
    auto list = backends(weights);
    const auto before = mh(list, ring_slots, false);
    list[n / 2].weight = 0;
    const auto after = mh(list, ring_slots, false);
    for (size_t i = 0; i < before.size(); ++i) {
      if (before[i].id == n / 2 + 1) continue;
      ASSERT_EQ(before[i].id, after[i].id);
    }
    const double share = weights[n / 2] / static_cast<double>(sum);
    EXPECT_LE(moved(before, after), share + 0.01);
  }
}

// One of N is taken out of the configuration: of the rest as few as may be.
TEST_P(MhSizes, few_move_when_one_is_removed) {
  const size_t n = GetParam();
  if (n < 2) return;
  auto list = backends(std::vector<uint32_t>(n, 1));
  const auto before = mh(list, ring_slots, false);
  list.erase(list.begin() + static_cast<ptrdiff_t>(n / 2));
  const auto after = mh(list, ring_slots, false);
  ASSERT_EQ(after.size(), before.size());
  RecordProperty("moved_permille", static_cast<int>(moved(before, after) * 1000));
  EXPECT_LE(moved(before, after), 1.0 / static_cast<double>(n) + 0.01);
}

}  // namespace
}  // namespace xlvs::tables
