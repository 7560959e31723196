/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * connections.h - how many flows a backend has, and whether it may be given more.
 */
#pragma once

#include "bpf/maps.h"
#include "bpf/packet.h"

/* Each may be below 0 for a moment: a flow is found by other CPUs before it is counted. */
static __always_inline __u32 at_least_0(__u32 count)
{
	return (__s32)count > 0 ? count : 0;
}

/* IPVS counts what may still send as active, also a bare SYN; UDP and an INIT as inactive. */
static __always_inline __u32 active_of(const struct connections *open)
{
	return at_least_0(READ_ONCE(open->active)) + at_least_0(READ_ONCE(open->pending_active));
}

static __always_inline __u32 inactive_of(const struct connections *open)
{
	return at_least_0(READ_ONCE(open->inactive)) +
	       at_least_0(READ_ONCE(open->pending_inactive));
}

/*
 * As IPVS does with IP_VS_DEST_F_OVERLOAD: where a flow opens or ends and where limits change, not
 * where a flow changes its state.
 */
static __always_inline void settle_full(const struct backend *backend, struct connections *open)
{
	__u32 max = READ_ONCE(backend->max_connections), min = READ_ONCE(backend->min_connections);
	__s64 total = (__s64)(__s32)READ_ONCE(open->active) + (__s32)READ_ONCE(open->inactive) +
		      (__s32)READ_ONCE(open->pending_active) +
		      (__s32)READ_ONCE(open->pending_inactive);
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

/* ---- counting ------------------------------------------------------------------------------- */

static __always_inline bool is_active(enum flow_state state)
{
	return state == FLOW_SYN || state == FLOW_ESTABLISHED;
}

static __always_inline void add_to(struct connections *open, enum flow_state state, __s32 change)
{
	if (is_active(state))
		__sync_fetch_and_add(&open->active, change);
	else
		__sync_fetch_and_add(&open->inactive, change);
}

static __always_inline void add_to_pending(struct connections *open, __u32 protocol, __s32 change)
{
	if (protocol == IPPROTO_TCP)
		__sync_fetch_and_add(&open->pending_active, change);
	else
		__sync_fetch_and_add(&open->pending_inactive, change);
}

/* A flow is confirmed; `left`: what that changes in pending. */
static __always_inline void count_confirmed(__u32 id, __u32 protocol, enum flow_state state,
					    __s32 left)
{
	struct connections *open = bpf_map_lookup_elem(&connections, &id);

	if (!open)
		return;
	add_to_pending(open, protocol, left);
	add_to(open, state, 1);
}

static __always_inline void count_change(__u32 id, enum flow_state from, enum flow_state to)
{
	struct connections *open = bpf_map_lookup_elem(&connections, &id);

	if (!open || is_active(from) == is_active(to))
		return;
	/* Too few for a moment is mended by the next flow; too many would hold. */
	add_to(open, from, -1);
	add_to(open, to, 1);
}

static __always_inline void count_ended(__u32 id, const struct backend *backend,
					enum flow_state state)
{
	struct connections *open = bpf_map_lookup_elem(&connections, &id);

	if (!open)
		return;
	add_to(open, state, -1);
	settle_full(backend, open);
}

static __always_inline void count_pending(__u32 id, const struct backend *backend, __u32 protocol,
					  __s32 change)
{
	struct connections *open = bpf_map_lookup_elem(&connections, &id);

	if (!open)
		return;
	add_to_pending(open, protocol, change);
	settle_full(backend, open);
}
