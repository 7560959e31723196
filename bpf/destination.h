/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * destination.h - lblc and lblcr: who has served a destination (the address that clients use) goes
 * on doing so, and is likely to have at hand what it is asked for. Followed: ip_vs_lblc.c and
 * ip_vs_lblcr.c of Linux.
 *
 *     lblc   has one backend a destination; when it is overloaded, the least loaded of all takes
 *            the destination over
 *     lblcr  has a set and takes the least loaded of it; when that is overloaded, the least loaded
 *            of all joins; once a day without a change the most loaded leaves
 *
 * A set changes by one compare-and-swap, so there is no lock. Memory of a deleted destination may
 * serve another at once, while another CPU still writes to it; so each backend found is asked
 * whether it serves this service, and what may remain is a choice less local than it could be.
 */
#pragma once

#include "bpf/connections.h"
#include "bpf/maps.h"
#include "bpf/packet.h"
#include "bpf/schedule.h"

/* A set while it is looked through; what is in a place of it, 0 for nobody. */
struct holders {
	struct destination *destination;
	__u64 least;
	__u64 most;
	__u32 size;
};

static __always_inline bool is_by_destination(struct table_region region)
{
	return region.scheduler == SCHEDULER_LBLC || region.scheduler == SCHEDULER_LBLCR;
}

static __always_inline struct destination_key destination_key(const struct address *address,
							      __u32 service)
{
	return (struct destination_key){ .service = service, .address = *address };
}

/* ---- finding ------------------------------------------------------------------------------- */

/* What a backend is to a set that names it. */
enum rating {
	RATED_FOREIGN = 0, /* nothing: its entry is another's by now */
	RATED_IDLE = 1,	   /* it takes no flows: its weight is 0 */
	RATED_LEAVING = 2, /* it takes no flows for now, but may be the most loaded */
	RATED_SERVING = 3,
};

/* Functions of their own, where the verifier would otherwise look at them for each place. */
__attribute__((noinline)) __u32 rate(__u32 id, __u32 service)
{
	struct backend *backend = bpf_map_lookup_elem(&backends, &id);
	struct connections *open = bpf_map_lookup_elem(&connections, &id);

	if (!id || !backend || !open || is_gone(backend) || backend->service != service)
		return RATED_FOREIGN;
	if (!backend->weight)
		return RATED_IDLE;
	if (backend->state != BACKEND_UP || backend->fallback)
		return RATED_LEAVING;
	return is_full(id) ? RATED_LEAVING : RATED_SERVING;
}

static __always_inline struct candidate candidate_of(__u32 id)
{
	struct backend *backend = bpf_map_lookup_elem(&backends, &id);
	struct connections *open = bpf_map_lookup_elem(&connections, &id);

	if (!backend || !open)
		return (struct candidate){};
	return (struct candidate){
		.backend = id,
		.weight = READ_ONCE(backend->weight),
		.load = ((__u64)active_of(open) << 8) + inactive_of(open),
	};
}

/*
 * Has one, of two places, less load than the other, or more? Of equals the one that came later is
 * taken, since IPVS's sets have the last first; and if there is no other, the one.
 */
__attribute__((noinline)) __u32 compare(__u64 one, __u64 other, __u32 for_more)
{
	union assigned a = { .word = one }, b = { .word = other };
	struct candidate first = candidate_of(a.backend);
	struct candidate second = candidate_of(b.backend);
	bool less = is_better(SCHEDULER_LBLCR, &first, &second);
	bool more = is_better(SCHEDULER_LBLCR, &second, &first);

	if (!b.backend)
		return true;
	if (less || more)
		return for_more ? more : less;
	return (__s32)(a.number - b.number) > 0;
}

static __always_inline void weigh_holder(struct holders *set, __u32 place, __u32 service)
{
	__u64 word = READ_ONCE(set->destination->backends[place].word);
	enum rating rating;

	if (!word)
		return;
	rating = rate(word, service);
	if (rating != RATED_FOREIGN)
		set->size++;
	if (rating >= RATED_LEAVING && compare(word, set->most, 1))
		set->most = word;
	if (rating == RATED_SERVING && compare(word, set->least, 0))
		set->least = word;
}

static long leave(__u32 place, struct holders *set)
{
	union assigned *at = &set->destination->backends[place % DESTINATION_BACKENDS];

	return __sync_val_compare_and_swap(&at->word, set->most, 0) == set->most;
}

/* The most loaded leaves a set that has not changed for a day. */
static __always_inline void shrink(struct holders *set, __u32 now)
{
	struct destination *destination = set->destination;
	__u32 changed = READ_ONCE(destination->changed);

	if (set->size < 2 || !set->most || !is_day_old(changed, now))
		return;
	/* One CPU does it. */
	if (__sync_val_compare_and_swap(&destination->changed, changed, now) == changed)
		bpf_loop(DESTINATION_BACKENDS, leave, set, 0);
}

