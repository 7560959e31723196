/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * types.h - every byte that crosses between the kernel and the agent. The only header that C and
 * C++ share: keys, values, enums, limits, and the hash both sides must agree on; at its end it
 * includes verdicts.h, which is the two lists of what packets are counted as and belongs to it.
 * Padding is spelled out and sizes are asserted.
 *
 * Publishing. No map update is atomic towards a running program, but one aligned 64-bit store is.
 * What packets read while it may change is therefore one 64-bit word (struct index_entry.word,
 * struct service.table, struct backend.next_hop and .way); what such a word leads to is written
 * before the word is, and not touched again until a grace period has passed.
 */
#pragma once

#include <linux/types.h>

#ifdef __cplusplus
#define TYPE_SIZE(type, size) static_assert(sizeof(type) == (size))
#else
#define TYPE_SIZE(type, size) _Static_assert(sizeof(type) == (size), #type)
#endif

/*
 * ---- addresses and keys ---------------------------------------------------------------------
 * Ports are in host order, so that `bpftool map dump` shows them as people write them.
 */

/* IPv6, or IPv4 as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2). */
struct address {
	union {
		__u8 bytes[16];
		__be32 words[4];
	};
};
TYPE_SIZE(struct address, 16);

/* What a lookup in the index asks for. */
enum endpoint_kind {
	ENDPOINT_SERVICE = 0, /* where clients send to; leads to a service */
	ENDPOINT_REPLY = 1,   /* where a NAT backend answers from; leads to nothing further */
	ENDPOINT_PORTS = 2,   /* a vip, without a port; leads to its services of several ports */
};

struct endpoint_key {
	struct address address;
	__u16 port;    /* REPLY: 0: any */
	__u8 protocol; /* REPLY: 0, any */
	__u8 kind;     /* enum endpoint_kind */
};
TYPE_SIZE(struct endpoint_key, 20);

enum direction {
	DIRECTION_FORWARD = 0,	/* client -> vip */
	DIRECTION_REPLY = 1,	/* backend -> client, NAT only */
	DIRECTION_TEMPLATE = 2, /* all flows of a masked client to a service: persistence */
};

/* `server` is the vip, and for the reply the backend. */
struct flow_key {
	struct address client;
	struct address server;
	__u16 client_port;
	__u16 server_port;
	__u8 protocol;
	__u8 direction; /* enum direction */
	__u8 pad[2];
};
TYPE_SIZE(struct flow_key, 40);

/* ---- index: two-choice hashing over an ARRAY ---------------------------------------------- */

#define INDEX_WAYS 4

struct index_entry {
	union {
		__u64 word; /* 0: free. The key does not change while it is set. */
		struct {
			__u32 id; /* of the service; PORTS: where its ranges begin in `tables` */
			__u32 ranges; /* PORTS: how many */
		};
	};
	struct endpoint_key key;
	__u8 pad[4];
};
TYPE_SIZE(struct index_entry, 32);

struct index_bucket {
	struct index_entry entries[INDEX_WAYS];
};
TYPE_SIZE(struct index_bucket, 128);

/* A key is in bucket (hash & mask) or in bucket (hash >> 32 & mask). */
static inline __attribute__((always_inline)) __u64 endpoint_hash(const struct endpoint_key *key)
{
	__u64 high = (__u64)key->address.words[1] << 32 | key->address.words[0];
	__u64 low = (__u64)key->address.words[3] << 32 | key->address.words[2];
	__u64 rest = (__u64)key->port << 16 | (__u64)key->protocol << 8 | key->kind;
	__u64 hash;

	/* Odd multipliers of MurmurHash3 and splitmix64; the shifts bring high bits down. */
	hash = high * 0xff51afd7ed558ccdULL ^ low * 0xc4ceb9fe1a85ec53ULL;
	hash = (hash ^ hash >> 32 ^ rest) * 0x9e3779b97f4a7c15ULL;
	hash = (hash ^ hash >> 29) * 0xbf58476d1ce4e5b9ULL;
	return hash ^ hash >> 32;
}

/* ---- services, tables, backends ------------------------------------------------------------ */

/* Id 0 is no service and no backend, so that a zeroed word never names one. */

/* What a table holds. */
enum table_kind {
	TABLE_TURNS = 0,   /* backends in the order of their turns */
	TABLE_RING = 1,	   /* where a hash of the packet points to */
	TABLE_MEMBERS = 2, /* each backend once, to be compared */
};

/*
 * One list: the enum, ipvsadm's letters, and the table it wants. New ones go to the end, since
 * pinned tables hold the numbers.
 */
