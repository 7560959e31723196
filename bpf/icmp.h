/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * icmp.h - an ICMP error goes to whoever sent the packet that it quotes. Followed: ip_vs_in_icmp(),
 * ip_vs_out_icmp() and ip_vs_nat_icmp() of Linux.
 *
 *     quoted        what was sent     the error goes to
 *     vip:port      to a client       the backend of the flow
 *     client:port   to a NAT backend  the flow's client, from the vip, whoever has sent it
 *
 * By NAT the quote is translated back to what its sender knows, with the checksums of its IPv4
 * header and of the error, but not that of its transport, of which mostly the start alone is there.
 * Records are only looked at: an error may be forged, and keeps no flow open.
 *
 * Whatever quotes no flow of ours passes to the stack untouched, as all that is not ours.
 */
#pragma once

#include "bpf/flow.h"
#include "bpf/forward.h"
#include "bpf/parse.h"
#include "bpf/refuse.h"
#include "bpf/reply.h"
#include "bpf/service.h"

#define ICMPV4_QUENCH 4
#define ICMPV4_TIME_EXCEEDED 11
#define ICMPV4_PARAMETER 12
#define ICMPV6_PARAMETER 4 /* the last of the errors that there are */

/*
 * RFC 4443, 2.4 (c): longer than 1280 bytes no error is; RFC 1812, 4.3.2.3 says 576. A longer one
 * is forwarded as it is: its checksum is changed and not looked at, and its receiver finds out.
 */
#define MAX_SUMMED 1280

