// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <string>

#include "loader/plane/driver_counters.h"

namespace xlvs {
namespace {

// Names of Linux 6.1's drivers: veth, virtio_net, mlx5, ixgbe, ena, mvneta, stmmac.
TEST(DriverCounters, losses_are_told_by_their_names) {
  for (const std::string name :
       {"rx_queue_0_xdp_tx_errors", "tx_queue_0_xdp_xmit_errors", "tx_queue_0_xdp_tx_drops",
        "rx_xdp_tx_full", "rx_xdp_tx_err", "tx_xdp_full", "tx_xdp_err", "queue_0_rx_xdp_aborted",
        "ethtool_xdp_tx_err", "ethtool_xdp_xmit_err"}) {
    EXPECT_TRUE(counts_losses(name)) << name;
  }
}

TEST(DriverCounters, what_was_sent_or_dropped_by_verdict_is_no_loss) {
  for (const std::string name :
       {"rx_queue_0_xdp_packets", "rx_queue_0_xdp_drops", "rx_queue_0_xdp_redirect",
        "rx_queue_0_xdp_tx", "tx_queue_0_xdp_xmit", "rx_xdp_drop", "rx_xdp_redirect",
        "rx_queue_0_drops", "tx_errors", "rx_crc_errors", "peer_ifindex"}) {
    EXPECT_FALSE(counts_losses(name)) << name;
  }
}

TEST(DriverCounters, an_interface_that_is_not_there_has_none) {
  EXPECT_TRUE(read_driver_counters({"no-such-one"}).empty());
  const auto lo = read_driver_counters({"lo"});
  ASSERT_EQ(lo.size(), 1U);
  EXPECT_EQ(lo[0].name, "tx_dropped");
}

}  // namespace
}  // namespace xlvs
