// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * xlvs.bpf.c - the way of a packet.
 *
 *     parse     what is it, and is it sent to our MAC?
 *     service   is it ours?
 *     flow      have we met?
 *     schedule  who serves it?
 *     forward   dr, nat, tun or local; or refuse, and say so to the client
 *     count     verdict -> counters -> XDP action
 *
 * Of a packet in fragments the first goes this way, and the others follow it (fragment.h).
 * An ICMP error takes a way of its own (icmp.h), by the flow of the packet that it quotes.
 *
 * A step answers NEXT (go on) or a verdict (done). Every packet ends in exactly one verdict, and
 * every verdict is counted (types.h has the list). Until a service or a flow is found the packet is
 * not ours: whatever is odd about it, it passes to the stack untouched. Afterwards it is ours: it
 * is served, refused or dropped with a reason, and never leaks to the stack; only where a service
 * has ports by the range may one of them be that of the director's own connection from the vip.
 *
 * The agent decides: it turns configuration, checks and neighbours into the maps of maps.h. The
 * program only looks up, so it goes on when the agent stops or is killed.
 */
#include "bpf/count.h"
#include "bpf/destination.h"
#include "bpf/flow.h"
#include "bpf/forward.h"
#include "bpf/fragment.h"
#include "bpf/icmp.h"
#include "bpf/maps.h"
#include "bpf/packet.h"
#include "bpf/parse.h"
#include "bpf/persistence.h"
#include "bpf/refuse.h"
#include "bpf/reply.h"
#include "bpf/schedule.h"
#include "bpf/sctp.h"
#include "bpf/service.h"
#include "bpf/way_back.h"

/* How many backends are asked for one that has this client port free. */
#define SCHEDULE_ATTEMPTS 4

static __always_inline bool is_within(__u32 size, __u32 least, __u32 most)
{
	return size >= least && size <= most;
}

/*
 * What UDP's length or a chunk's may say at most. A first fragment may say more than it holds: it
 * speaks of the whole. No branch: the verifier would follow both ways to the end.
 */
static __always_inline __u32 greatest_length(const struct packet *pkt)
{
	return pkt->length - pkt->transport_offset + ((__u32)pkt->fragment.place << 16);
}

/* The packet is sent to a service; is it fit to be served? */
static __always_inline enum verdict inspect(struct xdp_md *ctx, struct packet *pkt)
{
	const struct tcphdr *tcp = pkt->transport;
	const struct udphdr *udp = pkt->transport;
	const struct sctp_chunk *chunk = pkt->transport + sizeof(struct sctp_header);
	__u32 length = pkt->length - pkt->transport_offset;

	if (!is_header_intact(ctx, pkt))
		return DROP_BAD_CHECKSUM;
	if (is_udp(pkt)) {
		if ((void *)(udp + 1) > pkt->end ||
		    !is_within(bpf_ntohs(udp->len), sizeof(*udp), greatest_length(pkt)))
			return DROP_BAD_LENGTH;
		return NEXT;
	}
	if (is_sctp(pkt)) {
		if ((void *)(chunk + 1) > pkt->end ||
		    !is_within(bpf_ntohs(chunk->length), least_length(chunk->type),
			       greatest_length(pkt) - sizeof(struct sctp_header)))
			return DROP_BAD_LENGTH;
		return NEXT;
	}
	if ((void *)(tcp + 1) > pkt->end || tcp->doff < 5 || tcp->doff * 4 > length)
		return DROP_BAD_LENGTH;
	if ((tcp->syn && (tcp->fin || tcp->rst)) || !(tcp->syn || tcp->ack || tcp->fin || tcp->rst))
		return DROP_BAD_FLAGS;
	return NEXT;
}

/* The id of the backend that is next, or 0. */
static __always_inline __u32 ask_scheduler(const struct packet *pkt, __u64 table, __u64 hash,
					   __u64 tried, bool is_first)
{
	/* That a backend has no room for one client is no reason to move a destination. */
	bool is_held = is_first && is_by_destination(region_of(table));
	__u32 id = 0;

	if (is_held)
		id = find_assigned(&pkt->flow.server, pkt->service, table, pkt->now);
	if (id)
		return id;
	id = schedule(table, hash, tried);
	if (id && is_held)
		assign(&pkt->flow.server, pkt->service, table, id, pkt->now);
	return id;
}

/*
 * The client's first flow by the service: where its next ones go, too. Not inlined for the sake of
 * the stack.
 */
static __attribute__((noinline)) __u32 hold_to(const struct packet *pkt,
					       const struct service *service, __u32 id)
{
	__u32 first;

	if (!open_template(&pkt->flow, service, id, pkt->now))
		return id;
	first = find_template(&pkt->flow, service, pkt->service, pkt->now);
	return first ? first : id;
}

/* The backend for a new flow. */
static __always_inline enum verdict choose(struct packet *pkt, const struct service *service,
					   struct backend **chosen)
{
	enum verdict verdict = REFUSE_NO_BACKEND;
	__u64 table = READ_ONCE(service->table), hash = hash_packet(pkt, table);
	__u64 tried = 0; /* the last two */
	__u32 id = 0;

