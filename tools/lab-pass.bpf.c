// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * Passes everything. A veth delivers what XDP_TX or XDP_REDIRECT sends only if its peer runs an XDP
 * program too (drivers/net/veth.c: the ring is polled only then), so each bridge port of tools/lab
 * has this one. It takes frames in several buffers, as those of MTU 9000 are.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp.frags")
int pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char _license[] SEC("license") = "Dual MIT/GPL";