/* clang-format off */
#define SCHEDULERS(X)                                                                              \
	X(RR,    rr,    TURNS)                                                                     \
	X(WRR,   wrr,   TURNS)                                                                     \
	X(LC,    lc,    MEMBERS)                                                                   \
	X(WLC,   wlc,   MEMBERS)                                                                   \
	X(SED,   sed,   MEMBERS)                                                                   \
	X(NQ,    nq,    MEMBERS)                                                                   \
	X(FO,    fo,    MEMBERS)                                                                   \
	X(OVF,   ovf,   MEMBERS)                                                                   \
	X(TWOS,  twos,  MEMBERS)                                                                   \
	X(SH,    sh,    RING)                                                                      \
	X(DH,    dh,    RING)                                                                      \
	X(MH,    mh,    RING)                                                                      \
	X(LBLC,  lblc,  MEMBERS)                                                                   \
	X(LBLCR, lblcr, MEMBERS)
/* clang-format on */

enum scheduler {
#define X(name, word, table) SCHEDULER_##name,
	SCHEDULERS(X)
#undef X
		SCHEDULER_COUNT,
};

/* What of a packet sh and mh hash. */
enum hash_of {
	HASH_SOURCE = 0,
	HASH_SOURCE_PORT = 1, /* address and port */
	HASH_5TUPLE = 2,      /* mh only */
};

struct service {
	__u64 table;		 /* struct table_region, whole; size 0: nobody serves */
	struct endpoint_key key; /* of its endpoints, the first; port 0: all ports */
	enum scheduler scheduler;
	__u32 mark; /* where its table began: wrr: the level; rr: after which backend */
	char name[32];
	char vip[62];	 /* "tcp 172.16.192.169:80", for people */
	__u16 last_port; /* of a range that begins with key.port; 0: that port alone */
	__u8 hash;	 /* enum hash_of */
	__u8 strict;
	__u16 slots; /* mh: of its ring */
	/* Read by packets, each on its own: */
	__u32 persistence;	 /* seconds that a client stays with its backend; 0: not at all */
	__u8 persistence_prefix; /* of the client's address, bits of 128 */
	__u8 keep_drained;	 /* 1: also with one that takes no new clients */
	__u8 one_packet;	 /* 1: UDP, each packet is given to a backend anew */
	__u8 pad;
};
TYPE_SIZE(struct service, 144);

/*
 * Where a service's table lies, and how it is read: slot `offset` is its cursor, `size` slots of
 * backends follow. Behind more than MAX_LOOKS of turns or of a ring, one slot says how many serve,
 * and each of them has one more.
 */
struct table_region {
	__u32 offset;
	__u32 size : 20;
	__u32 scheduler : 8; /* enum scheduler */
	__u32 hash : 2;	     /* enum hash_of */
	__u32 strict : 1;    /* sh, mh: whose backend is full is refused, as by IPVS */
	__u32 pad : 1;
};
TYPE_SIZE(struct table_region, 8);

/* Of a vip: in order and apart, after one that has all other ports. */
struct port_range {
	__u16 first;
	__u16 last;
	__u32 service; /* 0: none */
};
TYPE_SIZE(struct port_range, 8);

union slot {
	__u64 cursor;  /* of the region's first slot: how many flows were scheduled by it */
	__u64 members; /* behind a long table: how many follow */
	struct {
		__u32 backend;
		__u32 weight; /* 0: keeps its slots, takes no flows */
	};
	struct port_range ports;
};
TYPE_SIZE(union slot, 8);

/* sh and dh have as many slots, as those of IPVS. */
#define RING_SIZE 256

/*
 * So many slots are asked for a backend that is not full. sh looks at all of its ring and, at
 * first, beside it.
 */
#define MAX_LOOKS (RING_SIZE + 1)
#define MAX_ASKED 1024 /* and then so many of the members */

enum forwarding {
	FORWARDING_DR = 0,
	FORWARDING_NAT = 1,
	FORWARDING_LOCAL = 2,
	FORWARDING_TUN = 3,
};

/* What a packet is put into for the backend of FORWARDING_TUN. */
enum tunnel {
	TUNNEL_IPIP = 0,
	TUNNEL_GRE = 1,
	TUNNEL_GUE = 2,
};