	if (service->persistence) {
		pkt->backend = id = find_template(&pkt->flow, service, pkt->service, pkt->now);
		*chosen = bpf_map_lookup_elem(&backends, &id);
		if (id && *chosen && !is_reply_taken(pkt, *chosen))
			return NEXT;
	}
	for (int i = 0; i < SCHEDULE_ATTEMPTS; i++) {
		struct backend *backend;

		tried = tried << 32 | id;
		id = ask_scheduler(pkt, table, hash, tried, i == 0);
		backend = bpf_map_lookup_elem(&backends, &id);
		if (!id || !backend)
			break;
		if (is_reply_taken(pkt, backend)) {
			verdict = REFUSE_REPLY_TAKEN;
			continue;
		}
		/* Where its own has no room for this port of the client, the template stays. */
		if (service->persistence && !backend->fallback && !pkt->backend)
			id = hold_to(pkt, service, id);
		pkt->backend = id;
		*chosen = bpf_map_lookup_elem(&backends, &id);
		return *chosen ? NEXT : DROP_FLOW_BUSY;
	}
	return verdict;
}

/*
 * A packet of no known flow: NEXT, and it has a backend; or what is to become of it. A function of
 * its own, since it is not the way of most packets: the verifier looks at it once, and sees
 * pointers in `pkt` as numbers.
 */
__attribute__((noinline)) int begin(struct xdp_md *ctx, struct packet *pkt)
{
	struct service *service;
	struct backend *backend;
	__u32 id;

	if (!pkt)
		return DROP_NO_ROOM;
	/* Maybe an answer to the director's own; if it is not, its stack refuses it by itself. */
	if (!pkt->opens)
		return pkt->by_ports ? PASS_NO_FLOW : REFUSE_NO_FLOW;
	id = pkt->service;
	service = bpf_map_lookup_elem(&services, &id);
	if (!service)
		return DROP_FLOW_BUSY;
	TRY(choose(pkt, service, &backend));
	if (!service->one_packet)
		return open_flow(ctx, pkt, backend, service->persistence && !backend->fallback);
	count_opened(pkt);
	renew_reply(ctx, pkt, backend);
	return NEXT;
}

/* What has become of the packet's opening; nonzero if that has a backend. Likewise. */
__attribute__((noinline)) int go_on(struct xdp_md *ctx, struct packet *pkt, struct flow *opening)
{
	return pkt && opening && meet_pending(ctx, pkt, opening);
}

/* The packet has no confirmed flow; afterwards its pointers are found again. */
static __always_inline enum verdict admit(struct xdp_md *ctx, struct packet *pkt,
					  struct flow *opening)
{
	enum verdict verdict;

	if (!opening || !go_on(ctx, pkt, opening)) {
		verdict = begin(ctx, pkt);
		if (class_of(verdict) == REFUSE)
			return refuse(ctx, pkt, verdict);
		TRY(verdict);
	}
	return place(ctx, pkt) ? NEXT : DROP_NO_ROOM;
}

/* The packet is sent to a service. */
static __always_inline enum verdict serve(struct xdp_md *ctx, struct packet *pkt)
{
	struct flow *flow, *opening;
	struct backend *backend = NULL;
	__u32 id;

	TRY(inspect(ctx, pkt));
	flow = find_flow(pkt, &opening);
	if (flow)
		backend = meet_confirmed(pkt, flow);
	if (!backend) {
		TRY(admit(ctx, pkt, opening));
		id = pkt->backend;
		backend = bpf_map_lookup_elem(&backends, &id);
	}
	return backend ? forward(ctx, pkt, backend) : DROP_NO_ROOM;
}

static __always_inline enum verdict balance(struct xdp_md *ctx, struct packet *pkt)
{
	enum verdict verdict;
	__u64 service;

	TRY(parse(ctx, pkt));
	if (is_later_fragment(pkt)) {
		TRY(follow_first(ctx, pkt));
		return forward_tun_unanswered(ctx, pkt);
	}
	verdict = parse_transport(pkt);
	if (verdict == PASS_NOT_TRANSPORT && is_icmp(pkt) && !is_fragment(pkt)) {
		TRY(follow_error(ctx, pkt));
		return forward_tun_unanswered(ctx, pkt);
	}
	TRY(verdict);
	service = find_service(&pkt->flow);
	if (!service)
		return reply(ctx, pkt);
	/* From here on the packet is ours: serve it, refuse it or drop it, never leak it. */
	pkt->service = service;
	pkt->by_ports = service >> 32;
	verdict = serve(ctx, pkt);
	if (is_fragment(pkt))
		remember_first(pkt, verdict, NULL, 0);
	return verdict;
}

SEC("xdp.frags")
int xlvs(struct xdp_md *ctx)
{
	/* Steps never ask the clock. */
	struct packet pkt = { .now = bpf_jiffies64() };
	__u32 size = ctx->data_end - ctx->data; /* of a frame in several buffers, the first */

	return count(&pkt, size, balance(ctx, &pkt));
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
