/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * schedule.h - who serves a new flow? The agent has turned scheduler and weights into a table:
 *
 *     rr wrr                     turns; all CPUs share the cursor, so the order is exact
 *     sh dh mh                   a ring; a hash of the packet says where to look
 *     lc wlc sed nq fo ovf twos  the members in IPVS's order; their open flows decide
 *     lblc lblcr                 the same, for a destination that nobody serves yet: destination.h
 *
 * A backend that is gone or full is passed over, as IPVS passes over what it calls overloaded.
 */
#pragma once

#include "bpf/connections.h"
#include "bpf/maps.h"
#include "bpf/packet.h"

/* Looking through a table; 0 is nobody. Small, since the stack of all calls has 512 bytes. */
struct search {
	struct table_region region;
	union {
		__u64 hash;	/* rings: of the packet; turns: the turn */
		__s32 draws[2]; /* twos: below 0 is done */
	};
	__u64 excluded; /* the last two chosen, who could not serve this client */
	__u32 unusable; /* turns, rings: the last one found so */
	union {
		__u32 total;   /* twos: of the weights */
		__u32 members; /* turns, rings: how many */
	};
	struct candidate {
		__u32 backend; /* 0: none yet */
		__u32 weight;
		__u64 load;
	} found;
	union {
		struct candidate other; /* twos: the other draw */
		__u32 skipped;		/* turns: passed over */
	};
};

static __always_inline struct candidate nobody(void)
{
	__u32 zero = veiled_zero();

	return (struct candidate){ .backend = zero, .weight = zero, .load = zero };
}

/* By its limit as it is now. For the verifier, a function of its own. */
__attribute__((noinline)) int is_full(__u32 id)
{
	struct backend *backend = bpf_map_lookup_elem(&backends, &id);
	struct connections *open = bpf_map_lookup_elem(&connections, &id);

	if (!backend || !open)
		return 1;
	settle_full(backend, open);
	return READ_ONCE(open->full);
}

/* The open flows of a backend that may be given one more; else NULL. */
static __always_inline struct connections *usable(const struct search *search,
						  const union slot *slot)
{
	struct connections *open;
	struct backend *backend;
	__u32 id = slot->backend;

	if (!slot->weight || id == (__u32)search->excluded || id == search->excluded >> 32)
		return NULL;
	backend = bpf_map_lookup_elem(&backends, &id);
	open = bpf_map_lookup_elem(&connections, &id);
	if (!backend || is_gone(backend) || !open)
		return NULL;
	if (!READ_ONCE(backend->max_connections) && !READ_ONCE(open->full))
		return open;
	return is_full(id) ? NULL : open;
}

static __always_inline union slot *slot_at(const struct table_region *region, __u32 number)
{
	__u32 at = region->offset + 1 + number;

	return bpf_map_lookup_elem(&tables, &at);
}

/* ---- turns --------------------------------------------------------------------------------- */

/* Is it who serves? Turns and rings name the same backend again and again: it is asked once. */
static __always_inline bool settle_for(struct search *search, const union slot *slot)
{
	if (slot->backend == search->unusable)
		return false;
	if (usable(search, slot)) {
		search->found.backend = slot->backend;
		return true;
	}
	search->unusable = slot->backend;
	return false;
}

static long ask_member(__u32 attempt, struct search *search)
{
	__u32 number = (search->hash + attempt) % search->members;
	union slot *slot = slot_at(&search->region, search->region.size + 1 + number);

	return !slot || settle_for(search, slot);
}

/* Where those that have most of a long table are full, the others would be far away. */
static __always_inline void ask_members(struct search *search)
{
	union slot *slot;

	if (search->region.size <= MAX_LOOKS)
		return;
	slot = slot_at(&search->region, search->region.size);
	if (!slot)
		return;
	search->members = slot->members;
	bpf_loop(search->members < MAX_ASKED ? search->members : MAX_ASKED, ask_member, search, 0);
}

static __always_inline __u32 looks(__u32 size)
{
	return size < MAX_LOOKS ? size : MAX_LOOKS;
}

