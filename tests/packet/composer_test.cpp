// SPDX-License-Identifier: MIT
// The harness itself: frames against bytes known from elsewhere, and the judge against faults.
#include <gtest/gtest.h>

#include "tests/harness/checksum.h"
#include "tests/harness/describe.h"
#include "tests/harness/packet.h"
#include "tests/packet/row_name.h"

namespace xlvs::test {
namespace {

// RFC 1071, 3: the example's sum.
TEST(Checksum, SumsAsInRfc1071) {
  const Bytes bytes = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
  EXPECT_EQ(ones_sum(bytes), 0xddf2);
}

TEST(Checksum, OddByteIsTheHighOne) { EXPECT_EQ(ones_sum(Bytes{0x12, 0x34, 0x56}), 0x6834); }

// A header known from many textbooks: 192.168.0.1 > 192.168.0.199, UDP, checksum b861.
TEST(Composer, Ipv4HeaderIsTheKnownOne) {
  const Bytes frame = (Ethernet{} / IPv4{.saddr = "192.168.0.1"_ip,
                                         .daddr = "192.168.0.199"_ip,
                                         .id = 0,
                                         .protocol = 17,
                                         .total_length = 0x73})
                          .build();
  const Bytes header(frame.begin() + 14, frame.end());
  EXPECT_EQ(header, (Bytes{0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11,
                           0xb8, 0x61, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7}));
}

TEST(Composer, UdpChecksumOfZeroIsSentAsOnes) {
  // Found by counting: this payload makes the sum come out as 0xffff.
  for (uint32_t word = 0; word <= 0xffff; ++word) {
    const Bytes payload = {uint8_t(word >> 8), uint8_t(word)};
    const Bytes frame = (Ethernet{} / IPv4{} / UDP{} / Payload(payload)).build();
    const Bytes check(frame.begin() + 40, frame.begin() + 42);
    ASSERT_NE(check, (Bytes{0, 0}));
    if (check == Bytes{0xff, 0xff}) {
      EXPECT_EQ(verify(frame), std::nullopt);
      return;
    }
  }
  FAIL() << "no payload gave 0xffff";
}

// The check value of CRC-32C, e3069283, in the order that SCTP sends it in.
TEST(Checksum, Crc32cIsTheKnownOne) {
  const std::string_view digits = "123456789";
  EXPECT_EQ(crc32c(Bytes(digits.begin(), digits.end())), 0x839206e3);
}

TEST(Describe, NamesWhatAPersonLooksFor) {
  const Bytes frame =
      (Ethernet{} / Vlan{.id = 10} / IPv4{.ttl = 63} / TCP{.syn = true, .ack = true}).build();
  EXPECT_EQ(describe(frame),
            "00:00:5e:00:53:07 > 00:00:5e:00:53:01, vlan 10, 198.51.100.7 > 192.0.2.1: ttl 63 id "
            "1234 length 40, TCP 40000 > 80 [S.] seq 1000 ack 0 win 64240, 0 bytes");
}

TEST(Describe, MarksTheBytesThatDiffer) {
  const std::string text = difference(Bytes{1, 2, 3}, Bytes{1, 9, 3});
  EXPECT_NE(text.find("    0000  01 02 03\n             ^^"), std::string::npos) << text;
  EXPECT_EQ(difference(Bytes{1, 2}, Bytes{1, 2}), "");
}

struct JudgeRow {
  const char* name;
  Packet packet;
  const char* problem;  // nullptr: none
};

std::ostream& operator<<(std::ostream& out, const JudgeRow& row) { return out << row.name; }

class Judge : public testing::TestWithParam<JudgeRow> {};

TEST_P(Judge, Says) {
  const auto problem = verify(GetParam().packet.build());
  EXPECT_EQ(problem.value_or("none"), GetParam().problem ? GetParam().problem : "none");
}

const auto vip_segment = std::vector<Address>{"2001:db8:5::1"_ip, vip6};

const JudgeRow judge_rows[] = {
    {"v4 tcp", Ethernet{} / IPv4{} / TCP{} / Payload("odd"), nullptr},
    {"v4 options", Ethernet{} / IPv4{.options = {1, 1, 1}} / UDP{} / Payload("x"), nullptr},
    {"v4 qinq", Ethernet{} / Vlan{.tpid = 0x88a8} / Vlan{} / IPv4{} / TCP{.options = {1}}, nullptr},
    {"v4 icmp", Ethernet{} / IPv4{} / ICMP{} / Payload("ping"), nullptr},
    {"v4 padding", Ethernet{} / IPv4{} / TCP{} / Padding{Bytes(6, 0xee)}, nullptr},
    {"v4 udp without checksum", Ethernet{} / IPv4{} / UDP{.check = 0}, nullptr},
    {"v4 fragment", Ethernet{} / IPv4{.more_fragments = true} / TCP{.check = 1}, nullptr},
    {"v6 tcp", Ethernet{} / IPv6{} / TCP{} / Payload("hello"), nullptr},
    {"v6 headers",
     Ethernet{} / IPv6{} / HopByHop{} / DestinationOptions{.options = {1, 4, 0, 0, 0, 0}} /
         Authentication{} / UDP{},
     nullptr},
    {"v6 route",
     Ethernet{} / IPv6{} / Routing{.segments_left = 1, .addresses = vip_segment} / UDP{}, nullptr},
    {"v6 icmp", Ethernet{} / IPv6{} / ICMPv6{} / Payload("ping"), nullptr},
    {"v4 header checksum", Ethernet{} / IPv4{.check = 7} / TCP{}, "IPv4 header checksum is wrong"},
    {"v4 long", Ethernet{} / IPv4{.total_length = 99} / TCP{},
     "IPv4 total length exceeds the frame"},
    {"tcp checksum", Ethernet{} / IPv4{} / TCP{.check = 7}, "TCP checksum is wrong"},
    {"tcp header", Ethernet{} / IPv4{} / TCP{.doff = 15}, "TCP header exceeds the packet"},
    {"udp checksum", Ethernet{} / IPv6{} / UDP{.check = 7}, "UDP checksum is wrong"},
    {"udp length", Ethernet{} / IPv6{} / UDP{.length = 9}, "UDP length exceeds the packet"},
    {"v6 udp none", Ethernet{} / IPv6{} / UDP{.check = 0}, "UDP over IPv6 without a checksum"},
    {"v6 long", Ethernet{} / IPv6{.payload_length = 99} / UDP{},
     "IPv6 payload length exceeds the frame"},
    {"icmp checksum", Ethernet{} / IPv4{} / ICMP{.check = 7}, "ICMP checksum is wrong"},
    {"icmp error", Ethernet{} / IPv4{} / ICMP{.type = 3} / quote(IPv4{} / TCP{}), nullptr},
    {"icmp error, cut quote", Ethernet{} / IPv4{} / ICMP{.type = 3} / quote(IPv4{.check = 7}, 19),
     nullptr},
    {"quoted checksum", Ethernet{} / IPv4{} / ICMP{.type = 11} / quote(IPv4{.check = 7} / TCP{}),
     "checksum of the quoted IPv4 header is wrong"},
    {"icmpv6 checksum", Ethernet{} / IPv6{} / ICMPv6{.check = 7}, "ICMPv6 checksum is wrong"},
};

INSTANTIATE_TEST_SUITE_P(Frames, Judge, testing::ValuesIn(judge_rows), row_name<JudgeRow>);

}  // namespace
}  // namespace xlvs::test
