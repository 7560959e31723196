/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * refuse.h - the client is told at once, from the vip, that it will not be served. The frame that
 * came is turned into the answer and goes back where it came from, so VLAN tags stay.
 */
#pragma once

#include "bpf/maps.h"
#include "bpf/rewrite.h"
#include "bpf/sctp.h"

/* RFC 792 and RFC 4443 want the start of what is refused: its headers and 8 bytes of transport. */
#define QUOTED_TRANSPORT 8
#define MAX_QUOTED 128
#define ANSWER_TTL 64

/* The head of an ICMP error; RFC 792 and RFC 4443 lay it out alike. (linux/icmp.h needs libc.) */
struct icmp_error {
	__u8 type;
	__u8 code;
	__sum16 checksum;
	__be32 mtu; /* of "too big"; else 0 */
};

#define ICMPV4_UNREACHABLE 3
#define ICMPV4_PORT 3
#define ICMPV4_TOO_BIG 4
#define ICMPV6_UNREACHABLE 1
#define ICMPV6_PORT 4
#define ICMPV6_TOO_BIG 2

/* No link carries less: RFC 791, 3.2; RFC 8200, 5. */
#define IPV4_LEAST_MTU 68
#define IPV6_LEAST_MTU 1280

struct refusals {
	__u32 second; /* jiffies when it began */
	__u32 answered;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct refusals);
} refusals SEC(".maps");

/* RFC 1122, 3.2.2; RFC 4443, 2.4 (e); RFC 9260, 8.4: nobody else is answered. */
static __always_inline bool is_single_host(const struct packet *pkt)
{
	const struct address *client = &pkt->flow.client;
	__u32 first = bpf_ntohl(client->words[0]), last = bpf_ntohl(client->words[3]);

	if (!pkt->is_v4)
		return first >> 24 != 0xff &&
		       (client->words[0] | client->words[1] | client->words[2] || last > 1);
	return last >> 24 != 0 && last >> 24 != 127 && last >> 28 != 14 && last != ~0U;
}

/* Answers are limited per CPU and second, so that xlvs cannot be made to flood. */
static __always_inline bool may_answer(__u32 now)
{
	__u32 key = 0;
	struct refusals *limit = bpf_map_lookup_elem(&refusals, &key);

	if (!limit)
		return false;
	if (now - limit->second >= settings.second) {
		limit->second = now;
		limit->answered = 0;
	}
	return limit->answered++ < settings.refusals_per_second;
}

/* Cuts the frame to `length` bytes. */
static __always_inline bool cut(struct xdp_md *ctx, __u32 length)
{
	return !bpf_xdp_adjust_tail(ctx, (int)length - (int)bpf_xdp_get_buff_len(ctx));
}

static __always_inline void turn_around(struct ethhdr *eth)
{
	struct ethhdr came = *eth;

	__builtin_memcpy(eth->h_dest, came.h_source, ETH_ALEN);
	__builtin_memcpy(eth->h_source, came.h_dest, ETH_ALEN);
}

static __always_inline __u32 ip_header_size(const struct packet *pkt)
{
	return pkt->is_v4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
}

/* A fresh IP header from the vip to the client; `length` bytes follow it. */
static __always_inline bool write_ip(struct packet *pkt, __u8 protocol, __u16 length)
{
	struct iphdr *ip = pkt->network;
	struct ipv6hdr *ip6 = pkt->network;

	if (!pkt->is_v4) {
		if ((void *)(ip6 + 1) > pkt->end)
			return false;
		*(__be32 *)ip6 = bpf_htonl(0x60000000);
		ip6->payload_len = bpf_htons(length);
		ip6->nexthdr = protocol;
		ip6->hop_limit = ANSWER_TTL;
		__builtin_memcpy(&ip6->saddr, &pkt->flow.server, sizeof(ip6->saddr));
		__builtin_memcpy(&ip6->daddr, &pkt->flow.client, sizeof(ip6->daddr));
		return true;
	}
	if ((void *)(ip + 1) > pkt->end)
		return false;
	*ip = (struct iphdr){
		.version = 4,
		.ihl = 5,
		.tot_len = bpf_htons(sizeof(*ip) + length),
		.frag_off = bpf_htons(0x4000), /* don't fragment, so the id may be 0 (RFC 6864) */
		.ttl = ANSWER_TTL,
		.protocol = protocol,
		.saddr = pkt->flow.server.words[3],
		.daddr = pkt->flow.client.words[3],
	};
	ip->check = ~csum_fold(csum_ipv4_header(ip));
	return true;
}