static __always_inline bool is_icmp(const struct packet *pkt)
{
	return pkt->flow.protocol == (pkt->is_v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
}

/* Those of IPVS, and for IPv4 the parameter problem, as for IPv6. */
static __always_inline bool is_error(const struct packet *pkt, __u8 type)
{
	if (!pkt->is_v4)
		return type >= ICMPV6_UNREACHABLE && type <= ICMPV6_PARAMETER;
	return type == ICMPV4_UNREACHABLE || type == ICMPV4_QUENCH ||
	       type == ICMPV4_TIME_EXCEEDED || type == ICMPV4_PARAMETER;
}

/* ---- what it quotes ------------------------------------------------------------------------ */

static __always_inline void *quoted_network(const struct packet *pkt)
{
	return pkt->transport + sizeof(struct icmp_error);
}

/*
 * The flow is that of the error and becomes that of answers to what is quoted: its server stays
 * whom the error is sent to, and nothing else may be quoted. Answers where the quoted ports are,
 * from `eth`, or 0.
 */
static __always_inline __u32 read_quoted_ipv4(const struct packet *pkt, struct flow_key *flow)
{
	struct iphdr *ip = quoted_network(pkt);

	if ((void *)(ip + 1) > pkt->end || ip->version != 4 || ip->ihl < 5)
		return 0;
	if (ip->frag_off & bpf_htons(FRAGMENT_OFFSET))
		return 0;
	if (ip->saddr != flow->server.words[3])
		return 0;
	flow->client.words[3] = ip->daddr;
	flow->protocol = ip->protocol;
	return pkt->network_offset + pkt->transport_offset + sizeof(struct icmp_error) +
	       ip->ihl * 4;
}

static __always_inline __u32 read_quoted_ipv6(struct xdp_md *ctx, const struct packet *pkt,
					      struct flow_key *flow)
{
	__u32 offset = pkt->network_offset + pkt->transport_offset + sizeof(struct icmp_error);
	struct ipv6hdr *ip = quoted_network(pkt);
	struct fragment fragment = {};
	__u64 walked;

	if ((void *)(ip + 1) > pkt->end || ip->version != 6)
		return 0;
	if (!same_address((const struct address *)&ip->saddr, &flow->server))
		return 0;
	__builtin_memcpy(&flow->client, &ip->daddr, sizeof(ip->daddr));
	walked = skip_extensions(ctx, offset + sizeof(*ip), ip->nexthdr, &fragment);
	flow->protocol = walked >> 32;
	return fragment.place & FRAGMENT_OFFSET ? 0 : walked;
}

/*
 * The ports at `offset` from `eth`; NULL if they are not all there. TCP, UDP and SCTP begin alike;
 * of what else there may be, there is no service.
 */
static __always_inline __be16 *quoted_ports(const struct packet *pkt, __u32 offset)
{
	__u64 bounded = offset;
	__be16 *ports;

	BOUND(bounded, MAX_OFFSET);
	ports = (void *)pkt->eth + bounded;
	return (void *)(ports + 2) <= pkt->end ? ports : NULL;
}

static __always_inline __u32 read_quote(struct xdp_md *ctx, const struct packet *pkt,
					struct flow_key *flow)
{
	__u32 offset = pkt->is_v4 ? read_quoted_ipv4(pkt, flow) : read_quoted_ipv6(ctx, pkt, flow);
	__be16 *ports = quoted_ports(pkt, offset);

	/* What is behind the error is Ethernet's padding. */
	if (!offset || !ports || offset + 4 > pkt->network_offset + pkt->length)
		return 0;
	flow->server_port = bpf_ntohs(ports[0]);
	flow->client_port = bpf_ntohs(ports[1]);
	return offset;
}

/* Finds the pointers of an error that the verifier sees as numbers. */
static __always_inline bool place_error(struct xdp_md *ctx, struct packet *pkt)
{
	return place(ctx, pkt) && pkt->transport + sizeof(struct icmp_error) <= pkt->end;
}

/*
 * Makes the packet's flow the key of the record that there should be. Answers where the quoted
 * ports are, from `eth`, or {verdict:32, 0} for what is not ours. Functions of their own, here and
 * below, so that the verifier looks at each once; one after the other for the sake of the stack.
 */
__attribute__((noinline)) __u64 read_error(struct xdp_md *ctx, struct packet *came)
{
	struct icmp_error *icmp;
	struct packet pkt;
	__u32 ports;

	if (!came)
		return (__u64)PASS_MALFORMED << 32;
	pkt = *came;
	if (!place_error(ctx, &pkt))
		return (__u64)PASS_MALFORMED << 32;
	icmp = pkt.transport;
	if (!is_error(&pkt, icmp->type))
		return (__u64)PASS_NOT_TRANSPORT << 32;
	if (pkt.length < pkt.transport_offset + sizeof(*icmp) ||
	    bpf_xdp_get_buff_len(ctx) < (__u64)pkt.network_offset + pkt.length)
		return (__u64)PASS_MALFORMED << 32;
	ports = read_quote(ctx, &pkt, &came->flow);
	if (ports && find_service(&came->flow))
		return ports;
	if (!ports || !is_from_backend(came))
		return (__u64)PASS_ICMP_NO_FLOW << 32;
	came->flow = key_of_answer(&came->flow);
	return ports;
}

/* ---- of which flow it speaks --------------------------------------------------------------- */

/* Is the record's flow open? The way back of NAT ends with it. */
static __always_inline bool is_open(const struct flow_key *key, const struct flow *flow,
				    enum flow_state state, const struct backend *backend, __u32 now)
{
	if (is_gone(backend) || state == FLOW_DEAD)
		return false;
	return key->direction == DIRECTION_REPLY || !is_idle(flow, state, now) ||
	       !is_reply_idle(key, backend, state, now);
}

/* The backend of the packet's flow, as its id; 0 if it is not open. */
__attribute__((noinline)) int find_quoted(const struct packet *pkt)
{
	struct backend *backend;
	struct flow_key key;
	struct flow *flow;
	__u64 word;
	__u32 id;

	if (!pkt)
		return 0;
	key = pkt->flow; /* Linux 6.1 wants it on the stack */
	flow = find_record(&key);
	if (!flow)
		return 0;
	word = READ_ONCE(FLOW_WORD(flow));
	id = READ_ONCE(flow->backend);
	backend = bpf_map_lookup_elem(&backends, &id);
	if (!backend || !is_open(&key, flow, flow_state(word), backend, pkt->now))
		return 0;
	return NONCE(READ_ONCE(FLOW_WORD(flow))) == NONCE(word) ? id : 0;
}

/* ---- its checksums ------------------------------------------------------------------------- */

/* The sum over the frame's bytes from `offset` to `end`. */
__attribute__((noinline)) __u64 csum_bytes(struct xdp_md *ctx, __u32 offset, __u32 end)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	__u64 sum = 0;

#pragma clang loop unroll(disable)
	for (int i = 0; i < MAX_SUMMED / 4 && offset + 4 <= end; i++, offset += 4) {
		__be32 *word = data + (offset & MAX_OFFSET);

		if ((void *)(word + 1) > data_end)
			break;
		sum += *word;
	}
	for (int i = 0; i < 3 && offset < end; i++, offset++) {
		__u8 *byte = data + (offset & MAX_OFFSET);

		if ((void *)(byte + 1) > data_end)
			break;
		sum += bpf_htons(i == 1 ? *byte : *byte << 8);
	}
	return sum;
}

