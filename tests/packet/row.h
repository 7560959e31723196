// SPDX-License-Identifier: MIT
#pragma once

#include <functional>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "tests/packet/cluster.h"

namespace xlvs::test {

// One packet to the cluster and what is to become of it.
struct Row {
  std::string name;
  std::vector<Packet> before{};  // come first; their verdicts are rows of their own
  Packet in;
  enum verdict verdict = NEXT;
  std::optional<size_t> cut{};  // only so many bytes of it come in
  // Byte for byte what leaves; nothing: as it came (PASS, DROP, FORWARD_LOCAL).
  std::optional<Packet> out{};
  // tun: what the director chooses in the outer headers is taken from what leaves: the IPv4 id and
  // GUE's source port.
  bool in_tunnel = false;
  bool redirected = false;  // leaves by another interface
  bool valid = true;        // what leaves has right checksums
  std::function<void(Cluster&)> prepare{};
  std::function<void(Cluster&)> restore{};  // what reset() does not
  Arrival arrival{};
};

inline std::ostream& operator<<(std::ostream& out, const Row& row) { return out << row.name; }

// One row for each family and each kind of VLAN tagging.
template <typename MakeRow>
void for_each_wire(MakeRow&& make_row) {
  for (const Family family : families) {
    for (const Tags tags : all_tags) make_row(Wire{family, tags});
  }
}

// By subject; the test runs them all, and sees that every verdict is some row's.
std::vector<Row> pass_rows();
std::vector<Row> forward_rows();
std::vector<Row> header_rows();
std::vector<Row> refuse_rows();
std::vector<Row> icmp_rows();
std::vector<Row> drop_rows();
std::vector<Row> jumbo_rows();
std::vector<Row> tunnel_rows();
std::vector<Row> mss_rows();

}  // namespace xlvs::test
