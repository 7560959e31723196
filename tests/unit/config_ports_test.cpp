// SPDX-License-Identifier: MIT
#include <gmock/gmock.h>

#include "loader/state/diff.h"
#include "loader/state/effective.h"
#include "tests/unit/config_rows.h"

// Where backends listen: at ports of their own, or at those that clients send to.
namespace xlvs::config {
namespace {

using ::testing::ElementsAre;

Endpoint at(const char* address, uint16_t port = 0) { return {*Address::parse(address), port}; }

// Backends by dr, nat and local, with and without a port; and what else there may be.
std::string with_ports(const std::string& members) {
  return with_service(
      R"("fallback": {"address": "127.0.0.1"},)" + members,
      R"({"address": "192.0.2.11"}, {"address": "192.0.2.12", "forwarding": "nat"},)"
      R"( {"address": "192.0.2.12", "port": 8080, "forwarding": "nat"},)"
      R"( {"address": "127.0.0.2", "forwarding": "local", "check": {"port": 22}})");
}

std::vector<Endpoint> endpoints_of(const Service& service) {
  std::vector<Endpoint> endpoints;
  for (const Backend& backend : service.backends) endpoints.push_back(backend.endpoint);
  return endpoints;
}

std::vector<uint16_t> asked_at(const Service& service) {
  std::vector<uint16_t> ports;
  for (const Backend& backend : service.backends) ports.push_back(backend.check.port);
  return ports;
}

TEST(ConfigPorts, ABackendHasThePortThatItIsGivenAndNoOther) {
  for (const char* also : {"", R"("also": [{"port": 443}],)"}) {
    const Service service = first_service(with_ports(also));
    EXPECT_THAT(endpoints_of(service), ElementsAre(at("192.0.2.11"), at("192.0.2.12"),
                                                   at("192.0.2.12", 8080), at("127.0.0.2")));
    EXPECT_EQ(service.fallback->endpoint, at("127.0.0.1"));
  }
}

TEST(ConfigPorts, ACheckAsksWhereTheBackendListensElseAtTheFirstPort) {
  for (const char* also : {"", R"("also": [{"port": 443}],)"}) {
    EXPECT_THAT(asked_at(first_service(with_ports(also))), ElementsAre(80, 80, 0, 22));
  }
}

TEST(ConfigPorts, ToNameTheServicesPortMakesNoOtherBackendWherePortsAreNotRewritten) {
  const Service service =
      first_service(with_service(R"("fallback": {"address": "127.0.0.1", "port": 80},)",
                                 R"({"address": "192.0.2.11", "port": 80},)"
                                 R"( {"address": "192.0.2.12", "port": 80, "forwarding": "nat"})"));
  EXPECT_THAT(endpoints_of(service), ElementsAre(at("192.0.2.11"), at("192.0.2.12", 80)));
  EXPECT_EQ(service.fallback->endpoint, at("127.0.0.1"));
}

// All are up and reachable.
Observation up(const Service& /*service*/, const Backend& /*backend*/, bool /*fallback*/) {
  return {Observation::Checked::up, true, Egress{{}, 1}};
}

TEST(ConfigPorts, ASecondPortOfTheServiceChangesNoBackend) {
  const State one = effective(compiled(with_ports("")), up, {});
  ASSERT_EQ(one.size(), 1U);
  const ServiceKey service = one.begin()->first;
  for (const auto& [also, last_port] :
       {std::pair{R"("also": [{"port": 443}],)", 0}, {R"("also": [{"port": "443-450"}],)", 450}}) {
    const ServiceKey second{
        {service.vip.address, 443}, Protocol::tcp, static_cast<uint16_t>(last_port)};
    const State two = effective(compiled(with_ports(also)), up, one);
    EXPECT_THAT(diff(one, two), ElementsAre(Change(OpenEndpoint{service, second})));
    EXPECT_THAT(diff(two, one), ElementsAre(Change(CloseEndpoint{service, second})));
  }
}

struct ShownRow {
  const char* name;
  const char* also;
  Endpoint backend;
  const char* text;
};

void PrintTo(const ShownRow& row, std::ostream* out) { *out << row.name; }

class ConfigPortsShown : public testing::TestWithParam<ShownRow> {};

TEST_P(ConfigPortsShown, IsWhereItListensAsFarAsThereIsOnePort) {
  const Service service = first_service(with_ports(GetParam().also));
  EXPECT_EQ(shown_text(GetParam().backend, service.port()), GetParam().text);
}

INSTANTIATE_TEST_SUITE_P(
    , ConfigPortsShown,
    testing::Values(
        ShownRow{"one_port", "", at("192.0.2.11"), "192.0.2.11:80"},
        ShownRow{"the_same_of_another_vip", R"("also": [{"vip": "192.0.2.2"}],)", at("2001:db8::1"),
                 "[2001:db8::1]:80"},
        ShownRow{"the_same_of_udp", R"("also": [{"protocol": "udp"}],)", at("192.0.2.11"),
                 "192.0.2.11:80"},
        ShownRow{"two_ports", R"("also": [{"port": 443}],)", at("192.0.2.11"), "192.0.2.11"},
        ShownRow{"a_range", R"("also": [{"port": "80-90"}],)", at("192.0.2.11"), "192.0.2.11"},
        ShownRow{"its_own", R"("also": [{"port": 443}],)", at("192.0.2.12", 8080),
                 "192.0.2.12:8080"}),
    [](const auto& row) { return row.param.name; });

}  // namespace
}  // namespace xlvs::config
