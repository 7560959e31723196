/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * reply.h - the way back of NAT: what a backend answers goes to the client, from the vip.
 */
#pragma once

#include "bpf/flow.h"
#include "bpf/forward.h"
#include "bpf/fragment.h"
#include "bpf/service.h"

/* The key of the record, where what comes from the flow's client is a backend's answer. */
static __always_inline struct flow_key key_of_answer(const struct flow_key *answer)
{
	return (struct flow_key){
		.client = answer->server,
		.server = answer->client,
		.client_port = answer->server_port,
		.server_port = answer->client_port,
		.protocol = answer->protocol,
		.direction = DIRECTION_REPLY,
	};
}

/* What a reply becomes. */
struct sender {
	struct address vip;
	union next_hop next_hop;
	__u16 vip_port;
};

/* A FIN or reset of the backend's also ends the flow. Not inlined for the sake of the stack. */
static __attribute__((noinline)) int close_forward(const struct packet *pkt,
						   const struct sender *sender)
{
	struct flow_key key = key_of_answer(&pkt->flow);
	enum flow_state state, next;
	struct flow *flow;
	__u64 word;

	key.server = sender->vip;
	key.server_port = sender->vip_port;
	key.direction = DIRECTION_FORWARD;
	flow = bpf_map_lookup_elem(&flows, &key);
	if (!flow)
		return 0;
	word = READ_ONCE(FLOW_WORD(flow));
	/* A stale reply: the flow has been given to another backend since. */
	if (READ_ONCE(flow->backend) != pkt->backend)
		return 0;
	state = flow_state(word);
	next = next_state(pkt, state);
	if (state == FLOW_DEAD || next == state || !become(flow, word, next))
		return 0;
	count_change(pkt->backend, state, next);
	return 0;
}

/* Routes or neighbours have changed since the way back was looked up. */
static __always_inline void reroute(struct xdp_md *ctx, struct flow *record,
				    const struct address *client, bool is_v4)
{
	__u32 generation = READ_ONCE(settings.route_generation);
	__u64 word = READ_ONCE(FLOW_WORD(record));
	__u64 hop;

	if (READ_ONCE(record->route_generation) == generation)
		return;
	hop = route_to_client(ctx, &record->vip, client, is_v4, READ_ONCE(record->next_hop.word));
	if (NONCE(READ_ONCE(FLOW_WORD(record))) != NONCE(word))
		return;
	WRITE_ONCE(record->next_hop.word, hop);
	WRITE_ONCE(record->route_generation, generation);
	note(EVENT_REPLY_REROUTED);
}

static __always_inline enum verdict send_back(struct xdp_md *ctx, struct packet *pkt,
					      struct flow *record, const struct sender *sender)
{
	if (!is_header_intact(ctx, pkt))
		return DROP_BAD_CHECKSUM;
	touch(record, pkt->now);
	if (is_past_correcting(pkt, pkt->flow.client_port, sender->vip_port))
		return DROP_SCTP_FRAGMENT;
	if (pkt->closes || pkt->resets)
		close_forward(pkt, sender);
	if (!take_hop(pkt))
		return DROP_TTL;
	rewrite_endpoint(pkt, true, &sender->vip, sender->vip_port);
	return transmit(pkt, sender->next_hop, FORWARD_REPLY);
}

/* The record of a backend's answer; NULL if it is none. */
static __attribute__((noinline)) struct flow *find_answered(const struct packet *pkt)
{
	struct flow_key key = key_of_answer(&pkt->flow);

	return find_record(&key);
}

/* For a packet that no service has: is it an answer of a NAT backend to a client of ours? */
static __always_inline enum verdict reply(struct xdp_md *ctx, struct packet *pkt)
{
	struct sender sender;
	enum verdict verdict;
	struct flow *record;
	__u32 backend;
	__u64 word;

	if (!is_from_backend(pkt))
		return PASS_NO_SERVICE;
	record = find_answered(pkt);
	if (!record)
		return PASS_REPLY_NO_FLOW;
	word = READ_ONCE(FLOW_WORD(record)); /* before the route, which takes a while */
	reroute(ctx, record, &pkt->flow.server, pkt->is_v4);
	backend = READ_ONCE(record->backend);
	sender.vip = record->vip;
	sender.vip_port = READ_ONCE(record->vip_port);
	sender.next_hop.word = READ_ONCE(record->next_hop.word);
	if (NONCE(READ_ONCE(FLOW_WORD(record))) != NONCE(word))
		return PASS_REPLY_NO_FLOW;
	/* From here on the packet is ours. */
	pkt->backend = backend;
	verdict = send_back(ctx, pkt, record, &sender);
	if (is_fragment(pkt))
		remember_first(pkt, verdict, &sender.vip, sender.next_hop.word);
	return verdict;
}
