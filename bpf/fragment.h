/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * fragment.h - a datagram in fragments: the first decides, the others follow.
 *
 * The first fragment alone has the ports, so it goes the way of every packet, and what became of it
 * is remembered by what all fragments have in common (RFC 791, 3.2; RFC 8200, 4.5: source,
 * destination, id, and of IPv4 the protocol). The others ask for that and nothing else: they go to
 * the same backend whatever has become of the flow meanwhile, and neither open, confirm nor close
 * one. They have no transport header, so only addresses change; the checksum is in the first and
 * covers what changes by the same differences as that of a whole packet.
 *
 * Nothing is put together or held back. A fragment that comes before its first is not known to be
 * ours and passes. Network cards send fragments of a datagram to one CPU, since they spread by the
 * addresses alone what has no ports.
 */
#pragma once

#include "bpf/count.h"
#include "bpf/forward.h"
#include "bpf/maps.h"
#include "bpf/packet.h"
#include "bpf/rewrite.h"

/* As long as Linux waits for the others: ipfrag_time, ip6frag_time. */
#define FRAGMENT_SECONDS_V4 30
#define FRAGMENT_SECONDS_V6 60

static __always_inline struct fragment_key fragment_key(const struct packet *pkt)
{
	return (struct fragment_key){
		.source = pkt->flow.client,
		.destination = pkt->flow.server,
		.id = pkt->fragment.id,
		/* What IPv6 says of a later one may be an extension header, not the transport. */
		.protocol = pkt->is_v4 ? pkt->flow.protocol : 0,
	};
}

/*
 * Remembers what became of a first fragment. `vip`: whence it goes to a client by `next_hop`, if it
 * is a reply.
 * What is refused or dropped is remembered as well, since the others are as little the stack's.
 * A function of its own, here and below: the verifier looks at it once.
 */
__attribute__((noinline)) int remember_first(const struct packet *pkt, int verdict,
					     const struct address *vip, __u64 next_hop)
{
	enum verdict_class class = class_of(verdict);
	struct first_fragment first = {};
	struct fragment_key key;
	__u32 seconds;

	if (!pkt || class == PASS)
		return 0;
	seconds = pkt->is_v4 ? FRAGMENT_SECONDS_V4 : FRAGMENT_SECONDS_V6;
	key = fragment_key(pkt);
	first.nonce = bpf_get_prandom_u32();
	first.until = pkt->now + seconds * READ_ONCE(settings.second);
	if (class == FORWARD)
		first.backend = pkt->backend;
	if (vip) {
		first.is_reply = 1;
		first.next_hop = (union next_hop){ .word = next_hop };
		first.vip = *vip;
	}
	bpf_map_update_elem(&fragments, &key, &first, BPF_ANY);
	return 0;
}

/* What became of the first; NULL if that is not known. Not inlined for the sake of the stack. */
static __attribute__((noinline)) struct first_fragment *find_first(const struct packet *pkt)
{
	struct fragment_key key = fragment_key(pkt);

	return bpf_map_lookup_elem(&fragments, &key);
}

static __always_inline enum verdict follow_to_backend(struct packet *pkt,
						      const struct backend *backend)
{
	switch (backend->forwarding) {
	case FORWARDING_DR:
		return forward_dr(pkt, backend);
	case FORWARDING_NAT:
		if (!take_hop(pkt))
			return DROP_TTL;
		rewrite_address(pkt, false, &backend->ip);
		return transmit(pkt, (union next_hop){ .word = READ_ONCE(backend->next_hop.word) },
				FORWARD_NAT);
	case FORWARDING_LOCAL:
		return forward_local(pkt);
	case FORWARDING_TUN:
		return NEXT;
	}
	return DROP_FRAGMENT;
}

static __always_inline enum verdict follow_to_client(struct packet *pkt,
						     const struct first_fragment *first)
{
	if (!take_hop(pkt))
		return DROP_TTL;
	rewrite_address(pkt, true, &first->vip);
	return transmit(pkt, first->next_hop, FORWARD_REPLY);
}

/* is_header_intact() where `pkt` has no pointers. */
static __always_inline bool is_still_intact(struct xdp_md *ctx, const struct packet *pkt)
{
	struct packet head = {
		.is_v4 = pkt->is_v4,
		.network_offset = pkt->network_offset,
		.transport_offset = pkt->transport_offset,
	};

	return place(ctx, &head) && is_header_intact(ctx, &head);
}

/*
 * For a fragment that is not the first; NEXT is that it goes by a tunnel. The verifier sees
 * pointers in `pkt` as numbers; the copy with its own is made after all calls, since the stack has
 * no room to keep it.
 */
__attribute__((noinline)) int follow_first(struct xdp_md *ctx, struct packet *pkt)
{
	const struct first_fragment *found;
	struct first_fragment first;
	struct backend *backend;
	struct packet later;
	enum verdict verdict;
	__u32 id;

	if (!pkt)
		return DROP_NO_ROOM;
	found = find_first(pkt);
	if (!found)
		return PASS_FRAGMENT;
	first = *found;
	/* Else its memory is another's by now. */
	if (READ_ONCE(found->nonce) != first.nonce || is_forgotten(&first, pkt->now))
		return PASS_FRAGMENT;
	/* From here on the fragment is ours. */
	pkt->backend = id = first.backend;
	backend = bpf_map_lookup_elem(&backends, &id);
	if (!id || !backend || is_gone(backend))
		return DROP_FRAGMENT;
	if (!is_still_intact(ctx, pkt))
		return DROP_BAD_CHECKSUM;

	later = *pkt;
	if (!place(ctx, &later))
		return DROP_NO_ROOM;
	verdict = first.is_reply ? follow_to_client(&later, &first)
				 : follow_to_backend(&later, backend);
	pkt->action = later.action;
	return verdict;
}