/*
 * The sum over both addresses, which both families' pseudo headers hold (RFC 9293, 3.1; RFC 8200,
 * 8.1). The prefix of a mapped IPv4 address is 0xffff, which is 0 in ones' complement.
 */
static __always_inline __u64 csum_addresses(const struct packet *pkt)
{
	const struct address *a = &pkt->flow.server, *b = &pkt->flow.client;

	return (__u64)a->words[0] + a->words[1] + a->words[2] + a->words[3] + b->words[0] +
	       b->words[1] + b->words[2] + b->words[3];
}

/* RFC 9293, 3.10.7.1: the reset that a closed port answers with. */
static __always_inline void make_reset(const struct packet *pkt, const struct tcphdr *came,
				       struct tcphdr *reset)
{
	const __be32 *words = (const __be32 *)reset;
	__u32 data = pkt->length - pkt->transport_offset - came->doff * 4;

	reset->source = came->dest;
	reset->dest = came->source;
	reset->doff = sizeof(*reset) / 4;
	reset->rst = 1;
	if (came->ack) {
		reset->seq = came->ack_seq;
	} else {
		reset->ack = 1;
		reset->ack_seq = bpf_htonl(bpf_ntohl(came->seq) + data + came->syn + came->fin);
	}
	reset->check = ~csum_fold(csum_addresses(pkt) + bpf_htons(IPPROTO_TCP) +
				  bpf_htons(sizeof(*reset)) + words[0] + words[1] + words[2] +
				  words[3] + words[4]);
}

static __always_inline enum verdict turn_to_reset(struct xdp_md *ctx, struct packet *pkt)
{
	struct tcphdr *tcp, reset = {};

	if (pkt->resets)
		return DROP_NO_FLOW;
	if (!place(ctx, pkt))
		return DROP_NO_ROOM;
	tcp = pkt->transport;
	if ((void *)(tcp + 1) > pkt->end)
		return DROP_BAD_LENGTH;
	if (!may_answer(pkt->now))
		return DROP_REFUSAL_LIMIT;
	make_reset(pkt, tcp, &reset);

	if (!cut(ctx, pkt->network_offset + ip_header_size(pkt) + sizeof(reset)) ||
	    !place(ctx, pkt) || !write_ip(pkt, IPPROTO_TCP, sizeof(reset)))
		return DROP_NO_ROOM;
	tcp = pkt->network + ip_header_size(pkt);
	if ((void *)(tcp + 1) > pkt->end)
		return DROP_NO_ROOM;
	turn_around(pkt->eth);
	*tcp = reset;
	return REFUSE_NO_FLOW;
}

/* All that an answer in SCTP has. */
struct sctp_answer {
	struct sctp_header sctp;
	struct sctp_chunk chunk;
};

static __always_inline __u32 set_of_all_chunks(struct xdp_md *ctx, const struct packet *pkt)
{
	__u32 first = pkt->transport_offset + sizeof(struct sctp_header);

	return set_of_chunks(ctx, pkt->network_offset + first, pkt->network_offset + pkt->length);
}

/*
 * RFC 9260, 8.4: what comes out of the blue is answered with an ABORT, and the SHUTDOWN ACK of a
 * peer that waits for the end with that; the tag is the one that came. A COOKIE ECHO, too: whose
 * cookie it is nobody here can say, so no association is made of it (5.1).
 */
static __always_inline enum verdict answer_chunks(__u32 came, struct sctp_answer *answer)
{
	if (came & HAS(SCTP_ABORT))
		return DROP_NO_FLOW;
	answer->chunk.flags = SCTP_TAG_REFLECTED;
	answer->chunk.type = SCTP_SHUTDOWN_COMPLETE;
	if (came & HAS(SCTP_SHUTDOWN_ACK))
		return NEXT;
	if (came & (HAS(SCTP_SHUTDOWN_COMPLETE) | HAS(SCTP_COOKIE_ACK) | HAS_STALE_COOKIE))
		return DROP_NO_FLOW;
	answer->chunk.type = SCTP_ABORT;
	return NEXT;
}

