// SPDX-License-Identifier: MIT
// Random and mutated packets: whatever comes in, what leaves is whole. XLVS_FUZZ_PACKETS sets how
// many, XLVS_FUZZ_SEED which ones.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <iostream>

#include "tests/harness/checksum.h"
#include "tests/harness/describe.h"
#include "tests/harness/fragments.h"
#include "tests/packet/cluster.h"
#include "tests/packet/mutate.h"

namespace xlvs::test {
namespace {

constexpr uint64_t packets_by_default = 1'000'000;
// The cluster's flows are forgotten so often, that flows are met again and also opened anew.
constexpr uint64_t packets_per_cluster_life = 5'000;

uint64_t number_from(const char* variable, uint64_t otherwise) {
  const char* text = std::getenv(variable);  // NOLINT(concurrency-mt-unsafe): one thread
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// What must hold for every packet; empty where it does.
std::string complaint(const Bytes& in, const Outcome& outcome) {
  if (outcome.verdict < 0) return "not counted exactly once";
  const auto verdict = static_cast<enum verdict>(outcome.verdict);
  const auto action = action_of(verdict);
  if (action && outcome.action != *action) return "action does not fit the verdict";
  if (outcome.action == XDP_DROP) return "";
  if (outcome.action == XDP_PASS) return outcome.frame == in ? "" : "passed, but changed";
  if (outcome.action != XDP_TX && outcome.action != XDP_REDIRECT) return "unknown action";

  const Findings came = inspect(in);
  const Findings leaves = inspect(outcome.frame);
  if (!leaves.ip_checksum_good) return "leaves with a wrong IPv4 header checksum";
  if (came.lengths_good && !leaves.lengths_good) return "leaves with wrong lengths";
  const bool answered = action.has_value();  // REFUSE: a packet of our own
  if (answered) return leaves.problem.value_or("");
  if (!came.problem && leaves.problem) return *leaves.problem;
  if (came.residue != leaves.residue) return "an error of the checksum has changed";
  if (came.quoted_residue != leaves.quoted_residue) return "an error of the quote has changed";
  if (!leaves.tunnel_good) return "leaves with a wrong checksum of its tunnel";
  const bool grows = verdict == FORWARD_TUN;
  if (grows ? outcome.frame.size() < in.size() + 20 : outcome.frame.size() != in.size()) {
    return "forwarded with another size";
  }
  return "";
}

// What left as it came, but for what is rewritten: out of the tunnel that it is in by now.
Bytes outside_of_tunnel(const Bytes& in, Bytes out) {
  out.erase(out.begin(), out.begin() + static_cast<ptrdiff_t>(out.size() - in.size()));
  std::copy_n(in.begin(), network_offset(in), out.begin());
  return out;
}

TEST(Fuzz, WhateverLeavesIsWhole) {
  const uint64_t seed = number_from("XLVS_FUZZ_SEED", 1);
  const uint64_t packets = number_from("XLVS_FUZZ_PACKETS", packets_by_default);
  std::cout << "XLVS_FUZZ_SEED=" << seed << " XLVS_FUZZ_PACKETS=" << packets << "\n";
  Mutator mutator(seed);
  Cluster cluster({.flows = 256, .pending = 256});
  std::array<uint64_t, VERDICT_COUNT> seen{};
  for (uint64_t i = 0; i < packets; ++i) {
    if (i % packets_per_cluster_life == 0) cluster.director.reset();
    const Bytes in = mutator.next();
    const Outcome outcome = cluster.director.run(in);
    const std::string wrong = complaint(in, outcome);
    ASSERT_EQ(wrong, "") << "packet " << i << ", " << verdict_name(outcome.verdict) << ", action "
                         << outcome.action << "\n"
                         << difference(in, outcome.frame);
    ++seen.at(static_cast<size_t>(outcome.verdict));
  }
  for (size_t verdict = 0; verdict < seen.size(); ++verdict) {
    std::cout << verdict_name(static_cast<int>(verdict)) << " " << seen.at(verdict) << "\n";
  }
  // A generator that reaches little would prove little.
  const auto reached = std::ranges::count_if(seen, [](uint64_t count) { return count > 0; });
  EXPECT_GE(reached, VERDICT_COUNT - 4);
}

// What leaves of a datagram in fragments makes a whole again, with as right a checksum as it had.
TEST(Fuzz, WhatLeavesInFragmentsIsWholeTogether) {
  const uint64_t seed = number_from("XLVS_FUZZ_SEED", 1);
  const uint64_t datagrams = number_from("XLVS_FUZZ_PACKETS", packets_by_default) / 50;
  Mutator mutator(seed);
  Cluster cluster({.flows = 256, .pending = 256, .fragments = 256});
  uint64_t whole = 0;
  for (uint64_t i = 0; i < datagrams; ++i) {
    if (i % packets_per_cluster_life == 0) cluster.director.reset();
    const std::vector<Bytes> in = mutator.fragments();
    std::vector<Bytes> out;
    for (const Bytes& fragment : in) {
      Outcome outcome = cluster.director.run(fragment);
      ASSERT_EQ(complaint(fragment, outcome), "") << verdict_name(outcome.verdict) << "\n"
                                                  << difference(fragment, outcome.frame);
      if (outcome.verdict == FORWARD_TUN) {
        outcome.frame = outside_of_tunnel(fragment, std::move(outcome.frame));
      }
      const bool forwarded = !action_of(static_cast<enum verdict>(outcome.verdict));
      if (forwarded) out.push_back(std::move(outcome.frame));
    }
    if (out.size() != in.size()) continue;
    const auto came = join(in);
    const auto leaves = join(out);
    if (!came) continue;
    ASSERT_TRUE(leaves) << "datagram " << i;
    ASSERT_EQ(inspect(*leaves).residue, inspect(*came).residue) << "datagram " << i << "\n"
                                                                << difference(*came, *leaves);
    whole += in.size() > 1 ? 1 : 0;
  }
  std::cout << whole << " of " << datagrams << " datagrams\n";
  EXPECT_GE(whole, datagrams / 10);
}

}  // namespace
}  // namespace xlvs::test
