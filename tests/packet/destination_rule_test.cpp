// SPDX-License-Identifier: MIT
// lblc and lblcr: who serves a destination goes on doing so; rule by rule.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <ostream>
#include <tuple>

#include "loader/state/words.h"
#include "tests/packet/destinations.h"
#include "tests/packet/row_name.h"

namespace xlvs::test {
namespace {

// ---- what happens between connections ----

using Event = std::function<void(Destinations&)>;

Event weight(uint32_t server, uint32_t weight) {
  return [=](Destinations& all) { all.set_weight(server, weight); };
}
Event state(uint32_t server, backend_state state) {
  return [=](Destinations& all) { all.set_state(server, state); };
}
Event limit(uint32_t server, uint32_t most) {
  return [=](Destinations& all) { all.director.set_limits(server, most, 0); };
}
// So much time passes for a vip.
Event age(uint32_t number, uint32_t jiffies) {
  return [=](Destinations& all) { all.age(number, jiffies); };
}
// Its entry is another service's, or nobody's, and says that it is up.
Event leave_to(uint32_t server, uint32_t service) {
  return [=](Destinations& all) {
    all.director.set_state(server, BACKEND_UP);
    all.director.set_service(server, service);
  };
}
// A server's entry alone, its service's table apart.
Event entry_state(uint32_t server, backend_state state) {
  return [=](Destinations& all) { all.director.set_state(server, state); };
}
// All flows of a server time out.
Event idle(uint32_t server) {
  return [=](Destinations& all) {
    for (const auto& [key, record] : all.director.records("flows")) {
      if (record.backend == server) all.director.age(key, established_timeout);
    }
  };
}
void sweep(Destinations& all) { all.director.expire(); }

struct Step {
  std::vector<Event> before;
  const char* vips;    // of the connections that are then opened in turn
  const char* chosen;  // whom they are given to
  // The servers of vips 1, 2, ... then, as far as that is looked at.
  std::vector<const char*> sets{};
};

struct RuleRow {
  const char* name;
  std::vector<uint32_t> weights;  // of servers 1, 2, ...
  std::vector<Step> steps;
};

std::ostream& operator<<(std::ostream& out, const RuleRow& row) { return out << row.name; }

// ---- of both ----

const std::vector<RuleRow> rule_rows = {
    {"keeps a destination", {100, 100, 100}, {{{}, "1111111111", "3333333333", {"3"}}}},
    {"chooses for each destination", {100, 100, 100}, {{{}, "123412341234", "321332133213"}}},
    // 2 is not more than 2; and 2 * 2 is not less than 4.
    {"stays where nobody has spare",
     {4, 2},
     {{{}, "22", "22"}, {{}, "3", "1"}, {{}, "3", "1"}, {{}, "222", "222", {"none", "2"}}}},
    {"leaves who has weight zero", {100, 100, 100}, {{{}, "1", "3"}, {{weight(3, 0)}, "11", "22"}}},
    {"leaves who is down",
     {100, 100, 100},
     {{{}, "1", "3"}, {{state(3, BACKEND_DOWN)}, "11", "22"}}},
    {"leaves who is gone",
     {100, 100, 100},
     {{{}, "1", "3"}, {{state(3, BACKEND_GONE)}, "11", "22"}}},
    // The entry of one that is gone may be another service's.
    {"leaves who serves another service",
     {100, 100, 100},
     {{{}, "1", "3"}, {{state(3, BACKEND_GONE), leave_to(3, 2)}, "11", "22"}}},
    {"leaves who is full",
     {100, 100, 100},
     {{{limit(3, 2)}, "1111", "3322"}, {{limit(3, 0)}, "22", "11"}}},
    {"is refused where nobody serves",
     {100},
     {{{}, "1", "1"}, {{weight(1, 0)}, "1", "!"}, {{weight(1, 100)}, "1", "1"}}},
    {"is forgotten a day after its last flow",
     {100, 100, 100},
     {{{}, "12", "32"},
      {{age(1, a_day + tick), age(2, a_day - tick), sweep}, "", "", {"none", "2"}}}},
    {"is remembered a day from each flow on",
     {100, 100, 100},
     {{{}, "1", "3"}, {{age(1, a_day + tick)}, "1", "3"}, {{sweep}, "", "", {"3"}}}},
    {"is forgotten with its backends",
     {100, 100, 100},
     {{{}, "12", "32"},
      {{entry_state(3, BACKEND_GONE), sweep}, "", "", {"none", "2"}},
      {{leave_to(2, 0), sweep}, "", "", {"none", "none"}}}},
};

const std::vector<RuleRow> lblc_rows = {
    // 3 > 2, and 0 * 2 < 4.
    {"leaves who is overloaded while another has spare", {4, 2}, {{{}, "1111", "2221", {"1"}}}},
};

// ---- lblcr's sets ----

const std::vector<RuleRow> lblcr_rows = {
    {"leaves who is overloaded while another has spare", {4, 2}, {{{}, "1111", "2221", {"12"}}}},
    // Nobody has spare then: who came last is the first of equals.
    {"serves by the least loaded of a set",
     {2, 2, 2},
     {{{}, "111111111", "333222111", {"123"}}, {{}, "111111", "123123"}}},
    // Of equals the one that came last.
    {"a set loses the most loaded once a day",
     {9, 2, 2},
     {{{}, "1111111", "3332221", {"123"}},
      {{age(1, a_day - tick)}, "1", "1", {"123"}},
      {{age(1, 2 * tick)}, "1", "1", {"13"}},
      {{}, "1", "1", {"13"}},
      {{age(1, a_day + tick)}, "1", "1", {"1"}},
      {{age(1, a_day + tick)}, "1", "1", {"1"}}}},
    {"a set loses the most loaded also where it is down",
     {9, 2, 2},
     {{{}, "1111111", "3332221"},
      {{state(2, BACKEND_DOWN), age(1, a_day + tick)}, "1", "1", {"13"}}}},
    {"a set keeps who has weight zero",
     {9, 2, 2},
     {{{}, "1111111", "3332221"},
      {{weight(2, 0), weight(3, 0), age(1, a_day + tick)}, "1", "1", {"23"}},
      {{}, "1", "1", {"123"}}}},
    // Order is still by who came.
    {"a set fills the places of those who left",
     {2, 2, 2},
     {{{}, "111111111", "333222111"},
      {{entry_state(3, BACKEND_GONE), sweep}, "", "", {"12"}},
      {{entry_state(3, BACKEND_UP), idle(3), sweep}, "1", "3", {"312"}}}},
};

// ---- each of them ----

using RuleOf = std::tuple<Scheduler, RuleRow>;

std::vector<RuleOf> rules() {
  std::vector<RuleOf> rules;
  for (const auto& row : rule_rows) {
    rules.emplace_back(Scheduler::lblc, row);
    rules.emplace_back(Scheduler::lblcr, row);
  }
  for (const auto& row : lblc_rows) rules.emplace_back(Scheduler::lblc, row);
  for (const auto& row : lblcr_rows) rules.emplace_back(Scheduler::lblcr, row);
  return rules;
}

class DestinationRules : public testing::TestWithParam<std::tuple<RuleOf, Family>> {};

std::string rule_name(const testing::TestParamInfo<DestinationRules::ParamType>& param) {
  const auto& [rule, family] = param.param;
  const auto& [scheduler, row] = rule;
  return std::string(word(scheduler)) + Wire{family}.text() + "_" + row_name<RuleRow>({row, 0});
}

INSTANTIATE_TEST_SUITE_P(, DestinationRules,
                         testing::Combine(testing::ValuesIn(rules()), testing::ValuesIn(families)),
                         rule_name);

TEST_P(DestinationRules, Hold) {
  const auto& [rule, family] = GetParam();
  const auto& [scheduler, row] = rule;
  Destinations destinations(scheduler, row.weights, family);
  for (size_t number = 0; number < row.steps.size(); ++number) {
    const Step& step = row.steps[number];
    for (const Event& event : step.before) event(destinations);
    EXPECT_EQ(destinations.connect_all(step.vips), step.chosen) << "step " << number;
    for (uint32_t i = 0; i < step.sets.size(); ++i) {
      EXPECT_EQ(destinations.set_of(i + 1), step.sets[i])
          << "step " << number << ", of vip " << i + 1;
    }
  }
}

// ---- what is no row ----

class EachScheduler : public testing::TestWithParam<std::tuple<Scheduler, Family>> {
 public:
  [[nodiscard]] static Destinations with(const std::vector<uint32_t>& weights) {
    return {std::get<0>(GetParam()), weights, std::get<1>(GetParam())};
  }
};

INSTANTIATE_TEST_SUITE_P(Destinations, EachScheduler,
                         testing::Combine(testing::Values(Scheduler::lblc, Scheduler::lblcr),
                                          testing::ValuesIn(families)),
                         [](const auto& row) {
                           const std::string scheduler(word(std::get<0>(row.param)));
                           return scheduler + Wire{std::get<1>(row.param)}.text();
                         });

TEST_P(EachScheduler, ChoosesForEachService) {
  auto destinations = with({100, 100, 100});
  EXPECT_EQ(destinations.connect_all("11"), "33");
  const auto& held = destinations.director;
  EXPECT_TRUE(held.held(destinations.service, vip_at(std::get<1>(GetParam()), 1)));
  EXPECT_FALSE(held.held(destinations.service + 1, vip_at(std::get<1>(GetParam()), 1)));
}

// A fallback is there for as long as nobody else is.
TEST_P(EachScheduler, HoldsNoDestinationForAFallback) {
  auto destinations = with({100, 100});
  const uint32_t fallback =
      destinations.director.add_backend({.endpoint = {backend_of(Family::v4, 9), scheduled_port},
                                         .mac = backend_mac(9),
                                         .fallback = true});
  schedule_among(destinations.director, destinations.service,
                 {.scheduler = std::get<0>(GetParam())},
                 {{.id = fallback, .weight = 1, .share = 1}});
  EXPECT_EQ(destinations.connect(1), '9');
  EXPECT_EQ(destinations.set_of(1), "none");
}

TEST_P(EachScheduler, ChoosesWithoutMemoryWhereThereIsNoRoom) {
  const auto [scheduler, family] = GetParam();
  Director director = director_with(3, family, {.destinations = 1});
  const uint32_t service = director.add_service({vip_at(family, 1), scheduled_port}, tcp, {});
  director.add_endpoint(service, {vip_at(family, 2), scheduled_port}, tcp);
  schedule_by(director, service, {.scheduler = scheduler}, {100, 100, 100});
  uint16_t port = 0;
  const auto connect_to = [&, at = family](uint32_t number) {
    return connect(director, vip_at(at, number), ++port, Then::hold);
  };
  EXPECT_EQ(connect_to(1), '3');
  std::string others;
  for (int i = 0; i < 4; ++i) others += connect_to(2);
  EXPECT_EQ(others, "2132");
  EXPECT_EQ(connect_to(1), '3');
}

// It has no backend yet, and whoever makes it goes on to give it one.
TEST_P(EachScheduler, IsNotForgottenWhileItIsMade) {
  auto destinations = with({100, 100, 100});
  destinations.director.put_held(destinations.service, vip_at(std::get<1>(GetParam()), 1), {});
  destinations.director.expire();
  EXPECT_EQ(destinations.set_of(1), "");
}

// The next one serves its flow and is not remembered.
TEST(Sets, HaveAtMost64) {
  constexpr uint8_t servers = 70;
  const std::vector<uint32_t> weights(servers, 1);
  Director director =
      director_with(servers, Family::v4, {.flows = 4096, .pending = 4096, .backends = 128});
  const uint32_t service = director.add_service({vip, scheduled_port}, tcp, {});
  schedule_by(director, service, {.scheduler = Scheduler::lblcr}, weights);
  // Each takes two flows and is overloaded then; the last six are asked anew for each flow.
  for (uint16_t port = 1; port <= 2 * DESTINATION_BACKENDS + 6; ++port) {
    connect(director, vip, port, Then::hold);
  }
  const auto held = director.held(service, vip);
  ASSERT_TRUE(held);
  for (uint32_t id = 1; id <= servers; ++id) {
    const bool is_held = std::any_of(std::begin(held->backends), std::end(held->backends),
                                     [=](const assigned& one) { return one.backend == id; });
    EXPECT_EQ(is_held, id > 6) << id;
    EXPECT_EQ(director.open(id).active, id > 6 ? 2 : 1) << id;
  }
}

}  // namespace
}  // namespace xlvs::test
