/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * record.h - the records of `flows` and `pending`. A flow has one for the way forward and by NAT a
 * second for the way back, under the key that replies bear; persistence has a template for each
 * client. The way back is as fresh as the replies are: a flow is idle when both are.
 *
 * A record ends by a compare-and-swap to FLOW_DEAD; the one who succeeds takes it out of the counts
 * and deletes it. Memory of a deleted record is reused at once, also while another CPU still holds
 * a pointer to it, so what was read from a record counts only if its nonce is the same afterwards.
 */
#pragma once

#include "bpf/connections.h"
#include "bpf/maps.h"
#include "bpf/packet.h"

#define NONCE(word) ((word) >> 32)

/* ---- keys --------------------------------------------------------------------------------- */

/* Where the backend is sent the flow's packets. */
static __always_inline __u16 port_at(const struct backend *backend, const struct flow_key *flow)
{
	return backend->port ? backend->port : flow->server_port;
}

/* The key that the backend's replies bear. */
static __always_inline struct flow_key reply_key(const struct flow_key *flow,
						 const struct backend *backend)
{
	struct flow_key key = *flow;

	key.server = backend->ip;
	key.server_port = port_at(backend, flow);
	key.direction = DIRECTION_REPLY;
	return key;
}

/* The key of the client's template, one for all endpoints of the service. */
static __always_inline struct flow_key template_key(const struct flow_key *flow,
						    const struct service *service)
{
	struct flow_key key = {
		.client = flow->client,
		.server = service->key.address,
		.client_port = service->last_port,
		.server_port = service->key.port,
		.protocol = service->key.protocol,
		.direction = DIRECTION_TEMPLATE,
	};
	__u32 prefix = service->persistence_prefix;

	for (__u32 i = 0; i < 4; i++) {
		__u32 bits = prefix > 32 * i ? prefix - 32 * i : 0;

		if (bits < 32)
			key.client.words[i] &= bits ? bpf_htonl(~0U << (32 - bits)) : 0;
	}
	return key;
}

/* ---- writing ------------------------------------------------------------------------------ */

/* Where a record is written before it is put into a map: the stack has no room for it. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct flow);
} drafts SEC(".maps");

static __always_inline struct flow *draft(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&drafts, &zero);
}

/* ---- finding ------------------------------------------------------------------------------ */

/*
 * The record of a direction, wherever it is. Flows is asked again, since another CPU may have moved
 * it there from pending between the two lookups.
 */
static __always_inline struct flow *find_record(const struct flow_key *key)
{
	struct flow *flow = bpf_map_lookup_elem(&flows, key);

	if (!flow)
		flow = bpf_map_lookup_elem(&pending, key);
	return flow ? flow : bpf_map_lookup_elem(&flows, key);
}

/* The way back, if there is one. A function of its own for the sake of the stack. */
static __attribute__((noinline)) struct flow *find_reply(const struct flow_key *flow,
							 const struct backend *backend)
{
	struct flow_key key;

	if (backend->forwarding != FORWARDING_NAT)
		return NULL;
	key = reply_key(flow, backend);
	return find_record(&key);
}

/* ---- fresh or idle ------------------------------------------------------------------------ */

static __always_inline void touch(struct flow *flow, __u32 now)
{
	/* A write dirties the cache line, and most packets of a flow share a jiffy. */
	if (READ_ONCE(flow->last_seen) != now)
		WRITE_ONCE(flow->last_seen, now);
}

static __always_inline bool is_idle(const struct flow *flow, enum flow_state state, __u32 now)
{
	__s32 idle = now - READ_ONCE(flow->last_seen);

	return idle >= (__s32)READ_ONCE(settings.timeouts[state & (FLOW_STATES - 1)]);
}

/* For a forward record that looks idle: has the way back been quiet as well? */
static __always_inline bool is_reply_idle(const struct flow_key *flow,
					  const struct backend *backend, enum flow_state state,
					  __u32 now)
{
	struct flow *reply = find_reply(flow, backend);

	return !reply || is_idle(reply, state, now);
}

/*
 * No new flow for its timeout, and none open in the last sweeps. One of them may miss a flow that
 * is just confirmed, or whose neighbour in the hash is just deleted.
 */
static __always_inline bool is_template_idle(const struct flow *template, __u32 now)
{
	__s32 idle = now - READ_ONCE(template->last_seen);

	return idle >= (__s32)READ_ONCE(template->timeout) &&
	       (__s32)(READ_ONCE(settings.swept) - READ_ONCE(template->held)) >=
		       (__s32)(2 * READ_ONCE(settings.second));
}

/* ---- ending ------------------------------------------------------------------------------- */

/* True for the one CPU that made the change. */
static __always_inline bool become(struct flow *flow, __u64 word, enum flow_state state)
{
	return __sync_val_compare_and_swap(&FLOW_WORD(flow), word, flow_word(NONCE(word), state)) ==
	       word;
}

static __always_inline void delete_record(const struct flow_key *key)
{
	bpf_map_delete_elem(&flows, key);
	bpf_map_delete_elem(&pending, key);
}

static __attribute__((noinline)) int delete_reply(const struct flow_key *flow,
						  const struct backend *backend)
{
	struct flow_key key;

	if (backend->forwarding != FORWARDING_NAT)
		return 0;
	key = reply_key(flow, backend);
	delete_record(&key);
	return 0;
}

/* Ends a confirmed flow's record. */
static __always_inline void retire(const struct flow_key *key, struct flow *flow, __u64 word,
				   __u32 id, const struct backend *backend)
{
	if (!become(flow, word, FLOW_DEAD))
		return;
	count_ended(id, backend, flow_state(word));
	delete_reply(key, backend);
	bpf_map_delete_elem(&flows, key);
}
