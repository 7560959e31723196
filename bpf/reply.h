/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * reply.h - the way back of NAT: what a backend answers goes to the client, from the vip.
 */
#pragma once

#include "bpf/flow.h"
#include "bpf/forward.h"
#include "bpf/fragment.h"
#include "bpf/service.h"

/* A FIN or reset of the backend's also ends the flow. Not inlined for the sake of the stack. */
static __attribute__((noinline)) int close_forward(struct packet *pkt, const struct flow_key *reply,
						   const struct flow *record)
{
	struct flow_key key = *reply;
	enum flow_state state, next;
	struct flow *flow;
	__u64 word;

	key.server = record->vip;
	key.server_port = record->vip_port;
	key.direction = DIRECTION_FORWARD;
	flow = bpf_map_lookup_elem(&flows, &key);
	if (!flow)
		return 0;
	word = READ_ONCE(FLOW_WORD(flow));
	/* A stale reply: the flow has been given to another backend since. */
	if (READ_ONCE(flow->backend) != record->backend)
		return 0;
	state = flow_state(word);
	next = next_state(pkt, state);
	if (state == FLOW_DEAD || next == state || !become(flow, word, next))
		return 0;
	count_change(record->backend, state, next);
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

static __always_inline enum verdict send_back(struct xdp_md *ctx, struct packet *pkt,
					      const struct flow_key *key, struct flow *record,
					      const struct flow *found)
{
	if (!is_header_intact(ctx, pkt))
		return DROP_BAD_CHECKSUM;
	touch(record, pkt->now);
	if (is_past_correcting(pkt, pkt->flow.client_port, found->vip_port))
		return DROP_SCTP_FRAGMENT;
	if (pkt->closes || pkt->resets)
		close_forward(pkt, key, found);
	if (!take_hop(pkt))
		return DROP_TTL;
	rewrite_endpoint(pkt, true, &found->vip, found->vip_port);
	return transmit(pkt, found->next_hop, FORWARD_REPLY);
}

/* For a packet that no service has: is it an answer of a NAT backend to a client of ours? */
static __always_inline enum verdict reply(struct xdp_md *ctx, struct packet *pkt)
{
	struct flow_key key = key_of_answer(&pkt->flow);
	struct flow *record, found;
	enum verdict verdict;

	if (!is_from_backend(pkt))
		return PASS_NO_SERVICE;
	record = find_record(&key);
	if (!record)
		return PASS_REPLY_NO_FLOW;
	reroute(ctx, record, &pkt->flow.server, pkt->is_v4);
	found = *record;
	if (NONCE(READ_ONCE(FLOW_WORD(record))) != found.nonce)
		return PASS_REPLY_NO_FLOW;
	/* From here on the packet is ours. */
	pkt->backend = found.backend;
	verdict = send_back(ctx, pkt, &key, record, &found);
	if (is_fragment(pkt))
		remember_first(pkt, verdict, &found);
	return verdict;
}
