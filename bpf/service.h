/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * service.h - is it ours? A key is in one of two buckets of the index, chosen by its hash; the
 * agent fills the first before the second. Looking is two inlined ARRAY lookups and no hash map. A
 * port of its own comes before a range of ports, and that before a service of all ports.
 */
#pragma once

#include "bpf/maps.h"
#include "bpf/packet.h"

/* Without branches: eight of them in a row would have the verifier walk each path. */
static __always_inline bool same_endpoint(const struct endpoint_key *a,
					  const struct endpoint_key *b)
{
	const __u32 *x = (const __u32 *)a, *y = (const __u32 *)b;

	return !((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]) | (x[4] ^ y[4]));
}

/* The word of the bucket's entry for the key, or 0. */
static __always_inline __u64 search_bucket(__u32 number, const struct endpoint_key *key)
{
	struct index_bucket *bucket = bpf_map_lookup_elem(&endpoints, &number);

	if (!bucket)
		return 0;
	for (int i = 0; i < INDEX_WAYS; i++) {
		__u64 word = READ_ONCE(bucket->entries[i].word);

		/* The key holds while the word is set, and for a grace period after. */
		if (word && same_endpoint(&bucket->entries[i].key, key))
			return word;
	}
	return 0;
}

/* Set by the loader to the number of buckets less one. */
const volatile __u32 index_mask = 8191;

static __always_inline __u64 find_endpoint(const struct endpoint_key *key)
{
	__u64 hash = endpoint_hash(key);
	__u64 word = search_bucket(hash & index_mask, key);

	return word ? word : search_bucket(hash >> 32 & index_mask, key);
}

/* {1:32, id:32}, or 0 where there is no service. */
static __always_inline __u64 found_by_ports(__u32 id)
{
	return id ? 1ULL << 32 | id : 0;
}

#define MAX_RANGE_STEPS 17 /* in 65,536 ranges */

/*
 * The service whose range has the port, else the one that has all others, else 0. `word`: of an
 * ENDPOINT_PORTS. A function of its own, so that the verifier looks at it once.
 */
__attribute__((noinline)) __u64 search_ranges(__u64 word, __u32 port)
{
	__u32 others = word, low = others + 1, high = low + (word >> 32);
	union slot *slot;

	for (int i = 0; i < MAX_RANGE_STEPS && low < high; i++) {
		__u32 middle = low + (high - low) / 2;

		slot = bpf_map_lookup_elem(&tables, &middle);
		if (!slot)
			return 0;
		if (port < slot->ports.first) {
			high = middle;
		} else if (port > slot->ports.last) {
			low = middle + 1;
		} else if (slot->ports.service) {
			return found_by_ports(slot->ports.service);
		} else {
			break;
		}
	}
	slot = bpf_map_lookup_elem(&tables, &others);
	return slot ? found_by_ports(slot->ports.service) : 0;
}

/*
 * The service that a client's packets of the flow are sent to: {by ports:32, id:32}, or 0. By
 * ports: not by a port of its own, but as one in a range, or of all.
 */
static __always_inline __u64 find_service(const struct flow_key *flow)
{
	struct endpoint_key key = {
		.address = flow->server,
		.port = flow->server_port,
		.protocol = flow->protocol,
		.kind = ENDPOINT_SERVICE,
	};
	__u64 word = find_endpoint(&key);

	if (word || !READ_ONCE(settings.port_endpoints))
		return word;
	key.port = 0;
	key.kind = ENDPOINT_PORTS;
	word = find_endpoint(&key);
	return word ? search_ranges(word, flow->server_port) : 0;
}

/*
 * Does the packet come from where a NAT backend answers? Mostly that is any port of its address:
 * its services may come and go, and it stays the same.
 */
static __always_inline bool is_from_backend(const struct packet *pkt)
{
	struct endpoint_key key = {
		.address = pkt->flow.client,
		.port = pkt->flow.client_port,
		.kind = ENDPOINT_REPLY,
	};

	if (READ_ONCE(settings.port_replies) && find_endpoint(&key))
		return true;
	key.port = 0;
	return READ_ONCE(settings.any_port_replies) && find_endpoint(&key);
}