static long take_turn(__u32 skipped, struct search *search)
{
	union slot *slot = slot_at(&search->region, (search->hash + skipped) % search->region.size);

	if (!slot)
		return 1;
	if (!settle_for(search, slot))
		return 0;
	search->skipped = skipped;
	return 1;
}

/*
 * One turn for the flow, and those that are passed over, whatever other CPUs take. Where nobody
 * can serve, no turn was taken.
 */
static __always_inline void take_turns(struct search *search)
{
	union slot *slot = bpf_map_lookup_elem(&tables, &search->region.offset);

	if (!slot)
		return;
	search->hash = __sync_fetch_and_add(&slot->cursor, 1);
	bpf_loop(looks(search->region.size), take_turn, search, 0);
	if (!search->found.backend)
		ask_members(search);
	if (!search->found.backend)
		__sync_fetch_and_add(&slot->cursor, -1);
	else if (search->skipped)
		__sync_fetch_and_add(&slot->cursor, search->skipped);
}

/* ---- rings --------------------------------------------------------------------------------- */

/* Where to look at the nth attempt. sh goes on as ip_vs_sh.c's fallback does. */
static __always_inline __u32 position(const struct search *search, __u32 attempt)
{
	__u32 hash = search->hash;

	switch (search->region.scheduler) {
	case SCHEDULER_SH:
		return (attempt ? 2 * hash + attempt - 1 : hash) % RING_SIZE;
	case SCHEDULER_DH:
		return (hash + attempt) % RING_SIZE;
	}
	/* The size is a prime, so that every step goes all round. */
	return (hash % search->region.size +
		(__u64)attempt * (1 + (search->hash >> 32) % (search->region.size - 1))) %
	       search->region.size;
}

static long look_in_ring(__u32 attempt, struct search *search)
{
	union slot *slot = slot_at(&search->region, position(search, attempt));

	if (!slot || settle_for(search, slot))
		return 1;
	return search->region.strict;
}

static __always_inline void search_ring(struct search *search)
{
	/* One more: the first attempt of sh is beside its round. */
	bpf_loop(looks(search->region.size + 1), look_in_ring, search, 0);
	if (!search->found.backend && !search->region.strict)
		ask_members(search);
}

/* The Linux kernel's hash_32() (include/linux/hash.h) to the ring's eight bits. */
static __always_inline __u32 ring_hash(__u32 value)
{
	return value * 0x61c88647U >> 24;
}

/* As IPVS folds an address to 32 bits. */
static __always_inline __u32 fold(const struct address *address, bool is_v4)
{
	__u32 words = address->words[3];

	if (!is_v4)
		words ^= address->words[0] ^ address->words[1] ^ address->words[2];
	return bpf_ntohl(words);
}

static __always_inline struct table_region region_of(__u64 table)
{
	struct table_region region;

	__builtin_memcpy(&region, &table, sizeof(region));
	return region;
}

/* What a ring looks at, as the table says. */
static __always_inline __u64 hash_packet(const struct packet *pkt, __u64 table)
{
	struct table_region region = region_of(table);
	__u16 port = region.hash == HASH_SOURCE ? 0 : pkt->flow.client_port;
	struct endpoint_key client = { .address = pkt->flow.client, .port = port };
	struct endpoint_key server = { .address = pkt->flow.server,
				       .port = pkt->flow.server_port,
				       .protocol = pkt->flow.protocol };

	switch (region.scheduler) {
	case SCHEDULER_SH:
		return ring_hash(fold(&pkt->flow.client, pkt->is_v4) + port);
	case SCHEDULER_DH:
		return ring_hash(fold(&pkt->flow.server, pkt->is_v4));
	case SCHEDULER_MH:
		if (region.hash != HASH_5TUPLE)
			return endpoint_hash(&client);
		return endpoint_hash(&client) + 3 * endpoint_hash(&server);
	}
	return 0;
}

/* ---- by load ------------------------------------------------------------------------------- */

