/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * way_back.h - NAT's way back: where its replies go, and its record.
 */
#pragma once

#include "bpf/packet.h"
#include "bpf/record.h"

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

static __attribute__((noinline)) long put_reply_to(void *map, const struct packet *pkt,
						   const struct backend *backend, __u64 next_hop,
						   __u32 generation)
{
	struct flow_key key = reply_key(&pkt->flow, backend);
	struct flow *reply = draft();

	if (!reply)
		return -1;
	*reply = (struct flow){
		.state = FLOW_ESTABLISHED,
		.nonce = bpf_get_prandom_u32(),
		.last_seen = pkt->now,
		.backend = pkt->backend,
		.next_hop.word = next_hop,
		.vip = pkt->flow.server,
		.vip_port = pkt->flow.server_port,
		.route_generation = generation,
	};
	return bpf_map_update_elem(map, &key, reply, BPF_ANY);
}

/* Where the packet came from, as the word of a next_hop. */
static __always_inline __u64 previous_hop(struct xdp_md *ctx, const struct packet *pkt)
{
	const struct ethhdr *eth = (void *)(long)ctx->data;
	union next_hop back = { .hop.interface = pkt->interface };

	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return 0;
	__builtin_memcpy(back.hop.mac, eth->h_source, sizeof(back.hop.mac));
	return back.word;
}

/* Records the way back in `flows` or `pending`. */
static __always_inline long put_reply(void *map, struct xdp_md *ctx, struct packet *pkt,
				      const struct backend *backend)
{
	__u32 generation = READ_ONCE(settings.route_generation); /* before the route itself */
	__u64 back = route_to_client(ctx, &pkt->flow.server, &pkt->flow.client, pkt->is_v4,
				     previous_hop(ctx, pkt));

	return put_reply_to(map, pkt, backend, back, generation);
}

static __always_inline bool same_address(const struct address *a, const struct address *b)
{
	return !((a->words[0] ^ b->words[0]) | (a->words[1] ^ b->words[1]) |
		 (a->words[2] ^ b->words[2]) | (a->words[3] ^ b->words[3]));
}

/* Does the backend answer this client port for another vip or port already? */
static __always_inline bool is_reply_taken(const struct packet *pkt, const struct backend *backend)
{
	struct flow *other = find_reply(&pkt->flow, backend);

	if (!other || is_idle(other, FLOW_ESTABLISHED, pkt->now))
		return false;
	return other->vip_port != pkt->flow.server_port ||
	       !same_address(&other->vip, &pkt->flow.server);
}

/* For a repeated opening, whose answer may have got lost since pending has evicted the way back. */
static __always_inline void renew_reply(struct xdp_md *ctx, struct packet *pkt,
					const struct backend *backend)
{
	struct flow *found = find_reply(&pkt->flow, backend);

	if (backend->forwarding != FORWARDING_NAT)
		return;
	if (found && READ_ONCE(found->backend) == pkt->backend &&
	    found->vip_port == pkt->flow.server_port &&
	    same_address(&found->vip, &pkt->flow.server)) {
		touch(found, pkt->now);
		return;
	}
	put_reply(&pending, ctx, pkt, backend);
}