enum backend_state {
	BACKEND_FREE = 0, /* the entry names nobody */
	BACKEND_UP = 1,
	BACKEND_DOWN = 2,	/* by its check; its flows go on */
	BACKEND_UNKNOWN = 3,	/* not checked yet */
	BACKEND_UNRESOLVED = 4, /* no neighbour, or not on a connected network where it must be */
	BACKEND_DRAINING = 5,	/* no longer configured; its flows go on until they end */
	BACKEND_GONE = 6,	/* its flows have ended: records of it count as absent */
};

/* Where a frame goes: `interface` counts from 1 in settings.interfaces; word 0 is unresolved. */
union next_hop {
	__u64 word;
	struct {
		__u8 mac[6];
		__u16 interface;
	} hop;
};
TYPE_SIZE(union next_hop, 8);

/* What else packets are made to fit; one word, since it follows routes and the file. */
union way {
	__u64 word;
	struct {
		__u16 mtu;	   /* tun: of IP packets on the way to the backend, bytes; 0: any */
		__u16 mss;	   /* what a client's SYN announces is lowered to it; 0: is not */
		__u16 port;	   /* gue */
		__u8 tunnel;	   /* enum tunnel */
		__u8 checksum : 1; /* gre, gue: there is one over what is inside */
		__u8 source : 1;   /* tun: which of backend.sources packets come from */
		__u8 pad : 6;
	};
};
TYPE_SIZE(union way, 8);

/* By how many bytes a packet grows in a tunnel to an IPv4 or IPv6 address. */
static inline __attribute__((always_inline)) __u32 tunnel_overhead(union way way, int is_v4)
{
	__u32 ip = is_v4 ? 20 : 40;

	if (way.tunnel == TUNNEL_GRE)
		return ip + (way.checksum ? 8 : 4);
	return ip + (way.tunnel == TUNNEL_GUE ? 12 : 0);
}

/* Address, port and forwarding never change while the entry names the backend. */
struct backend {
	union next_hop next_hop;
	union way way;
	struct address ip;
	enum forwarding forwarding;
	enum backend_state state;
	__u16 port;    /* 0: the one that the client has sent to */
	__u8 fallback; /* 1: serves only while no other backend does */
	__u8 pad;
	__u32 weight; /* as configured */
	__u32 service;
	__u32 position;	       /* in the service's list, from its tail: the order they came in */
	__u32 max_connections; /* as ipvsadm's -x: it takes no more flows; 0: no limit */
	__u32 min_connections; /* as -y: until they are fewer again; 0: three quarters */
	struct address sources[2]; /* tun: the director's own; the one that way does not name may
				    * be written after a grace period */
	char address[56];	   /* "172.16.254.18:80", for people */
};
TYPE_SIZE(struct backend, 152);

/*
 * Open flows of a backend, by what IPVS counts them as; those in `pending` apart, since they may be
 * too many until the next sweep.
 */
struct connections {
	__u32 active;
	__u32 inactive;
	__u32 pending_active;	/* openings of TCP */
	__u32 pending_inactive; /* of UDP and SCTP */
	__u32 full;		/* 1: max_connections was reached, and they are not few enough */
	__u32 pad;
};
TYPE_SIZE(struct connections, 24);

struct backend_counters {
	__u64 flows;
	__u64 packets_in;
	__u64 bytes_in; /* of IP packets, as IPVS counts */
	__u64 packets_out;
	__u64 bytes_out;
};
TYPE_SIZE(struct backend_counters, 40);

/* ---- flows --------------------------------------------------------------------------------- */

enum flow_state {
	FLOW_DEAD = 0, /* whoever made it so deletes it */
	FLOW_SYN = 1,
	FLOW_ESTABLISHED = 2,
	FLOW_FIN = 3,
	FLOW_CLOSED = 4, /* a reset was seen; it may have been forged */
	FLOW_UDP = 5,
	FLOW_TEMPLATE = 6, /* of DIRECTION_TEMPLATE */
	FLOW_STATES = 8,   /* a power of two, so that a mask bounds an index */
};

/*
 * A flow's record, with the fields that `bpftool map dump` shows. Only `state`, `nonce`,
 * `last_seen` and `held` change: {nonce:32, state:32} as one word (FLOW_WORD) by compare-and-swap,
 * and who succeeds moves the counts. The nonce tells a record from its successor in the same
 * memory: what was read from the record holds if the word is the same afterwards.
 */
