// SPDX-License-Identifier: MIT
#include <gmock/gmock.h>

#include <map>

#include "loader/state/tables.h"
#include "loader/state/turns.h"

namespace xlvs::tables {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Servers 1, 2, ... in the order they were added; IPVS's list is the reverse.
std::vector<Candidate> added(const std::vector<uint32_t>& weights) {
  std::vector<Candidate> list;
  for (uint32_t id = 1; id <= weights.size(); ++id) {
    list.insert(list.begin(), {id, weights[id - 1]});
  }
  return list;
}

std::string thirty(const std::vector<uint32_t>& slots) {
  std::string text;
  for (size_t i = 0; i < 30; ++i) text += std::to_string(slots[i % slots.size()]) + " ";
  text.pop_back();
  return text;
}

// Choices of IPVS itself (Linux 6.1 and 6.12), 30 connections in turn.
struct Row {
  const char* scheduler;
  std::vector<uint32_t> weights;
  const char* chosen;
};

class AsIpvs : public ::testing::TestWithParam<Row> {};

TEST_P(AsIpvs, chooses) {
  const Row& row = GetParam();
  const auto list = added(row.weights);
  const auto slots =
      row.scheduler == std::string("rr") ? rr(list, 0) : wrr(list, wrr_first_level(list)).slots;
  EXPECT_EQ(thirty(slots), row.chosen);
}

INSTANTIATE_TEST_SUITE_P(
    rows, AsIpvs,
    ::testing::Values(
        Row{"rr", {1, 1}, "2 1 2 1 2 1 2 1 2 1 2 1 2 1 2 1 2 1 2 1 2 1 2 1 2 1 2 1 2 1"},
        Row{"rr", {1, 1, 1}, "3 2 1 3 2 1 3 2 1 3 2 1 3 2 1 3 2 1 3 2 1 3 2 1 3 2 1 3 2 1"},
        Row{"rr", {1, 0, 1}, "3 1 3 1 3 1 3 1 3 1 3 1 3 1 3 1 3 1 3 1 3 1 3 1 3 1 3 1 3 1"},
        Row{"wrr", {2, 1}, "2 1 1 2 1 1 2 1 1 2 1 1 2 1 1 2 1 1 2 1 1 2 1 1 2 1 1 2 1 1"},
        Row{"wrr", {3, 2, 1}, "3 2 1 1 2 1 3 2 1 1 2 1 3 2 1 1 2 1 3 2 1 1 2 1 3 2 1 1 2 1"}),
    [](const auto& row) {
      std::string name = row.param.scheduler;
      for (const auto weight : row.param.weights) name += "_" + std::to_string(weight);
      return name;
    });

TEST(Rr, goes_on_after_the_last_that_was_chosen) {
  EXPECT_THAT(rr(added({1, 1, 1}), 3), ElementsAre(2, 1, 3));
  EXPECT_THAT(rr(added({1, 1, 1}), 1), ElementsAre(3, 2, 1));
}

TEST(Rr, goes_on_after_one_that_is_drained_now) {
  EXPECT_THAT(rr(added({1, 0, 1}), 2), ElementsAre(1, 3));
}

TEST(Rr, goes_on_after_who_was_before_one_that_was_removed) {
  const auto before = added({1, 0, 1, 1});  // 4 3 2 1
  EXPECT_EQ(rr_last(before, 3, before), 3);
  EXPECT_EQ(rr_last({{4, 1}, {2, 0}, {1, 1}}, 3, before), 4);
  EXPECT_EQ(rr_last({{9, 1}, {4, 1}, {2, 0}}, 1, before), 2);  // who has no weight counts as well
  EXPECT_EQ(rr_last({{9, 1}, {1, 1}}, 2, before), 0);          // the list's head
  EXPECT_EQ(rr_last({}, 2, before), 0);
  EXPECT_EQ(rr_last(before, 0, before), 0);
  EXPECT_EQ(rr_last(before, 7, {}), 0);  // whom nobody knows
}

TEST(Rr, of_nobody_is_empty) {
  EXPECT_THAT(rr({}, 0), IsEmpty());
  EXPECT_THAT(rr(added({0, 0}), 1), IsEmpty());
}

// Of a table that was not used yet, where IPVS goes on is known by its mark.
TEST(Rr, goes_on_also_after_several_changes_at_once) {
  const Scheduling scheduling{.scheduler = Scheduler::rr};
  const auto ids = [](const Table& table) {
    std::vector<uint32_t> slots;
    for (const auto& slot : table.slots) slots.push_back(slot.id);
    return slots;
  };
  // 3 was the last; it is drained, and back before the next flow.
  Past past{.scheduler = Scheduler::rr, .list = added({1, 1, 1}), .slots = {3, 2, 1}, .cursor = 1};
  Table table = make(scheduling, added({1, 1, 0}), past);
  EXPECT_THAT(ids(table), ElementsAre(2, 1));
  past = {.scheduler = Scheduler::rr,
          .list = added({1, 1, 0}),
          .slots = ids(table),
          .mark = table.mark};
  table = make(scheduling, added({1, 1, 1}), past);
  EXPECT_THAT(ids(table), ElementsAre(2, 1, 3));
  // All are drained, and back.
  past = {.scheduler = Scheduler::rr, .list = added({0, 0, 0}), .mark = table.mark};
  EXPECT_THAT(ids(make(scheduling, added({1, 1, 1}), past)), ElementsAre(2, 1, 3));
  // Another comes.
  past = {.scheduler = Scheduler::rr,
          .list = added({1, 1, 1}),
          .slots = ids(table),
          .mark = table.mark};
  EXPECT_THAT(ids(make(scheduling, added({1, 1, 1, 1}), past)), ElementsAre(2, 1, 4, 3));
}

TEST(Wrr, of_nobody_is_empty) {
  EXPECT_THAT(wrr({}, 0).slots, IsEmpty());
  EXPECT_THAT(wrr(added({0, 0}), 5).slots, IsEmpty());
}

TEST(Wrr, in_place_of_another_scheduler_begins_with_the_heaviest) {
  const Scheduling wrr{.scheduler = Scheduler::wrr};
  const auto list = added({20, 5, 4, 1, 15});
  EXPECT_EQ(make(wrr, list, {.scheduler = Scheduler::fo, .list = list}).slots.front().id, 1);
  // While a new service's first backends came one by one, the level was theirs.
  EXPECT_EQ(make(wrr, list, {}).slots.front().id, 5);
}

TEST(Wrr, says_the_level_after_each_choice) {
  EXPECT_THAT(wrr(added({3, 2, 1}), 3).levels, ElementsAre(3, 2, 2, 1, 1, 1));
}

TEST(Wrr, keeps_its_level_when_the_list_changes) {
  EXPECT_EQ(wrr_level_after_change(added({5, 3}), 4), 4);
  EXPECT_EQ(wrr_level_after_change(added({2, 1}), 4), 2);
  EXPECT_EQ(wrr_level_after_change(added({8, 4}), 6), 5);  // divisor 4: levels are 1 and 5
  EXPECT_EQ(wrr_level_after_change({}, 4), 0);
}

TEST(Wrr, gives_each_its_share_whatever_the_weights) {
  const auto list = added({65535, 1, 300, 0, 7});
  const auto round = wrr(list, 0);
  ASSERT_LE(round.slots.size(), max_slots);
  EXPECT_TRUE(round.apportioned);
  std::map<uint32_t, size_t> count;
  for (const auto id : round.slots) ++count[id];
  EXPECT_EQ(count.count(4), 0);
  EXPECT_GE(count[2], 1);
  const double sum = 65535 + 1 + 300 + 7;
  EXPECT_NEAR(static_cast<double>(count[1]) / static_cast<double>(round.slots.size()), 65535 / sum,
              0.001);
}

class WrrSizes : public ::testing::TestWithParam<size_t> {};
INSTANTIATE_TEST_SUITE_P(Backends, WrrSizes, ::testing::Values(1, 2, 3, 5, 10, 100, 1024));

TEST_P(WrrSizes, gives_each_exactly_its_weight_in_a_round) {
  for (const uint32_t different : {1U, 2U, 7U, 50U}) {
    std::vector<uint32_t> weights;
    for (size_t i = 0; i < GetParam(); ++i) {
      weights.push_back(static_cast<uint32_t>(1 + i % different));
    }
    const auto list = added(weights);
    const auto round = wrr(list, wrr_first_level(list));
    EXPECT_FALSE(round.apportioned);
    std::map<uint32_t, size_t> count;
    for (const auto id : round.slots) ++count[id];
    for (uint32_t id = 1; id <= weights.size(); ++id) ASSERT_EQ(count[id], weights[id - 1]) << id;
  }
}

TEST(Wrr, a_round_of_exactly_the_largest_size_is_exact) {
  const auto round = wrr(added({65535, 1}), 0);
  EXPECT_FALSE(round.apportioned);
  EXPECT_EQ(round.slots.size(), max_slots);
}

}  // namespace
}  // namespace xlvs::tables
