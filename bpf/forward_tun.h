/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * forward_tun.h - tunnels: the packet travels to its backend inside of another, which comes from
 * the director. All headers are those that IPVS writes (net/netfilter/ipvs/ip_vs_xmit.c, with
 * pmtu_disc, its default): TOS, TTL and, of IPv4 in IPv4, "don't fragment" are those of the packet
 * inside. Families may differ.
 */
#pragma once

#include <stddef.h>

#include "bpf/packet.h"
#include "bpf/refuse.h"
#include "bpf/rewrite.h"

/* RFC 2784, 2.1; the second half is there with a checksum only. */
struct gre_header {
	__be16 flags;
	__be16 protocol;
	__sum16 checksum;
	__be16 reserved;
};

#define GRE_HAS_CHECKSUM 0x8000

/* draft-ietf-intarea-gue-09, 3: version 0 without flags and options. */
struct gue_header {
	struct udphdr udp;
	__u8 version; /* and the length of what options there were */
	__u8 protocol;
	__be16 flags;
};

#define ECN_MASK 3 /* RFC 3168, 5 */
#define ECN_CE 3
#define ECN_ECT_0 2

/* Linux's ip_local_port_range as it is by default; whence GUE's own source port comes. */
#define EPHEMERAL_PORT 32768
#define EPHEMERAL_PORTS 28232

static __always_inline __u32 ip_size_of(bool is_v4)
{
	return is_v4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
}

/* What the outer headers are written from. */
struct outer {
	union way way;
	const struct address *from;
	const struct address *to;
	bool is_v4;
	bool holds_v4; /* what is inside */
	__u8 tos;
	__u8 ttl;
	__be16 fragment;
	__u16 length; /* of the IP packet, bytes */
	__be16 source_port;
};

/* RFC 3168, 9.1.1: congestion on the outer way is seen anew. */
static __always_inline __u8 outer_tos(__u8 tos)
{
	return (tos & ECN_MASK) == ECN_CE ? (tos & ~ECN_MASK) | ECN_ECT_0 : tos;
}

/* The packet at `offset` in the frame. */
static __always_inline bool take_over(struct xdp_md *ctx, __u64 offset, struct outer *outer)
{
	void *network = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ipv6hdr *ip6;
	struct iphdr *ip;

	BOUND(offset, MAX_NETWORK_OFFSET);
	network += offset;
	ip = network;
	ip6 = network;
	if (!outer->holds_v4) {
		if ((void *)(ip6 + 1) > end)
			return false;
		outer->tos = outer_tos(bpf_ntohs(*(__be16 *)ip6) >> 4);
		outer->ttl = ip6->hop_limit;
		outer->fragment = 0;
		return true;
	}
	if ((void *)(ip + 1) > end)
		return false;
	outer->tos = outer_tos(ip->tos);
	outer->ttl = ip->ttl;
	outer->fragment = ip->frag_off & bpf_htons(0x4000); /* don't fragment */
	return true;
}

/* A flow's packets take one way through the network and to one queue of the backend's. */
static __always_inline __be16 source_port_of(const struct flow_key *flow)
{
	struct endpoint_key key = {
		.address = flow->client,
		.port = flow->client_port,
		.protocol = flow->protocol,
	};

	return bpf_htons(EPHEMERAL_PORT +
			 ((__u32)endpoint_hash(&key) * (__u64)EPHEMERAL_PORTS >> 32));
}

static __always_inline __u8 protocol_inside(const struct outer *outer)
{
	return outer->holds_v4 ? IPPROTO_IPIP : IPPROTO_IPV6;
}

static __always_inline __u8 outer_protocol(const struct outer *outer)
{
	if (outer->way.tunnel == TUNNEL_GRE)
		return IPPROTO_GRE;
	return outer->way.tunnel == TUNNEL_GUE ? IPPROTO_UDP : protocol_inside(outer);
}

/* The id matters only where the packet may be split up (RFC 6864, 4). */
static __always_inline void *write_outer_ipv4(struct iphdr *ip, void *end,
					      const struct outer *outer)
{
	if ((void *)(ip + 1) > end)
		return NULL;
	*ip = (struct iphdr){
		.version = 4,
		.ihl = 5,
		.tos = outer->tos,
		.tot_len = bpf_htons(outer->length),
		.id = outer->fragment ? 0 : bpf_get_prandom_u32(),
		.frag_off = outer->fragment,
		.ttl = outer->ttl,
		.protocol = outer_protocol(outer),
		.saddr = outer->from->words[3],
		.daddr = outer->to->words[3],
	};
	ip->check = ~csum_fold(csum_ipv4_header(ip));
	return ip + 1;
}

