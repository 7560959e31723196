/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * forward.h - off it goes. The one place that picks between sending the frame back by the interface
 * it came in by (XDP_TX) and redirecting it to another.
 */
#pragma once

#include "bpf/clamp.h"
#include "bpf/forward_tun.h"
#include "bpf/record.h"
#include "bpf/rewrite.h"

static __always_inline enum verdict transmit(struct packet *pkt, union next_hop to,
					     enum verdict done)
{
	__u32 slot = to.hop.interface - 1;
	struct interface *egress;

	if (!to.word || slot >= MAX_INTERFACES)
		return DROP_NO_NEIGHBOUR;
	egress = &settings.interfaces[slot];
	write_macs(pkt->eth, to, (union next_hop){ .word = READ_ONCE(egress->self.word) });
	pkt->action = XDP_TX;
	if (to.hop.interface != pkt->interface)
		pkt->action = bpf_redirect(egress->ifindex, 0);
	return done;
}

/* Direct routing: the backend holds the vip itself, so only the MAC addresses change. */
static __always_inline enum verdict forward_dr(struct packet *pkt, const struct backend *backend)
{
	union next_hop to = { .word = READ_ONCE(backend->next_hop.word) };

	if (!to.word)
		return DROP_NO_NEIGHBOUR;
	if (!take_hop(pkt))
		return DROP_TTL;
	return transmit(pkt, to, FORWARD_DR);
}

static __always_inline enum verdict forward_nat(struct packet *pkt, const struct backend *backend)
{
	union next_hop to = { .word = READ_ONCE(backend->next_hop.word) };

	if (!to.word)
		return DROP_NO_NEIGHBOUR;
	if (is_past_correcting(pkt, pkt->flow.server_port, port_at(backend, &pkt->flow)))
		return DROP_SCTP_FRAGMENT;
	if (!take_hop(pkt))
		return DROP_TTL;
	rewrite_endpoint(pkt, false, &backend->ip, port_at(backend, &pkt->flow));
	return transmit(pkt, to, FORWARD_NAT);
}

/*
 * The frame has grown when it is in the tunnel, so its start is found again. `too_big`: what
 * becomes of a packet that does not fit.
 */
static __always_inline enum verdict forward_tun(struct xdp_md *ctx, struct packet *pkt,
						const struct backend *backend, enum verdict too_big)
{
	union next_hop to = { .word = READ_ONCE(backend->next_hop.word) };
	union way way = { .word = READ_ONCE(backend->way.word) };
	enum verdict verdict;

	if (!to.word)
		return DROP_NO_NEIGHBOUR;
	if (!take_hop(pkt))
		return DROP_TTL;
	verdict = enter_tunnel(ctx, pkt, way.word);
	if (verdict == FORWARD_TUN && way.checksum)
		verdict = seal_tunnel(ctx, pkt, way.word);
	if (verdict == REFUSE_TOO_BIG)
		return too_big == REFUSE_TOO_BIG ? refuse(ctx, pkt, verdict) : too_big;
	if (verdict != FORWARD_TUN)
		return verdict == NEXT ? DROP_NO_ROOM : verdict;
	pkt->eth = (void *)(long)ctx->data;
	pkt->end = (void *)(long)ctx->data_end;
	if ((void *)(pkt->eth + 1) > pkt->end)
		return DROP_NO_ROOM;
	return transmit(pkt, to, FORWARD_TUN);
}

/* Up the stack as it came: the director itself serves the vip. */
static __always_inline enum verdict forward_local(struct packet *pkt)
{
	pkt->action = XDP_PASS;
	return FORWARD_LOCAL;
}

static __always_inline enum verdict forward(struct xdp_md *ctx, struct packet *pkt,
					    const struct backend *backend)
{
	if (pkt->opens && is_tcp(pkt))
		clamp(ctx, pkt, backend);
	switch (backend->forwarding) {
	case FORWARDING_DR:
		return forward_dr(pkt, backend);
	case FORWARDING_NAT:
		return forward_nat(pkt, backend);
	case FORWARDING_LOCAL:
		return forward_local(pkt);
	case FORWARDING_TUN:
		return forward_tun(ctx, pkt, backend, REFUSE_TOO_BIG);
	}
	return DROP_NO_NEIGHBOUR;
}

/*
 * What was looked at in a function of its own, where its pointers were lost: a later fragment or an
 * ICMP error, which no ICMP error may speak of (RFC 1122, 3.2.2; RFC 4443, 2.4).
 */
static __always_inline enum verdict forward_tun_unanswered(struct xdp_md *ctx, struct packet *pkt)
{
	__u32 id = pkt->backend;
	struct backend *backend = bpf_map_lookup_elem(&backends, &id);

	if (!backend || !place(ctx, pkt))
		return DROP_NO_ROOM;
	return forward_tun(ctx, pkt, backend, DROP_TOO_BIG);
}
