// SPDX-License-Identifier: MIT
#pragma once

#include <vector>

#include "loader/state/tables.h"

// Rings, where a hash of the packet says who serves it. Followed: net/netfilter/ipvs/ip_vs_sh.c and
// ip_vs_dh.c; Eisenbud et al., "Maglev", NSDI 2016, and the weights of ip_vs_mh.c.
namespace xlvs::tables {

constexpr size_t ring_size = 256;

// 256 slots, each backend as many in a row as its weight, at least one; then from the start again.
std::vector<Candidate> sh(const std::vector<Candidate>& list);

// 256 slots in turn, whatever the weights.
std::vector<Candidate> dh(const std::vector<Candidate>& list);

// `size` slots, one of mh_sizes, whoever is in the list: so when one of N leaves it, hardly more
// than its own clients move (of 65521 slots at most one in a hundred more). Depends on addresses
// and configured weights, not on the order of the list, so directors of the same configuration
// agree. The slots of those that take no flows now go to the others in turn, or stay if `strict`;
// no other slot moves.
std::vector<Candidate> mh(const std::vector<Candidate>& list, size_t size, bool strict);

}  // namespace xlvs::tables
