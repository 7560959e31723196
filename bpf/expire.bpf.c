// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * expire.bpf.c - the sweep over the flows, run by the agent once a second: ends records that are
 * idle or whose backend is gone, and counts anew how many flows are pending at each backend, since
 * an LRU map evicts in silence. And so for fragments, and for the destinations of lblc and lblcr.
 */
#include "bpf/connections.h"
#include "bpf/maps.h"
#include "bpf/record.h"
#include "bpf/service.h"

struct pending_counts {
	__u32 active;
	__u32 inactive;
};

struct recounted {
	struct pending_counts seen; /* by this sweep */
	struct pending_counts was;  /* by the counts when it began */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct recounted);
} recount SEC(".maps");

struct sweep_context {
	__u32 now;
	struct sweep sweep;
};

/*
 * A reply whose forward record has gone or is another backend's: it was evicted, or lost a race.
 */
static __always_inline bool is_orphan(const struct flow_key *key, const struct flow *reply)
{
	struct flow_key forward = *key;
	struct flow *flow;

	forward.server = reply->vip;
	forward.server_port = reply->vip_port;
	forward.direction = DIRECTION_FORWARD;
	flow = find_record(&forward);
	return !flow || READ_ONCE(flow->backend) != READ_ONCE(reply->backend);
}

static __always_inline bool has_ended(const struct flow_key *key, const struct flow *flow,
				      enum flow_state state, const struct backend *backend,
				      __u32 now)
{
	if (is_gone(backend))
		return true;
	return is_idle(flow, state, now) && is_reply_idle(key, backend, state, now);
}

/* How long a reply without a flow stays: that of one packet is one. */
static __always_inline enum flow_state lingering(const struct flow_key *reply)
{
	return reply->protocol == IPPROTO_UDP ? FLOW_UDP : FLOW_CLOSED;
}

/* May a record that is not a flow's own, of the way back or a template, be deleted? */
static __always_inline bool is_left(const struct flow_key *key, const struct flow *record,
				    const struct backend *backend,
				    const struct sweep_context *context)
{
	if (key->direction == DIRECTION_REPLY)
		return is_idle(record, lingering(key), context->now) && is_orphan(key, record);
	return is_gone(backend) || is_template_idle(record, context->now);
}

/* Its flow is open. */
static __always_inline void hold_template(const struct flow_key *flow, __u32 backend, __u32 now)
{
	__u32 id = find_service(flow);
	struct service *service = bpf_map_lookup_elem(&services, &id);
	struct flow *template;
	struct flow_key key;

	if (!id || !service)
		return;
	key = template_key(flow, service);
	template = find_record(&key);
	if (template && READ_ONCE(template->backend) == backend)
		WRITE_ONCE(template->held, now);
}

static long sweep_flow(void *map, struct flow_key *key, struct flow *flow,
		       struct sweep_context *context)
{
	__u64 word = READ_ONCE(FLOW_WORD(flow));
	__u32 id = READ_ONCE(flow->backend);
	struct backend *backend = bpf_map_lookup_elem(&backends, &id);
	struct flow_key copy = *key;

	context->sweep.flows++;
	if (!backend)
		return 0;
	if (copy.direction != DIRECTION_FORWARD) {
		if (is_left(&copy, flow, backend, context))
			bpf_map_delete_elem(&flows, &copy);
		return 0;
	}
	if (flow_state(word) == FLOW_DEAD ||
	    !has_ended(&copy, flow, flow_state(word), backend, context->now)) {
		if (flow->persistent)
			hold_template(&copy, id, context->now);
		return 0;
	}
	retire(&copy, flow, word, id, backend);
	context->sweep.expired++;
	return 0;
}

static long sweep_pending(void *map, struct flow_key *key, struct flow *flow,
			  struct sweep_context *context)
{
	__u64 word = READ_ONCE(FLOW_WORD(flow));
	__u32 id = READ_ONCE(flow->backend);
	struct backend *backend = bpf_map_lookup_elem(&backends, &id);
	struct recounted *recounted = bpf_map_lookup_elem(&recount, &id);
	struct flow_key copy = *key;