/*
 * RFC 4443, 2.3: of IPv6 the pseudo header, too. Only NAT asks: what else is forwarded stays as it
 * is, and its receiver finds out.
 */
static __always_inline bool is_error_intact(struct xdp_md *ctx, const struct packet *pkt)
{
	__u32 offset = pkt->network_offset + pkt->transport_offset;
	__u32 length = pkt->length - pkt->transport_offset;
	const struct ipv6hdr *ip6 = pkt->network;
	const __be32 *addresses = (const __be32 *)&ip6->saddr;
	__u64 sum = 0;

	if (length > MAX_SUMMED || pkt->network + pkt->length > pkt->end)
		return true;
	if (!pkt->is_v4) {
		if ((void *)(ip6 + 1) > pkt->end)
			return false;
		for (int i = 0; i < 8; i++)
			sum += addresses[i];
		sum += bpf_htons(IPPROTO_ICMPV6) + bpf_htons(length);
	}
	return csum_fold(sum + csum_bytes(ctx, offset, offset + length)) == 0xffff;
}

/* ---- where it goes ------------------------------------------------------------------------- */

/*
 * Puts another address in the place of one in an IP header. Answers what that changes in the sum
 * of an ICMP error: one of IPv4 is not over the header that it is in, and the quoted one has a
 * checksum of its own, with which its sum stays.
 */
static __always_inline __u64 replace_address(const struct packet *pkt, void *network, bool source,
					     const struct address *address)
{
	struct iphdr *ip = network;
	struct ipv6hdr *ip6 = network;
	struct address *field6;
	__be32 *field;
	__u64 diff;

	if (pkt->is_v4) {
		if ((void *)(ip + 1) > pkt->end)
			return 0;
		field = source ? &ip->saddr : &ip->daddr;
		csum_apply(&ip->check, csum_diff(*field, address->words[3]));
		*field = address->words[3];
		return 0;
	}
	if ((void *)(ip6 + 1) > pkt->end)
		return 0;
	field6 = (struct address *)(source ? &ip6->saddr : &ip6->daddr);
	diff = csum_diff_address(field6, address);
	__builtin_memcpy(field6, address, sizeof(*address));
	return diff;
}

/*
 * NAT, as ip_vs_nat_icmp() does it: `to_backend`, the error goes to `address`, which is where the
 * quoted packet comes from; else it comes from there, which is where the quoted packet goes to.
 */
static __always_inline bool translate(const struct packet *pkt, __u32 offset, bool to_backend,
				      const struct address *address, __u16 port)
{
	struct icmp_error *icmp = pkt->transport;
	__be16 *ports = quoted_ports(pkt, offset);
	__be16 *where;
	__u64 diff;

	if (!ports || (void *)(icmp + 1) > pkt->end)
		return false;
	where = to_backend ? &ports[0] : &ports[1];
	diff = csum_diff(*where, bpf_htons(port));
	*where = bpf_htons(port);
	diff += replace_address(pkt, pkt->network, !to_backend, address);
	diff += replace_address(pkt, quoted_network(pkt), to_backend, address);
	csum_apply(&icmp->checksum, diff);
	return true;
}

/* To the backend of a flow; NEXT is that it goes by a tunnel. `ports`: where the quoted ones are.
 */
