// SPDX-License-Identifier: MIT
#include <gmock/gmock.h>

#include "tests/unit/config_rows.h"

namespace xlvs::config {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Address address(const char* text) { return *Address::parse(text); }

TEST(ConfigCompile, FillsInEveryDefault) {
  Configuration expected;
  expected.interfaces = {"eth0"};
  Service service;
  service.name = "web";
  service.key.vip = {address("192.0.2.1"), 80};
  Backend backend;
  backend.endpoint = {address("192.0.2.11")};
  backend.check.port = 80;
  service.backends = {backend};
  expected.services = {service};
  EXPECT_EQ(compiled(with_service("", R"({"address": "192.0.2.11"})")), expected);
}

// Nothing has its default value here.
constexpr const char* full = R"({
  "interfaces": ["eth0", "eth1"], "mode": "generic", "manage_vips": true, "on_stop": "keep",
  "timeouts": {"tcp": "15m", "tcp_fin": "60s", "tcp_rst": "5s", "tcp_syn": "30s", "udp": "1h"},
  "tables": {"flows": 1, "pending": 2, "services": 3, "backends": 9, "slots": 5000, "fragments": 7},
  "refusals_per_second": 0,
  "scheduler": "rr", "forwarding": "nat", "on_failure": "remove",
  "check": {"type": "http", "interval": "500ms", "rise": 2},
  "fallback": {"address": "192.0.2.99", "port": 8099},
  "services": [
    {"name": "a", "vip": "192.0.2.1", "port": 80,
     "check": {"path": "/up", "host": "a.example", "status": 204, "fall": 3},
     "backends": [
       {"address": "198.51.100.1", "port": 8080, "weight": 0},
       {"address": "web.example.net", "forwarding": "dr", "weight": 65535,
        "check": {"type": "tcp", "port": 22, "jitter": 0.5, "timeout": "1s"}}]},
    {"name": "b", "vip": "2001:db8::1", "port": 53, "protocol": "udp", "scheduler": "mh",
     "hash": "source_port", "slots": 251, "strict_ipvs": true, "one_packet": true,
     "persistence": {"timeout": "90s", "prefix": 64, "expire_drained": false},
     "forwarding": "dr", "on_failure": "drain", "fallback": null,
     "backends": [
       {"address": "web.example.net", "max_connections": 100, "min_connections": 60},
       {"address": "::1", "forwarding": "local",
        "check": {"type": "http", "expect": "ok", "expect_regex": "o+k", "status": [200, 301]}}]}
  ]})";

Check global_check() {
  Check check;
  check.type = CheckType::http;
  check.interval = milliseconds(500);
  check.rise = 2;
  return check;
}

Service expected_a() {
  Service service;
  service.name = "a";
  service.key.vip = {address("192.0.2.1"), 80};
  service.scheduling.scheduler = Scheduler::rr;
  service.on_failure = OnFailure::remove;
  Check check = global_check();
  check.path = "/up";
  check.host = "a.example";
  check.status = {204};
  check.fall = 3;
  Check other = check;
  other.type = CheckType::tcp;
  other.port = 22;
  other.jitter = 0.5;
  other.timeout = seconds(1);
  service.backends = {{{address("198.51.100.1"), 8080}, 0, Forwarding::nat, check},
                      {{address("192.0.2.77"), 0}, 65535, Forwarding::dr, other}};
  Check none;
  none.type = CheckType::none;
  service.fallback = Backend{{address("192.0.2.99"), 8099}, 1, Forwarding::nat, none};
  return service;
}

Service expected_b() {
  Service service;
  service.name = "b";
  service.key.vip = {address("2001:db8::1"), 53};
  service.key.protocol = Protocol::udp;
  service.scheduling = {.scheduler = Scheduler::mh,
                        .hash = HashOf::source_port,
                        .strict_ipvs = true,
                        .persistence = seconds(90),
                        .prefix = 64,
                        .expire_drained = false,
                        .one_packet = true,
                        .slots = 251};
  Check unchecked = global_check();
  unchecked.type = CheckType::none;
  Check asked = global_check();
  asked.port = 53;
  asked.expect = "ok";
  asked.expect_regex = "o+k";
  asked.status = {200, 301};
  service.backends = {{{address("2001:db8::77"), 0}, 1, Forwarding::dr, unchecked, 100, 60},
                      {{address("::1"), 0}, 1, Forwarding::local, asked}};
  return service;
}

