/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * flow.h - have we met?
 *
 * A flow's opening is recorded in `pending` (LRU); the client's first packet that is not a SYN, or
 * UDP's second packet, confirms it and moves it to `flows` (never evicted). A record holds a
 * decision and never changes it: choosing again is deleting and inserting with NOEXIST.
 *
 * A record ends by a compare-and-swap to FLOW_DEAD; the one who succeeds takes it out of the counts
 * and deletes it. Memory of a deleted record is reused at once, also while another CPU still holds
 * a pointer to it, so what was read from a record counts only if its nonce is the same afterwards.
 *
 * NAT has a second record for the way back, under the key that replies bear. It is as fresh as the
 * replies are; the flow is idle when both are.
 */
#pragma once

#include "bpf/connections.h"
#include "bpf/maps.h"
#include "bpf/packet.h"

#define NONCE(word) ((word) >> 32)

static __always_inline bool is_idle(const struct flow *flow, enum flow_state state, __u32 now)
{
	__s32 idle = now - READ_ONCE(flow->seen);

	return idle >= (__s32)READ_ONCE(settings.timeouts[state & (FLOW_STATES - 1)]);
}

static __always_inline void touch(struct flow *flow, __u32 now)
{
	/* A write dirties the cache line, and most packets of a flow share a jiffy. */
	if (READ_ONCE(flow->seen) != now)
		WRITE_ONCE(flow->seen, now);
}

/* True for the one CPU that made the change. */
static __always_inline bool become(struct flow *flow, __u64 word, enum flow_state state)
{
	return __sync_val_compare_and_swap(&flow->word, word, flow_word(NONCE(word), state)) ==
	       word;
}

/* IPVS counts what may still send as active, also a bare SYN; and UDP as inactive. */
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

