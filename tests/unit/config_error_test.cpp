// SPDX-License-Identifier: MIT
// What may be wrong with a value by itself, and how errors are told.
#include "tests/unit/config_rows.h"

namespace xlvs::config {
namespace {

class ConfigError : public testing::TestWithParam<ProblemRow> {};

TEST_P(ConfigError, IsTheOnlyOneAtItsPlace) { expect_only_error(GetParam()); }

// What the schema says, and the words for it.
INSTANTIATE_TEST_SUITE_P(
    Schema, ConfigError,
    testing::Values(
        ProblemRow{"not an object", "^[]", "", "expected an object { }, found a list [ ]", ""},
        ProblemRow{"empty object lacks interfaces", R"(^{"services": []})", "",
                   R"(the key "interfaces" is missing)", ""},
        ProblemRow{"no services", R"(^{"interfaces": ["eth0"]})", "",
                   R"(the key "services" is missing)", ""},
        ProblemRow{"no interface", R"({"interfaces": ^[], "services": []})", "interfaces",
                   "must not be empty", ""},
        ProblemRow{"interface name with slash",
                   R"({"interfaces": ["eth0", ^"a/b"], "services": []})", "interfaces[1]",
                   "expected the name of a network interface", ""},
        ProblemRow{"unknown key near a known one", with_services("", R"(^"manage_vip": true,)"),
                   "manage_vip", "is not a key here", R"(did you mean "manage_vips"?)"},
        ProblemRow{"unknown key near none", with_services("", R"(^"colour": 1,)"), "colour",
                   "is not a key here", "known are $schema, check,"},
        ProblemRow{"misspelt required key is one problem, not two",
                   with_service("", R"({^"adress": "192.0.2.11"})"),
                   "services[0].backends[0].adress", "is not a key here",
                   R"(did you mean "address"?)"},
        ProblemRow{"key with a dot", with_services("", R"(^"a.b/c": 1,)"), "a.b/c",
                   "is not a key here", "known are"},
        ProblemRow{"duplicate key",
                   with_services("", "\n\"mode\": \"native\",\n^\"mode\": \"generic\","), "mode",
                   "is given twice, first at line 2", "remove"},
        ProblemRow{"string for an integer",
                   with_service("", R"({"address": "192.0.2.11", "weight": ^"5"})"),
                   "services[0].backends[0].weight",
                   R"(expected an integer from 0 to 65535, found the string "5")",
                   "write 5 without quotes"},
        ProblemRow{"weight over the range",
                   with_service("", R"({"address": "192.0.2.11", "weight": ^65536})"),
                   "services[0].backends[0].weight", "from 0 to 65535, found the number 65536", ""},
        ProblemRow{"weight under the range",
                   with_service("", R"({"address": "192.0.2.11", "weight": ^-1})"),
                   "services[0].backends[0].weight", "from 0 to 65535, found the number -1", ""},
        ProblemRow{
            "integer beyond 64 bits",
            with_service("", R"({"address": "192.0.2.11", "weight": ^18446744073709551615})"),
            "services[0].backends[0].weight", "found the number 18446744073709551615", ""},
        ProblemRow{"fraction for an integer",
                   with_service("", R"({"address": "192.0.2.11", "weight": ^1.0})"),
                   "services[0].backends[0].weight", "expected an integer", ""},
        ProblemRow{"object for a list", R"({"interfaces": ["eth0"], "services": ^{}})", "services",
                   "expected a list [ ], found an object { }", "put it in [ ]"},
        ProblemRow{"string for a boolean", with_services("", R"("manage_vips": ^"yes",)"),
                   "manage_vips", R"(expected true or false, found the string "yes")", ""},
        ProblemRow{"enum word near a known one", with_service(R"("scheduler": ^"wwrr",)", backend),
                   "services[0].scheduler", R"("lblc" or "lblcr", found the string "wwrr")",
                   R"(did you mean "wrr"?)"},
        ProblemRow{"enum word in capitals", with_service(R"("forwarding": ^"NAT",)", backend),
                   "services[0].forwarding", "", R"(did you mean "nat"?)"},
        ProblemRow{"enum word near none", with_service(R"("protocol": ^"quic",)", backend),
                   "services[0].protocol",
                   R"(expected "tcp", "udp" or "sctp", found the string "quic")", ""},
        ProblemRow{"service name too long",
                   with_services(R"({"name": ^"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "vip": )"
                                 R"("192.0.2.1", "port": 80, "backends": []})"),
                   "services[0].name", "expected at most 31 characters, found 32", ""},
        ProblemRow{"service name with a space",
                   with_services(R"({"name": ^"a b", "vip": "192.0.2.1", "port": 80,)"
                                 R"( "backends": []})"),
                   "services[0].name", "expected a name of 1 to 31 letters", ""},
        ProblemRow{"service name empty",
                   with_services(R"({"name": ^"", "vip": "192.0.2.1", "port": 80,)"
                                 R"( "backends": []})"),
                   "services[0].name", "must not be empty", "a name of 1 to 31"},
        ProblemRow{"port 0", with_service("", R"({"address": "192.0.2.11", "port": ^0})"),
                   "services[0].backends[0].port", "from 1 to 65535", ""},
        ProblemRow{"status out of range", with_check(R"("type": "http", "status": ^99)"),
                   "services[0].check.status",
                   "expected an integer from 100 to 599 or a list [ ], found the number 99", ""},
        ProblemRow{"status out of range in a list",
                   with_check(R"("type": "http", "status": [200, ^600])"),
                   "services[0].check.status[1]", "from 100 to 599", ""},
        ProblemRow{"jitter out of range", with_check(R"("jitter": ^0.51)"),
                   "services[0].check.jitter", "expected a number from 0 to 0.5", ""},
        ProblemRow{"path with a line break", with_check(R"("type": "http", "path": ^"/a\nb")"),
                   "services[0].check.path", "expected a path", ""},
        ProblemRow{"host with a line break", with_check(R"("type": "http", "host": ^"a\r\nb")"),
                   "services[0].check.host", "expected a host name", ""}),
    row_name);

INSTANTIATE_TEST_SUITE_P(
    Durations, ConfigError,
    testing::Values(ProblemRow{"bare number", with_check(R"("timeout": ^3)"),
                               "services[0].check.timeout", "found the number 3", R"(write "3s")"},
                    ProblemRow{"number in quotes", with_check(R"("timeout": ^"3")"),
                               "services[0].check.timeout",
                               R"(expected a duration such as "500ms")", R"(write "3s")"},
                    ProblemRow{"space before the unit", with_check(R"("timeout": ^"3 s")"),
                               "services[0].check.timeout", "", R"(write "3s")"},
                    ProblemRow{"unit in words", with_check(R"("timeout": ^"3 minutes")"),
                               "services[0].check.timeout", "", R"(write "3m")"},
                    ProblemRow{"milliseconds in words", with_check(R"("timeout": ^"300msec")"),
                               "services[0].check.timeout", "", R"(write "300ms")"},
                    ProblemRow{"unknown unit", with_check(R"("timeout": ^"3 weeks")"),
                               "services[0].check.timeout", "", ""},
                    ProblemRow{"negative", with_check(R"("timeout": ^"-3s")"),
                               "services[0].check.timeout", "", ""},
                    ProblemRow{"too short an interval", with_check(R"("interval": ^"9ms")"),
                               "services[0].check.interval", "from 10ms to 24h", ""},
                    ProblemRow{"too long an interval", with_check(R"("interval": ^"25h")"),
                               "services[0].check.interval", "from 10ms to 24h", ""},
                    ProblemRow{"zero timeout", with_check(R"("timeout": ^"0s")"),
                               "services[0].check.timeout", "from 1ms to 1h", ""},
                    ProblemRow{"too many digits", with_check(R"("timeout": ^"99999999999s")"),
                               "services[0].check.timeout", "expected", ""},
                    ProblemRow{"flow timeout in parts of a second",
                               with_services("", R"("timeouts": {"tcp": ^"1500ms"},)"),
                               "timeouts.tcp", "expected whole seconds", R"(write "2s")"},
                    ProblemRow{"flow timeout too long",
                               with_services("", R"("timeouts": {"udp": ^"169h"},)"),
                               "timeouts.udp", "from 1s to 168h", ""}),
    row_name);

// What only the compiler can know.
INSTANTIATE_TEST_SUITE_P(
    Addresses, ConfigError,
    testing::Values(
        ProblemRow{"unresolvable backend", with_service("", R"({"address": ^"nowhere.example"})"),
                   "services[0].backends[0].address", R"(cannot resolve "nowhere.example")",
                   "IP address"},
        ProblemRow{"number out of range", with_service("", R"({"address": ^"192.0.2.300"})"),
                   "services[0].backends[0].address", "neither an IP address nor a host name",
                   "192.0.2.1"},
        ProblemRow{"two numbers", with_service("", R"({"address": ^"10.1"})"),
                   "services[0].backends[0].address", "neither an IP address nor a host name",
                   "192.0.2.1"},
        ProblemRow{"prefix length", with_service("", R"({"address": ^"192.0.2.11/24"})"),
                   "services[0].backends[0].address", "neither", R"(write "192.0.2.11")"},
        ProblemRow{"with port", with_service("", R"({"address": ^"192.0.2.11:80"})"),
                   "services[0].backends[0].address", "neither", R"(write "192.0.2.11" and the)"},
        ProblemRow{"v6 with port", with_service("", R"({"address": ^"[2001:db8::1]:80"})"),
                   "services[0].backends[0].address", "neither", R"(write "2001:db8::1" and the)"},
        ProblemRow{"v6 in brackets", with_service("", R"({"address": ^"[2001:db8::1]"})"),
                   "services[0].backends[0].address", "neither", "without brackets"},
        ProblemRow{"v6 with a zone", with_service("", R"({"address": ^"fe80::1%eth0"})"),
                   "services[0].backends[0].address", "neither", "write it like"},
        ProblemRow{"multicast backend", with_service("", R"({"address": ^"224.0.0.1"})"),
                   "services[0].backends[0].address", "is a multicast address", ""},
        ProblemRow{"unspecified backend", with_service("", R"({"address": ^"::"})"),
                   "services[0].backends[0].address", "is no particular address", ""},
        ProblemRow{"broadcast backend", with_service("", R"({"address": ^"255.255.255.255"})"),
                   "services[0].backends[0].address", "is the broadcast address", ""},
        ProblemRow{"loopback backend by dr", with_service("", R"({"address": ^"127.0.0.1"})"),
                   "services[0].backends[0].address", "which dr cannot reach",
                   R"("forwarding": "local")"},
        ProblemRow{"loopback backend by nat",
                   with_service("", R"({"address": "::1", "forwarding": ^"nat"})"),
                   "services[0].backends[0].forwarding", "which nat cannot reach",
                   R"("forwarding": "local")"},
        ProblemRow{"the vip as backend", with_service("", R"({"address": ^"192.0.2.1"})"),
                   "services[0].backends[0].address", "is the vip itself", "own address"},
        ProblemRow{"v6 backend of a v4 vip", with_service("", R"({"address": ^"2001:db8::1"})"),
                   "services[0].backends[0].address",
                   "an IPv6 address cannot serve an IPv4 vip by dr", ""},
        ProblemRow{"v4 backend of a v6 vip",
                   with_services(R"({"name": "a", "vip": "2001:db8::1", "port": 80, "forwarding":)"
                                 R"( "nat", "backends": [{"address": ^"192.0.2.1"}]})"),
                   "services[0].backends[0].address",
                   "an IPv4 address cannot serve an IPv6 vip by nat", ""},
        ProblemRow{"v6 name for a v4 vip", with_service("", R"({"address": ^"v6.example.net"})"),
                   "services[0].backends[0].address", "cannot serve an IPv4 vip", ""},
        ProblemRow{
            "loopback vip",
            two_services(R"({"name": "b", "vip": ^"127.0.0.1", "port": 80, "backends": []})"),
            "services[1].vip", "must be reachable by clients", ""},
        ProblemRow{"multicast vip",
                   two_services(R"({"name": "b", "vip": ^"ff02::1", "port": 80, "backends": []})"),
                   "services[1].vip", "is a multicast address", ""},
        ProblemRow{"unresolvable vip",
                   two_services(R"({"name": "b", "vip": ^"nowhere", "port": 80, "backends": []})"),
                   "services[1].vip", R"(cannot resolve "nowhere")", "IP address"}),
    row_name);

INSTANTIATE_TEST_SUITE_P(
    Endpoints, ConfigError,
    testing::Values(ProblemRow{"service port as a string",
                               with_services(R"({"name": "a", "vip": "192.0.2.1", "port": ^"80",)"
                                             R"( "backends": []})"),
                               "services[0].port", "a port from 0 (all) to 65535, or a range",
                               "write 80 without quotes"},
                    ProblemRow{"service port of a word",
                               with_services(R"({"name": "a", "vip": "192.0.2.1", "port": ^"http",)"
                                             R"( "backends": []})"),
                               "services[0].port", R"(found the string "http")", ""},
                    ProblemRow{"service port out of range",
                               with_services(R"({"name": "a", "vip": "192.0.2.1", "port": ^65536,)"
                                             R"( "backends": []})"),
                               "services[0].port", "found the number 65536", ""},
                    ProblemRow{"misspelt key of an endpoint",
                               with_service(R"("also": [{^"prot": 443}],)", backend),
                               "services[0].also[0].prot", "is not a key here", R"("port")"}),
    row_name);

// Errors that are only consequences of another are not reported, the others are.
TEST(ConfigErrors, AreAllReportedByPosition) {
  const std::string text = R"({"interfaces": [],
"forwardng": "nat",
"services": [
{"name": "a", "vip": "192.0.2.1", "port": 80, "forwardin": "nat", "backends": [
  {"address": "192.0.2.11", "port": 8080}]},
{"name": "b", "vip": "192.0.2.1", "port": 81, "backends": [
  {"address": "192.0.2.11", "port": 8080}]}]})";
  const Loaded loaded = load_text(text, resolve_example);
  std::vector<std::string> keys;
  for (const Problem& error : loaded.errors) keys.push_back(error.key);
  EXPECT_EQ(keys, (std::vector<std::string>{"interfaces", "forwardng", "services[0].forwardin"}));
}

