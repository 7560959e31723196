// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <limits>
#include <ostream>
#include <string>

#include "health/dampen.h"

namespace xlvs::health {
namespace {

// `outcomes`: + success, - failure; `healths` after each: U up, D down, ? unknown.
struct Row {
  const char* name;
  Health start;
  unsigned rise;
  unsigned fall;
  std::string outcomes;
  std::string healths;
};

void PrintTo(const Row& row, std::ostream* out) { *out << row.name; }

class Dampen : public testing::TestWithParam<Row> {};

TEST_P(Dampen, Row) {
  const Row& row = GetParam();
  Tally tally{row.start};
  std::string healths;
  for (const char outcome : row.outcomes) {
    tally = dampen(tally, outcome == '+', row.rise, row.fall);
    healths += tally.health == Health::up ? 'U' : tally.health == Health::down ? 'D' : '?';
  }
  EXPECT_EQ(healths, row.healths);
}

INSTANTIATE_TEST_SUITE_P(
    Rows, Dampen,
    testing::Values(Row{"first_success_counts_at_once", Health::unknown, 3, 3, "+", "U"},
                    Row{"first_failure_counts_at_once", Health::unknown, 3, 3, "-", "D"},
                    Row{"one_is_enough", Health::up, 1, 1, "-+-+", "DUDU"},
                    Row{"zero_is_read_as_one", Health::up, 0, 0, "-+", "DU"},
                    Row{"three_to_fall", Health::up, 1, 3, "---", "UUD"},
                    Row{"a_success_restarts_the_fall", Health::up, 1, 3, "--+--", "UUUUU"},
                    Row{"three_to_rise", Health::down, 3, 1, "+++", "DDU"},
                    Row{"a_failure_restarts_the_rise", Health::down, 3, 1, "++-++", "DDDDD"},
                    Row{"flapping_stays_down", Health::down, 2, 2, "+-+-+-", "DDDDDD"},
                    Row{"flapping_stays_up", Health::up, 2, 2, "-+-+-+", "UUUUUU"},
                    Row{"adopted_up_needs_fall", Health::up, 1, 2, "-", "U"},
                    Row{"adopted_down_needs_rise", Health::down, 2, 1, "+", "D"},
                    Row{"after_the_first_rise_counts", Health::unknown, 2, 2, "-++", "DDU"},
                    Row{"after_the_first_fall_counts", Health::unknown, 2, 2, "+--", "UUD"}),
    [](const auto& row) { return std::string(row.param.name); });

TEST(DampenTally, CountsInARow) {
  const Tally after_two{Health::up, 2, 0};
  EXPECT_EQ(dampen(after_two, true, 1, 3), (Tally{Health::up, 3, 0}));
  EXPECT_EQ(dampen(after_two, false, 1, 3), (Tally{Health::up, 0, 1}));
}

TEST(DampenTally, DoesNotWrapAround) {
  constexpr unsigned most = std::numeric_limits<unsigned>::max();
  EXPECT_EQ(dampen({Health::up, most, 0}, true, 1, 1), (Tally{Health::up, most, 0}));
}

}  // namespace
}  // namespace xlvs::health
