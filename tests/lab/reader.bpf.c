// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * reader.bpf.c - looks services up as packets do, again and again, while an agent changes them, and
 * counts what nobody ever configured. The test's rule: service N has vip 10.78.0.N, and its
 * backends are 10.77.N.B with port 7000 + B, a weight of B and a MAC that ends in N, B.
 */
#include "bpf/maps.h"
#include "bpf/packet.h"
#include "bpf/schedule.h"
#include "bpf/service.h"

#define ROUNDS 1024

__u64 lookups = 0;
__u64 served = 0; /* a backend came of it */
__u64 wrong = 0;  /* one that was never configured */

const volatile __u32 services_configured = 4;

static __always_inline bool is_right(const struct backend *backend, __u8 service)
{
	__u32 ip = bpf_ntohl(backend->ip.words[3]);
	union next_hop hop = { .word = READ_ONCE(backend->next_hop.word) };
	__u8 last = ip;

	return ip >> 8 == (10 << 16 | 77 << 8 | service) && last && backend->port == 7000 + last &&
	       backend->weight == last && hop.hop.mac[4] == service && hop.hop.mac[5] == last &&
	       backend->forwarding == FORWARDING_DR;
}

static long look(__u32 round, void *context)
{
	__u8 number = round % services_configured + 1;
	struct endpoint_key key = {
		.address.words = { 0, 0, bpf_htonl(0xffff),
				   bpf_htonl(10 << 24 | 78 << 16 | number) },
		.port = 80,
		.protocol = 6,
	};
	struct packet pkt = { .is_v4 = true, .flow.protocol = 6 };
	struct service *service;
	__u64 table;
	struct backend *backend;
	__u32 id;

	pkt.service = find_endpoint(&key);
	pkt.flow.client_port = round;
	lookups++;
	service = bpf_map_lookup_elem(&services, &pkt.service);
	if (!pkt.service || !service)
		return 0;
	table = READ_ONCE(service->table);
	id = schedule(table, hash_packet(&pkt, table), 0);
	backend = bpf_map_lookup_elem(&backends, &id);
	if (!id || !backend)
		return 0;
	served++;
	if (!is_right(backend, number))
		wrong++;
	return 0;
}

SEC("xdp")
int reader(struct xdp_md *ctx)
{
	bpf_loop(ROUNDS, look, NULL, 0);
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
