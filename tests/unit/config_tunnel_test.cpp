// SPDX-License-Identifier: MIT
// "forwarding": "tun", "tunnel" and "mss".
#include <gmock/gmock.h>

#include "tests/harness/malformed.h"
#include "tests/unit/config_rows.h"

namespace xlvs::config {
namespace {

using testing::ElementsAre;

Service first_service(const std::string& text) {
  const Loaded loaded = load_text(text, resolve_example);
  EXPECT_TRUE(loaded.errors.empty());
  if (!loaded.configuration) return {};
  return loaded.configuration->services.at(0);
}

Service with_mss(const std::string& members) {
  return first_service(with_service(members, R"({"address": "192.0.2.11"})"));
}

TEST(ConfigTunnel, IsOfTheNearestLevelAsAWhole) {
  const Service service = first_service(
      R"({"interfaces": ["eth0"], "forwarding": "tun", "tunnel": {"type": "gre"}, "services": [)"
      R"({"name": "a", "vip": "192.0.2.1", "port": 80,)"
      R"( "tunnel": {"type": "gue", "port": 6080, "checksum": true},)"
      R"( "fallback": {"address": "192.0.2.19", "tunnel": {"type": "ipip"}}, "backends": [)"
      R"({"address": "192.0.2.11"}, {"address": "192.0.2.12", "tunnel": {"type": "gre"}},)"
      R"({"address": "192.0.2.13", "tunnel": {}}]}]})");
  ASSERT_EQ(service.backends.size(), 3U);
  EXPECT_EQ(service.backends[0].forwarding, Forwarding::tun);
  EXPECT_EQ(service.backends[0].tunnel, (Tunnel{TunnelType::gue, 6080, true}));
  EXPECT_EQ(service.backends[1].tunnel, (Tunnel{TunnelType::gre, 0, false}));
  EXPECT_EQ(service.backends[2].tunnel, Tunnel{});
  ASSERT_TRUE(service.fallback);
  EXPECT_EQ(service.fallback->forwarding, Forwarding::tun);
  EXPECT_EQ(service.fallback->tunnel, Tunnel{});
}

TEST(ConfigTunnel, IsTheGlobalOneWhereNobodySaysMore) {
  const Service service = first_service(
      with_services(R"({"name": "a", "vip": "192.0.2.1", "port": 80, "backends": [)"
                    R"({"address": "192.0.2.11"}]})",
                    R"("forwarding": "tun", "tunnel": {"type": "gre", "checksum": true},)"));
  ASSERT_EQ(service.backends.size(), 1U);
  EXPECT_EQ(service.backends[0].tunnel, (Tunnel{TunnelType::gre, 0, true}));
}

TEST(ConfigTunnel, LeavesFamiliesAndPortsAsTheyAre) {
  const Loaded minimal = load_text(configuration_text("minimal-tun.json"), resolve_example);
  ASSERT_TRUE(minimal.configuration);
  EXPECT_TRUE(minimal.notes.empty());
  const Service& service = minimal.configuration->services.at(0);
  const Backend ipip{.endpoint = {*Address::parse("198.51.100.11")},
                     .forwarding = Forwarding::tun,
                     .check = {.port = 80}};
  Backend gue = ipip;
  gue.endpoint = {*Address::parse("2001:db8::12")};
  gue.tunnel = {TunnelType::gue, 6080, false};
  EXPECT_THAT(service.backends, ElementsAre(ipip, gue));
}

TEST(ConfigMss, IsAWordOrANumber) {
  EXPECT_EQ(with_mss("").mss, (Mss{true, 0}));
  EXPECT_EQ(with_mss(R"("mss": "auto",)").mss, (Mss{true, 0}));
  EXPECT_EQ(with_mss(R"("mss": "off",)").mss, (Mss{false, 0}));
  EXPECT_EQ(with_mss(R"("mss": 1300,)").mss, (Mss{false, 1300}));
}

class ConfigTunnelError : public testing::TestWithParam<ProblemRow> {};

TEST_P(ConfigTunnelError, IsTheOnlyOneAtItsPlace) {
  const std::string text = unmarked(GetParam());
  const Loaded loaded = load_text(text, resolve_example);
  EXPECT_FALSE(loaded.configuration);
  expect_only(loaded.errors, GetParam(), text);
}

std::string by_tun(const std::string& members) {
  return with_service(R"("forwarding": "tun",)" + members, R"({"address": "192.0.2.11"})");
}

INSTANTIATE_TEST_SUITE_P(
    , ConfigTunnelError,
    testing::Values(
        ProblemRow{"gue without a port", by_tun(R"("tunnel": ^{"type": "gue"},)"),
                   "services[0].tunnel", "gue needs the UDP port", R"("port": 6080)"},
        ProblemRow{"gre with a port", by_tun(R"("tunnel": {"type": "gre", "port": ^6080},)"),
                   "services[0].tunnel.port", "only gue has a port, and this is gre", "remove it"},
        ProblemRow{"ipip with a checksum", by_tun(R"("tunnel": {"checksum": ^true},)"),
                   "services[0].tunnel.checksum", "ipip has no checksum", R"("gre" or "gue")"},
        ProblemRow{"another type", by_tun(R"("tunnel": {"type": ^"ipip6"},)"),
                   "services[0].tunnel.type", R"("ipip6")", R"(did you mean "ipip"?)"},
        ProblemRow{"remote checksum",
                   by_tun(R"("tunnel": {"type": "gue", "port": 6080, ^"remcsum": true},)"),
                   "services[0].tunnel.remcsum", "is not a key here", "checksum, port or type"},
        ProblemRow{"of a backend",
                   with_service(R"("forwarding": "tun",)",
                                R"({"address": "192.0.2.11", "tunnel": ^{"type": "gue"}})"),
                   "services[0].backends[0].tunnel", "gue needs the UDP port", "6080"},
        ProblemRow{
            "another port than the service's",
            with_service(R"("forwarding": "tun",)", R"({"address": "192.0.2.11", "port": ^8080})"),
            "services[0].backends[0].port", "tun does not rewrite ports",
            R"(or use "forwarding": "nat")"},
        ProblemRow{"loopback", with_service(R"("forwarding": "tun",)", R"({"address": ^"::1"})"),
                   "services[0].backends[0].address", "which tun cannot reach", R"("local")"},
        ProblemRow{"the vip itself",
                   with_service(R"("forwarding": "tun",)", R"({"address": ^"192.0.2.1"})"),
                   "services[0].backends[0].address", "is the vip itself", "own address"},
        ProblemRow{"another word for mss", by_tun(R"("mss": ^"always",)"), "services[0].mss",
                   R"("auto", "off" or a number of bytes from 1 to 65535)", ""},
        ProblemRow{"mss of 0", by_tun(R"("mss": ^0,)"), "services[0].mss",
                   R"("auto", "off" or a number of bytes from 1 to 65535)", ""}),
    row_name);

TEST(ConfigTunnelNote, SaysThatNobodyLooksAtIt) {
  const ProblemRow row{"",
                       with_service("", R"({"address": "192.0.2.11", "tunnel": ^{"type": "gre"}})"),
                       "services[0].backends[0].tunnel", "only tun looks at it, and this is dr",
                       R"("forwarding": "tun")"};
  const Loaded loaded = load_text(unmarked(row), resolve_example);
  EXPECT_TRUE(loaded.configuration);
  expect_only(loaded.notes, row, unmarked(row));
}

}  // namespace
}  // namespace xlvs::config
