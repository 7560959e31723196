/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * count.h - every packet ends here, once: the verdict is counted and becomes an XDP action.
 */
#pragma once

#include "bpf/maps.h"
#include "bpf/packet.h"

enum verdict_class { PASS, DROP, REFUSE, FORWARD };

static __always_inline enum verdict_class class_of(enum verdict verdict)
{
	switch (verdict) {
#define X(name, class, help)                                                                       \
	case name:                                                                                 \
		return class;
		VERDICTS(X)
#undef X
	case NEXT:
	case VERDICT_COUNT:
		break;
	}
	return DROP;
}

static __always_inline bool is_reply(enum verdict verdict)
{
	return verdict == FORWARD_REPLY || verdict == FORWARD_ICMP_REPLY;
}

static __always_inline void count_for_backend(const struct packet *pkt, bool reply)
{
	struct backend_counters *counters = bpf_map_lookup_elem(&backend_counters, &pkt->backend);

	if (!counters)
		return;
	if (reply) {
		counters->packets_out++;
		counters->bytes_out += pkt->length;
	} else {
		counters->packets_in++;
		counters->bytes_in += pkt->length;
	}
}

static __always_inline int count(const struct packet *pkt, __u32 size, enum verdict verdict)
{
	__u32 key = verdict;
	struct counter *counter = bpf_map_lookup_elem(&verdicts, &key);

	if (counter) {
		counter->packets++;
		counter->bytes += size;
	}
	switch (class_of(verdict)) {
	case PASS:
		return XDP_PASS;
	case REFUSE:
		return XDP_TX;
	case FORWARD:
		count_for_backend(pkt, is_reply(verdict));
		return pkt->action;
	case DROP:
		break;
	}
	return XDP_DROP;
}
