/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * sctp.h - SCTP's header and its checksum (RFC 9260, 3 and appendix A). It covers the packet but no
 * address, so only a change of ports changes it.
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
	SCTP_SHUTDOWN_COMPLETE = 14,
};

#define SCTP_TAG_REFLECTED 1 /* the flag T: the tag is the receiver's own */

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
