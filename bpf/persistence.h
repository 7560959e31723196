/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * persistence.h - was the client here before? A template, a record without a port under the masked
 * client, holds the backend that its flows were given to. It lasts `persistence` from the last new
 * flow on, and while flows of it are open, as a template of IPVS does (ip_vs_conn.c). It is opened
 * in `pending` and moves to `flows` with the first flow that is confirmed, so that a flood of
 * openings cannot fill `flows` with templates.
 */
#pragma once

#include "bpf/packet.h"
#include "bpf/record.h"

static __always_inline long put_template(void *map, const struct flow_key *key,
					 const struct service *service, __u32 backend, __u32 now)
{
	struct flow *template = draft();

	if (!template)
		return -1;
	*template = (struct flow){
		.state = FLOW_TEMPLATE,
		.nonce = bpf_get_prandom_u32(),
		.last_seen = now,
		.backend = backend,
		.timeout = service->persistence * READ_ONCE(settings.second),
		.held = now,
	};
	return bpf_map_update_elem(map, key, template, BPF_NOEXIST);
}

static __always_inline bool is_void(const struct service *service, __u32 service_id, __u32 id)
{
	struct backend *backend = bpf_map_lookup_elem(&backends, &id);

	if (!backend || is_gone(backend) || backend->service != service_id)
		return true;
	if (backend->fallback || backend->state == BACKEND_DRAINING)
		return true;
	/* As ip_vs_check_template() with expire_quiescent_template. */
	return !service->keep_drained && (backend->state != BACKEND_UP || !backend->weight);
}

/* The backend of the client's template, or 0. A function of its own for the sake of the stack. */
static __attribute__((noinline)) __u32 find_template(const struct flow_key *flow,
						     const struct service *service,
						     __u32 service_id, __u32 now)
{
	struct flow_key key = template_key(flow, service);
	struct flow *template = find_record(&key);
	bool over;
	__u64 word;
	__u32 id;

	if (!template)
		return 0;
	word = READ_ONCE(FLOW_WORD(template));
	id = READ_ONCE(template->backend);
	over = is_template_idle(template, now);
	if (flow_state(word) == FLOW_DEAD || NONCE(READ_ONCE(FLOW_WORD(template))) != NONCE(word))
		return 0;
	if (over || is_void(service, service_id, id)) {
		if (become(template, word, FLOW_DEAD))
			delete_record(&key);
		return 0;
	}
	WRITE_ONCE(template->last_seen, now);
	WRITE_ONCE(template->held, now);
	return id;
}

/* Another CPU may be first: the client's backend is then that of find_template(). */
static __attribute__((noinline)) int
open_template(const struct flow_key *flow, const struct service *service, __u32 backend, __u32 now)
{
	struct flow_key key = template_key(flow, service);

	return put_template(&pending, &key, service, backend, now);
}

/* A flow of the template is confirmed, and so is the template, also if pending has evicted it. */
static __attribute__((noinline)) int confirm_template(const struct flow_key *flow, __u32 service_id,
						      __u32 backend, __u32 now)
{
	struct service *service = bpf_map_lookup_elem(&services, &service_id);
	struct flow_key key;
	long err;

	if (!service || !service->persistence)
		return 0;
	key = template_key(flow, service);
	err = put_template(&flows, &key, service, backend, now);
	if (!err || err == -17 /* EEXIST */)
		bpf_map_delete_elem(&pending, &key);
	return 0;
}
