// SPDX-License-Identifier: MIT
// What may be wrong with values that are right by themselves.
#include "tests/unit/config_rows.h"

namespace xlvs::config {
namespace {

class ConfigRelation : public testing::TestWithParam<ProblemRow> {};

TEST_P(ConfigRelation, IsTheOnlyErrorAtItsPlace) { expect_only_error(GetParam()); }

std::string many(const std::string& scheduler, int count) {
  std::string backends;
  for (int i = 0; i < count; ++i) {
    backends += (i == 0 ? "" : ",") + std::string(R"({"address": "10.)") +
                std::to_string(i / 62500) + "." + std::to_string(i / 250 % 250) + "." +
                std::to_string(1 + i % 250) + "\"}";
  }
  return with_services(R"({"name": "web", "vip": "192.0.2.1", "port": 80, "scheduler": ")" +
                           scheduler + R"(", "backends": ^[)" + backends + "]}",
                       R"("tables": {"backends": 100000},)");
}

INSTANTIATE_TEST_SUITE_P(
    , ConfigRelation,
    testing::Values(
        ProblemRow{"interface twice", R"({"interfaces": ["eth0", ^"eth0"], "services": []})",
                   "interfaces[1]", "is in the list twice", "remove"},
        ProblemRow{"dr with another port",
                   with_service("", R"({"address": "192.0.2.11", "port": ^8080})"),
                   "services[0].backends[0].port", "dr does not rewrite ports",
                   R"(or use "forwarding": "nat")"},
        ProblemRow{"local with another port",
                   with_service("", R"({"address": "127.0.0.1", "port": ^81, "forwarding":)"
                                    R"( "local"})"),
                   "services[0].backends[0].port", "local does not rewrite ports", "remove it"},
        ProblemRow{"backend twice", with_service("", "\n" + backend + ",\n^" + backend),
                   "services[0].backends[1]",
                   "192.0.2.11:80 is in this service twice, first at line 3", "weight"},
        ProblemRow{"backend twice, once with the service's port",
                   with_service("", backend + R"(, ^{"address": "192.0.2.11", "port": 80})"),
                   "services[0].backends[1]", "192.0.2.11:80 is in this service twice", "weight"},
        ProblemRow{"nat backend twice, once with the service's port",
                   with_service(R"("forwarding": "nat",)",
                                backend + R"(, ^{"address": "192.0.2.11", "port": 80})"),
                   "services[0].backends[1]", "192.0.2.11:80 is in this service twice", "weight"},
        ProblemRow{"backend of several ports twice",
                   with_service(R"("also": [{"port": 443}],)", backend + ", ^" + backend),
                   "services[0].backends[1]", "192.0.2.11 is in this service twice", "weight"},
        ProblemRow{"fallback that is a backend, named with the service's port",
                   with_service(R"("fallback": {"address": ^"192.0.2.11", "port": 80},)", backend),
                   "services[0].fallback.address", "192.0.2.11:80 is a backend of service",
                   "remove one"},
        ProblemRow{"5tuple for sh",
                   with_service(R"("scheduler": "sh", "hash": ^"5tuple",)", backend),
                   "services[0].hash", "sh hashes the source alone", R"("scheduler": "mh")"},
        ProblemRow{"ring of no prime",
                   with_service(R"("scheduler": "mh", "slots": ^4096,)", backend),
                   "services[0].slots", "251, 509, 1021, 2039, 4093, 8191, 16381, 32749 or 65521",
                   "write 8191"},
        ProblemRow{"prefix longer than the address",
                   with_service(R"("persistence": {"timeout": "60s", "prefix": ^33},)", backend),
                   "services[0].persistence.prefix", "an IPv4 address has 32 bits", "at most 32"},
        ProblemRow{"persistence for part of a second",
                   with_service(R"("persistence": {"timeout": ^"500ms"},)", backend),
                   "services[0].persistence.timeout", "expected a duration from 1s to 168h", ""},
        ProblemRow{"one packet of TCP", with_service(R"("one_packet": ^true,)", backend),
                   "services[0].one_packet", "only UDP", "remove it"},
        ProblemRow{"minimum above maximum",
                   with_service("", R"({"address": "192.0.2.11", "max_connections": 5,)"
                                    R"( "min_connections": ^6})"),
                   "services[0].backends[0].min_connections",
                   "must not be more than max_connections, which is 5", ""},
        ProblemRow{"minimum without a maximum",
                   with_service("", R"({"address": "192.0.2.11", "min_connections": ^5})"),
                   "services[0].backends[0].min_connections",
                   "must not be more than max_connections, which is 0", ""},
        ProblemRow{"more to compare than can be", many("wlc", 1025), "services[0].backends",
                   "wlc compares at most 1024 backends, these are 1025", R"("mh")"},
        ProblemRow{"more than a table has slots", many("wrr", 65537), "services[0].backends",
                   "a service has at most 65536 backends, these are 65537", "several services"},
        ProblemRow{
            "service name twice",
            two_services(R"({"name": ^"web", "vip": "192.0.2.2", "port": 80, "backends": []})"),
            "services[1].name", R"("web" is the name of the service at line 3 already)",
            "of its own"},
        ProblemRow{
            "service twice",
            two_services(R"({"name": "b", "vip": ^"192.0.2.1", "port": 80, "backends": []})"),
            "services[1].vip", R"(tcp 192.0.2.1:80 belongs to service "web" at line 3 already)",
            "one service"},
        ProblemRow{"endpoint twice in a service",
                   with_service(R"("also": [{"port": 443}, ^{"port": 443}],)", backend),
                   "services[0].also[1]", "tcp 192.0.2.1:443 is in this service twice", "remove"},
        ProblemRow{"endpoint of another service",
                   two_services(R"({"name": "b", "vip": "192.0.2.9", "port": 80, "backends": [],)"
                                R"("also": [^{"vip": "192.0.2.1"}]})"),
                   "services[1].also[0]",
                   R"(tcp 192.0.2.1:80 belongs to service "web" at line 3 already)", "one service"},
        ProblemRow{
            "ranges that overlap",
            with_service(R"("also": [{"port": "8000-8100"}, ^{"port": "8100-8200"}],)", backend),
            "services[0].also[1]", "tcp 192.0.2.1:8100-8200 overlaps 192.0.2.1:8000-8100", ""},
        ProblemRow{
            "range that lies in another",
            with_service(R"("also": [{"port": "8000-8100"}, ^{"port": "8010-8020"}],)", backend),
            "services[0].also[1]", "overlaps 192.0.2.1:8000-8100 of service \"web\"", ""},
        ProblemRow{"range that ends before it begins",
                   with_service(R"("also": [{"port": ^"8100-8000"}],)", backend),
                   "services[0].also[0].port", "ends before it begins", R"("8000-8100")"},
        ProblemRow{"range beyond the ports there are",
                   with_service(R"("also": [{"port": ^"60000-70000"}],)", backend),
                   "services[0].also[0].port", "goes beyond 1-65535", "0 for all"},
        ProblemRow{"range that begins with 0",
                   with_service(R"("also": [{"port": ^"0-10"}],)", backend),
                   "services[0].also[0].port", "goes beyond 1-65535", "0 for all"},
        ProblemRow{"further vip of another family",
                   with_service(R"("also": [{"vip": ^"2001:db8::1"}],)", backend),
                   "services[0].also[0].vip", "of one family, and its first is IPv4",
                   "a service of its own"},
        ProblemRow{"dr with a port where the service has several",
                   with_service(R"("also": [{"port": 443}],)",
                                R"({"address": "192.0.2.11", "port": ^80})"),
                   "services[0].backends[0].port",
                   "dr does not rewrite ports, and the service has several",
                   R"(or use "forwarding": "nat")"},
        ProblemRow{
            "backend that is a further vip",
            with_service(R"("also": [{"vip": "192.0.2.11"}],)", R"({"address": ^"192.0.2.11"})"),
            "services[0].backends[0].address", "is the vip itself", "own address"},
        ProblemRow{"check without a port to ask",
                   with_services(R"({"name": "all", "vip": "192.0.2.1", "port": 0,)"
                                 R"( "backends": [{"address": ^"192.0.2.11"}]})"),
                   "services[0].backends[0].address", "no single port that its check could ask",
                   R"("port" in "check")"},
        ProblemRow{"one packet where not all is UDP",
                   with_services(R"({"name": "dns", "vip": "192.0.2.1", "port": 53,)"
                                 R"( "protocol": "udp", "also": [{"protocol": "tcp"}],)"
                                 R"( "one_packet": ^true, "backends": []})"),
                   "services[0].one_packet", "only UDP", "remove it"},
        ProblemRow{"fallback is a backend",
                   with_service(R"("fallback": {"address": ^"192.0.2.11"},)", backend),
                   "services[0].fallback.address", R"(is a backend of service "web" already)",
                   "remove"},
        ProblemRow{"global fallback is a backend",
                   with_services(R"({"name": "web", "vip": "192.0.2.1", "port": 80,)"
                                 R"( "backends": [{"address": "192.0.2.11"}]})",
                                 R"("fallback": {"address": ^"192.0.2.11"},)"),
                   "fallback.address", R"(is a backend of service "web" already)",
                   R"("fallback": null)"},
        ProblemRow{
            "loopback fallback by dr",
            with_service(R"("fallback": {"address": "127.0.0.1", "forwarding": ^"dr"},)", backend),
            "services[0].fallback.forwarding", "which dr cannot reach", R"("forwarding": "local")"},
        ProblemRow{"loopback fallback with another port",
                   with_service(R"("fallback": {"address": "127.0.0.1", "port": ^81},)", backend),
                   "services[0].fallback.port", "local does not rewrite ports", "remove it"},
        ProblemRow{"global fallback of another family",
                   with_services(R"({"name": "web", "vip": "192.0.2.1", "port": 80,)"
                                 R"( "backends": [{"address": "192.0.2.11"}]})",
                                 R"("fallback": {"address": ^"2001:db8::9"},)"),
                   "fallback.address", R"(for service "web": an IPv6 address cannot serve)", ""},
        ProblemRow{"unused global fallback does not resolve",
                   with_services("", R"("fallback": {"address": ^"nowhere"},)"), "fallback.address",
                   R"(cannot resolve "nowhere")", "IP address"},
        ProblemRow{"expression that is none",
                   with_check(R"("type": "http", "expect_regex": ^"(a")"),
                   "services[0].check.expect_regex", "is not a regular expression", R"("expect")"},
        ProblemRow{"expression that is none, globally",
                   with_services("", R"("check": {"expect_regex": ^"[a"},)"), "check.expect_regex",
                   "is not a regular expression", R"("expect")"},
        ProblemRow{"more services than the table holds",
                   with_services(R"({"name": "a", "vip": "192.0.2.1", "port": 80, "backends": []},)"
                                 R"({"name": "b", "vip": "192.0.2.2", "port": 80, "backends": []})",
                                 R"("tables": {"services": ^2},)"),
                   "tables.services",
                   "room for 1, but the file's services and their further endpoints are 2",
                   "write at least 3"},
        ProblemRow{"more backends than the table holds",
                   with_services(R"({"name": "a", "vip": "192.0.2.1", "port": 80, "fallback":)"
                                 R"( {"address": "127.0.0.1"}, "backends": )"
                                 R"([{"address": "192.0.2.11"}]})",
                                 R"("tables": {"backends": ^2},)"),
                   "tables.backends", "room for 1, but the file's backends and fallbacks are 2",
                   "write at least 3"},
        // Turns 2 1 1 and a cursor, twice.
        ProblemRow{"larger tables than there is room for",
                   with_services(R"({"name": "a", "vip": "192.0.2.1", "port": 80, "backends": )"
                                 R"([{"address": "192.0.2.11", "weight": 4},)"
                                 R"( {"address": "192.0.2.12", "weight": 2}]})",
                                 R"("tables": {"slots": ^8},)"),
                   "tables.slots",
                   "room for 7, but the file's tables, with the largest of them twice, are 8",
                   "write at least 9"}),
    row_name);

}  // namespace
}  // namespace xlvs::config