TEST(ConfigErrors, OfTheSchemaDoNotHideThoseOfTheCompiler) {
  const std::string text = with_services(
      R"({"name": "a", "vip": "192.0.2.1", "port": 80, "backends": [
  {"address": "192.0.2.11", "weight": -1},
  {"address": "192.0.2.12", "port": 8080},
  {"address": "nowhere"}]})",
      R"("mode": "driver",)");
  const Loaded loaded = load_text(text, resolve_example);
  std::vector<std::string> keys;
  for (const Problem& error : loaded.errors) keys.push_back(error.key);
  EXPECT_EQ(keys, (std::vector<std::string>{"mode", "services[0].backends[0].weight",
                                            "services[0].backends[1].port",
                                            "services[0].backends[2].address"}));
  EXPECT_TRUE(std::is_sorted(loaded.errors.begin(), loaded.errors.end()));
}

TEST(ConfigErrors, OfOneUnresolvableNameAreFoundByOneLookup) {
  int lookups = 0;
  const Resolver counting = [&](const std::string& name) -> Result<std::vector<Address>> {
    ++lookups;
    return Error{"cannot resolve \"" + name + "\""};
  };
  const std::string text = with_service(
      "", R"({"address": "nowhere"}, {"address": "nowhere"}, {"address": "10.0.0.300"})");
  EXPECT_EQ(load_text(text, counting).errors.size(), 3U);
  EXPECT_EQ(lookups, 1);
}

TEST(ConfigErrors, TextNamesFileAndPlace) {
  const Problem problem{3, 14, "services[0].port", "is wrong", "write 80"};
  EXPECT_EQ(problem.text("x.json"), "x.json:3:14: services[0].port: is wrong; write 80");
  EXPECT_EQ((Problem{0, 0, "", "cannot open", ""}.text("x.json")), "x.json: cannot open");
}

TEST(ConfigErrors, UnreadableFileIsOne) {
  const Loaded missing = load_file("/nonexistent/xlvs.json");
  ASSERT_EQ(missing.errors.size(), 1U);
  EXPECT_EQ(missing.errors[0].text("f"), "f: cannot open: No such file or directory");
  const Loaded folder = load_file("/");
  ASSERT_EQ(folder.errors.size(), 1U);
  EXPECT_EQ(folder.errors[0].text("f"), "f: cannot read: Is a directory");
}

}  // namespace
}  // namespace xlvs::config
