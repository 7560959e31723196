/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * flow.h - have we met?
 *
 * A flow's opening is recorded in `pending` (LRU); the client's first packet that is not a SYN, or
 * UDP's second packet, confirms it and moves it to `flows` (never evicted). A record holds a
 * decision and never changes it: choosing again is deleting and inserting with NOEXIST.
 */
#pragma once

#include "bpf/connections.h"
#include "bpf/maps.h"
#include "bpf/packet.h"
#include "bpf/persistence.h"
#include "bpf/record.h"
#include "bpf/way_back.h"

static __always_inline enum flow_state next_state(const struct packet *pkt, enum flow_state state)
{
	if (pkt->resets)
		return FLOW_CLOSED;
	if (pkt->closes && is_active(state))
		return FLOW_FIN;
	return state;
}

/* Is the record's decision void for this packet, so that the packet comes as if new? */
static __always_inline bool is_over(const struct packet *pkt, const struct flow *flow,
				    enum flow_state state, const struct backend *backend)
{
	if (is_gone(backend))
		return true;
	if (pkt->opens && (state == FLOW_FIN || state == FLOW_CLOSED))
		return true;
	return is_idle(flow, state, pkt->now) &&
	       is_reply_idle(&pkt->flow, backend, state, pkt->now);
}

static __always_inline void count_opened(const struct packet *pkt)
{
	__u32 id = pkt->backend;
	struct backend_counters *counters = bpf_map_lookup_elem(&backend_counters, &id);

	if (counters)
		counters->flows++;
}

/* Records a flow to the packet's backend, if there is no such record. Not inlined either. */
static __attribute__((noinline)) long put_flow(void *map, const struct packet *pkt,
					       enum flow_state state, bool persistent)
{
	struct flow_key key = pkt->flow;
	struct flow *flow = draft();

	if (!flow)
		return -1;
	*flow = (struct flow){
		.state = state,
		.nonce = bpf_get_prandom_u32(),
		.last_seen = pkt->now,
		.backend = pkt->backend,
		.persistent = persistent,
	};
	return bpf_map_update_elem(map, &key, flow, BPF_NOEXIST);
}

static __attribute__((noinline)) long delete_opening(const struct packet *pkt)
{
	struct flow_key key = pkt->flow;

	return bpf_map_delete_elem(&pending, &key);
}

/* Records a flow's opening. */
static __always_inline enum verdict open_flow(struct xdp_md *ctx, struct packet *pkt,
					      const struct backend *backend, bool persistent)
{
	if (backend->forwarding == FORWARDING_NAT && put_reply(&pending, ctx, pkt, backend))
		return DROP_NO_ROOM;
	if (put_flow(&pending, pkt, is_udp(pkt) ? FLOW_UDP : FLOW_SYN, persistent))
		return DROP_FLOW_BUSY;
	count_pending(pkt->backend, backend, pkt->flow.protocol, 1);
	count_opened(pkt);
	return NEXT;
}

/*
 * Moves a flow from pending to flows; where flows is full it stays, and the next packet tries.
 * A way back that alone finds no room stays in pending, where replies find it as well.
 */
static __always_inline void confirm(struct xdp_md *ctx, struct packet *pkt, struct flow *opening,
				    __u64 word, const struct backend *backend)
{
	bool persistent = opening->persistent;
	enum flow_state was = flow_state(word);
	enum flow_state state = next_state(pkt, was == FLOW_SYN ? FLOW_ESTABLISHED : was);
	long err = put_flow(&flows, pkt, state, persistent);
	struct flow_key key;

	if (err == -17 /* EEXIST: another CPU was first */)
		return;
	if (err) {
		note(EVENT_FLOWS_FULL);
		become(opening, word, state);
		return;
	}
	if (persistent)
		confirm_template(&pkt->flow, pkt->service, pkt->backend, pkt->now);
	count_confirmed(pkt->backend, pkt->flow.protocol, state, delete_opening(pkt) ? 0 : -1);
	if (backend->forwarding != FORWARDING_NAT)
		return;
	if (put_reply(&flows, ctx, pkt, backend)) {
		note(EVENT_FLOWS_FULL);
		return;
	}
	key = reply_key(&pkt->flow, backend);
	bpf_map_delete_elem(&pending, &key);
}

static __always_inline struct backend *meet_confirmed(struct packet *pkt, struct flow *flow)
{
	__u64 word = READ_ONCE(FLOW_WORD(flow));
	enum flow_state state = flow_state(word), next = next_state(pkt, state);
	__u32 id = READ_ONCE(flow->backend);
	struct backend *backend = bpf_map_lookup_elem(&backends, &id);

	if (!backend || state == FLOW_DEAD || NONCE(READ_ONCE(FLOW_WORD(flow))) != NONCE(word))
		return NULL;
	if (is_over(pkt, flow, state, backend)) {
		retire(&pkt->flow, flow, word, id, backend);
		return NULL;
	}
	touch(flow, pkt->now);
	if (next != state && become(flow, word, next))
		count_change(id, state, next);
	pkt->backend = id;
	return backend;
}

/* Does the opening's backend serve the packet? Else the opening is void. */
static __always_inline bool meet_pending(struct xdp_md *ctx, struct packet *pkt, struct flow *flow)
{
	__u64 word = READ_ONCE(FLOW_WORD(flow));
	enum flow_state state = flow_state(word);
	__u32 id = READ_ONCE(flow->backend);
	struct backend *backend = bpf_map_lookup_elem(&backends, &id);

	if (!backend || NONCE(READ_ONCE(FLOW_WORD(flow))) != NONCE(word))
		return false;
	if (is_over(pkt, flow, state, backend)) {
		delete_reply(&pkt->flow, backend);
		if (!delete_opening(pkt))
			count_pending(id, backend, pkt->flow.protocol, -1);
		return false;
	}
	touch(flow, pkt->now);
	pkt->backend = id;
	if (pkt->resets)
		become(flow, word, FLOW_CLOSED);
	else if (is_udp(pkt) || !pkt->opens)
		confirm(ctx, pkt, flow, word, backend);
	else
		renew_reply(ctx, pkt, backend);
	return true;
}

/* The record of the packet's flow; else NULL, and `opening` is that of its opening, if there is
 * one. */
static __always_inline struct flow *find_flow(const struct packet *pkt, struct flow **opening)
{
	struct flow *flow = bpf_map_lookup_elem(&flows, &pkt->flow);

	*opening = NULL;
	if (flow)
		return flow;
	*opening = bpf_map_lookup_elem(&pending, &pkt->flow);
	/* As in find_record(). */
	return *opening ? NULL : bpf_map_lookup_elem(&flows, &pkt->flow);
}
