// SPDX-License-Identifier: MIT
#include <gmock/gmock.h>

#include <set>

#include "loader/state/diff.h"
#include "loader/state/effective.h"

namespace xlvs {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const ServiceKey web{{*Address::parse("192.0.2.1"), 80}, Protocol::tcp};

BackendKey key(const char* address, bool fallback = false) {
  return {{*Address::parse(address), 80}, Forwarding::dr, fallback};
}

BackendEntry entry(const char* address, BackendState state = BackendState::up,
                   uint32_t weight = 1) {
  return {key(address), weight, state, Egress{{}, 1}};
}

State state(std::vector<BackendEntry> backends) {
  return {{web, whole({.key = web,
                       .name = "web",
                       .scheduling = {Scheduler::rr},
                       .backends = std::move(backends)})}};
}

// The changes as short words, in their order.
std::vector<std::string> words(const std::vector<Change>& changes) {
  struct Word {
    std::string operator()(const AddService&) const { return "add"; }
    std::string operator()(const PutBackend& put) const {
      return "put " + put.backend.key.endpoint.address.text();
    }
    std::string operator()(const SetTable& table) const {
      std::string text = "table";
      for (const auto& member : table.members) {
        text += " " + member.key.endpoint.address.text() + "=" + std::to_string(member.weight);
      }
      return text;
    }
    std::string operator()(const OpenEndpoint& open) const {
      return open.endpoint == web ? "open" : "open " + open.endpoint.text();
    }
    std::string operator()(const CloseEndpoint& close) const {
      return "close " + close.endpoint.text();
    }
    std::string operator()(const RemoveBackend& remove) const {
      return (remove.with_flows ? "end " : "drain ") + remove.backend.endpoint.address.text();
    }
    std::string operator()(const RemoveService&) const { return "remove"; }
  };
  std::vector<std::string> list;
  for (const auto& change : changes) list.push_back(std::visit(Word{}, change));
  return list;
}

TEST(Diff, of_equal_states_is_nothing) {
  const State same = state({entry("10.0.0.1"), entry("10.0.0.2", BackendState::down)});
  EXPECT_THAT(diff(same, same), IsEmpty());
  EXPECT_THAT(diff({}, {}), IsEmpty());
}

TEST(Diff, opens_a_service_only_when_it_is_whole) {
  EXPECT_THAT(
      words(diff({}, state({entry("10.0.0.1", BackendState::down), entry("10.0.0.2")}))),
      ElementsAre("add", "put 10.0.0.1", "put 10.0.0.2", "table 10.0.0.2=1 10.0.0.1=0", "open"));
}

TEST(Diff, closes_a_service_before_its_backends_go) {
  EXPECT_THAT(words(diff(state({entry("10.0.0.1")}), {})), ElementsAre("remove", "end 10.0.0.1"));
}

TEST(Diff, takes_a_backend_out_of_the_table_before_it_is_worse) {
  EXPECT_THAT(words(diff(state({entry("10.0.0.1"), entry("10.0.0.2")}),
                         state({entry("10.0.0.1", BackendState::down), entry("10.0.0.2")}))),
              ElementsAre("table 10.0.0.2=1 10.0.0.1=0", "put 10.0.0.1"));
}

TEST(Diff, completes_a_backend_before_the_table_names_it) {
  EXPECT_THAT(words(diff(state({entry("10.0.0.1", BackendState::down)}),
                         state({entry("10.0.0.1", BackendState::up, 3)}))),
              ElementsAre("put 10.0.0.1", "table 10.0.0.1=3"));
}

TEST(Diff, puts_a_new_backend_that_cannot_serve_before_the_table_that_lists_it) {
  EXPECT_THAT(words(diff(state({entry("10.0.0.1")}),
                         state({entry("10.0.0.1"), entry("10.0.0.2", BackendState::unknown)}))),
              ElementsAre("put 10.0.0.2", "table 10.0.0.2=0 10.0.0.1=1"));
}

TEST(Diff, drains_what_is_no_longer_configured) {
  EXPECT_THAT(
      words(diff(state({entry("10.0.0.1"), entry("10.0.0.2")}), state({entry("10.0.0.2")}))),
      ElementsAre("put 10.0.0.2", "table 10.0.0.2=1", "drain 10.0.0.1"));
}

TEST(Diff, writes_a_new_neighbour_without_a_new_table) {
  auto moved = entry("10.0.0.1");
  moved.egress = Egress{{{2, 0, 0, 0, 0, 9}}, 1};
  EXPECT_THAT(words(diff(state({entry("10.0.0.1")}), state({moved}))), ElementsAre("put 10.0.0.1"));
}

// ---- further endpoints ----

const ServiceKey secure{{*Address::parse("192.0.2.1"), 443}, Protocol::tcp};
const ServiceKey elsewhere{{*Address::parse("192.0.2.9"), 80}, Protocol::tcp};

ServiceEntry with_endpoints(const ServiceKey& service, std::set<ServiceKey> also) {
  return whole(
      {.key = service, .name = "web", .scheduling = {Scheduler::rr}, .open = std::move(also)});
}

TEST(Diff, opens_and_closes_further_endpoints) {
  const State one{{web, with_endpoints(web, {})}};
  const State two{{web, with_endpoints(web, {secure})}};
  EXPECT_THAT(words(diff({}, two)), ElementsAre("add", "table", "open", "open tcp 192.0.2.1:443"));
  EXPECT_THAT(words(diff(one, two)), ElementsAre("open tcp 192.0.2.1:443"));
  EXPECT_THAT(words(diff(two, one)), ElementsAre("close tcp 192.0.2.1:443"));
}

TEST(Diff, never_closes_an_endpoint_that_goes_to_another_service) {
  const State before{{web, with_endpoints(web, {secure})},
                     {elsewhere, with_endpoints(elsewhere, {})}};
  const State after{{web, with_endpoints(web, {})},
                    {elsewhere, with_endpoints(elsewhere, {secure})}};
  EXPECT_THAT(words(diff(before, after)), ElementsAre("open tcp 192.0.2.1:443"));
  EXPECT_THAT(words(diff(after, before)), ElementsAre("open tcp 192.0.2.1:443"));
}

TEST(Diff, removes_a_service_after_others_took_its_endpoints_over) {
  const State before{{web, with_endpoints(web, {secure})},
                     {elsewhere, with_endpoints(elsewhere, {})}};
  const State after{{elsewhere, with_endpoints(elsewhere, {web})}};
  EXPECT_THAT(words(diff(before, after)), ElementsAre("open", "remove"));
}

TEST(Diff, tries_again_what_failed) {
  const State wanted = state({entry("10.0.0.1")});
  State applied = wanted;
  applied.at(web).open.clear();
  EXPECT_THAT(words(diff(applied, wanted)), ElementsAre("open"));
  applied.at(web).table.reset();
  EXPECT_THAT(words(diff(applied, wanted)), ElementsAre("table 10.0.0.1=1", "open"));
  applied.at(web).backends.clear();
  EXPECT_THAT(words(diff(applied, wanted)),
              ElementsAre("put 10.0.0.1", "table 10.0.0.1=1", "open"));
}

TEST(Members, are_the_fallback_when_nobody_else_can_serve) {
  ServiceEntry service{.key = web, .backends = {entry("10.0.0.1", BackendState::down)}};
  BackendEntry sorry{key("127.0.0.1", true), 1, BackendState::up, {}};
  service.backends.push_back(sorry);
  EXPECT_THAT(members(service),
              ElementsAre(Member{sorry.key, 1, 1}, Member{key("10.0.0.1"), 0, 0}));
  service.backends[0].state = BackendState::up;
  EXPECT_THAT(members(service), ElementsAre(Member{key("10.0.0.1"), 1, 1}));
}

// ---- effective ----

Configuration two_backends(OnFailure on_failure) {
  Configuration configuration;
  Service service{.name = "web", .key = web, .on_failure = on_failure};
  service.backends.push_back({.endpoint = {*Address::parse("10.0.0.1"), 80}, .weight = 2});
  service.backends.push_back({.endpoint = {*Address::parse("10.0.0.2"), 80}, .weight = 1});
  configuration.services.push_back(service);
  return configuration;
}

// All are up and reachable, but for one.
Observe all_up_but(const char* address, Observation other) {
  return [=](const Service&, const Backend& backend, bool) {
    if (backend.endpoint.address.text() == address) return other;
    return Observation{Observation::Checked::up, true, Egress{{}, 1}};
  };
}

std::vector<std::string> order(const State& state) {
  std::vector<std::string> list;
  for (const auto& backend : state.at(web).backends) {
    list.push_back(backend.key.endpoint.address.text());
  }
  return list;
}

TEST(Effective, tells_why_a_backend_does_not_serve) {
  using Checked = Observation::Checked;
  const auto state_of = [](OnFailure on_failure, Observation seen) {
    return effective(two_backends(on_failure), all_up_but("10.0.0.1", seen), {})
        .at(web)
        .find(key("10.0.0.1"))
        ->state;
  };
  EXPECT_EQ(state_of(OnFailure::drain, {Checked::down, true, {}}), BackendState::down);
  EXPECT_EQ(state_of(OnFailure::remove, {Checked::down, true, {}}), BackendState::gone);
  EXPECT_EQ(state_of(OnFailure::drain, {Checked::unknown, true, {}}), BackendState::unknown);
  EXPECT_EQ(state_of(OnFailure::drain, {Checked::up, false, {}}), BackendState::unresolved);
  EXPECT_EQ(state_of(OnFailure::drain, {Checked::up, true, {}}), BackendState::up);
}

TEST(Effective, keeps_a_drained_backends_place_and_moves_a_removed_one) {
  const Observation down{Observation::Checked::down, true, {}};
  for (const auto& [on_failure, after] :
       {std::pair{OnFailure::drain, std::vector<std::string>{"10.0.0.1", "10.0.0.2"}},
        std::pair{OnFailure::remove, std::vector<std::string>{"10.0.0.2", "10.0.0.1"}}}) {
    const auto configuration = two_backends(on_failure);
    const State first = effective(configuration, all_up_but("", {}), {});
    const State failed = effective(configuration, all_up_but("10.0.0.1", down), first);
    const State returned = effective(configuration, all_up_but("", {}), failed);
    EXPECT_EQ(order(returned), after);
  }
}

}  // namespace
}  // namespace xlvs
