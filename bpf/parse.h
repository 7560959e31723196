/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * parse.h - what is it? Fills struct packet from Ethernet down to the ports. Nothing is known to be
 * ours yet, so whatever is odd passes to the stack untouched.
 */
#pragma once

#include "bpf/packet.h"
#include "bpf/sctp.h"

#define MAX_VLAN_TAGS 2
#define MAX_IPV6_EXTENSIONS 6

struct vlan_tag {
	__be16 tci;
	__be16 protocol;
};

struct ipv6_extension {
	__u8 next;
	__u8 length;   /* in units of 8 bytes beyond the first 8; AH: of 4 bytes beyond 8 */
	__be16 detail; /* fragment: offset and flags; routing: type and segments left */
	__be32 id;
};

#define IPV6_MORE_FRAGMENTS 1
#define SEGMENTS_LEFT 0x00ff

/*
 * XDP sees frames for others (flooded, promiscuous), and with DR the vip stays the destination: a
 * standby director would forward them a second time.
 */
static __always_inline bool is_for_us(struct xdp_md *ctx, struct packet *pkt)
{
	struct interface *interface = find_interface(ctx->ingress_ifindex);
	union next_hop self;

	if (!interface)
		return false;
	self.word = READ_ONCE(interface->self.word);
	pkt->interface = self.hop.interface;
	return *(__u32 *)pkt->eth->h_dest == *(__u32 *)self.hop.mac &&
	       *(__u16 *)(pkt->eth->h_dest + 4) == *(__u16 *)(self.hop.mac + 4);
}

static __always_inline enum verdict parse_ipv4(struct packet *pkt)
{
	struct iphdr *ip = pkt->network;

	if ((void *)(ip + 1) > pkt->end)
		return PASS_MALFORMED;
	if (ip->version != 4 || ip->ihl < 5)
		return PASS_MALFORMED;
	pkt->length = bpf_ntohs(ip->tot_len);
	pkt->transport_offset = ip->ihl * 4;
	if (pkt->length < pkt->transport_offset)
		return PASS_MALFORMED;
	/* No branch: the verifier would follow both ways to the end. */
	pkt->fragment.id = ip->id;
	pkt->fragment.place = bpf_ntohs(ip->frag_off) & (MORE_FRAGMENTS | FRAGMENT_OFFSET);
	pkt->is_v4 = true;
	pkt->flow.protocol = ip->protocol;
	pkt->flow.client.words[2] = bpf_htonl(0xffff);
	pkt->flow.client.words[3] = ip->saddr;
	pkt->flow.server.words[2] = bpf_htonl(0xffff);
	pkt->flow.server.words[3] = ip->daddr;
	return NEXT;
}

static __always_inline bool is_extension(__u8 next)
{
	return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS ||
	       next == IPPROTO_FRAGMENT || next == IPPROTO_AH;
}

static __always_inline __u32 extension_size(const struct ipv6_extension *extension, __u8 kind)
{
	if (kind == IPPROTO_FRAGMENT)
		return 8;
	if (kind == IPPROTO_AH)
		return (extension->length + 2) * 4;
	return (extension->length + 1) * 8;
}

/* As IPv4 has it; the reserved bits say nothing. */
static __always_inline __u16 fragment_place(const struct ipv6_extension *extension)
{
	__u16 detail = bpf_ntohs(extension->detail);

	return detail >> 3 | (detail & IPV6_MORE_FRAGMENTS ? MORE_FRAGMENTS : 0);
}

/*
 * RFC 8200, 4: walks the extension headers that begin `offset` bytes into the frame; of a fragment
 * that is not the first, those in front of its part. Answers {next header:32, its offset:32}, or
 * {verdict:32, 0} where there is nothing for us.
 */
__attribute__((noinline)) __u64 skip_extensions(struct xdp_md *ctx, __u32 offset, __u8 next,
						struct fragment *fragment)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	if (!fragment)
		return (__u64)PASS_MALFORMED << 32;
#pragma unroll /* 6.1 refuses the loop that clang 19 makes of it */
	for (int i = 0; i <= MAX_IPV6_EXTENSIONS; i++) {
		struct ipv6_extension *extension;

		if (!is_extension(next))
			return (__u64)next << 32 | offset;
		if (i == MAX_IPV6_EXTENSIONS || offset > MAX_OFFSET)
			break;
		extension = data + offset;
		if ((void *)(extension + 1) > end)
			break;
		/* RFC 6946: an atomic fragment is a whole packet, and its place is 0. */
		if (next == IPPROTO_FRAGMENT) {
			if (fragment->place) /* of a fragment: none is made so */
				break;
			fragment->id = extension->id;
			fragment->place = fragment_place(extension);
			if (fragment->place & FRAGMENT_OFFSET)
				return (__u64)extension->next << 32 | (offset + 8);
		}
		/* Not at its destination yet, and its checksum is over another one (8.1). */
		if (next == IPPROTO_ROUTING && extension->detail & bpf_htons(SEGMENTS_LEFT))
			return (__u64)PASS_NOT_TRANSPORT << 32;
		offset += extension_size(extension, next);
		next = extension->next;
	}
	return (__u64)PASS_MALFORMED << 32;
}

