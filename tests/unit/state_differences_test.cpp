// SPDX-License-Identifier: MIT
#include <gmock/gmock.h>

#include <functional>

#include "loader/state/differences.h"

namespace xlvs {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Endpoint at(const char* address) { return {*Address::parse(address), 80}; }

Configuration configuration() {
  Configuration configuration;
  configuration.interfaces = {"eth0"};
  Service service{.name = "web", .key = {at("192.0.2.1")}};
  service.backends = {{.endpoint = at("10.0.0.1")}, {.endpoint = at("10.0.0.2")}};
  configuration.services = {service};
  return configuration;
}

struct Row {
  const char* name;
  std::function<void(Configuration&)> change;
  const char* line;
};

class Differences : public testing::TestWithParam<Row> {};

TEST_P(Differences, are_a_line_each) {
  Configuration after = configuration();
  GetParam().change(after);
  EXPECT_THAT(differences(configuration(), after), ElementsAre(GetParam().line));
}

Service& web(Configuration& configuration) { return configuration.services[0]; }

INSTANTIATE_TEST_SUITE_P(
    Of, Differences,
    testing::Values(
        Row{"interfaces",
            [](Configuration& c) {
              c.interfaces = {"eth0", "eth1"};
            },
            "interfaces eth0 -> eth0, eth1"},
        Row{"mode", [](Configuration& c) { c.mode = AttachMode::generic; },
            "mode native -> generic"},
        Row{"manage_vips", [](Configuration& c) { c.manage_vips = true; },
            "manage_vips false -> true"},
        Row{"on_stop", [](Configuration& c) { c.on_stop = OnStop::keep; },
            "on_stop detach -> keep"},
        Row{"timeouts", [](Configuration& c) { c.timeouts.udp = std::chrono::seconds(3); },
            "timeouts have changed"},
        Row{"tables", [](Configuration& c) { c.tables.flows = 7; }, "tables have changed"},
        Row{"refusals", [](Configuration& c) { c.refusals_per_second = 5; },
            "refusals_per_second 1000 -> 5"},
        Row{"renamed", [](Configuration& c) { web(c).name = "www"; },
            "service www: its name was web"},
        Row{"scheduler", [](Configuration& c) { web(c).scheduling.scheduler = Scheduler::rr; },
            "service web: scheduler wrr -> rr"},
        Row{"on_failure", [](Configuration& c) { web(c).on_failure = OnFailure::remove; },
            "service web: on_failure drain -> remove"},
        Row{"fallback", [](Configuration& c) { web(c).fallback = {.endpoint = at("127.0.0.1")}; },
            "service web: fallback none -> 127.0.0.1:80"},
        Row{"weight", [](Configuration& c) { web(c).backends[0].weight = 3; },
            "service web: backend 10.0.0.1:80, weight 1 -> 3"},
        Row{"check", [](Configuration& c) { web(c).backends[1].check.rise = 2; },
            "service web: backend 10.0.0.2:80, its check has changed"},
        Row{"backend_removed", [](Configuration& c) { web(c).backends.pop_back(); },
            "service web: backend 10.0.0.2:80 (dr) removed, its connections go on"},
        Row{"backend_added",
            [](Configuration& c) {
              web(c).backends.push_back({.endpoint = at("10.0.0.3"), .weight = 4});
            },
            "service web: backend 10.0.0.3:80 (dr, weight 4) added"},
        Row{"service_removed", [](Configuration& c) { c.services.clear(); },
            "service web (tcp 192.0.2.1:80) removed with its connections"},
        Row{"service_added",
            [](Configuration& c) {
              c.services.push_back({.name = "dns", .key = {at("192.0.2.1"), Protocol::udp}});
            },
            "service dns (udp 192.0.2.1:80, 0 backends) added"}),
    [](const auto& row) { return row.param.name; });

TEST(DifferencesOf, equal_configurations_are_none) {
  EXPECT_THAT(differences(configuration(), configuration()), IsEmpty());
}

TEST(DifferencesOf, a_forwarding_are_another_backend) {
  Configuration after = configuration();
  web(after).backends[0].forwarding = Forwarding::nat;
  EXPECT_THAT(differences(configuration(), after),
              ElementsAre("service web: backend 10.0.0.1:80 (dr) removed, its connections go on",
                          "service web: backend 10.0.0.1:80 (nat, weight 1) added"));
}

}  // namespace
}  // namespace xlvs
