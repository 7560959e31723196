/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * verdicts.h - what becomes of packets, and what happens beside: the indexes of the maps `verdicts`
 * and `events`. A part of types.h, which includes it; nobody else does.
 */
#pragma once

/*
 * One list: the enum, its class, the metric's name and help. A class is what becomes of the packet:
 * PASS to the stack untouched, DROP, REFUSE with an answer to the client, FORWARD.
 */
/* clang-format off */
#define VERDICTS(X)                                                                                \
	X(PASS_NOT_OUR_MAC,       PASS,    "sent to another MAC address")                          \
	X(PASS_NOT_IP,            PASS,    "neither IPv4 nor IPv6")                                \
	X(PASS_MALFORMED,         PASS,    "cut short or inconsistent, before it could be ours")   \
	X(PASS_FRAGMENT,          PASS,    "a fragment whose first was not seen, or is not ours")   \
	X(PASS_NOT_TRANSPORT,     PASS,    "neither TCP, UDP nor SCTP")                                  \
	X(PASS_NO_SERVICE,        PASS,    "no service has this address and port")                 \
	X(PASS_REPLY_NO_FLOW,     PASS,    "from a NAT backend, but of no flow of ours")           \
	X(PASS_NO_FLOW,           PASS,    "of no known flow, to a port of a range or of all: maybe the director's own") \
	X(PASS_ICMP_NO_FLOW,      PASS,    "an ICMP error that quotes no flow of ours")             \
	X(FORWARD_DR,             FORWARD, "sent to a backend by direct routing")                  \
	X(FORWARD_NAT,            FORWARD, "sent to a backend by NAT")                             \
	X(FORWARD_TUN,            FORWARD, "sent to a backend by a tunnel")                        \
	X(FORWARD_REPLY,          FORWARD, "sent back to a client by NAT")                         \
	X(FORWARD_ICMP,           FORWARD, "an ICMP error, sent to the backend of the flow it quotes") \
	X(FORWARD_ICMP_REPLY,     FORWARD, "an ICMP error, sent back by NAT to the client of the flow it quotes") \
	X(FORWARD_LOCAL,          FORWARD, "given to the director's own stack")                    \
	X(REFUSE_NO_BACKEND,      REFUSE,  "no backend can serve: ICMP port unreachable, or ABORT") \
	X(REFUSE_REPLY_TAKEN,     REFUSE,  "the backend has a flow of another vip or port with this client")  \
	X(REFUSE_NO_FLOW,         REFUSE,  "of no known flow, and opens none: RST or ABORT")               \
	X(REFUSE_TOO_BIG,         REFUSE,  "too big for the tunnel to the backend: ICMP says so")  \
	X(DROP_NO_FLOW,           DROP,    "of no known flow, and not to be answered")             \
	X(DROP_BAD_CHECKSUM,      DROP,    "wrong checksum in the IPv4 header, or of an ICMP error by NAT") \
	X(DROP_BAD_FLAGS,         DROP,    "TCP flags that contradict each other")                 \
	X(DROP_BAD_LENGTH,        DROP,    "a header or chunk too long for its packet, or too short") \
	X(DROP_FRAGMENT,          DROP,    "a fragment whose first was refused or dropped")        \
	X(DROP_SCTP_FRAGMENT,     DROP,    "SCTP in fragments, where NAT would change its port")   \
	X(DROP_TOO_BIG,           DROP,    "too big for its tunnel, and not to be answered")          \
	X(DROP_TTL,               DROP,    "TTL or hop limit is used up")                          \
	X(DROP_NO_NEIGHBOUR,      DROP,    "the backend's MAC address is not known")               \
	X(DROP_FLOW_BUSY,         DROP,    "the flow's record is being replaced")                  \
	X(DROP_REFUSAL_LIMIT,     DROP,    "refused without an answer: too many of them")          \
	X(DROP_NO_ROOM,           DROP,    "the kernel had no room to answer or record")
/* clang-format on */

enum verdict {
	NEXT = -1, /* no verdict yet: go on */
#define X(name, class, help) name,
	VERDICTS(X)
#undef X
		VERDICT_COUNT,
};

/* What happened beside a packet's verdict. */
/* clang-format off */
#define EVENTS(X)                                                                                  \
	X(EVENT_FLOWS_FULL,       "a flow stayed in pending because flows is full")                \
	X(EVENT_REPLY_REROUTED,   "the way back to a client was looked up again")                  \
	X(EVENT_REPLY_BY_SYN,     "the way back to a client was taken from its SYN")
/* clang-format on */

enum event {
#define X(name, help) name,
	EVENTS(X)
#undef X
		EVENT_COUNT,
};