/* lc and wlc: ip_vs_dest_conn_overhead() in include/net/ip_vs.h. */
static __always_inline __u64 load_of(const struct search *search, const struct connections *open)
{
	__u64 active = active_of(open);

	switch (search->region.scheduler) {
	case SCHEDULER_SED:
	case SCHEDULER_NQ:
		return active + 1;
	case SCHEDULER_OVF:
		return active;
	}
	return (active << 8) + inactive_of(open);
}

/* Is one to be preferred to another? The first of equals stays. */
static __always_inline bool is_better(__u32 scheduler, const struct candidate *one,
				      const struct candidate *other)
{
	switch (scheduler) {
	case SCHEDULER_LC:
		return one->load < other->load;
	case SCHEDULER_FO:
	case SCHEDULER_OVF:
		return one->weight > other->weight;
	}
	return other->load * one->weight > one->load * other->weight;
}

/* Is the member at that place usable, and what is it worth? */
static __always_inline bool look_at(const struct search *search, __u32 number,
				    struct candidate *one)
{
	union slot *slot = slot_at(&search->region, number);
	struct connections *open = slot ? usable(search, slot) : NULL;

	if (!open)
		return false;
	*one = (struct candidate){
		.backend = slot->backend,
		.weight = slot->weight,
		.load = load_of(search, open),
	};
	return true;
}

static long weigh(__u32 number, struct search *search)
{
	__u32 scheduler = search->region.scheduler;
	struct candidate one;

	if (!look_at(search, number, &one))
		return 0;
	if (scheduler == SCHEDULER_OVF && one.load > one.weight)
		return 0;
	/* nq: whoever is idle gets it at once. */
	if (scheduler == SCHEDULER_NQ && one.load == 1) {
		search->found = one;
		return 1;
	}
	if (!search->found.backend || is_better(scheduler, &one, &search->found))
		search->found = one;
	return 0;
}

static long add_weight(__u32 number, struct search *search)
{
	union slot *slot = slot_at(&search->region, number);

	if (slot && usable(search, slot))
		search->total += slot->weight;
	return 0;
}

/* The last one, where some have become full since the weights were added up. */
static __always_inline void draw(struct candidate *drawn, __s32 *left, const struct candidate *one)
{
	if (*left < 0)
		return;
	*left -= one->weight;
	*drawn = *one;
}

static long draw_both(__u32 number, struct search *search)
{
	struct candidate one;

	if (!look_at(search, number, &one))
		return 0;
	draw(&search->found, &search->draws[0], &one);
	draw(&search->other, &search->draws[1], &one);
	return search->draws[0] < 0 && search->draws[1] < 0;
}

/* twos: two draws by weight, and the less loaded of the two (ip_vs_twos.c). */
static __always_inline void take_less_loaded(struct search *search)
{
	bpf_loop(search->region.size, add_weight, search, 0);
	if (!search->total)
		return;
	search->draws[0] = bpf_get_prandom_u32() % search->total;
	search->draws[1] = bpf_get_prandom_u32() % search->total;
	bpf_loop(search->region.size, draw_both, search, 0);
	if (search->other.backend && is_better(SCHEDULER_TWOS, &search->other, &search->found))
		search->found = search->other;
}

/* ---- all of them --------------------------------------------------------------------------- */

/*
 * The id of the backend that is next, or 0 if none of the table can serve. A function of its own,
 * where the verifier would otherwise follow each outcome to the end.
 */
__attribute__((noinline)) __u32 schedule(__u64 table, __u64 hash, __u64 excluded)
{
	struct search search = {
		.region = region_of(table),
		.hash = hash,
		.excluded = excluded,
		.found = nobody(),
	};

	if (!search.region.size)
		return 0;
	switch (search.region.scheduler) {
	case SCHEDULER_RR:
	case SCHEDULER_WRR:
		take_turns(&search);
		break;
	case SCHEDULER_SH:
	case SCHEDULER_DH:
	case SCHEDULER_MH:
		search_ring(&search);
		break;
	case SCHEDULER_TWOS:
		take_less_loaded(&search);
		break;
	default:
		bpf_loop(search.region.size, weigh, &search, 0);
	}
	return search.found.backend;
}