static __always_inline void *write_outer_ipv6(struct ipv6hdr *ip, void *end,
					      const struct outer *outer)
{
	if ((void *)(ip + 1) > end)
		return NULL;
	*(__be32 *)ip = bpf_htonl(0x60000000 | (__u32)outer->tos << 20);
	ip->payload_len = bpf_htons(outer->length - sizeof(*ip));
	ip->nexthdr = outer_protocol(outer);
	ip->hop_limit = outer->ttl;
	__builtin_memcpy(&ip->saddr, outer->from, sizeof(ip->saddr));
	__builtin_memcpy(&ip->daddr, outer->to, sizeof(ip->daddr));
	return ip + 1;
}

/* ---- checksums over what is inside -------------------------------------------------------- */

#define CHUNK 512 /* what bpf_csum_diff() takes before Linux 6.13 */

struct chunk {
	__be32 words[CHUNK / 4];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct chunk);
} chunks SEC(".maps");

/* The sum over `length` bytes, also of a frame in several buffers; ~0: they are not there. */
__attribute__((noinline)) __u64 sum_up(struct xdp_md *ctx, __u32 offset, __u32 length)
{
	__u32 key = 0, sum = 0;
	struct chunk *chunk = bpf_map_lookup_elem(&chunks, &key);
	__u64 last, word;

	if (!chunk)
		return ~0ULL;
	for (int i = 0; i < 65536 / CHUNK && length >= CHUNK; i++) {
		if (bpf_xdp_load_bytes(ctx, offset, chunk, CHUNK))
			return ~0ULL;
		sum = bpf_csum_diff(NULL, 0, chunk->words, CHUNK, sum);
		offset += CHUNK;
		length -= CHUNK;
	}
	if (!length)
		return sum;
	/* An odd end counts as if zeros followed (RFC 1071, 1). */
	last = length - 1;
	BOUND(last, CHUNK - 1);
	word = last / 4;
	BOUND(word, CHUNK / 4 - 1);
	chunk->words[word] = 0;
	if (bpf_xdp_load_bytes(ctx, offset, chunk, last + 1))
		return ~0ULL;
	return (__u32)bpf_csum_diff(NULL, 0, chunk->words, (word + 1) * 4, sum);
}

/*
 * The checksum of a packet that enter_tunnel() has put into a tunnel with one; the field holds the
 * sum over what else is covered. A call of its own, since the stack has no room for one in another.
 */
__attribute__((noinline)) int seal_tunnel(struct xdp_md *ctx, const struct packet *pkt, __u64 word)
{
	__u32 id, ip_size, length;
	struct backend *backend;
	union way way = { .word = word };
	__u64 offset, sum;
	__sum16 *check;

	if (!pkt)
		return DROP_NO_ROOM;
	id = pkt->backend;
	backend = bpf_map_lookup_elem(&backends, &id);
	if (!backend)
		return DROP_NO_NEIGHBOUR;
	ip_size = ip_size_of(is_mapped(&backend->ip));
	length = pkt->length + tunnel_overhead(way, is_mapped(&backend->ip)) - ip_size;
	offset = pkt->network_offset + ip_size;
	sum = sum_up(ctx, offset, length);
	if (sum == ~0ULL)
		return DROP_NO_ROOM;
	offset += way.tunnel == TUNNEL_GUE ? offsetof(struct gue_header, udp.check)
					   : offsetof(struct gre_header, checksum);
	BOUND(offset, 127);
	check = (void *)(long)ctx->data + offset;
	if ((void *)(check + 1) > (void *)(long)ctx->data_end)
		return DROP_NO_ROOM;
	*check = ~csum_fold(sum);
	/* RFC 768: 0 would say that there is none. */
	if (way.tunnel == TUNNEL_GUE && !*check)
		*check = 0xffff;
	return FORWARD_TUN;
}

/* ---- gre and gue -------------------------------------------------------------------------- */

