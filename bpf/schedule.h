/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * schedule.h - who serves a new flow? The agent has turned scheduler and weights into a table; all
 * CPUs share its cursor, so the order is exact and not per CPU.
 */
#pragma once

#include "bpf/maps.h"

/* The id of the backend that is next, or 0 if the service has none that can serve. */
static __always_inline __u32 schedule(__u32 service_id)
{
	struct service *service = bpf_map_lookup_elem(&services, &service_id);
	struct table_region region;
	union slot *slot;
	__u64 word;
	__u32 at;

	if (!service)
		return 0;
	word = READ_ONCE(service->table);
	__builtin_memcpy(&region, &word, sizeof(region));
	if (!region.size)
		return 0;
	slot = bpf_map_lookup_elem(&tables, &region.offset);
	if (!slot)
		return 0;
	at = region.offset + 1 + __sync_fetch_and_add(&slot->cursor, 1) % region.size;
	slot = bpf_map_lookup_elem(&tables, &at);
	return slot ? slot->backend : 0;
}