Configuration expected_of_full() {
  Configuration expected;
  expected.interfaces = {"eth0", "eth1"};
  expected.mode = AttachMode::generic;
  expected.manage_vips = true;
  expected.on_stop = OnStop::keep;
  expected.timeouts = {seconds(900), seconds(60), seconds(5), seconds(30), seconds(3600)};
  expected.tables = {1, 2, 3, 9, 5000, 7};
  expected.refusals_per_second = 0;
  expected.services = {expected_a(), expected_b()};
  return expected;
}

TEST(ConfigCompile, TakesWhatIsGivenFromTheNearestLevel) {
  EXPECT_EQ(compiled(full), expected_of_full());
}

TEST(ConfigCompile, LoopbackFallbackIsLocalOfAnyFamily) {
  const Configuration configuration =
      compiled(with_services(R"({"name": "a", "vip": "2001:db8::1", "port": 80, "backends": []},)"
                             R"({"name": "b", "vip": "192.0.2.1", "port": 81, "backends": []})",
                             R"("forwarding": "nat", "fallback": {"address": "127.0.0.1"},)"));
  ASSERT_EQ(configuration.services.size(), 2U);
  for (const Service& service : configuration.services) {
    ASSERT_TRUE(service.fallback);
    EXPECT_EQ(service.fallback->forwarding, Forwarding::local);
    EXPECT_EQ(service.fallback->check.type, CheckType::none);
    EXPECT_EQ(service.fallback->endpoint, (Endpoint{address("127.0.0.1")}));
  }
}

TEST(ConfigCompile, FurtherEndpointsAreVariationsOfTheFirst) {
  const Service service = first_service(with_service(
      R"("also": [{"port": 443}, {"vip": "192.0.2.2"}, {"protocol": "udp", "port": 443},)"
      R"( {"port": "8000-8100"}, {"vip": "192.0.2.3", "port": 0}, {"port": "90-90"}],)",
      R"({"address": "192.0.2.11"})"));
  const auto at = [](const char* vip, uint16_t port, Protocol protocol = Protocol::tcp,
                     uint16_t last = 0) {
    return ServiceKey{{address(vip), port}, protocol, last};
  };
  EXPECT_EQ(service.key, at("192.0.2.1", 80));
  EXPECT_THAT(service.also, testing::ElementsAre(at("192.0.2.1", 443), at("192.0.2.2", 80),
                                                 at("192.0.2.1", 443, Protocol::udp),
                                                 at("192.0.2.1", 8000, Protocol::tcp, 8100),
                                                 at("192.0.2.3", 0), at("192.0.2.1", 90)));
}

TEST(ConfigCompile, AServiceOfAllPortsNeedsNoPortForNoCheck) {
  const Service service = first_service(with_services(
      R"({"name": "all", "vip": "192.0.2.1", "port": 0, "check": {"type": "none"},)"
      R"( "persistence": {"timeout": "60s"}, "backends": [{"address": "192.0.2.11"}]},)"
      R"({"name": "some", "vip": "192.0.2.1", "port": "1-65535", "backends": []})"));
  EXPECT_EQ(service.key, (ServiceKey{{address("192.0.2.1"), 0}}));
  ASSERT_EQ(service.backends.size(), 1U);
  EXPECT_EQ(service.backends[0].endpoint.port, 0);
}

TEST(ConfigCompile, PersistenceWithoutATimeoutLastsAsLongAsIpvsadms) {
  const Service service =
      first_service(with_service(R"("persistence": {},)", R"({"address": "192.0.2.11"})"));
  EXPECT_EQ(service.scheduling.persistence, seconds(300));
  EXPECT_EQ(service.scheduling.prefix, 128);
  EXPECT_TRUE(service.scheduling.expire_drained);
}

TEST(ConfigCompile, BackendMayServeTwoServices) {
  EXPECT_EQ(
      compiled(with_services(R"({"name": "a", "vip": "192.0.2.1", "port": 80, "forwarding": "nat",)"
                             R"( "backends": [{"address": "192.0.2.11"}]},)"
                             R"({"name": "b", "vip": "192.0.2.2", "port": 80, "forwarding": "nat",)"
                             R"( "backends": [{"address": "192.0.2.11"}]})"))
          .services.size(),
      2U);
}

