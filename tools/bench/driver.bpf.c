// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * driver.bpf.c - feeds a program packets under BPF_PROG_TEST_RUN. A repeat of a test run sees the
 * frame as the last repeat left it, so the driver writes the headers anew from a template, as the
 * next flow's, and tail-calls the program. The floors cost the same driver and are subtracted.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define FRAME 54 /* Ethernet, IPv4, TCP */

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} under_test SEC(".maps");

__u8 headers[64] = {}; /* the template */
__u32 flows = 1;       /* how many take turns; 0: each packet is of a new one */
__u32 turn = 0;

static __always_inline void next_flow(struct iphdr *ip, struct tcphdr *tcp)
{
	__u32 flow = turn++, sum = 0;
	__u16 *words = (__u16 *)ip;

	if (flows && turn >= flows)
		turn = 0;
	/* 10.N.N.N and a port: as many clients as turn can count. */
	ip->saddr = bpf_htonl(10 << 24 | (flow >> 8 & 0xffffff));
	tcp->source = bpf_htons(1024 + (flow & 0xff));
	ip->check = 0;
	for (int i = 0; i < 10; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	ip->check = ~(__u16)(sum + (sum >> 16));
}

SEC("xdp.frags")
int driver(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct iphdr *ip = data + sizeof(struct ethhdr);
	struct tcphdr *tcp = (void *)(ip + 1);

	if ((void *)(tcp + 1) > end)
		return XDP_ABORTED;
	__builtin_memcpy(data, headers, FRAME);
	next_flow(ip, tcp);
	bpf_tail_call(ctx, &under_test, 0);
	return XDP_ABORTED;
}

SEC("xdp.frags")
int floor_drop(struct xdp_md *ctx)
{
	return XDP_DROP;
}

SEC("xdp.frags")
int floor_tx(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct ethhdr came;

	if ((void *)(eth + 1) > end)
		return XDP_ABORTED;
	came = *eth;
	*(__u32 *)eth->h_dest = *(__u32 *)came.h_source;
	*(__u16 *)(eth->h_dest + 4) = *(__u16 *)(came.h_source + 4);
	*(__u32 *)eth->h_source = *(__u32 *)came.h_dest;
	*(__u16 *)(eth->h_source + 4) = *(__u16 *)(came.h_dest + 4);
	return XDP_TX;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
