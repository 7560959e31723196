/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * rewrite.h - changes to headers, with the checksums that cover them. Checksums are kept
 * incrementally (RFC 1624, eqn. 3): a packet that came in wrong leaves equally wrong, so that its
 * receiver still finds out.
 */
#pragma once

#include "bpf/packet.h"
#include "bpf/sctp.h"

/* The ones' complement difference of a change, unfolded: new + ~old, word by word. */
static __always_inline __u64 csum_diff(__be32 old, __be32 new)
{
	return (__u64) new + (__u32)~old;
}

static __always_inline __u64 csum_diff_address(const struct address *old, const struct address *new)
{
	return csum_diff(old->words[0], new->words[0]) + csum_diff(old->words[1], new->words[1]) +
	       csum_diff(old->words[2], new->words[2]) + csum_diff(old->words[3], new->words[3]);
}

static __always_inline __u16 csum_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static __always_inline void csum_apply(__sum16 *check, __u64 diff)
{
	*check = ~csum_fold((__u16) ~*check + diff);
}

/* The sum over an IPv4 header without options, its checksum field included. */
static __always_inline __u64 csum_ipv4_header(const struct iphdr *ip)
{
	const __be32 *words = (const __be32 *)ip;

	return (__u64)words[0] + words[1] + words[2] + words[3] + words[4];
}

/* The sum over the words from `offset` bytes into the frame up to `end`, at most IPv4's options. */
__attribute__((noinline)) __u64 csum_options(struct xdp_md *ctx, __u32 offset, __u32 end)
{
	void *data = (void *)(long)ctx->data;
	__u64 sum = 0;

	for (int i = 0; i < 10 && offset < end; i++, offset += 4) {
		__be32 *word = data + (offset & 127);

		if ((void *)(word + 1) > (void *)(long)ctx->data_end)
			break;
		sum += *word;
	}
	return sum;
}

/* RFC 1812, 5.2.2: a router does not pass on a header whose checksum is wrong. */
static __always_inline bool is_header_intact(struct xdp_md *ctx, const struct packet *pkt)
{
	const struct iphdr *ip = pkt->network;
	__u32 offset = pkt->network_offset;
	__u64 sum;

	if (!pkt->is_v4)
		return true;
	if ((void *)(ip + 1) > pkt->end)
		return false;
	sum = csum_ipv4_header(ip);
	if (pkt->transport_offset != sizeof(*ip))
		sum += csum_options(ctx, offset + sizeof(*ip), offset + pkt->transport_offset);
	return csum_fold(sum) == 0xffff;
}

/* Returns false if the packet may not travel further. */
static __always_inline bool take_hop(struct packet *pkt)
{
	struct iphdr *ip = pkt->network;
	struct ipv6hdr *ip6 = pkt->network;

	if (!pkt->is_v4) {
		if ((void *)(ip6 + 1) > pkt->end || ip6->hop_limit <= 1)
			return false;
		ip6->hop_limit--;
		return true;
	}
	if ((void *)(ip + 1) > pkt->end || ip->ttl <= 1)
		return false;
	/* The TTL is the high byte of a 16-bit word of the header. */
	csum_apply(&ip->check, csum_diff(bpf_htons(0x0100), 0));
	ip->ttl--;
	return true;
}

static __always_inline void write_macs(struct ethhdr *eth, union next_hop to, union next_hop from)
{
	/* Wide stores: byte by byte costs twice as much. */
	*(__u32 *)eth->h_dest = *(__u32 *)to.hop.mac;
	*(__u16 *)(eth->h_dest + 4) = *(__u16 *)(to.hop.mac + 4);
	*(__u32 *)eth->h_source = *(__u32 *)from.hop.mac;
	*(__u16 *)(eth->h_source + 4) = *(__u16 *)(from.hop.mac + 4);
}

/* `ports`: both of them, as they were. */
static __always_inline void rewrite_sctp_checksum(struct packet *pkt, __be32 ports)
{
	struct sctp_header *sctp = pkt->transport;
	__u32 length = pkt->length - pkt->transport_offset, change;

	if ((void *)(sctp + 1) > pkt->end)
		return;
	change = ports ^ *(__be32 *)sctp;
	if (change)
		sctp->checksum ^= little_endian(crc32c_shift(little_endian(change), length));
}

/* The transport checksum: `diff` is the change in pseudo header and ports. */
static __always_inline void rewrite_transport_checksum(struct packet *pkt, __u64 diff)
{
	struct tcphdr *tcp = pkt->transport;
	struct udphdr *udp = pkt->transport;

	if (is_tcp(pkt)) {
		if ((void *)(tcp + 1) <= pkt->end)
			csum_apply(&tcp->check, diff);
		return;
	}
	/* RFC 768: 0 says that there is no checksum, and a checksum of 0 is sent as 0xffff. */
	if ((void *)(udp + 1) > pkt->end || !udp->check)
		return;
	csum_apply(&udp->check, diff);
	if (!udp->check)
		udp->check = 0xffff;
}

/* Makes the packet come from (`source`) or go to another address; its transport is left alone. */
static __always_inline void rewrite_address(struct packet *pkt, bool source,
					    const struct address *address)
{
	const struct address *old = source ? &pkt->flow.client : &pkt->flow.server;
	struct iphdr *ip = pkt->network;
	struct ipv6hdr *ip6 = pkt->network;

	if (!pkt->is_v4) {
		if ((void *)(ip6 + 1) <= pkt->end)
			__builtin_memcpy(source ? &ip6->saddr : &ip6->daddr, address,
					 sizeof(*address));
	} else if ((void *)(ip + 1) <= pkt->end) {
		csum_apply(&ip->check, csum_diff_address(old, address));
		*(source ? &ip->saddr : &ip->daddr) = address->words[3];
	}
}

/* SCTP's checksum changes by the length of the whole, which a fragment does not know. */
static __always_inline bool is_past_correcting(const struct packet *pkt, __u16 old, __u16 new)
{
	return is_fragment(pkt) && is_sctp(pkt) && old != new;
}

/* Makes the packet come from (`source`) or go to another address and port. */
static __always_inline void rewrite_endpoint(struct packet *pkt, bool source,
					     const struct address *address, __u16 port)
{
	const struct address *old = source ? &pkt->flow.client : &pkt->flow.server;
	__u64 diff = csum_diff_address(old, address);
	struct udphdr *udp = pkt->transport;
	__be16 *where = source ? &udp->source : &udp->dest;
	__u64 port_diff;
	__be32 ports;

	if ((void *)(udp + 1) > pkt->end)
		return;
	ports = *(__be32 *)udp;
	port_diff = csum_diff(*where, bpf_htons(port));
	*where = bpf_htons(port);
	if (is_sctp(pkt))
		rewrite_sctp_checksum(pkt, ports);
	else
		rewrite_transport_checksum(pkt, diff + port_diff);
	rewrite_address(pkt, source, address);
}
