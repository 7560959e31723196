/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * maps.h - what the programs share with the agent and with each other. The sizes are what an empty
 * configuration gives; the loader sets those of the configuration before it loads. All are pinned
 * under their own names.
 */
#pragma once

#include <stdbool.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "bpf/types.h"

/* Written by the agent. */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 8192); /* a power of two */
	__type(key, __u32);
	__type(value, struct index_bucket);
} endpoints SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1024);
	__type(key, __u32);
	__type(value, struct service);
} services SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1048576);
	__type(key, __u32);
	__type(value, union slot);
} tables SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct backend);
} backends SEC(".maps");

/* Its flows have ended; the entry may serve another backend soon. */
static __always_inline bool is_gone(const struct backend *backend)
{
	return backend->state == BACKEND_GONE || backend->state == BACKEND_FREE;
}

/* A variable rather than a map of its own: the program reads it without a lookup. */
struct settings settings SEC(".data.settings");

/*
 * 0, and the verifier does not know. Linux 6.1 looks at the first run of a callback alone: where it
 * knows a value of the context, it takes out what other values would lead to. So whatever a
 * callback changes and asks for begins with this.
 */
static __always_inline __u32 veiled_zero(void)
{
	return *(volatile __u32 *)&settings.interfaces[0].zero;
}

/* Written by the programs. */

/* Nothing established is ever evicted: full means full. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1048576);
	__type(key, struct flow_key);
	__type(value, struct flow);
} flows SEC(".maps");

/* Flows of which only the opening was seen; a flood of openings churns here and nowhere else. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct flow_key);
	__type(value, struct flow);
} pending SEC(".maps");

/* First fragments of what is ours; a flood of such churns here and nowhere else. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct fragment_key);
	__type(value, struct first_fragment);
} fragments SEC(".maps");

static __always_inline bool is_forgotten(const struct first_fragment *first, __u32 now)
{
	return (__s32)(now - first->until) >= 0;
}

/* For lblc and lblcr alone; others use no memory here. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 8192);
	__type(key, struct destination_key);
	__type(value, struct destination);
} destinations SEC(".maps");

/* What IPVS has for lblc_expiration and lblcr_expiration, unless told otherwise. */
static __always_inline bool is_day_old(__u32 then, __u32 now)
{
	return (__s32)(now - then) > (__s64)24 * 3600 * settings.second;
}

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct connections);
} connections SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct backend_counters);
} backend_counters SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, VERDICT_COUNT);
	__type(key, __u32);
	__type(value, struct counter);
} verdicts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, EVENT_COUNT);
	__type(key, __u32);
	__type(value, __u64);
} events SEC(".maps");