__attribute__((noinline)) int forward_error(struct xdp_md *ctx, struct packet *came, __u32 ports)
{
	struct backend *backend;
	struct packet pkt;
	union next_hop to;
	int verdict;
	__u32 id;

	if (!came)
		return DROP_NO_ROOM;
	pkt = *came;
	id = pkt.backend;
	backend = bpf_map_lookup_elem(&backends, &id);
	if (!backend || !place_error(ctx, &pkt))
		return DROP_NO_ROOM;
	if (!is_header_intact(ctx, &pkt))
		return DROP_BAD_CHECKSUM;
	if (backend->forwarding == FORWARDING_LOCAL) {
		came->action = XDP_PASS;
		return FORWARD_LOCAL;
	}
	if (backend->forwarding == FORWARDING_TUN)
		return NEXT;
	to.word = READ_ONCE(backend->next_hop.word);
	if (!to.word)
		return DROP_NO_NEIGHBOUR;
	if (backend->forwarding == FORWARDING_NAT && !is_error_intact(ctx, &pkt))
		return DROP_BAD_CHECKSUM;
	if (!take_hop(&pkt))
		return DROP_TTL;
	switch (backend->forwarding) {
	case FORWARDING_NAT:
		if (!translate(&pkt, ports, true, &backend->ip, port_at(backend, &came->flow)))
			return DROP_NO_ROOM;
		break;
	case FORWARDING_DR:
	case FORWARDING_LOCAL:
	case FORWARDING_TUN:
		break;
	}
	verdict = transmit(&pkt, to, FORWARD_ICMP);
	came->action = pkt.action;
	return verdict;
}

/* Apart from what follows, for the sake of the stack. */
__attribute__((noinline)) int is_intact(struct xdp_md *ctx, const struct packet *came)
{
	struct packet pkt;

	if (!came)
		return false;
	pkt = *came;
	return place_error(ctx, &pkt) && is_header_intact(ctx, &pkt) && is_error_intact(ctx, &pkt);
}

/* The way back may have changed since it was looked up. */
__attribute__((noinline)) int reroute_error(struct xdp_md *ctx, const struct packet *pkt)
{
	struct flow *record;
	struct flow_key key;

	if (!pkt)
		return 0;
	key = pkt->flow;
	record = find_record(&key);
	if (record)
		reroute(ctx, record, &pkt->flow.client, pkt->is_v4);
	return 0;
}

/* To the client of a flow. */
__attribute__((noinline)) int return_error(struct xdp_md *ctx, struct packet *came, __u32 ports)
{
	struct flow *record;
	struct flow_key key;
	struct address vip;
	struct packet pkt;
	union next_hop to;
	__u16 vip_port;
	int verdict;
	__u64 word;

	if (!came)
		return DROP_NO_ROOM;
	key = came->flow;
	record = find_record(&key);
	if (!record)
		return DROP_FLOW_BUSY;
	word = READ_ONCE(FLOW_WORD(record));
	to.word = READ_ONCE(record->next_hop.word);
	vip = record->vip;
	vip_port = record->vip_port;
	if (READ_ONCE(record->backend) != came->backend ||
	    NONCE(READ_ONCE(FLOW_WORD(record))) != NONCE(word))
		return DROP_FLOW_BUSY;
	pkt = *came;
	if (!place_error(ctx, &pkt))
		return DROP_NO_ROOM;
	if (!take_hop(&pkt))
		return DROP_TTL;
	if (!translate(&pkt, ports, false, &vip, vip_port))
		return DROP_NO_ROOM;
	verdict = transmit(&pkt, to, FORWARD_ICMP_REPLY);
	came->action = pkt.action;
	return verdict;
}

static __always_inline enum verdict follow_error(struct xdp_md *ctx, struct packet *pkt)
{
	__u64 read = read_error(ctx, pkt);
	__u32 ports = read;

	if (!ports)
		return read >> 32;
	pkt->backend = find_quoted(pkt);
	if (!pkt->backend)
		return PASS_ICMP_NO_FLOW;
	/* From here on the packet is ours. */
	if (pkt->flow.direction == DIRECTION_FORWARD)
		return forward_error(ctx, pkt, ports);
	if (!is_intact(ctx, pkt))
		return DROP_BAD_CHECKSUM;
	reroute_error(ctx, pkt);
	return return_error(ctx, pkt, ports);
}
