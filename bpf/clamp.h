/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * clamp.h - the maximum segment size that a client's SYN announces (RFC 9293, 3.7.1) is lowered to
 * what fits on the way to the backend; never raised, and never added where there is none.
 */
#pragma once

#include "bpf/packet.h"
#include "bpf/rewrite.h"

#define TCP_OPTIONS_END 0
#define TCP_NO_OPERATION 1
#define TCP_MSS 2
#define TCP_MSS_SIZE 4

/* RFC 1071, 2 (B): what begins at an odd place of the header is summed up with its bytes swapped.
 */
static __always_inline void lower_mss(struct tcphdr *tcp, __u8 *option, __u32 at, __u16 most)
{
	__u16 announced = option[2] << 8 | option[3];
	__be32 old = bpf_htons(announced), new = bpf_htons(most);

	if (announced <= most)
		return;
	option[2] = most >> 8;
	option[3] = most & 0xff;
	if (at & 1) {
		old = announced;
		new = most;
	}
	csum_apply(&tcp->check, csum_diff(old, new));
}

/*
 * `offset`: of the TCP header in the frame. A function of its own: the verifier looks at its loop
 * once.
 */
__attribute__((noinline)) int clamp_mss(struct xdp_md *ctx, __u32 offset, __u16 most)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u64 start = offset, at = sizeof(struct tcphdr);
	struct tcphdr *tcp;
	__u8 *option;
	__u32 size;

	BOUND(start, MAX_OFFSET);
	tcp = data + start;
	if ((void *)(tcp + 1) > end)
		return 0;
	size = tcp->doff * 4;
	for (int i = 0; i < 40; i++) { /* a header has 60 bytes at most */
		BOUND(at, 63);
		option = (void *)tcp + at;
		if (at + TCP_MSS_SIZE > size || (void *)(option + TCP_MSS_SIZE) > end)
			return 0;
		if (option[0] == TCP_OPTIONS_END)
			return 0;
		if (option[0] == TCP_NO_OPERATION) {
			at++;
			continue;
		}
		if (option[0] == TCP_MSS) {
			if (option[1] == TCP_MSS_SIZE)
				lower_mss(tcp, option, at, most);
			return 0;
		}
		if (option[1] < 2)
			return 0;
		at += option[1];
		if (at > 60)
			return 0;
	}
	return 0;
}

static __always_inline void clamp(struct xdp_md *ctx, const struct packet *pkt,
				  const struct backend *backend)
{
	union way way = { .word = READ_ONCE(backend->way.word) };

	if (way.mss)
		clamp_mss(ctx, pkt->network_offset + pkt->transport_offset, way.mss);
}