	if (!backend)
		return 0;
	if (copy.direction != DIRECTION_FORWARD) {
		if (is_left(&copy, flow, backend, context))
			bpf_map_delete_elem(&pending, &copy);
		return 0;
	}
	context->sweep.pending++;
	if (has_ended(&copy, flow, flow_state(word), backend, context->now)) {
		/* Not counted down here: end_recount() does. */
		delete_reply(&copy, backend);
		bpf_map_delete_elem(&pending, &copy);
		context->sweep.expired++;
		return 0;
	}
	if (flow->persistent)
		hold_template(&copy, id, context->now);
	if (!recounted)
		return 0;
	if (copy.protocol == IPPROTO_TCP)
		recounted->seen.active++;
	else
		recounted->seen.inactive++;
	return 0;
}

static long begin_recount(void *map, __u32 *id, struct connections *open, void *context)
{
	struct recounted *recounted = bpf_map_lookup_elem(&recount, id);

	if (recounted) {
		recounted->seen = (struct pending_counts){};
		recounted->was.active = READ_ONCE(open->pending_active);
		recounted->was.inactive = READ_ONCE(open->pending_inactive);
	}
	return 0;
}

/* Added, not set: what was opened during the sweep stays counted. */
static __always_inline void correct(__u32 *count, __u32 seen, __u32 was)
{
	if (seen != was)
		__sync_fetch_and_add(count, seen - was);
}

static long end_recount(void *map, __u32 *id, struct connections *open, void *context)
{
	struct recounted *recounted = bpf_map_lookup_elem(&recount, id);
	struct backend *backend = bpf_map_lookup_elem(&backends, id);

	if (!recounted || !backend)
		return 0;
	correct(&open->pending_active, recounted->seen.active, recounted->was.active);
	correct(&open->pending_inactive, recounted->seen.inactive, recounted->was.inactive);
	settle_full(backend, open);
	return 0;
}

struct held {
	struct destination *destination;
	__u32 service;
	__u32 left;
};

/* Ids of backends are used again, so an entry must not name one that is gone. */
static long sweep_fragment(void *map, struct fragment_key *key, struct first_fragment *first,
			   struct sweep_context *context)
{
	struct fragment_key copy = *key;
	__u32 id = first->backend;
	struct backend *backend = bpf_map_lookup_elem(&backends, &id);

	if (is_forgotten(first, context->now) || (id && backend && is_gone(backend)))
		bpf_map_delete_elem(&fragments, &copy);
	return 0;
}

/* Ids of backends are used again, so a set must not name one that is gone. */
static long sweep_assigned(__u32 place, struct held *held)
{
	union assigned *at = &held->destination->backends[place % DESTINATION_BACKENDS];
	union assigned assigned = { .word = READ_ONCE(at->word) };
	__u32 id = assigned.backend;
	struct backend *backend = bpf_map_lookup_elem(&backends, &id);

	if (!id)
		return 0;
	if (backend && !is_gone(backend) && backend->service == held->service)
		held->left++;
	else
		__sync_val_compare_and_swap(&at->word, assigned.word, 0);
	return 0;
}

static long sweep_destination(void *map, struct destination_key *key,
			      struct destination *destination, struct sweep_context *context)
{
	struct held held = {
		.destination = destination,
		.service = key->service,
		.left = veiled_zero(),
	};
	struct destination_key copy = *key;
	__u32 seen = READ_ONCE(destination->seen);

	if (!seen)
		return 0;
	bpf_loop(DESTINATION_BACKENDS, sweep_assigned, &held, 0);
	if (!held.left || is_day_old(seen, context->now))
		bpf_map_delete_elem(&destinations, &copy);
	return 0;
}

SEC("syscall")
int expire(struct sweep *result)
{
	struct sweep_context context = { .now = bpf_jiffies64() };

	bpf_for_each_map_elem(&flows, sweep_flow, &context, 0);
	bpf_for_each_map_elem(&connections, begin_recount, NULL, 0);
	bpf_for_each_map_elem(&pending, sweep_pending, &context, 0);
	bpf_for_each_map_elem(&connections, end_recount, NULL, 0);
	bpf_for_each_map_elem(&fragments, sweep_fragment, &context, 0);
	bpf_for_each_map_elem(&destinations, sweep_destination, &context, 0);
	WRITE_ONCE(settings.swept, context.now);
	*result = context.sweep;
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
