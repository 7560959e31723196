/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * connections.h - how many flows a backend has, and whether it may be given more.
 */
#pragma once

#include "bpf/maps.h"
#include "bpf/packet.h"

/* IPVS counts what may still send as active, also a bare SYN; and UDP as inactive. */
static __always_inline __u32 active_of(const struct connections *open, __u32 protocol)
{
	__s32 pending = READ_ONCE(open->pending);

	__s32 active = READ_ONCE(open->active);

	return (active > 0 ? (__u32)active : 0) +
	       (protocol == IPPROTO_TCP && pending > 0 ? (__u32)pending : 0);
}

static __always_inline __u32 inactive_of(const struct connections *open, __u32 protocol)
{
	__s32 pending = READ_ONCE(open->pending);

	__s32 inactive = READ_ONCE(open->inactive);

	return (inactive > 0 ? (__u32)inactive : 0) +
	       (protocol != IPPROTO_TCP && pending > 0 ? (__u32)pending : 0);
}

/*
 * As ip_vs_bind_dest() and ip_vs_unbind_dest() do with IP_VS_DEST_F_OVERLOAD: where a flow opens or
 * ends, not where it changes its state.
 */
static __always_inline void settle_full(const struct backend *backend, struct connections *open)
{
	__u32 max = READ_ONCE(backend->max_connections), min = READ_ONCE(backend->min_connections);
	/* Each may be below 0 for a moment: a flow is found by other CPUs before it is counted. */
	__s64 total = (__s64)(__s32)READ_ONCE(open->active) + (__s32)READ_ONCE(open->inactive) +
		      (__s32)READ_ONCE(open->pending);
	__u32 full = READ_ONCE(open->full);

	if (!max && !full)
		return;
	if (max && total >= max)
		full = 1;
	else if (!max || (min ? total < min : total * 4 < (__s64)max * 3))
		full = 0;
	if (full != READ_ONCE(open->full))
		WRITE_ONCE(open->full, full);
}
