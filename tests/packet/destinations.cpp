// SPDX-License-Identifier: MIT
#include "tests/packet/destinations.h"

#include <algorithm>

namespace xlvs::test {

Address vip_at(Family family, uint32_t number) {
  const std::string prefix = family == Family::v4 ? "192.0.2." : "2001:db8::";
  return *Address::parse(prefix + std::to_string(number));
}

Destinations::Destinations(Scheduler scheduler, std::vector<uint32_t> weights, Family family)
    : director(director_with(static_cast<uint8_t>(weights.size()), family)),
      family_(family),
      scheduler_(scheduler),
      weights_(std::move(weights)) {
  director.live().second = tick;
  service = director.add_service({vip_at(family, 1), scheduled_port}, tcp, {});
  for (uint32_t number = 2; number <= vip_count; ++number) {
    director.add_endpoint(service, {vip_at(family, number), scheduled_port}, tcp);
  }
  schedule_by(director, service, {.scheduler = scheduler}, weights_);
}

char Destinations::connect(uint32_t number) {
  return test::connect(director, vip_at(family_, number), ++port_, Then::hold);
}

std::string Destinations::connect_all(const std::string& vips) {
  std::string chosen;
  for (const char number : vips) chosen += connect(static_cast<uint32_t>(number - '0'));
  return chosen;
}

void Destinations::set_weight(uint32_t server, uint32_t weight) {
  weights_.at(server - 1) = weight;
  schedule_by(director, service, {.scheduler = scheduler_}, weights_);
}

void Destinations::set_state(uint32_t server, backend_state state) {
  director.set_state(server, state);
  auto list = listed(weights_);
  if (state != BACKEND_UP) {
    std::erase_if(list, [&](const auto& candidate) { return candidate.id == server; });
  }
  schedule_among(director, service, {.scheduler = scheduler_}, list);
}

std::string Destinations::set_of(uint32_t number) const {
  const auto held = director.held(service, vip_at(family_, number));
  if (!held) return "none";
  std::vector<assigned> set(std::begin(held->backends), std::end(held->backends));
  std::erase_if(set, [](const assigned& one) { return one.backend == 0; });
  std::sort(set.begin(), set.end(),
            [](const assigned& a, const assigned& b) { return a.number > b.number; });
  std::string servers;
  for (const assigned& one : set) servers += static_cast<char>('0' + one.backend);
  return servers;
}

void Destinations::age(uint32_t number, uint32_t jiffies) {
  auto held = director.held(service, vip_at(family_, number));
  ASSERT_TRUE(held);
  held->seen -= jiffies;
  held->changed -= jiffies;
  director.put_held(service, vip_at(family_, number), *held);
}

}  // namespace xlvs::test