TEST(ConfigCompile, SameVipAndPortOfAnotherProtocolIsAnotherService) {
  EXPECT_EQ(
      compiled(with_services(R"({"name": "a", "vip": "192.0.2.1", "port": 53, "backends": []},)"
                             R"({"name": "b", "vip": "192.0.2.1", "port": 53, "protocol": "udp",)"
                             R"( "backends": []})"))
          .services.size(),
      2U);
}

TEST(ConfigCompile, NumericAddressesAreNotLookedUp) {
  const Resolver failing = [](const std::string& name) -> Result<std::vector<Address>> {
    ADD_FAILURE() << name << " was looked up";
    return Error{"no"};
  };
  const std::string text = with_service(R"("fallback": {"address": "::ffff:192.0.2.12"},)",
                                        R"({"address": "192.0.2.11"})");
  EXPECT_TRUE(load_text(text, failing).configuration);
}

TEST(ConfigCompile, SystemResolvesLocalhost) {
  const auto addresses = resolve_by_system("localhost");
  ASSERT_TRUE(addresses) << addresses.error().message;
  EXPECT_TRUE(addresses->front().is_loopback());
}

class ConfigNote : public testing::TestWithParam<ProblemRow> {};

TEST_P(ConfigNote, IsTheOnlyOneAtItsPlaceAndNoError) {
  const std::string text = unmarked(GetParam());
  const Loaded loaded = load_text(text, resolve_example);
  EXPECT_TRUE(loaded.configuration);
  expect_only(loaded.notes, GetParam(), text);
}

INSTANTIATE_TEST_SUITE_P(
    , ConfigNote,
    testing::Values(
        ProblemRow{"no services", R"({"interfaces": ["eth0"], "services": ^[]})", "services",
                   "there are no services", ""},
        ProblemRow{
            "no backends",
            with_services(R"({"name": "a", "vip": "192.0.2.1", "port": 80, "backends": ^[]})"),
            "services[0].backends", "has no backends", ""},
        ProblemRow{"all weights 0",
                   with_services(R"({"name": "a", "vip": "192.0.2.1", "port": 80, "backends": ^[)"
                                 R"({"address": "192.0.2.11", "weight": 0}]})"),
                   "services[0].backends", "all weights are 0", ""},
        ProblemRow{"local fallback",
                   with_service(R"("fallback": {"address": ^"127.0.0.1"},)",
                                R"({"address": "192.0.2.11"})"),
                   "services[0].fallback.address",
                   R"(service "web" on the director must listen on 192.0.2.1:80 or 0.0.0.0:80)",
                   ""},
        ProblemRow{"local fallback of a v6 service",
                   with_services(R"({"name": "a", "vip": "2001:db8::1", "port": 80, "fallback": )"
                                 R"({"address": ^"::1"}, "backends": [)"
                                 R"({"address": "2001:db8::2"}]})"),
                   "services[0].fallback.address", "listen on [2001:db8::1]:80 or [::]:80", ""},
        ProblemRow{"global local fallback",
                   with_services(R"({"name": "a", "vip": "192.0.2.1", "port": 80, "backends": [)"
                                 R"({"address": "192.0.2.2"}]})",
                                 R"("fallback": {"address": ^"127.0.0.1"},)"),
                   "fallback.address", R"(service "a")", ""},
        ProblemRow{"local backend",
                   with_service("", R"({"address": ^"127.0.0.1", "forwarding": "local"})"),
                   "services[0].backends[0].address", "must listen on 192.0.2.1:80", ""},
        ProblemRow{"local backend of all ports",
                   with_services(R"({"name": "a", "vip": "192.0.2.1", "port": 0, "check": )"
                                 R"({"type": "none"}, "backends": [{"address": ^"127.0.0.1", )"
                                 R"("forwarding": "local"}]})"),
                   "services[0].backends[0].address", "must listen on 192.0.2.1 or 0.0.0.0, since",
                   ""},
        ProblemRow{"path of a tcp check", with_check(R"("path": ^"/up")"), "services[0].check.path",
                   "this is a tcp check", R"("type": "http")"},
        ProblemRow{"expectation of no check",
                   with_service("", R"({"address": "192.0.2.11", "check": {"type": "none", )"
                                    R"("expect": ^"ok"}})"),
                   "services[0].backends[0].check.expect", "this is a none check",
                   R"("type": "http")"}),
    row_name);

}  // namespace
}  // namespace xlvs::config
