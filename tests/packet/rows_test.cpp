// SPDX-License-Identifier: MIT
// Packet in, verdict and packet out.
#include <gtest/gtest.h>
#include <sys/utsname.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <set>
#include <sstream>
#include <utility>

#include "tests/harness/checksum.h"
#include "tests/harness/describe.h"
#include "tests/packet/row.h"
#include "tests/packet/row_name.h"

namespace xlvs::test {
namespace {

std::vector<Row> all_rows() {
  std::vector<Row> all;
  for (const auto& rows : {pass_rows(), forward_rows(), header_rows(), refuse_rows(), icmp_rows(),
                           drop_rows(), jumbo_rows(), tunnel_rows(), mss_rows()}) {
    std::ranges::copy(rows, std::back_inserter(all));
  }
  return all;
}

int expected_action(const Row& row) {
  if (const auto action = action_of(row.verdict)) return *action;
  if (row.verdict == FORWARD_LOCAL) return XDP_PASS;
  return row.redirected ? XDP_REDIRECT : XDP_TX;
}

// Is the running kernel an older one?
bool is_before(int version, int patchlevel) {
  utsname kernel{};
  int running_version = 0;
  int running_patchlevel = 0;
  if (uname(&kernel) != 0) return false;
  char dot = 0;
  std::istringstream(kernel.release) >> running_version >> dot >> running_patchlevel;
  return std::pair(running_version, running_patchlevel) < std::pair(version, patchlevel);
}

// What the director has chosen of the outer headers, put into what is expected of it.
Packet with_choices_of(const Bytes& frame, Packet packet) {
  const auto ip = std::ranges::find_if(packet.layers, [](const Layer& layer) {
    return std::holds_alternative<IPv4>(layer) || std::holds_alternative<IPv6>(layer);
  });
  // In front of it are Ethernet and tags.
  const size_t start = 14 + 4 * static_cast<size_t>(ip - packet.layers.begin() - 1);
  const auto word = [&](size_t at) {
    return at + 1 < frame.size() ? static_cast<uint16_t>(frame[at] << 8 | frame[at + 1])
                                 : uint16_t{0};
  };
  auto* const v4 = std::get_if<IPv4>(&*ip);
  // RFC 6864, 4: one that must not be split up needs none.
  if (v4 != nullptr) v4->id = v4->dont_fragment ? 0 : word(start + 4);
  if (auto* udp = std::get_if<UDP>(&*(ip + 1))) {
    udp->sport = word(start + (v4 != nullptr ? 20 : 40));
    EXPECT_GE(udp->sport, 32768);
    EXPECT_LE(udp->sport, 60999);
  }
  return packet;
}

// Loading takes the kernel longer than a thousand packets, so the rows share one cluster.
class Rows : public testing::TestWithParam<Row> {
 public:
  static void SetUpTestSuite() { cluster_ = std::make_unique<Cluster>(); }
  static void TearDownTestSuite() { cluster_.reset(); }
  void SetUp() override { cluster_->director.reset(); }

  static std::unique_ptr<Cluster> cluster_;
};
std::unique_ptr<Cluster> Rows::cluster_;

TEST_P(Rows, Become) {
  const Row& row = GetParam();
  Cluster& cluster = *cluster_;
  for (const Packet& packet : row.before) cluster.director.run(packet);
  if (row.prepare) row.prepare(cluster);

  Bytes in = row.in.build();
  in.resize(row.cut.value_or(in.size()));
  const auto result = cluster.director.programs().run(in, row.arrival);
  if (row.restore) row.restore(cluster);
  if (!result && row.arrival.metadata > 32 && is_before(6, 11)) {
    GTEST_SKIP() << "before Linux 6.11 a frame has at most 32 bytes of metadata";
  }
  ASSERT_TRUE(result) << result.error().message;
  const Outcome& outcome = *result;

  EXPECT_EQ(verdict_name(outcome.verdict), verdict_name(row.verdict)) << describe(in);
  EXPECT_EQ(outcome.action, expected_action(row));
  // Nobody sees a dropped frame.
  if (outcome.action == XDP_DROP) return;
  Packet expected = row.out.value_or(row.in);
  if (row.in_tunnel) expected = with_choices_of(outcome.frame, std::move(expected));
  const std::string difference_seen = difference(row.out ? expected.build() : in, outcome.frame);
  EXPECT_TRUE(difference_seen.empty()) << "out of " << describe(in) << "\n" << difference_seen;
  if (outcome.action == XDP_PASS) return;
  EXPECT_EQ(!verify(outcome.frame), row.valid) << describe(outcome.frame);
}

INSTANTIATE_TEST_SUITE_P(Packets, Rows, testing::ValuesIn(all_rows()), row_name<Row>);

TEST(AllRows, ProduceEveryVerdict) {
  std::set<int> produced;
  for (const Row& row : all_rows()) produced.insert(row.verdict);
  for (int verdict = 0; verdict < VERDICT_COUNT; ++verdict) {
    EXPECT_TRUE(produced.contains(verdict)) << verdict_name(verdict);
  }
}

}  // namespace
}  // namespace xlvs::test
