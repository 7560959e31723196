/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * service.h - is it ours? A key is in one of two buckets of the index, chosen by its hash; the
 * agent fills the first before the second. Looking is two inlined ARRAY lookups and no hash map.
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

/* The id in the bucket's entry for the key, or 0. */
static __always_inline __u32 search_bucket(__u32 number, const struct endpoint_key *key)
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

static __always_inline __u32 find_endpoint(const struct endpoint_key *key)
{
	__u64 hash = endpoint_hash(key);
	__u32 id = search_bucket(hash & index_mask, key);

	return id ? id : search_bucket(hash >> 32 & index_mask, key);
}

/* The id of the service that the packet is sent to, or 0. */
static __always_inline __u32 find_service(const struct packet *pkt)
{
	struct endpoint_key key = {
		.address = pkt->flow.server,
		.port = pkt->flow.server_port,
		.protocol = pkt->flow.protocol,
		.kind = ENDPOINT_SERVICE,
	};

	return find_endpoint(&key);
}

/* Does the packet come from where a NAT backend answers? */
static __always_inline bool is_from_backend(const struct packet *pkt)
{
	struct endpoint_key key = {
		.address = pkt->flow.client,
		.port = pkt->flow.client_port,
		.protocol = pkt->flow.protocol,
		.kind = ENDPOINT_REPLY,
	};

	return READ_ONCE(settings.reply_endpoints) && find_endpoint(&key);
}