static __always_inline bool write_gre(struct gre_header *gre, void *end, const struct outer *outer)
{
	if ((void *)&gre->checksum > end)
		return false;
	gre->protocol = outer->holds_v4 ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
	gre->flags = outer->way.checksum ? bpf_htons(GRE_HAS_CHECKSUM) : 0;
	if (!outer->way.checksum)
		return true;
	if ((void *)(gre + 1) > end)
		return false;
	gre->checksum = 0;
	gre->reserved = 0;
	return true;
}

/* Where it has no checksum, it has none over IPv6 either (RFC 6935, 5). */
static __always_inline bool write_gue(struct gue_header *gue, void *end, const struct outer *outer)
{
	__u16 length = outer->length - ip_size_of(outer->is_v4);
	const struct address *a = outer->from, *b = outer->to;

	if ((void *)(gue + 1) > end)
		return false;
	*gue = (struct gue_header){
		.udp.source = outer->source_port,
		.udp.dest = bpf_htons(outer->way.port),
		.udp.len = bpf_htons(length),
		.protocol = protocol_inside(outer),
	};
	if (outer->way.checksum)
		gue->udp.check =
			csum_fold((__u64)a->words[0] + a->words[1] + a->words[2] + a->words[3] +
				  b->words[0] + b->words[1] + b->words[2] + b->words[3] +
				  bpf_htons(IPPROTO_UDP) + bpf_htons(length));
	return true;
}

/* ---- the whole ---------------------------------------------------------------------------- */

/* It stands in front of the packet, whatever tags there are. */
static __always_inline bool write_ethertype(const struct packet *frame, __be16 type)
{
	__u64 offset = frame->network_offset - sizeof(type);
	__be16 *where;

	BOUND(offset, MAX_NETWORK_OFFSET);
	where = (void *)frame->eth + offset;
	if ((void *)(where + 1) > frame->end)
		return false;
	*where = type;
	return true;
}

/* After the frame has grown: all that goes in front of the packet. */
static __always_inline bool write_headers(struct packet *frame, const struct outer *outer)
{
	void *end = frame->end, *next;

	if (!write_ethertype(frame, outer->is_v4 ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6)))
		return false;
	next = outer->is_v4 ? write_outer_ipv4(frame->network, end, outer)
			    : write_outer_ipv6(frame->network, end, outer);
	if (!next)
		return false;
	if (outer->way.tunnel == TUNNEL_GRE)
		return write_gre(next, end, outer);
	if (outer->way.tunnel == TUNNEL_GUE)
		return write_gue(next, end, outer);
	return true;
}

/*
 * Puts the packet into the tunnel to its backend: FORWARD_TUN, or what became of it. `word`: the
 * way, read once for the packet. A function of its own, so that the verifier looks at it once.
 */
__attribute__((noinline)) int enter_tunnel(struct xdp_md *ctx, const struct packet *pkt, __u64 word)
{
	struct backend *backend;
	struct packet frame;
	struct outer outer;
	__u32 id, overhead;

	if (!pkt)
		return DROP_NO_ROOM;
	id = pkt->backend;
	backend = bpf_map_lookup_elem(&backends, &id);
	if (!backend)
		return DROP_NO_NEIGHBOUR;
	outer.way.word = word;
	outer.from = &backend->sources[outer.way.source];
	outer.to = &backend->ip;
	outer.is_v4 = is_mapped(&backend->ip);
	outer.holds_v4 = pkt->is_v4;
	overhead = tunnel_overhead(outer.way, outer.is_v4);
	if (pkt->length + overhead > (outer.way.mtu ? outer.way.mtu : 0xffff))
		return REFUSE_TOO_BIG;
	outer.length = pkt->length + overhead;
	outer.source_port = source_port_of(&pkt->flow);
	if (!take_over(ctx, pkt->network_offset, &outer))
		return DROP_BAD_LENGTH;

	if (bpf_xdp_adjust_head(ctx, -(int)overhead))
		return DROP_NO_ROOM;
	frame.network_offset = pkt->network_offset;
	frame.transport_offset = 0;
	if (!place(ctx, &frame) || !move_link_header(&frame, overhead) ||
	    !write_headers(&frame, &outer))
		return DROP_NO_ROOM;
	return FORWARD_TUN;
}
