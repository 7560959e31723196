/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * packet.h - one packet on its way through the steps. parse() fills it; the pointers hold until the
 * frame's size changes, after which place() finds them again.
 */
#pragma once

#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bpf/maps.h"

#define MAX_NETWORK_OFFSET 31 /* Ethernet and two tags are 22 bytes; a mask for the verifier */
#define MAX_OFFSET 0x3fff     /* of a header in the packet, bytes; likewise */

/* Ends the calling step with a verdict, if there is one. */
#define TRY(step)                                                                                  \
	({                                                                                         \
		enum verdict try_verdict = (step);                                                 \
		if (try_verdict != NEXT)                                                           \
			return try_verdict;                                                        \
	})

/* Shows the verifier what clang knows already, and so would take away: x is at most the mask. */
#define BOUND(x, mask) asm volatile("%0 &= %1" : "+r"(x) : "i"(mask))

#define READ_ONCE(x) (*(const volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, value) (*(volatile typeof(x) *)&(x) = (value))

#define MORE_FRAGMENTS 0x2000
#define FRAGMENT_OFFSET 0x1fff

/* What a packet says of itself as a fragment. */
struct fragment {
	__be32 id;
	__u16 place; /* MORE_FRAGMENTS and the offset, in units of 8 bytes; 0: it is whole */
	__u8 pad[2];
};

struct packet {
	struct ethhdr *eth;
	void *network;	 /* struct iphdr or struct ipv6hdr, as is_v4 says */
	void *transport; /* struct tcphdr, udphdr or sctp_header, as flow.protocol says */
	void *end;

	struct flow_key flow; /* as a client's packet: source is the client */
	struct fragment fragment;
	__u32 now;		/* jiffies, the low 32 bits */
	__u32 service;		/* id, 0 if none */
	__u32 backend;		/* id, 0 if none yet */
	__u16 transport_offset; /* from network, bytes */
	__u16 length;		/* IP packet, bytes, headers included */
	__u16 network_offset;	/* from eth, bytes */
	__u16 interface; /* that it came in by, as a next_hop has it; 0: xlvs was not told of it */
	__u8 by_ports;	 /* 1: the service has the port in a range; a bool would be a branch more */
	bool is_v4;
	bool opens;  /* a flow: TCP's SYN, SCTP's INIT; of UDP, every packet */
	bool closes; /* FIN; SHUTDOWN */
	bool resets; /* RST; ABORT, and what ends a SHUTDOWN */
	__u8 action; /* enum xdp_action, of a forwarded packet */
};

static __always_inline bool is_tcp(const struct packet *pkt)
{
	return pkt->flow.protocol == IPPROTO_TCP;
}

static __always_inline bool is_udp(const struct packet *pkt)
{
	return pkt->flow.protocol == IPPROTO_UDP;
}

static __always_inline bool is_sctp(const struct packet *pkt)
{
	return pkt->flow.protocol == IPPROTO_SCTP;
}

static __always_inline bool is_fragment(const struct packet *pkt)
{
	return pkt->fragment.place;
}

/* It has no transport header: that is in the first. */
static __always_inline bool is_later_fragment(const struct packet *pkt)
{
	return pkt->fragment.place & FRAGMENT_OFFSET;
}

static __always_inline void find_transport(struct packet *pkt)
{
	__u64 offset = pkt->transport_offset;

	BOUND(offset, MAX_OFFSET);
	pkt->transport = pkt->network + offset;
}

/* Finds the pointers again: after the frame's size has changed, or where they were lost. */
static __always_inline bool place(struct xdp_md *ctx, struct packet *pkt)
{
	__u64 offset = pkt->network_offset;

	BOUND(offset, MAX_NETWORK_OFFSET);
	pkt->eth = (void *)(long)ctx->data;
	pkt->end = (void *)(long)ctx->data_end;
	pkt->network = (void *)pkt->eth + offset;
	find_transport(pkt);
	return (void *)(pkt->eth + 1) <= pkt->end;
}

static __always_inline bool is_mapped(const struct address *address)
{
	return !(address->words[0] | address->words[1] | (address->words[2] ^ bpf_htonl(0xffff)));
}

/*
 * The settings' slot of an interface, or MAX_INTERFACES if xlvs was not told of it. A function of
 * its own, here and below, where the verifier would otherwise follow each outcome to the end.
 */
__attribute__((noinline)) __u32 find_slot(__u32 ifindex)
{
	for (__u32 i = 0; i < MAX_INTERFACES; i++) {
		if (settings.interfaces[i].ifindex == ifindex)
			return i;
	}
	return MAX_INTERFACES;
}

static __always_inline struct interface *find_interface(__u32 ifindex)
{
	__u64 slot = find_slot(ifindex);

	if (slot >= MAX_INTERFACES)
		return NULL;
	BOUND(slot, MAX_INTERFACES - 1);
	return &settings.interfaces[slot];
}

static __always_inline void note(enum event event)
{
	__u32 key = event;
	__u64 *count = bpf_map_lookup_elem(&events, &key);

	if (count)
		(*count)++;
}