static __always_inline enum verdict parse_ipv6(struct xdp_md *ctx, struct packet *pkt)
{
	struct ipv6hdr *ip = pkt->network;
	__u64 walked;

	if ((void *)(ip + 1) > pkt->end)
		return PASS_MALFORMED;
	if (ip->version != 6)
		return PASS_MALFORMED;
	/* A jumbogram (RFC 2675) has length 0 here and is none of ours. */
	if (bpf_ntohs(ip->payload_len) > 0xffff - sizeof(*ip))
		return PASS_MALFORMED;
	pkt->length = bpf_ntohs(ip->payload_len) + sizeof(*ip);
	__builtin_memcpy(&pkt->flow.client, &ip->saddr, sizeof(ip->saddr));
	__builtin_memcpy(&pkt->flow.server, &ip->daddr, sizeof(ip->daddr));
	/* On the wire such an address would be taken for the IPv4 one (RFC 4291, 2.5.5.2). */
	if (is_mapped(&pkt->flow.client) || is_mapped(&pkt->flow.server))
		return PASS_MALFORMED;
	pkt->flow.protocol = ip->nexthdr;
	pkt->transport_offset = sizeof(*ip);
	if (!is_extension(ip->nexthdr))
		return NEXT;
	walked = skip_extensions(ctx, pkt->network_offset + sizeof(*ip), ip->nexthdr,
				 &pkt->fragment);
	if (!(__u32)walked)
		return walked >> 32;
	pkt->flow.protocol = walked >> 32;
	pkt->transport_offset = ((__u32)walked - pkt->network_offset) & MAX_OFFSET;
	return NEXT;
}

/* What the first chunk says is what is told apart. RFC 9260, 8.5.1: an INIT has no tag. */
static __always_inline enum verdict parse_sctp(struct packet *pkt)
{
	struct sctp_header *sctp = pkt->transport;
	struct sctp_chunk *chunk = (void *)(sctp + 1);

	if ((void *)(chunk + 1) > pkt->end)
		return PASS_MALFORMED;
	if (pkt->length < pkt->transport_offset + sizeof(*sctp) + sizeof(*chunk))
		return PASS_MALFORMED;
	pkt->opens = chunk->type == SCTP_INIT && !sctp->tag;
	pkt->closes = chunk->type == SCTP_SHUTDOWN || chunk->type == SCTP_SHUTDOWN_ACK;
	pkt->resets = chunk->type == SCTP_ABORT || chunk->type == SCTP_SHUTDOWN_COMPLETE;
	return NEXT;
}

static __always_inline enum verdict parse_transport(struct packet *pkt)
{
	struct tcphdr *tcp = pkt->transport;
	struct udphdr *udp = pkt->transport;

	if (is_tcp(pkt)) {
		if ((void *)(tcp + 1) > pkt->end)
			return PASS_MALFORMED;
		if (pkt->length < pkt->transport_offset + sizeof(*tcp))
			return PASS_MALFORMED;
		pkt->opens = tcp->syn && !tcp->ack;
		pkt->closes = tcp->fin;
		pkt->resets = tcp->rst;
	} else if (is_udp(pkt)) {
		if ((void *)(udp + 1) > pkt->end)
			return PASS_MALFORMED;
		if (pkt->length < pkt->transport_offset + sizeof(*udp))
			return PASS_MALFORMED;
		pkt->opens = true;
	} else if (is_sctp(pkt)) {
		TRY(parse_sctp(pkt));
	} else {
		return PASS_NOT_TRANSPORT;
	}
	/* All of them begin alike. */
	pkt->flow.client_port = bpf_ntohs(udp->source);
	pkt->flow.server_port = bpf_ntohs(udp->dest);
	return NEXT;
}

static __always_inline bool is_tag(__be16 protocol)
{
	return protocol == bpf_htons(ETH_P_8021Q) || protocol == bpf_htons(ETH_P_8021AD);
}

/* Walks the VLAN tags; answers {EtherType:32, offset:32} of what follows, or 0 if cut short. */
__attribute__((noinline)) __u64 walk_tags(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	__u32 offset = sizeof(*eth);
	__be16 protocol;

	if ((void *)(eth + 1) > end)
		return 0;
	protocol = eth->h_proto;
	for (int i = 0; i < MAX_VLAN_TAGS && is_tag(protocol); i++) {
		struct vlan_tag *tag = data + offset;

		if ((void *)(tag + 1) > end)
			return 0;
		protocol = tag->protocol;
		offset += sizeof(*tag);
	}
	return (__u64)protocol << 32 | offset;
}

static __always_inline enum verdict skip_tags(struct xdp_md *ctx, struct packet *pkt,
					      __be16 *protocol)
{
	__u64 walked;

	*protocol = pkt->eth->h_proto;
	pkt->network_offset = sizeof(*pkt->eth);
	if (is_tag(*protocol)) {
		walked = walk_tags(ctx);
		if (!walked)
			return PASS_MALFORMED;
		*protocol = walked >> 32;
		pkt->network_offset = walked & MAX_NETWORK_OFFSET;
	}
	pkt->network = (void *)pkt->eth + pkt->network_offset;
	return NEXT;
}

/* Down to what IP carries. */
static __always_inline enum verdict parse(struct xdp_md *ctx, struct packet *pkt)
{
	__be16 protocol;

	pkt->eth = (void *)(long)ctx->data;
	pkt->end = (void *)(long)ctx->data_end;
	if ((void *)(pkt->eth + 1) > pkt->end)
		return PASS_MALFORMED;
	if (!is_for_us(ctx, pkt))
		return PASS_NOT_OUR_MAC;

	TRY(skip_tags(ctx, pkt, &protocol));
	if (protocol == bpf_htons(ETH_P_IP))
		TRY(parse_ipv4(pkt));
	else if (protocol == bpf_htons(ETH_P_IPV6))
		TRY(parse_ipv6(ctx, pkt));
	else
		return PASS_NOT_IP;

	/* The frame may be longer (padding), or the rest of it in fragments, but not shorter. */
	find_transport(pkt);
	if (pkt->network + pkt->length > pkt->end &&
	    bpf_xdp_get_buff_len(ctx) < (__u64)pkt->network_offset + pkt->length)
		return PASS_MALFORMED;
	return NEXT;
}