/*
 * An INIT has no tag but says which one it wants. 3.3.2, 8.5.1: where it names none, or does not
 * come alone, it is discarded, as is all else without a tag.
 */
static __always_inline enum verdict answer_untagged(const struct packet *pkt,
						    const struct sctp_header *came,
						    struct sctp_answer *answer)
{
	const struct sctp_init *init = (const void *)(came + 1);
	__u32 length = pkt->length - pkt->transport_offset - sizeof(*came);

	if ((void *)(init + 1) > pkt->end)
		return DROP_NO_FLOW;
	if (init->chunk.type != SCTP_INIT || !init->tag ||
	    length >= bpf_ntohs(init->chunk.length) + sizeof(init->chunk))
		return DROP_NO_FLOW;
	answer->sctp.tag = init->tag;
	answer->chunk.type = SCTP_ABORT;
	return NEXT;
}

static __always_inline enum verdict make_abort(const struct packet *pkt, __u32 chunks,
					       struct sctp_answer *answer)
{
	const struct sctp_header *came = pkt->transport;
	const __u64 *words = (const __u64 *)answer;

	if ((void *)(came + 1) > pkt->end)
		return DROP_BAD_LENGTH;
	answer->sctp.source = came->dest;
	answer->sctp.dest = came->source;
	answer->sctp.tag = came->tag;
	answer->chunk.length = bpf_htons(sizeof(answer->chunk));
	if (came->tag)
		TRY(answer_chunks(chunks, answer));
	else
		TRY(answer_untagged(pkt, came, answer));
	answer->sctp.checksum = little_endian(crc32c_of_words(words[0], words[1]));
	return NEXT;
}

static __always_inline enum verdict turn_to_abort(struct xdp_md *ctx, struct packet *pkt,
						  enum verdict why)
{
	struct sctp_answer *sctp, answer __attribute__((aligned(8))) = {};
	__u32 chunks = set_of_all_chunks(ctx, pkt);

	if (!place(ctx, pkt))
		return DROP_NO_ROOM;
	TRY(make_abort(pkt, chunks, &answer));
	if (!may_answer(pkt->now))
		return DROP_REFUSAL_LIMIT;

	if (!cut(ctx, pkt->network_offset + ip_header_size(pkt) + sizeof(answer)) ||
	    !place(ctx, pkt) || !write_ip(pkt, IPPROTO_SCTP, sizeof(answer)))
		return DROP_NO_ROOM;
	sctp = pkt->network + ip_header_size(pkt);
	if ((void *)(sctp + 1) > pkt->end)
		return DROP_NO_ROOM;
	turn_around(pkt->eth);
	*sctp = answer;
	return why;
}

/* After the head has grown by `grow`: Ethernet and VLAN tags move to the new start. */
static __always_inline bool move_link_header(struct packet *pkt, __u32 grow)
{
	__u32 *to = (void *)(pkt->eth + 1), *from = (void *)to + grow;

	if ((void *)from > pkt->end)
		return false;
	__builtin_memcpy(pkt->eth, (void *)pkt->eth + grow, sizeof(*pkt->eth));
	for (int i = 0; i < 2; i++) {
		if ((void *)&to[i] >= pkt->network)
			break;
		if ((void *)&from[i + 1] > pkt->end)
			return false;
		to[i] = from[i];
	}
	return true;
}

/* The ICMP checksum over everything from `icmp` to the end of the frame. */
static __always_inline __u64 csum_to_end(const struct packet *pkt, const void *icmp)
{
	const __be32 *words = icmp;
	__u64 sum = 0;

	for (int i = 0; i < (MAX_QUOTED + sizeof(struct icmp_error)) / 4; i++) {
		if ((void *)&words[i + 1] > pkt->end)
			break;
		sum += words[i];
	}
	return sum;
}

