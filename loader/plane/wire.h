// SPDX-License-Identifier: MIT
#pragma once

#include <span>
#include <string>
#include <vector>

#include "bpf/types.h"
#include "loader/state/state.h"
#include "loader/state/tables.h"

// Between the agent's values and the kernel's bytes (bpf/types.h).
namespace xlvs::wire {

::address to_wire(const Address& value);
Address from_wire(const ::address& value);

// As much of the text as there is room for, ended by a zero.
void copy_text(const std::string& text, std::span<char> where);

// Of the index: the endpoint's own, or of a vip's services of several ports.
endpoint_key service_key(const ServiceKey& endpoint);
endpoint_key ports_key(const ServiceKey& endpoint);
ServiceKey service_key(const endpoint_key& key, uint16_t last_port = 0);
// Where a NAT backend's replies come from.
endpoint_key reply_key(const Endpoint& backend);

next_hop to_wire(const std::optional<Egress>& egress);
std::optional<Egress> from_wire(const next_hop& hop);

backend_state to_wire(BackendState state);

slot to_wire(const tables::Candidate& candidate);
// With its cursor, at 0; nothing for a table without slots.
std::vector<slot> to_wire(const tables::Table& table);
table_region to_wire(const Scheduling& scheduling, uint32_t offset, uint32_t size);
void set_scheduling(::service& service, const Scheduling& scheduling);
Scheduling scheduling_of(const ::service& service);

// `source`: which of the entry's two holds its way's.
way to_wire(const BackendEntry& entry, unsigned source);

::backend to_wire(uint32_t service, const BackendEntry& entry);
// What people read there.
void set_address(::backend& backend, const Endpoint& shown);
BackendEntry from_wire(const ::backend& value);

}  // namespace xlvs::wire