struct spare_search {
	struct table_region region;
	__u32 found;
};

static long look_for_spare(__u32 number, struct spare_search *search)
{
	union slot *slot = slot_at(&search->region, number);
	struct connections *open;
	__u32 id;

	if (!slot)
		return 1;
	id = slot->backend;
	open = bpf_map_lookup_elem(&connections, &id);
	search->found = open && active_of(open) * 2 < slot->weight;
	return search->found;
}

/*
 * is_overloaded() of ip_vs_lblc.c: has it more than its weight, while another has less than half of
 * its own? Also one that is full.
 */
__attribute__((noinline)) __u32 is_overloaded(__u32 id, __u64 table)
{
	struct spare_search search = { .region = region_of(table) };
	struct backend *backend = bpf_map_lookup_elem(&backends, &id);
	struct connections *open = bpf_map_lookup_elem(&connections, &id);

	if (!backend || !open || active_of(open) <= READ_ONCE(backend->weight))
		return false;
	bpf_loop(search.region.size, look_for_spare, &search, 0);
	return search.found;
}

/* The backend that serves the destination and may go on doing so, or 0. */
__attribute__((noinline)) __u32 find_assigned(const struct address *address, __u32 service,
					      __u64 table, __u32 now)
{
	struct holders set = { .size = veiled_zero() };
	struct destination_key key;
	__u32 id;

	if (!address)
		return 0;
	key = destination_key(address, service);
	set.destination = bpf_map_lookup_elem(&destinations, &key);
	if (!set.destination)
		return 0;
	WRITE_ONCE(set.destination->seen, now | 1);
	weigh_holder(&set, 0, service);
	if (region_of(table).scheduler == SCHEDULER_LBLCR) {
#pragma clang loop unroll(disable)
		for (__u32 place = 1; place < DESTINATION_BACKENDS; place++)
			weigh_holder(&set, place, service);
		shrink(&set, now);
	}
	id = set.least;
	return id && !is_overloaded(id, table) ? id : 0;
}

/* ---- assigning ----------------------------------------------------------------------------- */

struct place_search {
	struct destination *destination;
	__u32 backend;
	__u32 free; /* a place that is free; DESTINATION_BACKENDS: none */
	__u32 present;
};

static long find_place(__u32 place, struct place_search *search)
{
	union assigned *assigned = &search->destination->backends[place % DESTINATION_BACKENDS];
	__u32 backend = READ_ONCE(assigned->backend);

	if (!backend && search->free == DESTINATION_BACKENDS)
		search->free = place;
	search->present |= backend == search->backend;
	return search->present;
}

static __always_inline __u64 numbered(struct destination *destination, __u32 backend)
{
	union assigned one = { .backend = backend };

	one.number = __sync_fetch_and_add(&destination->came, 1);
	return one.word;
}

/* Where a set is full, or another CPU was faster, the backend serves this flow and is forgotten. */
static __always_inline void join(struct destination *destination, __u32 backend, __u32 now)
{
	struct place_search search = {
		.destination = destination,
		.backend = backend,
		.free = DESTINATION_BACKENDS + veiled_zero(),
	};

	bpf_loop(DESTINATION_BACKENDS, find_place, &search, 0);
	if (search.present || search.free == DESTINATION_BACKENDS)
		return;
	WRITE_ONCE(destination->changed, now);
	__sync_val_compare_and_swap(&destination->backends[search.free % DESTINATION_BACKENDS].word,
				    0, numbered(destination, backend));
}

static const struct destination no_backends;

/* The destination's entry; NULL if there is no room for one, and then its flows are not held. */
static __always_inline struct destination *enter(const struct destination_key *key)
{
	struct destination *destination = bpf_map_lookup_elem(&destinations, key);

	if (destination)
		return destination;
	bpf_map_update_elem(&destinations, key, &no_backends, BPF_NOEXIST);
	return bpf_map_lookup_elem(&destinations, key);
}

/* The destination goes to a backend from here on. */
__attribute__((noinline)) int assign(const struct address *address, __u32 service, __u64 table,
				     __u32 id, __u32 now)
{
	struct backend *backend = bpf_map_lookup_elem(&backends, &id);
	struct table_region region = region_of(table);
	struct destination *destination;
	struct destination_key key;

	/* A fallback serves only as long as nobody else does. */
	if (!address || !backend || backend->fallback)
		return 0;
	key = destination_key(address, service);
	destination = enter(&key);
	if (!destination)
		return 0;
	if (region.scheduler == SCHEDULER_LBLCR)
		join(destination, id, now);
	else
		WRITE_ONCE(destination->backends[0].word, numbered(destination, id));
	WRITE_ONCE(destination->seen, now | 1);
	return 0;
}