/* What fits into the tunnel to the packet's backend. */
static __always_inline __u32 mtu_in_tunnel(const struct packet *pkt)
{
	__u32 least = pkt->is_v4 ? IPV4_LEAST_MTU : IPV6_LEAST_MTU, id = pkt->backend, overhead;
	struct backend *backend = bpf_map_lookup_elem(&backends, &id);
	union way way;

	if (!backend)
		return least;
	way.word = READ_ONCE(backend->way.word);
	overhead = tunnel_overhead(way, is_mapped(&backend->ip));
	return way.mtu < least + overhead ? least : way.mtu - overhead;
}

/*
 * Port unreachable: RFC 792 type 3 code 3, RFC 4443 type 1 code 4. Too big: RFC 1191 type 3 code 4,
 * RFC 4443 type 2.
 */
static __always_inline struct icmp_error error_of(const struct packet *pkt, enum verdict why)
{
	struct icmp_error error = { .type = ICMPV4_UNREACHABLE, .code = ICMPV4_PORT };

	if (!pkt->is_v4) {
		error.type = ICMPV6_UNREACHABLE;
		error.code = ICMPV6_PORT;
	}
	if (why == REFUSE_TOO_BIG) {
		error.type = pkt->is_v4 ? ICMPV4_UNREACHABLE : ICMPV6_TOO_BIG;
		error.code = pkt->is_v4 ? ICMPV4_TOO_BIG : 0;
		error.mtu = bpf_htonl(mtu_in_tunnel(pkt));
	}
	return error;
}

static __always_inline enum verdict turn_to_unreachable(struct xdp_md *ctx, struct packet *pkt,
							enum verdict why)
{
	__u32 quoted = pkt->transport_offset + QUOTED_TRANSPORT;
	__u32 grow = ip_header_size(pkt) + sizeof(struct icmp_error);
	__u8 protocol = pkt->is_v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	struct icmp_error *icmp;
	__u64 pseudo = 0;

	if (quoted > MAX_QUOTED)
		quoted = MAX_QUOTED;
	if (!may_answer(pkt->now))
		return DROP_REFUSAL_LIMIT;
	if (!cut(ctx, pkt->network_offset + quoted) || bpf_xdp_adjust_head(ctx, -(int)grow) ||
	    !place(ctx, pkt) || !move_link_header(pkt, grow) ||
	    !write_ip(pkt, protocol, sizeof(*icmp) + quoted))
		return DROP_NO_ROOM;
	icmp = pkt->network + ip_header_size(pkt);
	if ((void *)(icmp + 1) > pkt->end)
		return DROP_NO_ROOM;
	turn_around(pkt->eth);
	*icmp = error_of(pkt, why);
	if (!pkt->is_v4)
		pseudo = csum_addresses(pkt) + bpf_htons(protocol) +
			 bpf_htons(sizeof(*icmp) + quoted);
	icmp->checksum = ~csum_fold(pseudo + csum_to_end(pkt, icmp));
	return why;
}

/*
 * A function of its own: the verifier looks at it once, rather than for each way that a packet may
 * have come. It sees pointers in `pkt` as numbers, so it finds its own.
 */
__attribute__((noinline)) int turn_into_answer(struct xdp_md *ctx, const struct packet *pkt,
					       int why)
{
	struct packet refused;

	if (!pkt)
		return DROP_NO_ROOM;
	refused = *pkt;
	if (!is_single_host(&refused))
		return why == REFUSE_TOO_BIG ? DROP_TOO_BIG : DROP_NO_FLOW;
	if (why == REFUSE_TOO_BIG)
		return turn_to_unreachable(ctx, &refused, why);
	if (is_sctp(&refused))
		return turn_to_abort(ctx, &refused, why);
	if (why == REFUSE_NO_FLOW)
		return turn_to_reset(ctx, &refused);
	return turn_to_unreachable(ctx, &refused, why);
}

static __always_inline enum verdict refuse(struct xdp_md *ctx, const struct packet *pkt,
					   enum verdict why)
{
	int verdict = turn_into_answer(ctx, pkt, why);

	/* It never is; but that, too, the verifier cannot see. */
	return verdict == NEXT ? DROP_NO_ROOM : verdict;
}
