/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * persistence.h - was the client here before? A template, a record without a port under the masked
 * client, holds the backend that its flows were given to. It lasts `persistence` from the last new
 * flow on, and while flows of it are open, as a template of IPVS does (ip_vs_conn.c). It is opened
 * in `pending` and moves to `flows` with the first flow that is confirmed, so that a flood of
 * openings cannot fill `flows` with templates.
 */
#pragma once

#include "bpf/flow.h"

static __always_inline bool is_template_over(const struct flow *template,
					     const struct service *service, __u32 now)
{
	__u32 id = READ_ONCE(template->backend), timeout = READ_ONCE(template->stay.timeout);
	struct backend *backend = bpf_map_lookup_elem(&backends, &id);

	if (!backend || is_gone(backend) || backend->state == BACKEND_DRAINING)
		return true;
	/* As ip_vs_check_template() with expire_quiescent_template. */
	if (!service->keep_drained && (backend->state != BACKEND_UP || !backend->weight))
		return true;
	return (__s32)(now - READ_ONCE(template->seen)) >= (__s32)timeout &&
	       (__s32)(now - READ_ONCE(template->stay.held)) >=
		       (__s32)(2 * READ_ONCE(settings.second));
}

/* The backend of the client's template, or 0. A function of its own for the sake of the stack. */
static __attribute__((noinline)) __u32 find_template(const struct flow_key *flow,
						     const struct service *service, __u32 now)
{
	struct flow_key key = template_key(flow, service);
	struct flow *template = find_record(&key);
	__u64 word;
	__u32 id;

	if (!template)
		return 0;
	word = READ_ONCE(template->word);
	id = READ_ONCE(template->backend);
	if (is_template_over(template, service, now)) {
		delete_record(&key);
		return 0;
	}
	if (NONCE(READ_ONCE(template->word)) != NONCE(word))
		return 0;
	WRITE_ONCE(template->seen, now);
	return id;
}

static __attribute__((noinline)) int
open_template(const struct flow_key *flow, const struct service *service, __u32 backend, __u32 now)
{
	struct flow_key key = template_key(flow, service);
	struct flow template = {
		.word = flow_word(bpf_get_prandom_u32(), FLOW_TEMPLATE),
		.seen = now,
		.backend = backend,
		.stay = { .timeout = service->persistence * READ_ONCE(settings.second),
			  .held = now },
	};

	return bpf_map_update_elem(&pending, &key, &template, BPF_NOEXIST);
}
