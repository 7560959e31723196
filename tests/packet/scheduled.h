// SPDX-License-Identifier: MIT
#pragma once

#include <cstdint>
#include <vector>

#include "loader/state/configuration.h"
#include "loader/state/tables.h"
#include "tests/packet/cluster.h"

// Servers 1, 2, ... behind a service, and who of them is chosen.
namespace xlvs::test {

constexpr uint16_t scheduled_port = 9000;

// What becomes of a flow before the next one is opened.
enum class Then : uint8_t { close, hold };

// A director with backends 1, 2, ... whose ids and MACs have these numbers.
Director director_with(uint8_t backends, Family family = Family::v4, const Sizes& sizes = {});

// IPVS puts a new server at its list's head, so the list is the other way round.
std::vector<tables::Candidate> listed(const std::vector<uint32_t>& weights);

// Gives the service the table that the agent would make of these, or of servers 1, 2, ...
void schedule_among(Director& director, uint32_t service, const Scheduling& scheduling,
                    const std::vector<tables::Candidate>& list);
void schedule_by(Director& director, uint32_t service, const Scheduling& scheduling,
                 const std::vector<uint32_t>& weights);

// Whom the packet was sent to: the server's digit; `!`: it was refused.
char server_of(const Outcome& outcome);

// Opens a flow from the client's port to a vip's scheduled_port and confirms it; the client's FIN
// closes it.
char connect(Director& director, const Address& to, uint16_t from, Then then);

}  // namespace xlvs::test
