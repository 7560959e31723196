// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * The backend's end of a tunnel where the kernel has no ipip, gre or fou: takes the outer headers
 * off IPv4 and IPv6 with IPIP, GRE or GUE (at port 6080), and passes everything.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct gre {
	__be16 flags;
	__be16 protocol;
};

struct gue {
	struct udphdr udp;
	__u8 version;
	__u8 protocol;
	__be16 flags;
};

/* Takes `size` bytes out between Ethernet and what is of this type. */
static __always_inline int unwrap(struct xdp_md *ctx, int size, __be16 type)
{
	void *data = (void *)(long)ctx->data;
	struct ethhdr *eth = data, came;

	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return XDP_PASS;
	came = *eth;
	came.h_proto = type;
	if (bpf_xdp_adjust_head(ctx, size))
		return XDP_DROP;
	eth = (void *)(long)ctx->data;
	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return XDP_DROP;
	*eth = came;
	return XDP_PASS;
}

static __always_inline __be16 type_of(__u8 protocol)
{
	return protocol == IPPROTO_IPIP ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
}

/* `inner`: what the outer IP header, of `size` bytes, is followed by. */
static __always_inline int unwrap_from(struct xdp_md *ctx, void *inner, int size, __u8 protocol)
{
	void *end = (void *)(long)ctx->data_end;
	struct gre *gre = inner;
	struct gue *gue = inner;

	if (protocol == IPPROTO_IPIP || protocol == IPPROTO_IPV6)
		return unwrap(ctx, size, type_of(protocol));
	if (protocol == IPPROTO_GRE && (void *)(gre + 1) <= end)
		return unwrap(ctx, size + (gre->flags ? 8 : 4), gre->protocol);
	if (protocol == IPPROTO_UDP && (void *)(gue + 1) <= end && gue->udp.dest == bpf_htons(6080))
		return unwrap(ctx, size + sizeof(*gue), type_of(gue->protocol));
	return XDP_PASS;
}

SEC("xdp")
int decapsulate(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct ipv6hdr *ip6 = (void *)(eth + 1);

	if ((void *)(ip + 1) > end)
		return XDP_PASS;
	if (eth->h_proto == bpf_htons(ETH_P_IP) && ip->ihl == 5)
		return unwrap_from(ctx, ip + 1, sizeof(*ip), ip->protocol);
	if ((void *)(ip6 + 1) > end || eth->h_proto != bpf_htons(ETH_P_IPV6))
		return XDP_PASS;
	return unwrap_from(ctx, ip6 + 1, sizeof(*ip6), ip6->nexthdr);
}

char _license[] SEC("license") = "Dual MIT/GPL";