struct flow {
	enum flow_state state; /* with the nonce one word, the low half */
	__u32 nonce;
	__u32 last_seen; /* jiffies, the low 32 bits, of this direction's last packet */
	__u32 backend;
	union {
		union next_hop next_hop; /* the way back of NAT */
		__u32 timeout;		 /* a template: jiffies */
	};
	/* The way back of NAT, unused forward: */
	struct address vip;
	__u16 vip_port;
	__u16 persistent; /* forward: 1: it holds its client's template */
	/* Each may be stored to a successor: that would be looked up, or stay, once more. */
	union {
		__u32 route_generation; /* settings.route_generation when next_hop was looked up */
		__u32 held; /* a template: when the last sweep began that saw a flow of it */
	};
};
TYPE_SIZE(struct flow, 48);

/* Aligned, for `next_hop` is. */
#define FLOW_WORD(flow) (*(__u64 *)&(flow)->state)

static inline __attribute__((always_inline)) __u64 flow_word(__u32 nonce, enum flow_state state)
{
	return (__u64)nonce << 32 | (__u32)state;
}

static inline __attribute__((always_inline)) enum flow_state flow_state(__u64 word)
{
	return (enum flow_state)(__u32)word;
}

/* ---- fragments ----------------------------------------------------------------------------- */

/* What all fragments of a datagram have in common. */
struct fragment_key {
	struct address source;
	struct address destination;
	__be32 id;     /* IPv4: 16 bits, as they come */
	__u8 protocol; /* IPv6: 0 */
	__u8 pad[3];
};
TYPE_SIZE(struct fragment_key, 40);

/* What became of the first, so that the others follow. */
struct first_fragment {
	__u32 nonce;   /* as a flow's: tells it from its successor in the same memory */
	__u32 until;   /* jiffies, the low 32 bits: then it is forgotten */
	__u32 backend; /* 0: it was refused or dropped */
	__u8 is_reply; /* 1: it went from the backend to a client */
	__u8 pad[3];
	/* A reply: */
	union next_hop next_hop;
	struct address vip;
};
TYPE_SIZE(struct first_fragment, 40);

/* ---- destinations: lblc and lblcr ---------------------------------------------------------- */

struct destination_key {
	__u32 service;
	struct address address; /* that clients use: a vip */
};
TYPE_SIZE(struct destination_key, 20);

/* A place in a destination's set of backends. */
union assigned {
	__u64 word; /* changes by compare-and-swap */
	struct {
		__u32 backend; /* 0: the place is free */
		__u32 number;  /* they are counted as they come */
	};
};
TYPE_SIZE(union assigned, 8);

#define DESTINATION_BACKENDS 64

struct destination {
	__u32 seen;    /* jiffies, the low 32 bits, of its last new flow; 0: it is being made */
	__u32 changed; /* when a backend came or left */
	__u32 came;    /* how many ever did */
	__u32 pad;
	union assigned backends[DESTINATION_BACKENDS]; /* lblc: the first alone */
};
TYPE_SIZE(struct destination, 16 + 8 * DESTINATION_BACKENDS);

/* ---- settings ------------------------------------------------------------------------------ */

#define MAX_INTERFACES 16

struct interface {
	union next_hop self; /* its own MAC; `interface` is its number here */
	__u32 ifindex;	     /* 0: the entry is free */
	__u32 zero;	     /* always: bpf/maps.h, veiled_zero() */
};
TYPE_SIZE(struct interface, 16);

/* Each word is read on its own; the agent changes one at a time, the expiry `swept`. */
struct settings {
	__u32 timeouts[FLOW_STATES]; /* jiffies, by enum flow_state */
	__u32 route_generation;	     /* raised when the way to a client may have changed */
	/* How many the index holds; 0 spares the lookup. */
	__u32 port_replies;	   /* ENDPOINT_REPLY of a port */
	__u32 any_port_replies;	   /* ENDPOINT_REPLY without one */
	__u32 port_endpoints;	   /* ENDPOINT_PORTS */
	__u32 second;		   /* jiffies */
	__u32 refusals_per_second; /* RST, ABORT and ICMP answers, per CPU */
	__u32 swept;		   /* jiffies, the low 32 bits, when the last whole sweep began */
	__u32 pad;
	struct interface interfaces[MAX_INTERFACES];
};
TYPE_SIZE(struct settings, 64 + 16 * MAX_INTERFACES);

/* ---- counters and the sweep ---------------------------------------------------------------- */

struct counter {
	__u64 packets;
	__u64 bytes; /* of frames as they came */
};
TYPE_SIZE(struct counter, 16);

/* What the expiry program answers. */
struct sweep {
	__u32 flows; /* records seen */
	__u32 pending;
	__u32 expired;
};
TYPE_SIZE(struct sweep, 12);

#include "bpf/verdicts.h"
