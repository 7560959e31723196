/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * sctp.h - SCTP's header, its chunks and its checksum (RFC 9260, 3 and appendix A), which covers
 * the packet but no address, so only a change of ports changes it.
 *
 * CRC32c is linear: two packets of one length differ in it by the CRC, begun with 0, of their
 * difference. Here that is in the first four bytes, so it is these four bytes times x^(8 * length)
 * modulo the polynomial, whatever follows them.
 */
#pragma once

#include "bpf/packet.h"

struct sctp_header {
	__be16 source;
	__be16 dest;
	__be32 tag;
	__be32 checksum; /* its bytes in little-endian order */
};

struct sctp_chunk {
	__u8 type;
	__u8 flags;
	__be16 length;
};

enum {
	SCTP_INIT = 1,
	SCTP_ABORT = 6,
	SCTP_SHUTDOWN = 7,
	SCTP_SHUTDOWN_ACK = 8,
	SCTP_ERROR = 9,
	SCTP_COOKIE_ACK = 11,
	SCTP_SHUTDOWN_COMPLETE = 14,
};

#define SCTP_TAG_REFLECTED 1 /* the flag T: the tag is the receiver's own */
#define SCTP_STALE_COOKIE 3  /* a cause of SCTP_ERROR */

/* What an INIT has at least. */
struct sctp_init {
	struct sctp_chunk chunk;
	__be32 tag; /* that packets to its sender are to have */
	__be32 window;
	__be16 outbound_streams;
	__be16 inbound_streams;
	__be32 tsn;
};

/* What an ERROR begins with; further causes may follow the first. */
struct sctp_error {
	struct sctp_chunk chunk;
	__be16 cause;
	__be16 cause_length;
};

/* Bytes that a chunk of the type has at least, by its own word. */
static __always_inline __u32 least_length(__u8 type)
{
	return type == SCTP_INIT ? sizeof(struct sctp_init) : sizeof(struct sctp_chunk);
}

#define MAX_CHUNKS 16 /* that are looked at */

/* A set of chunks: bits by their types, and one for what an ERROR says. */
#define HAS(type) (1U << (type))
#define HAS_STALE_COOKIE HAS(31)

/* One chunk's share; of an ERROR, the first cause counts, since that one comes alone (5.2.6). */
static __always_inline __u32 chunk_as_set(const struct sctp_chunk *chunk, const void *end)
{
	const struct sctp_error *error = (const void *)chunk;

	if (chunk->type == SCTP_ERROR && bpf_ntohs(chunk->length) >= sizeof(*error) &&
	    (void *)(error + 1) <= end && error->cause == bpf_htons(SCTP_STALE_COOKIE))
		return HAS_STALE_COOKIE;
	return chunk->type <= SCTP_SHUTDOWN_COMPLETE ? HAS(chunk->type) : 0;
}

/* The chunks from `offset` to `last`, bytes of the frame. Looked at by the verifier once. */
__attribute__((noinline)) __u32 set_of_chunks(struct xdp_md *ctx, __u32 offset, __u32 last)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	__u32 set = 0;

	for (int i = 0; i < MAX_CHUNKS && offset < last && offset <= MAX_OFFSET; i++) {
		struct sctp_chunk *chunk = data + offset;
		__u32 length;

		if ((void *)(chunk + 1) > end)
			break;
		set |= chunk_as_set(chunk, end);
		length = bpf_ntohs(chunk->length);
		if (length < sizeof(*chunk))
			break;
		offset += (length + 3) & ~3;
	}
	return set;
}

#define CRC32C_POLYNOMIAL 0x82f63b78U /* bits reflected: the highest is x^0 */

/* Swaps between the host's order and the checksum's, which is read as bytes come. */
static __always_inline __u32 little_endian(__be32 value)
{
	return __builtin_bswap32(bpf_ntohl(value));
}

static __always_inline __u32 crc32c_times_x(__u32 value)
{
	return value >> 1 ^ (CRC32C_POLYNOMIAL & -(value & 1));
}

static __always_inline __u32 crc32c_times(__u32 a, __u32 b)
{
	__u32 product = 0;

	for (int i = 0; i < 32; i++) {
		product ^= b & -(a >> 31);
		a <<= 1;
		b = crc32c_times_x(b);
	}
	return product;
}

/* x^(8 * 2^i) */
static const __u32 crc32c_powers[] = {
	0x00800000, 0x00008000, 0x82f63b78, 0x6ea2d55c, 0x18b8ea18, 0x510ac59a,
	0xb82be955, 0xb8fdb1e7, 0x88e56f72, 0x74c360a4, 0xe4172b16, 0x0d65762a,
	0x35d73a62, 0x28461564, 0xbf455269, 0xe2ea32dc,
};

/* value * x^(8 * bytes); at most 65,535 bytes. */
__attribute__((noinline)) __u32 crc32c_shift(__u32 value, __u32 bytes)
{
	for (__u32 i = 0; i < 16; i++) {
		__u32 shifted = crc32c_times(crc32c_powers[i], value);

		value = bytes >> i & 1 ? shifted : value;
	}
	return value;
}

/* Of a header and a chunk without content. */
__attribute__((noinline)) __u32 crc32c_of_words(__u64 first, __u64 second)
{
	__u32 words[] = { first, first >> 32, second, second >> 32 };
	__u32 crc = ~0U;

	for (int i = 0; i < 4; i++) {
		crc ^= words[i];
		for (int bit = 0; bit < 32; bit++)
			crc = crc32c_times_x(crc);
	}
	return ~crc;
}