/* A flow is confirmed; `left`: what that changes in pending. */
static __always_inline void count_confirmed(__u32 id, enum flow_state state, __s32 left)
{
	struct connections *open = bpf_map_lookup_elem(&connections, &id);

	if (!open)
		return;
	__sync_fetch_and_add(&open->pending, left);
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

static __always_inline void count_pending(__u32 id, const struct backend *backend, __s32 change)
{
	struct connections *open = bpf_map_lookup_elem(&connections, &id);

	if (!open)
		return;
	__sync_fetch_and_add(&open->pending, change);
	settle_full(backend, open);
}

/* The key that the backend's replies bear. */
static __always_inline struct flow_key reply_key(const struct flow_key *flow,
						 const struct backend *backend)
{
	struct flow_key key = *flow;

	key.server = backend->ip;
	key.server_port = backend->port;
	key.direction = DIRECTION_REPLY;
	return key;
}

/* The key of the client's template. */
static __always_inline struct flow_key template_key(const struct flow_key *flow,
						    const struct service *service)
{
	struct flow_key key = *flow;
	__u32 prefix = service->persistence_prefix;

	for (__u32 i = 0; i < 4; i++) {
		__u32 bits = prefix > 32 * i ? prefix - 32 * i : 0;

		if (bits < 32)
			key.client.words[i] &= bits ? bpf_htonl(~0U << (32 - bits)) : 0;
	}
	key.client_port = 0;
	key.direction = DIRECTION_TEMPLATE;
	return key;
}

/* The record of a direction, wherever it is. */
static __always_inline struct flow *find_record(const struct flow_key *key)
{
	struct flow *flow = bpf_map_lookup_elem(&flows, key);

	return flow ? flow : bpf_map_lookup_elem(&pending, key);
}

/* For a forward record that looks idle: has the way back been quiet as well? */
static __always_inline bool is_reply_idle(const struct flow_key *flow,
					  const struct backend *backend, enum flow_state state,
					  __u32 now)
{
	struct flow_key key;
	struct flow *reply;

	if (backend->forwarding != FORWARDING_NAT)
		return true;
	key = reply_key(flow, backend);
	reply = find_record(&key);
	return !reply || is_idle(reply, state, now);
}

static __always_inline void delete_record(const struct flow_key *key)
{
	bpf_map_delete_elem(&flows, key);
	bpf_map_delete_elem(&pending, key);
}

static __always_inline void delete_reply(const struct flow_key *flow, const struct backend *backend)
{
	struct flow_key key;

	if (backend->forwarding != FORWARDING_NAT)
		return;
	key = reply_key(flow, backend);
	delete_record(&key);
}

static __always_inline enum flow_state next_state(const struct packet *pkt, enum flow_state state)
{
	if (!is_tcp(pkt))
		return state;
	if (pkt->tcp_rst)
		return FLOW_CLOSED;
	if (pkt->tcp_fin && is_active(state))
		return FLOW_FIN;
	return state;
}

/* Is the record's decision void for this packet, so that the packet comes as if new? */
static __always_inline bool is_over(const struct packet *pkt, const struct flow *flow,
				    enum flow_state state, const struct backend *backend)
{
	if (is_gone(backend))
		return true;
	if (is_tcp(pkt) && opens_flow(pkt) && (state == FLOW_FIN || state == FLOW_CLOSED))
		return true;
	return is_idle(flow, state, pkt->now) &&
	       is_reply_idle(&pkt->flow, backend, state, pkt->now);
}

/* ---- the way back ------------------------------------------------------------------------- */

/*
 * Where frames to the client go, as the word of a next_hop: as the kernel routes it, else back
 * where its packet came from. Not inlined, since the stack of the main path has no room for it.
 */
static __attribute__((noinline)) __u64 route_to_client(struct xdp_md *ctx,
						       const struct address *vip,
						       const struct address *client, bool is_v4,
						       __u64 fallback)
{
	struct bpf_fib_lookup fib = { .ifindex = ctx->ingress_ifindex };
	union next_hop hop = { .word = fallback };
	struct interface *egress;

	if (is_v4) {
		fib.family = 2; /* AF_INET */
		fib.ipv4_src = vip->words[3];
		fib.ipv4_dst = client->words[3];
	} else {
		fib.family = 10; /* AF_INET6 */
		__builtin_memcpy(fib.ipv6_src, vip, sizeof(*vip));
		__builtin_memcpy(fib.ipv6_dst, client, sizeof(*client));
	}
	if (bpf_fib_lookup(ctx, &fib, sizeof(fib), 0) == BPF_FIB_LKUP_RET_SUCCESS) {
		egress = find_interface(fib.ifindex);
		if (egress) {
			__builtin_memcpy(hop.hop.mac, fib.dmac, sizeof(fib.dmac));
			hop.hop.interface = egress->self.hop.interface;
			return hop.word;
		}
	}
	note(EVENT_REPLY_BY_SYN);
	return fallback;
}

static __always_inline struct flow make_reply(struct xdp_md *ctx, struct packet *pkt, __u32 id)
{
	union next_hop back = { .hop.interface = pkt->interface->self.hop.interface };
	__u32 generation = READ_ONCE(settings.route_generation);

	__builtin_memcpy(back.hop.mac, pkt->eth->h_source, sizeof(back.hop.mac));
	return (struct flow){
		.word = flow_word(bpf_get_prandom_u32(), FLOW_ESTABLISHED),
		.seen = pkt->now,
		.backend = id,
		.next_hop.word = route_to_client(ctx, &pkt->flow.server, &pkt->flow.client,
						 pkt->is_v4, back.word),
		.vip = pkt->flow.server,
		.vip_port = pkt->flow.server_port,
		.route_generation = generation,
	};
}

static __always_inline bool same_address(const struct address *a, const struct address *b)
{
	return !((a->words[0] ^ b->words[0]) | (a->words[1] ^ b->words[1]) |
		 (a->words[2] ^ b->words[2]) | (a->words[3] ^ b->words[3]));
}

/* Does the backend answer this client port for another vip already? */
static __always_inline bool is_reply_taken(const struct packet *pkt, const struct backend *backend)
{
	struct flow_key key = reply_key(&pkt->flow, backend);
	struct flow *other;

	if (backend->forwarding != FORWARDING_NAT)
		return false;
	other = find_record(&key);
	if (!other || is_idle(other, FLOW_ESTABLISHED, pkt->now))
		return false;
	return other->vip_port != pkt->flow.server_port ||
	       !same_address(&other->vip, &pkt->flow.server);
}

/* ---- records ------------------------------------------------------------------------------- */

/* No new flow for its timeout, and none open of late. */
static __always_inline bool is_template_idle(const struct flow *template, __u32 now)
{
	__u32 timeout = READ_ONCE(template->stay.timeout);

	return (__s32)(now - READ_ONCE(template->seen)) >= (__s32)timeout &&
	       (__s32)(now - READ_ONCE(template->stay.held)) >=
		       (__s32)(2 * READ_ONCE(settings.second));
}

static __always_inline struct flow make_template(const struct service *service, __u32 backend,
						 __u32 now)
{
	return (struct flow){
		.word = flow_word(bpf_get_prandom_u32(), FLOW_TEMPLATE),
		.seen = now,
		.backend = backend,
		.stay = { .timeout = service->persistence * READ_ONCE(settings.second),
			  .held = now },
	};
}

/* A flow of the template is confirmed, and so is the template, also if pending has evicted it. */
static __attribute__((noinline)) int confirm_template(const struct flow_key *flow, __u32 service_id,
						      __u32 backend, __u32 now)
{
	struct service *service = bpf_map_lookup_elem(&services, &service_id);
	struct flow template;
	struct flow_key key;

	if (!service || !service->persistence)
		return 0;
	key = template_key(flow, service);
	template = make_template(service, backend, now);
	bpf_map_update_elem(&flows, &key, &template, BPF_NOEXIST);
	bpf_map_delete_elem(&pending, &key);
	return 0;
}

static __always_inline void count_opened(const struct packet *pkt)
{
	struct backend_counters *counters = bpf_map_lookup_elem(&backend_counters, &pkt->backend);

	if (counters)
		counters->flows++;
}

/* Records a flow's opening. */
static __always_inline enum verdict open_flow(struct xdp_md *ctx, struct packet *pkt,
					      const struct backend *backend, bool persistent)
{
	struct flow flow = {
		.word = flow_word(bpf_get_prandom_u32(), is_tcp(pkt) ? FLOW_SYN : FLOW_UDP),
		.seen = pkt->now,
		.backend = pkt->backend,
		.persistent = persistent,
	};

	if (backend->forwarding == FORWARDING_NAT) {
		struct flow_key key = reply_key(&pkt->flow, backend);
		struct flow reply = make_reply(ctx, pkt, pkt->backend);

		if (bpf_map_update_elem(&pending, &key, &reply, BPF_ANY))
			return DROP_NO_ROOM;
	}
	if (bpf_map_update_elem(&pending, &pkt->flow, &flow, BPF_NOEXIST))
		return DROP_FLOW_BUSY;
	count_pending(pkt->backend, backend, 1);
	count_opened(pkt);
	return NEXT;
}

/*
 * Moves a flow from pending to flows; where flows is full it stays, and the next packet tries.
 * A way back that alone finds no room stays in pending, where replies find it as well.
 */
static __always_inline void confirm(struct xdp_md *ctx, struct packet *pkt, struct flow *opening,
				    __u64 word, __u32 id, const struct backend *backend)
{
	enum flow_state was = flow_state(word);
	enum flow_state state = next_state(pkt, was == FLOW_SYN ? FLOW_ESTABLISHED : was);
	struct flow flow = {
		.word = flow_word(bpf_get_prandom_u32(), state),
		.seen = pkt->now,
		.backend = id,
		.persistent = opening->persistent,
	};
	long err = bpf_map_update_elem(&flows, &pkt->flow, &flow, BPF_NOEXIST);

	if (err == -17 /* EEXIST: another CPU was first */)
		return;
	if (err) {
		note(EVENT_FLOWS_FULL);
		become(opening, word, state);
		return;
	}
	if (flow.persistent)
		confirm_template(&pkt->flow, pkt->service, id, pkt->now);
	count_confirmed(id, state, bpf_map_delete_elem(&pending, &pkt->flow) ? 0 : -1);
	if (backend->forwarding == FORWARDING_NAT) {
		struct flow_key key = reply_key(&pkt->flow, backend);
		struct flow reply = make_reply(ctx, pkt, id);

		if (bpf_map_update_elem(&flows, &key, &reply, BPF_ANY))
			note(EVENT_FLOWS_FULL);
		else
			bpf_map_delete_elem(&pending, &key);
	}
}

/* For a repeated opening, whose answer may have got lost since pending has evicted the way back. */
static __always_inline void renew_reply(struct xdp_md *ctx, struct packet *pkt, __u32 id,
					const struct backend *backend)
{
	struct flow_key key = reply_key(&pkt->flow, backend);
	struct flow reply, *found;

	if (backend->forwarding != FORWARDING_NAT)
		return;
	found = find_record(&key);
	if (found && READ_ONCE(found->backend) == id) {
		touch(found, pkt->now);
		return;
	}
	reply = make_reply(ctx, pkt, id);
	bpf_map_update_elem(&pending, &key, &reply, BPF_ANY);
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

static __always_inline struct backend *meet_confirmed(struct packet *pkt, struct flow *flow)
{
	__u64 word = READ_ONCE(flow->word);
	enum flow_state state = flow_state(word), next = next_state(pkt, state);
	__u32 id = READ_ONCE(flow->backend);
	struct backend *backend = bpf_map_lookup_elem(&backends, &id);

	if (!backend || state == FLOW_DEAD || NONCE(READ_ONCE(flow->word)) != NONCE(word))
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

static __always_inline struct backend *meet_pending(struct xdp_md *ctx, struct packet *pkt,
						    struct flow *flow)
{
	__u64 word = READ_ONCE(flow->word);
	enum flow_state state = flow_state(word);
	__u32 id = READ_ONCE(flow->backend);
	struct backend *backend = bpf_map_lookup_elem(&backends, &id);

	if (!backend || NONCE(READ_ONCE(flow->word)) != NONCE(word))
		return NULL;
	if (is_over(pkt, flow, state, backend)) {
		delete_reply(&pkt->flow, backend);
		if (!bpf_map_delete_elem(&pending, &pkt->flow))
			count_pending(id, backend, -1);
		return NULL;
	}
	touch(flow, pkt->now);
	pkt->backend = id;
	if (pkt->tcp_rst)
		become(flow, word, FLOW_CLOSED);
	else if (!is_tcp(pkt) || !opens_flow(pkt))
		confirm(ctx, pkt, flow, word, id, backend);
	else
		renew_reply(ctx, pkt, id, backend);
	return backend;
}

/* The backend that the packet's flow was given to; NULL if there is no such flow. */
static __always_inline struct backend *find_flow(struct xdp_md *ctx, struct packet *pkt)
{
	struct flow *flow = bpf_map_lookup_elem(&flows, &pkt->flow);

	if (flow)
		return meet_confirmed(pkt, flow);
	flow = bpf_map_lookup_elem(&pending, &pkt->flow);
	return flow ? meet_pending(ctx, pkt, flow) : NULL;
}
